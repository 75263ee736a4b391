"""Messages as a next version of the same protocol would send them: each with one member more, and one kind more."""

from __future__ import annotations

import msgspec

from gateway.cluster import messages
from gateway.cluster.messages import ClusterMessage, Message

encode = messages.encode


class Later(ClusterMessage, frozen=True):
    """A kind that this version does not have."""

    number: int


def encode_next(message: Message) -> bytes:
    """Return a message with one member more at its end."""
    return msgspec.msgpack.encode([*msgspec.msgpack.decode(encode(message)), {"added": "later"}])


def become_next_version() -> None:
    """Let this process send messages of the next version."""
    messages.encode = encode_next
