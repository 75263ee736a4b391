"""Commands and energy management meet the same limits: same situation, same interval, same reason.

For each situation the energy controller orders as much discharge (or charge) as it can, and a command requests
everything; both pass `decide`.
"""

from __future__ import annotations

import ast
import math
import re
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import gateway
from gateway.authority.layers import PowerRequest, Situation, dead_band, hardware_power, layers
from gateway.authority.priority import Bound, Decision, decide
from gateway.authority.site_limits import base_power, site_bounds
from gateway.authority.soc_floors import (
    Reserve,
    ReserveInForce,
    capacity_of,
    floor_in_force,
    floor_reached,
    floors_of,
    trip_wh,
)
from gateway.energy.controller import SiteController
from gateway.energy.resilience.phase import Phase
from gateway.energy.settings import EnergySection, StorageTable
from gateway.energy.view import Car, EvseOrders, View
from gateway.model.command import SiteMode
from gateway.model.event import PowerLimits, VehicleNeeds
from gateway.model.evse import Evse
from gateway.model.reason import Code
from gateway.model.result import Layer
from gateway.model.site import Grid, InputKind, Inputs, Load, Price, PricePeriod, Site, SitePolicy, Storage, Switch
from tests.rounds import rounds
from tests.source_tree import modules

START = 1_800_000_000.0 - 1_800_000_000.0 % 86_400
FAR_W = 1e9
percent = st.sampled_from([0.0, 10.0, 30.0])
NEAR_FLOOR_PCT = [10.001, 10.05, 10.2, 30.001, 30.05, 30.2]
NOT_SCHEDULED = frozenset(  # limits that energy management does not foresee: its order is narrowed like a command
    {Code.BELOW_CAR_MINIMUM, Code.NEEDED_FOR_DEPARTURE, Code.EMERGENCY_STOP, Code.INPUT_STALE, Code.GRID_LOST}
)


OBSTACLES: tuple[str, ...] = (
    "",
    "",
    "",
    "offline",
    "fault",
    "charging_only",
    "no_limits",
    "no_needs",
    "one_way",
    "minimum",
    "window",
    "",
)
OBSTACLES += ("departure", "emergency", "no_soc", "reserve_wh", "trip", "dead_band")


@dataclass
class Case:
    """One EVSE at one site, with the inputs of every limit."""

    evse: Evse
    site: Site
    section: EnergySection
    reserve: Reserve | None
    agreed_pct: float | None
    socs: tuple[float | None, ...]  # of the steps: the last one is compared, the others move the hysteresis


@st.composite
def power_limits(draw: st.DrawFn, least_w: float) -> PowerLimits:
    return PowerLimits(draw(st.floats(1500, 4000)), draw(st.floats(1500, 9000)), least_w, least_w / 2)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    obstacle = draw(st.sampled_from(OBSTACLES))  # one at a time, so that the others can be seen
    least_w = 3000.0 if obstacle == "dead_band" else draw(st.sampled_from([0.0, 500.0]))
    evse = Evse("CP1-1", "CP1", connected=obstacle != "offline", session="tx", vehicle="V")
    evse.limits = None if obstacle == "no_limits" else draw(power_limits(least_w))
    evse.can_discharge = obstacle != "charging_only"
    evse.faults = {"Overheat": ""} if obstacle == "fault" else {}
    if obstacle != "no_needs":
        evse.needs = VehicleNeeds(
            draw(power_limits(least_w)),
            bidirectional=obstacle != "one_way",
            battery_capacity_wh=draw(st.none() | st.floats(20_000, 90_000)),
            departure=START + draw(st.floats(60, 40_000)) if obstacle == "departure" else None,
        )
        evse.min_energy_wh = draw(st.floats(-5000, 5000)) if obstacle == "minimum" else None
        evse.target_energy_wh = 9000.0 if obstacle == "departure" else None
        evse.min_v2x_energy_wh = draw(st.floats(-5000, 5000)) if obstacle == "window" else None
    policy = SitePolicy(
        "home",
        import_limit_w=draw(st.none() | st.floats(5000, 40_000)),
        export_limit_w=draw(st.none() | st.floats(0, 10_000)),
        min_soc_pct=draw(percent),
        floor_hysteresis_pct=draw(st.sampled_from([0.0, 2.0, 5.0])),
        discharge_without_soc=draw(st.booleans()),
        vehicle_floor_pct={"V": draw(percent)},
        vehicle_trip_wh={"V": trip_wh(30, 160)} if obstacle == "trip" else {},
    )
    site = Site(policy, mode=SiteMode.PRICE, peak_limit_w=draw(st.none() | st.floats(5000, 40_000)))
    site.reserve_pct, site.reserve_wh = draw(st.none() | percent), 9000.0 if obstacle == "reserve_wh" else None
    site.emergency_stop = "stop" if obstacle == "emergency" else None
    section = EnergySection(
        reserve_pct=draw(percent),
        contract_w=draw(st.none() | st.floats(20_000, 60_000)),
        plan=False,
    )
    pct = st.none() if obstacle == "no_soc" else st.floats(40, 100) | st.floats(5, 45) | st.sampled_from(NEAR_FLOOR_PCT)
    socs = draw(st.lists(pct, min_size=1, max_size=3))
    reserve = draw(st.none() | st.builds(Reserve, st.none() | percent, st.none()))
    return Case(evse, site, section, reserve, draw(st.none() | percent), (*socs, socs[-1]))


