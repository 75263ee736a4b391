"""Phases of a site between grid and island; inputs and orders of the island state machine. Values only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.model.energy_state import OFF_GRID as OFF_GRID
from gateway.model.energy_state import Phase as Phase

FORMING = frozenset({Phase.STARTING, Phase.ISLAND, Phase.SYNCHRONISING})
OPEN_SWITCH = frozenset({Phase.OPENING, Phase.DARK, Phase.STARTING, Phase.ISLAND})
BY_HAND = "The gateway cannot set its power: to end its supply, unplug its vehicle or switch the charger off."
CLOSED_SWITCH = frozenset({Phase.SYNCHRONISING, Phase.CLOSING, Phase.RETURNING})
ZERO = frozenset({Phase.SUSPECT, Phase.WAITING, Phase.OPENING, Phase.DARK, Phase.STARTING, Phase.CLOSING})


@dataclass(frozen=True, slots=True)
class IslandSettings:
    """Settings of the island state machine; times in s.

    `soft_transfer`: the switchgear synchronises and closes under load; without it supply is interrupted once.
    `parallel_forming`: grid-forming is handed over without a gap. `unsupplied_reconnect_s`: a site without supply has
    no source that could be a danger to people, so it reconnects sooner.
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
    unsupplied_reconnect_s: float = 20.0
    retry_source_s: float = 300.0
    return_within_s: float = 180.0  # after a restart: no other source than the last grid-forming one is adopted before


@dataclass(frozen=True, slots=True)
class Source:
    """A source that can form the island. `usable_wh` is above the floor in force, at the meter.

    `reported`: its state of charge has been reported since the start of the gateway. `supplies_island`: by itself
    (`island_supply.py`).
    """

    name: str
    usable_wh: float
    max_discharge_w: float
    storage: bool = False
    reported: bool = True
    supplies_island: bool = False

    @property
    def able(self) -> bool:
        """Return whether it can supply the island. One that is seen to supply it is, unless it is known to be empty."""
        has_energy = self.usable_wh > 0 or (self.supplies_island and not self.reported)
        return has_energy and self.max_discharge_w > 0


def adopted(source: Source) -> str:
    """Return why an island with this source continues."""
    if source.supplies_island:
        return f"{source.name} supplies the island by itself, as its meter shows, and is its source now. {BY_HAND}"
    return f"The switch is open and the island is energised: it continues, and {source.name} forms it."


def no_source(sources: Sequence[Source]) -> str:
    """Return why no source forms the island, and what a person can do."""
    if supplying := next((one.name for one in sources if one.supplies_island), None):
        return f"{supplying} has reached its floor and still supplies the island by itself. {BY_HAND}"
    return "No source can form an island: no capable vehicle or storage is above its floor."


@dataclass(frozen=True, slots=True)
class IslandInputs:
    """Inputs of the state machine at each step.

    `switch_open`: position feedback of the main switch, None where stale. `through_w`: power through the connection.
    `formed`: the island is energised, None where it is not measured (then the source and `settle_s` decide). `backup`:
    True a command to enter, False to leave, None neither. `hand_to`: the source that the rotation selects. `reported`:
    the facility reports the grid or the main switch. `collapsed`: the voltage is gone although a source should form it;
    `pause_s` before the next attempt. `emergency`: nothing may be supplied; `held`: because a command is awaited.
    """

    now: float
    switch_open: bool | None = None
    through_w: float | None = None
    sources: Sequence[Source] = ()
    formed: bool | None = None
    backup: bool | None = None
    emergency: bool = False
    hand_to: str | None = None
    reported: bool = True
    collapsed: bool = False
    pause_s: float = 0.0
    held: bool = False


@dataclass(frozen=True, slots=True)
class Orders:
    """Orders until the next step. `switch`: "open", "closed" or "" (unchanged).

    `share`: share of their power that vehicles and storages may use on the grid, 0 to 1.
    """

    phase: Phase
    switch: str = ""
    forming: str | None = None
    share: float = 1.0
