"""What the facility's inputs say about grid, switch, sources and weather, as the machines of `resilience` take it.

Pure translation of a view: a stale input is None here, never a zero. What is believed of it is `grid_watch.py`'s and
`interlock.py`'s business.
"""

from __future__ import annotations

from collections.abc import Iterable

from gateway.energy.reserve import StormWarning
from gateway.energy.resilience.grid_watch import Seen
from gateway.energy.resilience.phase import Look, Source
from gateway.energy.view import View
from gateway.model.site import Freshness, Grid, InputKind, Load, Pv, Storage, Storm, Switch

FORMED_W = 50.0  # a load that draws in an open island shows that there is a voltage


def seen_of(view: View, closed_else: bool) -> Seen:
    """The grid's witnesses; `closed_else` is where the main switch is believed to be while it says nothing."""
    now, inputs = view.now, view.inputs
    grid, switch = inputs.fresh(Grid, now), inputs.fresh(Switch, now)
    load, pv, storage = inputs.fresh(Load, now), inputs.fresh(Pv, now), inputs.fresh(Storage, now)
    expected = None
    if load is not None:
        expected = load.power_w - (pv.power_w if pv is not None else 0.0)
        expected += (storage.power_w if storage is not None else 0.0) + sum(car.power_w or 0.0 for car in view.cars)
    closed = not switch.open if switch is not None else closed_else
    if grid is None:
        return Seen(None, None, None, None, expected, closed)
    return Seen(grid.present, grid.voltage_v, grid.frequency_hz, grid.power_w, expected, closed)


def look_of(view: View, sources: Iterable[Source], backup: bool | None, hand_to: str | None) -> Look:
    """What the island machine is shown. `backup`: True a fresh command to enter, False to leave, None neither."""
    grid, switch = view.inputs.fresh(Grid, view.now), view.inputs.fresh(Switch, view.now)
    load = view.inputs.fresh(Load, view.now)
    draws = load is not None and load.power_w > FORMED_W and switch is not None and switch.open
    return Look(
        view.now,
        switch.open if switch is not None else None,
        grid.power_w if grid is not None else None,
        list(sources),
        True if draws else None,
        backup,
        view.emergency,
        hand_to,
    )


def storm_of(view: View) -> StormWarning | None:
    """The storm warning that holds. One that has gone quiet holds until its own end: silence is no fair weather."""
    told = view.inputs.fresh(Storm, view.now)
    if told is not None and told.active:
        return StormWarning(told.until, told.min_soc_pct, told.starts)
    held = view.inputs.readings.get(InputKind.STORM)
    stale = view.inputs.freshness(InputKind.STORM, view.now) is Freshness.STALE
    if stale and held is not None and isinstance(held.value, Storm) and held.value.active and held.value.until:
        return StormWarning(held.value.until, held.value.min_soc_pct, held.value.starts)
    return None
