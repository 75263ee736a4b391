"""The RPC engine: properties of two engines, and every kind of invalid message with the error code of its version."""

from __future__ import annotations

import json
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.errors import LocalProtocolError
from protocols.ocpp import rpc, schema
from protocols.ocpp.errors import InvalidPayload, QueueFull, UnknownAction
from protocols.ocpp.events import (
    AnswerIgnored,
    CallReceived,
    CallTimedOut,
    ErrorReceived,
    Event,
    ResultReceived,
    ResultRefused,
    SendReceived,
    Violated,
)
from protocols.ocpp.rpc import Rpc
from protocols.ocpp.schema import ErrorCode, Part, Version
from tests.rounds import rounds

BOOT: dict[Version, dict[str, Any]] = {
    Version.V16: {"chargePointVendor": "V", "chargePointModel": "M"},
    Version.V201: {"reason": "PowerUp", "chargingStation": {"model": "M", "vendorName": "V"}},
    Version.V21: {"reason": "PowerUp", "chargingStation": {"model": "M", "vendorName": "V"}},
}
BOOTED = {"currentTime": "2026-01-01T00:00:00Z", "interval": 300, "status": "Accepted"}
VERSIONS = list(Version)


def engine(version: Version, **kwargs: Any) -> Rpc:
    numbers = count(1)
    return Rpc(version, new_id=lambda: f"m{next(numbers)}", **kwargs)


def sent(end: Rpc) -> list[Any]:
    return [json.loads(text) for text in end.data_to_send()]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_call_is_answered(version: Version) -> None:
    station, csms = engine(version), engine(version)
    mid = station.call("BootNotification", BOOT[version], 0.0)
    (text,) = station.data_to_send()
    (call,) = csms.receive(text, 0.0)
    assert call == CallReceived(mid, "BootNotification", BOOT[version])
    assert isinstance(call, CallReceived)
    assert csms.answer(call, BOOTED) == []
    (text,) = csms.data_to_send()
    assert station.receive(text, 1.0) == [ResultReceived(mid, "BootNotification", BOOTED)]
    assert station.deadline() is None


@pytest.mark.parametrize("version", VERSIONS)
def test_one_call_at_a_time_and_the_rest_in_order(version: Version) -> None:
    station, csms = engine(version), engine(version)
    mids = [station.call("Heartbeat", {}, 0.0) for _ in range(5)]
    seen = []
    for _ in mids:
        (text,) = station.data_to_send()
        (call,) = csms.receive(text, 0.0)
        assert isinstance(call, CallReceived)
        seen.append(call.id)
        csms.answer(call, {"currentTime": "2026-01-01T00:00:00Z"})
        station.receive(csms.data_to_send()[0], 0.0)
    assert seen == mids
    assert station.data_to_send() == []


def test_the_queue_is_bounded_and_nothing_is_lost_silently() -> None:
    station = engine(Version.V21, waiting_calls=2)
    for _ in range(3):  # one on the wire, two behind it
        station.call("Heartbeat", {}, 0.0)
    with pytest.raises(QueueFull):
        station.call("Heartbeat", {}, 0.0)
    assert len(station.pending) == 3


def test_a_timeout_releases_the_connection_and_a_late_response_is_reported() -> None:
    station = engine(Version.V21, answer_within=10.0)
    first = station.call("Heartbeat", {}, 0.0)
    second = station.call("Heartbeat", {}, 1.0)
    assert station.deadline() == 10.0
    assert station.expire(9.999) == []
    assert station.expire(10.0) == [CallTimedOut(first, "Heartbeat")]
    assert station.deadline() == 20.0
    assert [message[1] for message in sent(station)] == [first, second]
    late = json.dumps([3, first, {"currentTime": "2026-01-01T00:00:00Z"}])
    (event,) = station.receive(late, 11.0)
    assert isinstance(event, AnswerIgnored)
    assert event.action == "Heartbeat"
    assert station.pending == (second,)


def test_a_response_without_a_call_has_no_effect() -> None:
    station = engine(Version.V21)
    mid = station.call("Heartbeat", {}, 0.0)
    (event,) = station.receive('[3,"nobody",{}]', 0.0)
    assert event == AnswerIgnored("nobody", None, {})
    assert station.pending == (mid,)


def test_an_error_without_id_belongs_to_the_pending_call() -> None:
    station = engine(Version.V21)
    mid = station.call("Heartbeat", {}, 0.0)
    (event,) = station.receive('[4,"-1","RpcFrameworkError","unreadable",{}]', 0.0)
    assert event == ErrorReceived(mid, "Heartbeat", "RpcFrameworkError", "unreadable", {})


