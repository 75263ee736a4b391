"""One bidirectional wallbox over Modbus as an EVSE of the gateway: its events, and the orders to it."""

from __future__ import annotations

from collections.abc import Callable

from gateway.drivers.modbus.device import Client, ModbusDevice
from gateway.drivers.modbus.events import DeviceReady, DeviceSilent, Event, ValuesRead
from gateway.drivers.modbus.session import WallboxSession
from gateway.model.event import Report, StationLost
from gateway.model.station import Answer, Outcome, OutcomeCode, setpoint_refusal
from protocols.modbus.register import Meaning
from protocols.ports import Clock

ZERO_WITHIN_S = 8.0  # for 0 W to be confirmed when the gateway stops


class ModbusEvse:
    """EVSE with the driver `modbus`. `connect` makes the connection anew for each run."""

    def __init__(self, session: WallboxSession, connect: Callable[[], Client], report: Report, clock: Clock) -> None:
        self.name, self._session = session.name, session
        self._connect, self._report, self._clock = connect, report, clock
        self._device: ModbusDevice | None = None

    # an EVSE that the gateway hosts

    @property
    def connected(self) -> bool:
        """True while the device answers and is set up."""
        return self._device is not None and self._device.engine.ready

    def announce(self) -> None:
        """Report the EVSE, before its device answers."""
        self._report(self._session.announce(self._clock.now()))

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

    # `gateway.model.station.Stations` and `GridFormingStations`

    def reaches(self, evse: str) -> bool:
        """Return True while the device answers."""
        return self.connected

    async def set_power(self, evse: str, power_w: float, valid_for_s: float) -> Outcome:
        """Run at a power; it ends by itself after `valid_for_s`."""
        device = self._device
        if device is None or not device.engine.ready:
            return Outcome(Answer.UNKNOWN, OutcomeCode.NOT_CONNECTED, f"the device of {self.name} does not answer")
        refused = setpoint_refusal(power_w, valid_for_s, why_not=None, bidirectional=None)
        if refused is not None:
            return refused
        if power_w and self._session.session is None:
            return Outcome(Answer.REFUSED, OutcomeCode.TX_NOT_FOUND, f"no vehicle is ready at {self.name}")
        return await device.order(power_w, valid_for_s)

    async def reconcile(self, evse: str) -> float | None:
        """Return the power that the device holds, None where it is not known."""
        device = self._device
        if device is None or not device.engine.ready:
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

    async def end_session(self, evse: str) -> Outcome:
        """Stop the power; the session itself ends with the removal of the vehicle."""
        return await self.set_power(evse, 0.0, ZERO_WITHIN_S)

    async def reset(self, evse: str) -> Outcome:
        """Refuse: nothing is latched here, and faults of the product are cleared at the product."""
        return Outcome(Answer.REFUSED, "NotSupported", f"faults of {self.name} are cleared at the device")

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