def car_of(case: Case, reached: bool = False) -> Car:
    """Return the vehicle as the energy service passes it to its controller."""
    evse, band = case.evse, dead_band(case.evse)
    charge_w, discharge_w = hardware_power(evse)
    return Car(
        evse.name,
        charge_w,
        discharge_w,
        band.charge_w,
        band.discharge_w,
        evse.vehicle or "",
        evse.soc_pct,
        capacity_of(evse, case.site.policy).energy_wh,
        floors_of(evse, case.site, case.reserve, case.agreed_pct),
        departure=evse.needs.departure if evse.needs else None,
        power_w=0.0,
        floor_reached=reached,
    )


def view_of(case: Case, now: float, cars: tuple[Car, ...]) -> View:
    policy = case.site.policy
    return View(
        now,
        START + now,
        case.site.inputs,
        cars,
        case.site.mode,
        policy.import_limit_w,
        policy.export_limit_w,
        case.site.peak_limit_w,
        emergency=case.site.emergency_stop is not None,
        ramp_w_per_s=1e9,
        floor_hysteresis_pct=policy.floor_hysteresis_pct,
        discharge_without_soc=policy.discharge_without_soc,
    )


def decisions(
    case: Case, orders: EvseOrders, schedule: ReserveInForce, now: float, reached: bool, far_w: float
) -> tuple[Decision, ...]:
    """Return the decisions for energy management's order, for an optimiser without limits, and for a command."""
    base = base_power(case.site, None, now)
    common = Situation(
        case.evse,
        case.site,
        now,
        tuple(site_bounds(case.site, base, 0.0, 0.0)),
        floor=floor_in_force(floors_of(case.evse, case.site, case.reserve, case.agreed_pct), schedule),
        floor_reached=reached,
        extra=orders.extra,
        wall=START + now,
    )
    extreme = Bound(Layer.OPTIMISER, far_w, far_w, Code.POLICY)
    return tuple(
        decide(*layers(one))
        for one in (
            replace(common, optimiser=orders.optimiser),
            replace(common, optimiser=extreme),
            replace(common, request=PowerRequest(far_w)),
        )
    )


@settings(max_examples=rounds(40, 150), deadline=None)
@given(
    cases(),
    st.sampled_from(["fresh"] * 8 + ["lost", "stale"]),
    st.floats(-12_000, 18_000),
    st.none() | st.floats(0, 3000),
    st.booleans(),
)
def test_energy_management_and_commands_get_the_same_power_for_the_same_reason(
    case: Case, grid: str, base_w: float, near_w: float | None, discharging: bool
) -> None:
    far_w = -FAR_W if discharging else FAR_W
    controller, site, evse = SiteController(case.section), case.site, case.evse
    limit_w = site.policy.export_limit_w if discharging else site.policy.import_limit_w
    if near_w is not None and limit_w is not None:  # so near to the limit that it binds
        base_w = near_w - limit_w if discharging else limit_w - near_w
    price, other = (100.0, 10.0) if discharging else (10.0, 100.0)
    periods = tuple(
        PricePeriod(start=START + 43_200 * half, duration_s=43_200, import_per_kwh=cost, export_per_kwh=cost)
        for half, cost in enumerate((price, other))
    )
    site.inputs = Inputs()
    site.inputs.put(InputKind.PRICE, Price(ts=START, prices=periods), 0.0, START)
    reached, orders, now = False, EvseOrders(), 60.0
    for evse.soc_pct in case.socs:
        now += 1.0
        if grid != "stale" or now < 62.0:
            reading = Grid(ts=START + now, present=grid != "lost", power_w=base_w)
            site.inputs.put(InputKind.GRID, reading, now, START + now)
        else:
            now += 30.0
        orders = controller.step(view_of(case, now, (car_of(case, reached),))).evses[evse.name]
        schedule = controller.reserve.in_force
        highest = floor_in_force(floors_of(evse, site, case.reserve, case.agreed_pct), schedule)
        reached = floor_reached(reached, evse.soc_pct, highest.pct, site.policy.floor_hysteresis_pct)
    ours, unlimited, command = decisions(case, orders, schedule, now, reached, far_w)
    opposite = decisions(case, orders, schedule, now, reached, -far_w)[2]
    above = len(command.layers) - 2  # the layers above command and optimiser

    assert (unlimited.power_w, unlimited.code) == (command.power_w, command.code)
    assert ours.layers[:above] == command.layers[:above]
    low_w, high_w = sorted((command.power_w, opposite.power_w))
    assert low_w - 1e-6 <= ours.power_w <= high_w + 1e-6
    limits_w = [site.policy.import_limit_w, site.peak_limit_w, 0.9 * (case.section.contract_w or math.inf)]
    exceeded = any(limit_w is not None and base_w > limit_w for limit_w in limits_w)
    exceeded |= site.policy.export_limit_w is not None and -base_w > site.policy.export_limit_w
    assume(not exceeded)  # else the optimiser corrects the site, which a limit alone never does
    resource = controller.resource_builder.car(view_of(case, now, ()), car_of(case))
    if resource.departure is not None or (resource.wanted_pct is not None and not discharging):
        return  # charge is spread over the time left
    if not discharging and (evse.soc_pct is None or evse.soc_pct > 50):
        return  # energy management charges a fuller vehicle with less
    forbidden = command.power_w == 0 and ours.power_w * far_w < 0  # it recharges instead
    assert forbidden or ours.power_w == pytest.approx(command.power_w, abs=1e-3)
    if command.code not in NOT_SCHEDULED and site.reserve_wh is None and orders.optimiser is not None:
        assert orders.optimiser.low_w == pytest.approx(ours.power_w, abs=1e-3)  # nothing is left to narrow


