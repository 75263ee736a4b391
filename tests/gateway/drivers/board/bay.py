"""Emulated board and supervisor on a clock that a test sets: no event loop."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from emulators.battery.pack import Pack
from emulators.boards.emulated import EmulatedBoard, EmulatedSettings
from gateway.drivers.board.orders import (
    CableChecked,
    CheckCable,
    Deliver,
    Event,
    Order,
    OutputStopped,
    Precharge,
    SetPilot,
)
from gateway.drivers.board.ports import BoardEvent, DutyCycle
from gateway.drivers.board.supervisor import Supervisor
from protocols.ports import Scope, Timer

STEP_S = 0.05


class SetClock:
    """Clock whose time is set; nothing can wait for it."""

    def __init__(self) -> None:
        self.at = 0.0

    def now(self) -> float:
        return self.at

    def wall(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        raise NotImplementedError

    def timeout_at(self, deadline: float | None) -> AbstractAsyncContextManager[Scope]:
        raise NotImplementedError

    def call_at(self, when: float, callback: Callable[[], object]) -> Timer:
        raise NotImplementedError


class Bay:
    """One EVSE with a vehicle that behaves: its contactors close at equal voltages in state C and open
    after the EVSE's."""

    def __init__(self, board: EmulatedBoard | None = None, clock: SetClock | None = None) -> None:
        self.clock = clock or SetClock()
        self.board = board or EmulatedBoard(EmulatedSettings(forming=True), self.clock)
        self.hardware = self.board.hardware
        self.battery = Pack(soc_start_pct=50.0)
        self.board.start()
        self.supervisor = Supervisor(self.board, 0.0)
        self.events: list[Event] = []
        self.tested = False  # a passed cable check since plug and last output
        self.frozen = False  # the process of the supervisor hangs
        self._queued: list[BoardEvent] = []
        self.order_again: Order | None = None  # repeated as an engine does
        self.after_step: Callable[[], None] = lambda: None

    def run(self, seconds: float) -> list[Event]:
        """Simulate; return the events."""
        seen = len(self.events)
        until = self.clock.at + seconds
        while self.clock.at < until - 1e-9:
            self.clock.at = round(self.clock.at + STEP_S, 6)
            self._step()
            self.after_step()
        return self.events[seen:]

    def order(self, order: Order) -> list[Event]:
        """Give an order; return its events."""
        events = self.supervisor.command(order, self.clock.at)
        self._note(events)
        return events

    def _step(self) -> None:
        now, hardware = self.clock.at, self.hardware
        self._queued += self.board.advance(now)
        if hardware.closed and hardware.pilot_state == "C" and hardware.pilot_signal not in ("E", "F"):
            hardware.close_vehicle(now)
        if not hardware.closed:
            hardware.open_vehicle(now)
        if self.frozen:
            return
        reported, self._queued = self._queued, []
        for event in reported:
            self._note(self.supervisor.receive(event, now))
        if now >= self.supervisor.deadline():
            self._note(self.supervisor.expire(now))
        if self.order_again is not None:
            self._note(self.supervisor.command(self.order_again, now))

    def _note(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, CableChecked):
                self.tested = event.passed
            elif isinstance(event, OutputStopped):
                self.tested = False
        self.events += events

    def plug(self) -> None:
        """Plug the vehicle in, state C with digital communication."""
        self.hardware.plug(self.battery)
        self.hardware.pilot_state = "C"
        self.order(SetPilot(DutyCycle(5.0)))
        self.run(0.2)

    def start(self, current_a: float) -> list[Event]:
        """Run a cable check, precharge and delivery."""
        events = self.order(CheckCable(500.0)) + self.run(6.0)
        events += self.order(Precharge(self.battery.voltage_v)) + self.run(1.0)
        self.deliver(current_a)
        return events + self.run(4.0)

    def deliver(self, current_a: float, *, forming: bool = False) -> None:
        """Order a current, repeated from now on."""
        self.order_again = Deliver(current_a, max_voltage_v=420.0, min_voltage_v=260.0, forming=forming)
        self.order(self.order_again)
