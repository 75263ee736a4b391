"""Mapping of the facility's inputs to the values that the modules of `resilience` take.

A stale input is None, never zero. Contradictions between inputs are judged in `grid_watch.py` and `interlock.py`.
"""

from __future__ import annotations

from collections.abc import Iterable

from gateway.energy.resilience.collapse import CollapseWatch
from gateway.energy.resilience.grid_watch import GridReading
from gateway.energy.resilience.island_supply import LIVE_W
from gateway.energy.resilience.phase import IslandInputs, Source
from gateway.energy.view import View
from gateway.model.site import Freshness, Grid, InputKind, Load, Storm, Switch


def grid_reading(view: View, closed_else: bool) -> GridReading:
    """Return the grid's readings; `closed_else`: assumed position of the main switch while its input is stale."""
    grid, switch = view.inputs.fresh(Grid, view.now), view.inputs.fresh(Switch, view.now)
    closed, reported_open = not switch.open if switch is not None else closed_else, switch is not None and switch.open
    chargers = ", ".join(view.independent), view.interconnected
    if grid is None:
        return GridReading(None, None, None, None, closed, reported_open, *chargers)
    measured = grid.voltage_v, grid.frequency_hz, grid.power_w
    return GridReading(grid.present, *measured, closed, reported_open, *chargers)


def island_inputs(
    view: View,
    sources: Iterable[Source],
    backup: bool | None,
    hand_to: str | None,
    collapse: CollapseWatch,
    opened: float | None,
) -> IslandInputs:
    """Return the inputs of the island state machine. `backup`: True a new command to enter, False to leave, None.

    `opened`: when the main switch opened (Unix time); power measured before flowed through a closed one.
    """
    grid, switch = view.inputs.fresh(Grid, view.now), view.inputs.fresh(Switch, view.now)
    load = view.inputs.fresh(Load, view.now)
    sources = list(sources)
    live = any(one.supplies_island for one in sources) if load is None else load.power_w > LIVE_W
    live = live and switch is not None and switch.open
    return IslandInputs(
        view.now,
        switch.open if switch is not None else None,
        grid.power_w if grid is not None and (opened is None or grid.ts >= opened) else None,
        sources,
        True if live else False if collapse.dark else None,
        backup,
        view.emergency or view.supply_held,
        hand_to,
        held=view.supply_held,
        reported=grid is not None or switch is not None,
        collapsed=collapse.dark,
        pause_s=collapse.pause_s(view.now),
    )


def opened_at(view: View, before: float | None) -> float | None:
    """Return since when the main switch has been reported as open (Unix time); `before`: the same a step ago."""
    switch = view.inputs.fresh(Switch, view.now)
    if switch is None:
        return before
    return (switch.ts if before is None else before) if switch.open else None


def storm_warning(view: View) -> Storm | None:
    """Return the storm warning in force; a stale one stays in force until its own end."""
    storm = view.inputs.fresh(Storm, view.now)
    if storm is None and view.inputs.freshness(InputKind.STORM, view.now) is Freshness.STALE:
        last = view.inputs.readings[InputKind.STORM].value
        storm = last if isinstance(last, Storm) and last.until else None
    return storm if storm is not None and storm.active else None
