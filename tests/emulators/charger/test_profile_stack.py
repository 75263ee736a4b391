"""The profile stack: purposes, levels, recurrence, validity, units, composite schedule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulators.charger.station.smart_charging import operation_modes
from emulators.charger.station.smart_charging.profile_rules import StationCapabilities
from emulators.charger.station.smart_charging.profiles import Profiles
from emulators.charger.station.smart_charging.schedule import Composite, EvseConditions
from protocols.ocpp.times import stamp
from tests.rounds import rounds

T0 = 1_768_435_200.0  # 2026-01-15T00:00:00Z, a Thursday
AT = EvseConditions(transaction="tx", ready_at=T0)


def stack(**about: Any) -> Profiles:
    about.setdefault("evses", frozenset({1, 2}))
    return Profiles(StationCapabilities(**about))


def profile(number: int, purpose: str, level: int, periods: list[tuple[int, float]], **more: Any) -> dict[str, Any]:
    schedule: dict[str, Any] = {
        "id": number,
        "chargingRateUnit": more.pop("unit", "W"),
        "chargingSchedulePeriod": [{"startPeriod": start, "limit": limit} for start, limit in periods],
    }
    for name in ("duration", "startSchedule", "limitAtSoC", "randomizedDelay"):
        if name in more:
            schedule[name] = more.pop(name)
    kind = more.pop("kind", "Absolute" if "startSchedule" in schedule else "Relative")
    body: dict[str, Any] = {
        "id": number,
        "stackLevel": level,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": kind,
        "chargingSchedule": [schedule],
        **more,
    }
    if purpose == "TxProfile":
        body["transactionId"] = "tx"
    return body


def put(profiles: Profiles, *bodies: dict[str, Any], evse: int = 1) -> None:
    for body in bodies:
        place = 0 if body["chargingProfilePurpose"] == "ChargingStationMaxProfile" else evse
        assert profiles.install(place, body, T0, "tx") is None


def limit(profiles: Profiles, after: float = 0.0, at: EvseConditions = AT) -> float | None:
    present, change = profiles.present(1, T0 + after, at)  # kept between changes
    assert present == profiles.composite(1, T0 + after, at)
    assert change == profiles.next_change(T0 + after, at)
    return present.limit_w


def test_no_installed_profile_is_no_limit() -> None:
    assert stack().composite(1, T0, AT) == Composite()


def test_a_higher_stack_level_has_precedence_until_its_end() -> None:
    profiles = stack()
    put(
        profiles,
        profile(1, "TxProfile", 0, [(0, 1000.0)]),
        profile(2, "TxProfile", 3, [(0, 3000.0)], duration=60),
    )
    assert [limit(profiles, t) for t in (0, 59, 60, 600)] == [3000.0, 3000.0, 1000.0, 1000.0]


def test_a_tx_profile_replaces_the_default_and_the_lowest_purpose_limits() -> None:
    profiles = stack()
    put(profiles, profile(1, "TxDefaultProfile", 9, [(0, 500.0)]))
    assert limit(profiles) == 500.0
    put(profiles, profile(2, "TxProfile", 0, [(0, 4000.0)]))
    assert limit(profiles) == 4000.0
    put(profiles, profile(3, "ChargingStationMaxProfile", 0, [(0, 2500.0)], startSchedule=stamp(T0)))
    assert limit(profiles) == 2500.0
    assert limit(profiles, at=EvseConditions(transaction="other", ready_at=T0)) == 500.0


CHANGES: list[Callable[[Profiles], object]] = [
    lambda profiles: profiles.update(2, {"limit": 7000.0}, T0 + 20),
    lambda profiles: profiles.update(2, {"limit": 7000.0}, T0 + 45),  # a sign of life
    lambda profiles: profiles.shift_times(40.0),
    lambda profiles: profiles.back_online(T0 + 50, T0),
    lambda profiles: profiles.rename_transaction("tx", "other"),
    lambda profiles: profiles.rename_transaction("other", "tx"),
    lambda profiles: profiles.clear(number=1),
    lambda profiles: profiles.install(1, profile(1, "TxDefaultProfile", 0, [(0, 900.0)]), T0 + 60, None),
    lambda profiles: profiles.restore(profiles.saved()),
    lambda profiles: profiles.end_transaction("tx"),
    lambda profiles: profiles.drop_volatile(),
]


def test_a_composite_that_is_kept_follows_every_change() -> None:
    profiles = stack()
    put(profiles, profile(1, "TxDefaultProfile", 0, [(0, 1000.0)]))
    put(profiles, profile(2, "TxProfile", 0, [(0, 5000.0)], kind="Dynamic", duration=30))
    put(profiles, profile(3, "TxProfile", 1, [(0, 6000.0)], duration=10, maxOfflineDuration=5,
                          invalidAfterOfflineDuration=True))  # fmt: skip
    found = []
    for after in (0.0, 9.0, 11.0, 29.0, 31.0):
        found.append(limit(profiles, after))
    for after, change in enumerate(CHANGES, 31):
        change(profiles)
        found += [limit(profiles, after), limit(profiles, after, EvseConditions("tx", T0, offline_since=T0 + 5))]
    assert found[:5] == [6000.0, 6000.0, 5000.0, 5000.0, 1000.0]
    assert {7000.0, 900.0} <= set(found)


def test_a_default_for_one_evse_and_one_for_all() -> None:
    profiles = stack()
    put(profiles, profile(1, "TxDefaultProfile", 1, [(0, 1000.0)]), evse=0)
    put(profiles, profile(2, "TxDefaultProfile", 2, [(0, 2000.0)]), evse=2)
    assert profiles.composite(1, T0, AT).limit_w == 1000.0
    assert profiles.composite(2, T0, AT).limit_w == 2000.0
    same_level = profile(3, "TxDefaultProfile", 1, [(0, 1.0)])
    assert profiles.install(2, same_level, T0, None) == ("DuplicateProfile", "K01.FR.53")
    assert profiles.install(0, profile(4, "TxDefaultProfile", 2, [(0, 1.0)]), T0, None) == (
        "DuplicateProfile",
        "K01.FR.52",
    )


def test_validity() -> None:
    profiles = stack()
    put(profiles, profile(1, "TxProfile", 0, [(0, 700.0)], validFrom=stamp(T0 + 10), validTo=stamp(T0 + 20)))
    assert [limit(profiles, t) for t in (9, 10, 19, 20)] == [None, 700.0, 700.0, None]


@pytest.mark.parametrize(("kind", "lap"), [("Daily", 86_400), ("Weekly", 604_800)])
def test_recurrency(kind: str, lap: int) -> None:
    profiles = stack()
    body = profile(
        1, "TxDefaultProfile", 0, [(0, 1000.0), (3600, 2000.0)],
        startSchedule=stamp(T0), duration=7200, kind="Recurring", recurrencyKind=kind,
    )  # fmt: skip
    put(profiles, body)
    for turn in (0, 1, 3):
        base = turn * lap
        assert [limit(profiles, base + t) for t in (0, 3599, 3600, 7199, 7200)] == [
            1000.0,
            1000.0,
            2000.0,
            2000.0,
            None,
        ]
    assert limit(profiles, -1.0) is None


def test_a_schedule_in_the_future_waits() -> None:
    profiles = stack()
    put(profiles, profile(1, "TxProfile", 0, [(0, 900.0)], startSchedule=stamp(T0 + 100)))
    assert [limit(profiles, t) for t in (99, 100)] == [None, 900.0]


def test_amperes_are_per_phase() -> None:
    profiles = stack(dc=False)
    body = profile(1, "TxProfile", 0, [(0, 16.0)], unit="A")
    put(profiles, body)
    assert limit(profiles) == 16 * 230 * 3  # K01.FR.49: three phases by default
    body["chargingSchedule"][0]["chargingSchedulePeriod"][0]["numberPhases"] = 1
    put(profiles, body)
    assert limit(profiles) == 16 * 230


def test_above_a_state_of_charge_the_limit_is_lower() -> None:
    profiles = stack()
    put(profiles, profile(1, "TxProfile", 0, [(0, 5000.0)], limitAtSoC={"soc": 80, "limit": 1000.0}))
    for soc, expected in ((None, 5000.0), (79.9, 5000.0), (80.0, 1000.0)):
        assert limit(profiles, at=EvseConditions(transaction="tx", ready_at=T0, soc_pct=soc)) == expected


def test_local_generation_comes_on_top() -> None:
    profiles = stack()
    put(profiles, profile(1, "TxProfile", 0, [(0, 2000.0)]))
    put(profiles, profile(2, "LocalGeneration", 0, [(0, 1500.0)], startSchedule=stamp(T0)))
    assert limit(profiles) == 3500.0


def test_priority_charging_applies_while_active() -> None:
    profiles = stack()
    put(profiles, profile(1, "TxProfile", 5, [(0, 0.0)]), profile(2, "PriorityCharging", 0, [(0, 9000.0)]))
    assert limit(profiles) == 0.0
    assert limit(profiles, at=EvseConditions(transaction="tx", ready_at=T0, priority=True)) == 9000.0


def test_delays_are_drawn_once_and_keep_the_order() -> None:
    profiles = stack()
    periods = [(0, 0.0), (100, 1.0), (101, 2.0), (500, 3.0)]
    put(profiles, profile(1, "TxProfile", 0, periods, randomizedDelay=200, startSchedule=stamp(T0)))
    seen = [limit(profiles, t) for t in range(800)]
    assert seen == sorted(seen, key=lambda value: value or 0.0)
    assert seen == [limit(profiles, t) for t in range(800)]
    assert seen[99] == 0.0
    assert seen[-1] == 3.0


REFUSED: list[tuple[dict[str, Any], str]] = [
    (profile(1, "ChargingStationExternalConstraints", 0, [(0, 1.0)]), "InvalidProfile"),
    (profile(1, "TxDefaultProfile", 0, [(5, 1.0)]), "InvalidSchedule"),
    (profile(1, "TxDefaultProfile", 0, [(0, 1.0), (9, 1.0), (5, 1.0)]), "InvalidSchedule"),
    (profile(1, "TxDefaultProfile", 0, [(0, 1.0)], kind="Absolute"), "InvalidSchedule"),
    (profile(1, "TxDefaultProfile", 0, [(0, 1.0)], kind="Relative", startSchedule=stamp(T0)), "InvalidSchedule"),
    (profile(1, "TxDefaultProfile", 0, [(0, 1.0)], kind="Recurring", startSchedule=stamp(T0)), "InvalidProfile"),
    (profile(1, "TxDefaultProfile", 99, [(0, 1.0)]), "InvalidStackLevel"),
    (profile(1, "TxDefaultProfile", 0, [(0, -1.0)]), "InvalidSchedule"),
    (profile(1, "PriorityCharging", 0, [(0, 1.0)], duration=5), "InvalidSchedule"),
    (profile(1, "LocalGeneration", 0, [(0, 1.0)], randomizedDelay=5), "InvalidSchedule"),
]


@pytest.mark.parametrize(("body", "code"), REFUSED)
def test_rejected_profiles(body: dict[str, Any], code: str) -> None:
    found = stack().install(1, body, T0, "tx")
    assert found is not None
    assert found[0] == code


def test_rejections_by_evse_and_transaction() -> None:
    profiles = stack(additional_purposes=frozenset(), rate_units=frozenset({"W"}), dynamic=False, entries=1)
    tx = profile(1, "TxProfile", 0, [(0, 1.0)])
    assert profiles.install(9, tx, T0, "tx") == ("UnknownEVSE", "K01.FR.28")
    assert profiles.install(0, tx, T0, "tx") == ("InvalidProfile", "K01.FR.16")
    assert profiles.install(1, tx, T0, None) == ("TxNotFound", "K01.FR.09")
    assert profiles.install(1, tx, T0, "other") == ("TxNotFound", "K01.FR.33")
    priority = profile(1, "PriorityCharging", 0, [(0, 1.0)])
    assert profiles.install(1, priority, T0, "tx") == ("UnsupportedPurpose", "K01.FR.120")
    assert profiles.install(1, profile(1, "TxProfile", 0, [(0, 1.0)], unit="A"), T0, "tx") == (
        "UnsupportedRateUnit",
        "K01.FR.26",
    )
    assert profiles.install(1, tx | {"chargingProfileKind": "Dynamic"}, T0, "tx") == ("UnsupportedKind", "K01.FR.121")
    assert profiles.install(1, tx, T0, "tx") is None
    assert profiles.install(1, profile(2, "TxProfile", 1, [(0, 1.0)]), T0, "tx") == ("TooManyProfiles", "K01.FR.05")
    assert profiles.install(1, profile(1, "TxProfile", 4, [(0, 2.0)]), T0, "tx") is None  # the same id replaces
    assert limit(profiles) == 2.0


def test_in_16_the_same_purpose_and_level_replaces() -> None:
    profiles = stack(replaces_same_level=True)
    put(profiles, profile(1, "TxDefaultProfile", 0, [(0, 1.0)]), profile(2, "TxDefaultProfile", 0, [(0, 2.0)]))
    assert [held.id for held in profiles] == [2]


def test_clearing() -> None:
    profiles = stack()
    put(profiles, profile(1, "TxProfile", 0, [(0, 1.0)]), profile(2, "TxProfile", 1, [(0, 1.0)]))
    put(profiles, profile(3, "TxDefaultProfile", 1, [(0, 1.0)]))
    assert profiles.clear(number=9) == []
    assert profiles.clear(purpose="TxProfile", level=1) == [2]
    assert profiles.clear(evse=2) == []
    assert sorted(profiles.clear()) == [1, 3]


# laws

purposes = st.sampled_from(["TxProfile", "TxDefaultProfile", "ChargingStationMaxProfile", "LocalGeneration"])


@st.composite
def bodies(draw: st.DrawFn, number: int) -> dict[str, Any]:
    starts = sorted(draw(st.sets(st.integers(1, 3000), max_size=3)))
    periods = [(start, float(draw(st.integers(0, 10_000)))) for start in [0, *starts]]
    more: dict[str, Any] = {}
    purpose = draw(purposes)
    if purpose == "ChargingStationMaxProfile" or draw(st.booleans()):
        more["startSchedule"] = stamp(T0 + draw(st.integers(-2000, 2000)))
        if draw(st.booleans()):
            more |= {"kind": "Recurring", "recurrencyKind": "Daily"}
    if draw(st.booleans()):
        more["duration"] = draw(st.integers(1, 4000))
    if draw(st.booleans()):
        more["validFrom"] = stamp(T0 + draw(st.integers(-500, 2500)))
    if draw(st.booleans()):
        more["validTo"] = stamp(T0 + draw(st.integers(0, 3000)))
    return profile(number, purpose, draw(st.integers(0, 3)), periods, **more)


@settings(max_examples=rounds(40, 150))
@given(data=st.data(), count=st.integers(0, 6))
def test_the_composite_schedule_matches_the_composite_at_every_time(data: st.DataObject, count: int) -> None:
    profiles = stack()
    for number in range(1, count + 1):
        body = data.draw(bodies(number))
        profiles.install(0 if body["chargingProfilePurpose"] == "ChargingStationMaxProfile" else 1, body, T0, "tx")
    planned = profiles.schedule(1, T0, 3600, AT)
    assert planned[0][0] == 0.0
    starts = [start for start, _ in planned]
    assert starts == sorted(set(starts))
    for moment in data.draw(st.lists(st.floats(0, 3599), min_size=1, max_size=10)):
        predicted = [composite for start, composite in planned if start <= moment][-1]
        assert predicted.limit_w == profiles.composite(1, T0 + moment, AT).limit_w


@given(
    setpoint=st.floats(-20_000, 20_000),
    limit_w=st.none() | st.floats(0, 15_000),
    floor=st.none() | st.floats(-15_000, 0),
    mode=st.sampled_from(["CentralSetpoint", "CentralFrequency", "ExternalSetpoint", "ChargingOnly", "Idle"]),
)
def test_no_set_point_leaves_its_limits(setpoint: float, limit_w: float | None, floor: float | None, mode: str) -> None:
    composite = Composite(mode, limit_w, floor, setpoint)
    power = operation_modes.power_w(
        composite, operation_modes.LocalConditions(), operation_modes.AlgorithmState(), 11_000.0
    )
    assert limit_w is None or power <= max(limit_w, 0.0)
    assert floor is None or power >= min(floor, 0.0) or mode in ("ChargingOnly", "Idle")
    if mode in ("ChargingOnly", "Idle"):
        assert power >= 0.0


@given(st.lists(st.tuples(st.floats(45, 55), st.floats(-1e4, 1e4)), min_size=1, max_size=6), st.floats(40, 60))
def test_a_curve_stays_between_its_points(curve: list[tuple[float, float]], x: float) -> None:
    value = operation_modes.interpolate(curve, x)
    assert min(y for _, y in curve) - 1e-6 <= value <= max(y for _, y in curve) + 1e-6
