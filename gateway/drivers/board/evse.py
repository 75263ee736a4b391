"""EVSE whose hardware is a board, whatever protocol its vehicles use: description, plug, faults, measured values.

A driver of a protocol derives from `BoardEvse` and adds the sessions. To the rest of the gateway it is an EVSE as any
of a charging station.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, Generic, Protocol, TypeVar

from gateway.drivers.board import orders, ports
from gateway.drivers.board.faults import Reaction, rule_of
from gateway.drivers.board.output import HostedOutput, OutputSettings
from gateway.drivers.board.plug import PLUGGED, plug_state
from gateway.drivers.board.ports import HOLD_S, Board, MeterReading, PilotState
from gateway.drivers.board.runner import BoardRunner
from gateway.model import event as model
from gateway.model.event import PlugState, Report
from gateway.model.station import Answer, Outcome, OutcomeCode
from protocols.ports import Clock

log = logging.getLogger("v2x.drivers")

METER_S, METER_IDLE_S = 1.0, 10.0  # period of measured values, with a vehicle and without
METER_MOVING_S, MOVING_S = 0.2, 3.0  # period after a changed set-point, and for how long
READING_VALID_S = 5.0
RENEWAL_LATE_S = 0.1  # of a renewal that is due at the end of the validity
CAPABILITY_S = 0.1  # period in which a board without a known capability is read


class EvseSettings(OutputSettings, Protocol):
    """Settings that every EVSE with a board has."""

    @property
    def id(self) -> str: ...
    @property
    def board(self) -> str: ...


Out = TypeVar("Out", bound=HostedOutput)


class BoardEvse(ABC, Generic[Out]):
    """One EVSE. `board` makes the board anew for each run."""

    protocol: ClassVar[str]  # as the gateway's model names it

    def __init__(self, settings: EvseSettings, board: Callable[[], Board], report: Report, clock: Clock) -> None:
        self.name = settings.id
        self._common = settings
        self._board, self._report, self._clock = board, report, clock
        self._operated: BoardRunner | None = None
        self._output: Out | None = None
        self._setpoint_w, self._until = 0.0, 0.0  # in force, and the end of its validity
        self._moved_at = -MOVING_S
        self._described: tuple[model.PowerLimits, str] | None = None
        self._pilot: PilotState | None = None  # with lines: the state that corresponds to them
        self._plug: PlugState | None = None
        self._wake = asyncio.Event()
        self.connected = False

    # what a driver adds

    @abstractmethod
    def _apply(self, power_w: float) -> None:
        """Apply a set-point to the session, if there is one."""

    @abstractmethod
    def _refusal(self, power_w: float, valid_for_s: float) -> Outcome | None:
        """Return the reason why a set-point is not applied, or None."""

    @abstractmethod
    def _fail(self, reason: str) -> None:
        """End the session, because a fault opens the contactors."""

    @abstractmethod
    def _metered(self, reading: MeterReading, output: Out) -> model.Metered:
        """Return the measured values with what the vehicle reported."""

    @abstractmethod
    def _forming_refused(self, output: Out) -> str:
        """Return why the vehicle cannot supply an island now, empty where it can."""

    # `gateway.drivers.hosted.HostedEvse`

    def announce(self) -> None:
        """Report the EVSE, before its hardware answers."""
        self._describe(model.PowerLimits(self._common.max_charge_w or 0.0), "the board has not answered yet")

    # `gateway.model.station.Stations` and `GridFormingStations`

    def reaches(self, evse: str) -> bool:
        """Return True while the hardware answers."""
        return self.connected

    async def set_power(self, evse: str, power_w: float, valid_for_s: float) -> Outcome:
        """Apply a set-point at once; it ends by itself after `valid_for_s`."""
        refused = self._refusal(power_w, valid_for_s)
        if refused is not None:
            return refused
        if power_w != self._setpoint_w:
            self._moved_at = self._clock.now()
        self._setpoint_w, self._until = power_w, self._clock.now() + valid_for_s + RENEWAL_LATE_S
        self._apply(power_w)
        self._wake.set()
        return Outcome(Answer.APPLIED)

    async def reconcile(self, evse: str) -> float | None:
        """Return the set-point in force."""
        return self._setpoint_w if self.connected else None

    async def form(self, evse: str, forms: bool) -> Outcome:
        """Set to grid-forming or grid-following, where the power stage has a command for it."""
        output = self._output
        if output is None or not self.connected:
            return self._silent()
        if not output.forming:
            text = f"the power stage of {self.name} has no command to form a grid"
            return Outcome(Answer.REFUSED, OutcomeCode.NO_FORMING, text)
        if forms and (refused := self._forming_refused(output)):
            return Outcome(Answer.REFUSED, OutcomeCode.TX_NOT_FOUND, refused)
        output.form(forms)
        self._apply(self._setpoint_w)
        return Outcome(Answer.APPLIED)

    async def reset(self, evse: str) -> Outcome:
        """Release latched faults that are cleared."""
        if self._operated is None or not self.connected:
            return self._silent()
        self._operated.command(orders.Reset())
        self._report_plug()
        latched = ", ".join(sorted(name for _, name in self._operated.supervisor.faults.latched))
        return Outcome(Answer.REFUSED, "Faulted", f"still active: {latched}") if latched else Outcome(Answer.APPLIED)

    def _silent(self) -> Outcome:
        return Outcome(Answer.UNKNOWN, OutcomeCode.NOT_CONNECTED, f"the board of {self.name} does not answer")

    # the hardware

    async def _connect(self, output: Out) -> None:
        """Wait for the capability of the board, then report the EVSE as connected."""
        while not output.ready:
            await self._clock.sleep(CAPABILITY_S)
        self.connected = True
        self._describe(output.power_limits, output.why_not)
        self._report(model.StationConnected(self.name, self._clock.now(), self.protocol, vendor=self._common.board))
        self._plug = None
        self._report_plug()

    def _lose(self, reason: str) -> None:
        """Report the loss of the hardware, after the end of the session."""
        self._operated = self._output = self._pilot = None
        self._setpoint_w = 0.0
        if self.connected:
            self.connected = False
            self._report(model.StationLost(self.name, self._clock.now(), reason))

    def _command(self, order: orders.Order) -> None:
        if self._operated is not None:
            self._operated.command(order)

    def _fault_changed(self, event: ports.FaultRaised | ports.FaultCleared) -> None:
        board, now = self._operated, self._clock.now()
        assert board is not None
        if isinstance(event, ports.FaultRaised):
            reaction = rule_of(event.name, event.part).reaction
            if reaction is not Reaction.NOTE:
                self._report(model.FaultRaised(self.name, now, event.name, event.detail))
            if reaction in (Reaction.OPEN, Reaction.LATCH):
                self._fail(f"{event.name}: {event.detail}")
        elif not any(name == event.name for _, name in board.supervisor.faults.active):
            self._report_plug()  # first: a faulted plug is a fault by itself
            self._report(model.FaultCleared(self.name, now, event.name))
        self._report_plug()

    def _plug_state(self) -> PlugState:
        """Return the present state of the plug."""
        return plug_state(self._pilot, None if self._operated is None else self._operated.supervisor.faults)

    def _report_plug(self) -> None:
        plug = self._plug_state()
        if plug is not self._plug and self.connected:
            self._plug = plug
            self._report(model.PlugChanged(self.name, self._clock.now(), plug))

    def _describe(self, limits: model.PowerLimits, why_not: str) -> None:
        if (limits, why_not) != self._described:
            self._described = limits, why_not
            now = self._clock.now()
            described = model.EvseDescribed(self.name, self.name, now, limits, not why_not, why_not, self._fail_safe())
            self._report(described)

    def _fail_safe(self) -> model.FailSafe | None:
        """Return what ends the power if the gateway fails, None where the hardware states no time."""
        stage = None if self._operated is None else self._operated.board.power
        if stage is None or stage.silence_s is None:
            return None
        return model.FailSafe("The power stage switches off by itself without orders.", HOLD_S + stage.silence_s)

    # measured values and the end of a set-point

    async def _tend(self, output: Out) -> None:
        """Report measured values, and end a set-point that is not renewed."""
        clock, metered_at = self._clock, self._clock.now()
        while True:
            self._wake.clear()
            now = clock.now()
            if self._setpoint_w and now >= self._until:
                log.warning("%s: the set-point of %.0f W was not renewed: 0 W", self.name, self._setpoint_w)
                self._setpoint_w = 0.0
                self._apply(0.0)
            period = METER_S if self._plugged else METER_IDLE_S
            if now - self._moved_at < MOVING_S:
                period = METER_MOVING_S
            if now - metered_at >= period - 1e-6:
                metered_at = now
                self._report_measured(output, now)
            deadline = metered_at + period
            if self._setpoint_w:
                deadline = min(deadline, self._until)
            try:
                async with clock.timeout_at(deadline):
                    await self._wake.wait()
            except TimeoutError:
                pass

    @property
    def _plugged(self) -> bool:
        return self._pilot in PLUGGED

    def _report_measured(self, output: Out, now: float) -> None:
        if output.ready:
            self._describe(output.power_limits, output.why_not)
        reading = output.reading
        if reading is not None and now - reading.at <= READING_VALID_S:
            self._report(self._metered(reading, output))
