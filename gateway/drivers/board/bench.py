"""Test bench for the conformance kit: a load and source at the connector of a board, independent of its driver.

A vendor implements it over his laboratory equipment or over a simulation. Without one the kit runs the checks that need
nothing but the driver, and skips the others by name.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from gateway.drivers.board.faults import Part
from gateway.drivers.board.ports import PartialBoard


class Bench(Protocol):
    """A board with measuring equipment and a vehicle simulator.

    `current_a` and `voltage_v` are measured at the connector, + into the vehicle. `opened_at_a` lists the current at
    each opening of the contactors.
    """

    @property
    def board(self) -> PartialBoard: ...

    @property
    def current_a(self) -> float: ...

    @property
    def voltage_v(self) -> float: ...

    @property
    def opened_at_a(self) -> list[float]: ...

    @property
    def parts(self) -> frozenset[Part]:
        """Parts that `cut` and `restart` act on."""

    async def run(self) -> None:
        """Operate simulated hardware until it is cancelled; returns at once for real equipment."""

    def attach(self) -> float:
        """Connect a vehicle that can be charged and discharged, with a pilot: in state C, with lines: k closed; return
        its voltage."""

    def detach(self) -> None:
        """Disconnect the vehicle; with a pilot: state A."""

    def cut(self, part: Part) -> None:
        """Cut the communication with a part: the hardware works on, without commands and answers."""

    def restore(self, part: Part) -> None:
        """Restore the communication."""

    def corrupt(self, part: Part) -> None:
        """Let a part answer with errors and incomplete frames, until `restore`."""

    def restart(self, part: Part) -> None:
        """Interrupt the supply of a part for a moment; its set-points are lost."""


@runtime_checkable
class BenchWithLines(Protocol):
    """A bench that measures the switches of a CHAdeMO plug."""

    @property
    def switches(self) -> tuple[bool, bool]:
        """d1 and d2 at the plug."""
