"""WebSocket connection of a station that is read no faster than its rates permit, and only while it reads itself.

Frames of every kind (messages, their fragments, pings and pongs) and bytes have a rate per connection and one per
address. Beyond them the socket is not read (back-pressure): nothing is lost, and a flood delays only its sender. A
connection within a small share of its burst is not delayed by others of its address. A peer that does not read is not
read either, so that responses to it do not accumulate.
"""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from collections.abc import Callable

from websockets.frames import Frame
from websockets.protocol import Event

from gateway.csms.settings import CsmsSettings
from gateway.event_loop import TakesTurns
from gateway.failed_logins import network
from gateway.rate_limit import TokenBucket
from protocols.ocpp.io import PushingConnection

FRAMES_PER_CALL = 2.0  # permitted frames per permitted call: calls, responses and control frames
BYTES_PER_S, BURST_BYTES = 524_288.0, 16_777_216.0  # of one connection; a burst has two messages of the largest size
ADDRESS_SHARE = 10.0  # rates of an address, in those of one connection
CALM_SHARE = 0.1  # of the burst of a connection that others of its address do not delay
SLICE = 4096  # bytes that are processed before other connections have their turn
MAX_WITHOUT_REQUEST = 256  # connections of one address that have not sent their request
MAX_ADDRESSES = 10_000
TLS_HANDSHAKE = b"\x16"  # its first byte
CALL = re.compile(rb"\s*\[\s*2\b")  # the beginning of a message that has a response


class _Rates:
    """Rates of one connection or one address."""

    __slots__ = ("content", "frames")

    def __init__(self, settings: CsmsSettings, share: float) -> None:
        rate, burst = settings.max_calls_per_s * FRAMES_PER_CALL, settings.max_burst * FRAMES_PER_CALL
        longest = 4.0 * settings.max_transaction_message
        self.frames = TokenBucket(share * rate, share * burst)
        self.content = TokenBucket(share * BYTES_PER_S, share * max(BURST_BYTES, longest))

    def spend(self, frames: int, size: int, now: float) -> float:
        """Count what was received; return the time until more may be, in s."""
        frames_s, content_s = self.frames.spend(now, frames), self.content.spend(now, size)
        return frames_s if frames_s > content_s else content_s

    @property
    def calm(self) -> bool:
        """True while little of the burst is spent."""
        return self.frames.share > 1.0 - CALM_SHARE and self.content.share > 1.0 - CALM_SHARE


class Addresses:
    """Rates of the addresses that are connected, and their connections without a request.

    `tls_at_plain_port` is called with the address of a client that begins a TLS handshake without need.
    """

    def __init__(self, settings: CsmsSettings, tls_at_plain_port: Callable[[str], None]) -> None:
        self.settings = settings
        self.tls_at_plain_port = tls_at_plain_port
        self._rates: OrderedDict[str, _Rates] = OrderedDict()
        self._without_request: dict[str, OrderedDict[RatedConnection, None]] = {}
        self.connections: set[RatedConnection] = set()  # that are not lost

    def rates(self, address: str) -> _Rates:
        """Return the rates of an address."""
        found = self._rates.pop(address, None) or _Rates(self.settings, ADDRESS_SHARE)
        self._rates[address] = found
        if len(self._rates) > MAX_ADDRESSES:
            self._rates.popitem(last=False)
        return found

    def opened(self, connection: RatedConnection) -> None:
        """Register a connection; too many without a request end the oldest of them."""
        self.connections.add(connection)
        waiting = self._without_request.setdefault(connection.network, OrderedDict())
        waiting[connection] = None
        if len(waiting) > MAX_WITHOUT_REQUEST:
            waiting.popitem(last=False)[0].transport.abort()

    def requested(self, connection: RatedConnection) -> None:
        """Remove a connection that has sent its request, or has ended, from those that wait."""
        waiting = self._without_request.get(connection.network)
        if waiting is not None:
            waiting.pop(connection, None)
            if not waiting:
                del self._without_request[connection.network]


