"""A core with plain stations around it, in virtual time: what the tests of this folder stand in."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from emulators.runtime.clock import VirtualClock
from gateway.bench.plain_station import PlainStations
from gateway.commands.submission import Channel, Submission
from gateway.control.settings import ServiceSettings
from gateway.model.journal import Phase, ReplyTo
from gateway.model.result import Result
from gateway.model.site import SitePolicy
from gateway.model.state import EventMessage
from gateway.service import GatewayService
from gateway.store.journal import Journal
from gateway.store.memory import MemoryStore
from gateway.store.ports import Store

POLICY = SitePolicy("home")


@dataclass
class Heard:
    """A listener that remembers."""

    results: list[tuple[Result, Phase | None]] = field(default_factory=list)
    events: list[EventMessage] = field(default_factory=list)
    changes: list[str | None] = field(default_factory=list)
    stirs: list[str | None] = field(default_factory=list)  # what is measured there moved on

    def result(self, result: Result, reply: ReplyTo | None, phase: Phase | None) -> None:
        self.results.append((result, phase))

    def event(self, event: EventMessage) -> None:
        self.events.append(event)

    def changed(self, evse: str | None) -> None:
        self.changes.append(evse)

    def stirred(self, evse: str | None) -> None:
        self.stirs.append(evse)

    def statuses(self, command: str) -> list[str]:
        return [result.status.value for result, phase in self.results if result.id == command and phase is not None]

    def final(self, command: str) -> Result:
        [found] = [result for result, phase in self.results if result.id == command and phase is Phase.FINAL]
        return found

    def kinds(self) -> list[str]:
        return [event.event.value for event in self.events]


@dataclass
class House:
    """One gateway's core, one site."""

    service: GatewayService
    stations: PlainStations
    heard: Heard
    clock: VirtualClock
    store: Store

    async def send(self, evse: str | None, verb: str, id: str, **body: Any) -> Result:
        payload = json.dumps({"id": id, **body}).encode()
        return await self.service.submit(Submission(evse, verb, payload, Channel.MQTT))

    async def wait(self, seconds: float) -> None:
        await self.clock.sleep(seconds)

    def power(self, evse: str) -> float:
        """What the EVSE really runs at, dead-man included."""
        held = self.stations.evses[evse]
        return held.power_w if self.clock.now() < held.until else 0.0


@asynccontextmanager
async def house(
    *evses: str, policy: SitePolicy = POLICY, store: Store | None = None, plugged: bool = True, **settings: Any
) -> AsyncIterator[House]:
    """A running core; every EVSE is at a station of its own, with a car in session."""
    clock = VirtualClock()
    store = store or MemoryStore()
    await store.open()
    journal = Journal(store, clock)
    stations: PlainStations
    service = GatewayService(replace(ServiceSettings(policy), **settings), clock, _Later(lambda: stations), journal)
    stations = PlainStations(clock, service.report)
    heard = Heard()
    service.listen(heard)
    running = asyncio.create_task(service.run())
    metering = asyncio.create_task(stations.run())
    try:
        await service.ready.wait()
        for number, evse in enumerate(evses):
            stations.connect(evse.rpartition("-")[0], evse)
            if plugged:
                stations.plug(evse, f"tx{number}")
        await clock.sleep(0.5)
        yield House(service, stations, heard, clock, store)
    finally:
        for task in (metering, running):
            task.cancel()
        await asyncio.gather(metering, running, return_exceptions=True)
        await store.close()


class _Later:
    """The stations need the core's report, and the core needs the stations: one of them comes later."""

    def __init__(self, get: Any) -> None:
        self._get = get

    def __getattr__(self, name: str) -> Any:
        return getattr(self._get(), name)
