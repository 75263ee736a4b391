"""Controller of DC modules: the sequence that all makes share; pure (frames and time in, frames and events out).

The output is switched on only from OFF and off only without current; a change of direction goes through OFF. An order
holds for `HOLD_S`; without repetition the modules are switched off, so that this keep-alive ends with the process above
it. A module that is found off although it was on (restart, own silence time-out, protection) stays off until OFF is
ordered. Subclasses know the frames of a make.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from protocols.can import CanFrame
from protocols.frozen import frozen

HOLD_S = 2.0  # of an order
SILENT_S = 2.0  # without a valid answer of any module
GRACE_S = 2.0  # from switching on to the status that shows it
NO_CURRENT_A = 0.5
RAMP_DOWN_WITHIN_S = 1.5  # then the output is switched off with current: the modules do not follow
OFF_S = 0.5  # shortest time in OFF
CONFIGURE_S = 60.0  # period of the settings that a restart clears


class Mode(StrEnum):
    """Mode of the output; the vehicle is the load in CHARGE."""

    OFF = "off"
    CHARGE = "charge"
    DISCHARGE = "discharge"


class Alarm(StrEnum):
    """Conditions that the modules report, over all makes."""

    FAULT = "fault"
    OVER_TEMPERATURE = "over-temperature"
    OUTPUT_OVER_VOLTAGE = "output over-voltage"
    OUTPUT_SHORT = "output short circuit"
    INPUT_LOW = "input under-voltage"
    INPUT_HIGH = "input over-voltage"
    INPUT_PHASE = "input phase lost or unbalanced"
    FAN = "fan"
    SILENCE = "CAN silence"
    PROTECTION = "protection"
    OTHER = "other alarm"
    DERATED = "power limited"


@frozen
class Order:
    """Target of the output; `current_a` is a magnitude."""

    mode: Mode
    voltage_v: float = 0.0
    current_a: float = 0.0


OFF = Order(Mode.OFF)


@frozen
class Rating:
    """Ratings of one module, as it reports them; magnitudes."""

    max_voltage_v: float
    min_voltage_v: float
    max_current_a: float
    max_power_w: float


@frozen
class Measured:
    """Sum of the modules; current + into the vehicle."""

    mode: Mode
    voltage_v: float
    current_a: float
    at: float


@frozen
class AlarmsChanged:
    """Alarms of all modules."""

    alarms: frozenset[Alarm]
    at: float


@frozen
class RatingReported:
    """Rating of all modules that answer, in parallel."""

    rating: Rating
    at: float


@frozen
class ModulesSilent:
    """No module has answered validly for SILENT_S; `detail` counts invalid answers."""

    detail: str
    at: float


@frozen
class ModulesAnswered:
    """Modules answer again."""

    at: float


@frozen
class ModuleOff:
    """A module is off although it was switched on; it stays off until OFF is ordered."""

    address: int
    at: float


Event: TypeAlias = Measured | AlarmsChanged | RatingReported | ModulesSilent | ModulesAnswered | ModuleOff


@dataclass(slots=True)
class Module:
    """Last values of one module; None until they are known."""

    seen_at: float = float("-inf")
    voltage_v: float | None = None
    current_a: float | None = None  # magnitude
    measured: bool = False  # the current is new
    off: bool | None = None
    on_seen: bool = False  # its status has shown that it is switched on
    alarms: frozenset[Alarm] = frozenset()
    rating: Rating | None = None


class FrameError(ValueError):
    """A frame that is not a valid answer."""


class Controller:
    """Base of the controllers. `gap_s`: time between two frames; `addresses`: of the modules in parallel."""

    bidirectional = False
    gap_s = 0.05

    def __init__(self, addresses: Sequence[int], now: float) -> None:
        self.modules = {address: Module() for address in addresses}
        self.invalid = 0  # answers since the last valid one
        self._order, self._ordered_at = OFF, now
        self._voltage_v = 0.0  # of the last order but OFF: the current ends at this voltage
        self._mode = Mode.OFF  # as switched
        self._direction = Mode.CHARGE  # of the last output: the modules report magnitudes
        self._switched_at = now - OFF_S
        self._ramping_since: float | None = None
        self._blocked = False  # off until OFF is ordered
        self._heard_at, self._silent = now, False
        self._alarms: frozenset[Alarm] = frozenset()
        self._rating: Rating | None = None
        self._urgent: deque[CanFrame] = deque(self._configuration())
        self._configured_at = now
        self._cycle: deque[CanFrame] = deque()
        self._next_at = now
        self._outgoing: list[CanFrame] = []

    # engine contract

    def command(self, order: Order, now: float) -> None:
        """Order the output, for HOLD_S."""
        self._ordered_at = now
        if order.mode is Mode.OFF:
            self._blocked = False
        if order == self._order:
            return
        self._order = order
        if order.mode is not Mode.OFF:
            self._voltage_v = order.voltage_v
        if self._mode is order.mode is not Mode.OFF and self._ramping_since is None:
            self._urgent.extend(self._setpoint(self._voltage_v, self._share(order.current_a)))
        self._advance(now)

    def receive(self, frame: CanFrame, now: float) -> list[Event]:
        """Process a frame; frames that are not from these modules are ignored."""
        try:
            address = self._decode(frame)
        except FrameError:
            self.invalid += 1
            return []
        if address is None:
            return []
        self.invalid = 0
        self._heard_at = self.modules[address].seen_at = now
        events: list[Event] = []
        if self._silent:
            self._silent = False
            self._urgent.extend(self._configuration())
            events.append(ModulesAnswered(now))
        events += self._found(address, now)
        self._advance(now)
        return events

    def expire(self, now: float) -> list[Event]:
        """Send the next frame, and the time-outs."""
        events: list[Event] = []
        if not self._silent and now - self._heard_at >= SILENT_S:
            self._silent = True
            if self._mode is not Mode.OFF:
                self._blocked = True
                self._switch(Mode.OFF, now)
            events.append(ModulesSilent(f"{self.invalid} invalid answers", now))
        if self._order != OFF and now - self._ordered_at >= HOLD_S:
            self._order = OFF
        self._advance(now)
        if now - self._configured_at >= CONFIGURE_S and self._mode is Mode.OFF:
            self._configured_at = now
            self._urgent.extend(self._configuration())
        if now >= self._next_at - 1e-9:
            self._next_at = now + self.gap_s
            if not self._urgent and not self._cycle:
                self._cycle.extend(self._round())
            source = self._urgent or self._cycle
            if source:
                self._outgoing.append(source.popleft())
        return events

    def frames_to_send(self) -> list[CanFrame]:
        """Return the frames to send and remove them."""
        frames, self._outgoing = self._outgoing, []
        return frames

    def deadline(self) -> float:
        """Time of the next frame."""
        return self._next_at

    @property
    def alive(self) -> list[Module]:
        """Modules that answered within SILENT_S of the last answer."""
        return [module for module in self.modules.values() if self._heard_at - module.seen_at < SILENT_S]

    @property
    def at_rest(self) -> bool:
        """True when the modules are switched off, without current, and every frame is sent."""
        return self._mode is Mode.OFF and self._current_a() < NO_CURRENT_A and not self._urgent

    # sequence

    def _advance(self, now: float) -> None:
        wanted = Mode.OFF if self._blocked else self._order.mode
        if self._mode is not Mode.OFF and wanted is not self._mode:
            if self._ramping_since is None:
                self._ramping_since = now
                self._urgent.extend(self._setpoint(self._voltage_v, 0.0))
            if self._current_a() < NO_CURRENT_A or now - self._ramping_since >= RAMP_DOWN_WITHIN_S:
                self._switch(Mode.OFF, now)
        elif self._mode is not Mode.OFF and self._ramping_since is not None:
            self._ramping_since = None
            self._urgent.extend(self._setpoint(self._voltage_v, self._share(self._order.current_a)))
        if self._mode is Mode.OFF and wanted is not Mode.OFF and now - self._switched_at >= OFF_S:
            if wanted is Mode.DISCHARGE and not self.bidirectional:
                return
            self._switch(wanted, now)

    def _switch(self, mode: Mode, now: float) -> None:
        self._mode, self._switched_at, self._ramping_since = mode, now, None
        for module in self.modules.values():
            module.on_seen, module.off = False, None
        if mode is not Mode.OFF:
            self._direction = mode
            self._urgent.extend(self._setpoint(self._voltage_v, self._share(self._order.current_a)))
        self._urgent.extend(self._switching(mode))
        self._cycle.clear()

    def _found(self, address: int, now: float) -> list[Event]:
        """Return the events of changed values."""
        events: list[Event] = []
        alive = self.alive
        module = self.modules[address]
        if self._mode is not Mode.OFF and module.off is False:
            module.on_seen = True
        overdue = now - self._switched_at >= GRACE_S
        if module.off and self._mode is not Mode.OFF and not self._blocked and (module.on_seen or overdue):
            self._blocked = True
            self._switch(Mode.OFF, now)
            self._urgent.extend(self._configuration())
            events.append(ModuleOff(address, now))
        alarms = frozenset[Alarm]().union(*(module.alarms for module in alive))
        if alarms != self._alarms:
            self._alarms = alarms
            events.append(AlarmsChanged(alarms, now))
        ratings = [module.rating for module in alive if module.rating is not None]
        if ratings:
            rating = Rating(
                min(one.max_voltage_v for one in ratings),
                max(one.min_voltage_v for one in ratings),
                sum(one.max_current_a for one in ratings),
                sum(one.max_power_w for one in ratings),
            )
            if rating != self._rating:
                self._rating = rating
                events.append(RatingReported(rating, now))
        if not module.measured:
            return events
        module.measured = False
        volts = [module.voltage_v for module in alive if module.voltage_v is not None]
        if volts and all(module.current_a is not None for module in alive):
            flows = self._current_a() >= NO_CURRENT_A
            mode = self._direction if flows else self._mode  # OFF is reported without current only
            amps = self._current_a() * (-1.0 if self._direction is Mode.DISCHARGE else 1.0)
            events.append(Measured(mode, sum(volts) / len(volts), amps, now))
        return events

    def _current_a(self) -> float:
        return sum(module.current_a or 0.0 for module in self.alive)

    def _share(self, current_a: float) -> float:
        return current_a / max(1, len(self.alive))

    def _round(self) -> list[CanFrame]:
        """Return the frames of one cycle: what is requested, then the repetition of what was ordered.

        "On" is repeated only until the status shows it: a module that restarted must not be switched on unasked.
        """
        frames = self._polls()
        if self._mode is Mode.OFF:
            return frames + self._switching(Mode.OFF)
        amps = 0.0 if self._ramping_since is not None else self._share(self._order.current_a)
        frames += self._setpoint(self._voltage_v, amps)
        started = all(module.on_seen for module in self.alive)
        return frames if started else frames + self._switching(self._mode)

    # frames of a make

    def _configuration(self) -> list[CanFrame]:
        """Return the settings that a restarted module needs."""
        return []

    def _polls(self) -> list[CanFrame]:
        """Return the requests of one cycle."""
        raise NotImplementedError

    def _setpoint(self, voltage_v: float, current_a: float) -> list[CanFrame]:
        """Return the set-point of each module; magnitudes."""
        raise NotImplementedError

    def _switching(self, mode: Mode) -> list[CanFrame]:
        """Return the frames that switch the modules on in a direction, or off."""
        raise NotImplementedError

    def _decode(self, frame: CanFrame) -> int | None:
        """Store the values of an answer; return its module, None for other traffic. Raises `FrameError`."""
        raise NotImplementedError
