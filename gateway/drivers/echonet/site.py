"""Storage batteries, PV, meters and power conditioners over ECHONET Lite as inputs of the site. They are only read."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from gateway.drivers.echonet.finding import DISCOVER, NotFound, ObjectLink, find
from gateway.drivers.echonet.network import EchonetNetwork
from gateway.drivers.echonet.reader import ObjectReader
from gateway.drivers.site_inputs import SiteInputs, Values
from gateway.model.site import InputKind
from protocols.echonet import classes
from protocols.echonet.events import Discover, ObjectDescribed, Request, RequestAnswered
from protocols.echonet.frames import Esv, Property
from protocols.modbus.register import Meaning
from protocols.ports import Clock

log = logging.getLogger("v2x.drivers")

RETRY_S = 5.0
ANSWER_WITHIN_S = 5.0
POLL_S, SLOW_S = 2.0, 60.0  # periods; a slow device gets as much rest as it takes for its answers
SILENT_AFTER_S = 15.0

_Number = tuple[int, str | None]  # property, and an element of a structure
_MEANINGS: dict[int, dict[Meaning, _Number]] = {
    classes.STORAGE_BATTERY: {
        Meaning.POWER_W: (0xD3, None),
        Meaning.SOC_PCT: (0xE4, None),
        Meaning.CAPACITY_WH: (0xD0, None),
        Meaning.MAX_CHARGE_W: (0xC8, "maxValue"),
        Meaning.MAX_DISCHARGE_W: (0xC9, "maxValue"),
    },
    classes.SOLAR: {Meaning.POWER_W: (0xE0, None)},
    classes.DISTRIBUTION_BOARD: {Meaning.POWER_W: (0xC6, None)},
    classes.SMART_METER: {Meaning.POWER_W: (0xE7, None)},
    classes.MULTIPLE_INPUT_PCS: {Meaning.POWER_W: (0xE7, None)},
}
_SLOW = (0xC8, 0xC9, 0xD0)
_OTHERS = {classes.STORAGE_BATTERY: (0xA0, 0xA1, 0xE2), classes.DISTRIBUTION_BOARD: (0xC8,)}  # of derived values
VOLTAGES = 0xC8  # of a distribution board: of both halves of a three-wire supply


@dataclass(slots=True)
class SiteObject:
    """One object, see `gateway.drivers.site_inputs.SiteSource`.

    `behind_box`: in an outage a V2H box supplies it, so that it states nothing about the grid.
    """

    name: str
    kind: InputKind
    link: ObjectLink
    sign: int = 1
    values: Values = field(default_factory=dict)
    read_at: float = 0.0
    behind_box: bool = True


def reader_of(described: ObjectDescribed) -> ObjectReader:
    """Return the reader of an object."""
    code = described.eoj.class_code
    wanted = [*(epc for epc, _ in _MEANINGS[code].values()), *_OTHERS.get(code, ())]
    slow = _SLOW if code == classes.STORAGE_BATTERY else ()
    return ObjectReader(described, [epc for epc in wanted if epc not in slow], slow)


def values_of(code: int, box: ObjectReader) -> Values:
    """Return the values of an object by their meaning; what it does not state is left out."""
    found: dict[Meaning, float | str] = {}
    for meaning, (epc, element) in _MEANINGS[code].items():
        if (value := box.number(epc, element)) is not None:
            found[meaning] = value
    if code == classes.STORAGE_BATTERY:
        capacity_wh = found.get(Meaning.CAPACITY_WH) or box.number(0xA1) or box.number(0xA0)
        stored_wh = box.number(0xE2)
        if capacity_wh:
            found[Meaning.CAPACITY_WH] = capacity_wh
            if Meaning.SOC_PCT not in found and stored_wh is not None:
                found[Meaning.SOC_PCT] = min(100.0, 100.0 * stored_wh / float(capacity_wh))
    elif code == classes.DISTRIBUTION_BOARD:
        halves = [box.number(VOLTAGES, "rS"), box.number(VOLTAGES, "sT")]
        if stated := [one for one in halves if one is not None]:
            found[Meaning.VOLTAGE_V] = sum(stated)
    return found


class EchonetSiteObjects:
    """All objects of the gateway that are inputs. `independent` returns whether a V2H box supplies the site alone."""

    def __init__(
        self,
        objects: Iterable[SiteObject],
        network: EchonetNetwork,
        inputs: SiteInputs,
        clock: Clock,
        independent: Callable[[], bool] = lambda: False,
    ) -> None:
        self.objects = list(objects)
        self._network, self._inputs, self._clock, self._independent = network, inputs, clock, independent
        inputs.sources += self.objects

    async def run(self) -> None:
        """Read until cancelled; an object that fails starts again and stops no other."""
        async with asyncio.TaskGroup() as tasks:
            for one in self.objects:
                tasks.create_task(self._serve(one), name=f"echonet {one.name}")

    async def _serve(self, one: SiteObject) -> None:
        reported = ""
        while True:
            try:
                described = await find(self._network, one.link)
                reported = ""
                log.info("%s: object %s at %s", one.name, described.eoj, described.node)
                reason = await self._read(one, described)
                log.warning("%s: CommunicationFault: %s", one.name, reason)
            except NotFound as error:
                if str(error) != reported:
                    reported = str(error)
                    log.warning("%s: %s", one.name, error)
                if one.link.address == DISCOVER:
                    self._network.command(Discover())
            except Exception:
                log.exception("%s: the driver failed; it starts again in %.0f s", one.name, RETRY_S)
            one.values = {}
            await self._clock.sleep(RETRY_S)

    async def _read(self, one: SiteObject, described: ObjectDescribed) -> str:
        """Read an object until it does not answer any more; return why."""
        reader, clock = reader_of(described), self._clock
        begun_at, reason = clock.now(), "it does not state its values"
        while clock.now() - max(reader.read_at, begun_at) < SILENT_AFTER_S:
            began = clock.now()
            epcs = reader.next(began, SLOW_S)
            if epcs is None:
                await clock.sleep(max(0.01, reader.due_at - began))
                continue
            request = Request(
                described.node, described.eoj, Esv.GET, tuple(map(Property, epcs)), within_s=ANSWER_WITHIN_S, tries=1
            )
            answer = await self._network.ask(request)
            now = clock.now()
            if isinstance(answer, RequestAnswered) and answer.answer is not None:
                if reader.receive(answer.answer.properties, now, POLL_S):
                    one.values, one.read_at = values_of(described.eoj.class_code, reader), reader.read_at
                    self._publish(one)
            else:
                reason = answer.reason if not isinstance(answer, RequestAnswered) else reason
                reader.receive(None, now, POLL_S)
            await clock.sleep(now - began)
        return reason

    def _publish(self, one: SiteObject) -> None:
        if one.kind is InputKind.GRID and one.behind_box and self._independent():
            return
        self._inputs.publish(one.kind)
