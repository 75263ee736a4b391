"""Recordings of CAN buses as text: written as `candump -L` writes them, read in that format and in two more.

Read: `(1436509052.249713) can0 102#029A0100..` (log), ` (2022-06-02 22:43:42.714008)  can1  700   [8]  01 02 ..`
(console, also with seconds as time), and CSV of SavvyCAN with times in microseconds. Lines that are none of these are
skipped and counted. Files may be compressed (.xz, .gz).
"""

from __future__ import annotations

import gzip
import lzma
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TextIO

from protocols import private_file
from protocols.can import CanFrame

MOST_FRAMES = 200_000  # of a recording that is written
REPEAT_S, REPEATED = 0.1, 64  # of skipped cycles: seconds between repetitions, number of frames before
MOST_BYTES = 1 << 28  # of an uncompressed file
_LOG = re.compile(
    r"^\s*\((?P<time>[^)]+)\)\s+(?P<bus>\S+)\s+(?P<id>[0-9A-Fa-f]{1,8})#(?P<data>(?:[0-9A-Fa-f]{2})*)(?:\s|$)"
)
_CONSOLE = re.compile(
    r"^\s*\((?P<time>[^)]+)\)\s+(?P<bus>\S+)\s+(?:[TR]X(?:\s+\S){2}\s+)?(?P<id>[0-9A-Fa-f]{1,8})\s+\[\d+\]"
    r"(?P<data>(?:\s+[0-9A-Fa-f]{2}(?![0-9A-Za-z]))*)"
)
_CSV_FIELDS = 6  # time, identifier, extended, direction, bus, length
_MICROSECONDS = 1 << 32  # counters of 32 bits, some extended with their sign
_STANDARD_DIGITS = 3


class RecordingError(ValueError):
    """A file without a CAN frame, or one that cannot be read."""


@dataclass(slots=True)
class Recording:
    """Frames with their times in seconds, and the number of lines that are no frames."""

    frames: list[tuple[float, CanFrame]] = field(default_factory=list)
    skipped: int = 0


class CanRecording:
    """Frames to be written. The first ones up to a limit are kept."""

    suffix = ".candump"

    def __init__(self) -> None:
        self._frames: list[tuple[float, CanFrame]] = []

    def __len__(self) -> int:
        return len(self._frames)

    def add(self, at: float, frame: CanFrame) -> None:
        """Add a frame at a Unix time."""
        if len(self._frames) < MOST_FRAMES:
            self._frames.append((at, frame))

    def repeat(self, until: float) -> None:
        """Repeat the last frames of both sides for cycles that a simulation skipped."""
        if not self._frames or len(self._frames) >= MOST_FRAMES:
            return
        last_at = self._frames[-1][0]
        last = {frame.can_id: frame for at, frame in self._frames[-REPEATED:] if at > last_at - REPEAT_S / 2}
        steps = int((until - last_at) / REPEAT_S)
        frames = list(last.values())
        times = (last_at + REPEAT_S * number for number in range(1, steps + 1))
        room = MOST_FRAMES - len(self._frames)
        self._frames.extend(islice(((at, frame) for at in times for frame in frames), room))

    def write(self, path: Path) -> None:
        """Write the file, which only its owner can read."""
        write(path, self._frames)


def read(path: Path) -> Recording:
    """Return the frames of a file. Raises RecordingError, also for a file without frames."""
    try:
        text = _content(path).decode("utf-8", "replace")
    except (OSError, lzma.LZMAError, EOFError) as error:
        raise RecordingError(f"{path}: {error}") from error
    found = parse(text.splitlines())
    if not found.frames:
        raise RecordingError(f"{path}: no CAN frame in the formats of candump or SavvyCAN")
    return found


def _content(path: Path) -> bytes:
    with path.open("rb") as plain:
        if path.suffix == ".xz":
            with lzma.LZMAFile(plain) as packed:
                content = packed.read(MOST_BYTES + 1)
        elif path.suffix == ".gz":
            with gzip.GzipFile(fileobj=plain) as packed_gz:
                content = packed_gz.read(MOST_BYTES + 1)
        else:
            content = plain.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise RecordingError(f"{path}: more than {MOST_BYTES >> 20} MiB")
    return content


def parse(lines: Iterable[str]) -> Recording:
    """Return the frames of the lines of a recording."""
    found = Recording()
    for line in lines:
        frame = _parse_line(line)
        if frame is not None:
            found.frames.append(frame)
        elif line.strip():
            found.skipped += 1
    return found


def _parse_line(line: str) -> tuple[float, CanFrame] | None:
    if "," in line:
        return _parse_csv(line.split(","))
    match = _LOG.match(line) or _CONSOLE.match(line)
    if match is None:
        return None
    at = _seconds(match["time"])
    data = bytes.fromhex(match["data"])
    return None if at is None else (at, CanFrame(int(match["id"], 16), data, len(match["id"]) > _STANDARD_DIGITS))


def _seconds(text: str) -> float | None:
    """Return a time of candump in seconds: a number, or local date and time, which is read as UTC."""
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text.strip()).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


def _parse_csv(cells: list[str]) -> tuple[float, CanFrame] | None:
    try:
        microseconds, can_id, length = int(cells[0]), int(cells[1], 16), int(cells[5])
        if len(cells) < _CSV_FIELDS + length:
            return None
        data = bytes(int(cell, 16) for cell in cells[_CSV_FIELDS : _CSV_FIELDS + length])
        extended = cells[2].strip().lower() == "true"
    except (ValueError, IndexError):
        return None
    return (microseconds % _MICROSECONDS) / 1e6, CanFrame(can_id, data, extended)


def line(at: float, frame: CanFrame, bus: str = "can0") -> str:
    """Return a frame as `candump -L` writes it."""
    digits = 8 if frame.extended else _STANDARD_DIGITS
    return f"({at:.6f}) {bus} {frame.can_id:0{digits}X}#{frame.data.hex().upper()}"


def lines(frames: Iterable[tuple[float, CanFrame]], bus: str = "can0") -> Iterator[str]:
    """Yield frames as `candump -L` writes them."""
    return (line(at, frame, bus) for at, frame in frames)


def write(path: Path, frames: Iterable[tuple[float, CanFrame]], bus: str = "can0") -> None:
    """Write a file that only its owner can read."""
    with private_file.replacing(path) as out:
        append(out, frames, bus)


def append(out: TextIO, frames: Iterable[tuple[float, CanFrame]], bus: str = "can0") -> None:
    """Write frames to an open file."""
    out.writelines(f"{one}\n" for one in lines(frames, bus))
