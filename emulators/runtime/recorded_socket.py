"""Sockets that report their bytes, below TLS: for captures of real connections, in both roles."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

Endpoint = tuple[str, int]
ReportDatagram = Callable[[Endpoint, Endpoint, bytes], None]  # source, target, data
Report = Callable[["RecordedSocket", bool, bytes], None]  # the socket, True for sent bytes, the bytes; b"" is the end


class RecordedSocket(socket.socket):
    """Non-blocking TCP socket as asyncio uses it; its accepted connections are recorded, too."""

    def __init__(self, family: int, kind: int, report: Report, fileno: int | None = None) -> None:
        super().__init__(family, kind, 0, fileno)
        self._report = report
        self._ended = False
        self.ends: tuple[tuple[str, int], tuple[str, int]] | None = None  # own address, peer's

    def accept(self) -> tuple[RecordedSocket, object]:
        """Return the next connection and the address of its peer."""
        fileno, address = self._accept()  # type: ignore[attr-defined]
        return RecordedSocket(self.family, self.type, self._report, fileno), address

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Receive and report."""
        data = super().recv(size, flags)
        if not flags & socket.MSG_PEEK:
            self._record(False, data)
        return data

    def recv_into(self, buffer: WriteableBuffer, nbytes: int = 0, flags: int = 0) -> int:
        """Receive and report."""
        count = super().recv_into(buffer, nbytes, flags)
        self._record(False, bytes(memoryview(buffer)[:count]))
        return count

    def send(self, data: ReadableBuffer, flags: int = 0) -> int:
        """Send and report what was accepted."""
        count = super().send(data, flags)
        self._record(True, bytes(memoryview(data)[:count]))
        return count

    def sendmsg(
        self,
        buffers: Iterable[ReadableBuffer],
        ancdata: Iterable[tuple[int, int, ReadableBuffer]] = (),
        flags: int = 0,
        address: tuple[object, ...] | str | ReadableBuffer | None = None,
        /,
    ) -> int:
        """Send and report what was accepted."""
        parts = list(buffers)
        count = super().sendmsg(parts, ancdata, flags, address)
        self._record(True, b"".join(map(bytes, parts))[:count])
        return count

    def close(self) -> None:
        """Close and report the end."""
        if self.ends is not None:
            self._record(False, b"")
        super().close()

    def _record(self, sent: bool, data: bytes) -> None:
        if self._ended:
            return
        if self.ends is None:
            with contextlib.suppress(OSError):
                self.ends = self.getsockname()[:2], self.getpeername()[:2]
        self._ended = not data
        self._report(self, sent, data)


class RecordedDatagrams(socket.socket):
    """Non-blocking UDP socket of one link as asyncio uses it. `host`: own address, as it is bound to all."""

    def __init__(self, family: int, kind: int, host: str, report: ReportDatagram) -> None:
        super().__init__(family, kind)
        self._host, self._report = host, report

    def recvfrom(self, size: int, flags: int = 0) -> tuple[bytes, tuple[object, ...]]:
        """Receive and report."""
        data, sender = super().recvfrom(size, flags)
        self._report(sender[:2], self._own, data)
        return data, sender

    def sendto(self, data: ReadableBuffer, address: tuple[object, ...]) -> int:  # type: ignore[override]
        """Send and report what was accepted."""
        count = super().sendto(data, address)
        host, port, *_ = address
        self._report(self._own, (str(host), int(str(port))), bytes(memoryview(data)[:count]))
        return count

    @property
    def _own(self) -> Endpoint:
        return self._host, int(self.getsockname()[1])
