"""The profile stack against a reference computation: each second separately, from the profiles as sent.

Nothing of the emulator is used to find what must rule: purposes, stack levels, EVSE 0, recurrency, validity, durations,
units and the sharing of the station's limits are read from the JSON once more, the slow way.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from emulators.charger.station.smart_charging.profile_rules import StationCapabilities
from emulators.charger.station.smart_charging.profiles import Profiles
from emulators.charger.station.smart_charging.schedule import EvseConditions
from protocols.ocpp.times import stamp
from tests.rounds import rounds

T0 = 1_768_435_200  # 2026-01-15T00:00:00Z
DAY = 86_400
WINDOW = 700  # s
INSTALLED = T0 - 3 * DAY
VOLTS, PHASES = 230.0, 3


def seconds(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def says(profile: dict[str, Any], t: int, ready: int) -> float | None:
    """Return the limit in watts of one profile at second t; None without one."""
    if "validFrom" in profile and t < seconds(profile["validFrom"]):
        return None
    if "validTo" in profile and t >= seconds(profile["validTo"]):
        return None
    (schedule,) = profile["chargingSchedule"]
    begin = ready if profile["chargingProfileKind"] == "Relative" else seconds(schedule["startSchedule"])
    since = t - begin
    if since < 0:
        return None
    if profile["chargingProfileKind"] == "Recurring":
        lap = {"Daily": DAY, "Weekly": 7 * DAY}[profile["recurrencyKind"]]
        while since >= lap:
            since -= lap
    if "duration" in schedule and since >= schedule["duration"]:
        return None
    found = None
    for period in schedule["chargingSchedulePeriod"]:
        if period["startPeriod"] <= since:
            found = period
    assert found is not None
    if schedule["chargingRateUnit"] == "W":
        return float(found["limit"])
    return float(found["limit"] * VOLTS * found.get("numberPhases", PHASES))


def must(sent: list[tuple[int, dict[str, Any]]], evse: int, t: int, ready: int, sharers: int) -> float | None:
    """Return the composite limit. On one level an EVSE precedes the station: 1.6 allows both, 2.x does not."""
    best: dict[str, tuple[int, int, float]] = {}
    for place, profile in sent:
        if place not in (0, evse):
            continue
        value = says(profile, t, ready)
        purpose, rank = profile["chargingProfilePurpose"], (profile["stackLevel"], int(place != 0))
        if value is not None and (purpose not in best or rank > best[purpose][:2]):
            shared = place == 0 and purpose == "ChargingStationMaxProfile"
            best[purpose] = (*rank, value / sharers if shared else value)
    tx = best.get("TxProfile", best.get("TxDefaultProfile"))
    bounds = [entry[2] for entry in (tx, best.get("ChargingStationMaxProfile")) if entry is not None]
    return whole(min(bounds)) if bounds else None


def whole(watts: float | None) -> float | None:
    """Compare to a microwatt: the order of multiplications is arbitrary."""
    return None if watts is None else round(watts, 6)


@st.composite
def sets(draw: st.DrawFn) -> list[tuple[int, dict[str, Any]]]:
    found: list[tuple[int, dict[str, Any]]] = []
    for number in range(1, draw(st.integers(1, 7)) + 1):
        purpose = draw(st.sampled_from(["TxProfile", "TxDefaultProfile", "ChargingStationMaxProfile"]))
        kinds = ["Absolute", "Recurring"] + (["Relative"] if purpose != "ChargingStationMaxProfile" else [])
        kind = draw(st.sampled_from(kinds))
        starts = sorted(draw(st.sets(st.integers(1, 1500), max_size=4)))
        unit = draw(st.sampled_from(["W", "A"]))
        periods = []
        for start in [0, *starts]:
            limit = draw(st.integers(0, 11_000)) if unit == "W" else draw(st.integers(0, 48))
            periods.append({"startPeriod": start, "limit": float(limit)})
            if unit == "A" and draw(st.booleans()):
                periods[-1]["numberPhases"] = draw(st.sampled_from([1, 3]))
        schedule: dict[str, Any] = {"id": number, "chargingRateUnit": unit, "chargingSchedulePeriod": periods}
        profile: dict[str, Any] = {
            "id": number, "stackLevel": draw(st.integers(0, 4)), "chargingProfilePurpose": purpose,
            "chargingProfileKind": kind, "chargingSchedule": [schedule],
        }  # fmt: skip
        if kind != "Relative":
            back = draw(st.sampled_from([0, DAY, 7 * DAY, 9 * DAY])) if kind == "Recurring" else 0
            schedule["startSchedule"] = stamp(T0 - back + draw(st.integers(-1800, 1200)))
        if kind == "Recurring":
            profile["recurrencyKind"] = draw(st.sampled_from(["Daily", "Weekly"]))
        if draw(st.booleans()):
            schedule["duration"] = draw(st.integers(1, 2400))
        if draw(st.booleans()):
            profile["validFrom"] = stamp(T0 + draw(st.integers(-600, 900)))
        if draw(st.booleans()):
            profile["validTo"] = stamp(T0 + draw(st.integers(0, 1200)))
        if purpose == "TxProfile":
            profile["transactionId"] = "tx"
        place = {"ChargingStationMaxProfile": 0, "TxProfile": 1}.get(purpose, draw(st.sampled_from([0, 1, 2])))
        found.append((place, profile))
    return found


@settings(max_examples=rounds(20, 50), deadline=None)
@given(sent=sets(), ready=st.integers(-900, 0), sharers=st.integers(1, 3), replaces=st.booleans())
def test_every_second_matches_the_reference_computation(
    sent: list[tuple[int, dict[str, Any]]], ready: int, sharers: int, replaces: bool
) -> None:
    stack = Profiles(StationCapabilities(frozenset({1, 2}), dc=False, replaces_same_level=replaces))
    taken: list[tuple[int, dict[str, Any]]] = []
    for place, profile in sent:
        if stack.install(place, profile, INSTALLED, "tx" if place == 1 else None) is None:
            if replaces:  # 1.6: the same purpose, level and connector is replaced
                key = (place, profile["chargingProfilePurpose"], profile["stackLevel"])
                taken = [
                    (at, one) for at, one in taken
                    if (at, one["chargingProfilePurpose"], one["stackLevel"]) != key
                ]  # fmt: skip
            taken.append((place, profile))
    at = EvseConditions("tx", float(T0 + ready), voltage_v=VOLTS, phases=PHASES, sharers=sharers)
    expected = [must(taken, 1, T0 + t, T0 + ready, sharers) for t in range(WINDOW)]
    assert [whole(stack.composite(1, T0 + t, at).limit_w) for t in range(WINDOW)] == expected
    assert [whole(stack.present(1, T0 + t, at)[0].limit_w) for t in range(WINDOW)] == expected  # kept between changes
    plan = stack.schedule(1, T0, WINDOW, at)
    predicted = [next(whole(c.limit_w) for begin, c in reversed(plan) if begin <= t) for t in range(WINDOW)]
    assert predicted == expected  # K08: the composite schedule predicts the same
    turns = {t for t in range(1, WINDOW) if expected[t] != expected[t - 1]}
    assert {round(begin) for begin, _ in plan[1:]} == turns  # and names every turn once, and no other
    t = 0
    while t < WINDOW:  # walking from turn to turn misses nothing: what the station sleeps by
        change = stack.next_change(T0 + t, at)
        until = WINDOW if change is None else min(WINDOW, int(change - T0 + 0.999))
        assert len(set(expected[t:until])) == 1
        t = max(until, t + 1)


def dynamic(number: int, level: int, duration: int) -> dict[str, Any]:
    """Return a TxProfile that ends `duration` s after its last update."""
    schedule = {"id": number, "chargingRateUnit": "W", "duration": duration,
                "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 5000.0}]}  # fmt: skip
    return {"id": number, "stackLevel": level, "chargingProfilePurpose": "TxProfile", "transactionId": "tx",
            "chargingProfileKind": "Dynamic", "chargingSchedule": [schedule]}  # fmt: skip


# s: ticks of a station, of which a clock that drifts adds fractions of a millisecond
WAITS = st.sampled_from([0.0, 0.0004, 0.0006, 0.5, 1.0004, 3.0, 15.0004])
# s: around the time at which the station wakes for a change, and after it
TURNS = st.sampled_from([-0.0015, -0.001, -0.0006, -(2.0**-22), 0.0, 0.0006])
CHANGES = st.sampled_from(["none", "none", "sign of life", "new limit", "lost", "back"])


@settings(max_examples=rounds(60, 500), deadline=None)
@given(
    sent=sets(),
    durations=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    offline_s=st.integers(1, 20),
    steps=st.lists(st.tuples(st.booleans(), WAITS, TURNS, CHANGES), min_size=1, max_size=25),
)
def test_a_kept_composite_is_that_of_its_time(
    sent: list[tuple[int, dict[str, Any]]],
    durations: tuple[int, int],
    offline_s: int,
    steps: list[tuple[bool, float, float, str]],
) -> None:
    stack = Profiles(StationCapabilities(frozenset({1, 2}), dc=False))
    now, at = T0 + 0.00748, EvseConditions("tx", T0 - 60.0, voltage_v=VOLTS, phases=PHASES)
    lasting = dynamic(103, 7, 600) | {"maxOfflineDuration": offline_s}
    assert stack.install(1, lasting, now, "tx") is None
    for number, duration in enumerate(durations, 101):
        assert stack.install(1, dynamic(number, number - 93, duration), now, "tx") is None
    for place, profile in sent:
        stack.install(place, profile, INSTALLED, "tx" if place == 1 else None)
    for count, (to_change, wait, turn, change) in enumerate(steps):
        due = stack.present(1, now, at)[1]
        now = max(now, due + turn) if to_change and due is not None else now + wait
        if change in ("sign of life", "new limit"):
            limit = 5000.0 if change == "sign of life" else 4000.0 - count
            assert stack.update(101 + count % 2, {"limit": limit}, now) is None
        elif change == "lost":
            at = replace(at, offline_since=now)
        elif change == "back" and at.offline_since is not None:
            stack.back_online(now, at.offline_since)
            at = replace(at, offline_since=None)
        assert stack.present(1, now, at) == (stack.composite(1, now, at), stack.next_change(now, at))
