"""Event loop of the gateway: sockets of stations have their turn a few at a time.

The event loop of the standard library processes every socket that is ready in one turn, and a task takes one turn for
each thing that it waits for. In a storm of stations a turn would take as long as all of them, and a command, which
waits a few times, some times that. Here a turn has at most `STATIONS_PER_TURN` sockets of stations, in rotation, and
all other sockets: those of the broker, the database, other instances and clients. The rest waits in the kernel, so
that the peers are slowed down.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
import selectors
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from _typeshed import FileDescriptorLike

STATIONS_PER_TURN = 8


@runtime_checkable
class TakesTurns(Protocol):
    """An event loop in which some sockets have their turn a few at a time."""

    def take_turns(self, descriptor: int) -> None:
        """Process a socket in turns from now on, until `forget_turns`."""

    def forget_turns(self, descriptor: int) -> None:
        """Note that a socket is closed."""


class _Keys(Mapping["FileDescriptorLike", selectors.SelectorKey]):
    """Keys of a `TurnsSelector`; a file object has the key of its descriptor."""

    def __init__(self, in_turns: dict[int, selectors.SelectorKey], others: selectors.BaseSelector, gate: int) -> None:
        self._in_turns, self._others, self._gate = in_turns, others.get_map(), gate

    def __getitem__(self, fileobj: FileDescriptorLike) -> selectors.SelectorKey:
        key = self._in_turns.get(_descriptor(fileobj))
        return self._others[fileobj] if key is None else key

    def __iter__(self) -> Iterator[FileDescriptorLike]:
        yield from self._in_turns
        yield from (one for one in self._others if one != self._gate)

    def __len__(self) -> int:
        return len(self._in_turns) + len(self._others) - 1


class TurnsSelector(selectors.BaseSelector):
    """Selector whose `select` returns a few of the sockets that take turns. Linux only (epoll)."""

    def __init__(self, most: int = STATIONS_PER_TURN) -> None:
        self._most = most
        self._others = selectors.EpollSelector()
        self._in_turns = select.epoll()  # it is itself ready when one of its sockets is
        self._keys: dict[int, selectors.SelectorKey] = {}  # of sockets in turns
        self._taking: set[int] = set()  # descriptors that take turns, registered or not
        self._gate = self._others.register(self._in_turns, selectors.EVENT_READ)
        self._map = _Keys(self._keys, self._others, self._gate.fd)

    @property
    def in_turns(self) -> frozenset[int]:
        """Descriptors that take turns."""
        return frozenset(self._taking)

    def take_turns(self, descriptor: int) -> None:
        """See `TakesTurns`."""
        if descriptor in self._taking:
            return
        self._taking.add(descriptor)
        key = self._others.get_map().get(descriptor)
        if key is not None:
            self._others.unregister(descriptor)
            self.register(descriptor, key.events, key.data)

    def forget_turns(self, descriptor: int) -> None:
        """See `TakesTurns`."""
        self._taking.discard(descriptor)
        key = self._keys.get(descriptor)
        if key is not None:
            self.unregister(descriptor)
            self._others.register(descriptor, key.events, key.data)

    def register(self, fileobj: FileDescriptorLike, events: int, data: object = None) -> selectors.SelectorKey:
        """See `selectors.BaseSelector`."""
        descriptor = _descriptor(fileobj)
        if descriptor not in self._taking:
            return self._others.register(fileobj, events, data)
        if descriptor in self._keys:
            raise KeyError(f"{fileobj!r} is already registered")
        self._in_turns.register(descriptor, _mask(events))
        key = self._keys[descriptor] = selectors.SelectorKey(fileobj, descriptor, events, data)
        return key

    def unregister(self, fileobj: FileDescriptorLike) -> selectors.SelectorKey:
        """See `selectors.BaseSelector`."""
        descriptor = _descriptor(fileobj)
        if descriptor not in self._keys:
            return self._others.unregister(fileobj)
        key = self._keys.pop(descriptor)
        with contextlib.suppress(OSError):  # it is closed
            self._in_turns.unregister(descriptor)
        return key

    def modify(self, fileobj: FileDescriptorLike, events: int, data: object = None) -> selectors.SelectorKey:
        """See `selectors.BaseSelector`."""
        descriptor = _descriptor(fileobj)
        before = self._keys.get(descriptor)
        if before is None:
            return self._others.modify(fileobj, events, data)
        if events != before.events:
            self._in_turns.modify(descriptor, _mask(events))
        key = self._keys[descriptor] = selectors.SelectorKey(fileobj, descriptor, events, data)
        return key

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """See `selectors.BaseSelector`."""
        ready = self._others.select(timeout)
        found = [one for one in ready if one[0] is not self._gate]
        if len(found) < len(ready):
            for descriptor, mask in self._in_turns.poll(0, self._most):
                key = self._keys.get(descriptor)
                if key is not None:
                    found.append((key, _events(mask) & key.events))
        return found

    def get_map(self) -> Mapping[FileDescriptorLike, selectors.SelectorKey]:
        """See `selectors.BaseSelector`. The event loop of Python 3.13 finds the key of every socket here."""
        return self._map

    def get_key(self, fileobj: FileDescriptorLike) -> selectors.SelectorKey:
        """See `selectors.BaseSelector`."""
        return self._keys.get(_descriptor(fileobj)) or self._others.get_key(fileobj)

    def close(self) -> None:
        """See `selectors.BaseSelector`."""
        self._in_turns.close()
        self._others.close()


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
