"""SLAC engine of a vehicle, message by message."""

from __future__ import annotations

from dataclasses import replace

import pytest

from protocols.errors import LocalProtocolError
from protocols.iec61851 import PilotState
from protocols.slac import messages as m
from protocols.slac import timers
from protocols.slac.behaviour import EV_PROFILES
from protocols.slac.ev import MOST_REPORTS, EvSlac
from protocols.slac.events import (
    EvseChosen,
    Leave,
    LinkLost,
    Matched,
    MatchingFailed,
    MatchingStarted,
    PilotChanged,
    StartMatching,
    ToggleRequested,
    ValidationEnded,
)
from protocols.slac.frames import BROADCAST, Frame
from protocols.slac.keys import nid_of
from protocols.slac.settings import EvSettings, EvState, EvValidation
from tests.protocols.slac.bench import EV, EVSE, NMK, OTHER_EV, OTHER_EVSE, Bench, ev_bench, messages


def engine(bench: Bench) -> EvSlac:
    assert isinstance(bench.engine, EvSlac)
    return bench.engine


def run_id(bench: Bench) -> bytes:
    return engine(bench).run_id


def report(bench: Bench, evse: bytes, db: int, sounds: int = 10) -> list[Frame]:
    return bench.give(evse, m.AttenCharInd(EV, run_id(bench), sounds, bytes((db,)) * 58), EV)


def confirmed(settings: EvSettings | None = None) -> Bench:
    """Return a vehicle whose parameters one EVSE confirmed."""
    bench = ev_bench(settings)
    bench.give(EVSE, m.SlacParmCnf(run_id(bench), EV), EV)
    return bench


def sounded(settings: EvSettings | None = None) -> Bench:
    """Return a vehicle that has sent its sounds."""
    bench = confirmed(settings)
    bench.run(0.5)
    return bench


def confirm_match(bench: Bench, evse: bytes = EVSE) -> None:
    bench.give(evse, m.SlacMatchCnf(EV, evse, run_id(bench), nid_of(NMK), NMK), EV)


def test_the_batch_of_start_indications_and_sounds() -> None:
    bench = sounded()
    batch = bench.sent[1:]
    assert {one.destination for one in batch} == {BROADCAST}
    kinds = [type(one.message) for one in batch]
    assert kinds == [m.StartAttenCharInd] * 3 + [m.MnbcSoundInd] * 10
    counts = [one.message.remaining for one in batch if isinstance(one.message, m.MnbcSoundInd)]
    assert counts == list(reversed(range(10)))


def test_a_whole_matching() -> None:
    bench = sounded()
    (answer,) = report(bench, EVSE, 8)
    assert (answer.destination, answer.message) == (EVSE, m.AttenCharRsp(EV, run_id(bench)))
    bench.run(timers.ATTENUATION_RESULTS)
    assert bench.sent[-1].message == m.SlacMatchReq(EV, EVSE, run_id(bench)) or engine(bench).state is EvState.MATCHING
    confirm_match(bench)
    assert bench.keys() == [NMK]
    bench.confirm_key()
    bench.run(0.3, link=True)
    assert bench.reported(Matched) == [Matched(EV, EVSE, nid_of(NMK))]


def test_the_lowest_attenuation_wins() -> None:
    bench = sounded()
    report(bench, OTHER_EVSE, 30)
    report(bench, EVSE, 8)
    bench.run(1.2)
    assert bench.reported(EvseChosen) == [EvseChosen(EVSE, 8.0, False, 2)]


def test_a_late_report_does_not_postpone_the_choice() -> None:
    bench = sounded()
    report(bench, EVSE, 8)
    began = bench.now
    for number in range(100):
        bench.run(0.02)
        bench.give(bytes((2, 0, 0, 0, 9, number)), m.AttenCharInd(EV, run_id(bench), 10, b"\1" * 58), EV)
        if bench.reported(EvseChosen):
            break
    assert bench.now - began < timers.ATTENUATION_RESULTS
    assert len(engine(bench).reports) <= MOST_REPORTS


def test_many_sounds_do_not_postpone_the_choice() -> None:
    """An EVSE may request more sounds than there is time for; the vehicle chooses by what it has."""
    bench = ev_bench(EvSettings(EV, behaviour=EV_PROFILES["vw-meb"]))
    bench.give(EVSE, m.SlacParmCnf(run_id(bench), EV, sounds=50), EV)
    bench.run(0.5)
    report(bench, EVSE, 8)
    bench.run(0.8)
    assert bench.reported(EvseChosen)
    assert not [one for one in bench.run(1.0) if isinstance(one.message, m.MnbcSoundInd)]


def test_a_choice_as_soon_as_all_have_reported() -> None:
    bench = sounded(EvSettings(EV, choose_when_all_reported=True))
    report(bench, EVSE, 8)
    assert bench.reported(EvseChosen)


