"""The `energy` member of `site/state`: set-points for the facility, island operation, reserve, plan, vehicle lending.

`SharedEnergyState` is the part that gateways of other sites read. Powers are in W, + into the vehicle or the storage;
energies are in Wh at the meter unless stated otherwise.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from gateway.model.message import Message, Stamp, strict_json

NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
WholeWh = Annotated[int, Field(ge=0)]
UnixTime = float  # s; these members are numbers on the wire, other times are RFC 3339 texts


def _absent(value: object) -> bool:
    return value is None


def _zero(value: object) -> bool:
    return not value


class Phase(StrEnum):
    """Position of the site between grid-connected and island operation."""

    ON_GRID = "on_grid"
    SUSPECT = "suspect"
    WAITING = "waiting"  # the grid is lost and no island can be formed
    OPENING = "opening"
    DARK = "dark"
    STARTING = "starting"
    ISLAND = "island"
    SYNCHRONISING = "synchronising"
    CLOSING = "closing"
    RETURNING = "returning"


OFF_GRID = frozenset(
    {Phase.WAITING, Phase.OPENING, Phase.DARK, Phase.STARTING, Phase.ISLAND, Phase.SYNCHRONISING, Phase.CLOSING}
)


class GridStatus(StrEnum):
    """Verdict of the loss-of-mains detection."""

    UNKNOWN = "unknown"  # no detection source reports
    HEALTHY = "healthy"
    SUSPECT = "suspect"  # a deviation, not yet for the confirmation time
    LOST = "lost"


class MainSwitch(StrEnum):
    """Ordered position of the main switch."""

    OPEN = "open"
    CLOSED = "closed"


class _Aliased(Message):
    """A part with a member named by a Python keyword."""

    model_config = ConfigDict(serialize_by_alias=True, validate_by_name=True, validate_by_alias=True)


class AnnouncedReserve(_Aliased):
    """A reserve that starts later."""

    starts: UnixTime = Field(validation_alias="from", serialization_alias="from")
    reserve_pct: float
    because_of: str


class ReserveState(Message):
    """The disaster reserve in force and the next announced one."""

    reserve_pct: float
    floor_pct: float
    because_of: str
    raised: bool
    until: UnixTime | None
    off_grid: bool
    next: AnnouncedReserve | None


class PlanSource(StrEnum):
    """Method that found a plan."""

    OPTIMUM = "optimum"
    RULES = "rules"


class PlanState(Message):
    """Series of the look-ahead plan; one value per step from `start`."""

    source: PlanSource
    reason: str
    made_at: UnixTime
    start: UnixTime
    step_s: float
    power_w: tuple[int, ...]
    grid_w: tuple[int, ...]
    reserve_pct: float


class DemandWindowState(Message):
    """The running demand window of a site with a contract."""

    ends_at: UnixTime
    imported_wh: float
    average_w: int
    contract_w: float
    estimated_wh: float


class RechargeTargetState(Message):
    """Recharge target of one battery after an outage."""

    name: str
    vehicle: str | None
    target_pct: float
    because_of: str
    owed_wh: int = Field(description="energy to return")
    due: Stamp
    ready: Stamp | None
    missing_wh: int


class RechargeState(_Aliased):
    """Recharge targets that are not reached yet, and the source they are recharged from."""

    source: Literal["sun", "grid"] = Field(validation_alias="from", serialization_alias="from")
    owed: tuple[RechargeTargetState, ...]


class AutonomyHours(Message):
    """Hours for which a load tier and all tiers above it are supplied: 10 %, expected and 90 % case."""

    low: float
    expected: float
    high: float


class FormingBy(StrEnum):
    """Origin of the selection of grid-forming."""

    ORDER = "order"
    HARDWARE = "hardware"
    NOBODY = "nobody"  # the station did not accept the order


class GridFormingState(Message):
    """Way in which the grid-forming EVSE was set to form."""

    evse: str
    by: FormingBy
    reason: str


class SiteInNeed(Message):
    """A site without grid supply that the coordinator sends vehicles to."""

    site: str
    draw_w: float
    stored_wh: float
    supplied_until: Stamp | None


class VehicleCall(_Aliased):
    """Request to bring one vehicle to a site: from where, when, and with how much energy."""

    vehicle: str
    agreement: str
    start: str = Field(validation_alias="from", serialization_alias="from")
    site: str
    call_by: Stamp
    leave_at: Stamp
    arrive_at: Stamp
    supply_until: Stamp
    hours: float
    brings_wh: WholeWh
    way_wh: WholeWh
    leaves_pct: NonNegative
    then: str | None


class DeployedVehicle(Message):
    """A vehicle plugged in at a site under its agreement."""

    vehicle: str
    site: str
    agreement: str
    arrived_at: Stamp
    arrived_pct: float | None
    soc_pct: float | None
    lowest_pct: float | None
    floor_pct: float
    given_wh: float
    charged_wh: float
    way_wh: int


class SupplyGap(Message):
    """A period in which a site gets less than it needs."""

    site: str
    start: Stamp
    end: Stamp


class BlueSwitchState(Message):
    """Vehicle lending as seen by one site's coordinator."""

    leads: bool = Field(description="this coordinator calls vehicles; the others follow its calls")
    outage: str | None = None
    sites: tuple[SiteInNeed, ...] = ()
    calls: tuple[VehicleCall, ...] = ()
    there: tuple[DeployedVehicle, ...] = ()
    gaps: tuple[SupplyGap, ...] = ()


class SiteNeedState(Message):
    """Need of a site without grid supply."""

    draw_w: NonNegative
    stored_wh: NonNegative
    bays: Annotated[int, Field(ge=0)]
    store_wh: NonNegative = Field(default=0.0, exclude_if=_zero, description="energy of its storage when it is full")
    store_w: NonNegative = Field(default=0.0, exclude_if=_zero, description="charge power of its storage")


class SharedEnergyState(Message):
    """The part of a site's energy state that other sites read."""

    phase: Phase
    need: SiteNeedState | None = Field(default=None, exclude_if=_absent, description="absent while on the grid")
    blue_switch: BlueSwitchState | None = Field(
        default=None, exclude_if=_absent, description="absent without an agreement file"
    )


class EnergyState(SharedEnergyState):
    """Orders and forecasts of the site's energy management."""

    grid: GridStatus
    grid_why: str
    reconnect_in_s: int | None
    forming: str | None = Field(description="name of the grid-forming source")
    main_switch: MainSwitch | None = Field(description="null leaves the switch to the facility")
    storage_w: float | None = Field(description="set-point for the facility's storage; null leaves it to the facility")
    pv_limit_w: float | None = Field(description="limit for the facility's PV; null is none")
    target_w: float | None = Field(description="sum for vehicles and storage")
    reserve: ReserveState
    plan: PlanState | None
    demand_window: DemandWindowState | None
    recharge: RechargeState | None
    storage_green_share: float | None
    tiers: dict[str, bool] = Field(description="load tier -> on")
    autonomy_h: dict[str, AutonomyHours]
    car_needed_in_h: float | None
    may_drive: tuple[str, ...]
    forming_order: GridFormingState | None = None


class SharedSiteState(Message):
    """The part of `site/state` that other sites read."""

    energy: SharedEnergyState | None = None

    @classmethod
    def parse(cls, payload: bytes) -> SharedSiteState:
        """Read another site's `site/state`; members of newer versions are ignored. ValueError if malformed."""
        parsed = cls.model_validate_json(payload, extra="ignore")
        strict_json(payload)
        return parsed
