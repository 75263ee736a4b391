"""Hardware ports of one EVSE: what a vendor implements, free of any charging protocol.

SI units in every name, + into the vehicle (charge), − out of it (discharge); magnitudes where stated. `at` is monotonic
time of the gateway's clock in seconds. The cut follows EVerest's interfaces (evse_board_support, power_supply_DC,
isolation_monitor, powermeter, connector_lock); faults have its names, see `faults.py`.

Commands are requests: they return at once, never block and never raise because of the hardware. A driver stores the
last one, sends it at once, sends it again after the hardware was silent or restarted, and reports
what happened as an event. Properties return the last known value, with the time at which it was measured; None means
that none is known. Commands before `Board.run` and after its end have no effect on the hardware.

The gateway calls a board only through its `supervisor`, which holds these rules whatever a driver or engine does:

* no contactor opens under load: first 0 A, then off, then open;
* no output towards a vehicle without a passed isolation test since it was plugged in;
* no set-point outside of the capability;
* the set-point is repeated every `REAPPLY_S`, and the power stage's own silence time-out is never outlived.

Protection that acts within milliseconds (short circuit, earth fault, over-voltage, emergency stop, interruption of the
pilot) is hardware. The supervisor is never the only line: it acts in tenths of a second, and a process can end.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Protocol, TypeAlias, runtime_checkable

from gateway.drivers.board.faults import FaultName, Part
from protocols.frozen import frozen

REAPPLY_S = 5.0  # longest time between two transmissions of an unchanged set-point; EVerest's interval
HOLD_S = 2.0  # a set-point that the supervisor does not repeat within it ends: the driver transmits OFF
OBSERVE_WITHIN_S = 0.25  # period of measurements of the power stage; 1 s is the longest that is accepted


# Pilot ---------------------------------------------------------------------------------------------------------------


class PilotState(StrEnum):
    """State of the control pilot, IEC 61851-1: what the vehicle and the cable do. `DISCONNECTED` is state A."""

    DISCONNECTED = "A"  # 12 V
    CONNECTED = "B"  # 9 V
    READY = "C"  # 6 V
    READY_VENTILATED = "D"  # 3 V
    ERROR = "E"  # 0 V: short circuit, or the EVSE signals an error
    UNAVAILABLE = "F"  # −12 V: the EVSE is not available


class PilotLevel(StrEnum):
    """Steady signals of the EVSE, without PWM."""

    X1 = "X1"  # +12 V: not ready
    E = "E"  # 0 V; few boards can generate it, others output F instead
    F = "F"  # −12 V


@frozen
class DutyCycle:
    """PWM of the pilot at 1 kHz; 5 % requires digital communication, 10 to 96 % is a current limit (AC)."""

    percent: float


PilotSignal: TypeAlias = DutyCycle | PilotLevel


class Pilot(Protocol):
    """Control pilot (IEC 61851-1).

    Reports `PilotChanged` within 0.05 s, debounced by the hardware or the driver (no state shorter than 0.02 s).
    Never: a PWM signal other than the last command; after the end of `Board.run` another signal than F.
    """

    @property
    def state(self) -> PilotState | None: ...

    def set(self, signal: PilotSignal) -> None:
        """Output a signal. The driver starts with F."""


# Contactors ----------------------------------------------------------------------------------------------------------


class PowerReason(StrEnum):
    """Purpose of closed contactors, EVerest's `allow_power_on`."""

    CABLE_CHECK = "DCCableCheck"
    PRECHARGE = "DCPreCharge"
    FULL_POWER = "FullPowerCharging"
    POWER_OFF = "PowerOff"


class Contactors(Protocol):
    """Output contactors of the EVSE, with position feedback.

    `closed` is the confirmed position; None while it is unknown, which counts as closed. Reports `ContactorsChanged`
    within 0.5 s after `allow`, from the position feedback and never from the command; otherwise the driver raises
    `MREC17EVSEContactorFault`.
    Never: opened by the driver while current flows, except by its hardware protection; closed without `allow`.
    """

    @property
    def closed(self) -> bool | None: ...

    def allow(self, closed: bool, reason: PowerReason) -> None:
        """Close the contactors for a purpose, or open them (`PowerReason.POWER_OFF`)."""


# Power stage ---------------------------------------------------------------------------------------------------------


class StageMode(StrEnum):
    """Mode of a power stage; the vehicle is the load in `CHARGE`."""

    OFF = "off"
    CHARGE = "charge"
    DISCHARGE = "discharge"
    FORM = "form"  # discharge as a grid-forming source: the AC load determines the current
    FAULT = "fault"  # observed only


