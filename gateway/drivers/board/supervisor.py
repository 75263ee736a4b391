"""Supervisor of one board: holds the rules of `ports.py` whatever a driver or a charging protocol does.

An engine on `now`: it calls the ports, which do not block, and returns events. `_set`, `_close` and `_open` are the
only calls to the power stage and the contactors. Not the last line of protection: what acts within milliseconds is
hardware.
"""

from __future__ import annotations

from gateway.drivers.board import orders, phases
from gateway.drivers.board.cable_check import CableCheck, Inputs, Step, required_ohm
from gateway.drivers.board.fault_state import FaultState
from gateway.drivers.board.faults import FaultName, Part, Reaction
from gateway.drivers.board.orders import Deliver, Event, Order, OrderRefused, Precharge
from gateway.drivers.board.phases import CHARGING, ENERGISED, PLUGGED, Phase
from gateway.drivers.board.plug_output import PlugOutput, state_of
from gateway.drivers.board.ports import (
    HOLD_S,
    OBSERVE_WITHIN_S,
    OFF,
    Board,
    BoardEvent,
    Capability,
    FaultCleared,
    FaultRaised,
    IsolationMeasured,
    IsolationTested,
    LinesChanged,
    LockChanged,
    PartRestarted,
    PilotChanged,
    PilotState,
    PowerReason,
    Setpoint,
)
from gateway.drivers.board.setpoint_limits import required, within
from gateway.drivers.board.supervision import (
    OutputWatch,
    blind_s,
    load_of,
    may_carry_load,
    meter_silent,
    stage_silent,
    zero_within_s,
)

POLL_S = OBSERVE_WITHIN_S  # period of the supervision while the output is in use
FEED_S = HOLD_S / 2 - POLL_S  # period in which the set-point is repeated to the driver
IDLE_POLL_S = 1.0
CONTACTORS_WITHIN_S = 2.0  # from the command to the confirmed position


