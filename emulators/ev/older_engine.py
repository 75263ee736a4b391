"""EVCC engine of an emulated vehicle for ISO 15118-2 and DIN 70121."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from protocols.iso15118.app_protocol import Protocol
from protocols.iso15118.din.dialect import DIN
from protocols.iso15118.iso2.dialect import AC_MODES, DC_MODES, ISO2
from protocols.iso15118.iso2.evcc import Evcc
from protocols.iso15118.iso2.evcc_session import EvccSettings as OlderSettings
from protocols.iso15118.iso2.preparation import prepare_car
from protocols.iso15118.iso20.evcc_session import EvccSettings
from protocols.iso15118.iso20.orders import CarState
from protocols.iso15118.iso20.services import DC_SERVICES

DIALECTS = {"iso2": ISO2, "din": DIN}


def build(settings: EvccSettings, state: CarState, now: float, protocols: Sequence[str]) -> Evcc:
    """Return the engine for those of the protocols that belong to it."""
    dialects = [DIALECTS[name] for name in protocols if name in DIALECTS]
    return Evcc(older_settings(settings), state, now, dialects=dialects)


def offered(engine: Evcc) -> dict[str, list[Protocol]]:
    """Return what the engine offers, by name."""
    known = engine.protocols()
    return {name: [one.protocol] for name, one in DIALECTS.items() if one.protocol in known}


def prepare(protocols: Sequence[str]) -> None:
    """Compile the messages of the protocols before the first session."""
    prepare_car(DIALECTS[name] for name in protocols if name in DIALECTS)


def older_settings(settings: EvccSettings) -> OlderSettings:
    """Return the settings of ISO 15118-2 and DIN 70121 for those of ISO 15118-20: charging only."""
    modes: tuple[str, ...] = ()
    for service in settings.services:
        modes += DC_MODES if service in DC_SERVICES else AC_MODES
    return OlderSettings(
        evccid=_mac(settings.evccid),
        modes=tuple(dict.fromkeys(modes)),
        loop_interval=settings.loop_interval,
        poll_interval=settings.poll_interval,
        timeout_factor=settings.timeout_factor,
        guard_s=settings.guard_s,
        resume=settings.resume,
        ignores=settings.ignores,
        trace=settings.trace,
    )


def _mac(evccid: str) -> bytes:
    """Return the EVCCID of the older generations, a MAC address: as given, or locally administered by the name."""
    try:
        return bytes.fromhex(evccid.replace(":", ""))[-6:].rjust(6, b"\x00")
    except ValueError:
        return b"\x02" + hashlib.sha256(evccid.encode()).digest()[:5]
