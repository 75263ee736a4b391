"""Meters, storage and photovoltaics over Modbus as inputs of the site, and the set-point of storages."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from gateway.drivers.modbus.device import Client, ModbusDevice
from gateway.drivers.modbus.events import DeviceReady, DeviceSilent, Event, OrderAltered, ReadRefused, ValuesRead
from gateway.drivers.site_inputs import SiteInputs, Values, number_of
from gateway.model.site import InputKind
from gateway.model.station import Answer
from protocols.modbus.register import Meaning
from protocols.modbus.register_map import RegisterMap
from protocols.ports import Clock

log = logging.getLogger("v2x.drivers")

RETRY_S = 5.0
FOLLOW_S = 1.0  # in which the orders of energy management are read
VALID_S = 15.0  # of an order: without renewal a storage goes to 0 W, and a limit of photovoltaics ends


@dataclass(slots=True)
class SiteDevice:
    """One device, see `SiteSource`."""

    name: str
    kind: InputKind
    product: RegisterMap
    connect: Callable[[], Client]
    sign: int = 1
    values: Values = field(default_factory=dict)
    read_at: float = 0.0  # monotonic
    device: ModbusDevice | None = None
    ordered_w: float = 0.0  # as ordered last
    altered: bool = False  # the device holds another order than the last one


class SiteDevices:
    """All meters, storages and photovoltaics of the gateway over Modbus."""

    def __init__(
        self,
        devices: Iterable[SiteDevice],
        inputs: SiteInputs,
        clock: Clock,
        storage_w: Callable[[], float | None],
        pv_limit_w: Callable[[], float | None] = lambda: None,
    ) -> None:
        """`storage_w` returns the set-point of all storages together, + charge; None leaves it to them. `pv_limit_w`
        returns what all photovoltaics together may generate; None is no limit."""
        self.devices = list(devices)
        self._inputs, self._clock, self._storage_w, self._pv_limit_w = inputs, clock, storage_w, pv_limit_w
        inputs.add(self.devices)

    async def run(self) -> None:
        """Read until cancelled; a device that fails starts again and stops no other."""
        async with asyncio.TaskGroup() as tasks:
            for device in self.devices:
                tasks.create_task(self._serve(device), name=f"modbus {device.name}")
                if device.kind in (InputKind.STORAGE, InputKind.PV):
                    tasks.create_task(self._follow(device), name=f"{device.kind} {device.name}")

    def _share_w(self, device: SiteDevice) -> float | None:
        """Return what a device is ordered: the power of a storage, or what photovoltaics may not generate (≤ 0); None:
        no order."""
        if device.kind is InputKind.STORAGE:
            power_w = self._storage_w()
            return None if power_w is None else self._inputs.share_w(device.kind, power_w)
        limit_w, rated_w = self._pv_limit_w(), number_of(device, Meaning.RATED_W)
        ratings = [number_of(one, Meaning.RATED_W) for one in self.devices if one.kind is device.kind]
        if limit_w is None or not rated_w:
            return 0.0 if device.ordered_w else None  # a limit is released once
        total_w = sum(one for one in ratings if one is not None)
        return min(0.0, limit_w * rated_w / total_w - rated_w)

    async def _follow(self, device: SiteDevice) -> None:
        """Order the share of a device when it changes, again before it ends, and when the device holds another one."""
        refusal = ""
        ordered_at: float | None = None
        while True:
            await self._clock.sleep(FOLLOW_S)
            power_w, driver, now = self._share_w(device), device.device, self._clock.now()
            if power_w is None or driver is None or not driver.engine.ready or driver.engine.control.present is None:
                ordered_at = None
                continue
            held = power_w == device.ordered_w and not device.altered
            if held and ordered_at is not None and now < ordered_at + VALID_S / 3:
                continue
            device.ordered_w, ordered_at, device.altered = power_w, now, False
            outcome = await driver.order(power_w, VALID_S)
            text = "" if outcome.answer is Answer.APPLIED else outcome.text or outcome.code
            if text and text != refusal:
                log.warning("%s: an order of %.0f W is not applied: %s", device.name, power_w, text)
            refusal = text

    async def _serve(self, device: SiteDevice) -> None:
        while True:
            try:
                device.device = ModbusDevice(
                    device.product, device.connect(), self._clock, lambda event: self._handle(device, event)
                )
                await device.device.run()
            except Exception:
                log.exception("%s: the driver failed; it starts again in %.0f s", device.name, RETRY_S)
            await self._clock.sleep(RETRY_S)

    def _handle(self, device: SiteDevice, event: Event) -> None:
        match event:
            case DeviceReady():
                log.info("%s: %s answers", device.name, event.values.get(Meaning.MODEL, device.product.title))
            case DeviceSilent():
                log.warning("%s: CommunicationFault: %s", device.name, event.reason)
                device.values = {}
            case OrderAltered():
                log.warning(
                    "%s: changed at the device: %s; it is ordered again", device.name, ", ".join(event.registers)
                )
                device.altered = True
            case ReadRefused():
                log.warning("%s: no registers %s: %s", device.name, ", ".join(event.registers), event.reason)
            case ValuesRead():
                device.values, device.read_at = event.values, event.at
                self._inputs.publish(device.kind)
