"""Board drivers by name: entry points of the group `v2x.board`, with typed and checked settings.

A driver implements all ports or some of them; the board `combined` assembles one from several. In a vendor's package:

    [project.entry-points."v2x.board"]
    my_driver = "my_package.board:DRIVER"

    DRIVER = Driver("my_driver", MySettings, lambda settings, clock: MyBoard(settings, clock))
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from gateway.drivers.board.bench import Bench
from gateway.drivers.board.faults import Part
from gateway.drivers.board.ports import (
    Board,
    Contactors,
    Isolation,
    Lines,
    Lock,
    Meter,
    PartialBoard,
    Pilot,
    PowerStage,
    Report,
    lines_of,
)
from protocols.ports import Clock

GROUP = "v2x.board"


class BoardError(ValueError):
    """A board that does not exist, lacks ports or has wrong settings."""


class BoardSettings(BaseModel):
    """Base of the settings of a driver: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class BoardDriver(Protocol):
    """Driver that an entry point of the group `v2x.board` refers to."""

    @property
    def name(self) -> str: ...

    @property
    def simulated(self) -> bool:
        """True if the hardware is simulated on the clock, so that the conformance kit runs in virtual time."""

    def settings_model(self) -> type[BoardSettings]:
        """Return the model of the settings."""

    def build(self, settings: Mapping[str, object], clock: Clock) -> PartialBoard:
        """Return a board. Raises `BoardError` for wrong settings; connects in `run` only."""

    def bench(self, settings: Mapping[str, object], clock: Clock) -> Bench | None:
        """Return a board with a test bench at its output, for the conformance kit; None without one."""


S = TypeVar("S", bound=BoardSettings)


@dataclass(frozen=True)
class Driver(Generic[S]):
    """A driver made of a settings model and a function."""

    name: str
    settings: type[S]
    make: Callable[[S, Clock], PartialBoard]
    make_bench: Callable[[S, Clock], Bench] | None = None
    simulated: bool = False

    def settings_model(self) -> type[BoardSettings]:
        """Return the model of the settings."""
        return self.settings

    def build(self, settings: Mapping[str, object], clock: Clock) -> PartialBoard:
        """Return a board. Raises `BoardError`."""
        return self.make(self._checked(settings), clock)

    def bench(self, settings: Mapping[str, object], clock: Clock) -> Bench | None:
        """Return a board with a test bench at its output, if the driver has one. Raises `BoardError`."""
        return None if self.make_bench is None else self.make_bench(self._checked(settings), clock)

    def _checked(self, settings: Mapping[str, object]) -> S:
        try:
            return self.settings.model_validate(dict(settings))
        except ValidationError as error:
            found = "; ".join(
                f"board_settings.{'.'.join(map(str, one['loc'])) or '(whole)'}: {one['msg']}" for one in error.errors()
            )
            raise BoardError(f"board {self.name}: {found}") from None


def _entries() -> Iterator[EntryPoint]:
    yield from entry_points(group=GROUP)


def names() -> list[str]:
    """Return the names of the installed drivers."""
    return sorted(entry.name for entry in _entries())


def driver(name: str) -> BoardDriver:
    """Return a driver by name. Raises `BoardError` if it is not installed or cannot be imported."""
    for entry in _entries():
        if entry.name == name:
            try:
                found = entry.load()
            except ImportError as error:
                raise BoardError(f"board {name}: {error}") from error
            if not callable(getattr(found, "build", None)):
                raise BoardError(f"board {name}: {entry.value} is no board driver; it has no method build")
            loaded: BoardDriver = found
            return loaded
    raise BoardError(f"unknown board {name}; installed: {', '.join(names()) or 'none'}")


@dataclass(frozen=True)
class WholeBoard:
    """A board whose required ports exist."""

    pilot: Pilot | None
    contactors: Contactors
    power: PowerStage | None
    isolation: Isolation | None
    meter: Meter
    lock: Lock | None
    part: PartialBoard
    lines: Lines | None = None

    async def run(self, report: Report) -> None:
        """Exchange with the hardware; see `ports.Board`."""
        await self.part.run(report)


def whole(board: PartialBoard, name: str) -> Board:
    """Return a partial board as a board. Raises `BoardError` with the ports that are missing."""
    lines = lines_of(board)
    missing = [part for part in (Part.PILOT, Part.CONTACTORS, Part.METER) if getattr(board, part) is None]
    if lines is not None and board.pilot is None:
        missing.remove(Part.PILOT)
    if (board.power is None) != (board.isolation is None):
        missing.append(Part.ISOLATION if board.isolation is None else Part.POWER)
    if missing:
        raise BoardError(f"board {name} has no {', '.join(missing)}; the board combined assembles several drivers")
    if lines is not None and board.pilot is not None:
        raise BoardError(f"board {name} has a pilot and lines; a plug has one of them")
    assert board.contactors is not None
    assert board.meter is not None
    return WholeBoard(
        board.pilot, board.contactors, board.power, board.isolation, board.meter, board.lock, board, lines
    )


def build(name: str, settings: Mapping[str, object], clock: Clock) -> Board:
    """Return the board of an EVSE. Raises `BoardError`."""
    return whole(driver(name).build(settings, clock), name)
