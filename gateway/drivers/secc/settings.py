"""Settings of one EVSE whose sessions the gateway hosts, as plain values; `gateway/config` reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from protocols.iso15118.iso20.limits import Limits
from protocols.iso15118.iso20.secc_session import SeccSettings
from protocols.iso15118.iso20.services import ControlMode, ServiceId, offer
from protocols.iso15118.tls import TlsProfile, TlsVersion


@dataclass(frozen=True, slots=True)
class SeccEvseSettings:
    """One EVSE. Either `interface` (found by SDP) or `address`. Powers are magnitudes, below those of the board."""

    id: str
    board: str
    board_settings: Mapping[str, object] = field(default_factory=dict)
    interface: str | None = None
    address: tuple[str, int] | None = None
    slac: bool = False  # on `interface`, before SDP
    protocols: tuple[str, ...] = ("iso20", "iso2", "din")
    services: tuple[ServiceId, ...] = (ServiceId.DC, ServiceId.DC_BPT)
    controls: tuple[ControlMode, ...] = (ControlMode.DYNAMIC, ControlMode.SCHEDULED)
    tls: TlsVersion = TlsVersion.NONE
    tls_profile: TlsProfile = TlsProfile.INTEROP
    pki: Path | None = None
    evse_id: str = "ZZ00000"
    max_charge_w: float | None = None
    max_discharge_w: float | None = None

    @property
    def bidirectional(self) -> bool:
        """True if a vehicle may be offered to discharge."""
        return ServiceId.DC_BPT in self.services and "iso20" in self.protocols


def engine_settings(evse: SeccEvseSettings, limits: Limits) -> SeccSettings:
    """Return the settings of the protocol engine with the present limits of the hardware, at the connector."""
    strict = evse.tls is TlsVersion.TLS_1_3 and evse.tls_profile is TlsProfile.STRICT
    return SeccSettings(
        offers=tuple(offer(service, evse.controls) for service in evse.services),
        dc=limits,
        evse_id=evse.evse_id,
        tls_required=strict,
        identity_required=strict,
    )
