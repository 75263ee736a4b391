"""A serial line of Linux as a stream of bytes, for the programs of one process that share it.

Half duplex: `exchange` gives one of them the line for a request and its answer. What arrives before a request is
discarded, because it answers none.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import termios
from collections import deque
from enum import StrEnum

from protocols.frozen import frozen

LONGEST_READ = 4096


class Parity(StrEnum):
    """Parity bit of each character."""

    NONE = "none"
    EVEN = "even"
    ODD = "odd"


@frozen
class SerialSettings:
    """One line. Modbus RTU has 11 bits a character: with parity one stop bit, without it two; many devices have one."""

    path: str
    baud: int = 9600
    parity: Parity = Parity.NONE
    stop_bits: int = 1


class SerialLine:
    """A line, opened with the first `open` and again after an error."""

    def __init__(self, settings: SerialSettings) -> None:
        self.settings = settings
        self.exchange = asyncio.Lock()
        self._port: SerialPort | None = None

    async def open(self) -> SerialPort:
        """Return the port. Raises OSError where it cannot be used."""
        if self._port is None or self._port.closed:
            self._port = SerialPort(self.settings)
        return self._port


class SerialPort:
    """An open port: a `protocols.ports.Wire`."""

    def __init__(self, settings: SerialSettings) -> None:
        """Open the port for this process alone. Raises OSError."""
        self.peer = settings.path
        self.closed = False
        self._received: deque[bytes] = deque()
        self._arrived = asyncio.Event()
        self._descriptor = os.open(settings.path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        try:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                termios.tcsetattr(self._descriptor, termios.TCSANOW, _attributes(settings))
            except BlockingIOError:
                raise OSError(errno.EBUSY, "another program uses the port") from None
            except termios.error:
                raise OSError(errno.ENOTTY, "not a serial port") from None
        except OSError:
            os.close(self._descriptor)
            raise
        asyncio.get_running_loop().add_reader(self._descriptor, self._read_waiting)

    async def read(self) -> bytes:
        """Return the next bytes, b"" when the port is gone."""
        while not self._received:
            if self.closed:
                return b""
            self._arrived.clear()
            await self._arrived.wait()
        return self._received.popleft()

    async def write(self, data: bytes) -> None:
        """Send, after what was received is discarded. Raises ConnectionError where the port is gone."""
        self._received.clear()
        with contextlib.suppress(OSError):
            termios.tcflush(self._descriptor, termios.TCIFLUSH)
        while data and not self.closed:
            try:
                data = data[os.write(self._descriptor, data) :]
            except BlockingIOError:
                await asyncio.sleep(0)
            except OSError as error:
                self._end()
                raise ConnectionError(error.strerror or str(error)) from None
        if self.closed:
            raise ConnectionError(f"{self.peer} is closed")

    async def close(self) -> None:
        """Keep the port: others share it, and the next request discards what is left."""

    def release(self) -> None:
        """Close the port; idempotent."""
        self._end()

    def _read_waiting(self) -> None:
        try:
            data = os.read(self._descriptor, LONGEST_READ)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._end()
        else:
            self._received.append(data)
        self._arrived.set()

    def _end(self) -> None:
        if not self.closed:
            self.closed = True
            asyncio.get_running_loop().remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._arrived.set()


def _attributes(settings: SerialSettings) -> list[int | list[bytes | int]]:
    """Return the settings of the port: raw, eight bits."""
    speed = getattr(termios, f"B{settings.baud}")
    flags = termios.CS8 | termios.CREAD | termios.CLOCAL
    if settings.parity is not Parity.NONE:
        flags |= termios.PARENB | (termios.PARODD if settings.parity is Parity.ODD else 0)
    if settings.stop_bits == 2:
        flags |= termios.CSTOPB
    characters: list[bytes | int] = [0] * 32
    return [0, 0, flags, 0, speed, speed, characters]