@frozen
class Range:
    """Output range in one direction; magnitudes, at the connector."""

    min_voltage_v: float
    max_voltage_v: float
    max_current_a: float
    max_power_w: float
    min_current_a: float = 0.0  # lower set-points give no current


@frozen
class Capability:
    """Present capability of the stage; derating changes it at run time. `discharge` None: charging only."""

    charge: Range
    discharge: Range | None = None
    forming: bool = False
    tolerance_a: float = 1.0  # of the regulation
    settle_s: float = 1.0  # within which 95 % of the largest change of a set-point is reached
    efficiency: float = 0.95  # one way, for estimates


@frozen
class Setpoint:
    """Set-point of the stage.

    `CHARGE`: `voltage_v` is the upper limit of the output, `current_a` ≥ 0 the largest current. `DISCHARGE` and `FORM`:
    `voltage_v` is the lower limit of the vehicle's voltage, `current_a` ≤ 0 the largest current out of it. `OFF`: 0, 0.
    """

    mode: StageMode
    voltage_v: float = 0.0
    current_a: float = 0.0


OFF = Setpoint(StageMode.OFF)


@frozen
class Output:
    """Measured output of the stage, at the connector; current + into the vehicle also in `DISCHARGE` of any driver."""

    at: float
    mode: StageMode
    voltage_v: float
    current_a: float


class PowerStage(Protocol):
    """DC converter of one EVSE; a driver presents modules in parallel as one stage.

    `set(OFF)` brings the current to 0 before the output switches off.

    `silence_s`: time without a command after which the hardware switches its output off by itself; None if that is not
    known. The driver sets it where the hardware allows it, and transmits the set-point at least every half of it and
    every `REAPPLY_S`, but only while the supervisor repeats `set`: that is the sign of life of the process, and
    `HOLD_S` after the last one a driver transmits OFF.
    Never: output without a set-point of this run of the driver; a current of the opposite sign; more than the
    set-point by more than the tolerance.
    """

    @property
    def silence_s(self) -> float | None: ...

    @property
    def capability(self) -> Capability | None: ...

    @property
    def output(self) -> Output | None: ...

    def set(self, setpoint: Setpoint) -> None:
        """Set the output. Raises ValueError for a current whose sign contradicts the mode."""

    def reset(self) -> None:
        """Clear latched faults of the hardware, where it has a command for it. The output is off before."""


# Isolation -----------------------------------------------------------------------------------------------------------


class Isolation(Protocol):
    """Isolation monitor of the DC output.

    Between `start` and `stop` it reports `IsolationMeasured` at least every second. `self_test` is answered by
    `IsolationTested` within 10 s. A low resistance is a value, not a fault of the monitor.
    Never: a passed self-test without a test of the monitoring circuit itself.
    """

    @property
    def resistance_ohm(self) -> float | None: ...

    def self_test(self, voltage_v: float) -> None:
        """Test the monitor, with this voltage at the output."""

    def start(self) -> None:
        """Start measuring."""

    def stop(self) -> None:
        """Stop measuring; `resistance_ohm` becomes None."""


# Meter ---------------------------------------------------------------------------------------------------------------


@frozen
class MeterReading:
    """Registers only grow and survive a restart of the meter; power + into the vehicle. `signed`: OCMF text."""

    at: float
    charged_wh: float  # into the vehicle (import of the EVSE)
    discharged_wh: float  # out of the vehicle (export of the EVSE)
    power_w: float
    voltage_v: float | None = None
    current_a: float | None = None
    signed: str | None = None


class Meter(Protocol):
    """Energy meter of the EVSE, read by the driver at least every second.

    Never: a register that decreases; a reading older than it states.
    """

    @property
    def reading(self) -> MeterReading | None: ...


# Lock ----------------------------------------------------------------------------------------------------------------


class Lock(Protocol):
    """Lock of the plug in the EVSE's socket. `locked` is the confirmed position; None while it is unknown.

    Reports `LockChanged` within 2 s; otherwise the driver raises `ConnectorLockFailedLock` or `…FailedUnlock`.
    Never: unlocked while the contactors are closed.
    """

    @property
    def locked(self) -> bool | None: ...

    def set(self, locked: bool) -> None:
        """Lock or unlock the plug."""


# Lines of CHAdeMO ----------------------------------------------------------------------------------------------------


