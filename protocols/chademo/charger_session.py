"""Settings, inputs, outputs and state of a charger session. Currents are + into the vehicle, limits are magnitudes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from protocols.chademo import levels, timers
from protocols.chademo.durations import Durations
from protocols.chademo.events import Direction
from protocols.chademo.frames import (
    BatteryLimits,
    ChargeTime,
    DischargeLimits,
    VehicleExtension,
    VehicleId0,
    VehicleId1,
    VehicleId2,
    VehicleSequence,
    VehicleStatus,
)
from protocols.chademo.layout import Message
from protocols.chademo.states import ChargerState
from protocols.chademo.stops import MATRIX, Stop
from protocols.frozen import frozen

_IDENTIFIER = (VehicleId0, VehicleId1, VehicleId2)
FLOOR_MARGIN = 1.02  # of the lower threshold above that of the vehicle


@frozen(kw_only=True)
class ChargerSettings:
    """Properties of a charger."""

    protocol: int = 2
    v2h: bool = True
    sequence: int = 2  # 209.0
    max_voltage_v: int = 500
    min_voltage_v: int = 150  # of batteries that it can charge
    max_charge_a: int = 30
    max_discharge_a: int = 15
    input_voltage_v: int = 500  # 208.1
    discharge_floor_v: int = 0  # 208.6; 0: that of the vehicle and 2 %
    welding_detection: bool = True
    test_voltage_v: int = 500
    session_min: int | None = None  # longest session; None: no limit, the vehicle's time without V2H
    shown_min: int = 60  # remaining time of an open session
    discharge_min: int = 5  # 209.1 while power can flow
    dynamic_control: bool = True  # 0x118 of protocol 3
    high_current: bool = False
    keep_alive: float | None = timers.KEEP_ALIVE  # report 1 A so often without current, against the end by the vehicle
    strict: bool = False  # a request above the offer is an error; otherwise it is limited
    frame_loss: float = timers.FRAME_LOSS
    test_s: float = 0.0  # least duration of the insulation test


@frozen(kw_only=True)
class ChargerInputs:
    """Lines and measurements of the charger."""

    plugged: bool = False
    k: bool = False  # vehicle charge permission, pin 4
    locked: bool = False  # feedback of the lock
    voltage_v: float = 0.0  # at the cable
    current_a: float = 0.0
    insulation_ohm: float | None = None  # None: not measured yet
    protective_earth: bool = True
    earth_fault: bool = False
    malfunction: str = ""  # of the hardware, as text


@frozen
class Start:
    """Begin a session."""


@frozen
class StopSession:
    """End the session."""

    detail: str = ""


@frozen
class SetCurrent:
    """Set-point of the current, + into the vehicle. 0 A is standby; the sign may change at any time."""

    current_a: float


@frozen
class SetCapability:
    """Limits of the charger now, such as of a shared supply; magnitudes."""

    max_charge_a: int
    max_discharge_a: int


@frozen
class Reset:
    """Leave the fault state."""


ChargerOrder: TypeAlias = ChargerInputs | Start | StopSession | SetCurrent | SetCapability | Reset


@frozen(kw_only=True)
class ChargerOutputs:
    """Lines and orders to the power stage.

    `test_v` > 0 orders the insulation test. `current_a` is within the limits of both sides; the stage keeps the
    voltage between `min_v` (discharging) and `max_v` (charging).
    """

    d1: bool = False
    d2: bool = False
    lock: bool = False
    test_v: float = 0.0
    current_a: float = 0.0
    min_v: float = 0.0
    max_v: float = 0.0


@dataclass(slots=True)
class VehicleReport:
    """Last content of each frame of the vehicle."""

    limits: BatteryLimits | None = None
    time: ChargeTime | None = None
    status: VehicleStatus | None = None
    extension: VehicleExtension | None = None
    discharge: DischargeLimits | None = None
    sequence: VehicleSequence | None = None
    discharge_withdrawn: bool = False  # 102.5.7 became 0: final
    identifier: dict[type[Message], int] = field(default_factory=dict)  # parts of 0x710 to 0x712

    def take(self, message: Message) -> None:
        """Store the content of a frame."""
        if isinstance(message, VehicleStatus):
            before = self.status
            if before is not None and before.discharge_compatible and not message.discharge_compatible:
                self.discharge_withdrawn = True
            self.status = message
        elif isinstance(message, BatteryLimits):
            self.limits = message
        elif isinstance(message, ChargeTime):
            self.time = message
        elif isinstance(message, DischargeLimits):
            self.discharge = message
        elif isinstance(message, VehicleSequence):
            self.sequence = message
        elif isinstance(message, VehicleExtension):
            self.extension = message
        elif isinstance(message, _IDENTIFIER):
            self.identifier[type(message)] = message.content

    @property
    def vehicle_id(self) -> str | None:
        """Vehicle identifier as 48 hexadecimal digits, as in OCPP 2.1; None where it is not sent or not complete."""
        parts = [self.identifier.get(part) for part in _IDENTIFIER]
        if any(part is None for part in parts) or not any(parts):
            return None
        return "".join((part or 0).to_bytes(8, "little").hex() for part in parts)


@dataclass(slots=True)
class ChargerSession:
    """State of the charger. `entered` is the time of the present state."""

    settings: ChargerSettings
    inputs: ChargerInputs = field(default_factory=ChargerInputs)
    vehicle: VehicleReport = field(default_factory=VehicleReport)
    state: ChargerState = ChargerState.IDLE
    entered: float = 0.0
    requested_a: float = 0.0  # set-point of the host
    max_charge_a: int = 0
    max_discharge_a: int = 0
    # lines and status bits
    d1: bool = False
    d2: bool = False
    lock: bool = False
    lock_bit: bool = False
    power_bit: bool = False
    test_v: float = 0.0
    offered_a: int = 0  # 108.3
    current_a: float = 0.0  # set-point of the stage
    direction: Direction = Direction.NONE
    fault_bits: set[str] = field(default_factory=set)
    # progress
    stop: Stop | None = None
    started_at: float = 0.0
    permitted_at: float | None = None
    tested_at: float | None = None
    d2_at: float | None = None
    closed_at: float | None = None
    power_at: float | None = None
    released_at: float | None = None
    durations: Durations = field(default_factory=Durations)
    requested_current: bool = False  # the vehicle has requested current or permitted discharging
    target_seen: bool = False
    cycles: int = 0
    power_cycle: int = 0  # number of cycles when power began
    stopped_cycle: int = 0  # the same when the stop began
    advanced_at: float = 0.0
    current_seen_at: float = 0.0
    keep_alive_until: float = 0.0
    charge_blocked: bool = False  # level 200.7
    discharge_blocked: bool = False  # level 200.6
    voltage_blocked: bool = False  # lower threshold
    blocks_basis: tuple[object, ...] = ()  # of the three flags above

    @property
    def protocol(self) -> int:
        """Agreed protocol number: the lower one."""
        status = self.vehicle.status
        return self.settings.protocol if status is None else min(self.settings.protocol, status.protocol)

    @property
    def discharge_agreed(self) -> bool:
        """Both sides permit discharging."""
        vehicle = self.vehicle
        status = vehicle.status
        return (
            self.settings.v2h
            and status is not None
            and status.discharge_compatible
            and not vehicle.discharge_withdrawn
            and vehicle.discharge is not None
        )

    @property
    def contactors_open(self) -> bool:
        """The vehicle reports open contactors; vehicles before 1.0 do not report them."""
        status = self.vehicle.status
        return status is not None and status.contactors_open

    @property
    def request_a(self) -> int:
        """Requested charge current of the vehicle."""
        status, extension = self.vehicle.status, self.vehicle.extension
        if status is None:
            return 0
        if self.settings.high_current and extension is not None and extension.high_current:
            return extension.charge_request_a
        return status.charge_request_a

    @property
    def threshold_v(self) -> int:
        """Upper threshold: the lower maximum of both sides."""
        limits = self.vehicle.limits
        own = self.settings.max_voltage_v
        return own if limits is None or not limits.max_voltage_v else min(own, limits.max_voltage_v)

    @property
    def floor_v(self) -> int:
        """Lower threshold of discharging (208.6)."""
        vehicle_v = self.vehicle.discharge.min_voltage_v if self.vehicle.discharge is not None else 0
        own_v = self.settings.discharge_floor_v or round(vehicle_v * FLOOR_MARGIN)
        return min(0xFFFF, max(vehicle_v, own_v))

    @property
    def levels(self) -> levels.Levels:
        """Levels of the vehicle in %."""
        vehicle = self.vehicle
        if vehicle.discharge is None:
            return levels.Levels()
        return levels.in_pct(vehicle.discharge, vehicle.time, vehicle.sequence)

    @property
    def soc_pct(self) -> float | None:
        """State of charge of the vehicle."""
        vehicle = self.vehicle
        return None if vehicle.status is None else levels.soc_pct(vehicle.status, vehicle.limits)

    def adopt(self, stop: Stop) -> bool:
        """Adopt a stop if it outranks the present one; return whether it does."""
        if not stop.outranks(self.stop):
            return False
        self.stop = stop
        if MATRIX[stop.cause].charger_bit:
            self.fault_bits.add(MATRIX[stop.cause].charger_bit)
        return True
