"""Injection into the messages of one side: what each word does, and errors in files of injections."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from emulators.faults.injected_wire import InjectedWire
from emulators.faults.injection_file import InjectionError, check, json_schema, load
from emulators.faults.message_injection import Injection, Rule
from emulators.runtime.clock import RealClock
from protocols.iso15118.dialogue import Dialogue, Seen
from protocols.iso15118.measurements import number
from protocols.ports import Wire
from protocols.v2gtp import PayloadType, frame
from tests.emulators.session_programs import one_session
from tests.protocols.exi.vectors import vectors
from tests.rounds import some


def message(name: str, part: str) -> bytes:
    """The frame of a message of the vectors."""
    kinds = {"iso20_dc": PayloadType.ISO20_DC, "iso20_common": PayloadType.ISO20_COMMON}
    found = next(bytes.fromhex(v["exi"]) for v in vectors(name) if part in json_keys(v["json"]))
    return frame(kinds.get(name, PayloadType.SUPPORTED_APP_PROTOCOL), found)


def json_keys(plain: dict[str, Any]) -> set[str]:
    ((name, inner),) = plain.items()
    return {name} | set(inner.get("Body") or {})


def read(data: bytes) -> list[Seen]:
    return Dialogue(tolerant=True).feed("secc", data, 0.0)


def injected(data: bytes, **words: Any) -> list[Seen]:
    return read(b"".join(one.data for one in Injection([Rule(**words)]).apply(data)))


@pytest.mark.parametrize(
    ("vector", "name"),
    [("iso20_dc", "DC_PreChargeRes"), ("iso2", "PreChargeRes"), ("din", "PreChargeRes")],
)
def test_values_codes_and_session_ids_in_all_generations(vector: str, name: str) -> None:
    whole = message(vector, name)
    words = {"set": {"EVSEPresentVoltage": 612.5}, "response_code": "FAILED", "session_id": "00000000000000AB"}
    (seen,) = injected(whole, message=name, **words)
    assert number(seen.body["EVSEPresentVoltage"]) == 612.5
    assert seen.body["ResponseCode"] == "FAILED"
    assert seen.session_id == "00000000000000AB"
    (seen,) = injected(whole, message=name, set={"EVSEPresentVoltage": 5.5e7})
    assert seen.name == name


@pytest.mark.parametrize("vector", ["iso2", "din"])
@pytest.mark.parametrize("session_id", ["", "00", "000000000000"])
def test_the_session_ids_of_cars_in_the_field(vector: str, session_id: str) -> None:
    """Subaru Solterra: empty; most: one byte; Seres 3: six."""
    part = check({"inject": [{"message": "SessionSetupReq", "session_id": session_id}]}, "x").inject[0]
    delivered = Injection([part.rule()]).apply(message(vector, "SessionSetupReq"))
    (seen,) = read(b"".join(one.data for one in delivered))
    assert seen.session_id == session_id


def test_occurrence_and_count() -> None:
    whole = message("iso20_dc", "DC_PreChargeRes")
    injection = Injection([Rule(message="DC_PreChargeRes", occurrence=2, count=2, drop=True)])
    assert [len(injection.apply(whole)) for _ in range(5)] == [1, 0, 0, 1, 1]
    assert [one.occurrence for one in injection.applied] == [2, 3]
    assert Injection([Rule(message="DC_CableCheckRes", drop=True)]).apply(whole)[0].data == whole


def test_bytes_and_segments() -> None:
    whole = message("iso20_dc", "DC_PreChargeRes")
    name = "DC_PreChargeRes"
    assert "0x8001" in f"{injected(whole, message=name, payload_type=0x8001)[0].payload_type:#06x}"
    assert injected(whole, message=name, truncate=5)[0].error
    assert injected(whole, message=name, random=40)[0].payload != whole[8:]
    assert "spare" in injected(whole, message=name, spare="00ff")[0].findings[0]
    assert "V2GTP version 0x02" in injected(whole, message=name, version=2)[0].error
    assert len(injected(whole, message=name, duplicate=2)) == 3
    pieces = Injection([Rule(message=name, split=7)]).apply(whole)
    assert b"".join(one.data for one in pieces) == whole
    assert {len(one.data) for one in pieces[:-1]} == {7}
    glue = Injection([Rule(message=name, occurrence=1, glue=True)])
    assert glue.apply(whole) == []
    assert glue.apply(whole)[0].data == whole * 2
    assert [one.close for one in Injection([Rule(message=name, close="after")]).apply(whole)] == [False, True]
    assert Injection([Rule(message=name, close="before", delay_s=2)]).apply(whole)[0].delay_s == 2


def test_a_message_that_cannot_be_changed_is_sent_and_reported() -> None:
    whole = message("iso20_dc", "DC_PreChargeRes")
    injection = Injection([Rule(message="DC_PreChargeRes", omit=("ResponseCode",))])
    assert injection.apply(whole)[0].data == whole
    assert "sent unchanged" in injection.applied[0].error
    assert "is missing" in injection.applied[0].error


def test_bytes_in_any_segmentation_and_other_streams_pass() -> None:
    whole = message("iso20_dc", "DC_PreChargeRes")
    injection = Injection([Rule(message="*", occurrence=99, drop=True)])
    assert b"".join(d.data for byte in whole for d in injection.apply(bytes([byte]))) == whole
    assert injection.apply(b"\x01\xfe\x80\x01\xff\xff\xff\xff")[0].data


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ('[[inject]]\nmessage = "DC_PrechargeRes"\ndrop = true', "x.toml:2: inject.0.message: unknown message"),
        ('[[inject]]\nmessage = "DC_PrechargeRes"', "did you mean DC_PreChargeRes?"),
        (
            '[[inject]]\nmessage = "*"\ndealy_s = 2',
            "x.toml:3: inject.0.dealy_s: unknown key dealy_s; did you mean delay",
        ),
        ('[[inject]]\nmessage = "SessionSetupRes"\nresponse_code = "FAILD"', "did you mean FAILED?"),
        ('[[inject]]\nmessage = "PreChargeRes"\nset = {EVSEVoltage = 1}', "did you mean EVSEPresentVoltage?"),
        ("[[inject]]\nmessage = 1\n[", "not TOML"),
        ("seed = 1", "inject: Field required"),
    ],
)
def test_an_error_names_the_line_and_what_was_meant(text: str, error: str, tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text(text)
    with pytest.raises(InjectionError) as raised:
        load(tmp_path / "x.toml")
    assert error in str(raised.value)


def test_a_file_becomes_rules_and_has_a_schema(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text(
        '[[inject]]\nmessage = "PreChargeRes"\nset = {EVSEPresentVoltage = 1}\nclose = "after"\n'
    )
    assert load(tmp_path / "x.toml").inject[0].rule() == Rule(
        message="PreChargeRes", set={"EVSEPresentVoltage": 1}, close="after"
    )
    assert check({"inject": [{"message": "*", "omit": ["a"]}]}, "x").inject[0].rule().omit == ("a",)
    schema: Any = json_schema()
    assert schema["$defs"]["InjectPart"]["properties"]["delay_s"]["description"]


SESSIONS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "iso20": ({}, {}),
    "iso2": ({"protocols": "iso2", "service": "dc"}, {"power_w": 3000.0}),
    "iso2-ac": ({"protocols": "iso2", "service": "ac"}, {"power_w": 3000.0, "services": "ac"}),
    "din": ({"protocols": "din", "service": "dc"}, {"power_w": 3000.0}),
}
LOOPS = {"iso20": "DC_ChargeLoop", "iso2": "CurrentDemand", "iso2-ac": "ChargingStatus", "din": "CurrentDemand"}


ENDING: list[dict[str, Any]] = [{"session_id": "00000000000000AB"}, {"truncate": 3}, {"close": "before"}]


@pytest.mark.parametrize(
    ("words", "generation", "role"),
    some(
        [(words, generation, role) for words in ENDING for generation in SESSIONS for role in ("ev", "secc")], every=5
    ),
)
async def test_injections_of_both_roles_end_the_session_in_all_generations(
    words: dict[str, Any], generation: str, role: str
) -> None:
    message = f"{LOOPS[generation]}{'Req' if role == 'ev' else 'Res'}"
    injection = Injection([Rule(message=message, occurrence=2, **words)])

    def wrap(wire: Wire) -> Wire:
        return InjectedWire(wire, RealClock(), injection)

    ev, secc = SESSIONS[generation]
    wraps: dict[str, Any] = {f"{role}_wrap": wrap}
    done = await one_session(ev, secc, **wraps)
    assert done.ev_status == 1, done.ev_text[-1000:]
    assert injection.applied[0].message == message
    assert not injection.applied[0].error
    ended = next(one for one in done.secc if one["event"] == "SessionEnded")
    assert not ended["ok"], ended


@pytest.mark.parametrize("generation", SESSIONS)
async def test_a_response_code_ends_the_session_and_segments_do_not(generation: str) -> None:
    ev, secc = SESSIONS[generation]
    message = f"{LOOPS[generation]}Res"
    rules = [
        Rule(message=message, occurrence=1, split=3, split_every_s=0.001),
        Rule(message=message, occurrence=2, delay_s=0.02, spare="00"),
        Rule(message=message, occurrence=3, response_code="FAILED_SequenceError"),
    ]
    injection = Injection(rules)
    done = await one_session(
        {**ev, "loops": 10}, secc, secc_wrap=lambda wire: InjectedWire(wire, RealClock(), injection)
    )
    assert done.ev_status == 1
    assert "FAILED_SequenceError" in done.ev[-1]["reason"]
    assert [one.occurrence for one in injection.applied] == [1, 2, 3]
    assert done.ev[-1]["loops"] == 2