def test_a_repeated_report_is_answered_and_the_fuller_one_counts() -> None:
    bench = sounded()
    report(bench, EVSE, 30, sounds=2)
    report(bench, EVSE, 8, sounds=9)
    assert len(report(bench, EVSE, 50, sounds=1)) == 1
    bench.run(1.2)
    assert bench.reported(EvseChosen) == [EvseChosen(EVSE, 8.0, False, 1)]


@pytest.mark.parametrize("db", [8, 22, 39])
def test_real_chargers_of_high_attenuation_are_not_refused(db: int) -> None:
    bench = sounded()
    report(bench, EVSE, db)
    bench.run(1.2)
    assert [one.ambiguous for one in bench.reported(EvseChosen)] == [db > 10]


@pytest.mark.parametrize(("db", "sounds"), [(41, 10), (8, 0)])
def test_no_usable_report_is_a_failed_attempt(db: int, sounds: int) -> None:
    bench = sounded()
    report(bench, EVSE, db, sounds)
    bench.run(1.2)
    assert bench.reported(MatchingFailed)


def test_retries_and_attempts_are_limited() -> None:
    bench = ev_bench()
    bench.run(60.0)
    requests = [one for one in messages(bench.sent) if isinstance(one, m.SlacParmReq)]
    attempts = bench.reported(MatchingStarted)
    assert len(attempts) >= timers.FEWEST_ATTEMPTS
    assert len(requests) == (1 + timers.MATCH_RETRIES) * len(attempts)
    assert len({one.run_id for one in attempts}) == len(attempts)  # each one starts from nothing
    assert engine(bench).state is EvState.FAILED
    assert bench.engine.deadline() is None
    engine(bench).command(StartMatching(), bench.now)
    assert engine(bench).state is EvState.PARAMETERS


def test_the_match_request_is_repeated_and_a_retry_forgets_the_reports() -> None:
    bench = sounded()
    report(bench, EVSE, 8)
    bench.run(1.2 + 1.0)
    requests = [one for one in messages(bench.sent) if isinstance(one, m.SlacMatchReq)]
    assert len(requests) == 1 + timers.MATCH_RETRIES
    assert engine(bench).reports == {}


@pytest.mark.parametrize(
    "change",
    [{"run_id": b"another "}, {"vehicle": OTHER_EV}, {"evse": OTHER_EVSE}, {"length": 0x55}],
    ids=str,
)
def test_a_confirmation_of_others_is_ignored(change: dict[str, object]) -> None:
    bench = sounded()
    report(bench, EVSE, 8)
    bench.run(1.2)
    good = m.SlacMatchCnf(EV, EVSE, run_id(bench), nid_of(NMK), NMK)
    bench.give(EVSE, replace(good, **change), EV)  # type: ignore[arg-type]
    assert bench.keys() == []
    bench.give(OTHER_EVSE, good, EV)
    assert bench.keys() == []
    bench.give(EVSE, good, EV)
    assert bench.keys() == [NMK]


def test_a_confirmation_before_the_request_is_ignored() -> None:
    bench = sounded()
    confirm_match(bench)
    assert bench.keys() == []


def test_a_nid_that_is_not_that_of_the_key_works() -> None:
    bench = sounded()
    report(bench, EVSE, 8)
    bench.run(1.2)
    bench.give(EVSE, m.SlacMatchCnf(EV, EVSE, run_id(bench), bytes(range(1, 8)), NMK), EV)
    assert bench.sent[-1].message == m.SetKeyReq(bytes(range(1, 8)), NMK)


def test_without_a_link_the_vehicle_tries_again() -> None:
    bench = sounded()
    report(bench, EVSE, 8)
    bench.run(1.2)
    confirm_match(bench)
    bench.confirm_key()
    bench.run(timers.MATCH_JOIN + 1.0, link=False)
    assert "no link after CM_SLAC_MATCH.CNF" in [one.reason for one in bench.reported(MatchingFailed)]
    assert len(bench.reported(MatchingStarted)) == 2


def test_a_vehicle_that_leaves_replaces_its_key() -> None:
    bench = sounded()
    report(bench, EVSE, 8)
    bench.run(1.2)
    confirm_match(bench)
    bench.confirm_key()
    bench.run(0.3, link=True)
    engine(bench).command(Leave(), bench.now)
    bench.run(0.0)
    bench.give(EVSE, m.AmpMapCnf(), EV)
    assert len(set(bench.keys())) == 2
    assert engine(bench).state is EvState.UNMATCHED


def test_a_lost_link_is_reported() -> None:
    bench = sounded()
    report(bench, EVSE, 8)
    bench.run(1.2)
    confirm_match(bench)
    bench.confirm_key()
    bench.run(0.3, link=True)
    bench.run(10.0, link=False)
    assert bench.reported(LinkLost) == [LinkLost(EVSE)]


