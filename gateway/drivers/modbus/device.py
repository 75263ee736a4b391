"""Runs the engine of one device over its connection: one request at a time, orders in between. No rule lives here."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Protocol

from gateway.drivers.modbus.engine import ModbusEngine
from gateway.drivers.modbus.events import Event, OrderEnded
from gateway.drivers.modbus.orders import PowerOrder
from gateway.model.station import Answer as Result
from gateway.model.station import Outcome, OutcomeCode
from protocols.modbus.messages import Answer, Request
from protocols.modbus.register_map import RegisterMap
from protocols.ports import Clock

SHORTEST_S = 0.01  # wait


class Client(Protocol):
    """A connection to a device."""

    async def ask(self, request: Request, within_s: float) -> Answer:
        """Return the device's answer, within a time."""

    async def close(self) -> None:
        """End the connection."""


class ModbusDevice:
    """One device. `report` gets its events but those of orders."""

    def __init__(self, product: RegisterMap, client: Client, clock: Clock, report: Callable[[Event], None]) -> None:
        self.engine = ModbusEngine(product)
        self._client, self._clock, self._report = client, clock, report
        self._orders: dict[int, asyncio.Future[Outcome]] = {}
        self._numbers = itertools.count(1)
        self._wake: asyncio.Event = asyncio.Event()

    async def run(self) -> None:
        """Read and write until cancelled."""
        await self.run_until(lambda: False)

    async def run_until(self, ended: Callable[[], bool]) -> None:
        """Read and write until a condition holds after an answer."""
        engine, clock = self.engine, self._clock
        try:
            while not ended():
                self._wake.clear()
                request = engine.request(clock.now())
                self._handle(engine.taken())
                if request is None:
                    await self._wait(engine.deadline(clock.now()))
                    continue
                answer = await self._client.ask(request, engine.within_s(request))
                self._handle(engine.receive(answer, clock.now()))
        finally:
            await self._client.close()
            self._end_orders()

    async def order(self, power_w: float, valid_for_s: float) -> Outcome:
        """Order a power, + into the vehicle or storage; return what the device answered."""
        number, now = next(self._numbers), self._clock.now()
        outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._orders[number] = outcome
        try:
            self._handle(self.engine.command(PowerOrder(number, power_w, now + valid_for_s), now))
            self._wake.set()
            return await outcome
        finally:
            self._orders.pop(number, None)

    async def _wait(self, until: float) -> None:
        try:
            async with self._clock.timeout_at(max(until, self._clock.now() + SHORTEST_S)):
                await self._wake.wait()
        except TimeoutError:
            return

    def _handle(self, events: list[Event]) -> None:
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
                outcome.set_result(Outcome(Result.UNKNOWN, OutcomeCode.NOT_CONNECTED, "the gateway stops"))
