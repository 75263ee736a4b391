"""How the parts of a world reach one another, and the way in memory: ordered streams and a broker without a byte.

A `Network` joins; what is joined is decided elsewhere. Every stream between two parts has a `Link`, on which faults
act and the transcript listens. The way over real sockets is in `sockets.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from enum import StrEnum
from typing import Any, Protocol

from emulators.charger.secc.secc import EvseSecc
from emulators.faults.injector import BreakableBroker
from emulators.runtime.memory_broker import MemoryBroker
from emulators.runtime.transports import Link, text_wire_pair, wire_pair
from gateway.app import Gateway
from gateway.mqtt.client import Connect
from protocols.ocpp.schema import Version
from protocols.ports import Bus, BusMessage, TextWire, Wire

GATEWAY_ID = "gw1"
FACILITY_ID = "facility"


class MemoryTransports(StrEnum):
    """What joins the parts."""

    MEMORY = "memory"
    SOCKETS = "sockets"


Published = Callable[[str, BusMessage], None]  # by whom, what


class Network(Protocol):
    """Joins the parts of one world while its context is entered."""

    published: Published  # told of every message that the broker took

    @property
    def broker(self) -> BreakableBroker:
        """The broker, for those who break it."""

    @property
    def listens(self) -> bool:
        """Whether the gateway opens a port of its own for stations."""

    def opened(self) -> AbstractAsyncContextManager[None]:
        """Everything that is needed before anybody can be reached."""

    def settings(self) -> dict[str, dict[str, Any]]:
        """What the gateway's configuration has to say for it to be reached, by section."""

    def facility(self) -> AbstractAsyncContextManager[Bus]:
        """A link of the facility's controller to the broker."""

    def gateway(self, alive: Callable[[], bool]) -> Connect:
        """How one life of the gateway links to the broker; a dead one is refused."""

    async def station(self, name: str, version: Version, running: Gateway, link: Link[str]) -> TextWire:
        """A station's end of a stream to the gateway."""

    async def vehicle(self, evse: str, secc: EvseSecc, link: Link[bytes], tasks: asyncio.TaskGroup) -> Wire:
        """A car's end of a stream to an SECC, which serves it as one of the tasks."""

    def lose_gateway(self) -> None:
        """The gateway's process dies: its links end without a word."""


class MemoryNetwork:
    """In memory: nothing is ever late that was not made so."""

    listens = False

    def __init__(self, broker: MemoryBroker | None = None, name: str = "") -> None:
        """`broker` is one that other sites use too; `name` tells the clients of this site from theirs."""
        self.broker = broker or MemoryBroker()
        self.said: dict[str, dict[str, Any]] = {}  # for the gateway's configuration
        self._gateway, self._facility = name + GATEWAY_ID, name + FACILITY_ID
        self._attached: set[asyncio.Task[None]] = set()

    @property
    def published(self) -> Published:
        return self.broker.spy or (lambda client, message: None)

    @published.setter
    def published(self, told: Published) -> None:
        self.broker.spy = told

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        yield

    def settings(self) -> dict[str, dict[str, Any]]:
        return self.said

    def facility(self) -> AbstractAsyncContextManager[Bus]:
        return self.broker.client(self._facility, clean_start=False, session_expiry_s=300.0)

    def gateway(self, alive: Callable[[], bool]) -> Connect:
        @asynccontextmanager
        async def connect(will: BusMessage) -> AsyncIterator[Bus]:
            if not alive():
                raise ConnectionRefusedError("this gateway is dead")
            client = self.broker.client
            async with client(
                self._gateway, will=will, clean_start=False, session_expiry_s=60.0, acknowledges=True
            ) as bus:
                yield bus

        return connect

    async def station(self, name: str, version: Version, running: Gateway, link: Link[str]) -> TextWire:
        if running.csms is None:
            raise ConnectionRefusedError("the gateway takes no stations")
        near, far = text_wire_pair(name, GATEWAY_ID, subprotocol=version.value, link=link)
        task = asyncio.get_running_loop().create_task(running.csms.attach(far, name))
        self._attached.add(task)
        task.add_done_callback(self._attached.discard)
        return near

    async def vehicle(self, evse: str, secc: EvseSecc, link: Link[bytes], tasks: asyncio.TaskGroup) -> Wire:
        ev_end, secc_end = wire_pair("ev", "secc", link=link)
        tasks.create_task(secc.serve(secc_end))
        return ev_end

    def lose_gateway(self) -> None:
        self.broker.cut(self._gateway)
        for task in list(self._attached):
            task.cancel()