@settings(max_examples=rounds(15, 40), deadline=None)
@given(cases(), st.booleans(), st.floats(0, 100))
def test_in_an_island_a_command_meets_the_floor_of_energy_management(case: Case, held: bool, soc_pct: float) -> None:
    tables = {"storage": StorageTable(controlled=True, forming=True, capacity_wh=90_000), "island": True}
    controller = SiteController(case.section.model_copy(update=tables))
    case.site.emergency_stop, case.evse.soc_pct, phase, now = None, soc_pct, Phase.ON_GRID, 0.0
    for now in range(1, 31):
        wall, inputs = START + now, case.site.inputs
        inputs.put(InputKind.GRID, Grid(ts=wall, present=now < 5, power_w=1000.0 if now < 5 else 0.0), now, wall)
        inputs.put(InputKind.SWITCH, Switch(ts=wall, open=now >= 8), now, wall)
        inputs.put(InputKind.LOAD, Load(ts=wall, power_w=1000.0), now, wall)
        storage = Storage(ts=wall, power_w=-1000.0, soc_pct=90.0, max_charge_w=9000.0, max_discharge_w=9000.0)
        inputs.put(InputKind.STORAGE, storage, now, wall)
        orders = controller.step(view_of(case, float(now), (replace(car_of(case), held=held),)))
        case.site.islanded, phase = orders.islanded, orders.state.phase
    assert phase is Phase.ISLAND
    car = car_of(case)
    floor_pct = controller.resource_builder.car(view_of(case, float(now), ()), car).floor_pct
    ours, unlimited, command = decisions(
        case, orders.evses["CP1-1"], controller.reserve.in_force, float(now), False, -FAR_W
    )
    assert (unlimited.power_w, unlimited.code) == (command.power_w, command.code)
    if soc_pct <= floor_pct:
        assert command.power_w >= 0
        assert ours.power_w >= 0


LIMIT_NAMES = re.compile(
    r"HYSTERESIS|CAPACITY_WH|USUAL_WH|FLOOR_PCT|TRIP_MARGIN|WINDOW_MARGIN|DEAD_BAND_(CHARGE|DISCHARGE)|HEADROOM|C_RATE"
)
RULE_NAMES = re.compile(
    LIMIT_NAMES.pattern
    + r"|FLOOR|RAMP|TAPER|LIMIT|MARGIN|EFFICIENCY|DETOUR|SHAVING|NO_DISCHARGE|DEAD_BAND|UNKNOWN_WH|UNSTATED|RATED|LOSS"
    r"|^GAIN|FULL_PCT|ETA$"
)
DECIDING = ("blue_switch/", "commands/", "control/", "energy/")
REPORTING = ("csms/", "model/")
ALLOWED = {
    ("model/battery.py", "ASSUMED_CAPACITY_WH"),  # the default of the one setting
    ("model/battery.py", "METER_EFFICIENCY"),  # the one efficiency, which `authority.soc_floors` passes on
    ("model/battery.py", "LOSS_OUT"),  # its worst cases, for counting
    ("model/battery.py", "GAIN_IN"),
    ("model/evse.py", "UNSTATED_W"),  # stands for a limit that nobody states
    ("model/evse.py", "MARGIN"),  # of a measured power over it
    ("model/site.py", "floor_hysteresis_pct"),  # default of a setting
    ("model/site.py", "ramp_w_per_s"),  # the same
    ("blue_switch/callout.py", "ENERGY_MARGIN"),  # of an estimate for a call
    ("blue_switch/callout.py", "FULL_PCT"),  # a vehicle that is charged for a call leaves with this
    ("energy/resilience/rotation.py", "FULL_PCT"),  # a storage this full may take over
    ("commands/site_command.py", "UNLIMITED_W"),  # requests everything there is
    ("control/setpoint.py", "LONGEST_RAMP_S"),  # validity of a set-point
    ("control/settings.py", "RAMP_STEP_S"),  # interval of the set-point controller
    ("energy/modes/self_consumption.py", "DEAD_BAND_W"),  # of the mode's control loop
    ("energy/resilience/phase.py", "ramp_s"),  # default of a setting
}


