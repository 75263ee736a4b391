"""The decision for an EVSE: which of the site, the inputs and the other EVSEs count, each by itself."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from emulators.runtime.clock import START
from gateway.authority.layers import PowerRequest
from gateway.authority.meter_model import STORAGE, Band
from gateway.authority.priority import Bound
from gateway.authority.site_limits import Base
from gateway.authority.soc_floors import Reserve, ReserveInForce
from gateway.control.control_state import Allocation, EvseControlState
from gateway.control.site_decision import SharedLimits
from gateway.model.command import Verb
from gateway.model.event import PowerLimits
from gateway.model.grid_report import GridReport
from gateway.model.reason import Code
from gateway.model.result import Layer
from gateway.model.site import Grid, InputKind, Load, SitePolicy, Storage, Switch
from tests.gateway.control.site_parts import VEHICLE, SiteParts, a_command

INF = math.inf
ALLOWED = Band(high_w=12_000.0)
DISCHARGE, CHARGE = PowerRequest(-20_000.0), PowerRequest(20_000.0)


def under_command(state: EvseControlState, power_w: float, **body: Any) -> Allocation:
    """Put a discharge in force at an EVSE."""
    return state.assign(a_command(power_w=abs(power_w), **body), power_w, 100.0)


# recorded for the model of the meter ----------------------------------------------------------------------------------


def test_the_way_of_an_evse_is_recorded_at_the_present_time() -> None:
    parts = SiteParts()
    state = parts.evse(sent_w=-5000.0, power_w=-1000.0, metered_at=99.0)
    state.setpoint.changed_at = 98.0
    parts.decision.record(state)
    assert parts.meter.history.present("CP1-1") == (-5000.0, 0.0)  # measured, sent, decided
    assert parts.meter.history.within(50.0, 99.9)[:2] == (0.0, 0.0)
    assert parts.meter.history.within(100.0, 101.0)[:2] == (-5000.0, 0.0)


@pytest.mark.parametrize(
    ("grid", "readings"),
    [
        (None, []),
        (Grid(ts=START + 97.0, present=True), []),
        (Grid(ts=START + 97.0, present=True, power_w=0.0), [(100.0, START + 97.0, 3.0, 0.0, 24_000.0, ALLOWED)]),
        (Grid(ts=START + 97.0, present=True, power_w=500.0), [(100.0, START + 97.0, 3.0, 500.0, 24_000.0, ALLOWED)]),
    ],
)
def test_a_reading_of_the_grid_meter_comes_after_the_power_of_all_evses(
    grid: Grid | None, readings: list[tuple[object, ...]]
) -> None:
    parts = SiteParts(SitePolicy("home", import_limit_w=12_000.0))
    parts.evse("CP1-1", sent_w=3000.0, power_w=3000.0, metered_at=99.0)
    parts.evse("CP2-1", sent_w=1000.0, power_w=1000.0, metered_at=99.0)
    if grid is not None:
        parts.put(InputKind.GRID, grid)
    parts.decision.grid_metered()
    assert parts.meter.readings == readings
    recorded = [parts.meter.history.present(name) for name in ("CP1-1", "CP2-1")]
    assert recorded == ([(0.0, 3000.0), (0.0, 1000.0)] if readings else [(0.0, 0.0)] * 2)


def test_the_base_load_has_the_storage_in_it() -> None:
    parts = SiteParts()
    assert parts.decision.base() == Base(0.0)
    parts.meter.history.record(STORAGE, 0.0, [700.0])
    parts.put(InputKind.GRID, Grid(ts=START + 100.0, present=True, power_w=5000.0))
    parts.decision.grid_metered()
    assert parts.decision.base() == Base(5000.0)
    parts.meter.history.record("CP1-1", 0.0, [3000.0])
    parts.put(InputKind.GRID, Grid(ts=START + 100.5, present=True, power_w=5000.0))
    parts.decision.grid_metered()
    parts.put(InputKind.GRID, Grid(ts=START + 101.0, present=True, power_w=5000.0))
    parts.decision.grid_metered()
    assert parts.decision.base() == Base(2000.0)
    parts.at(200.0)
    assert parts.decision.base() == Base(None, "grid")


# limits that several EVSEs share --------------------------------------------------------------------------------------


def several(**policy: Any) -> SiteParts:
    """Three EVSEs: one on its way from 1000 to 3000 W, one that discharges, one that has never been set."""
    parts = SiteParts(SitePolicy("home", **policy))
    parts.evse("CP1-1", sent_w=3000.0, power_w=1000.0)
    parts.evse("CP2-1", sent_w=-2000.0, power_w=-1500.0)
    parts.evse("CP3-1")
    return parts


def test_what_the_evses_may_be_taking_is_summed_once() -> None:
    shared = several().decision.shared()
    assert shared == SharedLimits(Base(0.0), {"CP1-1": (0.0, 3000.0), "CP2-1": (-2000.0, 0.0)})
    assert (shared.low_w, shared.high_w) == (-2000.0, 3000.0)
    assert shared.others("CP1-1") == (-2000.0, 0.0)
    assert shared.others("CP2-1") == (0.0, 3000.0)
    assert shared.others("CP3-1") == (-2000.0, 3000.0)


@pytest.mark.parametrize(
    ("taking_part", "low_w", "high_w"),
    [
        (set(), -7000.0, 9000.0),
        ({"CP1-1"}, -7000.0, 12_000.0),
        ({"CP2-1"}, -9000.0, 9000.0),
        ({"CP1-1", "CP2-1", "CP3-1"}, -9000.0, 12_000.0),
    ],
)
def test_the_connection_leaves_several_evses_what_the_others_do_not_take(
    taking_part: set[str], low_w: float, high_w: float
) -> None:
    parts = several(import_limit_w=12_000.0, export_limit_w=9000.0)
    found = parts.decision.bounds_for(taking_part)
    assert [(one.layer, one.low_w, one.high_w) for one in found] == [
        (Layer.SITE, -INF, high_w),
        (Layer.SITE, low_w, INF),
    ]
    parts.site.operate_islanded(True, -3000.0)
    [bound] = parts.decision.bounds_for(taking_part)
    assert (bound.layer, bound.low_w, bound.high_w) == (Layer.ISLAND, -3000.0, -3000.0)


def test_an_order_that_was_overtaken_may_still_be_taking_power() -> None:
    parts = several(import_limit_w=12_000.0, export_limit_w=9000.0)
    parts.meter.history.record("CP1-1", 98.0, [0.0, 5000.0])
    parts.meter.history.record("CP1-1", 99.0, [0.0, -700.0])
    assert parts.decision.shared().spans == {"CP1-1": (-700.0, 5000.0), "CP2-1": (-2000.0, 0.0)}
    bounds = parts.decision.bounds_for({"CP2-1"})
    assert [(one.low_w, one.high_w) for one in bounds] == [(-INF, 7000.0), (-8300.0, INF)]


@pytest.mark.parametrize(
    ("policy", "peak_w", "limited"),
    [
        ({}, None, False),
        ({"import_limit_w": 12_000.0}, None, True),
        ({"export_limit_w": 0.0}, None, True),
        ({}, 5000.0, True),
    ],
)
def test_a_site_is_limited_by_any_limit(policy: dict[str, Any], peak_w: float | None, limited: bool) -> None:
    parts = SiteParts(SitePolicy("home", **policy))
    parts.site.peak_limit_w = peak_w
    assert parts.decision.limited is limited


def test_a_decision_meets_the_limits_of_the_site_beside_the_others() -> None:
    parts = several(import_limit_w=5000.0)
    state = parts.evse("CP3-1")
    decided = parts.decision.decide(state, CHARGE)
    assert (decided.power_w, decided.code) == (2000.0, Code.IMPORT_LIMIT)
    shared = SharedLimits(Base(1000.0), {"CP3-1": (0.0, 100.0), "CP4-1": (0.0, 1500.0)})
    assert parts.decision.decide(state, CHARGE, shared).power_w == 2500.0
    assert parts.decision.alone(state, CHARGE).power_w == 9000.0
    decided = parts.decision.decide(state, DISCHARGE)
    assert (decided.power_w, decided.code) == (-8000.0, Code.VEHICLE_LIMIT)
    parts = several(export_limit_w=5000.0)
    decided = parts.decision.decide(parts.evse("CP3-1"), DISCHARGE)
    assert (decided.power_w, decided.code) == (-3000.0, Code.EXPORT_LIMIT)
    unlimited = several()
    assert unlimited.decision.decide(unlimited.evse("CP3-1"), CHARGE).power_w == 9000.0


# what else decides ----------------------------------------------------------------------------------------------------


def test_what_is_in_force_decides() -> None:
    parts = SiteParts()
    state = parts.evse()
    assert (parts.decision.request(state), parts.decision.current(state).binding) == (None, Layer.IDLE)
    state.command = a_command(power_w=4000.0)  # without an allocation here
    assert parts.decision.request(state) is None
    under_command(state, -3000.0, min_soc_pct=20.0)
    assert parts.decision.request(state) == PowerRequest(-3000.0, 20.0)
    decided = parts.decision.current(state)
    assert (decided.power_w, decided.binding) == (-3000.0, Layer.COMMAND)
    assert parts.decision.decide(state, None).binding is Layer.IDLE


@pytest.mark.parametrize(
    ("attributes", "request_w", "power_w", "code"),
    [
        ({}, -20_000.0, -8000.0, Code.VEHICLE_LIMIT),
        ({"optimiser": Bound(Layer.OPTIMISER, 700.0, 700.0, Code.POLICY)}, None, 700.0, Code.POLICY),
        ({"extra": (Bound(Layer.ISLAND, -900.0, 0.0, Code.ISLAND),)}, -20_000.0, -900.0, Code.ISLAND),
        ({"soc_pct": 20.0}, -20_000.0, 0.0, Code.BELOW_FLOOR),
        ({"soc_pct": 21.0}, -20_000.0, -8000.0, Code.VEHICLE_LIMIT),
        ({"soc_pct": 21.0, "floor_reached": True}, -20_000.0, 0.0, Code.BELOW_FLOOR),
        ({"soc_pct": 23.0, "floor_reached": True}, -20_000.0, -8000.0, Code.VEHICLE_LIMIT),
        ({"soc_pct": 50.0, "reserve": Reserve(pct=55.0)}, -20_000.0, 0.0, Code.BELOW_FLOOR),
        ({"soc_pct": 50.0, "agreed_pct": 55.0}, -20_000.0, 0.0, Code.BELOW_FLOOR),
        ({"soc_pct": 50.0, "schedule": ReserveInForce(55.0)}, -20_000.0, 0.0, Code.BELOW_FLOOR),
    ],
)
def test_each_order_and_each_floor_counts(
    attributes: dict[str, Any], request_w: float | None, power_w: float, code: Code
) -> None:
    parts = SiteParts(SitePolicy("home", min_soc_pct=20.0))
    request = None if request_w is None else PowerRequest(request_w)
    decided = parts.decision.decide(parts.evse(**attributes), request)
    assert (decided.power_w, decided.code) == (power_w, code)


def test_the_time_decides_about_old_inputs_and_the_departure() -> None:
    parts = SiteParts()
    state = parts.evse()
    parts.put(InputKind.GRID, Grid(ts=START + 100.0, present=True))
    assert parts.decision.next_input_change(100.0) == 110.0
    assert parts.decision.decide(state, DISCHARGE).power_w == -8000.0
    parts.at(110.0)
    assert parts.decision.decide(state, DISCHARGE).code is Code.INPUT_STALE
    assert parts.decision.next_input_change(110.0) is None
    parts = SiteParts()
    state = parts.evse(target_energy_wh=9000.0)
    state.evse.needs = replace(VEHICLE, departure=START + 3700.0)
    assert parts.decision.decide(state, DISCHARGE).code is Code.NEEDED_FOR_DEPARTURE
    parts.at(-2000.0)
    assert parts.decision.decide(state, DISCHARGE).power_w == -8000.0


@pytest.mark.parametrize(("idle_w", "power_w"), [(0.0, 0.0), (0.5, 0.5), (500.0, 500.0), (-5.0, 0.0)])
def test_without_a_command_a_site_may_let_vehicles_charge(idle_w: float, power_w: float) -> None:
    parts = SiteParts(SitePolicy("home", idle_power_w=idle_w))
    state = parts.evse()
    decided = parts.decision.decide(state, None)
    assert (decided.power_w, decided.code) == (power_w, Code.IDLE)
    assert decided.binding is (Layer.OPTIMISER if idle_w > 0 else Layer.IDLE)
    assert parts.decision.decide(state, PowerRequest(-300.0)).power_w == -300.0
    state.optimiser = Bound(Layer.OPTIMISER, -800.0, -800.0, Code.POLICY)
    assert parts.decision.decide(state, None).power_w == -800.0


def test_a_power_inside_the_dead_band_runs_only_where_the_charger_forms_the_grid() -> None:
    parts = SiteParts()
    state = parts.evse(limits=PowerLimits(11_000.0, 10_000.0, 1000.0, 1000.0))
    assert parts.decision.decide(state, PowerRequest(-500.0)).code is Code.DEAD_BAND
    state.forms_grid = True
    assert parts.decision.decide(state, PowerRequest(-500.0)).power_w == -500.0


def test_the_floor_of_a_command_and_of_the_vehicle_does_not_end_the_supply_of_an_island() -> None:
    parts = SiteParts(SitePolicy("home", min_soc_pct=10.0, vehicle_floor_pct={"V": 30.0}))
    state = parts.evse(vehicle="V")
    under_command(state, -3000.0, min_soc_pct=70.0)
    assert parts.decision.floor(state).pct == 70.0
    assert parts.decision.floor_now(state)[1]
    assert parts.decision.decide(state, PowerRequest(-3000.0)).power_w == -3000.0  # without the floor of that command
    assert parts.decision.decide(state, PowerRequest(-3000.0, 70.0)).code is Code.BELOW_FLOOR
    state.forms_grid = True
    assert parts.decision.floor(state).pct == 10.0
    assert not parts.decision.floor_now(state)[1]
    assert parts.decision.current(state).power_w == -3000.0
    state.forms_grid, state.command = False, None
    assert parts.decision.floor(state).pct == 30.0


@pytest.mark.parametrize("islanded", [False, True])
def test_a_commanded_reserve_of_the_site_is_for_an_outage(islanded: bool) -> None:
    parts = SiteParts()
    state = parts.evse()
    parts.site.reserve_pct, parts.site.islanded = 40.0, islanded
    assert parts.decision.floor(state).pct == (0.0 if islanded else 40.0)
    state.schedule = ReserveInForce(30.0, "the reserve", 10.0, off_grid=True)
    assert parts.decision.floor(state).pct == 10.0


def test_the_capacity_of_a_battery_is_known_or_assumed() -> None:
    parts = SiteParts(SitePolicy("home", assumed_capacity_wh=30_000.0))
    state = parts.evse()
    assert parts.decision.capacity_wh(state.evse) == 50_000.0
    state.evse.needs = None
    assert parts.decision.capacity_wh(state.evse) == 30_000.0


@pytest.mark.parametrize(
    ("can_discharge", "switch_open", "islanded", "grid_before", "supplies_island"),
    [
        (True, None, False, None, False),
        (True, None, False, True, False),
        (True, None, False, False, True),
        (False, None, False, False, False),
        (True, False, False, False, False),
        (True, True, False, False, True),
        (True, True, False, True, True),
        (False, True, False, True, False),
        (True, None, True, True, True),
        (True, True, True, True, True),
        (True, False, True, False, False),
    ],
)
def test_a_charger_may_supply_an_island_behind_no_closed_switch(
    can_discharge: bool, switch_open: bool | None, islanded: bool, grid_before: bool | None, supplies_island: bool
) -> None:
    parts = SiteParts()
    state = parts.evse(can_discharge=can_discharge)
    parts.site.islanded = islanded
    parts.site.policy = replace(parts.policy, grid_forming=frozenset({"CP1-1"}))
    if grid_before is not None:
        parts.site.restore_grid(GridReport(grid_before, START))
    if switch_open is not None:
        parts.put(InputKind.SWITCH, Switch(ts=START + 100.0, open=switch_open))
    assert parts.decision.may_supply_island(state) is supplies_island
    if islanded:  # others follow the one that forms it
        parts.site.policy = replace(parts.policy, grid_forming=frozenset({"CP2-1"}))
        assert not parts.decision.may_supply_island(state)
    elif switch_open is not None:  # a switch that is silent says nothing
        parts.at(200.0)
        assert parts.decision.may_supply_island(state) is (can_discharge and grid_before is False)


def test_load_and_storage_are_added_up_without_a_grid_meter() -> None:
    parts = several(import_limit_w=12_000.0)
    parts.put(InputKind.LOAD, Load(ts=START + 100.0, power_w=4000.0))
    parts.put(InputKind.STORAGE, Storage(ts=START + 100.0, power_w=500.0))
    assert parts.decision.shared().base == Base(4500.0)


def test_only_decisions_that_the_connection_may_have_changed_are_outdated() -> None:
    parts = SiteParts(SitePolicy("home", import_limit_w=8_000.0, export_limit_w=8_000.0))
    parts.evse("CP0-1", session=None)  # idle: nothing to decide
    far, limited, new = (parts.evse(f"CP{number}-1") for number in (1, 2, 3))
    for state, power_w in ((far, 2000.0), (limited, 4000.0)):
        state.assign(a_command(evse=state.name, power_w=power_w), power_w, 100.0)
        state.decision = parts.decision.current(state)
        state.setpoint.sent_w = state.evse.power_w = state.decision.power_w
        state.evse.metered_at = 100.0
    assert [state.name for state in parts.decision.outdated()] == [new.name]
    parts.put(InputKind.LOAD, Load(ts=START + 100.0, power_w=2500.0))  # 3500 W are left for CP2-1, 1500 W for CP1-1
    assert [state.name for state in parts.decision.outdated()] == [far.name, limited.name, new.name]
    parts.put(InputKind.LOAD, Load(ts=START + 100.0, power_w=1500.0))  # 4500 W and 2500 W
    assert [state.name for state in parts.decision.outdated()] == [new.name]
    parts.put(InputKind.LOAD, Load(ts=START + 100.0, power_w=0.0))
    far.decision = replace(far.decision, power_w=6000.0) if far.decision else None
    parts.registry.ensure("CP2-1").evse.connected = False
    assert [state.name for state in parts.decision.outdated()] == [far.name, new.name]
    assert parts.decision.current(new, parts.decision.floor_now(new)) == parts.decision.current(new)


def test_the_decision_in_force_counts_what_the_other_evses_take() -> None:
    parts = SiteParts(SitePolicy("home", import_limit_w=8_000.0))
    parts.evse("CP1-1", sent_w=6000.0, power_w=6000.0, metered_at=100.0)
    state = parts.evse("CP2-1")
    state.assign(a_command(Verb.CHARGE, evse="CP2-1", power_w=6000.0), 6000.0, 100.0)
    parts.put(InputKind.LOAD, Load(ts=START + 100.0, power_w=0.0))
    assert parts.decision.current(state).power_w == 2000.0


@pytest.mark.parametrize(
    ("power_w", "supplied", "supplies_island"),
    [(None, False, False), (-100.0, False, False), (-100.5, False, True), (None, True, True), (0.0, True, True)],
)
def test_a_charger_that_cannot_be_ordered_supplies_an_island_where_its_meter_shows_it(
    power_w: float | None, supplied: bool, supplies_island: bool
) -> None:
    parts = SiteParts()
    state = parts.evse(can_discharge=False, power_w=power_w)
    parts.site.restore_grid(GridReport(False, START))
    assert parts.decision.may_supply_island(state, supplied) is supplies_island


@pytest.mark.parametrize(
    ("power_w", "switch_open", "supplies_island"),
    [(100.0, True, False), (100.5, True, True), (100.5, None, False), (100.5, False, False), (-100.5, False, False)],
)
def test_a_charger_that_takes_power_without_an_order_behind_an_open_switch_may_form_the_island(
    power_w: float, switch_open: bool | None, supplies_island: bool
) -> None:
    parts = SiteParts()
    state = parts.evse(can_discharge=False, power_w=power_w)
    parts.site.restore_grid(GridReport(False, START))
    if switch_open is not None:
        parts.put(InputKind.SWITCH, Switch(ts=START + 100.0, open=switch_open))
    assert parts.decision.may_supply_island(state) is supplies_island
