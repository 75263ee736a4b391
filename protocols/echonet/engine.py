"""Engine of a node: answers for its own objects, announces changes, discovers other nodes and requests their values.

A device has own objects and orders nothing; a controller has the controller object and orders requests; a gateway is
both. Only the address of the sender identifies a node, since all nodes use port 3610.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Sequence

from protocols.echonet.events import (
    Announce,
    Datagram,
    DatagramIgnored,
    Discover,
    Event,
    NodeFound,
    Notify,
    Order,
    PropertiesNotified,
    PropertyWritten,
    Request,
    WriteRefused,
)
from protocols.echonet.frames import CONTROLLER, NODE_PROFILE, EchonetFrameError, Eoj, Esv, Frame, Property
from protocols.echonet.objects import (
    INSTANCE_LIST,
    INSTANCE_NOTIFICATION,
    VERSION,
    FixedValues,
    LocalObject,
    node_profile,
    version,
)
from protocols.echonet.requests import Requester, RequestSettings
from protocols.echonet.senders import Senders
from protocols.echonet.values import Value
from protocols.errors import LocalProtocolError
from protocols.frozen import frozen

MOST_WAITING = 256  # datagrams; the oldest one is dropped
MOST_COUNTED = 32  # reasons
LONGEST_ANSWER = 1400  # bytes; properties that do not fit are not answered
UNKNOWN_MAKER = b"\xff\xff\xff"
_REQUESTS = frozenset({Esv.SETI, Esv.SETC, Esv.GET, Esv.INF_REQ, Esv.SETGET, Esv.INFC})
_REFUSALS = {Esv.SETC: Esv.SETC_SNA, Esv.SETI: Esv.SETI_SNA}


@frozen
class NodeSettings:
    """Times and limits of a node. None switches the repetition, or the limit, off."""

    requests: RequestSettings = RequestSettings()
    watch_every_s: float | None = 1.0  # comparison of the values that are announced on change
    discover_every_s: float | None = None
    finds: bool = True  # nodes that announce themselves are found and described
    requests_per_s: float | None = None  # of each node to own objects
    controllers: frozenset[str] = frozenset()  # nodes that may set properties; empty: all


def controller_object() -> LocalObject:
    """Return the object of a node without devices."""
    values: dict[int, Value] = {0x80: True, 0x81: b"\x00", VERSION: version("R"), 0x88: False, 0x8A: UNKNOWN_MAKER}
    return LocalObject(CONTROLLER, FixedValues(values), values)


class Node:
    """A node with the engine contract. `ignored` counts datagrams without effect, by reason."""

    def __init__(
        self,
        objects: Collection[LocalObject] = (),
        settings: NodeSettings | None = None,
        *,
        maker: bytes = UNKNOWN_MAKER,
        node_id: bytes = b"\x01",
        first_tid: int = 1,
    ) -> None:
        self._own = tuple(objects) or (controller_object(),)
        self._maker, self._node_id = maker, node_id
        self._settings = settings or NodeSettings()
        self._objects: dict[Eoj, LocalObject] = {}
        self.add(())
        self._requester = Requester(self._settings.requests, self._own[0].eoj, first_tid)
        self._senders = Senders(self._settings.requests_per_s, self._settings.controllers)
        self._outgoing: deque[Datagram] = deque(maxlen=MOST_WAITING)
        self._announced: dict[tuple[Eoj, int], bytes | None] = {}
        self._watch_at: float | None = None
        self._discover_at: float | None = None
        self.ignored: Counter[str] = Counter()

    def add(self, objects: Collection[LocalObject]) -> None:
        """Add own objects, before the node announces itself. Raises LocalProtocolError for one that it has."""
        self._own = (*self._own, *objects)
        profile = node_profile(self._own, self._maker, self._node_id)
        self._objects = {one.eoj: one for one in (*self._own, profile)}

    # the engine contract

    def receive(self, data: bytes, sender: str, now: float) -> list[Event]:
        """Process a datagram."""
        try:
            frame = Frame.decode(data)
        except EchonetFrameError as error:
            return [self._ignore(sender, "no valid frame", str(error))]
        if frame.esv in _REQUESTS:
            if not self._senders.permit(sender, now):
                return [self._ignore(sender, "too many requests", f"more than {self._settings.requests_per_s:g} per s")]
            return self._requested(frame, sender, now)
        events: list[Event] = []
        if frame.esv is Esv.INF:
            events += self._notified(frame, sender, now)
        elif frame.source == NODE_PROFILE and frame.esv is Esv.GET_RES:
            events += self._instances(frame, sender, now)
        result = self._requester.receive(frame, sender, now)
        if not isinstance(result, str):
            return events + result
        known = events or frame.esv is Esv.INF or (frame.source == NODE_PROFILE and frame.esv is Esv.GET_RES)
        return events if known else [self._ignore(sender, "no answer to a pending request", result)]

    def command(self, order: Order, now: float) -> list[Event]:
        """Start a request, a discovery or an announcement. Raises LocalProtocolError."""
        match order:
            case Request():
                self._requester.request(order, now)
            case Announce():
                self._announce(NODE_PROFILE, (INSTANCE_NOTIFICATION,), now)
                self._watch_at = None if self._settings.watch_every_s is None else now
            case Discover():
                self._discover(now)
            case Notify():
                if order.eoj not in self._objects:
                    raise LocalProtocolError(f"this node has no object {order.eoj}")
                self._announce(order.eoj, order.epcs, now)
        return []

    def expire(self, now: float) -> list[Event]:
        """Process the passage of time."""
        if self._watch_at is not None and self._watch_at <= now and self._settings.watch_every_s is not None:
            self._watch(now)
            self._watch_at = now + self._settings.watch_every_s
        if self._discover_at is not None and self._discover_at <= now:
            self._discover(now)
        return self._requester.expire(now)

    def deadline(self) -> float | None:
        """Return the time at which `expire` is due, None for never."""
        times = (self._requester.deadline(), self._watch_at, self._discover_at)
        return min((when for when in times if when is not None), default=None)

    def data_to_send(self) -> Sequence[Datagram]:
        """Return the datagrams to send, and remove them."""
        found = [*self._outgoing, *self._requester.outgoing]
        self._outgoing.clear()
        self._requester.outgoing.clear()
        return found

    def last_request(self, sender: str) -> float | None:
        """Return when a node sent its last request to an own object, with a limit of requests; None if unknown."""
        return self._senders.last_request(sender)

    def may_order(self, sender: str) -> bool:
        """Return whether a node may set properties."""
        return not self._settings.controllers or sender.partition("%")[0] in self._settings.controllers

    # own objects

    def _requested(self, frame: Frame, sender: str, now: float) -> list[Event]:
        events: list[Event] = []
        wanted = frame.destination
        if frame.esv is Esv.INFC:
            events += self._notified(frame, sender, now)
        targets = [one for eoj, one in self._objects.items() if eoj == wanted]
        if wanted.instance == 0:
            targets = [one for eoj, one in self._objects.items() if eoj.class_code == wanted.class_code]
        if not targets:
            return [*events, self._ignore(sender, "for an object that this node does not have", str(wanted))]
        self._senders.requested(sender, now)
        for target in targets:
            events += self._answer(target, frame, sender, now)
        return events

    def _answer(self, target: LocalObject, frame: Frame, sender: str, now: float) -> list[Event]:
        events: list[Event] = []
        space = LONGEST_ANSWER
        match frame.esv:
            case Esv.GET | Esv.INF_REQ:
                found, complete = _read(target, frame.properties, now, space)
                if frame.esv is Esv.GET:
                    self._reply(target, frame, Esv.GET_RES if complete else Esv.GET_SNA, found, sender)
                else:
                    self._reply(target, frame, *((Esv.INF, found, None) if complete else (Esv.INF_SNA, found, sender)))
            case Esv.SETI | Esv.SETC:
                found, events = self._write(target, frame.properties, sender, now)
                if any(isinstance(one, WriteRefused) for one in events):
                    self._reply(target, frame, _REFUSALS[frame.esv], found, sender)
                elif frame.esv is Esv.SETC:
                    self._reply(target, frame, Esv.SET_RES, found, sender)
            case Esv.SETGET:
                written, events = self._write(target, frame.properties, sender, now)
                read, complete = _read(target, frame.read, now, space)
                complete = complete and not any(isinstance(one, WriteRefused) for one in events)
                esv = Esv.SETGET_RES if complete else Esv.SETGET_SNA
                self._reply(target, frame, esv, written, sender, read)
            case Esv.INFC:
                acknowledged = tuple(Property(one.epc) for one in frame.properties)
                self._reply(target, frame, Esv.INFC_RES, acknowledged, sender)
        changed = tuple(one.epc for one in events if isinstance(one, PropertyWritten) and one.epc in target.inf)
        if changed:
            self._announce(target.eoj, changed, now)
        return events

    def _write(
        self, target: LocalObject, properties: tuple[Property, ...], sender: str, now: float
    ) -> tuple[tuple[Property, ...], list[Event]]:
        """Set properties in their order; what is refused keeps its value in the answer."""
        answer: list[Property] = []
        events: list[Event] = []
        allowed = self.may_order(sender)
        if not allowed:
            self._ignore(sender, "an order of a node that is no controller", str(target.eoj))
        for one in properties:
            value = target.write(one.epc, one.data, now) if allowed else None
            answer.append(one if value is None else Property(one.epc))
            if value is None:
                events.append(WriteRefused(sender, target.eoj, one.epc))
            else:
                events.append(PropertyWritten(sender, target.eoj, one.epc, value))
        return tuple(answer), events

    def _reply(
        self,
        target: LocalObject,
        frame: Frame,
        esv: Esv,
        properties: tuple[Property, ...],
        destination: str | None,
        read: tuple[Property, ...] = (),
    ) -> None:
        addressed = frame.source if destination is not None else NODE_PROFILE
        answer = Frame(frame.tid, target.eoj, addressed, esv, properties, read)
        self._outgoing.append(Datagram(answer.encode(), destination))

    def _announce(self, eoj: Eoj, epcs: tuple[int, ...], now: float) -> None:
        properties = []
        for epc in epcs:
            value = self._objects[eoj].value(epc, now)
            if value is not None:
                properties.append(Property(epc, value))
                self._announced[eoj, epc] = value
        if properties:
            frame = Frame(self._requester.next_tid(), eoj, NODE_PROFILE, Esv.INF, tuple(properties))
            self._outgoing.append(Datagram(frame.encode(), None))

    def _watch(self, now: float) -> None:
        """Announce values that have changed; the first comparison announces nothing."""
        for eoj, one in self._objects.items():
            if eoj == NODE_PROFILE:
                continue
            changed = []
            for epc in sorted(one.inf):
                value = one.value(epc, now)
                if self._announced.setdefault((eoj, epc), value) != value:
                    changed.append(epc)
            if changed:
                self._announce(eoj, tuple(changed), now)

    # other nodes

    def _discover(self, now: float) -> None:
        every = self._settings.discover_every_s
        self._discover_at = None if every is None else now + every
        source = next(iter(self._objects))
        frame = Frame(self._requester.next_tid(), source, NODE_PROFILE, Esv.GET, (Property(INSTANCE_LIST),))
        self._outgoing.append(Datagram(frame.encode(), None))

    def _notified(self, frame: Frame, sender: str, now: float) -> list[Event]:
        events = self._instances(frame, sender, now) if frame.source == NODE_PROFILE else []
        return [PropertiesNotified(sender, frame.source, frame.properties), *events]

    def _instances(self, frame: Frame, sender: str, now: float) -> list[Event]:
        """Process the list of instances of a node."""
        for one in frame.properties if self._settings.finds else ():
            if one.epc not in (INSTANCE_NOTIFICATION, INSTANCE_LIST) or not one.data:
                continue
            count, listed = one.data[0], one.data[1:]
            if len(listed) != 3 * count:
                return [self._ignore(sender, "a list of instances of a wrong length", listed[:16].hex())]
            instances = tuple(Eoj.unpack(listed[at : at + 3]) for at in range(0, len(listed), 3))
            if self._requester.found(sender, instances, now):
                return [NodeFound(sender, instances)]
        return []

    def _ignore(self, sender: str, reason: str, detail: str) -> DatagramIgnored:
        if reason in self.ignored or len(self.ignored) < MOST_COUNTED:
            self.ignored[reason] += 1
        return DatagramIgnored(sender, f"{reason}: {detail}")


def _read(
    target: LocalObject, properties: tuple[Property, ...], now: float, space: int
) -> tuple[tuple[Property, ...], bool]:
    """Return the values that can be read, of all the bytes that an answer may have, and whether these are all."""
    found, complete = [], True
    space -= 2 * len(properties)
    for one in properties:
        value = target.read(one.epc, now)
        if value is None or len(value) > space:
            value, complete = b"", False
        space -= len(value)
        found.append(Property(one.epc, value))
    return tuple(found), complete
