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
UNCOUNTED_SHARE = 0.05  # of the burst of a calm connection that is counted later, together
MAX_WITHOUT_REQUEST = 256  # connections of one address that have not sent their request
MAX_ADDRESSES = 10_000
TLS_HANDSHAKE = b"\x16"  # its first byte
SLICE = 4096  # bytes that are read before other connections have their turn; the rest waits in the kernel
_BUFFER = memoryview(bytearray(SLICE))  # of all connections: what is read is processed at once
CALL = re.compile(rb"\s*\[\s*2\b")  # the beginning of a message that has a response


class _Rates:
    """Rates of one connection or one address."""

    __slots__ = ("content", "few_bytes", "few_frames", "frames")

    def __init__(self, settings: CsmsSettings, share: float) -> None:
        rate, burst = settings.max_calls_per_s * FRAMES_PER_CALL, settings.max_burst * FRAMES_PER_CALL
        longest = 4.0 * settings.max_transaction_message
        self.frames = TokenBucket(share * rate, share * burst)
        self.content = TokenBucket(share * BYTES_PER_S, share * max(BURST_BYTES, longest))
        self.few_frames, self.few_bytes = UNCOUNTED_SHARE * self.frames.burst, UNCOUNTED_SHARE * self.content.burst

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


class RatedConnection(PushingConnection, asyncio.BufferedProtocol):
    """See the module."""

    def __init__(self, *args: object, addresses: Addresses, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self._addresses = addresses
        self._own = _Rates(addresses.settings, 1.0)
        self._next: asyncio.TimerHandle | None = None  # when the rates permit to read
        self.network = ""
        self.frames = 0
        self._counted = 0  # frames that the rates contain
        self._uncounted_bytes = 0
        self._calm = True  # when the rates were counted last
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
        self.recv_messages.resume = self._read
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

    def get_buffer(self, sizehint: int) -> memoryview:
        """Implement `asyncio.BufferedProtocol`: otherwise asyncio allocates 256 KiB to read a message."""
        return _BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        """Implement `asyncio.BufferedProtocol`."""
        self.data_received(bytes(_BUFFER[:nbytes]))

    def data_received(self, data: bytes) -> None:
        """Process one slice; the next one is read after other connections had their turn, and as the rates permit."""
        if not self._began:
            self._began = True
            if data.startswith(TLS_HANDSHAKE):
                self._addresses.tls_at_plain_port(self.network)
        super().data_received(data)
        self._uncounted_bytes += len(data)
        few = self.frames - self._counted < self._own.few_frames and self._uncounted_bytes < self._own.few_bytes
        if self._next is None and not (few and self._calm) and (wait_s := self._count()) > 0:
            self._next = self.loop.call_later(wait_s, self._read_again)
        if self._next is not None or self.paused:
            self.transport.pause_reading()

    def resume_writing(self) -> None:
        """Implement `asyncio.Protocol`: the peer reads again."""
        super().resume_writing()
        self._read()

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

    def _count(self) -> float:
        """Count what was received since the last time; return the time until more may be, in s."""
        used, size, now = self.frames - self._counted, self._uncounted_bytes, self.loop.time()
        self._counted, self._uncounted_bytes = self.frames, 0
        shared_s, own_s = self._shared.spend(used, size, now), self._own.spend(used, size, now)
        self._calm = self._own.calm
        return own_s if shared_s <= own_s or self._calm else shared_s

    def _read_again(self) -> None:
        self._next = None
        self._read()

    def _read(self) -> None:
        """Read from the socket, unless the rates, the peer or the reader of the messages delay it."""
        if self._next is None and not self.paused and not self.recv_messages.paused:
            self.transport.resume_reading()


def _is_call(event: Event) -> bool:
    return isinstance(event, Frame) and CALL.match(event.data) is not None
