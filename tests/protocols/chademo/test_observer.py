"""The observer names states, limits, levels, faults and findings of recorded and emulated sessions."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.can import CanFrame
from protocols.chademo.charger_session import SetCurrent, StopSession
from protocols.chademo.frames import FROM_CHARGER, FROM_VEHICLE
from protocols.chademo.observer import Kind, Observer, SessionRecord
from protocols.chademo.stops import Cause
from tests.protocols.chademo.pairs import flowing, pair
from tests.protocols.chademo.traces import FAILING_1, FAILING_2, LEAF_24, ZE1, ZE1_START, Timed, trace


def observed(frames: list[Timed] | tuple[Timed, ...]) -> Observer:
    observer = Observer()
    for at, frame in frames:
        observer.receive(frame, at)
    observer.finish()
    return observer


def only(frames: list[Timed] | tuple[Timed, ...]) -> SessionRecord:
    (session,) = observed(frames).sessions
    return session


def texts(session: SessionRecord, kind: Kind) -> list[str]:
    return [one.text for one in session.observations if one.kind is kind]


NORMAL = ["wake", "negotiate", "lock", "insulation", "ready", "wait_request", "power", "stopping", "weld_check"]


def test_the_v2h_session() -> None:
    session = only(trace(LEAF_24))
    assert [str(state) for _, state in session.states] == [*NORMAL, "release", "idle"]
    times = {str(state): at for at, state in session.states}
    for state, at in (("lock", 12.664), ("wait_request", 17.338), ("power", 19.564), ("stopping", 46.762)):
        assert times[state] == pytest.approx(at, abs=0.002)
    assert session.stop is not None
    assert session.stop.cause is Cause.CHARGER_STOP
    assert session.protocol == 2
    assert session.energy_out_wh == 0
    assert session.energy_in_wh == pytest.approx(31.7, abs=0.5)  # 14 A, 376 V, 21 s
    assert "200 discharge: down to 250 V, levels 30 % to 80 %" in texts(session, Kind.LIMIT)
    assert texts(session, Kind.FAULT) == texts(session, Kind.FINDING) == []


def test_the_charging_session_and_the_frames_outside_of_it() -> None:
    observer = observed(trace(ZE1))
    (session,) = observer.sessions
    assert observer.ignored == {0x700: 143}
    assert session.stop is not None
    assert session.stop.cause is Cause.CHARGER_STOP
    assert texts(session, Kind.FINDING) == [
        "29 A measured, 10 A requested",
        "0x109: 7 of 848 frames late, up to 0.201 s",
    ]


def test_the_start_alone() -> None:
    session = only(trace(ZE1_START))
    assert session.stop is None
    assert session.outcome == "the recording ends in state negotiate"


def test_the_failing_sessions() -> None:
    first, second = observed(trace(FAILING_1)).sessions
    for session in (first, second):
        assert session.stop is not None
        assert session.stop.cause is Cause.NO_POWER_START
        assert session.outcome == "no power start: ended in state wait_request"
        assert texts(session, Kind.FAULT) == []
        found = texts(session, Kind.FINDING)
        assert "request of 4 A before the connector is locked" in found
        assert "threshold of the charger 475 V, maximum of the battery 400 V" in found
        assert any(text.startswith("0x102: cycle of up to 0.22") for text in found)
    malfunction = only(trace(FAILING_2))
    assert malfunction.stop is not None
    assert malfunction.stop.cause is Cause.CHARGER_MALFUNCTION
    assert "power" in [str(state) for _, state in malfunction.states]
    assert texts(malfunction, Kind.FAULT) == ["charger malfunction"]


def test_a_discharge_between_both_engines() -> None:
    made = pair("leaf-24")
    made.frames = []
    flowing(made, -12.0)
    made.run(60)
    made.order(SetCurrent(10.0))
    made.run(30)
    made.order(StopSession())
    made.run(10)
    session = only(made.frames)
    assert session.stop is not None
    assert session.stop.cause is Cause.CHARGER_STOP
    assert session.energy_out_wh == pytest.approx(made.dc.energy_out_wh, rel=0.02)
    assert session.energy_in_wh == pytest.approx(made.dc.energy_in_wh, rel=0.05)
    assert texts(session, Kind.FINDING) == []
    without_lock = [state for state in NORMAL if state != "lock"]  # the test begins with the lock bit here
    assert [str(state) for _, state in session.states] == [*without_lock, "release", "idle"]


def test_a_vehicle_without_a_charger_and_damaged_frames() -> None:
    alone = [(0.1 * n, CanFrame(can_id, bytes(8))) for n in range(30) for can_id in (0x100, 0x101, 0x102)]
    later = (20.0, CanFrame(0x102, bytes(3)))
    observer = observed([*alone, later])
    (session,) = observer.sessions
    assert session.stop is not None
    assert session.stop.cause is Cause.NO_CHARGER
    assert observer.damaged == ["20.000 s: frame 0x102 has 3 bytes instead of 8"]


IDS = sorted(FROM_VEHICLE | FROM_CHARGER)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0, 3), st.sampled_from([*IDS, 0x7FF]), st.binary(max_size=8), st.booleans()), max_size=60
    )
)
def test_any_frames_are_observed(frames: list[tuple[float, int, bytes, bool]]) -> None:
    observer, now = Observer(), 0.0
    for wait, can_id, data, whole in frames:
        now += wait
        observer.receive(CanFrame(can_id, data.ljust(8, b"\x05") if whole else data), now)
    for session in observer.finish():
        assert session.outcome
        assert session.observations
