"""Engines of one connection: one for ISO 15118-20, one for the older generations, of those that an EVSE offers."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from protocols.iso15118.iso20 import secc
from protocols.iso15118.iso20.events import Paused
from protocols.iso15118.iso20.secc_session import Evse, SeccSettings, VehicleCertificate
from protocols.iso15118.secc import Engine
from protocols.iso15118.subject import common_name
from protocols.ports import Clock, Wire

PROTOCOLS = ("iso20", "iso2", "din")
OLDER = frozenset({"iso2", "din"})


def engines(
    wire: Wire,
    settings: SeccSettings,
    evse: Evse,
    clock: Clock,
    *,
    protocols: Collection[str] = PROTOCOLS,
    paused: dict[bytes, Paused],
    tolerance: str = "interop",
    connected_at: float | None = None,
) -> list[Engine]:
    """Return the engines; the first has the state of the hardware. `tolerance` of the older ones: strict or interop.

    The communication setup timer starts at `connected_at`, monotonic time; None: now.
    """
    now, found = clock.now() if connected_at is None else connected_at, list[Engine]()
    epoch, tls_version = clock.wall() - clock.now(), getattr(wire, "tls_version", None)
    if "iso20" in protocols:
        # no ISO 15118-20 on TLS 1.2 (V2G20-2356)
        modern = replace(settings, tls_required=True) if tls_version == "TLSv1.2" else settings
        der = getattr(wire, "peer_certificate", None)
        found.append(
            secc.Secc(
                modern,
                now,
                epoch=epoch,
                paused=paused,
                certificate=None if der is None else VehicleCertificate(der, common_name(der)),
                tls=tls_version == "TLSv1.3",
                evse=evse,
            )
        )
    if OLDER & set(protocols):
        from protocols.iso15118 import older_secc  # loaded only for these protocols

        older, shared = older_secc.older_settings(settings, tolerance), evse if not found else None
        ordered = [name for name in PROTOCOLS if name in protocols]
        found.append(older_secc.build(older, ordered, now, epoch, paused, shared))
    return found
