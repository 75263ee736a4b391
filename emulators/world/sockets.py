"""The parts of a world joined as in the field: WebSockets for OCPP, TCP or TLS and SDP for ISO 15118, an MQTT broker.

Faults act on them as they do in memory: between a socket and whoever uses it lies the same `Link`, and each client of
the broker has a relay in front of it. What needs to look into MQTT packets cannot be broken here (`PACKETS`).
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from emulators.charger.secc.secc import EvseSecc
from emulators.ev.run import reach
from emulators.faults.injector import FaultError
from emulators.runtime.clock import LoopClock
from emulators.runtime.embedded_broker import BrokerThread
from emulators.runtime.memory_broker import Tamper
from emulators.runtime.tcp_relay import Relay, both_ways, both_ways_text
from emulators.runtime.transports import Link, text_wire_pair, wire_pair
from emulators.scenario.scenario import Scenario, ScenarioError
from emulators.world.charging_port import LOOPBACK, Port, certificates
from emulators.world.network import FACILITY_ID, GATEWAY_ID, Published
from gateway.app import Gateway
from gateway.mqtt.client import BrokerLink, Connect, Connector, MqttBus
from protocols.ocpp import io as ocpp_io
from protocols.ocpp.schema import Version
from protocols.ports import Bus, BusMessage, TextWire, Wire

FASTEST = 50.0  # x: beyond it the 2 s that a car waits for an answer are less than a socket and a thread need
PACKETS = ("loss", "delay", "reorder", "duplicate", "split", "corruption", "broker-wipe")  # of MQTT: in memory only


@dataclass(frozen=True, slots=True)
class Sockets:
    """Join by sockets. `broker` is `mqtt://host[:port]`, None starts one inside; `interface` is where cars look for
    their charger by SDP, None connects them on loopback; `secure` speaks TLS 1.3 between car and charger."""

    broker: str | None = None
    interface: str | None = None
    secure: bool = False

    def check(self, plan: Scenario, speed: float | None) -> None:
        """ScenarioError says which part of the scenario or of the options makes no sense over sockets."""
        if speed is None:
            raise ScenarioError(
                "over sockets time cannot run as fast as possible: bytes on their way would lose the race. "
                f'Say --speed real, or a number up to {FASTEST:g}; "max" needs --wires memory'
            )
        if speed > FASTEST:
            raise ScenarioError(
                f"over sockets at most {FASTEST:g} times real time, not {speed:g}: a car waits 2 s for an answer, "
                f"that would be {2000 / speed:.0f} ms"
            )
        for fault in plan.fault:
            if fault.kind in PACKETS and not fault.target.startswith(("ocpp:", "iso15118:")):
                raise ScenarioError(f"the fault {fault.kind} of MQTT at {fault.at:g} s needs --wires memory")
        if plan.chaos is not None and (not plan.chaos.kinds or set(plan.chaos.kinds) & {"delay", "duplicate"}):
            raise ScenarioError("chaos over sockets needs its kinds said, without delay and duplicate, which hit MQTT")
        if self.broker is not None and urlsplit(self.broker).scheme != "mqtt":
            raise ScenarioError(f"the broker is reached at mqtt://host[:port], not {self.broker}")


class SocketNetwork:
    """Real sockets, on this machine but for the broker."""

    listens = True

    def __init__(self, options: Sockets) -> None:
        self.options = options
        self.published: Published = lambda client, message: None
        self.broker = _Broker({})
        self._clock = LoopClock()
        self._version: str | None = None  # of MQTT, as the broker has shown it
        self._ports: dict[str, Port] = {}
        self.spoken: dict[str, str] = {}  # by EVSE: what lies beneath its last session, "TLSv1.3" or "TCP"
        self._carrying: set[asyncio.Task[None]] = set()
        self._life: contextlib.AsyncExitStack
        self._server_tls: ssl.SSLContext | None = None
        self._client_tls: ssl.SSLContext | None = None
        self._pairing: asyncio.Lock

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        self._pairing = asyncio.Lock()
        async with contextlib.AsyncExitStack() as self._life:
            host, port = await self._reach_broker()
            relays = {
                name: await self._life.enter_async_context(Relay(host, port)) for name in (GATEWAY_ID, FACILITY_ID)
            }
            self.broker.relays.update(relays)
            if self.options.secure:
                folder = self._life.enter_context(tempfile.TemporaryDirectory())
                loop = asyncio.get_running_loop()
                contexts = await loop.run_in_executor(None, certificates, Path(folder))
                self._server_tls, self._client_tls = contexts
            try:
                yield
            finally:
                for task in self._carrying:
                    task.cancel()
                await asyncio.gather(*self._carrying, return_exceptions=True)
                for listening in self._ports.values():
                    await listening.close()

    async def _reach_broker(self) -> tuple[str, int]:
        if self.options.broker is None:
            inside = await self._life.enter_async_context(BrokerThread())
            return LOOPBACK, inside.port
        address = urlsplit(self.options.broker)
        return address.hostname or LOOPBACK, address.port or 1883

    def settings(self) -> dict[str, dict[str, Any]]:
        return {"mqtt": {"url": self._url(GATEWAY_ID)}, "ocpp": {"listen": f"{LOOPBACK}:0"}}

    def _url(self, client: str) -> str:
        return f"mqtt://{LOOPBACK}:{self.broker.relays[client].port}"

    @asynccontextmanager
    async def facility(self) -> AsyncIterator[Bus]:
        async with MqttBus(BrokerLink(self._url(FACILITY_ID), FACILITY_ID), version=self._version) as bus:
            self._version = bus.version
            yield _Taking(bus, FACILITY_ID, self.published)

    def gateway(self, alive: Callable[[], bool]) -> Connect:
        linked = Connector(BrokerLink(self._url(GATEWAY_ID), GATEWAY_ID))

        @asynccontextmanager
        async def connect(will: BusMessage) -> AsyncIterator[Bus]:
            if not alive():
                raise ConnectionRefusedError("this gateway is dead")
            async with linked(will) as bus:
                yield _Heard(bus, GATEWAY_ID, self.published)

        return connect

    async def station(self, name: str, version: Version, running: Gateway, link: Link[str]) -> TextWire:
        url = f"ws://{LOOPBACK}:{running.ocpp_port}/ocpp/{name}"
        far = await ocpp_io.connect(url, (version,))
        near, middle = text_wire_pair(name, GATEWAY_ID, subprotocol=far.subprotocol, link=link)
        self._carry(both_ways_text(middle, far))
        return near

    async def vehicle(self, evse: str, secc: EvseSecc, link: Link[bytes], tasks: asyncio.TaskGroup) -> Wire:
        port = self._ports.get(evse)
        if port is None:
            port = self._ports[evse] = Port()
            await port.open(self.options.interface, self._server_tls)
        async with self._pairing, port.found_on(self.options.interface, self._server_tls is not None):
            address = None if self.options.interface is not None else (LOOPBACK, port.number)
            far = await reach(address, self.options.interface, self._clock, self._client_tls)
        self.spoken[evse] = far.tls_version or "TCP"
        tasks.create_task(secc.serve(await port.taken()))
        near, middle = wire_pair("ev", "secc", link=link)
        self._carry(both_ways(middle, far))
        return near

    def _carry(self, both_ways: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(both_ways)
        self._carrying.add(task)
        task.add_done_callback(self._carrying.discard)

    def lose_gateway(self) -> None:
        self.broker.cut(GATEWAY_ID)


class _Broker:
    """The broker as faults see it: a relay for each client."""

    def __init__(self, relays: dict[str, Relay]) -> None:
        self.relays = relays

    @property
    def tamper(self) -> Tamper | None:
        return None

    @tamper.setter
    def tamper(self, how: Tamper | None) -> None:
        if how is not None:
            raise FaultError("single messages of a real broker cannot be touched: run with memory wires")

    def cut(self, client_id: str) -> None:
        for relay in self._of(client_id):
            relay.cut()

    def stop(self, *, forget: bool = False) -> None:
        if forget:
            raise FaultError("a real broker does not forget when told: run with memory wires")
        for relay in self.relays.values():
            relay.shut()

    def start(self) -> None:
        for relay in self.relays.values():
            relay.shut(False)

    def freeze(self) -> None:
        for relay in self.relays.values():
            relay.freeze()

    def thaw(self) -> None:
        for relay in self.relays.values():
            relay.freeze(False)

    def _of(self, client_id: str) -> Iterable[Relay]:
        if client_id not in self.relays:
            raise FaultError(f"no client of the broker is called {client_id!r}; there are {', '.join(self.relays)}")
        return (self.relays[client_id],)


class _Heard:
    """A link to the broker that tells what is published."""

    def __init__(self, bus: Bus, client: str, told: Published) -> None:
        self._bus, self._client, self._told = bus, client, told

    async def publish(self, message: BusMessage) -> None:
        await self._bus.publish(message)
        self._told(self._client, message)

    async def subscribe(self, topic_filter: str, qos: int = 1) -> None:
        await self._bus.subscribe(topic_filter, qos)

    def messages(self) -> AsyncIterator[BusMessage]:
        return self._bus.messages()

    def acknowledge(self, message: BusMessage) -> None:
        """See `gateway.mqtt.client.Acknowledging`."""
        self._bus.acknowledge(message)  # type: ignore[attr-defined]


class _Taking(_Heard):
    """A link of somebody who keeps nothing: what arrives is taken at once."""

    async def messages(self) -> AsyncIterator[BusMessage]:
        async for message in self._bus.messages():
            self.acknowledge(message)
            yield message