def test_an_error_response_may_omit_fields() -> None:
    station = engine(Version.V16)
    mid = station.call("Heartbeat", {}, 0.0)
    (event,) = station.receive(json.dumps([4, mid, "GenericError"]), 0.0)
    assert event == ErrorReceived(mid, "Heartbeat", "GenericError", "", {})


def test_an_invalid_response_is_rejected_in_21_and_reported_in_all_versions() -> None:
    for version in VERSIONS:
        station = engine(version)
        mid = station.call("BootNotification", BOOT[version], 0.0)
        station.data_to_send()
        violated, result = station.receive(json.dumps([3, mid, {"status": "Maybe"}]), 0.0)
        assert isinstance(violated, Violated)
        assert isinstance(result, ResultReceived)
        assert result.violation is not None
        back = sent(station)
        assert [message[:2] for message in back] == ([[5, mid]] if version is Version.V21 else [])


def test_a_call_result_error_is_reported() -> None:
    csms = engine(Version.V21)
    assert csms.receive('[5,"x","TypeConstraintViolation","bad",{}]', 0.0) == [
        ResultRefused("x", "TypeConstraintViolation", "bad")
    ]


def test_a_send_message_is_accepted_without_response() -> None:
    csms = engine(Version.V21)
    payload = {
        "id": 1,
        "pending": 0,
        "data": [{"t": 0, "v": "1"}],
        "basetime": "2026-01-01T00:00:00Z",
    }
    station = engine(Version.V21)
    station.send("NotifyPeriodicEventStream", payload)
    (text,) = station.data_to_send()
    (event,) = csms.receive(text, 0.0)
    assert isinstance(event, SendReceived)
    for bad in ('[6,"x","NotifyPeriodicEventStream",{}]', '[6,"x","Heartbeat",{}]', '[6,"x"]', '[6,"x",7,{}]'):
        (event,) = csms.receive(bad, 0.0)
        assert isinstance(event, Violated)
    assert csms.data_to_send() == []


def test_an_outgoing_call_that_violates_its_schema_is_not_sent() -> None:
    csms = engine(Version.V21)
    with pytest.raises(InvalidPayload, match="operationalStatus"):
        csms.call("ChangeAvailability", {}, 0.0)
    with pytest.raises(UnknownAction):
        csms.call("RemoteStartTransaction", {"idTag": "x"}, 0.0)
    with pytest.raises(InvalidPayload):
        csms.call("ChangeAvailability", {"operationalStatus": "Operative", "evse": {"id": float("nan")}}, 0.0)
    assert csms.data_to_send() == []
    assert csms.pending == ()


def test_an_outgoing_response_that_violates_its_schema_becomes_an_internal_error() -> None:
    csms = engine(Version.V201)
    (call,) = csms.receive(json.dumps([2, "a", "BootNotification", BOOT[Version.V201]]), 0.0)
    assert isinstance(call, CallReceived)
    (event,) = csms.answer(call, {"status": "Accepted"})
    assert isinstance(event, Violated)
    assert event.ours
    assert sent(csms)[0][2] == ErrorCode.INTERNAL_ERROR


def test_a_call_is_answered_once() -> None:
    csms = engine(Version.V201)
    (call,) = csms.receive('[2,"a","Heartbeat",{}]', 0.0)
    assert isinstance(call, CallReceived)
    csms.answer(call, {"currentTime": "2026-01-01T00:00:00Z"})
    with pytest.raises(LocalProtocolError):
        csms.answer(call, {"currentTime": "2026-01-01T00:00:00Z"})


def test_the_same_call_again_while_it_is_handled_gets_one_answer() -> None:
    csms = engine(Version.V21)
    (call,) = csms.receive('[2,"a","Heartbeat",{}]', 0.0)
    (event,) = csms.receive('[2,"a","Heartbeat",{}]', 0.0)
    assert isinstance(event, Violated)
    assert csms.data_to_send() == []
    (event,) = csms.receive('[2,"a","ClearedChargingLimit",{"chargingLimitSource":"EMS"}]', 0.0)
    assert sent(csms)[0][:3] == [4, "a", "RpcFrameworkError"]
    assert isinstance(call, CallReceived)
    csms.answer(call, {"currentTime": "2026-01-01T00:00:00Z"})
    assert sent(csms)[0][:2] == [3, "a"]


def test_unanswered_calls_are_bounded() -> None:
    csms = engine(Version.V21)
    for n in range(rpc.OPEN_CALLS):
        csms.receive(json.dumps([2, f"a{n}", "Heartbeat", {}]), 0.0)
    csms.receive('[2,"more","Heartbeat",{}]', 0.0)
    assert sent(csms) == [[4, "more", "InternalError", f"{rpc.OPEN_CALLS} calls are pending already", {}]]


