"""SLAC engine of an EVSE, message by message."""

from __future__ import annotations

from dataclasses import replace

import pytest

from protocols.errors import LocalProtocolError
from protocols.iec61851 import PilotState
from protocols.slac import messages as m
from protocols.slac import timers
from protocols.slac.behaviour import EVSE_PROFILES, EvseBehaviour
from protocols.slac.events import (
    AmplitudeMapAnswered,
    AmplitudeMapReceived,
    FrameIgnored,
    KeyRefused,
    LinkLost,
    Matched,
    MatchingFailed,
    MatchingStarted,
    NetworkLeft,
    NoMatchingRequest,
    Pause,
    PilotChanged,
    Resume,
    SendAmplitudeMap,
    SessionEnded,
    StartMatching,
)
from protocols.slac.evse import EvseSlac
from protocols.slac.frames import SHORTEST_FRAME, Message
from protocols.slac.keys import nid_of
from protocols.slac.modem import ModemSettings
from protocols.slac.settings import EvseSettings, EvseState, Validation
from protocols.slac.vendor import AttenuationInd, ModemVendor, ResetReq
from tests.protocols.slac.bench import (
    EV,
    EVSE,
    MODEM,
    OTHER_EV,
    OTHER_EVSE,
    OTHER_MODEM,
    OTHER_RUN,
    RUN,
    Bench,
    ask_to_match,
    evse_bench,
    messages,
    sound_out,
)


def matched() -> Bench:
    bench = evse_bench()
    ask_to_match(bench)
    bench.run(0.2, link=True)
    assert bench.reported(Matched)
    return bench


def engine(bench: Bench) -> EvseSlac:
    assert isinstance(bench.engine, EvseSlac)
    return bench.engine


def test_the_parameters_are_those_that_every_vehicle_accepts() -> None:
    bench = evse_bench()
    (sent,) = bench.give(EV, m.SlacParmReq(RUN))
    assert sent.destination == EV
    assert sent.message == m.SlacParmCnf(RUN, forwarding_station=EV, sounds=10, time_out=6, response_type=1)
    assert len(sent.encode()) == SHORTEST_FRAME


def test_a_whole_matching() -> None:
    bench = evse_bench()
    sound_out(bench, db=12)
    assert bench.sent[-1].message == m.AttenCharInd(EV, RUN, 10, bytes((12,)) * 58)
    bench.give(EV, m.AttenCharRsp(EV, RUN), EVSE)
    (sent,) = messages(bench.give(EV, m.SlacMatchReq(EV, EVSE, RUN), EVSE))
    assert isinstance(sent, m.SlacMatchCnf)
    assert (sent.nmk, sent.nid) == (bench.keys()[-1], nid_of(sent.nmk))
    bench.run(0.3, link=True)
    assert [one.vehicle for one in bench.reported(Matched)] == [EV]
    assert engine(bench).state is EvseState.MATCHED


@pytest.mark.parametrize("state", [PilotState.A, PilotState.E, PilotState.F])
def test_no_vehicle_is_answered_in_state(state: PilotState) -> None:
    bench = evse_bench()
    engine(bench).command(PilotChanged(state), bench.now)
    assert bench.give(EV, m.SlacParmReq(RUN)) == []
    assert engine(bench).state is EvseState.UNMATCHED


def test_no_vehicle_is_answered_before_the_modem_has_its_key() -> None:
    bench = Bench(EvseSlac(EvseSettings(EVSE), 0.0))
    engine(bench).command(PilotChanged(PilotState.B), 0.0)
    assert bench.give(EV, m.SlacParmReq(RUN)) == []
    bench.confirm_key()
    assert len(bench.give(EV, m.SlacParmReq(RUN))) == 1


@pytest.mark.parametrize("result", [0, 1])
def test_both_results_of_modems_mean_success(result: int) -> None:
    bench = Bench(EvseSlac(EvseSettings(EVSE), 0.0))
    bench.confirm_key(result)
    assert engine(bench).state is EvseState.UNMATCHED


def test_a_key_that_is_refused_is_tried_again_and_the_modem_reset() -> None:
    bench = Bench(EvseSlac(EvseSettings(EVSE), 0.0))
    for _ in range(timers.KEY_ATTEMPTS):
        bench.confirm_key(0xFF)
        bench.run(timers.KEY_CONFIRMATION)
    assert bench.reported(KeyRefused) == [KeyRefused(timers.KEY_ATTEMPTS)]
    assert len(bench.keys()) == timers.KEY_ATTEMPTS
    assert ResetReq() in messages(bench.sent)
    bench.run(5.5)
    bench.confirm_key()
    assert engine(bench).state is EvseState.UNMATCHED