def constants(path: Path) -> set[str]:
    """Return the names to which a module or a class in it assigns a number other than 0."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                found |= numbers_in(target, node.value)
    return found


def numbers_in(target: ast.expr, value: ast.expr) -> set[str]:
    """Return the names in a target, also in a tuple of names, that get a number other than 0."""
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        return set().union(*map(numbers_in, target.elts, value.elts))
    if isinstance(value, ast.UnaryOp):
        value = value.operand
    number = isinstance(value, ast.Constant) and type(value.value) in (int, float) and bool(value.value)
    return {target.id} if number and isinstance(target, ast.Name) else set()


def test_a_number_in_a_tuple_is_found(tmp_path: Path) -> None:
    source = tmp_path / "module.py"
    source.write_text("A_PCT, B_PCT = 5.0, 1.0\nC_W = -3\nD_W, E = 0.0, 'text'\nF: float = 2.0\n")
    assert constants(source) == {"A_PCT", "B_PCT", "C_W", "F"}


def test_no_other_package_has_a_constant_for_a_limit() -> None:
    root = Path(gateway.__file__).parent
    found = set()
    for path in sorted(root.rglob("*.py")):
        name = path.relative_to(root).as_posix()
        if not name.startswith(("authority/", "bench/")):
            rules = RULE_NAMES if name.startswith(DECIDING + REPORTING) else LIMIT_NAMES
            found |= {(name, one) for one in constants(path) if rules.search(one.upper())}
    assert found == ALLOWED


def test_no_package_that_decides_has_an_efficiency_of_its_own() -> None:
    found = set()
    for name, tree in modules("gateway", containing=r"\.9"):
        if name.removeprefix("gateway/").startswith(DECIDING):
            numbers = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
            found |= {(name, one) for one in numbers if isinstance(one, float) and 0.9 < one < 0.99}
    assert found == set()


def test_energy_management_makes_no_bound_above_the_optimiser() -> None:
    found = set()
    for _, tree in modules("gateway/energy", containing="Layer"):
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Layer":
                found.add(node.attr)
    assert found == {"OPTIMISER"}


@settings(max_examples=rounds(15, 40), deadline=None)
@given(cases(), st.booleans(), st.integers(0, 299))
def test_while_power_returns_after_an_outage_both_meet_the_same_ramp(
    case: Case, discharging: bool, since_s: int
) -> None:
    controller, now = SiteController(case.section), 0.0
    case.site.emergency_stop, case.evse.soc_pct, lost_s = None, 60.0, 20
    back = lost_s + int(case.section.reconnect_s)
    phase, orders = Phase.ON_GRID, EvseOrders()
    for now in (*range(1, lost_s, 5), lost_s, back, back + 1, back + 1 + since_s):
        wall, inputs = START + now, case.site.inputs
        inputs.put(InputKind.GRID, Grid(ts=wall, present=not 5 < now < lost_s, power_w=0.0), now, wall)
        step = controller.step(view_of(case, float(now), (car_of(case),)))
        phase, orders = step.state.phase, step.evses["CP1-1"]
    assert phase in (Phase.RETURNING, Phase.ON_GRID)
    far_w = -FAR_W if discharging else FAR_W
    ours, unlimited, command = decisions(case, orders, controller.reserve.in_force, float(now), False, far_w)
    assert (unlimited.power_w, unlimited.code) == (command.power_w, command.code)
    share = min(1.0, (1 + since_s) / case.section.return_ramp_s)
    charge_w, discharge_w = hardware_power(case.evse)
    assert -discharge_w * share - 1e-6 <= command.power_w <= charge_w * share + 1e-6
    assert -discharge_w * share - 1e-6 <= ours.power_w <= charge_w * share + 1e-6