class Lines(Protocol):
    """Analogue lines of a CHAdeMO plug, in the place of the control pilot. The CAN bus is not one of them.

    Outputs: charge sequence signals 1 (d1, pin 2) and 2 (d2, pin 10), with which the EVSE wakes the vehicle and permits
    its contactors. Inputs: `plugged` is the connection check (pin 7, or the switch of the holder), `k` the charge
    permission of the vehicle (pin 4); None while they are unknown, which counts as off. Reports `LinesChanged` within
    0.05 s, debounced (no state shorter than 0.02 s).
    Never: d1 or d2 on without a command; on after the end of `Board.run`.
    """

    @property
    def plugged(self) -> bool | None: ...

    @property
    def k(self) -> bool | None: ...

    def set(self, d1: bool, d2: bool) -> None:
        """Close or open the switches d1 and d2. The driver starts with both open."""


# Events --------------------------------------------------------------------------------------------------------------


@frozen
class PilotChanged:
    """The pilot has a new state."""

    state: PilotState
    at: float


@frozen
class LinesChanged:
    """The inputs of the CHAdeMO plug changed."""

    plugged: bool
    k: bool
    at: float


@frozen
class ContactorsChanged:
    """The position feedback of the contactors changed."""

    closed: bool
    at: float


@frozen
class IsolationTested:
    """The self-test of the isolation monitor ended."""

    passed: bool
    at: float


@frozen
class IsolationMeasured:
    """The isolation monitor measured."""

    resistance_ohm: float
    at: float


@frozen
class LockChanged:
    """The position of the lock changed."""

    locked: bool
    at: float


@frozen
class PartRestarted:
    """A part of the hardware restarted and lost its set-point; the driver has sent its configuration again."""

    part: Part
    at: float


@frozen
class FaultRaised:
    """A fault began. The same fault of a part is reported once until it is cleared."""

    part: Part
    name: FaultName
    detail: str
    at: float


@frozen
class FaultCleared:
    """A fault ended: the hardware measures or answers as it should, and has its last set-point again."""

    part: Part
    name: FaultName
    at: float


@frozen
class StopRequested:
    """A person at the EVSE requested the end of the session, such as by a button."""

    reason: str
    at: float


BoardEvent: TypeAlias = (
    PilotChanged
    | LinesChanged
    | ContactorsChanged
    | IsolationTested
    | IsolationMeasured
    | LockChanged
    | PartRestarted
    | FaultRaised
    | FaultCleared
    | StopRequested
)
Report: TypeAlias = Callable[[BoardEvent], None]


class Board(Protocol):
    """Hardware of one EVSE. `power` and `isolation` are None for AC, `lock` where the plug is locked by the vehicle.

    Either `pilot` or `lines` is None: the plug has a control pilot (IEC 61851-1) or the lines of CHAdeMO.
    """

    @property
    def pilot(self) -> Pilot | None: ...

    @property
    def lines(self) -> Lines | None: ...

    @property
    def contactors(self) -> Contactors: ...

    @property
    def power(self) -> PowerStage | None: ...

    @property
    def isolation(self) -> Isolation | None: ...

    @property
    def meter(self) -> Meter: ...

    @property
    def lock(self) -> Lock | None: ...

    async def run(self, report: Report) -> None:
        """Exchange with the hardware until it is cancelled, and report events in order, on the loop's thread.

        The states at the start are reported as events. Lost connections are faults and are established again; an
        error of the settings raises. On cancellation: output off, 0 A, contactors open, then pilot F. Where the current
        does not end within 2 s, F comes first, so that the vehicle opens its contactors; under load they stay closed.
        With `lines` it is d2 and d1 off instead of F.
        """


class PartialBoard(Protocol):
    """A board of which a driver implements some ports; the others are None. Otherwise as `Board`.

    `lines` may be absent: `lines_of` returns them.
    """

    @property
    def pilot(self) -> Pilot | None: ...

    @property
    def contactors(self) -> Contactors | None: ...

    @property
    def power(self) -> PowerStage | None: ...

    @property
    def isolation(self) -> Isolation | None: ...

    @property
    def meter(self) -> Meter | None: ...

    @property
    def lock(self) -> Lock | None: ...

    async def run(self, report: Report) -> None: ...


@runtime_checkable
class BoardWithLines(Protocol):
    """A board with an attribute for the lines of CHAdeMO, which drivers of other plugs do not need."""

    @property
    def lines(self) -> Lines | None: ...


def lines_of(board: PartialBoard) -> Lines | None:
    """Return the lines of a board, None where it has none."""
    return board.lines if isinstance(board, BoardWithLines) else None