@pytest.mark.parametrize(
    "message",
    [
        m.SlacParmReq(RUN, application=1),
        m.SlacParmReq(RUN, security=1),
        m.AttenCharRsp(EV, RUN),
        m.SlacParmCnf(RUN, EV),
    ],
)
def test_what_begins_no_session(message: Message) -> None:
    bench = evse_bench()
    assert bench.give(EV, message) == []
    assert bench.reported(FrameIgnored)
    assert not bench.reported(MatchingStarted)


@pytest.mark.parametrize(
    "change",
    [
        {"length": 0x3F},
        {"vehicle_id": b"x" * 17},
        {"evse_id": b"x" * 17},
        {"vehicle": OTHER_EV},
        {"evse": OTHER_EVSE},
        {"run_id": OTHER_RUN},
        {"application": 1},
        {"security": 1},
    ],
    ids=str,
)
def test_a_match_request_with_a_wrong_field_is_ignored(change: dict[str, object]) -> None:
    bench = evse_bench()
    sound_out(bench)
    bench.give(EV, m.AttenCharRsp(EV, RUN), EVSE)
    good = m.SlacMatchReq(EV, EVSE, RUN)
    assert bench.give(EV, replace(good, **change), EVSE) == []  # type: ignore[arg-type]
    assert len(bench.give(EV, good, EVSE)) == 1


@pytest.mark.parametrize(
    "change", [{"result": 1}, {"vehicle": OTHER_EV}, {"source_id": b"x" * 17}, {"responder_id": b"x" * 17}], ids=str
)
def test_a_response_with_a_wrong_field_is_ignored(change: dict[str, object]) -> None:
    bench = evse_bench()
    sound_out(bench)
    bench.give(EV, replace(m.AttenCharRsp(EV, RUN), **change), EVSE)  # type: ignore[arg-type]
    assert bench.give(EV, m.SlacMatchReq(EV, EVSE, RUN), EVSE) == []


def test_the_report_is_repeated_twice() -> None:
    bench = evse_bench()
    sound_out(bench)
    bench.run(2.0)
    reports = [one for one in messages(bench.sent) if isinstance(one, m.AttenCharInd)]
    assert len(reports) == 1 + timers.MATCH_RETRIES
    assert bench.reported(SessionEnded) == [SessionEnded(EV, RUN, "no CM_ATTEN_CHAR.RSP")]
    assert bench.reported(MatchingFailed)
    assert engine(bench).state is EvseState.UNMATCHED


def test_lost_sounds_are_reported_after_600_ms() -> None:
    bench = evse_bench()
    sound_out(bench, profiles=7)
    assert not [one for one in messages(bench.sent) if isinstance(one, m.AttenCharInd)]
    bench.run(0.6)
    (report,) = [one for one in messages(bench.sent) if isinstance(one, m.AttenCharInd)][:1]
    assert report.sounds == 7


def test_a_vehicle_whose_sounds_the_modem_did_not_receive_is_not_answered() -> None:
    bench = evse_bench()
    sound_out(bench, profiles=0)
    bench.run(1.0)
    assert not [one for one in messages(bench.sent) if isinstance(one, m.AttenCharInd)]
    assert bench.reported(SessionEnded)


def test_a_bench_without_profiles_reports_one_db_and_never_zero() -> None:
    bench = evse_bench(EvseSettings(EVSE, behaviour=EVSE_PROFILES["pyplc"]))
    sound_out(bench, profiles=0)
    bench.run(1.0)
    assert m.AttenCharInd(EV, RUN, 10, b"\1" * 58) in messages(bench.sent)


def test_an_attenuation_of_zero_is_reported_as_one() -> None:
    bench = evse_bench()
    sound_out(bench, db=0)
    assert bench.sent[-1].message == m.AttenCharInd(EV, RUN, 10, b"\1" * 58)


def test_profiles_of_another_modem_do_not_count() -> None:
    bench = evse_bench()
    bench.give(EV, m.SlacParmReq(RUN))
    bench.give(EV, m.StartAttenCharInd(RUN, EV))
    for _ in range(20):
        bench.give(OTHER_MODEM, m.AttenProfileInd(EV, b"\1" * 58))
        bench.give(MODEM, AttenuationInd(EV, b"\1" * 58))
    bench.run(1.0)
    assert not [one for one in messages(bench.sent) if isinstance(one, m.AttenCharInd)]


