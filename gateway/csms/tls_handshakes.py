"""Fair queue of TLS handshakes: each costs a signature, so that a flood of them would delay all other work.

A connection waits, without being read, until its handshake may begin. Their number per second is limited, shared by
address in rotation (round robin), and so is the number of one address at once.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial

from gateway.csms.rated_connection import Addresses, RatedConnection
from gateway.failed_logins import network
from gateway.rate_limit import TokenBucket
from protocols.ocpp import io

PER_S, BURST = 100.0, 50.0  # handshakes that begin
MAX_AT_ONCE = 64  # handshakes of one address that have begun and not ended
MAX_WAITING = 1000  # connections of one address; further ones are closed
WITHIN_S = 10.0  # a handshake that takes longer has failed


class TlsHandshakes:
    """Queue of the handshakes of one server."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.context = context
        self._loop = asyncio.get_running_loop()
        self._rate = TokenBucket(PER_S, BURST)
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()  # next address first
        self._begun: Counter[str] = Counter()
        self._next: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, address: str, handshake: Callable[[], Coroutine[None, None, None]]) -> bool:
        """Queue a handshake; False where too many of its address wait."""
        if len(self._waiting.get(address, ())) >= MAX_WAITING:
            return False
        task = self._loop.create_task(handshake())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    def close(self) -> None:
        """End the handshakes, and those that wait."""
        for task in self._tasks:
            task.cancel()
        if self._next is not None:
            self._next.cancel()

    @asynccontextmanager
    async def turn(self, address: str) -> AsyncIterator[None]:
        """Wait until a handshake of this address may begin; leave the context when it has ended."""
        admitted: asyncio.Future[None] = self._loop.create_future()
        self._waiting.setdefault(address, deque()).append(admitted)
        self._admit()
        try:
            await admitted
            yield
        finally:
            if admitted.done() and not admitted.cancelled():
                self._begun[address] -= 1
                self._begun += Counter()  # without those at zero
                self._admit()

    def _admit(self) -> None:
        """Admit handshakes as the rate permits, one of each address in rotation."""
        if self._next is not None:
            return  # none is permitted before
        while (address := self._next_address()) is not None:
            if not self._rate.take(self._loop.time()):
                self._next = self._loop.call_later(1.0 / PER_S, self._admit_again)
                return
            waiting = self._waiting.pop(address)
            admitted = waiting.popleft()
            if not admitted.done():  # cancelled with its task
                self._begun[address] += 1
                admitted.set_result(None)
            if waiting:
                self._waiting[address] = waiting

    def _admit_again(self) -> None:
        self._next = None
        self._admit()

    def _next_address(self) -> str | None:
        return next((one for one in self._waiting if self._begun[one] < MAX_AT_ONCE), None)


class TlsConnection(RatedConnection):
    """Connection of a station that becomes one when its TLS handshake has completed."""

    def __init__(self, *args: object, addresses: Addresses, handshakes: TlsHandshakes, **kwargs: object) -> None:
        super().__init__(*args, addresses=addresses, **kwargs)
        self._handshakes = handshakes
        self._early: bytearray | None = bytearray()  # received with the end of the handshake

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Implement `asyncio.Protocol`: of the connection without TLS."""
        assert isinstance(transport, asyncio.Transport)
        transport.pause_reading()
        address = network((transport.get_extra_info("peername") or ("",))[0])
        if not self._handshakes.start(address, partial(self._secure, transport, address)):
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Implement `asyncio.Protocol`."""
        if self._early is None:
            super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Implement `asyncio.Protocol`."""
        if self._early is None:
            super().data_received(data)
        else:
            self._early += data

    def eof_received(self) -> None:
        """Implement `asyncio.Protocol`."""
        if self._early is None:
            super().eof_received()

    async def _secure(self, plain: asyncio.Transport, address: str) -> None:
        """Complete the TLS handshake in its turn."""
        loop, context = asyncio.get_running_loop(), self._handshakes.context
        secured: asyncio.Transport | None = None
        try:
            async with self._handshakes.turn(address):
                if not plain.is_closing():
                    secured = await loop.start_tls(
                        plain,
                        self,
                        context,
                        server_side=True,
                        ssl_handshake_timeout=WITHIN_S,
                        ssl_shutdown_timeout=io.CLOSE_WITHIN,
                    )
        except OSError:  # errors of TLS included; the peer has ended the connection, or it is ended here
            pass
        finally:
            if secured is None:
                plain.abort()
        if secured is not None:
            early, self._early = bytes(self._early or b""), None
            super().connection_made(secured)
            if early:
                self.data_received(early)
