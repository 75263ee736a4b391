"""One bidirectional wallbox over Modbus as an EVSE of the gateway: its events, and the orders to it."""

from __future__ import annotations

from collections.abc import Callable

from gateway.drivers.device_evse import ZERO_WITHIN_S, DeviceEvse
from gateway.drivers.modbus.device import Client, ModbusDevice
from gateway.drivers.modbus.events import DeviceReady, DeviceSilent, Event, ValuesRead
from gateway.drivers.modbus.session import WallboxSession
from gateway.model.event import Report, StationLost
from gateway.model.station import Answer, Outcome, OutcomeCode
from protocols.modbus.register import Meaning
from protocols.ports import Clock


class ModbusEvse(DeviceEvse[ModbusDevice]):
    """EVSE with the driver `modbus`. `connect` makes the connection anew for each run."""

    kind = "device"

    def __init__(self, session: WallboxSession, connect: Callable[[], Client], report: Report, clock: Clock) -> None:
        super().__init__(session, report, clock)
        self._session, self._connect = session, connect

    # `gateway.drivers.hosted.HostedEvse`

    async def run(self) -> None:
        """Read and write until cancelled."""
        self._device = ModbusDevice(self._session.product, self._connect(), self._clock, self._handle)
        try:
            await self._device.run()
        finally:
            self._device = None
            self._report(StationLost(self.name, self._clock.now(), "the gateway stops"))

    async def close(self) -> None:
        """Order 0 W, and wait until the device confirms it."""
        if self.connected:
            await self.set_power(self.name, 0.0, ZERO_WITHIN_S)

    async def reconcile(self, evse: str) -> float | None:
        """Return the power that the device holds, None where it is not known."""
        device = self._ready
        if device is None:
            return None
        engine = device.engine
        if engine.control.held.power_w:
            return engine.control.held.power_w
        if not engine.running:
            return 0.0
        held = engine.values.get(Meaning.SETPOINT_W)
        return held if isinstance(held, float) else None

    async def form(self, evse: str, forms: bool) -> Outcome:
        """Refuse: no product of the register maps has an order for grid-forming."""
        return Outcome(Answer.REFUSED, OutcomeCode.NO_FORMING, f"{self.name} has no order for grid-forming")

    def _handle(self, event: Event) -> None:
        session, wall = self._session, self._clock.wall()
        match event:
            case DeviceReady():
                session.control = self._device.engine.control.present if self._device is not None else None
                found = session.connected(event.values, event.at, wall)
            case DeviceSilent():
                found = session.silent(event.reason, event.at)
            case ValuesRead():
                found = session.read(event.values, event.at, wall) if self.connected else []
            case _:
                found = []
        for one in found:
            self._report(one)