def test_qualcomms_own_profiles_count_where_configured() -> None:
    bench = evse_bench(EvseSettings(EVSE, behaviour=EvseBehaviour(vendor_profiles=True)))
    bench.give(EV, m.SlacParmReq(RUN))
    bench.give(EV, m.StartAttenCharInd(RUN, EV))
    for _ in range(10):
        bench.give(MODEM, AttenuationInd(EV, bytes((9,)) * 58))
    bench.run(0.1)
    assert bench.sent[-1].message == m.AttenCharInd(EV, RUN, 10, bytes((9,)) * 58)


def test_a_correction_of_the_receive_path() -> None:
    bench = evse_bench(EvseSettings(EVSE, correction_db=-3))
    sound_out(bench, db=12)
    assert bench.sent[-1].message == m.AttenCharInd(EV, RUN, 10, bytes((9,)) * 58)


def test_several_sessions_and_one_key() -> None:
    bench = evse_bench()
    sound_out(bench)
    sound_out(bench, OTHER_EV, OTHER_RUN, db=50)
    for vehicle, run_id in ((EV, RUN), (OTHER_EV, OTHER_RUN)):
        bench.give(vehicle, m.AttenCharRsp(vehicle, run_id), EVSE)
    assert len(bench.give(EV, m.SlacMatchReq(EV, EVSE, RUN), EVSE)) == 1
    assert bench.give(OTHER_EV, m.SlacMatchReq(OTHER_EV, EVSE, OTHER_RUN), EVSE) == []
    assert bench.give(OTHER_EV, m.SlacParmReq(OTHER_RUN)) == []
    assert bench.reported(SessionEnded) == [SessionEnded(OTHER_EV, OTHER_RUN, "another vehicle was matched")]


def test_the_number_of_sessions_is_bounded() -> None:
    bench = evse_bench(EvseSettings(EVSE, max_sessions=3))
    answers = [bench.give(bytes((2, 0, 0, 0, 1, number)), m.SlacParmReq(RUN)) for number in range(10)]
    assert [len(one) for one in answers] == [1, 1, 1, 0, 0, 0, 0, 0, 0, 0]
    bench.run(1.0)
    assert engine(bench).sessions == {}
    assert len(bench.give(EV, m.SlacParmReq(RUN))) == 1


def test_a_repeated_request_restarts_the_session() -> None:
    bench = evse_bench()
    sound_out(bench)
    assert messages(bench.give(EV, m.SlacParmReq(RUN))) == [m.SlacParmCnf(RUN, EV)]
    sound_out(bench)
    assert bench.sent[-1].message == m.AttenCharInd(EV, RUN, 10, bytes((10,)) * 58)


def test_a_confirmation_is_repeated_and_its_key_is_the_same() -> None:
    bench = evse_bench()
    first = [one for one in messages(ask_to_match(bench)) if isinstance(one, m.SlacMatchCnf)]
    again = messages(bench.give(EV, m.SlacMatchReq(EV, EVSE, RUN), EVSE))
    assert again == first


def test_without_a_link_the_key_is_replaced() -> None:
    bench = evse_bench()
    ask_to_match(bench)
    bench.run(timers.MATCH_JOIN + 0.1, link=False)
    assert bench.reported(MatchingFailed) == [MatchingFailed("no link after CM_SLAC_MATCH.CNF")]
    assert len(set(bench.keys())) == 2
    bench.confirm_key()
    assert len(bench.give(OTHER_EV, m.SlacParmReq(OTHER_RUN))) == 1


@pytest.mark.parametrize("state", [PilotState.A, PilotState.E, PilotState.F])
def test_a_matched_vehicle_leaves_with_a_new_key(state: PilotState) -> None:
    bench = matched()
    engine(bench).command(PilotChanged(state), bench.now)
    bench.events += engine(bench).expire(bench.now)
    bench.run(0.01)
    assert bench.reported(NetworkLeft)
    assert engine(bench).state is EvseState.UNMATCHED
    bench.confirm_key()
    assert len(set(bench.keys())) == 2


def test_a_lost_link_counts_after_several_polls() -> None:
    bench = matched()
    bench.run(2 * timers.POLL_MATCHED, link=False)
    assert not bench.reported(LinkLost)
    bench.run(2 * timers.POLL_MATCHED, link=True)
    bench.run((timers.LOST_AFTER_POLLS + 2) * timers.POLL_MATCHED, link=False)
    assert bench.reported(LinkLost) == [LinkLost(EV)]
    assert len(set(bench.keys())) == 2


