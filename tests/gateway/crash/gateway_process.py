"""A gateway in a process of its own that kills itself (SIGKILL) at one moment of a command's lifecycle.

A moment is `before`/`after` and a step: of the journal (`first`, `set`, `confirmed`, `metered`, `final`, `ended`,
`ResultDelivered`: the write that holds it), of the station (`station`: the first order with power), or of the broker
(`publish_first`, `publish_final`: the result on the wire).
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from gateway.app import Parts, gateway
from gateway.clock import SystemClock
from gateway.config import from_table
from gateway.config.mapping import broker_link, make_store
from gateway.model.event import Report
from gateway.model.journal import CommandEnded, Entry, Record, ResultDelivered, ResultGiven
from gateway.model.station import Outcome
from gateway.mqtt.client import Connector, MqttBus
from protocols.ports import Bus, BusMessage, Clock
from tests.gateway.crash.stations import GatewaySide

JOURNAL_STEPS = (
    "received",
    "validated",
    "journalled",
    "bound",
    "first",
    "set",
    "confirmed",
    "metered",
    "final",
    "ended",
)
STEPS = (*JOURNAL_STEPS, "delivered", "station", "publish_first", "publish_final", "take")
MOMENTS = tuple(f"{when} {step}" for step in STEPS for when in ("before", "after"))


@dataclass(frozen=True)
class ProcessConfig:
    """Configuration of the process."""

    site: str
    broker: int
    database: str
    station: int
    moment: str | None = None


def main(settings: ProcessConfig) -> None:
    """The entry of the process."""
    asyncio.run(_run(settings))


async def _run(settings: ProcessConfig) -> None:
    config = from_table(
        {
            "site": {"id": settings.site, "ramp_w_per_s": 10_000},
            "mqtt": {"url": f"mqtt://127.0.0.1:{settings.broker}", "session_expiry_s": 60, "telemetry_s": 5},
            "store": {"url": settings.database},
            "stations": [{"id": "CP1"}],
        }
    )
    kill = Kill(settings.moment)
    store = make_store(config)
    write = store.write

    async def fatal_write(records: Sequence[Record]) -> None:
        names = [name for record in records for name in _steps(record)]
        kill.at("before", names)
        await write(records)
        kill.at("after", names)

    store.write = fatal_write  # type: ignore[method-assign]
    backends: list[FatalStations] = []

    def stations(report: Report, clock: Clock) -> FatalStations:
        backends.append(FatalStations(settings.station, report, clock, kill))
        return backends[0]

    connector = Connector(broker_link(config))

    @asynccontextmanager
    async def connect(will: BusMessage) -> AsyncIterator[Bus]:
        async with connector(will) as bus:
            yield FatalBus(bus, kill)

    async with gateway(config, Parts(clock=SystemClock(), connect=connect, store=store, stations=stations)):
        await backends[0].run()


class Kill:
    """Kills the process the first time its moment comes."""

    def __init__(self, moment: str | None) -> None:
        self._when, _, self._step = (moment or "").partition(" ")

    def at(self, when: str, names: Sequence[str]) -> None:
        """Kill the process if this is the moment."""
        if when == self._when and self._step in names:
            os.kill(os.getpid(), signal.SIGKILL)


def _steps(record: Record) -> list[str]:
    match record:
        case Entry() if record.command is not None:
            return [record.step.value]
        case ResultGiven():
            return [record.phase.value]
        case ResultDelivered():
            return ["delivered"]
        case CommandEnded():
            return ["ended"]
    return []


class FatalStations(GatewaySide):
    """Kills the process before or after the first order with power."""

    def __init__(self, port: int, report: Report, clock: Clock, kill: Kill) -> None:
        super().__init__(port, report, clock)
        self._kill = kill

    async def set_power(self, evse: str, power_w: float, valid_for_s: float) -> Outcome:
        names = ["station"] if power_w else []
        self._kill.at("before", names)
        outcome = await super().set_power(evse, power_w, valid_for_s)
        self._kill.at("after", names)
        return outcome


class FatalBus:
    """Kills the process before or after a published result or a received message."""

    def __init__(self, bus: Any, kill: Kill) -> None:
        self._bus: MqttBus = bus
        self._kill = kill

    @property
    def keeps_session(self) -> bool:
        return self._bus.keeps_session

    async def publish(self, message: BusMessage) -> None:
        names = []
        if message.topic.endswith("/result"):
            first = b'"status":"accepted"' in message.payload
            names = ["publish_first" if first else "publish_final"]
        self._kill.at("before", names)
        await self._bus.publish(message)
        self._kill.at("after", names)

    async def subscribe(self, topic_filter: str, qos: int = 1) -> None:
        await self._bus.subscribe(topic_filter, qos)

    async def unsubscribe(self, topic_filter: str) -> None:
        await self._bus.unsubscribe(topic_filter)

    async def messages(self) -> AsyncIterator[BusMessage]:
        async for message in self._bus.messages():
            names = ["take"] if "/cmd/" in message.topic else []
            self._kill.at("before", names)
            yield message

    def acknowledge(self, message: BusMessage) -> None:
        names = ["take"] if "/cmd/" in message.topic else []
        self._bus.acknowledge(message)
        self._kill.at("after", names)
