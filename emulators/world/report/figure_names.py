"""Names and units of the figures of a run, for people."""

from __future__ import annotations

NAMES = {
    "import_wh": "energy imported from the grid",
    "export_wh": "energy exported to the grid",
    "pv_wh": "photovoltaic generation",
    "pv_curtailed_wh": "photovoltaic generation curtailed",
    "pv_trips": "trips of the photovoltaics",
    "served_wh": "energy of the loads",
    "unserved_wh": "energy that loads lacked",
    "unserved_critical_wh": "energy that critical loads lacked",
    "unserved_transfer_wh": "energy that critical loads lacked during transfers",
    "transfer_gap_s": "critical loads without voltage during transfers",
    "dark_s": "site without voltage",
    "held_zero_s": "longest time off the grid without a managed island",
    "fed_dead_grid_wh": "energy fed into a failed grid",
    "fed_dead_grid_steps": "steps with power into a failed grid",
    "peak_demand_w": "highest demand window",
    "cars_discharged_wh": "energy discharged from the cars",
    "cars_charged_wh": "energy charged into the cars",
    "floor_crossed_pct": "deepest discharge below a floor",
    "over_limit_s": "longest time beyond a limit of the connection",
    "alarms": "events that call for a person, and false alarms",
    "soc_min_pct": "lowest state of charge of a plugged car",
    "car_violations": "messages that a car rejects",
    "switch_operations": "operations of the main switch",
    "autonomy_h": "autonomy at the present load",
    "energy_cost": "cost of the energy from the grid, in the currency of the prices",
    "not_seen_on_meter": "power that the gateway has not ordered, as reported by it",
}
PARTS = {  # of cars, storages and deployed vehicles
    "soc_pct": "state of charge at the end",
    "lowest_pct": "lowest state of charge",
    "discharged_wh": "energy discharged",
    "charged_wh": "energy charged",
    "trips": "trips",
    "sites": "sites visited",
    "given_wh": "energy supplied to sites",
    "way_wh": "energy used on the way",
}
UNITS = (("_wh", "kWh", 1000.0), ("_w", "kW", 1000.0), ("_pct", "%", 1.0), ("_s", "s", 1.0), ("_h", "h", 1.0))


def name_of(figure: str, sites: frozenset[str] = frozenset()) -> str:
    """Return the name of a figure; `sites` are the neighbours of a multi-site scenario."""
    site, _, rest = figure.partition(".")
    if site in sites:
        return f"{site}: {name_of(rest)}"
    if figure in NAMES:
        return NAMES[figure]
    if figure.startswith("commands_"):
        return f"commands: {figure.removeprefix('commands_').replace('_', ' ')}"
    kind, _, rest = figure.partition(".")
    if kind in ("event", "decided"):
        return f"{'events' if kind == 'event' else 'decisions'}: {rest.replace('_', ' ')}"
    subject, _, part = rest.rpartition(".")
    if part not in PARTS:
        return figure
    return f"{'deployed car' if kind == 'lent' else kind} {subject}: {PARTS[part]}"


def value_of(figure: str, value: float) -> str:
    """Return a value with its unit."""
    for suffix, unit, factor in UNITS:
        if figure.endswith(suffix):
            return f"{value / factor:,.{3 if factor > 1 else 1}f} {unit}"
    return f"{value:,.6g}"


def bounds_of(figure: str, low: float | None, high: float | None) -> str:
    """Return the bounds of an expectation, with their unit."""
    if low is not None and high is not None:
        return f"{value_of(figure, low)} to {value_of(figure, high)}"
    return f"at least {value_of(figure, low)}" if low is not None else f"at most {value_of(figure, high or 0.0)}"
