"""What the controller is shown, and what it orders: the seam between this room and the core.

Values only. The core builds a `View` each second from its model and the facility's inputs, calls `SiteController.step`,
and carries `Orders` out: bounds of each EVSE into the order of authority, the rest into the site's state and events.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gateway.authority.priority import Bound
from gateway.energy.reason import Decided
from gateway.energy.resilience.phase import Phase
from gateway.model.command import SiteMode
from gateway.model.energy_state import EnergyState
from gateway.model.site import Inputs


@dataclass(frozen=True, slots=True)
class Car:
    """A car in session at an EVSE. Powers are magnitudes: what hardware, vehicle and emergency stop leave, W.

    `held`: a command of its own (or of the site) is in force, so its power is not ours to set. `floor_pct`: the highest
    floor the core knows of. `setpoint_w`: what the station was last told. `owed_pct`: what a lent car's agreement says
    that it is given back, None for a car that is not lent.
    """

    evse: str
    max_charge_w: float
    max_discharge_w: float
    min_charge_w: float = 0.0
    min_discharge_w: float = 0.0
    vehicle: str = ""
    soc_pct: float | None = None
    capacity_wh: float | None = None
    floor_pct: float = 0.0
    wanted_pct: float | None = None
    departure: float | None = None
    power_w: float | None = None
    setpoint_w: float = 0.0
    held: bool = False
    voltage_v: float | None = None
    frequency_hz: float | None = None
    owed_pct: float | None = None


@dataclass(frozen=True, slots=True)
class View:
    """Everything the controller decides from, at one moment. `now` is monotonic, `wall` Unix time.

    `command_w` is the leased command to the site in grid service or manual, where the core leaves sharing to us; None
    where there is none. `backup` is the standing wish for an island, `called` cars wanted at another site,
    `unable` EVSEs that did not take the order to form.
    """

    now: float
    wall: float
    inputs: Inputs
    cars: Sequence[Car] = ()
    mode: SiteMode = SiteMode.MANUAL
    import_w: float | None = None
    export_w: float | None = None
    peak_w: float | None = None
    reserve_pct: float | None = None
    command_w: float | None = None
    backup: bool = False
    emergency: bool = False
    called: frozenset[str] = frozenset()
    unable: frozenset[str] = frozenset()
    ramp_w_per_s: float = 2500.0


@dataclass(frozen=True, slots=True)
class EvseOrders:
    """For one EVSE: the optimiser's wish (None: leave it) and the bounds of higher layers. `hands_off`: it forms."""

    optimiser: Bound | None = None
    extra: tuple[Bound, ...] = ()
    hands_off: bool = False


@dataclass(frozen=True, slots=True)
class Orders:
    """What holds until the next step. `islanded` tells the core that the missing grid is not a reason for 0 W.

    `storage_w`, `pv_limit_w`, `main_switch` ("open", "closed", "") and `tiers` are for the facility, which carries them
    out; None and "" leave it to itself. `state` is the `energy` part of the site's state.
    """

    phase: Phase
    evses: Mapping[str, EvseOrders]
    islanded: bool = False
    forming: str | None = None
    main_switch: str = ""
    storage_w: float | None = None
    pv_limit_w: float | None = None
    tiers: Mapping[str, bool] = field(default_factory=dict)
    target_w: float | None = None
    events: tuple[Decided, ...] = ()
    state: EnergyState = field(kw_only=True)
