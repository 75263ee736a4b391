"""The tables of a scenario file: site, grid, chargers, cars, what happens, what must come of it.

Each knows what its own keys allow. Whether they fit together is `scenario.py`'s, whether they make sense `sense.py`'s.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from emulators.faults.injector import KINDS
from emulators.scenario.durations import Seconds

Leased = Literal["discharge", "charge", "setpoint"]
Lasting = Literal["stop", "schedule", "reserve", "release", "peak_limit", "backup", "mode", "emergency_stop"]
Verb = Leased | Lasting
Mode = Literal["self_consumption", "peak_shaving", "price", "grid_service", "backup", "manual"]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,40}$")]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class GatewayPart(Strict):
    """The gateway's own settings for this site."""

    site: Name = "site-1"
    import_limit_w: float | None = Field(None, gt=0)
    export_limit_w: float | None = Field(None, ge=0)
    min_soc_pct: float = Field(0.0, ge=0, le=100)
    mode: Mode = "manual"
    peak_limit_w: float | None = Field(None, gt=0)
    energy: dict[str, Any] = Field(
        default_factory=dict, description="the [energy] table of the gateway's configuration"
    )
    ocpp: dict[str, Any] = Field(default_factory=dict, description="its [ocpp] table, but for how it is reached")
    commands: dict[str, Any] = Field(default_factory=dict, description="its [commands] table")


class PvPart(Strict):
    """An array."""

    peak_w: float = Field(gt=0)
    tilt: float = Field(20.0, ge=0, le=90)
    azimuth: float = Field(180.0, ge=0, lt=360)
    clearness: float = Field(0.75, gt=0, le=1)


class StoragePart(Strict):
    """Stationary storage: used LEAF modules, or a new pack of `capacity_wh`."""

    kind: Literal["second-life", "new"] = "second-life"
    capacity_wh: float = Field(15_000.0, gt=0, description="of a new pack; a second-life one is 24 used modules")
    soc_pct: float = Field(50.0, ge=0, le=100)
    max_w: float = Field(10_000.0, gt=0)
    floor_pct: float = Field(10.0, ge=0, le=100)
    policy: Literal["idle", "self_consumption", "standby"] = Field(
        "idle", description="standby: kept full for the critical tiers, an uninterruptible supply"
    )
    forming: bool = True
    backs_critical: bool = Field(
        False, description="the critical tiers hang behind it: it carries them within half a cycle of a loss"
    )

    @model_validator(mode="after")
    def _able(self) -> Self:
        if self.backs_critical and not self.forming:
            raise ValueError("a storage that backs the critical tiers has to be forming")
        if self.policy == "standby" and not self.backs_critical:
            raise ValueError("a storage on standby has something to back: say backs_critical = true")
        return self


class SitePart(Strict):
    """The place."""

    kind: Literal["store", "evacuation-centre", "welfare-facility", "home"]
    scale: float = Field(1.0, gt=0)
    latitude: float = Field(35.68, ge=-90, le=90)
    longitude: float = Field(139.77, ge=-180, le=180)
    utc_offset: Seconds = 9 * 3600.0
    ambient_c: float = Field(18.0, ge=-30, le=50)
    contract_w: float | None = Field(None, gt=0, description="contract power, for the report")
    backup: bool = True
    tier_floors: list[tuple[int, float]] = Field(
        default_factory=list, description="(priority, SoC %): below that SoC an island keeps only tiers up to it"
    )
    pv: list[PvPart] = Field(default_factory=list)
    storage: list[StoragePart] = Field(default_factory=list)


class GridEventPart(Strict):
    """Something that happens to the grid."""

    kind: Literal["outage", "brown-out", "frequency-step", "frequency-drift", "voltage-step"]
    at: Seconds
    duration: Seconds
    value: float = 0.0


class GridPart(Strict):
    """The grid."""

    nominal_hz: Literal[50, 60] = 50
    events: list[GridEventPart] = Field(default_factory=list)


class ChargerPart(Strict):
    """Charging stations; `count` of the same kind are numbered from the id."""

    id: Name
    count: int = Field(1, ge=1, le=2000)
    evses: int = Field(1, ge=1, le=8)
    ocpp: Literal["1.6", "2.0.1", "2.1"] = "2.1"
    vehicle_link: Literal["iso15118-20", "none"] = Field(
        "iso15118-20", description="how the car is spoken to; none: car and stage without messages between them"
    )
    max_charge_w: float = Field(10_000.0, gt=0)
    max_discharge_w: float = Field(10_000.0, ge=0)
    max_current_a: float = Field(40.0, gt=0)
    ramp_w_per_s: float = Field(5_000.0, gt=0)
    min_power_w: float = Field(200.0, ge=0)
    standby_w: float = Field(25.0, ge=0)
    supply_w: float | None = Field(None, gt=0, description="what all EVSEs of a station may use together")
    forming: bool = Field(False, description="can make an island's voltage, by itself unless its profile has an order")
    vendor_profile: str | None = Field(None, description="how this product differs, such as vendor-island")
    efficiency: list[tuple[float, float]] = Field(
        default_factory=list,
        max_length=50,
        description="one way, at fractions of the rated power: [[0, 0.8], [0.5, 0.96], [1, 0.95]]",
    )
    min_voltage_v: float = Field(150.0, gt=0)
    max_voltage_v: float = Field(500.0, gt=0)
    meter_class_pct: float = Field(1.0, ge=0, le=5)
    meter_drift_pct_year: float = Field(0.0, ge=-5, le=5)
    clock_drift_ppm: float = Field(0.0, ge=-1000, le=1000)

    @model_validator(mode="after")
    def _curve(self) -> Self:
        rising = all(a[0] < b[0] for a, b in pairwise(self.efficiency))
        if not rising or any(not (0 <= part <= 1 and 0 < eta <= 1) for part, eta in self.efficiency):
            raise ValueError("efficiency is a rising list of [fraction of the rated power 0..1, efficiency up to 1]")
        if self.min_voltage_v >= self.max_voltage_v:
            raise ValueError("min_voltage_v lies below max_voltage_v")
        return self

    def ids(self) -> list[str]:
        return [self.id] if self.count == 1 else [f"{self.id}{n}" for n in range(1, self.count + 1)]


