"""Connections of stations at one instance: their messages go to the holder of the site, and its messages to them.

What the holder sends passes the fence when it is written to the connection, not when it arrives. While a site has no
holder the messages of its stations wait, within limits; a station does not notice a change of the holder.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter, deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Protocol

from gateway.cluster.fence import Fence, Refusal
from gateway.cluster.io import Absent, ClusterError, Records
from gateway.cluster.keys import key_of
from gateway.cluster.lease import Timing
from gateway.cluster.messages import Attach, Attached, Beat, Close, Down, Gone, Links, Message, Up, combined
from protocols.ports import AnswersPing, Clock, PushesText, SendsAtOnce, TextWire

log = logging.getLogger("v2x.cluster")

RETRY_S = 0.5  # of an attachment that found no holder
ATTACH_WITHIN_S = 10.0  # of a holder that is just starting
MAX_WAITING, MAX_WAITING_CHARACTERS = 100, 512 * 1024  # messages of one station while its site has no holder
MAX_ATTACHING = 50  # connections that are attached at the same time
MAX_OWNING = 50  # owners that are written at the same time: more of them delay the renewal of the lease
OWNED_WITHIN_S = 10.0  # of a connection, until it is closed; it stays meanwhile, for a new one costs more
OPENED_WITHIN_S, OPENED_EVERY_S = 3.0, 0.05  # of those that are being opened when the instance is stopped
OWNED_LATE_S = 0.2  # in which no station connects again: after it, this one may have done so meanwhile
ANSWERS_WITHIN_S = 5.0  # of a station whose owner was written late
CALL = "[2"  # a station has one call at a time; one with a space is sent again by the station alone
RESTART = "this gateway is being restarted; connect again"
TRY_AGAIN_LATER, SERVICE_RESTART = 1013, 1012  # WebSocket close codes


class Bus(Protocol):
    """Messages to other instances: `gateway.cluster.routing.Routing`."""

    def send(self, to: str, message: Message) -> None: ...
    async def request(self, to: str, message: Message, within_s: float = ...) -> Message: ...


class Instance(Bus, Protocol):
    """The instance that a site is at: `gateway.cluster.node.Node`."""

    @property
    def name(self) -> str: ...
    def broadcast(self, message: Message) -> None: ...
    def wait_s(self, site: str, last: str) -> float:
        """Return for how long the free lease of a site that an instance (or "") had last is left to others."""


class Owners(Protocol):
    """Records of the owners of stations: `OwnersOf`."""

    async def put(self, station: str, owner: bytes) -> int: ...
    async def delete(self, station: str, epoch: int) -> None: ...


@dataclass(frozen=True, slots=True)
class OwnersOf:
    """Owners of the stations of one site; `prefix` is in front of their names in the records."""

    records: Records
    prefix: str

    async def put(self, station: str, owner: bytes) -> int:
        """Write the owner of a station; return the epoch of the connection."""
        return await self.records.put(key_of(f"{self.prefix}{station}"), owner)

    async def delete(self, station: str, epoch: int) -> None:
        """Delete the record of a connection that has ended, unless there is a later one."""
        await self.records.delete(key_of(f"{self.prefix}{station}"), epoch)


@dataclass(slots=True, eq=False)
class Connection:
    """One connection of a station."""

    wire: TextWire
    station: str
    epoch: int
    security_profile: int
    password: str | None
    attached: bool = False
    attached_before: bool = False
    waiting: deque[str] = field(default_factory=deque)  # messages of the station
    waiting_since: float = 0.0
    characters: int = 0
    unanswered: tuple[int, str] | None = None  # last call of the station, and the term of the holder that has it
    outgoing: deque[Down | Close] = field(default_factory=deque)
    writing: asyncio.Task[None] | None = None  # while something waits to be written
    closed: bool = False
    at_once: SendsAtOnce | None = field(init=False)

    def __post_init__(self) -> None:
        self.at_once = self.wire if isinstance(self.wire, SendsAtOnce) else None


class SiteConnections:
    """Connections of the stations of one site at this instance."""

    def __init__(self, site: str, run: str, bus: Bus, owners: Owners, timing: Timing, clock: Clock) -> None:
        """`run` is the name of the instance, a slash, and what names this run of it."""
        self.site, self._bus, self._owners, self._clock = site, bus, owners, clock
        self._instance, self._run = run.rpartition("/")[0], run
        self._beat_every_s = timing.beat_every_s
        self.fence = Fence(timing.valid_s)
        self.by_station: dict[str, Connection] = {}
        self.holder: str | None = None  # instance
        self.refused: Counter[Refusal] = Counter()
        self.opened = self.rejected = 0  # connections and handshakes so far
        self._slots = asyncio.Semaphore(MAX_ATTACHING)
        self._owning = asyncio.Semaphore(MAX_OWNING)
        self._tasks: set[asyncio.Task[None]] = set()
        self._beat_at = float("-inf")
        self._beats = True  # the last regular message was about connections
        self._opening = 0  # connections that have no epoch yet
        self._draining = False

    def unattached(self) -> int:
        """Return the number of connections that wait for a holder."""
        return sum(not one.attached for one in self.by_station.values())

    def waiting(self) -> tuple[int, float]:
        """Return the number of messages that wait for a holder, and the age of the oldest in s."""
        found, now = [one for one in self.by_station.values() if one.waiting], self._clock.now()
        oldest = min((one.waiting_since for one in found), default=now)
        return sum(len(one.waiting) for one in found), now - oldest

    # the holder

    def held_by(self, instance: str, term: int) -> None:
        """Note the holder of a term; connections are attached to a new one."""
        if term <= self.fence.term and instance == self.holder:
            return
        if term < self.fence.term:
            return
        self.fence, self.holder = self.fence.raised(term), instance
        self.attach_all()

    def attach_all(self) -> None:
        """Attach all connections to the present holder."""
        self.beat()
        for connection in self.by_station.values():
            connection.attached = False
            self._spawn(connection)

    def beat(self) -> None:
        """Send the regular message to the holder."""
        if self.holder is not None:
            now = self._beat_at = self._clock.now()
            attached = [one.epoch for one in self.by_station.values() if one.attached]
            self._beats = bool(self.by_station)
            beat = Beat(self.site, self._instance, self._run, now, len(attached), combined(attached))
            self._bus.send(self.holder, beat)

    def beat_regularly(self) -> None:
        """Send the regular message, but for one that only repeats that nothing is connected."""
        if self.by_station or self._beats:
            self.beat()

    def links(self) -> None:
        """Send the list of all connections, and attach them again."""
        if self.holder is not None:
            epochs = {one.station: one.epoch for one in self.by_station.values()}
            self._bus.send(self.holder, Links(self.site, self._instance, epochs))
            self.attach_all()

    def deliver(self, message: Down | Close) -> None:
        """Write a message of the holder to the connection that it names, at once where nothing waits."""
        connection = self.by_station.get(message.station)
        if connection is None or connection.epoch != message.epoch:
            self.refused[Refusal.EARLIER_CONNECTION] += 1
            return
        at_once = connection.at_once
        if connection.writing is None and at_once is not None and isinstance(message, Down):
            done = not self._admits(message, connection) or at_once.send_at_once(message.text)
            if done:
                return
        connection.outgoing.append(message)
        if connection.writing is None:
            connection.writing = asyncio.get_running_loop().create_task(self._write(connection))

    # a connection

    async def serve(self, wire: TextWire, station: str, security_profile: int, password: str | None = None) -> None:
        """Serve one authenticated connection until it ends."""
        self._opening += 1
        try:
            epoch = await self._epoch(wire, station)
        finally:
            self._opening -= 1
        if epoch is None:
            await wire.close(TRY_AGAIN_LATER, "try again later")
            return
        self.opened += 1
        connection = Connection(wire, station, epoch, security_profile, password)
        before = self.by_station.get(station)
        if before is not None and before.epoch > epoch:
            await wire.close(1000, "replaced by a newer connection")
            return
        self.by_station[station] = connection
        if before is not None:
            await self._close(before, 1000, "replaced by a newer connection")
        self._spawn(connection)
        try:
            await self._read(connection)
        finally:
            connection.closed = True
            if connection.writing is not None:
                connection.writing.cancel()
            await wire.close()
            await self._ended(connection)

    async def _epoch(self, wire: TextWire, station: str) -> int | None:
        """Return the epoch of a new connection; None where it has none, or the station has left it meanwhile."""
        began = self._clock.now()
        epoch = await self._own(station)
        late = self._clock.now() - began > OWNED_LATE_S
        return epoch if epoch is None or not late or await _answers(wire) else None

    async def _own(self, station: str) -> int | None:
        """Write the owner of a connection and return its epoch, None where NATS cannot be used for long."""
        until = self._clock.now() + OWNED_WITHIN_S
        while True:
            try:
                async with self._owning:
                    return await self._owners.put(station, self._instance.encode())
            except ClusterError as error:
                if self._clock.now() >= until or self._draining:
                    log.warning("%s is not connected: %s", station, error)
                    return None
            await self._clock.sleep(RETRY_S * random.uniform(0.5, 1.5))

    async def _ended(self, connection: Connection) -> None:
        if self.by_station.get(connection.station) is connection:
            del self.by_station[connection.station]
        if self.holder is not None and connection.attached_before:
            self._bus.send(self.holder, Gone(self.site, self._instance, connection.station, connection.epoch))
        try:
            async with self._owning:
                await self._owners.delete(connection.station, connection.epoch)
        except ClusterError as error:
            log.info("the owner of %s is not deleted: %s", connection.station, error)

    async def _read(self, connection: Connection) -> None:
        if isinstance(connection.wire, PushesText):
            connection.wire.push_to(lambda text: self._received(connection, text))
        try:
            while (text := await connection.wire.receive()) is not None:
                self._received(connection, text)
        except ConnectionError:
            pass

    def _received(self, connection: Connection, text: str) -> list[str]:
        if connection.attached and self.holder is not None:
            self._up(connection, self.holder, text)
            return []
        if not connection.waiting:
            connection.waiting_since = self._clock.now()
        connection.waiting.append(text)
        connection.characters += len(text)
        if len(connection.waiting) > MAX_WAITING or connection.characters > MAX_WAITING_CHARACTERS:
            connection.waiting.clear()
            connection.characters = 0
            self._start(self._close(connection, TRY_AGAIN_LATER, "the site is not served at present; try again later"))
        return []

    def _admits(self, message: Down | Close, connection: Connection) -> bool:
        """Return whether a message passes the fence now."""
        self.fence, refusal = self.fence.admit(message.term, message.proof, self._clock.now())
        if refusal is not None:
            self.refused[refusal] += 1
        elif isinstance(message, Down) and not message.text.startswith(CALL):
            connection.unanswered = None
        return refusal is None

    async def _write(self, connection: Connection) -> None:
        """Write what passes the fence at the moment of writing, until nothing waits."""
        try:
            while connection.outgoing:
                message = connection.outgoing.popleft()
                if not self._admits(message, connection):
                    continue
                if isinstance(message, Close):
                    await connection.wire.close(message.code, message.reason)
                else:
                    await connection.wire.send(message.text)
        except ConnectionError:
            await connection.wire.close()
        finally:
            connection.writing = None

    # attachment

    def _spawn(self, connection: Connection) -> None:
        self._start(self._attach(connection))

    def _start(self, work: Coroutine[object, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _attach(self, connection: Connection) -> None:
        """Attach a connection to the holder; tried again while there is none, until another task has done it."""
        async with self._slots:
            while not connection.closed and not connection.attached:
                holder, term = self.holder, self.fence.term
                if holder is None:
                    await self._clock.sleep(RETRY_S)
                    continue
                if self._clock.now() - self._beat_at > self._beat_every_s:
                    self.beat()
                try:
                    answer = await self._bus.request(holder, self._message(connection), ATTACH_WITHIN_S)
                except Absent:
                    await self._clock.sleep(RETRY_S)
                    continue
                except ClusterError as error:
                    log.info("%s is not attached yet: %s", connection.station, error)
                    await self._clock.sleep(RETRY_S * random.uniform(0.5, 1.5))
                    continue
                if self.holder != holder or self.fence.term != term:
                    continue
                if not isinstance(answer, Attached):
                    await self._clock.sleep(RETRY_S)
                elif answer.refusal:
                    await self._close(connection, 1008, answer.refusal)
                    return
                else:
                    self._complete(connection, holder)

    def _message(self, connection: Connection) -> Attach:
        return Attach(
            self.site,
            self._instance,
            connection.station,
            connection.epoch,
            connection.wire.subprotocol,
            connection.security_profile,
            connection.wire.peer,
            connection.attached_before,
            connection.password,
        )

    def _complete(self, connection: Connection, holder: str) -> None:
        """Send what the holder does not have yet: the call that an earlier one has not answered, and what waits."""
        connection.attached = connection.attached_before = True
        if connection.unanswered is not None and connection.unanswered[0] != self.fence.term:
            self._up(connection, holder, connection.unanswered[1])
        while connection.waiting:
            self._up(connection, holder, connection.waiting.popleft())
        connection.characters = 0

    def _up(self, connection: Connection, holder: str, text: str) -> None:
        if text.startswith(CALL):
            connection.unanswered = self.fence.term, text
        self._bus.send(holder, Up(self.site, self._instance, connection.station, connection.epoch, text))

    async def _close(self, connection: Connection, code: int, reason: str) -> None:
        connection.closed = True
        await connection.wire.close(code, reason)

    # the end

    async def drain(self, per_s: float) -> None:
        """Close all connections, also those that are being opened, so that their stations connect elsewhere."""
        self._draining, until = True, self._clock.now() + OPENED_WITHIN_S
        while await self.close_all(per_s, RESTART) or (self._opening and self._clock.now() < until):
            await self._clock.sleep(OPENED_EVERY_S)

    async def close_all(self, per_s: float, reason: str, unless: Callable[[], bool] = lambda: False) -> bool:
        """Close the present connections, spread over time, until `unless`; return whether there was one."""
        order = [one for one in self.by_station.values() if not one.closed]
        random.shuffle(order)
        for connection in order:
            if unless():
                break
            self._start(self._close(connection, SERVICE_RESTART, reason))
            await self._clock.sleep(random.uniform(0.0, 2.0 / per_s))
        return bool(order)

    def close(self) -> None:
        """End what runs in the background."""
        for task in self._tasks:
            task.cancel()


async def _answers(wire: TextWire) -> bool:
    """Return whether the station still uses a connection.

    Epochs are in the order of their writes. One that was written late may be higher than that of a connection that the
    station has opened since; then this one is dead, and must not replace the other.
    """
    return not isinstance(wire, AnswersPing) or await wire.answers(ANSWERS_WITHIN_S)
