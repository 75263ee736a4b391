"""Tables of a scenario file: site, grid, chargers, cars, commands, inputs, local energy
management, faults, expectations.

Each table checks its own keys. References between tables are checked in `scenario.py` and `validation.py`.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator

from emulators.faults.fault import check_kind
from emulators.scenario.durations import Seconds
from protocols.ocpp import vendor

Leased = Literal["discharge", "charge", "setpoint"]
Unleased = Literal["stop", "schedule", "reserve", "release", "peak_limit", "backup", "mode", "emergency_stop"]
Verb = Leased | Unleased
Mode = Literal["self_consumption", "peak_shaving", "price", "grid_service", "backup", "manual"]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,40}$")]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class GatewayPart(Strict):
    """Settings of the gateway of this site."""

    site: Name = "site-1"
    import_limit_w: float | None = Field(None, gt=0)
    export_limit_w: float | None = Field(None, ge=0)
    min_soc_pct: float = Field(0.0, ge=0, le=100)
    mode: Mode = "manual"
    peak_limit_w: float | None = Field(None, gt=0)
    energy: dict[str, Any] = Field(
        default_factory=dict, description="the [energy] table of the gateway's configuration"
    )
    ocpp: dict[str, Any] = Field(default_factory=dict, description="its [ocpp] table, without the listening address")
    commands: dict[str, Any] = Field(default_factory=dict, description="its [commands] table")


class PvPart(Strict):
    """A photovoltaic array."""

    peak_w: float = Field(gt=0)
    tilt: float = Field(20.0, ge=0, le=90)
    azimuth: float = Field(180.0, ge=0, lt=360)
    clearness: float = Field(0.6, gt=0, le=1)
    driver: Literal["none", "modbus"] = Field(
        "none",
        description="modbus: its inverter is a SunSpec device of the gateway; otherwise the facility measures it",
    )


class StoragePart(Strict):
    """Stationary storage: used LEAF modules, or a new pack of `capacity_wh`."""

    kind: Literal["second-life", "new"] = "second-life"
    capacity_wh: float = Field(15_000.0, gt=0, description="of a new pack; a second-life pack is 24 used modules")
    soc_pct: float = Field(50.0, ge=0, le=100)
    max_w: float = Field(10_000.0, gt=0)
    floor_pct: float = Field(10.0, ge=0, le=100)
    policy: Literal["idle", "self_consumption", "standby"] = Field(
        "idle", description="standby: kept full to supply the critical tiers without interruption"
    )
    forming: bool = True
    backs_critical: bool = Field(
        False, description="supplies the critical tiers within half a cycle after a loss of the grid"
    )

    @model_validator(mode="after")
    def _able(self) -> Self:
        if self.backs_critical and not self.forming:
            raise ValueError("a storage with backs_critical = true must be forming")
        if self.policy == "standby" and not self.backs_critical:
            raise ValueError('a storage with policy = "standby" needs backs_critical = true')
        return self


class SitePart(Strict):
    """Location and electrical installation."""

    kind: Literal["store", "evacuation-centre", "welfare-facility", "home"]
    scale: float = Field(1.0, gt=0)
    latitude: float = Field(35.68, ge=-90, le=90)
    longitude: float = Field(139.77, ge=-180, le=180)
    utc_offset: Seconds = 9 * 3600.0
    ambient_c: float = Field(18.0, ge=-30, le=50)
    contract_w: float | None = Field(None, gt=0, description="contract power, for the report")
    backup: bool = True
    tier_floors: list[tuple[int, float]] = Field(
        default_factory=list,
        description="(priority, SoC %): below that SoC an island supplies only tiers up to this priority",
    )
    pv: list[PvPart] = Field(default_factory=list)
    storage: list[StoragePart] = Field(default_factory=list)

    @model_validator(mode="after")
    def _one_driver(self) -> SitePart:
        if len({one.driver for one in self.pv}) > 1:
            raise ValueError("pv: all arrays of a site have the same driver")
        return self

    @property
    def pv_over_modbus(self) -> bool:
        """True where the inverters are devices of the gateway."""
        return any(one.driver == "modbus" for one in self.pv)


class GridEventPart(Strict):
    """A disturbance of the grid."""

    kind: Literal["outage", "brown-out", "frequency-step", "frequency-drift", "voltage-step"]
    at: Seconds
    duration: Seconds
    value: float = 0.0


class GridPart(Strict):
    """The public grid."""

    nominal_hz: Literal[50, 60] = 50
    events: list[GridEventPart] = Field(default_factory=list)


VehicleLink: TypeAlias = Literal["iso15118-20", "chademo", "none"]


class ChargerPart(Strict):
    """Charging stations; with `count`, the ids are numbered."""

    id: Name
    count: int = Field(1, ge=1, le=2000)
    evses: int = Field(1, ge=1, le=8)
    hosted: bool = Field(
        False,
        description="hosted by the gateway itself over the ports of its hardware, without OCPP; its EVSE has its id",
    )
    driver: Literal["secc", "modbus", "echonet"] = Field(
        "secc", description="of a hosted EVSE; modbus, echonet: a box with its own vehicle communication"
    )
    board: Literal["dc", "ac"] = Field(
        "dc", description="of the driver secc; ac: contactors only, with the converter in the vehicle"
    )
    product: str = Field("bidipro-10", description="register map of a wallbox with the driver modbus")
    ocpp: Literal["1.6", "2.0.1", "2.1"] = "2.1"
    vehicle_link: VehicleLink = Field(
        "iso15118-20", description="communication with the car; none: car and power stage without messages between them"
    )
    max_charge_w: float = Field(10_000.0, gt=0)
    max_discharge_w: float = Field(10_000.0, ge=0)
    max_current_a: float = Field(40.0, gt=0)
    ramp_w_per_s: float = Field(5_000.0, gt=0)
    min_power_w: float = Field(200.0, ge=0)
    standby_w: float = Field(25.0, ge=0)
    supply_w: float | None = Field(None, gt=0, description="limit of the sum of all EVSEs of a station")
    forming: bool = Field(
        False,
        description="grid-forming in an island, on its own decision unless its vendor profile has a command for it",
    )
    vendor_profile: str | None = Field(None, description="deviations of the product, such as vendor-island")
    efficiency: list[tuple[float, float]] = Field(
        default_factory=list,
        max_length=50,
        description="in one direction, at fractions of the rated power: [[0, 0.8], [0.5, 0.96], [1, 0.95]]",
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
            raise ValueError(
                "efficiency must be a rising list of [fraction of the rated power 0..1, efficiency up to 1]"
            )
        if self.min_voltage_v >= self.max_voltage_v:
            raise ValueError("min_voltage_v must be less than max_voltage_v")
        return self

    @model_validator(mode="after")
    def _of_its_version(self) -> Self:
        if self.vendor_profile is None:
            return self
        versions = vendor.find(self.vendor_profile).ocpp
        if self.ocpp not in versions:
            stated = " or ".join(versions)
            raise ValueError(f"the vendor profile {self.vendor_profile} is for OCPP {stated}, not for {self.ocpp}")
        return self

    @model_validator(mode="after")
    def _hosted(self) -> Self:
        given = {"evses", "ocpp", "vendor_profile", "supply_w", "clock_drift_ppm"} & self.model_fields_set
        if self.hosted and (given or self.vehicle_link == "none"):
            named = ", ".join(sorted(given)) or 'vehicle_link = "none"'
            raise ValueError(f"a charger with hosted = true is one EVSE without a station: it has no {named}")
        if not self.hosted and {"driver", "board", "product"} & self.model_fields_set:
            raise ValueError("driver, board and product are those of a charger with hosted = true")
        if self.vehicle_link == "chademo" and (self.driver == "modbus" or self.board == "ac"):
            raise ValueError("a wallbox over Modbus and an AC board have no CHAdeMO")
        if self.forming and (self.driver == "modbus" or self.board == "ac"):
            raise ValueError("a wallbox over Modbus and an AC board have no order for grid-forming: no forming there")
        return self

    @property
    def messages_link(self) -> VehicleLink:
        """Link over which vehicle and charger exchange messages; none behind a box with its own communication."""
        return self.vehicle_link if self.driver == "secc" else "none"

    def evse_names(self) -> list[str]:
        """Return the names of the EVSEs, in order."""
        if self.hosted:
            return self.ids()
        return [f"{name}-{number + 1}" for name in self.ids() for number in range(self.evses)]

    def ids(self) -> list[str]:
        return [self.id] if self.count == 1 else [f"{self.id}{n}" for n in range(1, self.count + 1)]


class VisitPart(Strict):
    """One stay at the EVSE."""

    arrive: Seconds
    leave: Seconds
    driven_wh: float = Field(0.0, ge=0)
    floor_pct: float | None = Field(None, ge=0, le=100)
    target_pct: float | None = Field(None, ge=0, le=100)


class HabitPart(Strict):
    """Daily visits; hours of local time."""

    arrives_h: float = Field(18.0, ge=0, lt=24)
    leaves_h: float = Field(7.5, ge=0, lt=24)
    spread_h: float = Field(0.5, ge=0, le=4)
    driven_wh: float = Field(6_000.0, ge=0)


class CarPart(Strict):
    """Cars; with `count`, the names are numbered and the cars use consecutive EVSEs."""

    name: Name
    profile: str = "ccs-63"
    count: int = Field(1, ge=1, le=2000)
    evse: Name = Field(description="such as CP1-1")
    soc_pct: float = Field(80.0, ge=0, le=100)
    soc_spread_pct: float = Field(
        0.0, ge=0, le=50, description="half width of a uniform distribution, drawn by the seed"
    )
    floor_pct: float | None = Field(None, ge=0, le=100)
    visits: list[VisitPart] = Field(default_factory=list)
    habit: HabitPart | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.visits and self.habit is not None:
            raise ValueError("visits and habit cannot be combined")
        return self

    def names(self) -> list[str]:
        return [self.name] if self.count == 1 else [f"{self.name}{n}" for n in range(1, self.count + 1)]


class CommandPart(Strict):
    """A command of the facility over MQTT; verbs with a lease are renewed for the duration of `hold`."""

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
        None, description="of schedule, as in the MQTT contract; times are RFC 3339"
    )
    priority: int | None = Field(None, ge=0, le=100)
    lease_s: float | None = Field(None, ge=5, le=3600)
    hold: Seconds | None = None


class InputPart(Strict):
    """An input of the facility without a sensor, such as prices or a forecast; `body` as in the MQTT contract."""

    at: Seconds
    kind: Literal["price", "forecast", "storm", "arrival", "lent", "repaid"]
    body: dict[str, Any] = Field(description="without ts; times are RFC 3339")


class EmsPart(Strict):
    """Values that a local energy management system sets or measures at a charging station; it bypasses the gateway."""

    at: Seconds
    station: Name
    evse: int = Field(0, ge=0, le=8, description="of a limit or set-point; 0: the station as a whole")
    limit_w: float | None = Field(None, ge=0, description="external limit (OCPP K29, Q06)")
    discharge_limit_w: float | None = Field(None, le=0)
    setpoint_w: float | None = Field(None, description="external set-point, + is charging")
    clear: bool = Field(False, description="removes external limits and set-points")
    site_w: float | None = Field(None, description="one reading of the site meter, + is import")
    grid_v: float | None = Field(None, gt=0)
    grid_hz: float | None = Field(None, gt=0)

    @model_validator(mode="after")
    def _one(self) -> Self:
        if not self.model_fields_set - {"at", "station", "evse"}:
            raise ValueError("an entry of ems needs a limit, a set-point, a reading, or clear = true")
        return self


class FaultPart(Strict):
    """One fault; kinds and targets are in `emulators/faults`."""

    kind: str
    target: str = ""
    at: Seconds = 0.0
    duration: Seconds | None = None
    rate: float = Field(1.0, ge=0, le=1)
    value: float = 0.0

    @model_validator(mode="after")
    def _known(self) -> Self:
        check_kind(self.kind)
        return self


class ChaosPart(Strict):
    """Random faults, drawn by the seed, on links, meters and clocks."""

    count: int = Field(10, ge=1, le=1000)
    kinds: list[str] = Field(
        default_factory=list, description="only these kinds; default: all kinds after which the site recovers"
    )

    @model_validator(mode="after")
    def _known(self) -> Self:
        for kind in self.kinds:
            check_kind(kind)
        return self


class DeployedVehiclePart(Strict):
    """A vehicle of the agreement file that follows call-outs; it starts at its base."""

    vehicle: Name = Field(description="name in the agreement file, also the EVCC id")
    profile: str = "ccs-63"
    soc_pct: float = Field(80.0, ge=0, le=100)


class NeighbourPart(Strict):
    """Another site with its own gateway, stations and grid, on the same broker."""

    gateway: GatewayPart
    site: SitePart
    grid: GridPart = Field(default_factory=lambda: GridPart.model_validate({}))
    charger: list[ChargerPart] = Field(default_factory=list)


class MultiSitePart(Strict):
    """Blue Switch over several sites; the site of the scenario leads."""

    agreements: dict[str, Any] = Field(description="the agreement file: its tables agreement, car, place, way")
    lent: list[DeployedVehiclePart] = Field(min_length=1, max_length=100)
    neighbour: list[NeighbourPart] = Field(default_factory=list, max_length=20)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        bases = {str(car.get("vehicle")): car for car in self.agreements.get("car", ()) if isinstance(car, dict)}
        for car in self.lent:
            if car.vehicle not in bases:
                raise ValueError(f"the deployed vehicle {car.vehicle} is not in the agreements")
        sites = [one.gateway.site for one in self.neighbour]
        if len(set(sites)) != len(sites):
            raise ValueError("two neighbours have the same gateway.site")
        return self


class Bound(Strict):
    """Bounds of a figure of the result."""

    min: float | None = None
    max: float | None = None
