"""What every mode is: a wish for the total power of cars and storages, from what is known now.

A mode wishes; the site's connection (`connection.py`), the reserve, the ramp and the order of authority decide. So no
mode can do harm, and a change of mode can only change where the ramp walks to. Modes keep at most a latch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from gateway.energy.price import Tariff
from gateway.energy.resource import Resource


@dataclass(frozen=True, slots=True)
class Situation:
    """What is known at one step. W; `residual_w` is load − PV, None where the meters are silent.

    `headroom_w` is what the connection leaves for cars and storages together (negative: they must discharge), from
    contract, demand window and peak limit; infinite without any. `planned_w` and `planned_grid_w` are the plan's
    figures for this moment, None without a plan that still holds. `command_w` is the facility's leased command to the
    site.
    """

    now: float
    wall: float
    residual_w: float | None
    resources: Sequence[Resource]
    headroom_w: float = float("inf")
    planned_w: float | None = None
    planned_grid_w: float | None = None
    command_w: float | None = None
    tariff: Tariff = field(default_factory=Tariff)


@dataclass(frozen=True, slots=True)
class Wish:
    """The total wanted, + into cars and storages; None leaves each EVSE to its own commands.

    `code` and `text` say why.
    A `soft` wish lets cars that leave soon charge on top of it; a command or a plan has decided about them already.
    """

    power_w: float | None
    code: str
    text: str
    soft: bool = True


class Mode(Protocol):
    """One policy."""

    def wish(self, situation: Situation) -> Wish:
        """What this mode wants now."""

    def enter(self, situation: Situation) -> None:
        """The mode begins to rule: forget what an earlier time has latched."""
