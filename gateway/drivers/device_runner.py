"""Runs the engine of one device: one request at a time, orders in between. No rule is here."""

from __future__ import annotations

import asyncio
import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from gateway.drivers.power_order import OrderEnded, PowerOrder
from gateway.model.station import Answer, Outcome, OutcomeCode
from protocols.ports import Clock

SHORTEST_S = 0.01  # wait

RequestT = TypeVar("RequestT")
AnswerT = TypeVar("AnswerT")
EventT = TypeVar("EventT")
RequestT_co = TypeVar("RequestT_co", covariant=True)
AnswerT_contra = TypeVar("AnswerT_contra", contravariant=True)
EventT_co = TypeVar("EventT_co", covariant=True)


class DeviceEngine(Protocol[RequestT_co, AnswerT_contra, EventT_co]):
    """An engine whose orders become requests."""

    def request(self, now: float) -> RequestT_co | None:
        """Return the request to send now, None where there is none yet."""

    def receive(self, answer: AnswerT_contra, now: float) -> Sequence[EventT_co | OrderEnded]:
        """Apply the answer to the last request."""

    def command(self, order: PowerOrder, now: float) -> Sequence[EventT_co | OrderEnded]:
        """Take an order for the device. `OrderEnded` follows."""

    def taken(self) -> Sequence[EventT_co | OrderEnded]:
        """Return the events since the last call."""

    def deadline(self, now: float) -> float:
        """Return when `request` has to be called again, without an order in between."""


class DeviceRunner(ABC, Generic[RequestT, AnswerT, EventT]):
    """Runner of one device. `report` gets its events but those of orders."""

    def __init__(
        self, driven: DeviceEngine[RequestT, AnswerT, EventT], clock: Clock, report: Callable[[EventT], None]
    ) -> None:
        self._driven, self._clock, self._report = driven, clock, report
        self._orders: dict[int, asyncio.Future[Outcome]] = {}
        self._numbers = itertools.count(1)
        self._wake: asyncio.Event = asyncio.Event()

    @abstractmethod
    async def _ask(self, request: RequestT) -> AnswerT:
        """Return the device's answer."""

    @abstractmethod
    async def _close(self) -> None:
        """End the connection, where the device has one of its own."""

    async def run(self) -> None:
        """Read and write until cancelled."""
        await self.run_until(lambda: False)

    async def run_until(self, ended: Callable[[], bool]) -> None:
        """Read and write until a condition holds after an answer."""
        engine, clock = self._driven, self._clock
        try:
            while not ended():
                self._wake.clear()
                request = engine.request(clock.now())
                self._handle(engine.taken())
                if request is None:
                    await self._wait(engine.deadline(clock.now()))
                    continue
                answer = await self._ask(request)
                self._handle(engine.receive(answer, clock.now()))
        finally:
            await self._close()
            self._end_orders()

    async def order(self, power_w: float, valid_for_s: float) -> Outcome:
        """Order a power, + into the vehicle or storage; return what the device answered."""

        def command(number: int, now: float) -> Sequence[EventT | OrderEnded]:
            return self._driven.command(PowerOrder(number, power_w, now + valid_for_s), now)

        return await self.send(command)

    async def send(self, command: Callable[[int, float], Sequence[EventT | OrderEnded]]) -> Outcome:
        """Give the engine an order with a number, now; return what the device answered."""
        number, now = next(self._numbers), self._clock.now()
        outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._orders[number] = outcome
        try:
            self._handle(command(number, now))
            self.wake()
            return await outcome
        finally:
            self._orders.pop(number, None)

    def wake(self) -> None:
        """Call the engine again before its deadline."""
        self._wake.set()

    async def _wait(self, until: float) -> None:
        try:
            async with self._clock.timeout_at(max(until, self._clock.now() + SHORTEST_S)):
                await self._wake.wait()
        except TimeoutError:
            return

    def _handle(self, events: Sequence[EventT | OrderEnded]) -> None:
        for event in events:
            if isinstance(event, OrderEnded):
                outcome = self._orders.get(event.number)
                if outcome is not None and not outcome.done():
                    outcome.set_result(event.outcome)
            else:
                self._report(event)

    def _end_orders(self) -> None:
        for outcome in self._orders.values():
            if not outcome.done():
                outcome.set_result(Outcome(Answer.UNKNOWN, OutcomeCode.NOT_CONNECTED, "the gateway stops"))
