"""Input and output of the site controller: the values of one step.

The energy service builds a `View` each second from the site's state and the facility's inputs, calls
`SiteController.step` and applies the `Orders`: bounds of each EVSE, the site's state, events.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field

from gateway.authority.priority import Bound
from gateway.authority.soc_floors import ASSUMED_CAPACITY_WH, Floor
from gateway.energy.reason import Decided
from gateway.model.command import SiteMode
from gateway.model.energy_state import EnergyState
from gateway.model.site import Inputs, SitePolicy
from protocols.frozen import frozen

DEFAULTS = SitePolicy("")


@frozen
class Car:
    """A vehicle in session at an EVSE. Powers are magnitudes that station and vehicle leave, W.

    `held`: a command of its own (or of the site) is in force, so energy management does not set its power.
    `floors`: those set for this vehicle or EVSE; `floor_reached`: the memory of their hysteresis, which control keeps.
    `capacity_wh`: the one to calculate with.
    `setpoint_w`: the power last sent to the station. `flowing_w`: the way of its power, from what is measured over what
    was ordered since; None where that is not known. `return_pct`: the state of charge that the agreement of a deployed
    vehicle guarantees after an outage, None for other vehicles. `metered_at`: time of the last meter reading.
    `stated_discharge_w`: what the station could discharge, whether or not the gateway can order it. `supplies_island`:
    by itself, without an order.
    """

    evse: str
    max_charge_w: float
    max_discharge_w: float
    min_charge_w: float = 0.0
    min_discharge_w: float = 0.0
    vehicle: str = ""
    soc_pct: float | None = None
    capacity_wh: float = ASSUMED_CAPACITY_WH
    floors: tuple[Floor, ...] = ()
    wanted_pct: float | None = None
    departure: float | None = None
    power_w: float | None = None
    setpoint_w: float = 0.0
    held: bool = False
    return_pct: float | None = None
    floor_reached: bool = False
    flowing_w: Sequence[float] | None = None
    metered_at: float | None = None
    stated_discharge_w: float = 0.0
    supplies_island: bool = False

    @property
    def present_w(self) -> float:
        """Return the present power: measured since the last order, else ordered."""
        return self.setpoint_w if self.power_w is None else self.power_w


@frozen
class View:
    """Everything that the controller decides from, at one moment. `now` is monotonic, `wall` Unix time.

    `backup`: island operation is commanded. `called`: vehicles requested at another site; `due`: those that should have
    left. `unable`: EVSEs that did not accept the order to form a grid. `supply_held`: no island is formed before a
    command. `at_rest`: in an emergency stop, and after it until a mode is commanded; only commands move power on the
    grid. `independent`: EVSEs that operate independently of a grid to which they would connect; `interconnected`:
    another one is connected to the grid.
    """

    now: float
    wall: float
    inputs: Inputs
    cars: Sequence[Car] = ()
    mode: SiteMode = SiteMode.MANUAL
    import_w: float | None = None
    export_w: float | None = None
    peak_w: float | None = None
    backup: bool = False
    emergency: bool = False
    called: frozenset[str] = frozenset()
    due: frozenset[str] = frozenset()
    unable: frozenset[str] = frozenset()
    ramp_w_per_s: float = DEFAULTS.ramp_w_per_s
    floor_hysteresis_pct: float = DEFAULTS.floor_hysteresis_pct
    discharge_without_soc: bool = False
    connection_w: float | None = None
    supply_held: bool = False
    at_rest: bool = False
    independent: tuple[str, ...] = ()
    interconnected: bool = False


@frozen
class EvseOrders:
    """Orders for one EVSE: the optimiser's target (or None) and bounds above it. `forms_grid`: it forms an island."""

    optimiser: Bound | None = None
    extra: tuple[Bound, ...] = ()
    forms_grid: bool = False


@frozen
class Orders:
    """Orders until the next step. `islanded`: the missing grid is not a reason for 0 W.

    `island_w`: what all vehicles together have to take, None outside an island.
    `storage_w` and `pv_limit_w` are for the facility, None sets nothing. `state` is the `energy` part of the site's
    state, with the phase, the grid-forming source, the order to the main switch and the load tiers.
    """

    evses: Mapping[str, EvseOrders]
    islanded: bool = False
    storage_w: float | None = None
    pv_limit_w: float | None = None
    target_w: float | None = None
    events: tuple[Decided, ...] = ()
    island_w: float | None = None
    state: EnergyState = field(kw_only=True)
