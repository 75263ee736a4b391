"""Messages as some stations write them: long, nested, with integers as 1.0, with extra members and wrong types."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.csms.admin import Admin
from gateway.csms.csms import Csms
from gateway.csms.settings import CsmsSettings, StationSettings, UnknownTokens
from gateway.model.event import EvseDescribed, SessionEnded, SessionStarted
from protocols.ocpp import lenient, schema
from protocols.ocpp.rpc import Rpc
from protocols.ocpp.schema import Part, Version
from tests.gateway.csms.raw_station import Raw

pytestmark = pytest.mark.virtual_time


def a_station(version: Version = Version.V16, **settings: Any) -> Raw:
    raw = Raw(version)
    entry = StationSettings("CP1", max_charge_w=1e4, max_discharge_w=1e4)
    about = CsmsSettings(stations=(entry,), unknown_tokens=UnknownTokens.ACCEPT, inventory=False, **settings)
    raw.csms = Csms(about, raw.events.append, raw.clock)
    return raw


async def test_the_end_of_a_long_charge_is_accepted() -> None:
    async with a_station() as raw:
        await raw.boot()
        begin = {"connectorId": 1, "idTag": "A", "meterStart": 0, "timestamp": raw.time()}
        number = (await raw.ok("StartTransaction", begin))["transactionId"]
        samples = [{"measurand": m, "value": "12345.6", "unit": "W"} for m in ("Power.Active.Import", "Voltage")]
        data = [{"timestamp": raw.time(second - 86_400), "sampledValue": samples} for second in range(0, 86_400, 10)]
        end = {"transactionId": number, "meterStop": 9, "timestamp": raw.time(), "transactionData": data}
        assert 1_000_000 < len(json.dumps(end)) < 4_000_000
        assert await raw.ok("StopTransaction", end) == {}
        assert len(raw.of(SessionEnded)) == 1


async def test_limits_of_messages_are_settings() -> None:
    async with a_station(max_message=20_000, max_transaction_message=50_000) as raw:
        await raw.boot()
        for action, length, accepted in (("DataTransfer", 21_000, False), ("MeterValues", 40_000, True),
                                         ("MeterValues", 60_000, False)):  # fmt: skip
            value = {"timestamp": raw.time(), "sampledValue": [{"value": "1" * length}]}
            body: dict[str, Any] = {"connectorId": 1, "meterValue": [value]}
            body = {"vendorId": "x", "data": "x" * length} if action == "DataTransfer" else body
            assert ((await raw.call(action, body))[0] == 3) is accepted
        assert not raw.closed


@pytest.mark.parametrize("version", list(Version))
@pytest.mark.parametrize("depth", [100, 300, 3000, 50_000])
async def test_nesting_never_ends_the_connection(version: Version, depth: int) -> None:
    async with a_station(version) as raw:
        await raw.boot()
        deep = "[" * depth + "]" * depth
        for payload in (f'{{"vendorId":"x","data":{deep}}}', f'{{"customData":{{"vendorId":"x","y":{deep}}}}}', deep):
            for action in ("DataTransfer", "Heartbeat"):
                await raw.send(f'[2,"d","{action}",{payload}]')
        assert "currentTime" in await raw.ok("Heartbeat", {})
        assert not raw.closed


@pytest.mark.parametrize("start", ["1500.0", "15e2", "1.5E3", "150000e-2"])
async def test_an_integer_with_a_decimal_point_or_an_exponent_is_one(start: str) -> None:
    async with a_station() as raw:
        await raw.boot()
        for action, body in (
            ("StatusNotification", '{"connectorId":1.0,"errorCode":"NoError","status":"Preparing"}'),
            ("StartTransaction", f'{{"connectorId":1.0,"idTag":"A","meterStart":{start},"timestamp":"{raw.time()}"}}'),
        ):
            await raw.send(f'[2,"i-{action}","{action}",{body}]')
        await raw.ok("Heartbeat", {})
        assert [e.evse for e in raw.of(SessionStarted)] == ["CP1-1"]
        assert {e.evse for e in raw.of(EvseDescribed)} == {"CP1-1"}
        (transaction,) = raw.csms.context.transactions.of("CP1")
        assert transaction.meter_start_wh == 1500
        assert Admin(raw.csms).violations(None) == []


UNTIDY: list[tuple[Version, str, dict[str, Any]]] = [
    (Version.V16, "StatusNotification",
     {"connectorId": "1", "errorCode": "noerror", "status": "preparing", "extra": {"a": 1}, "info": None}),
    (Version.V16, "MeterValues", {"connectorId": 1, "meterValue": {
        "timestamp": "2026-01-01T00:00:00Z", "sampledValue": {"value": 12.5, "unit": "w", "firmware": "x"}}}),
    (Version.V21, "StatusNotification",
     {"timestamp": "2026-01-01T00:00:00Z", "connectorStatus": "OCCUPIED", "evseId": "1", "connectorId": 1, "x": 0}),
]  # fmt: skip


@pytest.mark.parametrize(("version", "action", "body"), UNTIDY)
@pytest.mark.parametrize("on", [True, False])
async def test_what_is_meant_is_accepted_where_the_station_is_known_to_be_untidy(
    version: Version, action: str, body: dict[str, Any], on: bool
) -> None:
    async with a_station(version, lenient=on) as raw:
        await raw.boot()
        answer = await raw.call(action, body)
        assert (answer[0] == 3) is on
        (violation,) = Admin(raw.csms).violations(None)
        assert violation["text"].startswith("repaired") is on


@given(st.sampled_from(list(Version)), st.data())
def test_a_valid_payload_needs_no_repair_and_nothing_is_invented(version: Version, data: st.DataObject) -> None:
    junk: Any = st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=10,
    )
    action = data.draw(st.sampled_from(sorted(schema.actions(version))))
    payload = data.draw(st.dictionaries(st.text(max_size=8), junk, max_size=4))
    repaired = lenient.repaired(version, action, Part.REQUEST, payload)
    assert repaired is None or schema.accepts(version, action, Part.REQUEST)(repaired)
    engine = Rpc(version)
    engine.lenient = True
    engine.receive(json.dumps([2, "x", action, payload]), 0.0)


@pytest.mark.virtual_time
@pytest.mark.parametrize("version", list(Version))
@pytest.mark.parametrize("lenient", [False, True])
async def test_deeply_nested_json_is_answered_with_an_error(
    version: Version, lenient: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async with Raw(version, lenient=lenient) as raw:
        await raw.boot()
        for depth in (200, *range(248, 260), 1000, 60_000):
            for opening, closing in (("[", "]"), ('{"a":', "}")):
                for action in ("DataTransfer", "StatusNotification", "MeterValues"):
                    mid = f"{depth}{action}{closing}"
                    answer = raw._answers[mid] = asyncio.get_running_loop().create_future()
                    raw._answers["-1"] = answer
                    content = opening * depth + "1" + closing * depth
                    await raw.send(f'[2,"{mid}","{action}",{{"data":{content},"extra":1}}]')
                    async with asyncio.timeout(60):
                        assert (await answer)[0] == 4
                    raw._answers.clear()
        assert (await raw.boot())["status"] == "Accepted"
    assert "Traceback" not in caplog.text
    assert max(len(one.text) for one in raw.csms.context.violations) <= 500