def test_a_pause_keeps_the_pair_matched_without_polls() -> None:
    bench = matched()
    engine(bench).command(Pause(), bench.now)
    assert bench.run(600.0) == []
    assert engine(bench).state is EvseState.MATCHED
    engine(bench).command(Resume(), bench.now)
    assert bench.run(5.0, link=True)
    assert engine(bench).state is EvseState.MATCHED


def test_without_a_request_the_evse_reports_it_and_waits_again() -> None:
    bench = evse_bench()
    bench.run(2 * timers.SLAC_INIT + 1)
    assert len(bench.reported(NoMatchingRequest)) == 2
    assert len(bench.give(EV, m.SlacParmReq(RUN))) == 1


def test_an_aborted_process_fails_where_configured() -> None:
    bench = evse_bench(EvseSettings(EVSE, behaviour=EVSE_PROFILES["strict"]))
    bench.give(EV, m.SlacParmReq(RUN))
    bench.run(1.0)
    assert engine(bench).state is EvseState.FAILED
    assert bench.give(EV, m.SlacParmReq(RUN)) == []
    engine(bench).command(PilotChanged(PilotState.A), bench.now)
    engine(bench).command(PilotChanged(PilotState.B), bench.now)
    assert len(bench.give(EV, m.SlacParmReq(RUN))) == 1


def test_a_time_out_field_that_compleo_requires() -> None:
    for name, answered in (("compleo", False), ("standard", True)):
        bench = evse_bench(EvseSettings(EVSE, behaviour=EVSE_PROFILES[name]))
        bench.give(EV, m.SlacParmReq(RUN))
        bench.give(EV, m.StartAttenCharInd(RUN, EV, time_out=10))
        bench.give(EV, m.MnbcSoundInd(RUN, 0, bytes(16)))
        bench.give(MODEM, m.AttenProfileInd(EV, b"\5" * 58))
        bench.run(0.7)
        assert any(isinstance(one, m.AttenCharInd) for one in messages(bench.sent)) is answered


def test_a_late_start_that_some_chargers_do_not_accept() -> None:
    for name, answered in (("supercharger", False), ("compleo", False), ("alpitronic", True), ("abb", True)):
        bench = evse_bench(EvseSettings(EVSE, behaviour=EVSE_PROFILES[name]))
        bench.give(EV, m.SlacParmReq(RUN))
        bench.run(0.3)
        bench.give(EV, m.StartAttenCharInd(RUN, EV))
        bench.give(EV, m.MnbcSoundInd(RUN, 0, bytes(16)))
        bench.give(MODEM, m.AttenProfileInd(EV, b"\5" * 58))
        bench.run(0.7)
        assert any(isinstance(one, m.AttenCharInd) for one in messages(bench.sent)) is answered, name


@pytest.mark.parametrize(("name", "after"), [("alpitronic", 0.02), ("standard", 0.045), ("compleo", 0.2), ("abb", 0.6)])
def test_chargers_report_at_their_own_time(name: str, after: float) -> None:
    bench = evse_bench(EvseSettings(EVSE, behaviour=EVSE_PROFILES[name]))
    bench.give(EV, m.SlacParmReq(RUN))
    bench.give(EV, m.StartAttenCharInd(RUN, EV))
    for _ in range(10):
        bench.run(0.02)
        bench.give(MODEM, m.AttenProfileInd(EV, b"\5" * 58))
    assert bench.run(after - 0.001) == []
    assert [type(one) for one in messages(bench.run(0.002))] == [m.AttenCharInd]


def validating(policy: Validation) -> Bench:
    bench = evse_bench(EvseSettings(EVSE, validation=policy))
    for vehicle, run_id in ((EV, RUN), (OTHER_EV, OTHER_RUN)):
        sound_out(bench, vehicle, run_id)
        bench.give(vehicle, m.AttenCharRsp(vehicle, run_id), EVSE)
    return bench


@pytest.mark.parametrize(
    ("policy", "result"),
    [
        (Validation.REFUSED, m.ValidationResult.FAILURE),
        (Validation.NOT_REQUIRED, m.ValidationResult.NOT_REQUIRED),
        (Validation.TOGGLES, m.ValidationResult.READY),
    ],
)
def test_answers_to_a_validation(policy: Validation, result: int) -> None:
    bench = validating(policy)
    assert messages(bench.give(EV, m.ValidateReq(0), EVSE)) == [m.ValidateCnf(0, result)]


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_a_validation_counts_toggles(count: int) -> None:
    bench = validating(Validation.TOGGLES)
    bench.give(EV, m.ValidateReq(0), EVSE)
    bench.give(EV, m.ValidateReq(24), EVSE)
    for _ in range(count):
        for state in (PilotState.C, PilotState.B):
            engine(bench).command(PilotChanged(state), bench.now)
            bench.run(0.3)
    sent = messages(bench.run(2.5))
    code = m.ValidationResult.SUCCESS if count else m.ValidationResult.FAILURE
    assert sent == [m.ValidateCnf(count, code)]


