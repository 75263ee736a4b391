"""MQTT broker in memory: its `protocols.ports.Bus` connections behave like MQTT 5 (or 3.1.1), in virtual time.

Wildcards, shared subscriptions, retained messages, wills, persistent sessions, message expiry, session takeover,
at-least-once delivery with bounded queues. Fault injection: stop, restart, freeze and loss of connections. No MQTT
packets are encoded: tests over sockets use real brokers.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field, replace

from protocols.ports import BusMessage

QUEUE_WITHIN = 1000  # messages queued for one client; further ones are dropped, as with Mosquitto's max_queued_messages
PAYLOAD_WITHIN = 1 << 20  # bytes
TOPICS_WITHIN = 4096  # whose subscriptions are remembered for one client
TOPIC_WITHIN = 65_535  # bytes, limit of the standard

# Maps (client id, message) to its deliveries: (additional delay in s, message) each. [] loses it.
Tamper = Callable[[str, BusMessage], Iterable[tuple[float, BusMessage]]]


def matches(topic_filter: str, topic: str) -> bool:
    """Return whether a topic matches a filter (MQTT 5, 4.7): `+` one level, `#` the rest, none of `$` topics."""
    return _matches(topic_filter.split("/"), topic.split("/"))


def _matches(pattern: list[str], levels: list[str]) -> bool:
    if levels[0].startswith("$") and pattern[0] in ("+", "#"):
        return False
    for n, level in enumerate(pattern):
        if level == "#":
            return True
        if n >= len(levels) or (level != "+" and level != levels[n]):
            return False
    return len(pattern) == len(levels)


def _check_filter(topic_filter: str) -> None:
    levels = topic_filter.split("/")
    if not topic_filter or len(topic_filter.encode()) > TOPIC_WITHIN or "\0" in topic_filter:
        raise ValueError(f"invalid topic filter: {topic_filter[:80]!r}")
    for n, level in enumerate(levels):
        if ("#" in level and (level != "#" or n != len(levels) - 1)) or ("+" in level and level != "+"):
            raise ValueError(f"a wildcard must be a whole level, # the last one: {topic_filter!r}")


def _check_message(message: BusMessage) -> None:
    topic = message.topic
    if not topic or len(topic.encode()) > TOPIC_WITHIN or "+" in topic or "#" in topic or "\0" in topic:
        raise ValueError(f"invalid topic: {topic[:80]!r}")
    if len(message.payload) > PAYLOAD_WITHIN:
        raise ValueError(f"{len(message.payload)} bytes on {topic}, at most {PAYLOAD_WITHIN}")
    if message.qos not in (0, 1, 2):
        raise ValueError(f"QoS must be 0, 1 or 2, not {message.qos}")


@dataclass(slots=True)
class _Subscription:
    levels: list[str]
    qos: int
    group: str | None = None


@dataclass(slots=True)
class _Session:
    """Session of a client, with or without a connection."""

    client_id: str
    expiry_s: float = 0.0
    subscriptions: dict[str, _Subscription] = field(default_factory=dict)
    queue: deque[tuple[BusMessage, float | None]] = field(default_factory=deque)  # with the expiry time
    connection: MemoryBus | None = None
    disconnected_at: float = 0.0
    _matching: dict[str, list[tuple[str, _Subscription]]] = field(default_factory=dict)  # by topic

    def matching(self, topic: str) -> list[tuple[str, _Subscription]]:
        """Return the subscriptions that match a topic; sites publish on few topics, again and again."""
        found = self._matching.get(topic)
        if found is None:
            levels = topic.split("/")
            found = [(name, one) for name, one in self.subscriptions.items() if _matches(one.levels, levels)]
            if len(self._matching) >= TOPICS_WITHIN:
                self._matching.clear()
            self._matching[topic] = found
        return found

    def subscribe(self, topic_filter: str, subscription: _Subscription) -> None:
        self.subscriptions[topic_filter] = subscription
        self._matching.clear()

    def unsubscribe(self, topic_filter: str) -> None:
        self.subscriptions.pop(topic_filter, None)
        self._matching.clear()


class MemoryBroker:
    """The broker. `client` creates connections; the other methods are for fault injection and inspection."""

    def __init__(
        self,
        queue_within: int = QUEUE_WITHIN,
        on_published: Callable[[str, BusMessage], None] = lambda client, message: None,
    ) -> None:
        """`on_published` is called with the client id and each message that the broker accepted."""
        self.queue_within = queue_within
        self.latency_s = 0.0
        self.tamper: Tamper | None = None
        self.on_published = on_published
        self.published = 0
        self.dropped = 0  # messages, because of full queues
        self._sessions: dict[str, _Session] = {}
        self._retained: dict[str, tuple[BusMessage, float | None]] = {}
        self._running = True
        self._thawed: asyncio.Future[None] | None = None
        self._turns: dict[tuple[str, str], int] = {}

    def client(
        self,
        client_id: str,
        *,
        will: BusMessage | None = None,
        clean_start: bool = True,
        session_expiry_s: float = 0.0,
        version: int = 5,
        acknowledges: bool = False,
    ) -> MemoryBus:
        """Return a connection to enter with `async with`, which raises ConnectionError when the broker is stopped.

        With `acknowledges`, a message of QoS 1 counts as delivered when the client calls `acknowledge`; until then a
        persistent session receives it again.
        """
        return MemoryBus(self, client_id, will, clean_start, session_expiry_s, version, acknowledges)

    def retained(self, topic: str) -> BusMessage | None:
        """Return the retained message of a topic."""
        retained = self._retained.get(topic)
        return retained[0] if retained is not None else None

    def clients(self) -> list[str]:
        """Return the ids of the connected clients."""
        return sorted(name for name, session in self._sessions.items() if session.connection is not None)

    # Fault injection

    def cut(self, client_id: str) -> None:
        """Drop the connection of a client; its will is published."""
        session = self._sessions.get(client_id)
        if session is not None and session.connection is not None:
            connection = session.connection
            self._disconnect(session, "the connection was cut")
            self._send_will(connection)

    def stop(self, *, forget: bool = False) -> None:
        """Stop the broker: connections are lost without wills. `forget` discards sessions and retained messages."""
        self._running = False
        self.thaw()
        for session in list(self._sessions.values()):
            if session.connection is not None:
                self._disconnect(session, "the broker was stopped")
        if forget:
            self._sessions.clear()
            self._retained.clear()

    def start(self) -> None:
        """Start the broker again."""
        self._running = True

    def freeze(self) -> None:
        """Stop processing with connections open: publishing at QoS 1 blocks, nothing is delivered."""
        if self._thawed is None:
            self._thawed = asyncio.get_running_loop().create_future()

    def thaw(self) -> None:
        if self._thawed is not None:
            if not self._thawed.done():
                self._thawed.set_result(None)
            self._thawed = None

    # Used by connections

    def _connect(self, bus: MemoryBus) -> _Session:
        if not self._running:
            raise ConnectionRefusedError("the broker is not running")
        now = _now()
        old = self._sessions.get(bus.client_id)
        if old is not None and old.connection is not None:
            taken = old.connection
            self._disconnect(old, "session taken over by another connection")
            self._send_will(taken)
            old = self._sessions.get(bus.client_id)
        if old is None or bus.clean_start or now - old.disconnected_at > old.expiry_s:
            old = _Session(bus.client_id)
            self._sessions[bus.client_id] = old
        old.expiry_s = bus.session_expiry_s
        old.connection = bus
        return old

    def _disconnect(self, session: _Session, reason: str | None) -> None:
        connection, session.connection = session.connection, None
        session.disconnected_at = _now()
        session.queue = deque(item for item in session.queue if item[0].qos > 0)
        if connection is not None:
            again = [(replace(one, redelivered=True), expires) for one, expires in connection._unacknowledged]
            session.queue.extendleft(reversed(again))
            connection._unacknowledged.clear()
            connection._lose(reason)
        if session.expiry_s <= 0:
            self._sessions.pop(session.client_id, None)

    def _send_will(self, connection: MemoryBus) -> None:
        if connection.will is not None and self._running:
            self._route(connection.client_id, connection.will)

    async def _publish(self, bus: MemoryBus, message: BusMessage) -> None:
        _check_message(message)
        while self._thawed is not None and message.qos > 0:
            await asyncio.shield(self._thawed)
        if bus._session is None:
            raise ConnectionResetError(bus._lost or "the connection is closed")
        if self._thawed is not None:
            return  # QoS 0 into a frozen broker is lost
        if self.latency_s > 0 and message.qos > 0:
            await asyncio.sleep(self.latency_s)
            if bus._session is None:
                raise ConnectionResetError(bus._lost or "the connection is closed")
        self._route(bus.client_id, message)

    def _route(self, sender: str, message: BusMessage) -> None:
        self.published += 1
        self.on_published(sender, message)
        expires = _now() + message.expiry_s if message.expiry_s is not None else None
        if message.retain:
            if message.payload:
                self._retained[message.topic] = (message, expires)
            else:
                self._retained.pop(message.topic, None)
        shared: dict[tuple[str, str], list[tuple[_Session, int]]] = {}
        for session in list(self._sessions.values()):
            best = -1
            for name, subscription in session.matching(message.topic):
                if subscription.group is None:
                    best = max(best, subscription.qos)
                else:
                    shared.setdefault((subscription.group, name), []).append((session, subscription.qos))
            if best >= 0:
                self._deliver(session, _delivered(message, best, session, fresh=True), expires)
        for key, members in shared.items():
            connected = [member for member in members if member[0].connection is not None] or members
            turn = self._turns[key] = self._turns.get(key, -1) + 1
            session, qos = connected[turn % len(connected)]
            self._deliver(session, _delivered(message, qos, session, fresh=True), expires)

    def _deliver(self, session: _Session, message: BusMessage, expires: float | None) -> None:
        ways = [(0.0, message)] if self.tamper is None else self.tamper(session.client_id, message)
        for delay, copy in ways:
            if delay + self.latency_s > 0:
                asyncio.get_running_loop().call_later(delay + self.latency_s, self._enqueue, session, copy, expires)
            else:
                self._enqueue(session, copy, expires)

    def _enqueue(self, session: _Session, message: BusMessage, expires: float | None) -> None:
        if session.connection is None and (message.qos == 0 or session.expiry_s <= 0):
            return
        if len(session.queue) >= self.queue_within:
            self.dropped += 1
            return
        session.queue.append((message, expires))
        if session.connection is not None:
            session.connection._wake()

    def _subscribe(self, session: _Session, topic_filter: str, qos: int) -> None:
        group, name = None, topic_filter
        if topic_filter.startswith("$share/"):
            parts = topic_filter.split("/", 2)
            if len(parts) < 3 or not parts[1]:
                raise ValueError(f"a shared subscription is $share/<group>/<filter>: {topic_filter!r}")
            group, name = parts[1], parts[2]
        _check_filter(name)
        session.subscribe(topic_filter, _Subscription(name.split("/"), qos, group))
        if group is None:  # retained messages do not go to shared subscriptions
            now = _now()
            for message, expires in list(self._retained.values()):
                if (expires is None or expires > now) and matches(name, message.topic):
                    self._deliver(session, _delivered(message, qos, session, fresh=False), expires)


@dataclass(eq=False)
class MemoryBus:
    """Connection of one client; a `protocols.ports.Bus`, connected while its context is entered."""

    broker: MemoryBroker
    client_id: str
    will: BusMessage | None
    clean_start: bool
    session_expiry_s: float
    version: int
    acknowledges: bool
    _unacknowledged: list[tuple[BusMessage, float | None]] = field(default_factory=list)
    _session: _Session | None = None
    _lost: str | None = None
    _reader: asyncio.Future[None] | None = None

    @property
    def connected(self) -> bool:
        return self._session is not None

    @property
    def keeps_session(self) -> bool:
        """True where the next link of this client receives what is not acknowledged at the end of this one."""
        return self.acknowledges and self.session_expiry_s > 0

    async def __aenter__(self) -> MemoryBus:
        self._lost = None
        self._session = self.broker._connect(self)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            self.broker._disconnect(self._session, None)

    async def publish(self, message: BusMessage) -> None:
        if self._session is None:
            raise ConnectionResetError(self._lost or "the connection is closed")
        await self.broker._publish(self, message)

    async def subscribe(self, topic_filter: str, qos: int = 1) -> None:
        if self._session is None:
            raise ConnectionResetError(self._lost or "the connection is closed")
        self.broker._subscribe(self._session, topic_filter, qos)

    async def unsubscribe(self, topic_filter: str) -> None:
        if self._session is None:
            raise ConnectionResetError(self._lost or "the connection is closed")
        self._session.unsubscribe(topic_filter)

    async def messages(self) -> AsyncIterator[BusMessage]:
        while True:
            session = self._session
            if session is None:
                if self._lost is not None:
                    raise ConnectionResetError(self._lost)
                return
            if session.queue and self.broker._thawed is None:
                message, expires = session.queue.popleft()
                if self.acknowledges and message.qos > 0:
                    self._unacknowledged.append((message, expires))
                if expires is None or expires > _now():
                    yield message
                else:
                    self.acknowledge(message)
                continue
            self._reader = asyncio.get_running_loop().create_future()
            thawed = self.broker._thawed
            if thawed is not None:
                thawed.add_done_callback(lambda _: self._wake())
            await self._reader

    def acknowledge(self, message: BusMessage) -> None:
        """Confirm that the client has processed a message."""
        for n, (kept, _) in enumerate(self._unacknowledged):
            if kept is message:
                del self._unacknowledged[n]
                return

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def _lose(self, reason: str | None) -> None:
        self._session = None
        self._lost = reason
        self._wake()


def _delivered(message: BusMessage, qos: int, session: _Session, *, fresh: bool) -> BusMessage:
    """Return the message as a subscriber receives it. MQTT 5 connections keep `retain` as published."""
    qos = min(qos, message.qos)
    version = session.connection.version if session.connection is not None else 5
    if version >= 5:
        return message if qos == message.qos else replace(message, qos=qos)
    retain = message.retain and not fresh
    return BusMessage(message.topic, message.payload, qos=qos, retain=retain)


def _now() -> float:
    return asyncio.get_running_loop().time()