@pytest.mark.parametrize(
    "change", [{"sounds": 9}, {"time_out": 10}, {"response_type": 0}, {"forwarding_station": OTHER_EV}], ids=str
)
def test_a_vehicle_that_accepts_the_values_of_the_standard_only(change: dict[str, object]) -> None:
    for name, accepted in (("big-name", False), ("standard", True)):
        bench = ev_bench(EvSettings(EV, behaviour=EV_PROFILES[name]))
        good = m.SlacParmCnf(run_id(bench), EV)
        bench.give(EVSE, replace(good, **change), EV)  # type: ignore[arg-type]
        assert (engine(bench).state is EvState.SOUNDS) is accepted
        bench.give(EVSE, good, EV)
        assert engine(bench).state is EvState.SOUNDS


def test_run_ids_of_makers() -> None:
    assert run_id(ev_bench(EvSettings(EV, behaviour=EV_PROFILES["tesla"]))) == b"TESLA EV"
    assert run_id(ev_bench(EvSettings(EV, behaviour=EV_PROFILES["ioniq"]))) == EV + b"\0\0"


def test_an_ioniq_sends_two_requests_and_refuses_zero_db() -> None:
    bench = ev_bench(EvSettings(EV, behaviour=EV_PROFILES["ioniq"]))
    bench.run(0.05)
    assert [type(one) for one in messages(bench.sent)] == [m.SlacParmReq] * 2
    bench.give(EVSE, m.SlacParmCnf(run_id(bench), EV), EV)
    bench.run(0.6)
    assert report(bench, EVSE, 0) == []
    assert len(report(bench, EVSE, 1)) == 1
    assert {one.random for one in messages(bench.sent) if isinstance(one, m.MnbcSoundInd)} == {b"\xff" * 16}


def test_a_taycan_ignores_late_confirmations_and_pauses() -> None:
    bench = ev_bench(EvSettings(EV, behaviour=EV_PROFILES["taycan"]))
    bench.run(0.08)
    bench.give(EVSE, m.SlacParmCnf(run_id(bench), EV), EV)
    assert engine(bench).state is EvState.PARAMETERS
    bench.run(39.0)
    assert len(bench.reported(MatchingStarted)) == 1
    bench.run(5.0)
    assert len(bench.reported(MatchingStarted)) == 2


def validating(policy: EvValidation = EvValidation.ALWAYS) -> Bench:
    bench = sounded(EvSettings(EV, validation=policy))
    report(bench, EVSE, 8)
    report(bench, OTHER_EVSE, 9)
    bench.run(1.2 - 0.3)
    return bench


def test_a_validation_by_toggles() -> None:
    bench = validating(EvValidation.AMBIGUOUS)
    assert bench.sent[-1].message == m.ValidateReq(0)
    bench.give(EVSE, m.ValidateCnf(0, m.ValidationResult.READY), EV)
    (toggle,) = bench.reported(ToggleRequested)
    step = bench.sent[-1].message
    assert isinstance(step, m.ValidateReq)
    assert 2 * toggle.count * toggle.half_s < (step.timer + 1) * 0.1 <= timers.VALIDATION_TOGGLES
    bench.give(EVSE, m.ValidateCnf(toggle.count, m.ValidationResult.SUCCESS), EV)
    bench.run(0.01)
    assert messages(bench.sent)[-1] == m.SlacMatchReq(EV, EVSE, run_id(bench))


@pytest.mark.parametrize("wrong", ["count", "failure", "silence"])
def test_an_evse_that_fails_the_validation_is_not_chosen(wrong: str) -> None:
    bench = validating()
    bench.give(EVSE, m.ValidateCnf(0, m.ValidationResult.READY), EV)
    (toggle,) = bench.reported(ToggleRequested)
    if wrong == "silence":
        bench.run(4.0)
    else:
        result = m.ValidationResult.FAILURE if wrong == "failure" else m.ValidationResult.SUCCESS
        bench.give(EVSE, m.ValidateCnf(toggle.count + 1, result), EV)
        assert [one.ok for one in bench.reported(ValidationEnded)] == [False]
    second = [one for one in bench.sent if isinstance(one.message, m.ValidateReq) and one.destination == OTHER_EVSE]
    assert second


def test_an_evse_that_requires_no_validation_is_matched() -> None:
    bench = validating()
    bench.give(EVSE, m.ValidateCnf(0, m.ValidationResult.NOT_REQUIRED), EV)
    bench.run(0.01)
    assert bench.sent[-1].message == m.SlacMatchReq(EV, EVSE, run_id(bench))


def test_orders_that_do_not_fit_are_refused() -> None:
    bench = ev_bench()
    for order in (StartMatching(), PilotChanged(PilotState.B)):
        with pytest.raises(LocalProtocolError):
            engine(bench).command(order, 0.0)
