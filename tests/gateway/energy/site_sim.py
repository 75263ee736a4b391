"""Physical simulation of a small site, one second a step, for the laws of the controller: no messages, no chargers.

Vehicles follow what the control hierarchy leaves of the controller's bounds; the grid-forming source supplies the rest;
the main switch moves within a second. Checked in every step: no power flows into a dead grid, no source forms an island
behind a closed switch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from gateway.authority.priority import Bound, decide
from gateway.authority.soc_floors import Floor, discharge_bound, floor_reached, trip_wh, vehicle_floors
from gateway.energy.controller import SiteController
from gateway.energy.reason import Decided
from gateway.energy.resilience.phase import Phase
from gateway.energy.settings import EnergySection
from gateway.energy.view import Car, Orders, View
from gateway.model.command import SiteMode
from gateway.model.reason import Code
from gateway.model.result import Layer
from gateway.model.site import Grid, InputKind, Inputs, Load, Price, Pv, Storage, Storm, Switch

HYSTERESIS_PCT = 2.0
START = 1_800_000_000.0 - 1_800_000_000.0 % 86_400


@dataclass
class SimCar:
    """A battery behind an EVSE. `there` are hours of the simulation during which it is plugged in."""

    evse: str
    soc_pct: float = 80.0
    capacity_wh: float = 40_000.0
    power_w: float = 6000.0
    there: tuple[tuple[float, float], ...] = ((0.0, 1e9),)
    wanted_pct: float | None = None
    leaves_h: float | None = None
    can_form: bool = False
    stubborn: bool = False  # accepts every set-point and does nothing
    now_w: float = 0.0
    lowest_pct: float = 100.0
    command_w: float | None = None
    floor_reached: bool = False

    def present(self, hour: float) -> bool:
        return any(begin <= hour < end for begin, end in self.there)

    def run(self, power_w: float, seconds: float) -> None:
        self.now_w = power_w
        eta = 0.94 if power_w > 0 else 1 / 0.94
        self.soc_pct += 100 * power_w * eta * seconds / 3600 / self.capacity_wh
        self.soc_pct = min(max(self.soc_pct, 0.0), 100.0)
        self.lowest_pct = min(self.lowest_pct, self.soc_pct)


@dataclass
class Sim:
    """The site. `load` gives W per tier by hour, `pv` W by hour, `grid` (present, volts, hertz) by hour."""

    settings: EnergySection
    cars: list[SimCar] = field(default_factory=list)
    load: Callable[[float], dict[str, float]] = lambda hour: {"site": 2000.0}
    pv: Callable[[float], float] = lambda hour: 0.0
    grid: Callable[[float], tuple[bool, float, float]] = lambda hour: (True, 202.0, 50.0)
    mode: SiteMode = SiteMode.MANUAL
    import_w: float | None = None
    export_w: float | None = None
    storage: SimCar | None = None
    price: Price | None = None
    storm: Callable[[float], Storm | None] = lambda hour: None
    silent: Callable[[float], Iterable[str]] = lambda hour: ()
    step_s: float = 1.0
    meter_delay: int = 0
    plan: bool = False

    now: float = 0.0
    open: bool = False
    moving: str = ""
    orders: Orders | None = None
    controller: SiteController = field(init=False)
    inputs: Inputs = field(default_factory=Inputs)
    events: list[Decided] = field(default_factory=list)
    served_wh: dict[str, float] = field(default_factory=dict)
    unserved_wh: dict[str, float] = field(default_factory=dict)
    windows: dict[int, float] = field(default_factory=dict)
    grid_w: list[float] = field(default_factory=list)
    targets: list[float | None] = field(default_factory=list)
    dark_s: float = 0.0
    cost: float = 0.0
    backup: bool = False
    emergency: bool = False
    _late: list[float] = field(default_factory=list)
    _soft: bool = False  # in the step before

    def __post_init__(self) -> None:
        self.controller = SiteController(self.settings)

    @property
    def hour(self) -> float:
        return self.now / 3600

    @property
    def wall(self) -> float:
        return START + self.now

    def run(self, hours: float) -> Sim:
        until = self.now + hours * 3600
        while self.now < until - 1e-6:
            self.tick()
        return self

    def tick(self) -> None:
        self.now += self.step_s
        present, volts, hertz = self.grid(self.hour)
        self._physics(present)
        self._tell(present, volts, hertz)
        view = self._view()
        if self.plan and self.controller.plan_due(self.now):
            problem = self.controller.problem(view)
            if problem is not None:
                self.controller.take_plan(*self.controller.planner.plan(problem, self.now))
        self.orders = self.controller.step(view)
        for car in self.cars:
            floor = self.controller.resource_builder.floors.get(car.evse)
            reached = floor is not None and floor_reached(car.floor_reached, car.soc_pct, floor.pct, HYSTERESIS_PCT)
            car.floor_reached = reached and car.present(self.hour)
        self.events += self.orders.events
        self.targets.append(self.orders.target_w)
        if self.moving:
            self.open, self.moving = self.moving == "open", ""
        if self.orders.state.main_switch == "open" and not self.open:
            self.moving = "open"
        if self.orders.state.main_switch == "closed" and self.open:
            self.moving = "closed"
        self._check(present)

    def _check(self, present: bool) -> None:
        orders = self.orders
        assert orders is not None
        # A source may run behind a closed switch in a soft transfer only: onto a healthy grid, or for the one step in
        # which the grid fails while the switch closes, since the feedback comes with the next step.
        soft, just_closed = orders.state.phase is Phase.SYNCHRONISING and present, self._soft
        self._soft = soft
        if orders.state.forming is not None:
            assert self.open or soft or just_closed, "forms behind a closed switch"
        down = not present and not self.open and not just_closed
        if down and self.controller.island.grid.status.value in ("lost", "suspect"):
            for car in self.cars:
                if car.present(self.hour):
                    assert self._decided(car) == 0.0, "power into a grid that is down"

    def _decided(self, car: SimCar) -> float:
        """Return what the control hierarchy leaves."""
        bounds = [Bound(Layer.STATION, -car.power_w, car.power_w, Code.STATION_LIMIT)]
        mine = self.orders.evses.get(car.evse) if self.orders is not None else None
        if mine is not None:
            bounds += mine.extra
            floor = None if mine.forms_grid else self.controller.resource_builder.floors.get(car.evse)
            if floor is not None:
                found = discharge_bound(car.soc_pct, floor, reached=car.floor_reached, without_soc=False)
                bounds += [] if found is None else [found]
            if mine.optimiser is not None:
                bounds.append(mine.optimiser)
        if car.command_w is not None:
            bounds.append(Bound(Layer.COMMAND, car.command_w, car.command_w))
        return decide(bounds).power_w

    def _physics(self, present: bool) -> None:
        """Apply the orders of the last second."""
        demand = self.load(self.hour)
        on = (
            self.orders.state.tiers
            if self.orders is not None and self.orders.state.tiers
            else dict.fromkeys(demand, True)
        )
        pv_w = self.pv(self.hour)
        here = [car for car in self.cars if car.present(self.hour)]
        forming = self.orders.state.forming if self.orders is not None and self.open else None
        alive = (present and not self.open) or forming is not None
        for car in self.cars:
            if car not in here:
                car.now_w = 0.0
        for car in here:
            if car.evse == forming:
                continue
            car.run(0.0 if car.stubborn or not alive else self._decided(car), self.step_s)
        if self.storage is not None and forming != "storage":
            ordered = self.orders.storage_w if self.orders is not None else 0.0
            self.storage.run(ordered if ordered is not None and alive else 0.0, self.step_s)
        load_w = sum(watts for name, watts in demand.items() if on.get(name, True)) if alive else 0.0
        others = sum(car.now_w for car in here if car.evse != forming)
        if self.storage is not None and forming != "storage":
            others += self.storage.now_w
        net_w = load_w + others - (pv_w if alive else 0.0)
        if forming is not None:
            source = self.storage if forming == "storage" else next((car for car in here if car.evse == forming), None)
            if source is not None:
                given = min(max(net_w, -source.power_w), source.power_w)
                source.run(-given, self.step_s)
                if net_w > source.power_w + 1:  # overload: no supply in this second
                    load_w, alive = 0.0, False
            net_w = 0.0
        if not alive:
            self.dark_s += self.step_s
        for name, watts in demand.items():
            book = self.served_wh if alive and on.get(name, True) else self.unserved_wh
            book[name] = book.get(name, 0.0) + watts * self.step_s / 3600
        grid_w = net_w if present and not self.open else 0.0
        self.grid_w.append(grid_w)
        window = int(self.wall // 1800)
        self.windows[window] = self.windows.get(window, 0.0) + max(0.0, grid_w) * self.step_s / 1800
        self._load_w, self._pv_w = (load_w, pv_w) if alive else (0.0, 0.0)

    def _tell(self, present: bool, volts: float, hertz: float) -> None:
        silent = set(self.silent(self.hour))
        self._late.append(self.grid_w[-1])
        seen_w = self._late[-1 - min(self.meter_delay, len(self._late) - 1)]
        inputs: list[tuple[InputKind, object]] = [
            (InputKind.GRID, Grid(ts=self.wall, present=present, voltage_v=volts, frequency_hz=hertz, power_w=seen_w)),
            (InputKind.LOAD, Load(ts=self.wall, power_w=self._load_w)),
            (InputKind.PV, Pv(ts=self.wall, power_w=max(0.0, self._pv_w))),
            (InputKind.SWITCH, Switch(ts=self.wall, open=self.open)),
        ]
        if self.storage is not None:
            one = self.storage
            body = Storage(
                ts=self.wall,
                power_w=one.now_w,
                soc_pct=one.soc_pct,
                capacity_wh=one.capacity_wh,
                max_charge_w=one.power_w,
                max_discharge_w=one.power_w,
            )
            inputs.append((InputKind.STORAGE, body))
        if self.price is not None and self.now <= 2 * self.step_s:
            inputs.append((InputKind.PRICE, self.price))
        storm = self.storm(self.hour)
        if storm is not None:
            inputs.append((InputKind.STORM, storm))
        for kind, value in inputs:
            if kind.value not in silent:
                self.inputs.put(kind, value, self.now, self.wall)  # type: ignore[arg-type]

    def _view(self) -> View:
        cars = [
            Car(
                car.evse,
                car.power_w,
                car.power_w,
                vehicle=car.evse,
                soc_pct=car.soc_pct,
                capacity_wh=car.capacity_wh,
                wanted_pct=car.wanted_pct,
                departure=None if car.leaves_h is None else START + car.leaves_h * 3600,
                power_w=car.now_w,
                setpoint_w=self._decided(car),
                held=car.command_w is not None,
                floors=self._floors(car),
                floor_reached=car.floor_reached,
            )
            for car in self.cars
            if car.present(self.hour)
        ]
        return View(
            self.now,
            self.wall,
            self.inputs,
            cars,
            self.mode,
            self.import_w,
            self.export_w,
            backup=self.backup,
            emergency=self.emergency,
        )

    def _floors(self, car: SimCar) -> tuple[Floor, ...]:
        """Return the floors that the configuration sets for a vehicle, as `floors_of` does."""
        known = next((one for one in self.settings.cars if one.vehicle == car.evse), None)
        if known is None:
            return ()
        return vehicle_floors(known.floor_pct, trip_wh(known.home_km, known.wh_per_km), car.capacity_wh)

    def codes(self) -> list[str]:
        return [event.code for event in self.events]

    @property
    def highest_window_w(self) -> float:
        return max(self.windows.values())
