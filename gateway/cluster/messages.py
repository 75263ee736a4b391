"""Messages between the instances of a cluster, in MessagePack.

Those of the holder of a site to an instance with connections of its stations carry the term of its lease and the proof
of it (`gateway.cluster.fence`); those about one connection carry its epoch.

Instances of two versions serve a site together while their `PROTOCOL` is the same. Within one protocol a version may
add a kind of message, and members at the end of one, with defaults: another version ignores a message that it does not
know, refuses a request that it does not know at once, and ignores members that it does not know. Every other change
needs another `PROTOCOL`: an instance does not start beside one of another protocol (`gateway.cluster.node`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from operator import xor
from typing import TypeAlias

import msgspec

PROTOCOL = 1
MAX_BYTES = 768 * 1024  # of one message: NATS transports 1 MB by default


class ClusterMessage(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Base of all messages. `site` is the name of the site that it concerns."""

    site: str


class Attach(ClusterMessage, frozen=True):
    """A connection of a station, to the holder; the answer is `Attached`. A repeated one changes nothing."""

    instance: str
    station: str
    epoch: int
    subprotocol: str
    security_profile: int
    peer: str
    resumes: bool  # the connection is older than the holder's term: the station does not notice
    password: str | None = None  # digest of the hash of the password in force at the instance


class Attached(ClusterMessage, frozen=True):
    """Answer to `Attach`. With a reason the connection is to be closed."""

    term: int
    refusal: str = ""


class Up(ClusterMessage, frozen=True):
    """A message of a station, to the holder."""

    instance: str
    station: str
    epoch: int
    text: str


class Gone(ClusterMessage, frozen=True):
    """A connection has ended, to the holder."""

    instance: str
    station: str
    epoch: int


class Beat(ClusterMessage, frozen=True):
    """Regular message of an instance to the holder: its time stamp, and a summary of its connections."""

    instance: str
    run: str  # time stamps of another run of the instance prove nothing
    stamp: float
    connections: int
    epochs: int  # see `combined`


def combined(epochs: Iterable[int]) -> int:
    """Return one number that differs for other sets of epochs, whatever their order."""
    return reduce(xor, epochs, 0)


class Links(ClusterMessage, frozen=True):
    """All connections of an instance, to a holder whose list differs."""

    instance: str
    epochs: dict[str, int]


class Noticed(ClusterMessage, frozen=True):
    """A rejected handshake or a security event at an instance, to the holder."""

    kind: str  # empty for a rejected handshake
    station: str
    text: str
    address: str = ""
    path: str = ""


class Down(ClusterMessage, frozen=True):
    """A message to a station."""

    term: int
    proof: float | None
    station: str
    epoch: int
    text: str


class Close(ClusterMessage, frozen=True):
    """The order to close a connection."""

    term: int
    proof: float | None
    station: str
    epoch: int
    code: int
    reason: str


class Hello(ClusterMessage, frozen=True):
    """A holder has started, to all instances."""

    instance: str
    term: int


class Resync(ClusterMessage, frozen=True):
    """The order to send `Links` and to attach all connections again."""

    term: int


class Barrier(ClusterMessage, frozen=True):
    """Request of a holder before it releases its lease; answered with `Done` when all before it has been processed."""

    term: int


class Done(ClusterMessage, frozen=True):
    """Empty answer."""


class Failed(ClusterMessage, frozen=True):
    """A request could not be served."""

    reason: str


class HttpRequest(ClusterMessage, frozen=True):
    """A request to the admin API or the page (`app`), to the holder; `HttpPart`s go to `reply_to`."""

    app: str
    request: str  # id
    instance: str
    method: str
    path: str
    query: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes
    client: str


class HttpPart(ClusterMessage, frozen=True):
    """A part of a response; the first has status and headers."""

    request: str
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    more: bool


class HttpEnded(ClusterMessage, frozen=True):
    """The client has closed its connection, to the holder."""

    request: str


Message: TypeAlias = (
    Attach | Attached | Up | Gone | Beat | Links | Noticed | Down | Close | Hello | Resync | Barrier | Done | Failed
    | HttpRequest | HttpPart | HttpEnded
)  # fmt: skip

_ENCODER = msgspec.msgpack.Encoder()
_DECODER: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Message)
_BATCH: msgspec.msgpack.Decoder[list[msgspec.Raw]] = msgspec.msgpack.Decoder(list[msgspec.Raw])
_BEGINS_BATCH = b"\xc1"  # a byte that MessagePack does not use


def encode(message: Message) -> bytes:
    """Return the bytes of a message."""
    return _ENCODER.encode(message)


def decode(data: bytes | msgspec.Raw) -> Message | None:
    """Return the message, None for one that is not known."""
    try:
        return _DECODER.decode(data)
    except msgspec.MsgspecError:
        return None


def pack(batch: Sequence[bytes]) -> bytes:
    """Return encoded messages as one."""
    return batch[0] if len(batch) == 1 else _BEGINS_BATCH + _ENCODER.encode([msgspec.Raw(one) for one in batch])


def unpack(data: bytes) -> list[Message]:
    """Return the messages that were sent as one, without those that are not known."""
    if data[:1] != _BEGINS_BATCH:
        message = decode(data)
        return [] if message is None else [message]
    try:
        return [found for one in _BATCH.decode(memoryview(data)[1:]) if (found := decode(one)) is not None]
    except msgspec.MsgspecError:
        return []
