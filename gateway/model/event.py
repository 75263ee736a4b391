"""Events that stations and drivers report to the gateway, in the past tense.

`csms` and `drivers` map their protocols to these and pass them on through one function, `Report`. Powers are in W,
energies in Wh, + into the vehicle. `at` is monotonic time in seconds; `wall` is Unix time as stated by the station,
where it was.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import TypeAlias

from protocols.frozen import frozen


class PlugState(StrEnum):
    """State of the connector."""

    AVAILABLE = "available"
    OCCUPIED = "occupied"
    RESERVED = "reserved"
    UNAVAILABLE = "unavailable"
    FAULTED = "faulted"


class OperationMode(StrEnum):
    """Operation mode of OCPP 2.1; those of other protocols are mapped to it."""

    CHARGING_ONLY = "ChargingOnly"
    CENTRAL_SETPOINT = "CentralSetpoint"
    CENTRAL_FREQUENCY = "CentralFrequency"
    EXTERNAL_SETPOINT = "ExternalSetpoint"
    EXTERNAL_LIMITS = "ExternalLimits"
    LOCAL_FREQUENCY = "LocalFrequency"
    LOCAL_LOAD_BALANCING = "LocalLoadBalancing"
    IDLE = "Idle"


@frozen
class PowerLimits:
    """Power limits of a vehicle or a station, W at its own side. Magnitudes, both directions; min is a dead band."""

    max_charge_w: float
    max_discharge_w: float = 0.0
    min_charge_w: float = 0.0
    min_discharge_w: float = 0.0


@frozen
class VehicleNeeds:
    """Needs that the EV stated for this session. Energy requests are signed Wh relative to now (ISO 15118-20)."""

    limits: PowerLimits
    bidirectional: bool = False
    energy_transfer: str = "DC"  # OCPP 2.1 EnergyTransferMode, such as DC_BPT
    control_mode: str = "scheduled"  # scheduled | dynamic
    target_energy_wh: float | None = None
    min_energy_wh: float | None = None
    max_energy_wh: float | None = None
    min_v2x_energy_wh: float | None = None
    max_v2x_energy_wh: float | None = None
    soc_pct: float | None = None
    target_soc_pct: float | None = None
    departure: float | None = None  # Unix time
    battery_capacity_wh: float | None = None


@frozen
class StationConnected:
    station: str
    at: float
    protocol: str  # ocpp1.6 | ocpp2.0.1 | ocpp2.1 | iso15118-20 | ...
    vendor: str = ""
    model: str = ""


@frozen
class StationLost:
    station: str
    at: float
    reason: str = ""


@frozen
class StationRemoved:
    """The station is no longer kept, nor are its EVSEs."""

    station: str
    at: float


@frozen
class StationRejected:
    """The connection of a station was rejected. `station` and `path` are empty where they are not known."""

    station: str
    at: float
    address: str
    path: str
    reason: str


@frozen
class SecurityNoticed:
    """A station reported a security event, or failed logins named it."""

    station: str
    at: float
    kind: str
    text: str


@frozen
class RebootRequired:
    """Settings of a station were changed that take effect with its next boot."""

    station: str
    at: float
    settings: tuple[str, ...]


@frozen
class FailSafe:
    """End of the power by itself when this gateway fails, with a sentence.

    `expires`: with the validity of the set-point, at the latest after `within_s` where that is less. Otherwise
    `within_s` after the failure; None where the power continues.
    """

    text: str
    within_s: float | None = None
    expires: bool = False


@frozen
class EvseDescribed:
    """An EVSE was reported with the limits of its hardware."""

    evse: str
    station: str
    at: float
    limits: PowerLimits
    can_discharge: bool
    why_not: str = ""  # a sentence, where it cannot discharge
    fail_safe: FailSafe | None = None  # None while it is not known


@frozen
class EvseEvent:
    """Members of the events of one EVSE."""

    evse: str
    at: float


@frozen
class PlugChanged(EvseEvent):
    state: PlugState


@frozen
class SessionStarted(EvseEvent):
    session: str  # transaction id
    vehicle: str | None = None  # EVCCID or another identity of the vehicle
    mac: str | None = None  # address of the vehicle, where it was matched by SLAC


@frozen
class VehicleIdentified(EvseEvent):
    vehicle: str


@frozen
class VehicleDescribed(EvseEvent):
    """Link between vehicle and EVSE (chademo, iso15118-20, iso15118-2, din70121), and the capacity of its battery."""

    link: str
    capacity_wh: float | None = None


@frozen
class NeedsStated(EvseEvent):
    needs: VehicleNeeds


@frozen
class SessionEnded(EvseEvent):
    session: str
    reason: str = ""


@frozen
class Metered(EvseEvent):
    """Measured values; None is a value that was not reported. Energies are the meter's registers and only grow.

    `late`: of a reading of before, which counts energy and is no statement about the present.
    """

    wall: float | None = None
    power_w: float | None = None
    energy_charged_wh: float | None = None
    energy_discharged_wh: float | None = None
    soc_pct: float | None = None
    voltage_v: float | None = None
    current_a: float | None = None
    frequency_hz: float | None = None
    min_v2x_energy_wh: float | None = None
    max_v2x_energy_wh: float | None = None
    min_energy_wh: float | None = None
    target_energy_wh: float | None = None  # missing until departure
    late: bool = False


@frozen
class ModeChanged(EvseEvent):
    mode: OperationMode


@frozen
class InterconnectionReported(EvseEvent):
    """The charger is connected to the grid, or operates independently of it; None while it does not state it.

    `may_reconnect`: it connects to the grid again by itself, so that independent operation shows a missing grid.
    `evidence`: the statement counts as a source of loss-of-mains detection.
    """

    independent: bool | None
    may_reconnect: bool = True
    evidence: bool = True

    @property
    def grid_present(self) -> bool | None:
        """Return what it shows about the grid, None for nothing."""
        if self.independent is None or not self.evidence or (self.independent and not self.may_reconnect):
            return None
        return not self.independent


@frozen
class FaultRaised(EvseEvent):
    code: str
    text: str = ""


@frozen
class FaultCleared(EvseEvent):
    code: str = ""


Event: TypeAlias = (
    StationConnected
    | StationLost
    | StationRemoved
    | StationRejected
    | SecurityNoticed
    | RebootRequired
    | EvseDescribed
    | PlugChanged
    | SessionStarted
    | VehicleIdentified
    | VehicleDescribed
    | NeedsStated
    | SessionEnded
    | Metered
    | ModeChanged
    | InterconnectionReported
    | FaultRaised
    | FaultCleared
)
Report: TypeAlias = Callable[[Event], None]
