"""Stations of a site at its holder, whose connections are at other instances.

Each connection is a `TextWire`, so that the CSMS serves it as one of its own. What it sends carries the term and the
proof of the lease, and waits where there is no proof that its receiver would accept; a holder whose lease has run out
sends nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from msgspec.structs import replace

from gateway.cluster.fence import Connections, Refusal
from gateway.cluster.messages import Attach, Attached, Beat, Close, Down, Gone, Links, Message, Resync, Up, combined
from protocols.ports import Clock, TextWire

log = logging.getLogger("v2x.cluster")

ABSENT_AFTER_S = 5.0  # without a regular message of an instance its connections count as lost
DIFFERS_AT_MOST = 3  # regular messages that count other connections although none has changed since the one before
CHANGES_AT_MOST = 30  # such messages in a row while connections change: some are just being attached
MAX_UNPROVED = 20_000  # messages to one instance that wait for a renewal of the lease


class Lease(Protocol):
    """Lease of the holder: `gateway.cluster.site.SiteNode`."""

    @property
    def term(self) -> int: ...
    def may_act(self) -> bool: ...
    def proof(self, instance: str) -> float | None: ...  # None where an effect has to wait for a renewal


class Send(Protocol):
    """See `gateway.cluster.connections.Bus`."""

    def __call__(self, to: str, message: Message) -> None: ...


Serve = Callable[[TextWire, Attach], Awaitable[None]]


class ProvedSender:
    """Sends the effects of the holder to instances with the proof of its lease.

    Without a proof that the receiver would accept they wait for the next renewal, in order; they end with the lease.
    """

    def __init__(self, lease: Lease, send: Send) -> None:
        self._lease, self._send = lease, send
        self._waiting: dict[str, deque[Down | Close]] = {}  # by instance

    def send(self, to: str, effect: Down | Close) -> None:
        """Send an effect, or let it wait."""
        waiting = self._waiting.get(to)
        proof = None if waiting else self._lease.proof(to)
        if proof is not None:
            self._send(to, replace(effect, proof=proof))
            return
        waiting = self._waiting.setdefault(to, deque())
        if len(waiting) < MAX_UNPROVED:
            waiting.append(effect)
        else:
            log.warning("%s: a message is dropped: too many wait for a renewal of the lease", effect.station)

    def renewed(self) -> None:
        """Send what waits and can be proved now."""
        for to, waiting in self._waiting.items():
            while waiting and self._lease.may_act() and (proof := self._lease.proof(to)) is not None:
                self._send(to, replace(waiting.popleft(), proof=proof))

    def forget(self, instance: str) -> None:
        """Drop what waits for an instance that is absent."""
        self._waiting.pop(instance, None)


class RemoteWire:
    """The connection of a station at another instance."""

    def __init__(self, attached: Attach, lease: Lease, effects: ProvedSender) -> None:
        self._attached, self._lease, self._effects = attached, lease, effects
        self._received: asyncio.Queue[str | None] = asyncio.Queue()
        self._sink: Callable[[str], list[str]] | None = None
        self.ended = False
        self.lost = False  # its instance is absent

    @property
    def epoch(self) -> int:
        """Epoch of the connection."""
        return self._attached.epoch

    @property
    def peer(self) -> str:
        """See `TextWire`."""
        return self._attached.peer

    @property
    def subprotocol(self) -> str:
        """See `TextWire`."""
        return self._attached.subprotocol

    def push_to(self, sink: Callable[[str], list[str]]) -> None:
        """Pass messages to `sink`, which returns the messages to send, instead of to `receive`."""
        self._sink = sink
        while not self._received.empty():
            if (text := self._received.get_nowait()) is not None:
                self._push(text)
            else:
                self._received.put_nowait(None)
                break

    def push(self, text: str) -> None:
        """Take a message of the station."""
        if self._sink is None:
            self._received.put_nowait(text)
        elif not self.ended:
            self._push(text)

    def _push(self, text: str) -> None:
        assert self._sink is not None
        for out in self._sink(text):
            self._down(out)

    def end(self) -> None:
        """End the stream from the side of the station."""
        if not self.ended:
            self.ended = True
            self._received.put_nowait(None)

    async def receive(self) -> str | None:
        """See `TextWire`."""
        return await self._received.get()

    async def send(self, text: str) -> None:
        """See `TextWire`."""
        if self.ended or not self._lease.may_act():
            raise ConnectionError("the connection has ended, or the lease of the site")
        self._down(text)

    def _down(self, text: str) -> None:
        if self.ended or not self._lease.may_act():
            return
        one = self._attached
        self._effects.send(one.instance, Down(one.site, self._lease.term, None, one.station, one.epoch, text))

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """See `TextWire`."""
        if self.ended:
            return
        self.end()
        one, lease = self._attached, self._lease
        if lease.may_act():
            effect = Close(one.site, lease.term, None, one.station, one.epoch, code, reason)
            self._effects.send(one.instance, effect)


@dataclass(slots=True)
class _Instance:
    beat_at: float
    differs: int = 0
    differs_in_change: int = 0
    changed: bool = False  # connections, or what is attached, since the last regular message
    wires: dict[str, RemoteWire] = field(default_factory=dict)  # by station


class RemoteStations:
    """All connections of the stations of a site. `serve` runs one until it ends."""

    def __init__(self, site: str, lease: Lease, send: Send, serve: Serve, clock: Clock) -> None:
        self._site, self._lease, self._send, self._serve, self._clock = site, lease, send, serve, clock
        self._effects = ProvedSender(lease, send)
        self._instances: dict[str, _Instance] = {}
        self._connections = Connections()
        self._tasks: set[asyncio.Task[None]] = set()
        self._checked_at = clock.now()
        self.refused: Counter[Refusal] = Counter()
        self.closed = False  # it takes no connections any more

    def attach(self, message: Attach) -> Attached:
        """Take a connection; refused where a later one of the station is known."""
        term = self._lease.term
        known = self._instance(message.instance)
        known.changed = True
        present = known.wires.get(message.station)
        if present is not None and present.epoch == message.epoch and not present.ended:
            return Attached(self._site, term)
        if self._connections.opened(message.station, message.epoch) is not None:
            self.refused[Refusal.EARLIER_CONNECTION] += 1
            return Attached(self._site, term, "replaced by a newer connection")
        if present is not None:
            present.end()
        wire = known.wires[message.station] = RemoteWire(message, self._lease, self._effects)
        task = asyncio.get_running_loop().create_task(self._run(wire, message), name=f"station {message.station}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return Attached(self._site, term)

    async def _run(self, wire: RemoteWire, message: Attach) -> None:
        try:
            await self._serve(wire, message)
        finally:
            await wire.close()
            self._forget(message.instance, message.station, wire)

    def up(self, message: Up) -> None:
        """Pass a message of a station to its connection."""
        wire = self._instance(message.instance).wires.get(message.station)
        refusal = self._connections.admit(message.station, message.epoch)
        if refusal is not None or wire is None or wire.epoch != message.epoch:
            self.refused[Refusal.EARLIER_CONNECTION] += 1
            return
        wire.push(message.text)

    def renewed(self) -> None:
        """Note that the lease was renewed: messages that waited for it are sent."""
        self._effects.renewed()

    def gone(self, message: Gone) -> None:
        """End a connection."""
        wire = self._instance(message.instance).wires.get(message.station)
        if wire is not None and wire.epoch == message.epoch:
            self._forget(message.instance, message.station, wire)
            wire.end()

    def beat(self, message: Beat) -> None:
        """Note that an instance is present; the connections of one whose list differs are requested."""
        known = self._instance(message.instance)
        known.beat_at = self._clock.now()
        epochs = combined(wire.epoch for wire in known.wires.values())
        same = (message.connections, message.epochs) == (len(known.wires), epochs)
        changed, known.changed = known.changed, False
        if same:
            known.differs = known.differs_in_change = 0
        elif changed:
            known.differs_in_change += 1
        else:
            known.differs += 1
        if known.differs > DIFFERS_AT_MOST or known.differs_in_change > CHANGES_AT_MOST:
            known.differs = known.differs_in_change = 0
            self._send(message.instance, Resync(self._site, self._lease.term))

    def links(self, message: Links) -> None:
        """End the connections that an instance does not have."""
        for station, wire in list(self._instance(message.instance).wires.items()):
            if message.epochs.get(station) != wire.epoch:
                self._forget(message.instance, station, wire)
                wire.end()

    def check_presence(self) -> list[str]:
        """End the connections of instances that are silent; return their names. To be called regularly.

        A check that comes late shows that this process did not run: it has not read what the instances sent meanwhile.
        """
        now = self._clock.now()
        late, self._checked_at = now - self._checked_at > ABSENT_AFTER_S / 2, now
        if late:
            for one in self._instances.values():
                one.beat_at = now
        absent = [name for name, one in self._instances.items() if now - one.beat_at > ABSENT_AFTER_S]
        for name in absent:
            wires = self._instances.pop(name).wires
            self._effects.forget(name)
            if wires:
                log.warning("instance %s is absent, with connections of %d stations", name, len(wires))
            for wire in wires.values():
                wire.lost = True  # it may be attached again
                wire.end()
        return absent

    async def shed(self, instance: str, number: int, busy: Callable[[str], bool]) -> None:
        """Close some connections of an instance whose stations are not busy, so that they connect elsewhere."""
        known = self._instances.get(instance)
        free = [] if known is None else [(name, wire) for name, wire in known.wires.items() if not busy(name)]
        for _, wire in free[:number]:
            await wire.close(1012, "connections are being balanced; connect again")

    def connected(self, instance: str) -> int:
        """Return the number of connections of an instance."""
        known = self._instances.get(instance)
        return 0 if known is None else len(known.wires)

    def instances(self) -> list[str]:
        """Return the instances that are present."""
        return list(self._instances)

    def close(self) -> None:
        """Stop serving; the connections stay, for the next holder."""
        self.closed = True
        for one in self._instances.values():
            for wire in one.wires.values():
                wire.ended = True  # what serves it closes it when it is cancelled
        for task in self._tasks:
            task.cancel()

    def _instance(self, name: str) -> _Instance:
        found = self._instances.get(name)
        if found is None:
            found = self._instances[name] = _Instance(self._clock.now())
        return found

    def _forget(self, instance: str, station: str, wire: RemoteWire) -> None:
        known = self._instances.get(instance)
        if known is not None and known.wires.get(station) is wire:
            del known.wires[station]
            known.changed = True
        if not wire.lost:
            self._connections.closed(station, wire.epoch)
