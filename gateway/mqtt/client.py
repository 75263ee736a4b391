"""Link to a broker over aiomqtt: MQTT 5, or 3.1.1 where the broker supports no other.

A message is acknowledged to the broker when it was processed (`acknowledge`), not when it arrives: a command that was
not journalled when the process ended is delivered again to the same session. TCP_NODELAY is set, because Nagle's
algorithm delays a QoS 1 message by 44 ms. Errors of paho and aiomqtt become ConnectionError here. Of the product only
this module and `client_life` use aiomqtt.
"""

from __future__ import annotations

import asyncio
import logging
import math
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Protocol, TypeAlias, runtime_checkable
from urllib.parse import unquote, urlsplit

import aiomqtt
import paho.mqtt.client as paho
from aiomqtt.exceptions import MqttConnectError
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from gateway.mqtt.client_life import close_client, open_client, paho_client
from gateway.mqtt.incoming import Delivery, IncomingQueue
from gateway.mqtt.outgoing import ANSWER_WITHIN_S, OutgoingMessages, answer_due, write_soon
from gateway.mqtt.properties import share_tables
from protocols.ports import Bus, BusMessage

log = logging.getLogger("v2x.mqtt")

KEEPALIVE_S = 10
UNACKNOWLEDGED = 500  # messages in flight from the broker (MQTT 5, Receive Maximum)
LARGEST = 1 << 20  # bytes of a packet: far above the largest accepted command, so that a rejection can state the reason
IN_FLIGHT = 320  # messages in flight to the broker: results of three outboxes, and the rest
# Reason codes of a DISCONNECT: malformed packet, protocol error, not authorized, topic name invalid, packet too large,
# payload format invalid
CODES_OF_A_BAD_MESSAGE = (0x81, 0x82, 0x87, 0x90, 0x95, 0x99)
UNSUPPORTED_VERSION = (132, 1)  # reason codes of a broker without MQTT 5
# of a CONNACK: bad user name or password, not authorised, banned, bad authentication method; 4 and 5 are of 3.1.1
ACCESS_REFUSED = (0x86, 0x87, 0x8A, 0x8C, 4, 5)


class MqttVersion:
    """Protocol versions."""

    AUTO = "auto"
    V5 = "5"
    V311 = "3.1.1"


@dataclass(frozen=True, slots=True)
class BrokerLink:
    """Address and credentials of a broker. `url` is `mqtt://host[:1883]` or `mqtts://host[:8883]`."""

    url: str = field(repr=False)  # may hold a password
    client_id: str
    version: str = MqttVersion.AUTO
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    session_expiry_s: int = 60

    @property
    def where(self) -> str:
        """Return the URL without user and password."""
        scheme, _, rest = self.url.partition("://")
        return f"{scheme}://{rest.rpartition('@')[2]}"


Connect: TypeAlias = Callable[[BusMessage], AbstractAsyncContextManager[Bus]]


@runtime_checkable
class Resuming(Protocol):
    """A bus that reports whether the broker has kept the session of an earlier link."""

    resumed: bool


class SubscriptionRefused(ConnectionError):
    """The broker does not permit a subscription."""


class AccessRefused(ConnectionError):
    """The broker rejects the user, the password or the client id of this gateway."""


class BadMessage(ConnectionError):
    """The broker has ended the link because of a message (reason codes of MQTT 5)."""


