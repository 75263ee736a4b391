"""Runner of one V2H box or storage battery that is ordered over ECHONET Lite."""

from __future__ import annotations

from collections.abc import Callable

from gateway.drivers.device_runner import DeviceRunner
from gateway.drivers.echonet.control import Answered
from gateway.drivers.echonet.engine import BoxEngine, Event
from gateway.drivers.echonet.network import EchonetNetwork
from gateway.model.station import Outcome
from protocols.echonet.events import PropertiesNotified, Request
from protocols.ports import Clock


class EchonetDevice(DeviceRunner[Request, Answered, Event]):
    """Runner of one object. `report` gets its events but those of orders."""

    def __init__(
        self, engine: BoxEngine, network: EchonetNetwork, clock: Clock, report: Callable[[Event], None]
    ) -> None:
        self.engine, self._network = engine, network
        super().__init__(engine, clock, report)

    async def _ask(self, request: Request) -> Answered:
        return await self._network.ask(request)

    async def _close(self) -> None:
        """End nothing: all devices share the network."""

    def notified(self, event: PropertiesNotified) -> None:
        """Apply what the object announces."""
        self.engine.notified(event.properties, self._clock.now())
        self.wake()

    async def form(self, forms: bool, *, withhold: bool) -> Outcome:
        """Order to supply an island or to follow a grid; return what the box answered."""
        return await self.send(lambda number, now: self.engine.form(number, forms, now, withhold=withhold))

    async def release(self) -> Outcome:
        """End every power, and leave the object to itself where it has a mode for this."""
        return await self.send(self.engine.release)
