"""One storage battery (0x027D) over ECHONET Lite that energy management orders, as input of the site.

A battery has no time-out of orders. Each order here is valid for `VALID_S` and renewed before; a power that is not
renewed is ended by the watchdog of `control.py`: mode `auto`, which leaves the battery to itself, or standby where it
has no such mode. While it operates independently of the grid it supplies an island and gets no order.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from gateway.drivers.echonet.control import BoxControl
from gateway.drivers.echonet.device import EchonetDevice
from gateway.drivers.echonet.engine import BoxEngine, BoxRead, BoxReady, BoxSilent, Event
from gateway.drivers.echonet.finding import DISCOVER, MOVED_S, find_again
from gateway.drivers.echonet.network import EchonetNetwork
from gateway.drivers.echonet.orders import GRID, INDEPENDENT, MODE, charge_way, discharge_way
from gateway.drivers.echonet.profile import BoxProfile
from gateway.drivers.echonet.reader import ObjectReader
from gateway.drivers.echonet.site_object import SiteObject, properties_of, values_of
from gateway.drivers.site_inputs import SiteInputs, Values
from gateway.model.station import Answer, Outcome
from protocols.echonet.classes import STORAGE_BATTERY
from protocols.echonet.events import ObjectDescribed
from protocols.modbus.register import Meaning
from protocols.ports import Clock

log = logging.getLogger("v2x.drivers")

PROFILE = BoxProfile(
    title="storage battery", answer_within_s=5.0, idle_poll_s=2.0, silent_after_s=15.0, confirm_vehicle=False
)
RETRY_S = 5.0
FOLLOW_S = 1.0  # in which the orders of energy management are read
VALID_S = 30.0  # of an order: without renewal the battery is left to itself
_METHODS = (0xC1, 0xC2)
_POWERS = (0xEB, 0xEC)


class OrderedStorage:
    """Driver of one battery. `share_w` returns its set-point, + charge; None leaves the battery to itself."""

    def __init__(
        self,
        one: SiteObject,
        network: EchonetNetwork,
        inputs: SiteInputs,
        clock: Clock,
        share_w: Callable[[], float | None],
    ) -> None:
        self.object, self.control = one, BoxControl(PROFILE)
        self._network, self._inputs, self._clock, self._share_w = network, inputs, clock, share_w
        self._device: EchonetDevice | None = None
        self._silent_at: float | None = None
        self._closing = False
        self._ordered_w: float | None = None  # as ordered last; None: the battery is left to itself
        self._ordered_at: float | None = None  # None: it is to be ordered again
        self._reported = ""  # refusal

    async def run(self) -> None:
        """Read and order until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._serve(), name=f"echonet {self.object.name}")
            tasks.create_task(self._follow(), name=f"storage {self.object.name}")

    async def close(self) -> None:
        """Leave the battery to itself, and wait until it confirms. One that supplies an island continues."""
        self._closing, device = True, self._ready_device()
        ordered = self._ordered_w is not None or self.control.held.power_w
        if device is not None and ordered and not _independent(device.engine.reader):
            self._report(await device.release(), "the end of orders")

    # orders

    async def _follow(self) -> None:
        while not self._closing:
            await self._clock.sleep(FOLLOW_S)
            device = self._ready_device()
            if device is None or _independent(device.engine.reader):
                self._ordered_at = None
            elif (power_w := self._share_w()) is not None:
                await self._order(device, power_w)
            elif self._ordered_w is not None and not self._closing:
                self._ordered_w = self._ordered_at = None
                self._report(await device.release(), "the end of orders")

    async def _order(self, device: EchonetDevice, power_w: float) -> None:
        """Order a power when it changes, and again before it ends. A direction that it cannot do is 0 W."""
        now, why_not = self._clock.now(), _why_not(device.engine.reader, power_w)
        renewed = self._ordered_at is not None and now < self._ordered_at + VALID_S / 3
        if self._closing or (power_w == self._ordered_w and renewed):
            return
        self._ordered_w, self._ordered_at = power_w, now
        outcome = await device.order(0.0 if why_not else power_w, VALID_S)
        self._report(Outcome(Answer.REFUSED, text=why_not) if why_not else outcome, f"an order of {power_w:.0f} W")

    def _report(self, outcome: Outcome, ordered: str) -> None:
        """Log an order without effect, once for each reason."""
        text = "" if outcome.answer is Answer.APPLIED else outcome.text or outcome.code
        if text and text != self._reported:
            log.warning("%s: %s is not applied: %s", self.object.name, ordered, text)
        self._reported = text

    # the battery

    def _ready_device(self) -> EchonetDevice | None:
        device = self._device
        return device if device is not None and device.engine.ready else None

    async def _serve(self) -> None:
        described: ObjectDescribed | None = None
        while True:
            try:
                described = await find_again(self._network, self.object.link, self.object.name, described)
                await self._read(described)
            except Exception:
                log.exception("%s: the driver failed; it starts again in %.0f s", self.object.name, RETRY_S)
                await self._clock.sleep(RETRY_S)
            self._device, self.object.values = None, {}

    async def _read(self, described: ObjectDescribed) -> None:
        """Read and order, until the battery is silent and may be found at another address."""
        silent = self._silent_at is not None
        self._silent_at = self._clock.now() if silent else None
        fast, slow = properties_of(STORAGE_BATTERY)
        fast = [*fast, MODE, GRID]
        engine = BoxEngine(described, self.control, silent=silent, fast=fast, slow=[*slow, *_METHODS, *_POWERS])
        device = self._device = EchonetDevice(engine, self._network, self._clock, self._handle)
        with self._network.following(described.node, described.eoj, device.notified):
            await device.run_until(self._may_have_moved)

    def _may_have_moved(self) -> bool:
        silent_at = self._silent_at
        moved = silent_at is not None and self._clock.now() - silent_at >= MOVED_S
        return moved and self.object.link.address == DISCOVER

    def _handle(self, event: Event) -> None:
        one, device = self.object, self._device
        assert device is not None
        match event:
            case BoxReady():
                self._silent_at = None
                log.info("%s: object %s at %s", one.name, device.engine.described.eoj, device.engine.described.node)
            case BoxSilent():
                self._silent_at, one.values = event.at, {}
                log.warning("%s: CommunicationFault: %s", one.name, event.reason)
            case BoxRead():
                pass
            case _:
                log.warning("%s: a power was not renewed in time: the battery is left to itself", one.name)
        if isinstance(event, BoxReady | BoxRead):
            one.values, one.read_at = _values(device.engine.reader), device.engine.reader.read_at
            self._inputs.publish(one.kind)


def _independent(battery: ObjectReader) -> bool:
    return battery.values.get(GRID) == INDEPENDENT


def _why_not(battery: ObjectReader, power_w: float) -> str:
    """Return why a battery cannot be ordered to a power, "" where it can."""
    if not power_w:
        return ""
    return (charge_way(battery) if power_w > 0 else discharge_way(battery)).why_not


def _values(battery: ObjectReader) -> Values:
    """Return the values for energy management: no power in a direction that cannot be ordered."""
    found = dict(values_of(STORAGE_BATTERY, battery))
    if charge_way(battery).why_not:
        found[Meaning.MAX_CHARGE_W] = 0.0
    if discharge_way(battery).why_not:
        found[Meaning.MAX_DISCHARGE_W] = 0.0
    return found
