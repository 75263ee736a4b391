"""Log of the messages of all stations, in both directions, for operators. It is bounded in number and in bytes, and in
memory.

Messages are stored as text: ten thousand decoded payloads would be a million objects for the garbage collector to
traverse. Passwords that a call sets are not stored.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterator
from enum import StrEnum
from itertools import count

import msgspec

from gateway.csms import payload_secrets
from protocols.frozen import frozen
from protocols.ocpp.events import ErrorReceived, ResultReceived
from protocols.ocpp.incoming import HEAD

MAX_MESSAGES = 10_000  # of each: received calls, sent messages, received responses
MAX_BYTES = 16 * 2**20  # of each; usual messages take 4 MB, as many NotifyReports of 20 kB would take 200 MB
BYTES_OF_OTHERS = 4  # per character, of a text that is not ASCII, at most


class Direction(StrEnum):
    """Direction of a message, as the gateway sees it."""

    RECEIVED = "received"
    SENT = "sent"


RECEIVED, SENT = Direction.RECEIVED, Direction.SENT


class Kind(StrEnum):
    """Kind of a message."""

    CALL = "call"  # also a SEND of 2.1, which has no response
    RESULT = "result"
    ERROR = "error"


_KINDS = {2: Kind.CALL, 3: Kind.RESULT, 4: Kind.ERROR, 5: Kind.ERROR, 6: Kind.CALL}


@frozen
class LoggedMessage:
    """A message as it was received or sent. `t` is Unix time; the action of a sent response is that of its call."""

    number: int
    t: float
    station: str
    direction: Direction
    text: str
    action: str = ""

    @property
    def head(self) -> tuple[Kind, str]:
        """Return kind and message id."""
        found = HEAD.match(self.text[:100])
        return (_KINDS.get(int(found[1]), Kind.CALL), found[2]) if found is not None else (Kind.CALL, "")

    @property
    def content(self) -> list[object]:
        """Return the decoded message."""
        return msgspec.json.decode(self.text, type=list[object])


class _Logged(msgspec.Struct, gc=False):
    """Members of a `LoggedMessage`, `sent` True for one that was sent.

    It is none of the objects that the garbage collector traverses: those that are created while as many old ones are
    freed do not cause a collection, and the next one takes 10 ms for all of them.
    """

    number: int
    t: float
    station: str
    sent: bool
    text: str
    action: str


class _Ring:
    """The newest messages of a kind; the newest one is always there."""

    def __init__(self) -> None:
        self._messages: deque[_Logged] = deque()
        self._bytes = 0
        self.displaced: deque[tuple[str, str, str]] = deque()  # by bytes: station, id and action, for their responses

    def append(self, message: _Logged) -> None:
        """Add a message; the oldest ones make room."""
        messages, displaced = self._messages, self.displaced
        messages.append(message)
        self._bytes += _size(message)
        while self._bytes > MAX_BYTES and len(messages) > 1:
            oldest = messages.popleft()
            self._bytes -= _size(oldest)
            shown = _shown(oldest)
            displaced.append((shown.station, shown.head[1], shown.action))
        while len(messages) + len(displaced) > MAX_MESSAGES:
            if displaced:
                displaced.popleft()
            else:
                self._bytes -= _size(messages.popleft())

    def __iter__(self) -> Iterator[LoggedMessage]:
        return map(_shown, self._messages)

    def __reversed__(self) -> Iterator[LoggedMessage]:
        return map(_shown, reversed(self._messages))


def _shown(message: _Logged) -> LoggedMessage:
    direction = SENT if message.sent else RECEIVED
    return LoggedMessage(message.number, message.t, message.station, direction, message.text, message.action)


def _size(message: _Logged) -> int:
    """Return the bytes that the text takes at most."""
    text = message.text
    return len(text) if text.isascii() else len(text) * BYTES_OF_OTHERS


class MessageLog:
    """Recent messages, in rings of their own, so that none of the three displaces another."""

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._number = count()
        self._calls = _Ring()
        self._sent = _Ring()
        self._responses = _Ring()

    def received(self, station: str, action: str, text: str) -> None:
        """Record a call of a station."""
        self._calls.append(_Logged(next(self._number), self._wall(), station, False, text, action))

    def responded(self, station: str, event: ResultReceived | ErrorReceived) -> None:
        """Record the response of a station."""
        if isinstance(event, ResultReceived):
            message: list[object] = [3, event.id, event.payload]
        else:
            message = [4, event.id, event.code, event.description, event.details]
        text = msgspec.json.encode(message).decode()
        self._responses.append(_Logged(next(self._number), self._wall(), station, False, text, str(event.action)))

    def sent(self, station: str, texts: list[str]) -> None:
        """Record messages that were sent to a station."""
        for text in texts:
            shown, action = (text, "") if text[1] in "345" else _call(text)
            self._sent.append(_Logged(next(self._number), self._wall(), station, True, shown, action))

    def newest(
        self, station: str | None, action: str | None, direction: Direction | None, kind: Kind | None
    ) -> Iterator[tuple[LoggedMessage, Kind, str]]:
        """Yield the matching messages with kind and action, newest first."""
        answered: dict[tuple[str, str], str] = {}
        if kind is not Kind.CALL:
            answered = {(station_id, mid): name for station_id, mid, name in self._calls.displaced}
            answered |= {(one.station, one.head[1]): one.action for one in self._calls}
        rings = (reversed(ring) for ring in (self._calls, self._sent, self._responses))
        for one in heapq.merge(*rings, key=lambda message: -message.number):
            if station not in (None, one.station) or direction not in (None, one.direction):
                continue
            of, mid = one.head
            name = one.action or answered.get((one.station, mid), "")
            if kind in (None, of) and action in (None, name):
                yield one, of, name


def _call(text: str) -> tuple[str, str]:
    """Return the text of a sent call without secrets, and its action."""
    message = msgspec.json.decode(text)
    action = str(message[2])
    shown = payload_secrets.without_secrets(action, message[3])
    if shown is not message[3]:
        text = msgspec.json.encode([*message[:3], shown]).decode()
    return text, action