def test_cancelling_a_call_sends_the_next_one() -> None:
    csms = engine(Version.V21)
    first, second, third = (csms.call("GetLocalListVersion", {}, 0.0) for _ in range(3))
    csms.data_to_send()
    csms.cancel(second, 0.0)
    csms.cancel(first, 0.0)
    assert [message[1] for message in sent(csms)] == [third]


# message, code in 1.6, code in 2.x, the id in the answer; None: no answer
BAD: list[tuple[str, str, str | None, str | None, str | None]] = [
    ("not JSON", "{", "GenericError", "RpcFrameworkError", "-1"),
    ("cut short", '[2,"a","Heartbeat",{}', "GenericError", "RpcFrameworkError", "-1"),
    ("no array", '{"a":1}', "GenericError", "RpcFrameworkError", "-1"),
    ("empty array", "[]", "GenericError", "RpcFrameworkError", "-1"),
    ("deeply nested", "[" * 100_000, "GenericError", "RpcFrameworkError", "-1"),
    ("lone surrogate", '[2,"\\ud800","Heartbeat",{}]', "GenericError", "RpcFrameworkError", "-1"),
    ("an id that is no text", '[2,7,"Heartbeat",{}]', "GenericError", "RpcFrameworkError", "-1"),
    ("an id too long", f'[2,"{"a" * 37}","Heartbeat",{{}}]', "GenericError", "RpcFrameworkError", "-1"),
    ("no payload", '[2,"a","Heartbeat"]', "ProtocolError", "RpcFrameworkError", "a"),
    ("an action that is no text", '[2,"a",5,{}]', "ProtocolError", "RpcFrameworkError", "a"),
    ("unknown action", '[2,"a","Nonsense",{}]', "NotImplemented", "NotImplemented", "a"),
    ("not this end's action", '[2,"a","ClearCache",{}]', "NotSupported", "NotSupported", "a"),
    ("payload no object", '[2,"a","Heartbeat",[]]', "FormationViolation", "FormatViolation", "a"),
    ("payload null", '[2,"a","Heartbeat",null]', "FormationViolation", "FormatViolation", "a"),
    ("unknown member", '[2,"a","Heartbeat",{"x":1}]', "FormationViolation", "FormatViolation", "a"),
    (
        "member missing",
        '[2,"a","DataTransfer",{}]',
        "OccurenceConstraintViolation",
        "OccurrenceConstraintViolation",
        "a",
    ),
    ("wrong type", '[2,"a","DataTransfer",{"vendorId":5}]', "TypeConstraintViolation", "TypeConstraintViolation", "a"),
    (
        "too long",
        f'[2,"a","DataTransfer",{{"vendorId":"{"v" * 256}"}}]',
        "PropertyConstraintViolation",
        "PropertyConstraintViolation",
        "a",
    ),
    (
        "repeated member",
        '[2,"a","DataTransfer",{"vendorId":"a","data":"\\": 1","vendorId" :"b"}]',
        "FormationViolation",
        "FormatViolation",
        "a",
    ),
    ("unknown message type", '[9,"a",{}]', None, "MessageTypeNotSupported", "a"),
    ("a result with a bad id", "[3,5,{}]", None, None, None),
]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("case", BAD, ids=[case[0] for case in BAD])
def test_each_bad_message_has_its_code(
    version: Version, case: tuple[str, str, str | None, str | None, str | None]
) -> None:
    _, text, early, late, mid = case
    code = early if version is Version.V16 else late
    csms = engine(version, handles=frozenset({"Heartbeat", "DataTransfer"}))
    events = csms.receive(text, 0.0)
    assert any(isinstance(event, Violated) for event in events)
    answers = sent(csms)
    if code is None:
        assert answers == []
    else:
        ((kind, answered, got, description, details),) = answers
        assert (kind, answered, got, details) == (4, mid, code, {})
        assert isinstance(description, str)
        assert len(description) <= 255


