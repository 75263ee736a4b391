"""Event loop of the gateway: sockets of stations have their turn a few at a time.

The event loop of the standard library processes every socket that is ready in one turn, and a task takes one turn for
each thing that it waits for. In a storm of stations a turn would take as long as all of them, and a command, which
waits a few times, some times that. Here a turn has at most `STATIONS_PER_TURN` sockets of stations, in rotation, and
all other sockets: those of the broker, the database, other instances and clients. The rest waits in the kernel, so
that the peers are slowed down.

To wake for one message costs several times what a turn of the loop costs. Where messages of stations come faster than
two in `PAUSE_S`, a loop that has nothing else to do lets them gather for that time. A turn with as many sockets as it
may have is followed by the next one at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import select
import selectors
import time
from collections.abc import Callable, Iterator, Mapping
from selectors import EVENT_READ
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from _typeshed import FileDescriptorLike

STATIONS_PER_TURN = 8
PAUSE_S = 0.003  # between turns of stations that send a few messages each time
EPOLLIN = select.EPOLLIN if hasattr(select, "epoll") else 0


@runtime_checkable
class TakesTurns(Protocol):
    """An event loop in which some sockets have their turn a few at a time."""

    def take_turns(self, descriptor: int) -> None:
        """Process a socket in turns from now on, until `forget_turns`."""

    def forget_turns(self, descriptor: int) -> None:
        """Note that a socket is closed."""


class _Keys(Mapping["FileDescriptorLike", selectors.SelectorKey]):
    """Keys of a `TurnsSelector`; a file object has the key of its descriptor."""

    def __init__(self, keys: dict[int, selectors.SelectorKey]) -> None:
        self._keys = keys

    def __getitem__(self, fileobj: FileDescriptorLike) -> selectors.SelectorKey:
        return self._keys[_descriptor(fileobj)]

    def __iter__(self) -> Iterator[FileDescriptorLike]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)


class TurnsSelector(selectors.BaseSelector):
    """Selector whose `select` returns a few of the sockets that take turns. Linux only (epoll)."""

    def __init__(self, most: int = STATIONS_PER_TURN, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._clock = most, clock
        self._others, self._in_turns = select.epoll(), select.epoll()
        self._keys: dict[int, selectors.SelectorKey] = {}
        self._map = _Keys(self._keys)
        self._taking: set[int] = set()  # descriptors that take turns, registered or not
        self._gate = self._in_turns.fileno()  # it is itself ready when one of its sockets is
        self._others.register(self._gate, EPOLLIN)
        self._opened = True  # the gate
        self._turn_at = self._pause_until = -math.inf

    @property
    def in_turns(self) -> frozenset[int]:
        """Descriptors that take turns."""
        return frozenset(self._taking)

    def take_turns(self, descriptor: int) -> None:
        """See `TakesTurns`."""
        if descriptor not in self._taking:
            self._taking.add(descriptor)
            self._move(descriptor, self._others, self._in_turns)

    def forget_turns(self, descriptor: int) -> None:
        """See `TakesTurns`."""
        if descriptor in self._taking:
            self._taking.discard(descriptor)
            self._move(descriptor, self._in_turns, self._others)

    def _move(self, descriptor: int, before: select.epoll, after: select.epoll) -> None:
        if (key := self._keys.get(descriptor)) is not None:
            with contextlib.suppress(OSError):  # it was closed without being unregistered, and is another socket now
                before.unregister(descriptor)
            after.register(descriptor, _mask(key.events))

    def _epoll(self, descriptor: int) -> select.epoll:
        return self._in_turns if descriptor in self._taking else self._others

    def register(self, fileobj: FileDescriptorLike, events: int, data: object = None) -> selectors.SelectorKey:
        """See `selectors.BaseSelector`."""
        descriptor = _descriptor(fileobj)
        if descriptor in self._keys:
            raise KeyError(f"{fileobj!r} is already registered")
        self._epoll(descriptor).register(descriptor, _mask(events))
        key = self._keys[descriptor] = selectors.SelectorKey(fileobj, descriptor, events, data)
        return key

    def unregister(self, fileobj: FileDescriptorLike) -> selectors.SelectorKey:
        """See `selectors.BaseSelector`."""
        descriptor = _descriptor(fileobj)
        key = self._keys.pop(descriptor)
        with contextlib.suppress(OSError):  # it is closed
            self._epoll(descriptor).unregister(descriptor)
        return key

    def modify(self, fileobj: FileDescriptorLike, events: int, data: object = None) -> selectors.SelectorKey:
        """See `selectors.BaseSelector`."""
        descriptor = _descriptor(fileobj)
        key = self._keys[descriptor]
        if events != key.events:
            try:
                self._epoll(descriptor).modify(descriptor, _mask(events))
            except OSError:  # as above: it can be registered again, as in the standard library
                del self._keys[descriptor]
                raise
        key = self._keys[descriptor] = key._replace(events=events, data=data)
        return key

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """See `selectors.BaseSelector`."""
        pause_s = self._pause_until - self._clock()
        paused = pause_s > 0
        self._open(not paused)
        ends = paused and (timeout is None or timeout >= pause_s)
        wait_s = pause_s if ends else timeout
        ready = self._others.poll(-1.0 if wait_s is None else max(0.0, math.ceil(wait_s * 1e3) * 1e-3))  # in whole ms
        if (self._gate, EPOLLIN) in ready or (paused and (timeout == 0 or (ends and not ready))):  # it is awake anyway
            ready += self._turn()
        keys = self._keys
        return [
            (key, (EVENT_READ if mask == EPOLLIN else _events(mask)) & key.events)
            for descriptor, mask in ready
            if (key := keys.get(descriptor)) is not None
        ]

    def _turn(self) -> list[tuple[int, int]]:
        """Return some of the sockets in turns that are ready; a pause begins where there are a few."""
        ready = self._in_turns.poll(0, self._most)
        if ready:
            now = self._clock()
            few = len(ready) < self._most and (len(ready) > 1 or now - self._turn_at < PAUSE_S / 2)
            self._turn_at, self._pause_until = now, now + PAUSE_S if few else -math.inf
        return ready

    def _open(self, opened: bool) -> None:
        """Let sockets in turns wake the loop, or not."""
        if opened is not self._opened:
            self._opened = opened
            self._others.modify(self._gate, EPOLLIN if opened else 0)

    def get_map(self) -> Mapping[FileDescriptorLike, selectors.SelectorKey]:
        """See `selectors.BaseSelector`. The event loop of Python 3.13 finds the key of every socket here."""
        return self._map

    def close(self) -> None:
        """See `selectors.BaseSelector`."""
        self._in_turns.close()
        self._others.close()
        self._keys.clear()


class GatewayLoop(asyncio.SelectorEventLoop):
    """Event loop in which sockets may take turns."""

    def __init__(self) -> None:
        self._turns = TurnsSelector()
        super().__init__(self._turns)

    @property
    def in_turns(self) -> frozenset[int]:
        """Descriptors of the sockets that take turns."""
        return self._turns.in_turns

    def take_turns(self, descriptor: int) -> None:
        """See `TakesTurns`."""
        self._turns.take_turns(descriptor)

    def forget_turns(self, descriptor: int) -> None:
        """See `TakesTurns`."""
        self._turns.forget_turns(descriptor)


def make_loop() -> asyncio.AbstractEventLoop:
    """Return a new event loop: a `GatewayLoop` where the system has epoll."""
    return GatewayLoop() if hasattr(select, "epoll") else asyncio.new_event_loop()


def _descriptor(fileobj: FileDescriptorLike) -> int:
    return fileobj if isinstance(fileobj, int) else int(fileobj.fileno())


def _mask(events: int) -> int:
    return (select.EPOLLIN if events & selectors.EVENT_READ else 0) | (
        select.EPOLLOUT if events & selectors.EVENT_WRITE else 0
    )


def _events(mask: int) -> int:
    """Return the events of a mask; an error or the end of a connection is both, as in the standard library."""
    return (selectors.EVENT_READ if mask & ~select.EPOLLOUT else 0) | (
        selectors.EVENT_WRITE if mask & ~select.EPOLLIN else 0
    )
