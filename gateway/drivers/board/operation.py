"""Operation of a board: its driver and its supervisor on one clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from gateway.drivers.board.orders import Event, Order, Stop
from gateway.drivers.board.phases import ENERGISED, Phase
from gateway.drivers.board.ports import Board, BoardEvent
from gateway.drivers.board.supervisor import Supervisor
from protocols.ports import Clock

STOPPED_WITHIN_S = 5.0  # at the end: 0 A, off, open; then the driver does it


class SupervisedBoard:
    """A board that is operated only through its supervisor. `report` receives the events of both."""

    def __init__(
        self,
        board: Board,
        clock: Clock,
        report: Callable[[Event], None],
        *,
        min_isolation_ohm: float | None = None,
    ) -> None:
        self.board = board
        self.supervisor = Supervisor(board, clock.now(), min_isolation_ohm=min_isolation_ohm)
        self._clock, self._report = clock, report
        self._wake = asyncio.Event()

    def command(self, order: Order) -> None:
        """Give an order; refusals are events."""
        self._handle(self.supervisor.command(order, self._clock.now()))

    async def run(self) -> None:
        """Operate until cancelled, or until the driver fails; then the output is stopped in order."""
        driver = asyncio.create_task(self.board.run(self._received))
        try:
            while not driver.done():
                await self._turn()
            driver.result()
        finally:
            if not driver.done():
                await self._stop()
            driver.cancel()
            with suppress(asyncio.CancelledError):
                await driver

    def _received(self, event: BoardEvent) -> None:
        self._handle(self.supervisor.receive(event, self._clock.now()))

    def _handle(self, events: list[Event]) -> None:
        for event in events:
            self._report(event)
        self._wake.set()

    async def _turn(self) -> None:
        self._wake.clear()
        with suppress(TimeoutError):
            async with self._clock.timeout_at(self.supervisor.deadline()):
                await self._wake.wait()
        now = self._clock.now()
        if now >= self.supervisor.deadline():
            for event in self.supervisor.expire(now):
                self._report(event)

    async def _stop(self) -> None:
        self.command(Stop())
        until = self._clock.now() + STOPPED_WITHIN_S
        while self.supervisor.phase in ENERGISED | {Phase.STOPPING} and self._clock.now() < until:
            await self._turn()