class Supervisor:
    """Engine of one board. `min_isolation_ohm` None: 100 Ω per volt of the largest output voltage."""

    def __init__(self, board: Board, now: float, *, min_isolation_ohm: float | None = None) -> None:
        self._board, self._min_ohm = board, min_isolation_ohm
        self.phase = Phase.IDLE
        self.faults = FaultState()
        self.isolation_passed = False  # since the plug was inserted
        self._watch, self._plug = OutputWatch(), PlugOutput(board, now)
        self._pilot: PilotState | None = None  # with lines: the state that corresponds to them
        self._check: CableCheck | None = None
        self._order: Precharge | Deliver | None = None
        self._order_until = 0.0
        self._allowed = False  # contactors are commanded closed
        self._reason = PowerReason.POWER_OFF
        self._moved_at = now  # last command to the contactors
        self._stopped_at = now
        self._stop_reason = ""
        self._started_at = self._fed_at = now
        self._delivering = False
        self._lock_ordered: bool | None = None
        self._overdue = False  # the current has not fallen to 0 A in time
        self._polled_at = now

    # engine contract

    def receive(self, event: BoardEvent, now: float) -> list[Event]:
        """Process an event of the board."""
        found: list[Event] = []
        match event:
            case FaultRaised(part, name, detail):
                found += self.faults.begin(part, name, detail, now)
            case FaultCleared(part, name):
                found += self.faults.end(part, name, now)
            case PilotChanged(state):
                found.append(event)
                self._pilot_changed(state, now)
            case LinesChanged():
                found.append(event)
                self._pilot_changed(state_of(event), now)
            case LockChanged(locked):
                found.append(event)
                if not locked and self._lock_ordered and self.phase in ENERGISED:
                    self.faults.detect(Part.LOCK, FaultName.LOCK_UNEXPECTED_OPEN, "opened while energised", now)
            case IsolationTested(passed) if self._check is not None and self._check.step is Step.TEST:
                self._check.tested = passed
            case IsolationMeasured(ohm):
                self._isolation_measured(ohm, now)
            case PartRestarted(part):
                found.append(event)
                if part is Part.POWER and self.phase in ENERGISED:
                    self.faults.detect(part, FaultName.HARDWARE, "the power stage restarted", now)
            case _:
                found.append(event)
        return found + self.expire(now)

    def command(self, order: Order, now: float) -> list[Event]:
        """Process an order; one that is not possible now is refused by an event."""
        refusal = self._refusal(order)
        if refusal is not None:
            return [OrderRefused(order, refusal, now), *self.expire(now)]
        match order:
            case orders.SetPilot(signal):
                self._plug.order_signal(signal)
            case orders.SetLines(d1, d2):
                self._plug.order_lines(d1, d2)
            case orders.CheckCable(voltage):
                self._start_check(voltage, now)
            case Precharge() | Deliver():
                self.phase = Phase.PRECHARGE if isinstance(order, Precharge) else Phase.DELIVERY
                self._order, self._order_until = order, now + order.valid_for_s
            case orders.SwitchOff():
                self._order = None
            case orders.Stop():
                self._stop("ordered", now)
            case orders.SetLock(locked):
                self._set_lock(locked)
            case orders.Reset():
                self._reset()
        return self.expire(now)

    def expire(self, now: float) -> list[Event]:
        """Supervise the hardware and take the steps that are due."""
        found: list[Event] = []
        self._polled_at = now
        self._supervise(now)
        ac = self._board.power is None  # without a set-point 0 A is reached by the end of the output only
        if self.phase in ENERGISED and self.faults.at_least(
            Reaction.ZERO if ac else Reaction.OPEN, forming=self._forming
        ):
            self._stop("fault", now)
        elif self.phase is Phase.IDLE and self.faults.at_least(Reaction.OPEN):
            self.phase = Phase.FAULTED
        if self._order is not None and now >= self._order_until:
            self._order = None
            found.append(orders.OrderExpired(now))
            if ac:
                self._stop("not ordered any more", now)
        found += self._step(now)
        self._set(self._required(), now)
        self._output_plug(now)
        return [*self.faults.detected(), *found]

    def deadline(self) -> float:
        """Time of the next `expire`: the period of the supervision."""
        return self._polled_at + (IDLE_POLL_S if self.phase in (Phase.IDLE, Phase.FAULTED) else POLL_S)

    # orders

    def _refusal(self, order: Order) -> str | None:
        if self.faults.at_least(Reaction.OPEN, forming=self._forming) and type(order) in phases.ALLOWED:
            return "a fault is active"
        closed = self._allowed or self._board.contactors.closed is not False
        return phases.refusal(order, self.phase, self._pilot, self._board, closed=closed)

    def _start_check(self, voltage_v: float, now: float) -> None:
        self.isolation_passed = False
        limit = voltage_v if self._capability is None else self._capability.charge.max_voltage_v
        self._check = CableCheck(min(voltage_v, limit), self._required_ohm, now)
        self.phase = Phase.CABLE_CHECK
        self._set_lock(True)

    def _set_lock(self, locked: bool) -> None:
        if self._board.lock is not None:
            self._lock_ordered = locked
            self._board.lock.set(locked)

    def _reset(self) -> None:
        self.faults.reset()
        if self._board.power is not None and self.phase in (Phase.IDLE, Phase.FAULTED):
            self._board.power.reset()

    # events of the board

    def _pilot_changed(self, state: PilotState, now: float) -> None:
        self._pilot = state
        self._plug.changed(self.faults, now)
        # a CHAdeMO vehicle withdraws its permission before it opens its contactors: off, and they are watched
        delivers = self.phase is Phase.DELIVERY and self._board.lines is None
        if state not in (CHARGING if delivers else PLUGGED):
            self._stop(f"pilot state {state}", now)

    def _isolation_measured(self, ohm: float, now: float) -> None:
        if self._check is not None:
            if self._check.step is Step.MEASURE:
                self._check.resistance_ohm = ohm
            return
        if self.phase in ENERGISED and ohm < self._required_ohm:
            self.faults.detect(Part.ISOLATION, FaultName.GROUND, f"isolation {ohm:.0f} Ω", now)

    # supervision

    def _supervise(self, now: float) -> None:
        stage, meter = self._board.power, self._board.meter
        if meter_silent(meter.reading, self._started_at, now):
            self.faults.detect(Part.METER, FaultName.COMMUNICATION, "no reading", now)
        else:
            self.faults.end_own(Part.METER, FaultName.COMMUNICATION, now)
        if stage is not None:
            output = stage.output
            if stage_silent(output, self._started_at, now):
                self.faults.detect(Part.POWER, FaultName.COMMUNICATION, "no measurement", now)
            else:
                self.faults.end_own(Part.POWER, FaultName.COMMUNICATION, now)
            if output is not None and self.phase in ENERGISED:
                found = self._watch.deviation(output, stage.capability, now)
                if found is not None:
                    self.faults.detect(Part.POWER, *found, now)
        self._plug.supervise(self._pilot, self.faults, now)
        self._supervise_contactors(now)

    def _supervise_contactors(self, now: float) -> None:
        """Compare position and command; with open contactors the faults of the last output end."""
        closed, moved = self._board.contactors.closed, now - self._moved_at > CONTACTORS_WITHIN_S
        if self._allowed and closed is not True and moved:
            self.faults.detect(Part.CONTACTORS, FaultName.CONTACTOR, "not closed", now)
        if self.phase not in (Phase.IDLE, Phase.FAULTED):
            return
        if closed is False:
            for part, name in list(self.faults.own):
                if part is not self._plug.part and name is not FaultName.COMMUNICATION:
                    self.faults.end_own(part, name, now)
        elif closed and moved:
            self.faults.detect(Part.CONTACTORS, FaultName.CONTACTOR, "closed without a command", now)

    # the output

    @property
    def _forming(self) -> bool:
        return isinstance(self._order, Deliver) and self._order.forming

    def _output_plug(self, now: float) -> None:
        """Output the signals of the plug; withdrawn where the current does not end and after latched faults."""
        board = self._board
        self._plug.output(
            now,
            withdrawn=self._overdue or (not self._allowed and self.faults.at_least(Reaction.LATCH)),
            stopping_ac=board.power is None and self.phase is Phase.STOPPING,
            tested=self.isolation_passed,
            loaded=self._allowed and may_carry_load(board.power, board.meter.reading, now),
        )

    def _stop(self, reason: str, now: float) -> None:
        self._order = self._check = None
        self._delivering = False
        self.isolation_passed = False
        if self.phase in ENERGISED:
            self.phase, self._stopped_at, self._stop_reason = Phase.STOPPING, now, reason
            if self._board.isolation is not None:
                self._board.isolation.stop()

    def _step(self, now: float) -> list[Event]:
        match self.phase:
            case Phase.CABLE_CHECK:
                return self._step_check(now)
            case Phase.PRECHARGE | Phase.DELIVERY:
                return self._step_delivery(now)
            case Phase.STOPPING:
                return self._step_stopping(now)
            case Phase.FAULTED:
                return self._step_faulted(now)
            case _:
                return []

    def _step_check(self, now: float) -> list[Event]:
        check, board = self._check, self._board
        assert check is not None
        assert board.power is not None
        assert board.isolation is not None
        step = check.step
        output = board.power.output
        voltage = output.voltage_v if output is not None and output.at > check.since else None
        locked = board.lock is None or board.lock.locked is True
        check.advance(Inputs(locked, self._allowed and board.contactors.closed is True, voltage), now)
        if check.close_required:
            self._close(PowerReason.CABLE_CHECK, now)
        if check.step is not step and check.step is Step.TEST:
            board.isolation.start()
            board.isolation.self_test(check.voltage_v)
        if not check.passed and check.failed is None:
            return []
        self._check = None
        if check.failed is not None:
            self.faults.detect(*check.failed, now)
            self._stop("cable check failed", now)
        else:
            self.isolation_passed, self.phase = True, Phase.CHECKED
        return [orders.CableChecked(check.passed, check.resistance_ohm, now)]

    def _step_delivery(self, now: float) -> list[Event]:
        lock = self._board.lock
        if not self._allowed and lock is not None and lock.locked is not True:
            if not self._lock_ordered:
                self._set_lock(True)
            return []
        self._close(PowerReason.PRECHARGE if self.phase is Phase.PRECHARGE else PowerReason.FULL_POWER, now)
        if self._board.contactors.closed is True and self.phase is Phase.DELIVERY and not self._delivering:
            self._delivering = True
            return [orders.DeliveryStarted(now)]
        return []

    def _step_stopping(self, now: float) -> list[Event]:
        if self._allowed:
            self._set(OFF, now)
            stage = self._board.power
            output = None if stage is None else stage.output
            load = load_of(output, self._board.meter.reading, self._stopped_at, now)
            blind = load is None and now >= self._stopped_at + blind_s(stage)
            if load is False or blind or self._board.contactors.closed is False:
                self._overdue = False
                self._open(now)
            elif now - self._stopped_at > zero_within_s(stage):
                self._overdue = True
                if load:
                    name = FaultName.OVER_CURRENT_AC if stage is None else FaultName.OVER_CURRENT_DC
                    self.faults.detect(Part.POWER, name, "the current does not end", now)
            return []
        if self._board.contactors.closed is False:
            self.phase = Phase.FAULTED if self.faults.at_least(Reaction.OPEN) else Phase.IDLE
            return [orders.OutputStopped(self._stop_reason, now)]
        if now - self._moved_at > CONTACTORS_WITHIN_S:
            self.faults.detect(Part.CONTACTORS, FaultName.CONTACTOR, "does not open", now)
        return []

    def _step_faulted(self, now: float) -> list[Event]:
        if self.faults.at_least(Reaction.OPEN) or self._board.contactors.closed is not False:
            return []
        self.phase = Phase.IDLE
        return [orders.Recovered(now)]

    @property
    def _capability(self) -> Capability | None:
        return None if self._board.power is None else self._board.power.capability

    @property
    def _required_ohm(self) -> float:
        return self._min_ohm if self._min_ohm is not None else required_ohm(self._capability)

    def _required(self) -> Setpoint:
        """Return the set-point of this phase, before the limits of the stage."""
        if self._check is not None and self.phase is Phase.CABLE_CHECK:
            return self._check.setpoint
        order = self._order
        if order is None or self.faults.at_least(Reaction.ZERO, forming=self._forming):
            return OFF
        return required(order) if isinstance(order, Precharge) or self._pilot in CHARGING else OFF

    # the only calls to the power stage and the contactors

    def _set(self, setpoint: Setpoint, now: float) -> None:
        """Set the output within the capability; OFF while the contactors are not confirmed closed or not tested."""
        stage = self._board.power
        if stage is None:
            return
        testing = self.phase is Phase.CABLE_CHECK
        if not self._allowed or self._board.contactors.closed is not True or not (self.isolation_passed or testing):
            setpoint = OFF
        output = stage.output
        voltage = setpoint.voltage_v if output is None else output.voltage_v
        applied = within(setpoint, stage.capability, voltage)
        if applied != self._watch.setpoint or now - self._fed_at >= FEED_S:
            self._watch.set(applied, now)
            stage.set(applied)
            self._fed_at = now

    def _close(self, reason: PowerReason, now: float) -> None:
        if self._allowed and reason is self._reason:
            return
        if not self._allowed:
            self._allowed, self._moved_at = True, now
        self._reason = reason
        self._board.contactors.allow(True, reason)

    def _open(self, now: float) -> None:
        self._allowed, self._moved_at, self._reason = False, now, PowerReason.POWER_OFF
        self._board.contactors.allow(False, PowerReason.POWER_OFF)
