"""A command to the site as a value: who takes part, what each gets, and what is the limit of it."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.commands.admission import CommandDecision
from gateway.commands.site_command import SiteCommands
from gateway.control.control_state import Allocation, EvseControlState, Stage
from gateway.model.command import Verb
from gateway.model.event import PlugState, PowerLimits, VehicleNeeds
from gateway.model.reason import Code, because
from gateway.model.result import Status
from gateway.model.site import SitePolicy
from tests.gateway.control.site_parts import VEHICLE, SiteParts, a_body, a_command

SMALL = PowerLimits(2000.0, 1000.0)
THREE = ("CP1-1", "CP2-1", "CP3-1")
Row = tuple[float, str, str, str]  # of a share: power, binding, status, reason


def site_of(parts: SiteParts) -> SiteCommands:
    return SiteCommands(parts.registry, parts.decision)


def decided(parts: SiteParts, verb: Verb, **body: Any) -> CommandDecision:
    return site_of(parts).decide(verb, a_body(verb, **body))


def rows(decision: CommandDecision) -> list[Row]:
    return [(one.effective_w, one.binding, one.status.value, one.reason.code.value) for one in decision.shares or ()]


def summary(decision: CommandDecision) -> tuple[str, str, float | None, float | None, str | None, bool]:
    assert decision.reason.text
    return (
        decision.status.value,
        decision.reason.code.value,
        decision.requested_w,
        decision.effective_w,
        decision.binding,
        decision.acts,
    )


def three(**policy: Any) -> SiteParts:
    """Three equal EVSEs, each of 9000 W of charge and 8000 W of discharge, 20 kWh to charge and 30 kWh to discharge."""
    parts = SiteParts(SitePolicy("home", **policy))
    for name in THREE:
        parts.evse(name)
    return parts


GRANTED: Row = (0.0, "command", "accepted", "granted")


def granted(power_w: float) -> Row:
    return (power_w, *GRANTED[1:])


@pytest.mark.parametrize(
    ("verb", "body", "each_w"),
    [
        (Verb.DISCHARGE, {"power_w": 9000}, -3000.0),
        (Verb.CHARGE, {"power_w": 9000}, 3000.0),
        (Verb.SETPOINT, {"power_w": -600}, -200.0),
        (Verb.SETPOINT, {"power_w": 0}, 0.0),
        (Verb.STOP, {}, 0.0),
        (Verb.CHARGE, {"power_w": 27_000}, 9000.0),
    ],
)
def test_a_power_that_the_vehicles_have_is_granted_in_equal_shares(
    verb: Verb, body: dict[str, Any], each_w: float
) -> None:
    made = decided(three(), verb, **body)
    assert summary(made) == ("accepted", "granted", 3 * each_w, 3 * each_w, "command", True)
    assert made.powers == tuple((name, each_w) for name in THREE)
    assert [one.evse for one in made.shares or ()] == list(THREE)
    at_limit = each_w == 9000.0  # the whole power of each
    row = (9000.0, "vehicle", "clamped", "vehicle_limit") if at_limit else granted(each_w)
    assert rows(made) == [row] * 3


def test_a_power_within_the_margin_of_the_request_is_granted() -> None:
    made = decided(three(), Verb.CHARGE, power_w=27_000.5)
    assert summary(made)[:4] == ("accepted", "granted", 27_000.5, 27_000.0)
    made = decided(three(), Verb.CHARGE, power_w=27_000.6)
    assert summary(made) == ("clamped", "vehicle_limit", 27_000.6, 27_000.0, "vehicle", True)
    assert made.powers == tuple((name, 9000.0) for name in THREE)
    assert "27000 W of 27001 W" in made.reason.text


def test_a_small_power_is_granted_and_one_within_the_margin_is_refused() -> None:
    parts = SiteParts()
    parts.evse()
    for requested_w, row in (
        (1.0, granted(1.0)),
        (0.6, granted(0.6)),
        (0.5, (0.5, "vehicle", "refused", "vehicle_limit")),
    ):
        made = decided(parts, Verb.CHARGE, power_w=requested_w)
        assert (made.status, made.effective_w, rows(made)) == (Status.ACCEPTED, requested_w, [row])


def test_a_stop_is_granted_to_vehicles_that_have_no_power_in_a_direction() -> None:
    parts = three(min_soc_pct=50.0)
    parts.evse("CP2-1", soc_pct=50.0)
    parts.evse("CP3-1", limits=PowerLimits(0.0, 10_000.0))
    for verb, body in ((Verb.STOP, {}), (Verb.SETPOINT, {"power_w": 0})):
        assert rows(decided(parts, verb, **body)) == [granted(0.0)] * 3
    parts.site.operate_islanded(True, -6000.0)
    assert decided(parts, Verb.STOP).powers == tuple((name, 0.0) for name in THREE)


def test_a_vehicle_without_power_adds_nothing() -> None:
    parts = three()
    parts.evse("CP2-1", limits=PowerLimits(0.0, 10_000.0))
    parts.evse("CP3-1", connected=False)
    made = decided(parts, Verb.CHARGE, power_w=50_000)
    assert made.powers == (("CP1-1", 9000.0), ("CP2-1", 0.0))


def test_where_no_vehicle_can_take_part_the_command_is_refused() -> None:
    made = decided(SiteParts(), Verb.DISCHARGE, power_w=9000)
    assert summary(made) == ("refused", "no_cars", -9000.0, None, "station", False)
    assert (made.shares, made.powers) == (None, ())


def test_a_vehicle_beyond_its_limit_is_clamped_and_the_others_are_granted() -> None:
    parts = three()
    parts.evse("CP2-1", limits=SMALL)
    made = decided(parts, Verb.DISCHARGE, power_w=9000)
    assert summary(made) == ("accepted", "granted", -9000.0, -9000.0, "command", True)
    assert rows(made) == [granted(-4000.0), (-1000.0, "station", "clamped", "station_limit"), granted(-4000.0)]
    made = decided(parts, Verb.DISCHARGE, power_w=50_000)
    assert summary(made) == ("clamped", "station_limit", -50_000.0, -17_000.0, "station", True)  # the highest layer
    assert [row[1] for row in rows(made)] == ["vehicle", "station", "vehicle"]


def test_a_share_within_the_margin_of_the_limit_is_clamped() -> None:
    parts = SiteParts()
    parts.evse()
    for requested_w, status in ((8999.4, "accepted"), (8999.5, "clamped"), (9000.0, "clamped")):
        [row] = rows(decided(parts, Verb.CHARGE, power_w=requested_w))
        assert (row[0], row[2]) == (requested_w, status)


def test_a_vehicle_that_gets_nothing_is_refused_with_its_reason() -> None:
    parts = three(min_soc_pct=50.0)
    parts.evse("CP2-1", soc_pct=50.0)
    made = decided(parts, Verb.DISCHARGE, power_w=9000)
    assert rows(made) == [granted(-4500.0), (0.0, "soc_floor", "refused", "below_floor"), granted(-4500.0)]
    for name in THREE:
        parts.evse(name, soc_pct=50.0)
    made = decided(parts, Verb.DISCHARGE, power_w=9000)
    assert summary(made) == ("refused", "below_floor", -9000.0, None, "soc_floor", False)
    assert [row[2] for row in rows(made)] == ["refused"] * 3
    assert made.powers == ()
    assert [row[2] for row in rows(decided(parts, Verb.CHARGE, power_w=9000))] == ["accepted"] * 3


def test_the_floor_of_the_command_counts_for_each_vehicle() -> None:
    parts = three()
    parts.evse("CP2-1", soc_pct=80.0)
    made = decided(parts, Verb.DISCHARGE, power_w=6000, min_soc_pct=70.0)
    assert made.powers == (("CP1-1", 0.0), ("CP2-1", -6000.0), ("CP3-1", 0.0))


def test_more_energy_gets_more_of_a_discharge_and_less_of_a_charge() -> None:
    parts = three(min_soc_pct=20.0)
    parts.evse("CP2-1", soc_pct=80.0)
    parts.evse("CP3-1", reserve=None, needs=VehicleNeeds(VEHICLE.limits, True, battery_capacity_wh=100_000.0))
    out = dict(decided(parts, Verb.DISCHARGE, power_w=9000).powers)  # 20, 30 and 40 kWh above the floor
    assert out == pytest.approx({"CP1-1": -2000.0, "CP2-1": -3000.0, "CP3-1": -4000.0}, rel=0.05)
    into = dict(decided(parts, Verb.CHARGE, power_w=7000).powers)  # 20, 10 and 40 kWh to the full charge
    assert into == pytest.approx({"CP1-1": 2000.0, "CP2-1": 1000.0, "CP3-1": 4000.0}, rel=0.05)


def test_in_a_dead_band_the_vehicles_with_the_least_energy_rest() -> None:
    parts = three()
    band = PowerLimits(11_000.0, 10_000.0, min_charge_w=2000.0, min_discharge_w=3000.0)
    for name, soc_pct in zip(THREE, (60.0, 90.0, 40.0), strict=True):
        parts.evse(name, limits=band, soc_pct=soc_pct)
    assert decided(parts, Verb.DISCHARGE, power_w=4000).powers == (("CP1-1", 0.0), ("CP2-1", -4000.0), ("CP3-1", 0.0))
    assert decided(parts, Verb.CHARGE, power_w=2500).powers == (("CP1-1", 0.0), ("CP2-1", 0.0), ("CP3-1", 2500.0))
    made = decided(parts, Verb.DISCHARGE, power_w=1000)
    assert (made.status, made.effective_w, made.acts) == (Status.REFUSED, None, False)


def test_a_dead_band_alone_refuses_the_command_as_clamped() -> None:
    parts = SiteParts()
    unlimited = VehicleNeeds(PowerLimits(1e12, 1e12, 2000.0, 2000.0), True, battery_capacity_wh=50_000.0)
    parts.evse(limits=None, needs=unlimited)
    made = decided(parts, Verb.DISCHARGE, power_w=1000)
    assert summary(made) == ("refused", "clamped", -1000.0, None, "station", False)
    assert rows(made) == [(0.0, "command", "refused", "granted")]


# the connection and the island ----------------------------------------------------------------------------------------


def test_the_connection_is_the_limit_of_the_sum() -> None:
    made = decided(three(export_limit_w=6000.0), Verb.DISCHARGE, power_w=9000)
    assert summary(made) == ("clamped", "export_limit", -9000.0, -6000.0, "site", True)
    assert rows(made) == [granted(-2000.0)] * 3
    made = decided(three(import_limit_w=6000.0), Verb.CHARGE, power_w=9000)
    assert summary(made) == ("clamped", "import_limit", 9000.0, 6000.0, "site", True)
    made = decided(three(export_limit_w=9000.0), Verb.DISCHARGE, power_w=9000)
    assert summary(made) == ("accepted", "granted", -9000.0, -9000.0, "command", True)
    made = decided(three(export_limit_w=30_000.0), Verb.DISCHARGE, power_w=50_000)
    assert summary(made) == ("clamped", "vehicle_limit", -50_000.0, -24_000.0, "vehicle", True)


def test_a_vehicle_is_not_limited_by_the_connection_alone() -> None:
    parts = SiteParts(SitePolicy("home", export_limit_w=6000.0))
    for name in THREE:
        parts.evse(name, sent_w=-2000.0, power_w=-2000.0)
    assert rows(decided(parts, Verb.DISCHARGE, power_w=6000)) == [granted(-2000.0)] * 3


@pytest.mark.parametrize(("import_w", "binding"), [(9000.5, "site"), (9000.6, "vehicle")])
def test_within_the_margin_the_connection_is_the_limit(import_w: float, binding: str) -> None:
    parts = SiteParts(SitePolicy("home", import_limit_w=import_w))
    parts.evse()
    made = decided(parts, Verb.CHARGE, power_w=20_000)
    assert (made.status, made.effective_w, made.binding) == (Status.CLAMPED, 9000.0, binding)


@pytest.mark.parametrize(("import_w", "status"), [(0.5, Status.REFUSED), (0.6, Status.CLAMPED)])
def test_a_connection_that_leaves_no_more_than_the_margin_refuses(import_w: float, status: Status) -> None:
    parts = SiteParts(SitePolicy("home", import_limit_w=import_w))
    parts.evse()
    made = decided(parts, Verb.CHARGE, power_w=20_000)
    assert (made.status, made.binding) == (status, "site")


def test_a_connection_that_leaves_nothing_refuses_the_command() -> None:
    parts = three(import_limit_w=0.0)
    parts.evse("CP2-1", needs=None, can_discharge=False)
    parts.evse("CP3-1", limits=PowerLimits(0.0, 10_000.0))
    made = decided(parts, Verb.CHARGE, power_w=9000)
    assert summary(made) == ("refused", "import_limit", 9000.0, None, "site", False)
    assert rows(made) == [
        (0.0, "site", "refused", "import_limit"),
        (0.0, "site", "refused", "import_limit"),
        (0.0, "station", "refused", "station_limit"),  # which could not have charged in any case
    ]


def test_evses_outside_the_command_take_their_part_of_the_connection() -> None:
    parts = three(import_limit_w=9000.0)
    other = parts.evse("CP4-1", sent_w=4000.0, power_w=4000.0)
    other.command = a_command(Verb.CHARGE, "CP4-1", power_w=4000, priority=90)
    made = decided(parts, Verb.CHARGE, power_w=9000)
    assert made.effective_w == pytest.approx(5000.0)
    assert [name for name, _ in made.powers] == list(THREE)


@pytest.mark.parametrize(
    ("verb", "island_w", "total_w", "code"),
    [
        (Verb.DISCHARGE, -6000.0, -6000.0, Code.ISLAND),
        (Verb.CHARGE, 4500.0, 4500.0, Code.ISLAND),
        (Verb.CHARGE, -6000.0, None, Code.ISLAND),  # the vehicles must discharge: a charge is not reversed
        (Verb.DISCHARGE, 6000.0, None, Code.ISLAND),
    ],
)
def test_the_need_of_an_island_is_the_limit_of_the_sum(
    verb: Verb, island_w: float, total_w: float | None, code: Code
) -> None:
    parts = three()
    parts.site.operate_islanded(True, island_w)
    made = decided(parts, verb, power_w=9000)
    assert (made.effective_w, made.reason.code, made.binding) == (total_w, code, "island")
    assert made.status is (Status.REFUSED if total_w is None else Status.CLAMPED)


# who takes part -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("held", "priority", "takes_part"),
    [
        (None, 0, True),
        (a_command(evse=None, power_w=1, priority=90), 0, True),  # one to the site is replaced as a whole
        (a_command(power_w=1, priority=50), 50, True),
        (a_command(power_w=1, priority=50), 51, True),
        (a_command(power_w=1, priority=50), 49, False),
        (a_command(Verb.STOP, priority=50), 50, False),
        (a_command(Verb.STOP, priority=50), 51, True),
        (a_command(Verb.STOP, priority=50), 49, False),
    ],
)
def test_the_priority_of_what_is_in_force_decides_who_takes_part(held: Any, priority: int, takes_part: bool) -> None:
    parts = SiteParts()
    state = parts.evse(command=held)
    body = a_body(Verb.CHARGE, power_w=3000, priority=priority)
    assert site_of(parts).may_take_part(state, Verb.CHARGE, body) is takes_part
    state.evse.connected = False
    assert not site_of(parts).may_take_part(state, Verb.CHARGE, body)


def test_without_a_session_an_evse_takes_part_in_a_stop_only() -> None:
    parts = SiteParts()
    state = parts.evse(session=None, plug=PlugState.AVAILABLE)
    for verb, takes_part in ((Verb.CHARGE, False), (Verb.STOP, True)):
        body = a_body(verb, **({} if verb is Verb.STOP else {"power_w": 1}))
        assert site_of(parts).may_take_part(state, verb, body) is takes_part


def failed(code: Code) -> Allocation:
    return Allocation("CP2-1", -1.0, 0.0, Stage.FAILED, failure=because(code, "It failed."))


@pytest.mark.parametrize(
    ("allocation", "able"),
    [
        (None, True),
        (Allocation("CP2-1", -1.0, 0.0), True),
        (failed(Code.STATION_REFUSED), False),
        (failed(Code.STATION_SILENT), False),
        (failed(Code.NOT_SEEN_ON_METER), False),
        (failed(Code.METER_SILENT), False),
        (failed(Code.NO_SESSION), True),  # the vehicle may return
    ],
)
def test_a_free_evse_shares_a_command_in_force_unless_its_station_has_failed_it(
    allocation: Allocation | None, able: bool
) -> None:
    parts = three()
    command = a_command(evse=None, power_w=9000)
    parts.evse("CP1-1", command=command)
    other = parts.evse("CP3-1", command=a_command(evse="CP3-1", power_w=1, priority=0))
    if allocation is not None:
        command.allocations["CP2-1"] = allocation
    commands = site_of(parts)

    def names(without: EvseControlState | None = None) -> list[str]:
        return [state.name for state in commands.able_to_share(command, without)]

    assert names() == ["CP1-1", *(["CP2-1"] if able else [])]
    assert names(parts.evse("CP1-1")) == (["CP2-1"] if able else [])
    other.command = None
    assert "CP3-1" in names()
    parts.evse("CP2-1", command=command)  # in it, whatever has failed before
    assert "CP2-1" in names()
    for name in THREE:
        parts.evse(name, connected=False)
    assert names() == []


def test_the_share_of_each_is_within_the_connection() -> None:
    parts = three(export_limit_w=6000.0)
    commands, command = site_of(parts), a_command(evse=None, power_w=9000, min_soc_pct=30.0)
    states = [state for state in parts.registry if state.name != "CP3-1"]
    assert commands.share(command, states) == {"CP1-1": -3000.0, "CP2-1": -3000.0}
    parts.evse("CP1-1", soc_pct=30.0)
    assert commands.share(command, states) == {"CP1-1": 0.0, "CP2-1": -6000.0}
    stop = a_command(Verb.STOP, None)
    assert commands.share(stop, states) == {"CP1-1": 0.0, "CP2-1": 0.0}
