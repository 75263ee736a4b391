"""Network of a world over real sockets: WebSockets for OCPP, TCP or TLS and SDP for ISO 15118, an MQTT broker.

Faults act on it as they do in memory: each socket is used through a `Link`, and each client of the broker through a TCP
relay. Faults that alter single MQTT messages (`MESSAGE_KINDS`) are not available here.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from emulators.charger.secc.secc import EvseSecc
from emulators.ev.run import connect_to_secc
from emulators.faults.fault import MESSAGE_KINDS, FaultError
from emulators.modbus.device import EmulatedDevice
from emulators.runtime import ocpp_client
from emulators.runtime.clock import LoopClock
from emulators.runtime.embedded_broker import BrokerThread
from emulators.runtime.memory_broker import Tamper
from emulators.runtime.tcp_relay import Relay, forward, forward_text
from emulators.runtime.transports import Link, text_wire_pair, wire_pair
from emulators.scenario.scenario import Scenario, ScenarioError
from emulators.world.network import FACILITY_ID, GATEWAY_ID, ConnectionSettings, OnPublished, hosted_evse
from gateway.app import Gateway
from gateway.mqtt.client import BrokerLink, Connect, Connector, MqttBus
from protocols.iso15118 import io, pki
from protocols.iso15118 import tls as iso15118_tls
from protocols.iso15118.tcp.io import TcpWire
from protocols.ocpp.schema import Version
from protocols.ports import Bus, BusMessage, TextWire, Wire
from protocols.sdp import Security

LOOPBACK = "127.0.0.1"
MAX_SPEED = 50.0  # beyond it a vehicle's 2 s response timeout is shorter than the delay of sockets and threads
BROKER_WITHIN_S = 5.0
MEMORY_ONLY = (*MESSAGE_KINDS, "broker-wipe")  # faults of MQTT


@dataclass(frozen=True, slots=True)
class Sockets:
    """Settings of the transports over sockets. `broker` is `mqtt://host[:port]`, None starts an embedded one;
    `interface` is where vehicles discover their charger by SDP, None connects them on loopback; `tls` uses TLS 1.3
    between vehicle and charger."""

    broker: str | None = None
    interface: str | None = None
    tls: bool = False

    def check(self, scenario: Scenario, speed: float | None) -> None:
        """Raise ScenarioError if the scenario or the speed cannot be used over sockets."""
        if speed is None:
            raise ScenarioError(
                "over sockets virtual time cannot run at maximum speed: data in transit needs real time. "
                f'Use --speed real, or a number up to {MAX_SPEED:g}; "max" needs --transports memory'
            )
        if speed > MAX_SPEED:
            raise ScenarioError(
                f"over sockets at most {MAX_SPEED:g} times real time, not {speed:g}: the 2 s response timeout of a car "
                f"would be {2000 / speed:.0f} ms"
            )
        for fault in scenario.fault:
            if fault.kind in MEMORY_ONLY and not fault.target.startswith(("ocpp:", "iso15118:", "modbus:")):
                raise ScenarioError(f"the MQTT fault {fault.kind} at {fault.at:g} s needs --transports memory")
        if scenario.chaos is not None and (
            not scenario.chaos.kinds or set(scenario.chaos.kinds) & {"delay", "duplicate"}
        ):
            raise ScenarioError(
                "chaos over sockets needs a list of kinds without delay and duplicate, which act on MQTT"
            )
        if self.broker is not None and urlsplit(self.broker).scheme != "mqtt":
            raise ScenarioError(f"the broker must be mqtt://host[:port], not {self.broker}")


class SocketNetwork:
    """Connections over real sockets, on this machine except for the broker."""

    listens = True

    def __init__(self, options: Sockets, on_published: OnPublished) -> None:
        """`on_published` is called with every message that the broker accepted."""
        self.options, self._on_published = options, on_published
        self.broker = _RelayedBroker()
        self._clock = LoopClock()
        self._version: str | None = None  # of MQTT, as negotiated with the broker
        self._ports: dict[str, ChargingPort] = {}
        self._devices: dict[str, io.Listener] = {}  # wallboxes over Modbus, by EVSE
        self.vehicle_transports: dict[str, str] = {}  # by EVSE, of its last session: "TLSv1.3" or "TCP"
        self._forwarding: set[asyncio.Task[None]] = set()
        self._resources: contextlib.AsyncExitStack
        self._server_tls: ssl.SSLContext | None = None
        self._client_tls: ssl.SSLContext | None = None
        self._pairing: asyncio.Lock

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        self._pairing = asyncio.Lock()
        async with contextlib.AsyncExitStack() as self._resources:
            host, port = await self._broker_address()
            for name in (GATEWAY_ID, FACILITY_ID):
                self.broker.relays[name] = await self._resources.enter_async_context(Relay(host, port))
            if self.options.tls:
                folder = self._resources.enter_context(tempfile.TemporaryDirectory())
                loop = asyncio.get_running_loop()
                contexts = await loop.run_in_executor(None, certificates, Path(folder))
                self._server_tls, self._client_tls = contexts
            try:
                yield
            finally:
                for task in self._forwarding:
                    task.cancel()
                await asyncio.gather(*self._forwarding, return_exceptions=True)
                for charging_port in self._ports.values():
                    await charging_port.close()
                for device in self._devices.values():
                    await device.close()

    async def _broker_address(self) -> tuple[str, int]:
        if self.options.broker is None:
            embedded = await self._resources.enter_async_context(BrokerThread())
            return LOOPBACK, embedded.port
        address = urlsplit(self.options.broker)
        host, port = address.hostname or LOOPBACK, address.port or 1883
        try:
            async with asyncio.timeout(BROKER_WITHIN_S):
                _, writer = await asyncio.open_connection(host, port)
        except (OSError, TimeoutError) as error:
            reason = getattr(error, "strerror", None) or "no answer"
            raise ScenarioError(f"no broker answers at {self.options.broker}: {reason}") from None
        writer.close()
        return host, port

    def settings(self) -> ConnectionSettings:
        return {"mqtt": {"url": self._url(GATEWAY_ID)}, "ocpp": {"listen": f"{LOOPBACK}:0"}}

    def _url(self, client: str) -> str:
        return f"mqtt://{LOOPBACK}:{self.broker.relays[client].port}"

    @asynccontextmanager
    async def facility(self) -> AsyncIterator[Bus]:
        async with MqttBus(BrokerLink(self._url(FACILITY_ID), FACILITY_ID), version=self._version) as bus:
            self._version = bus.version
            yield _AcknowledgingBus(bus, FACILITY_ID, self._on_published)

    def gateway(self, is_running: Callable[[], bool]) -> Connect:
        open_connection = Connector(BrokerLink(self._url(GATEWAY_ID), GATEWAY_ID))

        @asynccontextmanager
        async def connect(will: BusMessage) -> AsyncIterator[Bus]:
            if not is_running():
                raise ConnectionRefusedError("this gateway process was killed")
            async with open_connection(will) as bus:
                yield _ObservedBus(bus, GATEWAY_ID, self._on_published)

        return connect

    async def station(self, name: str, version: Version, running: Gateway, link: Link[str]) -> TextWire:
        url = f"ws://{LOOPBACK}:{running.ocpp_port}/ocpp/{name}"
        far = await ocpp_client.connect(url, (version,))
        near, middle = text_wire_pair(name, GATEWAY_ID, subprotocol=far.subprotocol, link=link)
        self._forward(forward_text(middle, far))
        return near

    async def vehicle(self, evse: str, secc: EvseSecc, link: Link[bytes], tasks: asyncio.TaskGroup) -> Wire:
        port = self._ports.get(evse)
        if port is None:
            port = self._ports[evse] = ChargingPort()
            await port.open(self.options.interface, self._server_tls)
        async with self._pairing, port.discoverable(self.options.interface, self._server_tls is not None):
            address = None if self.options.interface is not None else (LOOPBACK, port.number)
            far = await connect_to_secc(address, self.options.interface, self._clock, self._client_tls)
        self.vehicle_transports[evse] = far.tls_version or "TCP"
        tasks.create_task(secc.serve(await port.accept()))
        near, middle = wire_pair("ev", "secc", link=link)
        self._forward(forward(middle, far))
        return near

    async def hosted(self, evse: str, running: Gateway, link: Link[bytes]) -> Wire:
        far = await io.connect(LOOPBACK, hosted_evse(running, evse).port)
        self.vehicle_transports[evse] = far.tls_version or "TCP"
        near, middle = wire_pair("ev", "secc", link=link)
        self._forward(forward(middle, far))
        return near

    async def modbus(self, evse: str, device: EmulatedDevice, link: Link[bytes]) -> Wire:
        from protocols.modbus.io import listen  # pymodbus is an extra, and only loaded where it is used

        if evse not in self._devices:
            self._devices[evse] = await listen(device.handle, LOOPBACK, 0)
        far = await io.connect(LOOPBACK, self._devices[evse].port)
        near, middle = wire_pair(GATEWAY_ID, evse, link=link)
        self._forward(forward(middle, far))
        return near

    def _forward(self, forwarding: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(forwarding)
        self._forwarding.add(task)
        task.add_done_callback(self._forwarding.discard)

    def disconnect_gateway(self) -> None:
        self.broker.cut(GATEWAY_ID)


class _RelayedBroker:
    """Fault injection of a real broker: a relay for each client."""

    def __init__(self) -> None:
        self.relays: dict[str, Relay] = {}

    @property
    def tamper(self) -> Tamper | None:
        return None

    @tamper.setter
    def tamper(self, tamper: Tamper | None) -> None:
        if tamper is not None:
            raise FaultError("single messages of a real broker cannot be altered: use --transports memory")

    def cut(self, client_id: str) -> None:
        if client_id not in self.relays:
            raise FaultError(f"unknown MQTT client {client_id!r}; known: {', '.join(self.relays)}")
        self.relays[client_id].cut()

    def stop(self, *, forget: bool = False) -> None:
        if forget:
            raise FaultError("a real broker keeps its sessions: use --transports memory")
        for relay in self.relays.values():
            relay.close_port()

    def start(self) -> None:
        for relay in self.relays.values():
            relay.close_port(False)

    def freeze(self) -> None:
        for relay in self.relays.values():
            relay.freeze()

    def thaw(self) -> None:
        for relay in self.relays.values():
            relay.freeze(False)


class _ObservedBus:
    """A connection to the broker that reports what its client publishes."""

    def __init__(self, bus: Bus, client: str, on_published: OnPublished) -> None:
        self._bus, self._client, self._on_published = bus, client, on_published
        self.subscribe, self.unsubscribe = bus.subscribe, bus.unsubscribe
        self.acknowledge = bus.acknowledge

    @property
    def keeps_session(self) -> bool:
        return self._bus.keeps_session

    async def publish(self, message: BusMessage) -> None:
        await self._bus.publish(message)
        self._on_published(self._client, message)

    def messages(self) -> AsyncIterator[BusMessage]:
        return self._bus.messages()


class _AcknowledgingBus(_ObservedBus):
    """A connection that acknowledges each message on arrival."""

    async def messages(self) -> AsyncIterator[BusMessage]:
        async for message in self._bus.messages():
            self.acknowledge(message)
            yield message


class ChargingPort:
    """Port of one EVSE's SECC. On an interface, SDP answers only while the vehicle of this EVSE searches: in the field
    SLAC associates one vehicle with one EVSE, here the caller serialises the searches by a lock."""

    def __init__(self) -> None:
        self.number = 0
        self._listener: io.Listener | None = None
        self._accepted: asyncio.Queue[tuple[TcpWire, asyncio.Event]] = asyncio.Queue(maxsize=8)

    async def open(self, interface: str | None, context: ssl.SSLContext | None) -> None:
        if interface is not None:
            self._listener = await io.listen_on_link(self._accept, interface, context)
        else:
            self._listener = await io.listen(self._accept, LOOPBACK, 0, context)
        self.number = self._listener.port

    @asynccontextmanager
    async def discoverable(self, interface: str | None, tls: bool) -> AsyncIterator[None]:
        if interface is None:
            yield
            return
        offered = frozenset({Security.TLS if tls else Security.NONE})
        responder = io.SdpResponder(interface, self.number, offered)
        await responder.start()
        try:
            yield
        finally:
            await responder.close()

    async def _accept(self, wire: TcpWire) -> None:
        closed = asyncio.Event()
        await self._accepted.put((wire, closed))
        await closed.wait()

    async def accept(self) -> Wire:
        """Return the stream of the vehicle that connected last."""
        return _AcceptedWire(*await self._accepted.get())

    async def close(self) -> None:
        if self._listener is not None:
            await self._listener.close()


class _AcceptedWire:
    """A stream that signals its listener when it is closed."""

    def __init__(self, wire: TcpWire, closed: asyncio.Event) -> None:
        self._wire, self._closed = wire, closed
        self.peer, self.read, self.write = wire.peer, wire.read, wire.write

    async def close(self) -> None:
        try:
            await self._wire.close()
        finally:
            self._closed.set()


def certificates(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Create test certificates in a folder; return the TLS 1.3 contexts of the charger and of the vehicle."""
    pki.create(folder)
    version, profile = iso15118_tls.TlsVersion.TLS_1_3, iso15118_tls.TlsProfile.INTEROP
    return iso15118_tls.server_context(folder, version, profile), iso15118_tls.client_context(folder, version, profile)
