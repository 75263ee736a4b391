"""Orders to the engine of a node, its events, and the datagrams that it sends."""

from __future__ import annotations

from typing import TypeAlias

from protocols.echonet.frames import Eoj, Esv, Frame, Property
from protocols.echonet.values import Value
from protocols.frozen import frozen


@frozen
class Datagram:
    """A datagram for a node (its address), or for all of them (None: multicast)."""

    data: bytes
    destination: str | None


@frozen
class Request:
    """A request to an object of another node. `read` is the second list of SetGet.

    `within_s` and `tries` are those of the node's settings unless they are given.
    """

    node: str
    eoj: Eoj
    esv: Esv
    properties: tuple[Property, ...]
    read: tuple[Property, ...] = ()
    within_s: float | None = None
    tries: int | None = None


@frozen
class Announce:
    """Announce the list of instances, as at the start of a node."""


@frozen
class Discover:
    """Request the list of instances of every node of the network."""


@frozen
class Notify:
    """Announce properties of an own object to all nodes."""

    eoj: Eoj
    epcs: tuple[int, ...]


Order: TypeAlias = Request | Announce | Discover | Notify


@frozen
class NodeFound:
    """A node has sent its list of instances, which is new or has changed."""

    node: str
    instances: tuple[Eoj, ...]


@frozen
class ObjectDescribed:
    """An object has answered with its release and property maps. A release that is not stated is ""."""

    node: str
    eoj: Eoj
    release: str
    get: frozenset[int]
    set: frozenset[int]
    inf: frozenset[int]


@frozen
class RequestAnswered:
    """An object has answered. `answer` is None for SetI, of which silence is the acknowledgement.

    `refused` are properties that the object did not set or has not answered.
    """

    request: Request
    answer: Frame | None
    refused: frozenset[int]


@frozen
class RequestFailed:
    """No answer after all tries."""

    request: Request
    reason: str


@frozen
class PropertiesNotified:
    """Another node has announced values of one of its objects."""

    node: str
    eoj: Eoj
    properties: tuple[Property, ...]


@frozen
class PropertyWritten:
    """Another node has set a property of an own object."""

    node: str
    eoj: Eoj
    epc: int
    value: Value


@frozen
class WriteRefused:
    """Another node has tried to set a property of an own object."""

    node: str
    eoj: Eoj
    epc: int


@frozen
class DatagramIgnored:
    """A datagram without effect."""

    node: str
    reason: str


Event: TypeAlias = (
    NodeFound
    | ObjectDescribed
    | RequestAnswered
    | RequestFailed
    | PropertiesNotified
    | PropertyWritten
    | WriteRefused
    | DatagramIgnored
)
