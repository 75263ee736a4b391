"""Shared by both engines: reception with a cache of the last contents, the cycle of 100 ms, and queues.

A frame whose bytes repeat the last ones only renews its time. Frames of a wrong length and frames of this role from
another device are counted and reported once each; unknown identifiers are counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from protocols.can import CanFrame
from protocols.chademo import timers
from protocols.chademo.events import Event, FrameIgnored
from protocols.chademo.layout import FrameError, Message, decode, encode

MOST_COUNTED = 64  # identifiers with a counter of their own


class Engine:
    """Base of both engines. `ignored` counts frames that were not used, by identifier."""

    own_ids: frozenset[int]
    peer_ids: frozenset[int]

    def __init__(self) -> None:
        self.ignored: Counter[int] = Counter()
        self.seen: dict[int, float] = {}  # time of the last valid frame, by identifier
        self._payloads: dict[int, bytes] = {}
        self._outgoing: list[CanFrame] = []
        self._events: list[Event] = []
        self._next_cycle: float | None = None
        self._cycle_key: tuple[object, ...] = ()
        self._cycle_frames: list[CanFrame] = []

    def receive(self, frame: CanFrame, now: float) -> Sequence[Event]:
        """Process one frame; returns what happened."""
        can_id = frame.can_id
        if self._payloads.get(can_id) == frame.data and not frame.extended:
            self.seen[can_id] = now
            return ()
        if can_id not in self.peer_ids or frame.extended:
            self._ignore(can_id, "sent by another device of this role" if can_id in self.own_ids else "")
            return self._taken()
        try:
            message = decode(frame)
        except FrameError as error:
            self._ignore(can_id, str(error))
            return self._taken()
        self._payloads[can_id] = frame.data
        self.seen[can_id] = now
        if message is not None:
            self._take(message, now)
        return self._taken()

    def expire(self, now: float) -> Sequence[Event]:
        """Process the passage of time: one cycle when it is due."""
        due = self._next_cycle
        if due is not None and now >= due - 1e-9:
            self._next_cycle = due + timers.CYCLE if now - due < timers.CYCLE else now + timers.CYCLE
            self._advance(now)
            self._transmit(now)
        return self._taken()

    def data_to_send(self) -> Sequence[CanFrame]:
        """Return the frames that are due, in order."""
        if not self._outgoing:
            return ()
        outgoing, self._outgoing = self._outgoing, []
        return outgoing

    def deadline(self) -> float | None:
        """Return the time of the next cycle; None while the engine waits for a command."""
        return self._next_cycle

    def skip(self, seconds: float) -> None:
        """Move the next cycle, as if both sides had repeated their frames until then. For emulation only."""
        if self._next_cycle is not None:
            self._next_cycle += seconds
        self.seen = {can_id: at + seconds for can_id, at in self.seen.items()}

    def age(self, can_id: int, now: float) -> float:
        """Return the seconds since the last frame with an identifier; infinite without one."""
        return now - self.seen.get(can_id, float("-inf"))

    def forget(self) -> None:
        """Discard what the peer sent, before a new session."""
        self.seen.clear()
        self._payloads.clear()

    def _ignore(self, can_id: int, reason: str) -> None:
        first = can_id not in self.ignored
        if not first or len(self.ignored) < MOST_COUNTED:
            self.ignored[can_id] += 1
        if first and reason and len(self.ignored) < MOST_COUNTED:
            self._events.append(FrameIgnored(can_id, reason))

    def _taken(self) -> Sequence[Event]:
        if not self._events:
            return ()
        events, self._events = self._events, []
        return events

    def _send_cycle(self, key: tuple[object, ...], build: Callable[[float], Iterable[Message]], now: float) -> None:
        """Send the frames of a cycle, which are those of the last one if all that they depend on is the same."""
        if key != self._cycle_key:
            self._cycle_key, self._cycle_frames = key, [encode(message) for message in build(now)]
        self._outgoing.extend(self._cycle_frames)

    def _take(self, message: Message, now: float) -> None:
        raise NotImplementedError

    def _advance(self, now: float) -> None:
        raise NotImplementedError

    def _transmit(self, now: float) -> None:
        raise NotImplementedError