class RatedConnection(PushingConnection):
    """See the module."""

    def __init__(self, *args: object, addresses: Addresses, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self._addresses = addresses
        self._own = _Rates(addresses.settings, 1.0)
        self._unread = bytearray()  # received, not processed
        self._next: asyncio.Handle | None = None  # of the next slice
        self._stopped = False  # it is not read
        self.network = ""
        self.frames = 0
        self._began = False  # has received
        self._on_response: Callable[[], None] | None = None
        self._frames_before = 0
        self.asked_at: float | None = None  # when the first call after `on_response` was received, by the loop
        self._descriptor: int | None = None  # that takes turns

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Implement `asyncio.Protocol`."""
        self.network = network((transport.get_extra_info("peername") or ("",))[0])
        self._shared = self._addresses.rates(self.network)
        socket = transport.get_extra_info("socket")
        if socket is not None and socket.fileno() >= 0 and isinstance(self.loop, TakesTurns):
            self._descriptor = socket.fileno()
            self.loop.take_turns(self._descriptor)
        super().connection_made(transport)
        self._addresses.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Implement `asyncio.Protocol`."""
        if self._next is not None:
            self._next.cancel()
        if self._descriptor is not None and isinstance(self.loop, TakesTurns):
            self.loop.forget_turns(self._descriptor)
        self._addresses.requested(self)
        self._addresses.connections.discard(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Implement `asyncio.Protocol`."""
        if not self._began:
            self._began = True
            if data.startswith(TLS_HANDSHAKE):
                self._addresses.tls_at_plain_port(self.network)
        if self._next is None and not self.paused and not self._unread and len(data) <= SLICE:
            self._process_part(data)
            return
        self._unread += data
        if self._next is None and not self.paused:
            self._process()
        else:
            self._pause()

    def eof_received(self) -> None:
        """Implement `asyncio.Protocol`."""
        if self._unread:
            super().data_received(bytes(self._unread))
            self._unread.clear()
        super().eof_received()

    def resume_writing(self) -> None:
        """Implement `asyncio.Protocol`: the peer reads again."""
        super().resume_writing()
        if self._next is None:
            self._next = self.loop.call_soon(self._process)

    def process_event(self, event: Event) -> None:
        """Process one frame, or the handshake."""
        self.frames += 1
        if self.request is None:
            self._addresses.requested(self)
        elif self._on_response is not None and self.asked_at is None and _is_call(event):
            self.asked_at = self.loop.time()
        super().process_event(event)

    def on_response(self, call: Callable[[], None] | None) -> None:
        """Call once something is sent after more was received."""
        self._on_response, self._frames_before, self.asked_at = call, self.frames, None

    @property
    def waits_for_response(self) -> bool:
        """True from the first frame after `on_response` until something is sent."""
        return self._on_response is not None and self.frames > self._frames_before

    def send_data(self) -> None:
        """Send what waits in the protocol."""
        super().send_data()
        if self._on_response is not None and self.frames > self._frames_before:
            self._on_response()

    def _process(self) -> None:
        """Process one slice; the next one has its turn after other connections, or when the rates permit."""
        self._next = None
        if self.transport.is_closing():
            return
        part = bytes(self._unread[:SLICE])
        del self._unread[:SLICE]
        self._process_part(part)

    def _process_part(self, part: bytes) -> None:
        before = self.frames
        if part:
            super().data_received(part)
        now, used = self.loop.time(), self.frames - before
        shared_s, own_s = self._shared.spend(used, len(part), now), self._own.spend(used, len(part), now)
        wait_s = own_s if shared_s <= own_s or self._own.calm else shared_s
        if self.paused:
            self._pause()  # until `resume_writing`
        elif wait_s > 0 or self._unread:
            self._pause()
            self._next = self.loop.call_later(wait_s, self._process)
        elif self._stopped and not self.recv_messages.paused and not self.transport.is_closing():
            self._stopped = False
            self.transport.resume_reading()

    def _pause(self) -> None:
        if not self.transport.is_closing():
            self._stopped = True
            self.transport.pause_reading()


def _is_call(event: Event) -> bool:
    return isinstance(event, Frame) and CALL.match(event.data) is not None
