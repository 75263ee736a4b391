"""Board `combined`: one board out of several drivers, such as a controller board and a DC module on CAN.

board = "combined"
[[evses.board_settings.members]]
driver = "everest"
ports = ["pilot", "contactors", "isolation", "meter"]
settings = { board_support = "bsp", isolation_monitor = "imd", powermeter = "meter" }
[[evses.board_settings.members]]
driver = "infypower-beg"
ports = ["power"]
settings = { channel = "can0" }
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, JsonValue

from gateway.drivers.board import registry
from gateway.drivers.board.faults import Part
from gateway.drivers.board.ports import (
    BoardEvent,
    Contactors,
    ContactorsChanged,
    FaultCleared,
    FaultRaised,
    Isolation,
    IsolationMeasured,
    IsolationTested,
    Lines,
    LinesChanged,
    Lock,
    LockChanged,
    Meter,
    PartialBoard,
    PartRestarted,
    Pilot,
    PilotChanged,
    PowerStage,
    Report,
    lines_of,
)
from gateway.drivers.board.registry import BoardError, BoardSettings, Driver
from protocols.ports import Clock


class MemberSettings(BoardSettings):
    """One driver and the ports that it is used for."""

    driver: str
    ports: Annotated[tuple[Part, ...], Field(min_length=1)]
    settings: dict[str, JsonValue] = Field(default_factory=dict)


class CombinedSettings(BoardSettings):
    """Settings of the board `combined`."""

    members: Annotated[tuple[MemberSettings, ...], Field(min_length=1, description="drivers with ports and settings")]


@dataclass
class Member:
    """A driver and its ports."""

    board: PartialBoard
    ports: frozenset[Part]


def part_of(event: BoardEvent) -> Part | None:
    """Return the part that an event is about; None for requests of a person."""
    match event:
        case FaultRaised(part) | FaultCleared(part) | PartRestarted(part):
            return part
        case PilotChanged():
            return Part.PILOT
        case LinesChanged():
            return Part.LINES
        case ContactorsChanged():
            return Part.CONTACTORS
        case IsolationTested() | IsolationMeasured():
            return Part.ISOLATION
        case LockChanged():
            return Part.LOCK
        case _:
            return None


class CombinedBoard:
    """Board of several drivers. At the end the power stage is switched off before the others end."""

    def __init__(self, members: Sequence[Member]) -> None:
        self._members = members
        owner = {part: member.board for member in members for part in member.ports}
        self.pilot: Pilot | None = owner[Part.PILOT].pilot if Part.PILOT in owner else None
        self.lines: Lines | None = lines_of(owner[Part.LINES]) if Part.LINES in owner else None
        self.contactors: Contactors | None = owner[Part.CONTACTORS].contactors if Part.CONTACTORS in owner else None
        self.power: PowerStage | None = owner[Part.POWER].power if Part.POWER in owner else None
        self.isolation: Isolation | None = owner[Part.ISOLATION].isolation if Part.ISOLATION in owner else None
        self.meter: Meter | None = owner[Part.METER].meter if Part.METER in owner else None
        self.lock: Lock | None = owner[Part.LOCK].lock if Part.LOCK in owner else None

    async def run(self, report: Report) -> None:
        """Operate all drivers until cancelled or until one fails."""
        last_power = sorted(self._members, key=lambda member: Part.POWER in member.ports, reverse=True)
        tasks = [asyncio.create_task(self._operate(member, report)) for member in last_power]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    async def _operate(self, member: Member, report: Report) -> None:
        def forward(event: BoardEvent) -> None:
            part = part_of(event)
            if part is None or part in member.ports:
                report(event)

        await member.board.run(forward)


def make(settings: CombinedSettings, clock: Clock) -> CombinedBoard:
    """Return the board. Raises `BoardError` for a port that is missing or given twice."""
    members: list[Member] = []
    used: set[Part] = set()
    for member in settings.members:
        board = registry.driver(member.driver).build(member.settings, clock)
        for part in member.ports:
            if getattr(board, part, None) is None:
                raise BoardError(f"board combined: {member.driver} has no {part}")
            if part in used:
                raise BoardError(f"board combined: {part} is given twice")
            used.add(part)
        members.append(Member(board, frozenset(member.ports)))
    return CombinedBoard(members)


DRIVER = Driver("combined", CombinedSettings, make)
