"""Task of one board: runs its driver and its supervisor, whose events it passes on in order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from gateway.drivers.board.orders import Event, Order
from gateway.drivers.board.ports import Board, BoardEvent
from gateway.drivers.board.supervisor import Supervisor
from protocols.ports import Clock


class BoardRunner:
    """Runs a board. `report` may give orders: their events follow those that are being reported."""

    def __init__(
        self, board: Board, clock: Clock, report: Callable[[Event], None], *, min_isolation_ohm: float | None = None
    ) -> None:
        self.board = board
        self.supervisor = Supervisor(board, clock.now(), min_isolation_ohm=min_isolation_ohm)
        self._clock, self._report = clock, report
        self._events: deque[Event] = deque()
        self._reporting = False
        self._wake = asyncio.Event()
        self._ended = False  # the driver switches off by itself now

    def command(self, order: Order) -> None:
        """Give an order to the supervisor; without effect after the end of `run`."""
        if self._ended:
            return
        self._pass_on(self.supervisor.command(order, self._clock.now()))
        self._wake.set()

    async def run(self) -> None:
        """Run until cancelled; then the driver switches off."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.board.run(self._receive), name="board")
            tasks.create_task(self._supervise(), name="supervisor")

    def _receive(self, event: BoardEvent) -> None:
        if self._ended:
            return
        self._pass_on(self.supervisor.receive(event, self._clock.now()))
        self._wake.set()

    async def _supervise(self) -> None:
        try:
            while True:
                self._wake.clear()
                try:
                    async with self._clock.timeout_at(self.supervisor.deadline()):
                        await self._wake.wait()
                except TimeoutError:
                    self._pass_on(self.supervisor.expire(self._clock.now()))
        finally:
            self._ended = True

    def _pass_on(self, events: list[Event]) -> None:
        self._events.extend(events)
        if self._reporting:
            return
        self._reporting = True
        try:
            while self._events:
                self._report(self._events.popleft())
        finally:
            self._reporting = False
