"""A CAN bus whose frames are observed: written to a candump log as they pass, or printed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from emulators.runtime import candump
from emulators.runtime.plug_lines import decode
from protocols import private_file
from protocols.can import CanFrame
from protocols.dc_modules.bus import CanBus

Observe = Callable[[float, CanFrame], None]  # Unix time and frame


class RecordedCan:
    """A bus that reports the frames in both directions, except the lines of the plug."""

    def __init__(self, bus: CanBus, observe: Observe, wall: Callable[[], float]) -> None:
        self._bus, self._observe, self._wall = bus, observe, wall

    async def send(self, frame: CanFrame) -> None:
        """Send a frame. Raises ConnectionError."""
        await self._bus.send(frame)
        self._report(frame)

    async def receive(self) -> CanFrame:
        """Return the next frame. Raises ConnectionError."""
        frame = await self._bus.receive()
        self._report(frame)
        return frame

    async def close(self) -> None:
        """Close the bus; idempotent."""
        await self._bus.close()

    def _report(self, frame: CanFrame) -> None:
        if decode(frame) is None:
            self._observe(self._wall(), frame)


class FrameTools:
    """Observation of a bus: `print_line` prints each frame as a line, `path` is the log that is written.

    Raises OSError if the log cannot be written.
    """

    def __init__(self, path: Path | None, print_line: Callable[[str], None] | None, name: str = "can0") -> None:
        self._file = None if path is None else CandumpFile(path, name)
        self._print, self._name = print_line, name

    def wrap(self, bus: CanBus, wall: Callable[[], float]) -> CanBus:
        """Return the bus, observed if anything is to be done with its frames."""
        return RecordedCan(bus, self._observe, wall) if self._file is not None or self._print is not None else bus

    def _observe(self, at: float, frame: CanFrame) -> None:
        if self._file is not None:
            self._file.add(at, frame)
        if self._print is not None:
            self._print(candump.line(at, frame, self._name))

    def close(self) -> None:
        """Close the log."""
        if self._file is not None:
            self._file.close()


class CandumpFile:
    """Log of frames as `candump -L` writes it, complete up to the last frame; only its owner can read it."""

    def __init__(self, path: Path, bus: str = "can0") -> None:
        """Replaces an existing file. Raises OSError."""
        path.unlink(missing_ok=True)
        self._out, self._bus = private_file.create(path), bus

    def add(self, at: float, frame: CanFrame) -> None:
        """Add a frame."""
        candump.append(self._out, [(at, frame)], self._bus)
        self._out.flush()

    def close(self) -> None:
        """Close the file."""
        self._out.close()
