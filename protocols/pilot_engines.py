"""Control pilot engines of both sides, with the sequences of ISO 15118-3.

`EvsePilot` decides the output of the EVSE (steady voltage, PWM, E, F) from the states of the vehicle and the orders of
its host; `VehiclePilot` decides the state of the vehicle from that output. Protection that must act within milliseconds
(contactors, residual current) stays in hardware.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from protocols.errors import LocalProtocolError
from protocols.iec61851 import (
    CONNECTED,
    DEBOUNCE,
    DIGITAL,
    ENERGY,
    MOST_TOGGLES,
    OPEN_UNDER_LOAD_AFTER,
    SEQUENCE_RETRIES,
    STEP_EF,
    STEP_X1,
    TOGGLE_HALF,
    TOGGLES_WITHIN,
    WAKE_AFTER,
    WAKE_X1,
    X1,
    Event,
    EvseOrder,
    OfferCurrent,
    OpenUnderLoad,
    OutputChanged,
    OutputKind,
    PilotOutput,
    PilotState,
    PlugIn,
    RequestEnergy,
    RetriesExhausted,
    RetryDigital,
    SignalFault,
    SignalLinkError,
    StateChanged,
    Toggle,
    TurnOff,
    Unplug,
    VehicleOrder,
    VehicleToggled,
    WakeVehicle,
    duty_of_current,
)


class ToggleCounter:
    """Counts the B-C-B toggles of a vehicle since it was reset."""

    def __init__(self) -> None:
        self.count = 0
        self._since: float | None = None  # of the present C, after B

    def reset(self) -> None:
        self.count, self._since = 0, None

    def observe(self, state: PilotState, now: float) -> None:
        """Process a change of the state."""
        if state is PilotState.C:
            self._since = now
            return
        low, high = TOGGLE_HALF
        if state is PilotState.B and self._since is not None and low <= now - self._since <= high:
            self.count += 1
        self._since = None


class _Plan:
    """Outputs or states that follow each other, each for some time; the last one stays."""

    def __init__(self) -> None:
        self.until: float | None = None

    def _next_at(self, now: float, seconds: float | None) -> None:
        self.until = None if seconds is None else now + seconds


class EvsePilot(_Plan):
    """Control pilot of an EVSE. `output` is what the board puts on the wire, `state` what the vehicle shows."""

    def __init__(self, *, error_output: OutputKind = OutputKind.F, debounce_s: float = DEBOUNCE) -> None:
        super().__init__()
        self.state = PilotState.A
        self.output = X1
        self.sequence_retries = 0
        self._error = PilotOutput(error_output)
        self._debounce_s = debounce_s
        self._ordered = X1  # for a vehicle that is connected
        self._steps: deque[tuple[PilotOutput, float | None]] = deque()
        self._pending: tuple[PilotState, float] | None = None
        self._toggles = ToggleCounter()
        self._toggles_by: float | None = None
        self._wake_at: float | None = None
        self._awake = False  # the vehicle has reacted, or was woken
        self._error_since = 0.0
        self._open_at: float | None = None
        self._events: list[Event] = []

    def receive(self, state: PilotState, now: float) -> list[Event]:
        """Process a measured state of the vehicle; it counts when it has lasted."""
        if state is self.state:
            self._pending = None
        elif self._pending is None or self._pending[0] is not state:
            self._pending = state, now + self._debounce_s
        return self.expire(now)

    def command(self, order: EvseOrder, now: float) -> None:
        """Execute an order of the host."""
        if isinstance(order, OfferCurrent):
            self._offer_current(order, now)
        elif isinstance(order, SignalFault):
            self._ordered = PilotOutput(OutputKind(order.state.value))
            self._follow([(self._ordered, None)], now)
        elif isinstance(order, RetryDigital):
            self._retry(now)
        elif isinstance(order, SignalLinkError):
            self._link_error(order.again, now)
        elif isinstance(order, WakeVehicle) and order.by_fault:
            self._ordered = DIGITAL
            self._follow([(self._error, STEP_EF), (DIGITAL, None)], now)
        else:
            self._ordered = X1 if isinstance(order, TurnOff) else DIGITAL
            self._follow([(self._ordered, None)], now)

    def expire(self, now: float) -> list[Event]:
        """Process the passage of time."""
        if self._pending is not None and now >= self._pending[1]:
            state, _ = self._pending
            self._pending = None
            self._change(state, now)
        while self.until is not None and now >= self.until:
            self._step(self.until)
        if self._toggles_by is not None and now >= self._toggles_by:
            self._toggles_by = None
            self._toggles.reset()
        if self._wake_at is not None and now >= self._wake_at:
            self._awake = True
            self._follow([(self._error, STEP_EF), (X1, WAKE_X1), (self._ordered, None)], now)
        if self._open_at is not None and now >= self._open_at:
            self._open_at = None
            self._events.append(OpenUnderLoad())
        events, self._events = self._events, []
        return events

    def deadline(self) -> float | None:
        times = [
            self._pending[1] if self._pending else None,
            self.until,
            self._toggles_by,
            self._wake_at,
            self._open_at,
        ]
        return min((when for when in times if when is not None), default=None)

    def _offer_current(self, order: OfferCurrent, now: float) -> None:
        nominal = PilotOutput(OutputKind.PWM, duty_of_current(order.current_a))
        before, self._ordered = self.output, nominal
        if not before.digital:
            self._follow([(nominal, None)], now)
        elif order.matching:
            self._follow([(X1, STEP_X1), (nominal, None)], now)
        else:
            self._follow([(self._error, STEP_EF), (nominal, None)], now)

    def _retry(self, now: float) -> None:
        if self.sequence_retries >= SEQUENCE_RETRIES:
            self._ordered = X1
            self._events.append(RetriesExhausted())
            self._follow([(X1, None)], now)
            return
        self.sequence_retries += 1
        self._ordered = DIGITAL
        self._follow([(self._error, STEP_EF), (DIGITAL, None)], now)

    def _link_error(self, again: bool, now: float) -> None:
        if self.output.kind is OutputKind.PWM and not self.output.digital:
            return  # basic charging goes on (V2G3-M07-12)
        first = [(X1, STEP_X1)] if self.output.digital else []  # in X1: V2G3-M07-04
        self._ordered = DIGITAL if again else X1
        self._follow([*first, (self._error, STEP_EF), (self._ordered, None)], now)

    def _follow(self, steps: Iterable[tuple[PilotOutput, float | None]], now: float) -> None:
        self._steps = deque(steps)
        self._wake_at = None
        rest = self._error_since + STEP_EF - now
        if self._shows_error and rest > 0 and self._steps[0][0] != self.output:
            self._steps.appendleft((self.output, rest))  # a vehicle is to notice it (V2G3-M06-09)
        if self.state in CONNECTED or self._ordered.kind in (OutputKind.E, OutputKind.F):
            self._step(now)
        else:
            self._steps.clear()  # a vehicle that is plugged in gets what was ordered last
            self._set(X1, None, now)

    def _step(self, now: float) -> None:
        if self._steps:
            output, seconds = self._steps.popleft()
            self._set(output, seconds, now)
        else:
            self.until = None

    def _set(self, output: PilotOutput, seconds: float | None, now: float) -> None:
        self._next_at(now, seconds)
        if output == self.output:
            return
        self.output = output
        if self._shows_error:
            self._error_since = now
        self._open_at = now + OPEN_UNDER_LOAD_AFTER if output == X1 and self.state in ENERGY else None
        self._toggles.reset()
        self._toggles_by = None
        self._events.append(OutputChanged(output))
        self._arm_wake(now)

    @property
    def _shows_error(self) -> bool:
        return self.output.kind in (OutputKind.E, OutputKind.F)

    def _arm_wake(self, now: float) -> None:
        """A vehicle that stays in B with a nominal duty cycle is woken once."""
        if self.state is PilotState.B and self.output.current_a > 0 and not self._awake:
            self._wake_at = now + WAKE_AFTER

    def _change(self, state: PilotState, now: float) -> None:
        before, self.state = self.state, state
        self._events.append(StateChanged(state, before))
        self._wake_at = None
        self._awake = (self._awake or state in ENERGY) and state is not PilotState.A
        if state not in ENERGY:
            self._open_at = None
        if state is PilotState.A:
            self.sequence_retries = 0
            if self._ordered.kind not in (OutputKind.E, OutputKind.F):
                self._steps.clear()
                self._set(X1, None, now)
        elif before not in CONNECTED and self._ordered != self.output and self.until is None:
            self._follow([(self._ordered, None)], now)
        self._arm_wake(now)
        if self.output == X1 and state in CONNECTED and before in CONNECTED:
            counted = self._toggles.count
            self._toggles.observe(state, now)
            if self._toggles_by is None:
                self._toggles_by = now + TOGGLES_WITHIN
            if self._toggles.count > counted:
                self._events.append(VehicleToggled(self._toggles.count))


class VehiclePilot(_Plan):
    """Control pilot of a vehicle. `state` is what it shows, `output` what the EVSE offers."""

    def __init__(self) -> None:
        super().__init__()
        self.state = PilotState.A
        self.output = X1
        self._requested: PilotState | None = None  # C or D
        self._steps: deque[tuple[PilotState, float | None]] = deque()

    @property
    def current_limit_a(self) -> float:
        """Return the current that the vehicle may draw in basic charging, A."""
        return self.output.current_a if self.state in ENERGY else 0.0

    def receive(self, output: PilotOutput, now: float) -> list[Event]:
        """Process the measured output of the EVSE."""
        changed = output != self.output
        self.output = output
        if not self._steps and self.until is None:
            self._show(now)
        return [OutputChanged(output)] if changed and self.state is not PilotState.A else []

    def command(self, order: VehicleOrder, now: float) -> None:
        """Execute an order of the host. Raises LocalProtocolError for toggles outside what the EVSE counts."""
        if isinstance(order, PlugIn):
            self.state = PilotState.B
        elif isinstance(order, Unplug):
            self.state, self._requested, self.until = PilotState.A, None, None
            self._steps.clear()
        elif isinstance(order, Toggle):
            low, high = TOGGLE_HALF
            if not 1 <= order.count <= MOST_TOGGLES or not low <= order.half_s <= high or self.state is PilotState.A:
                raise LocalProtocolError(f"one to {MOST_TOGGLES} toggles of {low} to {high} s, of a vehicle plugged in")
            pair = ((PilotState.C, order.half_s), (PilotState.B, order.half_s))
            self._steps = deque(pair * order.count)
            self._step(now)
        else:
            wanted = PilotState.D if isinstance(order, RequestEnergy) and order.ventilation else PilotState.C
            self._requested = wanted if isinstance(order, RequestEnergy) else None
        if not self._steps and self.until is None:
            self._show(now)

    def expire(self, now: float) -> list[Event]:
        """Process the passage of time: the halves of toggles."""
        while self.until is not None and now >= self.until:
            self._step(self.until)
        return []

    def deadline(self) -> float | None:
        return self.until

    def _step(self, now: float) -> None:
        if not self._steps:
            self.until = None
            self._show(now)
            return
        self.state, seconds = self._steps.popleft()
        self._next_at(now, seconds)

    def _show(self, now: float) -> None:
        """Take the state that follows from the order and the output: energy is requested with PWM only."""
        if self.state is PilotState.A:
            return
        offered = self.output.kind is OutputKind.PWM and (self.output.digital or self.output.current_a > 0)
        self.state = self._requested if self._requested is not None and offered else PilotState.B
