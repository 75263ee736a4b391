"""Requests to other nodes: one at a time to each node, retries, time-outs, and the answers that belong to them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from protocols.echonet.events import Datagram, Event, ObjectDescribed, Request, RequestAnswered, RequestFailed
from protocols.echonet.frames import CONTROLLER, EchonetFrameError, Eoj, Esv, Frame, Property, decode_map
from protocols.echonet.objects import GET_MAP, INF_MAP, SET_MAP, VERSION, release_of
from protocols.errors import LocalProtocolError
from protocols.frozen import frozen

MOST_NODES = 256
MOST_QUEUED = 64  # requests to one node
ANSWERS = {
    Esv.SETI: (Esv.SETI_SNA,),
    Esv.SETC: (Esv.SET_RES, Esv.SETC_SNA),
    Esv.GET: (Esv.GET_RES, Esv.GET_SNA),
    Esv.INF_REQ: (Esv.INF, Esv.INF_SNA),
    Esv.SETGET: (Esv.SETGET_RES, Esv.SETGET_SNA),
    Esv.INFC: (Esv.INFC_RES,),
}
_DESCRIPTION = tuple(Property(epc) for epc in (VERSION, INF_MAP, SET_MAP, GET_MAP))


@frozen
class RequestSettings:
    """Time-outs. Some devices take seconds for an answer."""

    answer_within_s: float = 3.0
    tries: int = 3


@dataclass(slots=True)
class _Pending:
    request: Request
    tid: int
    tries: int = 0
    due: float = 0.0


@dataclass(slots=True)
class _Peer:
    instances: tuple[Eoj, ...] = ()
    confirmed: bool = False  # has answered
    pending: _Pending | None = None
    queue: deque[Request] = field(default_factory=deque)
    to_describe: deque[Eoj] = field(default_factory=deque)


class Requester:
    """Queues of requests by node."""

    def __init__(self, settings: RequestSettings, source: Eoj = CONTROLLER, first_tid: int = 1) -> None:
        self._settings = settings
        self._source = source
        self._tid = first_tid & 0xFFFF
        self._peers: dict[str, _Peer] = {}
        self.outgoing: list[Datagram] = []

    @property
    def nodes(self) -> int:
        """Return the number of known nodes."""
        return len(self._peers)

    def next_tid(self) -> int:
        """Return a transaction id that no recent request has."""
        self._tid = self._tid % 0xFFFF + 1
        return self._tid

    def request(self, order: Request, now: float) -> None:
        """Queue a request. Raises LocalProtocolError if it cannot be sent, or if too many wait."""
        if order.esv not in ANSWERS:
            raise LocalProtocolError(f"{order.esv.name} is no request")
        Frame(0, self._source, order.eoj, order.esv, order.properties, order.read).encode()
        peer = self._peer(order.node)
        if peer is None:
            raise LocalProtocolError(f"more than {MOST_NODES} nodes")
        if len(peer.queue) >= MOST_QUEUED:
            raise LocalProtocolError(f"{MOST_QUEUED} requests to {order.node} wait already")
        peer.queue.append(order)
        self._send_next(order.node, peer, now)

    def found(self, node: str, instances: tuple[Eoj, ...], now: float) -> bool:
        """Record the instances of a node; return whether they are new. Their property maps are requested then."""
        peer = self._peer(node)
        if peer is None or peer.instances == instances:
            return False
        peer.instances = instances
        peer.to_describe = deque(instances)
        self._send_next(node, peer, now)
        return True

    def receive(self, frame: Frame, sender: str, now: float) -> list[Event] | str:
        """Process an answer; return the reason if it belongs to no request."""
        peer = self._peers.get(sender)
        pending = None if peer is None else peer.pending
        if peer is None or pending is None:
            return "no request to this node is pending"
        request = pending.request
        if frame.esv not in ANSWERS[request.esv] or not _same(frame.source, request.eoj):
            return "not the answer to the pending request"
        wanted = {one.epc for one in (*request.properties, *request.read)}
        if frame.tid != pending.tid and not (frame.esv is Esv.INF and wanted <= {one.epc for one in frame.properties}):
            return f"transaction {frame.tid}, {pending.tid} is pending"
        peer.pending, peer.confirmed = None, True
        events: list[Event]
        if request.properties is _DESCRIPTION:
            events = _described(request, frame)
        else:
            events = [RequestAnswered(request, frame, _refused(request, frame))]
        self._send_next(sender, peer, now)
        return events

    def expire(self, now: float) -> list[Event]:
        """Repeat or end requests whose time is over."""
        events: list[Event] = []
        for node, peer in list(self._peers.items()):
            pending = peer.pending
            if pending is None or pending.due > now:
                continue
            if pending.request.esv is Esv.SETI:
                events.append(RequestAnswered(pending.request, None, frozenset()))
            elif pending.tries < (pending.request.tries or self._settings.tries):
                self._send(node, pending, now)
                continue
            else:
                requests = "1 request" if pending.tries == 1 else f"{pending.tries} requests"
                each = " each" if pending.tries > 1 else ""
                reason = f"no answer to {requests} within {self._within_s(pending.request):g} s{each}"
                events.append(RequestFailed(pending.request, reason))
                if pending.request.properties is _DESCRIPTION:
                    peer.instances = ()  # the next list of instances starts again
            peer.pending = None
            self._send_next(node, peer, now)
        return events

    def deadline(self) -> float | None:
        """Return the time at which `expire` is due."""
        return min((one.pending.due for one in self._peers.values() if one.pending is not None), default=None)

    def _within_s(self, request: Request) -> float:
        return request.within_s or self._settings.answer_within_s

    def _peer(self, node: str) -> _Peer | None:
        """Return the state of a node. A node that has never answered gives way to a new one."""
        if node not in self._peers:
            if len(self._peers) >= MOST_NODES:
                idle = (name for name, one in self._peers.items() if not one.confirmed and not one.queue)
                silent = next(idle, None)
                if silent is None:
                    return None
                del self._peers[silent]
            self._peers[node] = _Peer()
        return self._peers[node]

    def _send_next(self, node: str, peer: _Peer, now: float) -> None:
        if peer.pending is not None:
            return
        if peer.queue:
            request = peer.queue.popleft()
        elif peer.to_describe:
            request = Request(node, peer.to_describe.popleft(), Esv.GET, _DESCRIPTION)
        else:
            return
        peer.pending = _Pending(request, self.next_tid())
        self._send(node, peer.pending, now)

    def _send(self, node: str, pending: _Pending, now: float) -> None:
        pending.tries += 1
        pending.due = now + self._within_s(pending.request)
        one = pending.request
        frame = Frame(pending.tid, self._source, one.eoj, one.esv, one.properties, one.read)
        self.outgoing.append(Datagram(frame.encode(), node))


def _same(source: Eoj, wanted: Eoj) -> bool:
    return source == wanted or (wanted.instance == 0 and source.class_code == wanted.class_code)


def _refused(request: Request, frame: Frame) -> frozenset[int]:
    """Return the properties that were not set or are not answered."""
    if request.esv in (Esv.GET, Esv.INF_REQ):
        return frozenset(one.epc for one in request.properties) - _with_data(frame.properties)
    if request.esv is Esv.INFC:
        return frozenset()
    acknowledged = frozenset(one.epc for one in frame.properties if not one.data)
    refused = frozenset(one.epc for one in request.properties) - acknowledged
    return refused | (frozenset(one.epc for one in request.read) - _with_data(frame.read))


def _with_data(properties: tuple[Property, ...]) -> frozenset[int]:
    return frozenset(one.epc for one in properties if one.data)


def _described(request: Request, frame: Frame) -> list[Event]:
    """Return the description of an object; a map that is missing or wrong has no properties."""
    data = {one.epc: one.data for one in frame.properties}
    maps = []
    for epc in (GET_MAP, SET_MAP, INF_MAP):
        try:
            maps.append(decode_map(data.get(epc, b"")))
        except EchonetFrameError:
            maps.append(frozenset())
    return [ObjectDescribed(request.node, frame.source, release_of(data.get(VERSION, b"")), *maps)]