class MqttBus:
    """A link to a broker while its context is entered."""

    def __init__(self, link: BrokerLink, will: BusMessage | None = None, version: str | None = None) -> None:
        self.link = link
        self._will = will
        self._client: aiomqtt.Client | None = None
        self.version = version or link.version
        self._incoming = IncomingQueue(asyncio.get_running_loop().time)
        self._outgoing = OutgoingMessages(self._incoming, link.where)
        self.resumed = False  # the broker has kept the session of an earlier link

    async def __aenter__(self) -> MqttBus:
        try:
            if self.version == MqttVersion.AUTO:
                self.version = await self._probe()
            client = self._make(self.version)
            self._attach(client)
            await open_client(client)
        except (aiomqtt.MqttError, OSError) as error:  # a TimeoutError is an OSError
            refused = isinstance(error, MqttConnectError) and _code(error) in ACCESS_REFUSED
            raise (AccessRefused if refused else ConnectionError)(_refusal(self.link, error)) from error
        self._client = client
        return self

    async def __aexit__(self, *error: object) -> None:
        client, self._client = self._client, None
        if client is not None:
            try:
                await close_client(client)
            except (aiomqtt.MqttError, TimeoutError):
                log.debug("the link to %s was gone before it was closed", self.link.where)

    @property
    def keeps_session(self) -> bool:
        """True where the broker sends the next link what is not acknowledged at the end of this one."""
        return self.version == MqttVersion.V5 and self.link.session_expiry_s > 0

    async def publish(self, message: BusMessage) -> None:
        """See `protocols.ports.Bus`."""
        client = paho_client(self._linked())
        try:
            await self._outgoing.publish(client, message, five=self.version == MqttVersion.V5)
        except ValueError as error:  # a message that MQTT cannot carry costs itself, never the link
            log.error("a message to %r was not sent: %s", message.topic, error)

    async def subscribe(self, topic_filter: str, qos: int = 1) -> None:
        """Subscribe with the retain flag as published and with stored retained messages (MQTT 5)."""
        async with self._in_time():
            if self.version == MqttVersion.V5:
                options = SubscribeOptions(qos=qos, retainAsPublished=True, retainHandling=0)
                granted = await self._linked().subscribe(topic_filter, options=options, timeout=math.inf)
            else:
                granted = await self._linked().subscribe(topic_filter, qos=qos, timeout=math.inf)
        refused = [code for code in granted if getattr(code, "value", code) >= 128]
        if refused:
            raise SubscriptionRefused(
                f"{self.link.where} refuses a subscription to {topic_filter}: {refused[0]}; check its ACL"
            )

    async def unsubscribe(self, topic_filter: str) -> None:
        """See `protocols.ports.Bus`."""
        async with self._in_time():
            await self._linked().unsubscribe(topic_filter, timeout=math.inf)

    async def messages(self) -> AsyncIterator[BusMessage]:
        """See `protocols.ports.Bus`."""
        ending = asyncio.ensure_future(self._until_lost(self._linked()))
        ending.add_done_callback(lambda _: self._incoming.end())
        try:
            while (one := await self._incoming.get()) is not None:
                yield one
            await ending
        finally:
            ending.cancel()

    def take_dropped(self) -> tuple[int, list[BusMessage]]:
        """See `gateway.mqtt.incoming.Overflowing`."""
        return self._incoming.take_dropped()

    async def _until_lost(self, client: aiomqtt.Client) -> None:
        """Raise ConnectionError when the link is lost; `IncomingQueue` has replaced the message queue of aiomqtt."""
        try:
            async for _ in client.messages:
                raise AssertionError("aiomqtt received a message")
        except aiomqtt.MqttError as error:
            code = getattr(getattr(error.__cause__, "rc", None), "value", None)
            kind = BadMessage if code in CODES_OF_A_BAD_MESSAGE else ConnectionError
            raise kind(f"{self.link.where}: {error.__cause__ or error}") from error

    def _attach(self, client: aiomqtt.Client) -> None:
        """Acknowledge by `acknowledge`, queue by `IncomingQueue`, and note whether the broker has kept the session."""
        share_tables()
        inner = paho_client(client)
        inner.manual_ack_set(True)
        self._incoming.attach(inner)
        self._outgoing.attach(inner)
        write = partial(write_soon, inner.on_socket_register_write)  # from then on, since paho connects in a thread

        def on_connect(
            inner: paho.Client,
            userdata: object,
            flags: paho.ConnectFlags,
            code: ReasonCode,
            properties: Properties | None = None,
        ) -> None:
            self.resumed = flags.session_present
            inner.on_socket_register_write = write
            client._on_connect(inner, userdata, flags, code, properties)

        inner.on_connect = on_connect

    def acknowledge(self, message: BusMessage) -> None:
        """Acknowledge a message of QoS 1."""
        if isinstance(message, Delivery) and message.qos == 1 and self._client is not None:
            paho_client(self._client).ack(message.mid, 1)

    @asynccontextmanager
    async def _in_time(self) -> AsyncIterator[None]:
        """Limit a wait for the broker; its errors become ConnectionError.

        A broker that sends other messages meanwhile, such as those of a flood, has more time to answer. The time-outs
        of aiomqtt are infinite: it uses asyncio.wait_for, which drops a cancellation that coincides with the answer
        (Python 3.11), and a task that lost its cancellation never ends.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        timer: asyncio.TimerHandle

        def check() -> None:
            nonlocal timer
            due = answer_due(began, self._incoming.last)
            if due <= loop.time():
                limit.reschedule(loop.time())
            else:
                timer = loop.call_at(due, check)

        timer = loop.call_later(ANSWER_WITHIN_S, check)
        try:
            async with asyncio.timeout(None) as limit:
                yield
            self._incoming.received()
        except TimeoutError:
            raise ConnectionError(f"{self.link.where}: no answer within {ANSWER_WITHIN_S:.0f} s") from None
        except aiomqtt.MqttError as error:
            raise ConnectionError(f"{self.link.where}: {error}") from error
        finally:
            timer.cancel()

    async def _probe(self) -> str:
        """Return the version that the broker supports, probed with a CONNECT without properties and will.

        A broker of 3.1.1 may fail on those without an answer (amqtt does).
        """
        client = self._make(MqttVersion.V5, probe=True)
        try:
            await open_client(client)
            await close_client(client)
            return MqttVersion.V5
        except MqttConnectError as error:
            if _code(error) in UNSUPPORTED_VERSION:
                log.info("%s does not support MQTT 5; using 3.1.1", self.link.where)
                return MqttVersion.V311
            return MqttVersion.V5  # it answered in MQTT 5; the actual CONNECT will report the error

    def _make(self, version: str, *, probe: bool = False) -> aiomqtt.Client:
        link, parts = self.link, urlsplit(self.link.url)
        tls = parts.scheme == "mqtts"
        five = version == MqttVersion.V5
        properties = None
        if five and not probe:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = link.session_expiry_s
            properties.ReceiveMaximum = UNACKNOWLEDGED
            properties.MaximumPacketSize = LARGEST
        will = None if probe else self._will
        username = link.username or (unquote(parts.username) if parts.username else None)
        password = link.password or (unquote(parts.password) if parts.password else None)
        client = aiomqtt.Client(
            parts.hostname or "127.0.0.1",
            parts.port or (8883 if tls else 1883),
            username=username,
            password=password,
            identifier=link.client_id + ("-probe" if probe else ""),
            protocol=aiomqtt.ProtocolVersion.V5 if five else aiomqtt.ProtocolVersion.V311,
            will=aiomqtt.Will(will.topic, will.payload, will.qos, will.retain) if will is not None else None,
            clean_session=None if five else True,  # a 3.1.1 session never expires: commands would act much later
            clean_start=probe if five else paho.MQTT_CLEAN_START_FIRST_ONLY,
            properties=properties,
            timeout=math.inf,  # see _in_time
            keepalive=KEEPALIVE_S,
            max_inflight_messages=IN_FLIGHT,
            socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
            tls_context=tls_context(link) if tls else None,
        )
        client.pending_calls_threshold = IN_FLIGHT  # no warning for that many in flight
        return client

    def _linked(self) -> aiomqtt.Client:
        if self._client is None:
            raise ConnectionError(f"{self.link.where}: not connected")
        return self._client


def tls_context(link: BrokerLink) -> ssl.SSLContext:
    """Return a context that verifies the broker by `ca` (default: the system's) and presents the client certificate."""
    context = ssl.create_default_context(cafile=str(link.ca) if link.ca else None)
    if link.cert is not None:
        context.load_cert_chain(link.cert, link.key)
    return context


class Connector:
    """Opens links with a will; keeps the version that the broker supports."""

    def __init__(self, link: BrokerLink) -> None:
        self._link = link
        self._version: str | None = None

    @asynccontextmanager
    async def beside(self, suffix: str) -> AsyncIterator[Bus]:
        """Open a link beside the main one, with an id that ends with a suffix and a session of its own."""
        link = replace(self._link, client_id=f"{self._link.client_id}-{suffix}")
        async with MqttBus(link, None, self._version) as bus:
            yield bus

    @asynccontextmanager
    async def probe(self) -> AsyncIterator[Bus]:
        """Open a link with an id of its own, which ends no other link and has no session."""
        link = replace(self._link, client_id=f"{self._link.client_id}-probe", session_expiry_s=0)
        async with MqttBus(link, None, self._version) as bus:
            self._version = bus.version
            yield bus

    @asynccontextmanager
    async def __call__(self, will: BusMessage) -> AsyncIterator[Bus]:
        """A `Connect`."""
        async with MqttBus(self._link, will, self._version) as bus:
            self._version = bus.version
            yield bus


def _code(error: MqttConnectError) -> object:
    """Return the reason code of a CONNACK."""
    return getattr(error.rc, "value", error.rc)


def _refusal(link: BrokerLink, error: Exception) -> str:
    text = f"no answer within {ANSWER_WITHIN_S:.0f} s" if isinstance(error, TimeoutError) else str(error)
    text = text or type(error).__name__
    return f"the broker {link.where} cannot be used: {text}"