class VisitPart(Strict):
    """One stay."""

    arrive: Seconds
    leave: Seconds
    driven_wh: float = Field(0.0, ge=0)
    floor_pct: float | None = Field(None, ge=0, le=100)
    target_pct: float | None = Field(None, ge=0, le=100)


class HabitPart(Strict):
    """Comes back each day; hours of local time."""

    arrives_h: float = Field(18.0, ge=0, lt=24)
    leaves_h: float = Field(7.5, ge=0, lt=24)
    spread_h: float = Field(0.5, ge=0, le=4)
    driven_wh: float = Field(6_000.0, ge=0)


class CarPart(Strict):
    """Cars; `count` of the same kind are numbered and put on the EVSEs that follow."""

    name: Name
    profile: str = "ccs-63"
    count: int = Field(1, ge=1, le=2000)
    evse: Name = Field(description="such as CP1-1")
    soc_pct: float = Field(80.0, ge=0, le=100)
    soc_spread_pct: float = Field(0.0, ge=0, le=50, description="half width of an even spread, drawn by the seed")
    floor_pct: float | None = Field(None, ge=0, le=100)
    visits: list[VisitPart] = Field(default_factory=list)
    habit: HabitPart | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.visits and self.habit is not None:
            raise ValueError("a car has visits or a habit, not both")
        return self

    def names(self) -> list[str]:
        return [self.name] if self.count == 1 else [f"{self.name}{n}" for n in range(1, self.count + 1)]


class CommandPart(Strict):
    """What the facility orders by MQTT; leased verbs are renewed for `hold`."""

    at: Seconds
    target: str = Field(description='an EVSE, or "site"')
    verb: Verb
    power_w: float | None = None
    import_w: float | None = Field(None, ge=0)
    min_soc_pct: float | None = Field(None, ge=0, le=100)
    mode: Mode | None = None
    action: Literal["enter", "leave"] | None = None
    energy_wh: float | None = Field(None, ge=0, description="of reserve")
    periods: list[dict[str, Any]] | None = Field(
        None, description="of schedule, as in the contract; times are RFC 3339"
    )
    priority: int | None = Field(None, ge=0, le=100)
    lease_s: float | None = Field(None, ge=5, le=3600)
    hold: Seconds | None = None


class InputPart(Strict):
    """What the facility knows beyond its sensors: prices, forecasts, storms, arrivals; `body` as in the contract."""

    at: Seconds
    kind: Literal["price", "forecast", "storm", "arrival", "lent", "repaid"]
    body: dict[str, Any] = Field(description="without ts; times are RFC 3339")


class FaultPart(Strict):
    """One fault; kinds and targets are those of `emulators/faults/injector.py`."""

    kind: str
    target: str = ""
    at: Seconds = 0.0
    duration: Seconds | None = None
    rate: float = Field(1.0, ge=0, le=1)
    value: float = 0.0

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.kind not in KINDS:
            raise ValueError(f"no fault is called {self.kind!r}; there are {', '.join(sorted(KINDS))}")
        return self


class ChaosPart(Strict):
    """Faults drawn by the seed, on links, meters and clocks of this scenario."""

    count: int = Field(10, ge=1, le=1000)
    kinds: list[str] = Field(default_factory=list, description="only these; default is every kind that heals")

    @model_validator(mode="after")
    def _known(self) -> Self:
        for kind in self.kinds:
            if kind not in KINDS:
                raise ValueError(f"no fault is called {kind!r}; there are {', '.join(sorted(KINDS))}")
        return self


class LentPart(Strict):
    """A car of the agreement file that goes where it is called; it stands at its base at the start."""

    vehicle: Name = Field(description="as the agreement file names it; it is also what the car calls itself")
    profile: str = "ccs-63"
    soc_pct: float = Field(80.0, ge=0, le=100)


class NeighbourPart(Strict):
    """Another site of the same town: a gateway, stations and a grid of its own, on the same broker."""

    gateway: GatewayPart
    site: SitePart
    grid: GridPart = Field(default_factory=lambda: GridPart.model_validate({}))
    charger: list[ChargerPart] = Field(default_factory=list)


class TownPart(Strict):
    """Blue Switch over several sites; the scenario's own site leads."""

    agreements: dict[str, Any] = Field(description="the agreement file: its tables agreement, car, place, way")
    lent: list[LentPart] = Field(min_length=1, max_length=100)
    neighbour: list[NeighbourPart] = Field(default_factory=list, max_length=20)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        bases = {str(car.get("vehicle")): car for car in self.agreements.get("car", ()) if isinstance(car, dict)}
        for car in self.lent:
            if car.vehicle not in bases:
                raise ValueError(f"the lent car {car.vehicle} is not in the agreements")
        sites = [one.gateway.site for one in self.neighbour]
        if len(set(sites)) != len(sites):
            raise ValueError("two neighbours have the same gateway.site")
        return self


class Bound(Strict):
    """What a figure of the result must be."""

    min: float | None = None
    max: float | None = None
