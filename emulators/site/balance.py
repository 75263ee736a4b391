"""Supply of a site and its power balance in one step."""

from __future__ import annotations

from enum import StrEnum

from protocols.frozen import frozen


class State(StrEnum):
    """Supply of the site."""

    GRID = "grid"
    DE_ENERGISED = "dark"
    ISLAND = "island"


@frozen
class Balance:
    """Power balance of one step, W."""

    state: State
    grid_w: float
    load_w: float  # served
    demand_w: float  # of all tiers, including shed ones
    pv_w: float
    storage_w: float
    cars_w: float
    frequency_hz: float
    voltage_v: float
