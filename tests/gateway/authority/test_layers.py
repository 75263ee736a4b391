"""The bounds of every layer for one EVSE: which layer, how far, and with which reason code."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from gateway.authority.layers import (
    PowerRequest,
    Situation,
    cannot_reach,
    charges_in_s,
    dead_band,
    hardware_power,
    idle_bound,
    layers,
    nothing_left,
    own_needs,
    stated_discharge_w,
)
from gateway.authority.priority import Bound, Decision, decide
from gateway.authority.soc_floors import Floor, Reserve, ReserveInForce, floor_in_force, floors_of
from gateway.model.command import POWER_VERBS, Verb
from gateway.model.event import (
    EvseDescribed,
    FaultRaised,
    Metered,
    NeedsStated,
    PlugChanged,
    PlugState,
    PowerLimits,
    SessionStarted,
    StationConnected,
    VehicleNeeds,
)
from gateway.model.evse import Evse
from gateway.model.reason import Code
from gateway.model.result import Layer
from gateway.model.site import Grid, InputKind, Site, SitePolicy

INF = math.inf
STATION = PowerLimits(11_000.0, 10_000.0)
VEHICLE = VehicleNeeds(PowerLimits(9000.0, 8000.0), True, "DC_BPT", soc_pct=80.0, battery_capacity_wh=60_000.0)
WALL = 1_770_000_000.0

Row = tuple[Layer, float, float, Code]
STATION_ROW: Row = (Layer.STATION, -10_000.0, 11_000.0, Code.STATION_LIMIT)
OUT_ROW: Row = (Layer.VEHICLE, -8000.0, INF, Code.VEHICLE_LIMIT)
IN_ROW: Row = (Layer.VEHICLE, -INF, 9000.0, Code.VEHICLE_LIMIT)


def an_evse(needs: VehicleNeeds | None = VEHICLE, *, session: bool = True, limits: PowerLimits = STATION) -> Evse:
    evse = Evse("CP1-1", "CP1")
    evse.apply(StationConnected("CP1", 0.0, "ocpp2.1"))
    evse.connected = True
    evse.apply(EvseDescribed("CP1-1", "CP1", 0.0, limits, True))
    if session:
        evse.apply(PlugChanged("CP1-1", 0.0, PlugState.OCCUPIED))
        evse.apply(SessionStarted("CP1-1", 0.0, "tx"))
    if needs is not None:
        evse.apply(NeedsStated("CP1-1", 0.0, needs))
    return evse


def a_site(**more: Any) -> Site:
    site = Site(SitePolicy("home"))
    for name, value in more.items():
        setattr(site, name, value)
    return site


def rows(evse: Evse, site: Site | None = None, now: float = 0.0, **more: Any) -> list[Row]:
    site, request = site or a_site(), more.get("request")
    set_floors = floors_of(evse, site, more.pop("reserve", None))
    floor = floor_in_force(set_floors, ReserveInForce(), request.min_soc_pct if request else None)
    found, _ = layers(Situation(evse, site, now, floor=floor, **more))
    assert all(bound.text for bound in found)
    return [(bound.layer, bound.low_w, bound.high_w, bound.code) for bound in found]


def test_an_evse_in_session_has_the_limits_of_station_and_vehicle() -> None:
    assert rows(an_evse()) == [STATION_ROW, OUT_ROW, IN_ROW]


def test_without_a_connection_or_a_session_no_power_flows() -> None:
    away = an_evse()
    away.connected = False
    assert rows(away)[0] == (Layer.STATION, 0.0, 0.0, Code.OFFLINE)
    empty = an_evse(None, session=False)
    assert rows(empty) == [(Layer.STATION, 0.0, 0.0, Code.NO_SESSION), STATION_ROW]
    empty.connected = False
    assert rows(empty)[0] == (Layer.STATION, 0.0, 0.0, Code.OFFLINE)


def test_with_a_fault_no_power_flows() -> None:
    evse = an_evse()
    evse.apply(FaultRaised("CP1-1", 0.0, "X", "broken"))
    assert rows(evse) == [(Layer.STATION, 0.0, 0.0, Code.FAULT), STATION_ROW, OUT_ROW, IN_ROW]
    found, _ = layers(Situation(evse, a_site(), 0.0))
    assert "X: broken" in found[0].text


@pytest.mark.parametrize("why", ["", "no inverter"])
def test_a_station_that_cannot_discharge_only_charges(why: str) -> None:
    evse = an_evse()
    evse.can_discharge, evse.why_not = False, why
    charging: Row = (Layer.STATION, 0.0, 11_000.0, Code.STATION_LIMIT)
    assert rows(evse) == [(Layer.STATION, 0.0, INF, Code.CHARGING_ONLY), charging, OUT_ROW, IN_ROW]
    found, _ = layers(Situation(evse, a_site(), 0.0))
    assert why in found[0].text


def test_a_station_without_limits_has_none() -> None:
    evse = an_evse()
    evse.limits = None
    assert rows(evse) == [OUT_ROW, IN_ROW]
    assert dead_band(evse).charge_w == dead_band(evse).discharge_w == 0.0


def test_limits_below_0_are_0() -> None:
    evse = an_evse(replace(VEHICLE, limits=PowerLimits(-1.0, -1.0)), limits=PowerLimits(-1.0, 0.0))
    assert rows(evse) == [
        (Layer.STATION, 0.0, 0.0, Code.STATION_LIMIT),
        (Layer.VEHICLE, 0.0, INF, Code.VEHICLE_LIMIT),
        (Layer.VEHICLE, -INF, 0.0, Code.VEHICLE_LIMIT),
    ]


def test_a_vehicle_that_did_not_agree_on_discharge_or_stated_nothing_is_only_charged() -> None:
    only: Row = (Layer.VEHICLE, 0.0, INF, Code.CHARGING_ONLY)
    assert rows(an_evse(replace(VEHICLE, bidirectional=False))) == [STATION_ROW, only, IN_ROW]
    assert rows(an_evse(None)) == [STATION_ROW, only]
    for needs, word in ((VEHICLE, "8000 W"), (replace(VEHICLE, bidirectional=False, energy_transfer="AC"), "(AC)")):
        found, _ = layers(Situation(an_evse(needs), a_site(), 0.0))
        assert word in found[1].text


def test_the_dead_band_is_the_larger_of_station_and_vehicle() -> None:
    station, vehicle = PowerLimits(11_000.0, 10_000.0, 1400.0, 900.0), PowerLimits(9000.0, 8000.0, 1300.0, 1000.0)
    band = dead_band(an_evse(replace(VEHICLE, limits=vehicle), limits=station))
    assert (band.discharge_w, band.charge_w) == (1000.0, 1400.0)
    band = dead_band(an_evse(None, limits=station))
    assert (band.discharge_w, band.charge_w) == (900.0, 1400.0)
    unknown = an_evse(replace(VEHICLE, limits=vehicle))
    unknown.limits = None
    assert (dead_band(unknown).discharge_w, dead_band(unknown).charge_w) == (1000.0, 1300.0)
    unknown.needs = None
    assert (dead_band(unknown).discharge_w, dead_band(unknown).charge_w) == (0.0, 0.0)
    _, band = layers(Situation(an_evse(None, limits=station), a_site(), 0.0))
    assert band.discharge_w == 900.0


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, (9000.0, 8000.0)),
        ({"min_v2x_energy_wh": 1.0}, (9000.0, 0.0)),
        ({"min_v2x_energy_wh": 0.0}, (9000.0, 8000.0)),
        ({"limits": None}, (9000.0, 8000.0)),
        ({"needs": None}, (11_000.0, 0.0)),
        ({"needs": None, "limits": None}, (0.0, 0.0)),
        ({"can_discharge": False}, (9000.0, 0.0)),
        ({"session": None}, (0.0, 0.0)),
        ({"connected": False}, (0.0, 0.0)),
    ],
)
def test_the_power_that_can_be_scheduled(change: dict[str, Any], expected: tuple[float, float]) -> None:
    evse = an_evse()
    for name, value in change.items():
        setattr(evse, name, value)
    assert hardware_power(evse) == expected


def test_every_layer_in_its_order() -> None:
    evse = an_evse(replace(VEHICLE, soc_pct=20.0, min_energy_wh=1.0))
    site = a_site(policy=SitePolicy("home", min_soc_pct=30.0), emergency_stop="x")
    site.inputs.put(InputKind.GRID, Grid(ts=WALL, present=False), 0.0, WALL)
    extra, limit = Bound(Layer.ISLAND, -1.0, 1.0), Bound(Layer.SITE, -2.0, 2.0)
    optimiser = Bound(Layer.OPTIMISER, 4.0, 4.0)
    floor, request = Floor(30.0, "the site's floor"), PowerRequest(-5000.0)
    found, _ = layers(Situation(evse, site, 0.0, (limit,), request, floor, False, optimiser, (extra,), wall=WALL))
    made = [(one.layer, one.low_w, one.high_w, one.code) for one in found]
    assert made[:3] == [STATION_ROW, OUT_ROW, IN_ROW]
    assert made[3:6] == [
        (Layer.VEHICLE, 0.0, INF, Code.BELOW_CAR_MINIMUM),
        (Layer.EMERGENCY_STOP, 0.0, 0.0, Code.EMERGENCY_STOP),
        (Layer.GRID_CODE, 0.0, 0.0, Code.GRID_LOST),
    ]
    assert found[6:8] == [extra, limit]
    assert made[8:10] == [
        (Layer.SOC_FLOOR, 0.0, INF, Code.BELOW_FLOOR),
        (Layer.COMMAND, -5000.0, -5000.0, Code.GRANTED),
    ]
    assert found[10:] == [optimiser]


@pytest.mark.parametrize("stop", ["x", None])
def test_a_held_supply_is_named_as_a_released_emergency_stop(stop: str | None) -> None:
    found, _ = layers(Situation(an_evse(), a_site(emergency_stop=stop, supply_held=True), 0.0))
    [bound] = [one for one in found if one.layer is Layer.EMERGENCY_STOP]
    assert (bound.low_w, bound.high_w, bound.code) == (0.0, 0.0, Code.EMERGENCY_STOP)
    assert ("was released without a grid" in bound.text) is (stop is None)


@pytest.mark.parametrize(("idle_w", "charged_w"), [(0.0, None), (1.0, 1.0), (3000.0, 3000.0)])
def test_without_a_command_a_vehicle_charges_with_the_power_of_the_policy(
    idle_w: float, charged_w: float | None
) -> None:
    policy = SitePolicy("home", idle_power_w=idle_w)
    expected = [] if charged_w is None else [(Layer.OPTIMISER, charged_w, charged_w, Code.IDLE)]
    assert rows(an_evse(), a_site(policy=policy))[3:] == expected
    found = idle_bound(policy)
    assert (found is None) is (charged_w is None)
    assert found is None or f"{idle_w:.0f} W" in found.text


@pytest.mark.parametrize(
    ("at_rest", "islanded", "moves"), [(False, False, True), (True, False, False), (True, True, True)]
)
@pytest.mark.parametrize("idle_w", [0.0, 3000.0])
def test_after_an_emergency_stop_only_commands_move_power_on_the_grid(
    at_rest: bool, islanded: bool, moves: bool, idle_w: float
) -> None:
    optimiser = None if idle_w else Bound(Layer.OPTIMISER, -500.0, -500.0, Code.POLICY, "The optimiser.")
    site = a_site(policy=SitePolicy("home", idle_power_w=idle_w), at_rest=at_rest, islanded=islanded)
    found, _ = layers(Situation(an_evse(), site, 0.0, request=PowerRequest(1000.0), optimiser=optimiser))
    assert any(one.layer is Layer.OPTIMISER for one in found) is moves
    assert any(one.layer is Layer.COMMAND for one in found)


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        (None, 0.0),
        (PowerLimits(11_000.0, 10_000.0), 10_000.0),
        (PowerLimits(11_000.0, 0.0), 11_000.0),  # it states no discharge power
        (PowerLimits(0.0, 0.0), 0.0),
        (PowerLimits(-1.0, 0.0), 0.0),
        (PowerLimits(0.5, 0.0), 0.5),
    ],
)
def test_the_discharge_power_by_the_ratings(limits: PowerLimits | None, expected: float) -> None:
    evse = an_evse()
    evse.limits = limits
    assert stated_discharge_w(evse) == expected


def test_without_a_grid_nothing_flows_but_in_an_island() -> None:
    evse = an_evse()
    for present, islanded, now, row in [
        (True, False, 0.0, None),
        (False, False, 0.0, (Layer.GRID_CODE, 0.0, 0.0, Code.GRID_LOST)),
        (False, True, 0.0, None),
        (True, False, 1000.0, (Layer.GRID_CODE, 0.0, INF, Code.INPUT_STALE)),
        (False, False, 1000.0, (Layer.GRID_CODE, 0.0, 0.0, Code.GRID_LOST)),
        (False, True, 1000.0, None),
    ]:
        site = a_site(islanded=islanded)
        site.inputs.put(InputKind.GRID, Grid(ts=WALL, present=present), 0.0, WALL)
        assert rows(evse, site, now)[3:] == ([] if row is None else [row])


def test_floors_come_from_site_reserve_and_command() -> None:
    evse = an_evse()

    def below(**more: Any) -> bool:
        found = rows(evse, more.pop("site", None), **more)
        return (Layer.SOC_FLOOR, 0.0, INF, Code.BELOW_FLOOR) in found

    assert not below()
    assert below(request=PowerRequest(-1.0, min_soc_pct=80.0))
    assert not below(request=PowerRequest(-1.0, min_soc_pct=79.0))
    assert below(request=PowerRequest(-1.0, min_soc_pct=79.0), floor_reached=True)
    assert below(reserve=Reserve(pct=80.0))
    assert below(site=a_site(reserve_pct=80.0))
    evse = an_evse(replace(VEHICLE, battery_capacity_wh=None))
    for energy_wh, reached in ((16_000.0, True), (15_999.0, False)):  # 80 % of an assumed 20 kWh
        assert below(reserve=Reserve(energy_wh=energy_wh)) is reached
        assert below(site=a_site(reserve_wh=energy_wh)) is reached


# what the vehicle keeps for itself ------------------------------------------------------------------------------------


def leaving(target_wh: float | None = 9000.0, departure: float | None = WALL + 7200, **more: Any) -> Evse:
    return an_evse(replace(VEHICLE, target_energy_wh=target_wh, departure=departure, **more))


def test_the_minimum_of_the_driver_and_the_departure_bind_together() -> None:
    evse = leaving(min_energy_wh=0.5)
    found = own_needs(evse, WALL + 7000)
    assert [(one.layer, one.low_w, one.high_w, one.code) for one in found] == [
        (Layer.VEHICLE, 0.0, INF, Code.BELOW_CAR_MINIMUM),
        (Layer.VEHICLE, 0.0, INF, Code.NEEDED_FOR_DEPARTURE),
    ]
    assert all(one.text for one in found)
    assert " at 04:40Z and" in found[1].text
    assert [one.code for one in own_needs(evse, None)] == [Code.BELOW_CAR_MINIMUM]
    for minimum_wh in (None, 0.0, -0.5):
        evse.min_energy_wh = minimum_wh
        assert own_needs(evse, WALL) == []
    evse.needs = None
    assert own_needs(evse, WALL + 7000) == []


def test_charging_begins_when_the_time_is_needed_for_it() -> None:
    from_s = 7200 - 9000 * 3600 / (0.85 * 9000)
    assert charges_in_s(leaving(), WALL) == pytest.approx(from_s)
    assert charges_in_s(leaving(), WALL + 7200) == 0.0
    assert len(own_needs(leaving(), WALL + math.ceil(from_s))) == 1
    assert own_needs(leaving(), WALL + math.floor(from_s)) == []
    slow = leaving()
    slow.limits = PowerLimits(4500.0, 10_000.0)
    assert charges_in_s(slow, WALL - 3600) == pytest.approx(10_800 - 9000 * 3600 / (0.85 * 4500))
    slow.limits = None
    assert charges_in_s(slow, WALL) == pytest.approx(from_s)
    tiny = leaving(0.001)
    assert charges_in_s(tiny, WALL) == pytest.approx(7200, abs=0.1)


def test_the_departure_time_is_in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert " at 04:40Z and" in own_needs(leaving(), WALL + 7000)[0].text
    finally:
        monkeypatch.undo()
        time.tzset()


def test_charging_begins_in_the_second_from_which_the_time_is_needed() -> None:
    evse = leaving(306_000.0, WALL + 360_100, limits=PowerLimits(3600.0, 8000.0))
    assert charges_in_s(evse, WALL) == 100.0
    assert own_needs(evse, WALL + 99.9) == []
    assert [one.code for one in own_needs(evse, WALL + 100)] == [Code.NEEDED_FOR_DEPARTURE]


@pytest.mark.parametrize("target_wh", [None, 0.0, -1.0])
def test_a_vehicle_that_needs_no_energy_needs_no_charging_time(target_wh: float | None) -> None:
    assert charges_in_s(leaving(target_wh), WALL + 1e6) == INF
    assert charges_in_s(leaving(0.5), WALL + 1e6) == 0.0


def test_without_a_departure_or_needs_no_time_is_needed() -> None:
    assert charges_in_s(leaving(departure=None), WALL) == INF
    evse = leaving()
    evse.needs = None
    assert charges_in_s(evse, WALL) == INF


@pytest.mark.parametrize(("charge_w", "in_s"), [(0.0, 0.0), (-5.0, 0.0), (0.5, None)])
def test_energy_that_cannot_be_recharged_is_not_discharged(charge_w: float, in_s: float | None) -> None:
    evse = leaving(0.1, limits=PowerLimits(charge_w, 8000.0))
    expected = 7200 - 0.1 * 3600 / (0.85 * 0.5) if in_s is None else in_s
    assert charges_in_s(evse, WALL) == pytest.approx(expected)


def test_time_for_charging_is_kept_unless_the_site_is_an_island() -> None:
    code = Code.NEEDED_FOR_DEPARTURE
    assert code in {row[3] for row in rows(leaving(), wall=WALL + 7100)}
    assert code not in {row[3] for row in rows(leaving(), a_site(islanded=True), wall=WALL + 7100)}
    assert code not in {row[3] for row in rows(leaving())}


# what is refused ------------------------------------------------------------------------------------------------------


def offline(evse: Evse) -> None:
    evse.connected = False


def fault(evse: Evse) -> None:
    evse.apply(FaultRaised("CP1-1", 0.0, "X", "broken"))


def no_session(evse: Evse) -> None:
    evse.session = None


def unplugged(evse: Evse) -> None:
    evse.session, evse.plug = None, PlugState.AVAILABLE


def nothing(evse: Evse) -> None:
    evse.apply(Metered("CP1-1", 0.0, power_w=0.0))


@pytest.mark.parametrize(
    ("what", "code", "stop"),
    [
        (nothing, None, None),
        (offline, Code.OFFLINE, Code.OFFLINE),
        (fault, Code.FAULT, None),
        (no_session, Code.NO_SESSION, None),
        (unplugged, Code.UNPLUGGED, None),
    ],
)
def test_a_command_for_power_needs_a_session_and_a_stop_only_a_connection(
    what: Callable[[Evse], None], code: Code | None, stop: Code | None
) -> None:
    evse = an_evse()
    what(evse)
    for verb in Verb:
        reason = cannot_reach(evse, verb)
        expected = None if verb not in POWER_VERBS else stop if verb is Verb.STOP else code
        assert (reason.code if reason else None) == expected, verb
        assert reason is None or evse.name in reason.text


def decision(power_w: float, code: Code = Code.STATION_LIMIT) -> Decision:
    return Decision(power_w, Layer.STATION, code, "because", ())


@pytest.mark.parametrize(
    ("requested_w", "power_w", "code", "refused"),
    [
        (-5000.0, -5000.0, Code.GRANTED, False),
        (-5000.0, -0.1, Code.BELOW_FLOOR, False),
        (-5000.0, 0.0, Code.BELOW_FLOOR, True),
        (-5000.0, 0.0, Code.IMPORT_LIMIT, True),
        (5000.0, 0.0, Code.IMPORT_LIMIT, True),
        (-5000.0, 1000.0, Code.BELOW_FLOOR, True),
        (-5000.0, 1000.0, Code.IMPORT_LIMIT, False),
        (5000.0, 0.5, Code.IMPORT_LIMIT, False),
        (0.5, 0.5, Code.GRANTED, False),
        (-0.5, -0.5, Code.BELOW_FLOOR, False),
        (0.0, 0.0, Code.GRANTED, False),
        (0.0, 1000.0, Code.BELOW_FLOOR, False),
        (0.5, 0.0, Code.FAULT, True),
    ],
)
def test_a_command_that_gets_nothing_is_refused(requested_w: float, power_w: float, code: Code, refused: bool) -> None:
    reason = nothing_left(requested_w, decision(power_w, code))
    assert (reason is not None) is refused
    assert reason is None or (reason.code, reason.text) == (code, "because")


REFUSING = {
    Code.OFFLINE,
    Code.NO_SESSION,
    Code.FAULT,
    Code.CHARGING_ONLY,
    Code.BELOW_FLOOR,
    Code.SOC_UNKNOWN,
    Code.OUTSIDE_V2X_WINDOW,
    Code.BELOW_CAR_MINIMUM,
    Code.NEEDED_FOR_DEPARTURE,
    Code.EMERGENCY_STOP,
    Code.GRID_LOST,
    Code.ISLAND,
    Code.INPUT_STALE,
}


@pytest.mark.parametrize("code", Code)
@pytest.mark.parametrize("requested_w", [-5000.0, 5000.0])
def test_power_in_the_opposite_direction_refuses_the_command_where_the_requested_one_is_excluded(
    requested_w: float, code: Code
) -> None:
    """An excluded direction refuses the command; a limit that reverses the direction clamps it."""
    reason = nothing_left(requested_w, decision(-requested_w / 5, code))
    assert (reason.code if reason else None) == (code if code in REFUSING else None)
    assert nothing_left(requested_w, decision(requested_w / 5, code)) is None
    assert nothing_left(0.0, decision(-requested_w / 5, code)) is None


def test_a_vehicle_below_its_v2x_window_is_not_discharged_and_the_command_is_refused() -> None:
    evse = an_evse(replace(VEHICLE, min_v2x_energy_wh=1.0))
    found, _ = layers(Situation(evse, a_site(), 0.0, request=PowerRequest(-5000.0)))
    stopped = decide(found)
    assert (stopped.power_w, stopped.code) == (0.0, Code.OUTSIDE_V2X_WINDOW)
    reason = nothing_left(-5000.0, stopped)
    assert reason is not None
    assert reason.code is Code.OUTSIDE_V2X_WINDOW


# how layers narrow ----------------------------------------------------------------------------------------------------


def test_a_decision_contains_the_range_left_by_every_layer() -> None:
    given = [
        Bound(Layer.COMMAND, -5000, -5000, Code.GRANTED, "requested"),
        Bound(Layer.STATION, -9000, 9000, Code.STATION_LIMIT, "station"),
        Bound(Layer.SITE, -3000, 2000, Code.EXPORT_LIMIT, "site"),
    ]
    made = decide(given)
    assert (made.power_w, made.binding, made.code, made.text) == (-3000, Layer.SITE, Code.EXPORT_LIMIT, "site")
    assert [(one.bound.layer, one.low_w, one.high_w) for one in made.layers] == [
        (Layer.STATION, -9000, 9000),
        (Layer.SITE, -3000, 2000),
        (Layer.COMMAND, -3000, -3000),
        (Layer.IDLE, -3000, -3000),
    ]
    assert made.layers[0].bound is given[1]


def test_the_bound_that_came_first_keeps_an_edge_that_two_share() -> None:
    first, again = Bound(Layer.STATION, -9, 9, text="first"), Bound(Layer.VEHICLE, -9, 9, text="again")
    for requested_w in (-20, 20):
        assert decide([first, again, Bound(Layer.COMMAND, requested_w, requested_w)]).text == "first"
    touching = [Bound(Layer.VEHICLE, 0, 9, text="above"), Bound(Layer.COMMAND, -5, 0, text="below")]
    assert decide(touching).text == "below"  # they agree on 0 W, and the command made it so
    above = [Bound(Layer.VEHICLE, -9, 0, text="above"), Bound(Layer.COMMAND, 0, 5, text="below")]
    assert decide(above).text == "below"


def test_a_power_is_never_minus_0() -> None:
    for bound in (
        Bound(Layer.COMMAND, -0.0, -0.0),
        Bound(Layer.VEHICLE, high_w=-0.0),
        Bound(Layer.VEHICLE, low_w=-0.0),
    ):
        assert math.copysign(1, decide([bound]).power_w) == 1
