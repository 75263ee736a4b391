"""Storage batteries, PV, meters and power conditioners over ECHONET Lite as inputs of the site. Storage
batteries are ordered where energy management controls them (`storage.py`), the others are only read.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable

from gateway.drivers.echonet.finding import DISCOVER, NotFound, find
from gateway.drivers.echonet.network import EchonetNetwork
from gateway.drivers.echonet.site_object import SiteObject, reader_of, values_of
from gateway.drivers.echonet.storage import OrderedStorage
from gateway.drivers.site_inputs import SiteInputs
from gateway.model.site import InputKind
from protocols.echonet.events import Discover, ObjectDescribed, Request, RequestAnswered
from protocols.echonet.frames import Esv, Property
from protocols.ports import Clock

log = logging.getLogger("v2x.drivers")

RETRY_S = 5.0
ANSWER_WITHIN_S = 5.0
POLL_S, SLOW_S = 2.0, 60.0  # periods; a slow device gets as much rest as it takes for its answers
SILENT_AFTER_S = 15.0


class EchonetSiteObjects:
    """All objects of the gateway that are inputs. `independent` returns whether a V2H box supplies the site alone."""

    def __init__(
        self,
        objects: Iterable[SiteObject],
        network: EchonetNetwork,
        inputs: SiteInputs,
        clock: Clock,
        independent: Callable[[], bool] = lambda: False,
        storage_w: Callable[[], float | None] | None = None,
    ) -> None:
        """`storage_w` returns the set-point of all storages together, + charge, or None to leave them to themselves;
        without it they are only read."""
        self.objects = list(objects)
        self._storage_w = storage_w
        self._network, self._inputs, self._clock, self._independent = network, inputs, clock, independent
        inputs.add(self.objects)
        ordered = [one for one in self.objects if one.kind is InputKind.STORAGE and storage_w is not None]
        self.storages = [OrderedStorage(one, network, inputs, clock, self._share_w) for one in ordered]

    async def run(self) -> None:
        """Read until cancelled; an object that fails starts again and stops no other."""
        async with asyncio.TaskGroup() as tasks:
            for storage in self.storages:
                tasks.create_task(storage.run(), name=f"echonet {storage.object.name}")
            for one in self.objects:
                if all(one is not storage.object for storage in self.storages):
                    tasks.create_task(self._serve(one), name=f"echonet {one.name}")

    async def close(self) -> None:
        """Leave the storages to themselves."""
        await asyncio.gather(*(storage.close() for storage in self.storages))

    def _share_w(self) -> float | None:
        """Return the set-point of one storage."""
        power_w = None if self._storage_w is None else self._storage_w()
        return None if power_w is None else self._inputs.share_w(InputKind.STORAGE, power_w)

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
