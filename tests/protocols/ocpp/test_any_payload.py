"""Any valid payload, to both ends, in every version: a valid response, never an InternalError or none."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulators.charger.station.build import build, car_power_path
from emulators.charger.station.config import StationConfig
from emulators.charger.station.csms_link.network_profiles import NetworkProfile
from emulators.runtime.clock import VirtualClock
from gateway.csms.admin import Admin
from gateway.csms.csms import HANDLERS
from protocols.ocpp import schema
from protocols.ocpp.schema import Part, Version
from protocols.ports import TextWire
from tests.emulators.charger.station_rig import Rig
from tests.gateway.csms.raw_station import Raw
from tests.protocols.ocpp.payloads import payloads
from tests.rounds import rounds, some
from tests.virtual_time import virtual_examples


async def nowhere(_: NetworkProfile) -> TextWire:
    raise ConnectionError


def requests_to_station(version: Version) -> list[str]:
    station = build(StationConfig(version=version), [car_power_path()], VirtualClock(), nowhere)
    return sorted(station.ocpp.handlers)


TO_CSMS = [
    (version, action)
    for version in Version
    for action in sorted(HANDLERS[version])
    if action in schema.actions(version)
]
TO_STATION = [(version, action) for version in Version for action in requests_to_station(version)]


@pytest.mark.parametrize("version", list(Version))
@settings(max_examples=rounds(15, 40))
@given(data=st.data())
def test_generated_messages_are_valid(version: Version, data: st.DataObject) -> None:
    action = data.draw(st.sampled_from(sorted(schema.actions(version))))
    part = data.draw(st.sampled_from([Part.REQUEST, Part.RESPONSE]))
    assert schema.violation(version, action, part, data.draw(payloads(version, action, part))) is None


@pytest.mark.parametrize(("version", "action"), some(TO_CSMS, 3), ids=lambda value: str(value))
@settings(max_examples=rounds(3, 6), suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
@virtual_examples
async def test_the_csms_answers_any_payload(version: Version, action: str, data: st.DataObject) -> None:
    drawn = [data.draw(payloads(version, action)) for _ in range(3)]
    async with Raw(version) as raw:
        await raw.boot()
        for payload in drawn:
            answer = await raw.call(action, payload)
            if answer[0] == 4:  # an EVSE that no station has: the one thing a schema lets through and we do not
                assert answer[2] == "PropertyConstraintViolation", (payload, answer)
                assert answer[3].startswith("EVSE "), (payload, answer)
                continue
            assert answer[0] == 3, (payload, answer)
            assert schema.violation(version, action, Part.RESPONSE, answer[2]) is None
        await asyncio.sleep(1)
        await raw.boot()
        assert (await raw.call("Heartbeat", {}))[0] == 3
        assert not [b for b in raw.csms.context.violations if b.ours]


@settings(max_examples=25)
@given(data=st.data())
@virtual_examples
async def test_the_csms_accepts_any_stream_without_response(data: st.DataObject) -> None:
    drawn = [data.draw(payloads(Version.V21, "NotifyPeriodicEventStream", Part.SEND)) for _ in range(3)]
    async with Raw() as raw:
        await raw.boot()
        for payload in drawn:
            about = {"id": payload["id"], "variableMonitoringId": 1, "params": {"interval": 1}}
            await raw.ok("OpenPeriodicEventStream", {"constantStreamData": about})
            await raw.send(json.dumps([6, "s", "NotifyPeriodicEventStream", payload]))
        assert (await raw.call("Heartbeat", {}))[0] == 3
        received = Admin(raw.csms).messages("CP1", "NotifyPeriodicEventStream", 10)
        assert [row["payload"] for row in reversed(received)] == drawn


@pytest.mark.parametrize(("version", "action"), some(TO_STATION, 4), ids=lambda value: str(value))
@settings(max_examples=rounds(2, 5), suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
@virtual_examples
async def test_the_station_answers_any_payload(version: Version, action: str, data: st.DataObject) -> None:
    drawn = [data.draw(payloads(version, action)) for _ in range(3)]
    async with Rig(version) as rig:
        await rig.charging()
        for payload in drawn:
            reply: Any = await rig.known.call(action, payload)
            assert getattr(reply, "violation", reply) is None, (payload, reply)
            await rig.sleep(3)
            await rig.until(lambda: rig.known.connected and rig.station.online)
        errors = [e for e in rig.errors() if e[2] == "InternalError"]
        assert errors == [], json.dumps(errors)
