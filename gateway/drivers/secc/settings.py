"""Settings of one EVSE whose sessions the gateway hosts, as plain values; `gateway/config` reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from protocols.iso15118.iso20.limits import NOTHING, Limits
from protocols.iso15118.iso20.secc_session import SeccSettings
from protocols.iso15118.iso20.services import BPT_SERVICES, DC_SERVICES, ControlMode, ServiceId, offer
from protocols.iso15118.tls import TlsProfile, TlsVersion
from protocols.slac.modem import ModemSettings


@dataclass(frozen=True, slots=True)
class SeccEvseSettings:
    """One EVSE. Either `interface` (found by SDP) or `address`. Powers are magnitudes, below those of the board."""

    id: str
    board: str
    board_settings: Mapping[str, object] = field(default_factory=dict)
    interface: str | None = None
    address: tuple[str, int] | None = None
    slac: bool = False  # on `interface`, before SDP
    modem: ModemSettings = field(default_factory=ModemSettings)  # of SLAC
    protocols: tuple[str, ...] = ("iso20", "iso2", "din")
    services: tuple[ServiceId, ...] | None = None  # None: those of the board, see `services_of`
    controls: tuple[ControlMode, ...] = (ControlMode.DYNAMIC, ControlMode.SCHEDULED)
    tls: TlsVersion = TlsVersion.NONE
    tls_profile: TlsProfile = TlsProfile.INTEROP
    pki: Path | None = None
    evse_id: str = "ZZ00000"
    max_charge_w: float | None = None
    max_discharge_w: float | None = None
    phases: int = 3  # these three: of an AC board
    voltage_v: float = 230.0  # of a phase
    max_current_a: float = 16.0  # of each phase
    digital_within_s: float = 40.0  # for the first message of a vehicle, before charging by duty cycle

    @property
    def ac_power_w(self) -> float:
        """Rated power of an AC board."""
        return self.phases * self.voltage_v * self.max_current_a


def services_of(evse: SeccEvseSettings, *, ac: bool) -> tuple[ServiceId, ...]:
    """Return the services that a vehicle is offered: of the configured ones those of the kind of board."""
    if evse.services is not None:
        return tuple(one for one in evse.services if (one in DC_SERVICES) is not ac)
    if not ac:
        return ServiceId.DC, ServiceId.DC_BPT
    return (ServiceId.AC, ServiceId.AC_BPT) if evse.max_discharge_w else (ServiceId.AC,)


def protocols_of(evse: SeccEvseSettings, *, ac: bool) -> tuple[str, ...]:
    """Return the protocols that a vehicle is offered; DIN 70121 has DC only."""
    return tuple(one for one in evse.protocols if not ac or one != "din")


def bidirectional(evse: SeccEvseSettings, *, ac: bool) -> bool:
    """Return True if a vehicle may be offered to discharge."""
    return bool(BPT_SERVICES & set(services_of(evse, ac=ac))) and "iso20" in evse.protocols


def engine_settings(evse: SeccEvseSettings, limits: Limits, *, ac: bool) -> SeccSettings:
    """Return the settings of the protocol engine with the present limits of the hardware, at the connector."""
    strict = evse.tls is TlsVersion.TLS_1_3 and evse.tls_profile is TlsProfile.STRICT
    services, volts = services_of(evse, ac=ac), evse.voltage_v
    return SeccSettings(
        offers=tuple(offer(one, evse.controls, nominal_voltage_v=int(volts)) for one in services),
        dc=NOTHING if ac else limits,
        ac=limits if ac else NOTHING,
        nominal_voltage_v=volts,
        ac_phases=evse.phases,
        evse_id=evse.evse_id,
        tls_required=strict,
        identity_required=strict,
    )