@pytest.mark.parametrize("version", VERSIONS)
def test_a_too_large_message_is_rejected_with_its_id(version: Version) -> None:
    csms = engine(version, message_length=1000)
    csms.receive('[2, "big1", "DataTransfer", {"vendorId": "' + "x" * 1000 + '"}]', 0.0)
    ((kind, mid, code, _, _),) = sent(csms)
    assert (kind, mid) == (4, "big1")
    assert code in ("FormationViolation", "FormatViolation")
    csms.receive('[3, "big1", {"data": "' + "x" * 1000 + '"}]', 0.0)
    assert sent(csms) == []


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=rounds(100, 300), deadline=None)
@given(
    version=st.sampled_from(VERSIONS),
    texts=st.lists(
        st.text(max_size=40)
        | json_values.map(json.dumps)
        | st.tuples(
            st.integers(0, 8),
            st.sampled_from(["m1", "m2", "-1"]) | st.text(max_size=40),
            st.sampled_from(["Heartbeat", "TransactionEvent", "StopTransaction", "NotifyPeriodicEventStream"])
            | json_values,
            json_values,
        ).map(lambda parts: json.dumps(list(parts))),
        max_size=5,
    ),
)
def test_no_text_raises_an_exception_in_the_engine(version: Version, texts: list[str]) -> None:
    end = engine(version)
    end.call("DataTransfer", {"vendorId": "v"}, 0.0)
    for text in texts:
        for event in end.receive(text, 0.0):
            if isinstance(event, CallReceived):
                end.refuse(event, ErrorCode.NOT_SUPPORTED)
    for message in end.data_to_send():
        assert isinstance(json.loads(message), list)


@settings(max_examples=rounds(30, 100), deadline=None)
@given(
    version=st.sampled_from(VERSIONS),
    data=st.data(),
)
def test_in_any_sequence_one_call_is_pending_and_every_call_ends_once(version: Version, data: st.DataObject) -> None:
    """Calls, answers, errors and time in any order: each call gets exactly one end, in the order they were made."""
    end = engine(version, answer_within=5.0)
    now, made, ended = 0.0, [], []
    on_wire: list[str] = []
    for _ in range(data.draw(st.integers(0, 25))):
        step = data.draw(st.sampled_from(["call", "answer", "error", "time", "noise"]))
        events: list[Event] = []
        if step == "call":
            made.append(end.call("Heartbeat", {}, now))
        elif step == "time":
            now += data.draw(st.floats(0.0, 6.0))
            events = end.expire(now)
        elif step == "noise":
            events = end.receive('[3,"unknown",{}]', now)
        elif on_wire:
            body = (
                [3, on_wire[-1], {"currentTime": "2026-01-01T00:00:00Z"}]
                if step == "answer"
                else [4, on_wire[-1], "X", "", {}]
            )
            events = end.receive(json.dumps(body), now)
        ended += [e.id for e in events if isinstance(e, ResultReceived | ErrorReceived | CallTimedOut)]
        on_wire += [message[1] for message in sent(end)]
        assert on_wire == made[: len(on_wire)]
        assert len(on_wire) - len(ended) in (0, 1)
    assert ended == made[: len(ended)]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_schema_compiles_and_names_come_through_untouched(version: Version) -> None:
    names = schema.actions(version)
    assert len(names) == {Version.V16: 39, Version.V201: 64, Version.V21: 90}[version]
    for action in names:
        for part in (Part.REQUEST, Part.RESPONSE):
            schema.accepts(version, action, part)({})
    for action in schema.unanswered(version):
        schema.accepts(version, action, Part.SEND)({})


def test_names_that_other_libraries_lose_are_kept() -> None:
    payload = {
        "chargingProfileId": 1,
        "scheduleUpdate": {"setpoint": -1.0, "setpoint_L2": -2.0, "limit_L3": 3.0, "dischargeLimit_L2": -4.0},
        "customData": {"vendorId": "v", "anything": [1, {"x": None}]},
    }
    csms = engine(Version.V21)
    csms.call("UpdateDynamicSchedule", payload, 0.0)
    (message,) = sent(csms)
    assert message[3] == payload
    assert list(message[3]) == list(payload)


def test_dates_are_checked_but_16_takes_what_iso_8601_allows() -> None:
    status = {"connectorId": 1, "errorCode": "NoError", "status": "Available"}
    for stamp, early in (("2026-01-01T00:00:00Z", True), ("2026-01-01T00:00:00", True), ("yesterday", False)):
        found = schema.violation(Version.V16, "StatusNotification", Part.REQUEST, status | {"timestamp": stamp})
        assert (found is None) is early
    late = {"timestamp": "yesterday", "connectorStatus": "Available", "evseId": 1, "connectorId": 1}
    for version in (Version.V201, Version.V21):
        found = schema.violation(version, "StatusNotification", Part.REQUEST, late)
        assert found is not None
        assert found.where == "/timestamp"
        assert found.code is ErrorCode.PROPERTY_CONSTRAINT_VIOLATION


@given(st.integers(-100_000, 1_000_000))
def test_a_limit_of_one_decimal_is_valid_in_16(tenths: int) -> None:
    profile = {
        "chargingProfileId": 1,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Relative",
        "chargingSchedule": {
            "chargingRateUnit": "W",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": tenths / 10}],
        },
    }
    assert (
        schema.violation(
            Version.V16, "SetChargingProfile", Part.REQUEST, {"connectorId": 1, "csChargingProfiles": profile}
        )
        is None
    )