def test_after_a_validation_the_match_request_comes_at_once() -> None:
    for pause, matched_then in ((0.3, True), (0.5, False)):
        bench = validating(Validation.TOGGLES)
        bench.give(EV, m.ValidateReq(0), EVSE)
        bench.give(EV, m.ValidateReq(9), EVSE)
        for state in (PilotState.C, PilotState.B):
            engine(bench).command(PilotChanged(state), bench.now)
            bench.run(0.3)
        bench.run(0.4 + pause)
        assert bool(bench.give(EV, m.SlacMatchReq(EV, EVSE, RUN), EVSE)) is matched_then


def test_a_second_vehicle_is_not_ready_meanwhile() -> None:
    bench = validating(Validation.TOGGLES)
    bench.give(EV, m.ValidateReq(0), EVSE)
    not_ready = m.ValidateCnf(0, m.ValidationResult.NOT_READY)
    assert messages(bench.give(OTHER_EV, m.ValidateReq(0), EVSE)) == [not_ready]
    repeated = messages(bench.run(1.0))
    assert repeated == [m.ValidateCnf(0, m.ValidationResult.READY)] * timers.VALIDATION_REPEATS
    bench.run(1.0)
    ready = m.ValidateCnf(0, m.ValidationResult.READY)
    assert messages(bench.give(OTHER_EV, m.ValidateReq(0), EVSE)) == [ready]


@pytest.mark.parametrize(
    "message", [m.ValidateReq(5), m.ValidateReq(0, signal=1), m.ValidateReq(5, result=m.ValidationResult.FAILURE)]
)
def test_what_is_no_validation_stays_unanswered(message: m.ValidateReq) -> None:
    bench = validating(Validation.TOGGLES)
    assert bench.give(EV, message, EVSE) == []


def test_a_second_step_that_is_not_ready_ends_the_validation_silently() -> None:
    bench = validating(Validation.TOGGLES)
    bench.give(EV, m.ValidateReq(0), EVSE)
    assert bench.give(EV, m.ValidateReq(5, result=m.ValidationResult.NOT_READY), EVSE) == []
    assert bench.run(3.0) == []


def test_amplitude_maps() -> None:
    bench = matched()
    assert messages(bench.give(EV, m.AmpMapReq((1, 2)), EVSE)) == [m.AmpMapCnf()]
    assert bench.reported(AmplitudeMapReceived) == [AmplitudeMapReceived((1, 2))]
    assert bench.give(EV, m.AmpMapReq(()), EVSE) == []
    assert bench.give(OTHER_EV, m.AmpMapReq((1, 2)), EVSE) == []
    engine(bench).command(SendAmplitudeMap((3,) * 917), bench.now)
    bench.run(0.01)
    bench.give(EV, m.AmpMapCnf(), EVSE)
    engine(bench).command(SendAmplitudeMap((3,) * 917), bench.now)
    bench.run(2.0, link=True)
    assert bench.reported(AmplitudeMapAnswered) == [AmplitudeMapAnswered(True), AmplitudeMapAnswered(False)]
    assert sum(isinstance(one, m.AmpMapReq) for one in messages(bench.sent)) == 1 + 1 + timers.MATCH_RETRIES


def test_orders_that_do_not_fit_are_refused() -> None:
    bench = evse_bench()
    for order in (StartMatching(), Pause(), SendAmplitudeMap((1,))):
        with pytest.raises(LocalProtocolError):
            engine(bench).command(order, 0.0)
    with pytest.raises(LocalProtocolError):
        engine(matched()).command(SendAmplitudeMap((16,)), 9.0)


def test_a_modem_without_a_link_status_is_matched_at_once() -> None:
    bench = evse_bench(EvseSettings(EVSE, modem=ModemSettings(vendor=ModemVendor.NONE)))
    ask_to_match(bench)
    assert bench.reported(Matched)
    again = messages(bench.give(EV, m.SlacMatchReq(EV, EVSE, RUN), EVSE))
    assert [type(one) for one in again] == [m.SlacMatchCnf]


def test_frames_for_others_have_no_effect() -> None:
    bench = evse_bench()
    assert bench.give(EV, m.SlacParmReq(RUN), OTHER_EVSE) == []
    assert bench.give(EVSE, m.SlacParmReq(RUN)) == []
    assert bench.events[-1:] != bench.reported(MatchingStarted)
