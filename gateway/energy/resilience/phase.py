"""Where a site stands between grid and island, what the island machine is shown, and what it orders: values only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.model.energy_state import OFF_GRID as OFF_GRID
from gateway.model.energy_state import Phase as Phase

FORMING = frozenset({Phase.STARTING, Phase.ISLAND, Phase.SYNCHRONISING})
ZERO = frozenset({Phase.SUSPECT, Phase.WAITING, Phase.OPENING, Phase.DARK, Phase.STARTING, Phase.CLOSING})


@dataclass(frozen=True, slots=True)
class IslandSettings:
    """Times in s. `soft_transfer`: the switchgear synchronises and closes under load; without it the light blinks once.

    `parallel_forming`: sources hand the voltage over without a gap. `dark_reconnect_s`: a dark site need not protect
    anybody from its sources and takes the grid sooner.
    """

    capable: bool = True
    soft_transfer: bool = False
    parallel_forming: bool = False
    open_within_s: float = 10.0
    start_within_s: float = 30.0
    settle_s: float = 3.0
    close_within_s: float = 30.0
    synchronise_within_s: float = 120.0
    ramp_s: float = 300.0
    dark_reconnect_s: float = 20.0
    retry_source_s: float = 300.0
    return_within_s: float = 180.0  # of a restart, before another source than the one that formed is believed in


@dataclass(frozen=True, slots=True)
class Source:
    """Somebody who can form the island's voltage. `usable_wh` is above the floor in force, at the meter."""

    name: str
    usable_wh: float
    max_discharge_w: float
    storage: bool = False


@dataclass(frozen=True, slots=True)
class Look:
    """What the machine is shown each step.

    `switch_open`: the main switch's proof, None where stale. `through_w`: power through the connection. `formed`:
    whether the island has its voltage, None where nobody measures it (then the source's word and `settle_s` have to
    do). `backup`: True a command to enter, False to leave, None neither. `hand_to`: the rotation wants this source to
    form.
    """

    now: float
    switch_open: bool | None = None
    through_w: float | None = None
    sources: Sequence[Source] = ()
    formed: bool | None = None
    backup: bool | None = None
    emergency: bool = False
    hand_to: str | None = None


@dataclass(frozen=True, slots=True)
class Orders:
    """What holds until the next step. `switch`: "open", "closed" or "" (leave it). `zero`: nobody gives or takes.

    `share`: how much of their power cars and storages may use on the grid, 0 to 1. `loads_off`: every tier is off.
    """

    phase: Phase
    switch: str = ""
    forming: str | None = None
    zero: bool = False
    share: float = 1.0
    loads_off: bool = False
    synchronise: bool = False
