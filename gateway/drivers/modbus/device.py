"""Runs the engine of one device over its connection. No rule is here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from gateway.drivers.device_runner import DeviceRunner
from gateway.drivers.modbus.engine import ModbusEngine
from gateway.drivers.modbus.events import Event
from protocols.modbus.messages import Answer, Request
from protocols.modbus.register_map import RegisterMap
from protocols.ports import Clock


class Client(Protocol):
    """A connection to a device."""

    async def ask(self, request: Request, within_s: float) -> Answer:
        """Return the device's answer, within a time."""

    async def close(self) -> None:
        """End the connection."""


class ModbusDevice(DeviceRunner[Request, Answer, Event]):
    """One device. `report` gets its events but those of orders."""

    def __init__(self, product: RegisterMap, client: Client, clock: Clock, report: Callable[[Event], None]) -> None:
        self.engine = ModbusEngine(product)
        self._client = client
        super().__init__(self.engine, clock, report)

    async def _ask(self, request: Request) -> Answer:
        return await self._client.ask(request, self.engine.within_s(request))

    async def _close(self) -> None:
        await self._client.close()
