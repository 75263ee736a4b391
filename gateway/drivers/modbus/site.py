"""Meters, storage and photovoltaics over Modbus as inputs of the site, as if a facility controller published them.

One input may come from several devices: powers add up. While one of them is silent the input is not sent, so that it
becomes stale: a missing value is not zero. `inputs_of` is pure.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from gateway.drivers.modbus.device import Client, ModbusDevice
from gateway.drivers.modbus.events import DeviceReady, DeviceSilent, Event, OrderAltered, ReadRefused, ValuesRead
from gateway.model.reason import Reason
from gateway.model.site import InputKind
from gateway.model.station import Answer
from protocols.modbus.register import Meaning
from protocols.modbus.register_map import RegisterMap
from protocols.ports import Clock

log = logging.getLogger("v2x.drivers")

Values = Mapping[Meaning, float | str]
Body = dict[str, object]
SendInput = Callable[[str, bytes], Reason | None]  # `GatewayService.input`
RETRY_S = 5.0
FOLLOW_S = 1.0  # in which the orders of energy management are read
VALID_S = 15.0  # of an order: without renewal a storage goes to 0 W, and a limit of photovoltaics ends


@dataclass(slots=True)
class SiteDevice:
    """One device. `sign` -1: mounted the other way round. `values` is empty while it is silent."""

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

    def number(self, meaning: Meaning) -> float | None:
        """Return a value as a number."""
        value = self.values.get(meaning)
        return value if isinstance(value, float) else None

    @property
    def power_w(self) -> float | None:
        """Power, with the sign of its mounting."""
        power_w = self.number(Meaning.POWER_W)
        return None if power_w is None else power_w * self.sign + 0.0


def input_of(kind: InputKind, devices: Iterable[SiteDevice]) -> Body | None:
    """Return the members of an input, None while a device has no power."""
    devices = list(devices)
    powers = [one.power_w for one in devices]
    if not powers or any(one is None for one in powers):
        return None
    power_w = sum(one for one in powers if one is not None)
    body: Body = {"power_w": power_w if kind in (InputKind.GRID, InputKind.STORAGE) else max(0.0, power_w)}
    if kind is InputKind.GRID:
        body["present"] = True  # a meter without voltage is recognised by its voltage
        body |= _stated(devices[0], {"voltage_v": Meaning.VOLTAGE_V, "frequency_hz": Meaning.FREQUENCY_HZ})
    elif kind is InputKind.STORAGE:
        body |= _storage(devices)
    return body


def _stated(device: SiteDevice, wanted: Mapping[str, Meaning]) -> Body:
    found = {name: device.number(meaning) for name, meaning in wanted.items()}
    return {name: value for name, value in found.items() if value is not None and value >= 0}


def _storage(devices: list[SiteDevice]) -> Body:
    """Return the sums of storages, with the state of charge of all by their capacities; only what all of them state."""
    body: Body = {}
    capacities = [one.number(Meaning.CAPACITY_WH) for one in devices]
    levels = [one.number(Meaning.SOC_PCT) for one in devices]
    known = [one for one in capacities if one]
    weights = known if len(known) == len(devices) else [1.0] * len(devices)
    stated = [one for one in levels if one is not None and 0 <= one <= 100]
    if len(stated) == len(devices):
        body["soc_pct"] = sum(w * one for w, one in zip(weights, stated, strict=True)) / sum(weights)
    if len(known) == len(devices):
        body["capacity_wh"] = sum(known)
    for name, meaning in (("max_charge_w", Meaning.MAX_CHARGE_W), ("max_discharge_w", Meaning.MAX_DISCHARGE_W)):
        limits = [one.number(meaning) for one in devices]
        if all(one is not None for one in limits):
            body[name] = sum(abs(one) for one in limits if one is not None)
    return body


class SiteDevices:
    """All meters, storages and photovoltaics of the gateway over Modbus."""

    def __init__(
        self,
        devices: Iterable[SiteDevice],
        send: SendInput,
        clock: Clock,
        storage_w: Callable[[], float | None],
        pv_limit_w: Callable[[], float | None] = lambda: None,
    ) -> None:
        """`storage_w` returns the set-point of all storages together, + charge; None leaves it to them. `pv_limit_w`
        returns what all photovoltaics together may generate; None is no limit."""
        self.devices = list(devices)
        self._send, self._clock, self._storage_w, self._pv_limit_w = send, clock, storage_w, pv_limit_w

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
        alike = [one for one in self.devices if one.kind is device.kind]
        if device.kind is InputKind.STORAGE:
            power_w = self._storage_w()
            return None if power_w is None else power_w / len(alike)
        limit_w, rated_w = self._pv_limit_w(), device.number(Meaning.RATED_W)
        ratings = [one.number(Meaning.RATED_W) for one in alike]
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
                self._publish(device.kind)

    def _publish(self, kind: InputKind) -> None:
        devices = [one for one in self.devices if one.kind is kind]
        body = input_of(kind, devices)
        if body is not None:
            age_s = self._clock.now() - min(one.read_at for one in devices)
            self._send(kind, json.dumps({"ts": self._clock.wall() - age_s, **body}).encode())
