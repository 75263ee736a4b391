"""The recordings of `tests/data/chademo`. Times in seconds from the first frame 0x100."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from emulators.runtime import candump
from protocols.can import CanFrame
from protocols.chademo.frames import FROM_CHARGER, FROM_VEHICLE

DATA = Path(__file__).resolve().parents[2] / "data" / "chademo"
NAMES = sorted(path.name for path in DATA.glob("*.xz"))
LEAF_24, ZE1, ZE1_START = "leaf24-v2h-session.csv.xz", "leaf40-ze1-charge.candump.xz", "leaf40-ze1-start.candump.xz"
FAILING_1, FAILING_2 = "failing-session-1.csv.xz", "failing-session-2.csv.xz"
Timed = tuple[float, CanFrame]


@cache
def trace(name: str) -> tuple[Timed, ...]:
    """Return the frames of a recording."""
    frames = candump.read(DATA / name).frames
    first = next(at for at, frame in frames if frame.can_id == 0x100)
    return tuple((at - first, frame) for at, frame in frames)


def of_vehicle(name: str) -> list[Timed]:
    """Return the frames of the vehicle."""
    return [(at, frame) for at, frame in trace(name) if frame.can_id in FROM_VEHICLE]


def of_charger(name: str) -> list[Timed]:
    """Return the frames of the charger."""
    return [(at, frame) for at, frame in trace(name) if frame.can_id in FROM_CHARGER]
