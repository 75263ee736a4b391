"""Power of the loads of a site in an outage, by its meters. Pure."""

from __future__ import annotations

from gateway.energy.resource import STORAGE
from gateway.energy.view import View
from gateway.model.site import Grid, Load, Pv, Storage, Switch


def drawn_w(view: View, forming: str | None, formed_at: float) -> float | None:
    """Return what the loads draw, by the load meter, else by the meters of the sources; W.

    The source `forming` has formed the island since `formed_at` (monotonic); of an EVSE only a later reading counts.
    None where neither has shown it. While the facility reports nothing at all, a source at rest shows no collapse: the
    switchgear may have reconnected the site to the grid.
    """
    load = view.inputs.fresh(Load, view.now)
    if load is not None:
        return load.power_w
    if view.inputs.fresh(Grid, view.now) is None and view.inputs.fresh(Switch, view.now) is None:
        return None
    pv, storage = view.inputs.fresh(Pv, view.now), view.inputs.fresh(Storage, view.now)
    storage_w = storage.power_w if storage is not None else None
    source_w = storage_w if forming == STORAGE else _metered_w(view, forming, formed_at)
    if source_w is None:
        return None
    vehicles_w = sum(car.present_w for car in view.cars)
    given_w = (pv.power_w if pv is not None else 0.0) - vehicles_w - (storage_w or 0.0)
    return max(given_w, abs(source_w))


def _metered_w(view: View, evse: str | None, since: float) -> float | None:
    """Return the power that the meter of an EVSE has shown after `since`, None where it has shown none."""
    source = next((car for car in view.cars if car.evse == evse), None)
    if source is None or source.metered_at is None or source.metered_at <= since:
        return None
    return source.power_w
