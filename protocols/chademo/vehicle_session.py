"""Inputs, outputs and state of a vehicle session. Currents are + into the vehicle, limits are magnitudes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from protocols.chademo.durations import Durations
from protocols.chademo.frames import (
    ChargerExtension,
    ChargerLimits,
    ChargerSequence,
    ChargerStatus,
    DischargeCapability,
)
from protocols.chademo.layout import Message
from protocols.chademo.profile import VehicleProfile
from protocols.chademo.states import VehicleState
from protocols.chademo.stops import Cause, Stop
from protocols.frozen import frozen

FIRST_REPORTING = 2  # protocol number of chargers to which contactors are reported (102.5.3)


@frozen(kw_only=True)
class Battery:
    """State of the battery and what it permits now; `faults` are causes of the matrix with a bit of 102."""

    voltage_v: float = 370.0
    soc_pct: float = 50.0
    max_charge_a: float = 0.0
    max_discharge_a: float = 0.0
    faults: frozenset[Cause] = frozenset()


@frozen(kw_only=True)
class VehicleInputs:
    """Lines and measurements of the vehicle."""

    plugged: bool = False  # pin 7
    d1: bool = False
    d2: bool = False
    inlet_v: float = 0.0
    current_a: float = 0.0  # at the inlet
    contactors_closed: bool = False  # feedback
    parked: bool = True
    battery: Battery = field(default_factory=Battery)


@frozen
class StopVehicle:
    """End the session, such as by the driver."""

    detail: str = ""


@frozen
class ResetVehicle:
    """Leave the fault state, by service."""


VehicleOrder: TypeAlias = VehicleInputs | StopVehicle | ResetVehicle


@frozen
class VehicleOutputs:
    """Lines and orders to the contactors."""

    k: bool = False
    contactors: bool = False


@dataclass(slots=True)
class ChargerReport:
    """Last content of each frame of the charger."""

    limits: ChargerLimits | None = None
    status: ChargerStatus | None = None
    extension: ChargerExtension | None = None
    discharge: DischargeCapability | None = None
    sequence: ChargerSequence | None = None

    def take(self, message: Message) -> None:
        """Store the content of a frame."""
        if isinstance(message, ChargerStatus):
            self.status = message
        elif isinstance(message, ChargerLimits):
            self.limits = message
        elif isinstance(message, DischargeCapability):
            self.discharge = message
        elif isinstance(message, ChargerSequence):
            self.sequence = message
        elif isinstance(message, ChargerExtension):
            self.extension = message

    @property
    def power(self) -> bool:
        """The charger reports power transfer (109.5.0)."""
        return self.status is not None and self.status.power

    @property
    def current_a(self) -> int:
        """Largest current that the charger reports, in either direction."""
        charge = self.status.charge_a if self.status is not None else 0
        return max(charge, self.discharge.discharge_a if self.discharge is not None else 0)


@dataclass(slots=True)
class VehicleSession:
    """State of the vehicle. `entered` is the time of the present state."""

    profile: VehicleProfile
    inputs: VehicleInputs = field(default_factory=VehicleInputs)
    charger: ChargerReport = field(default_factory=ChargerReport)
    state: VehicleState = VehicleState.SLEEP
    entered: float = 0.0
    k: bool = False
    contactors: bool = False
    request_a: float = 0.0
    ceiling_a: float = 0.0  # of discharging
    stop: Stop | None = None
    service_lock: Stop | None = None  # welded contactor: no session before a reset
    started_at: float = 0.0
    charger_seen_at: float | None = None
    lock_seen: bool = False
    power_seen_at: float | None = None
    stop_seen_at: float | None = None  # 109.5.5
    d2_at: float | None = None
    opened_at: float | None = None
    open_v: float = 0.0  # inlet voltage when the contactors opened
    open_reported: bool = False
    idle_since: float = 0.0
    durations: Durations = field(default_factory=Durations)

    @property
    def reports_contactors(self) -> bool:
        """True where 102.5.3 is used: not with chargers before 1.0."""
        status = self.charger.status
        return status is None or status.protocol >= FIRST_REPORTING

    @property
    def discharge_agreed(self) -> bool:
        """Both sides permit discharging."""
        charger = self.charger
        return (
            self.profile.discharge
            and charger.status is not None
            and charger.status.discharge_compatible
            and charger.discharge is not None
        )

    def adopt(self, stop: Stop) -> bool:
        """Adopt a stop if it outranks the present one; return whether it does."""
        if not stop.outranks(self.stop):
            return False
        self.stop = stop
        return True
