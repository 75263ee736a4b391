"""Set-points at stations that fail: bounded waiting times, and valid messages only."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.csms import setpoint
from gateway.csms.composite_schedule import READ_TIMEOUT_S
from gateway.model.station import Answer
from protocols.ocpp import vendor
from protocols.ocpp.events import Refused, TimedOut
from protocols.ocpp.schema import Version
from protocols.ocpp.vendor import Channel, Setpoint, VendorProfile
from tests.gateway.csms.raw_station import Raw

pytestmark = pytest.mark.virtual_time

Calls = list[tuple[str, dict[str, Any]]]


@asynccontextmanager
async def in_session(raw: Raw, *silent: str) -> AsyncIterator[Calls]:
    """Run a station with a session that accepts every profile, and does not respond to the actions in `silent`."""
    calls: Calls = []

    async def answer() -> None:
        while True:
            await raw.called(0.05)
            for message in raw.csms_calls:
                calls.append((message[2], message[3]))
                if message[2] not in silent:
                    taken = message[2] in ("SetChargingProfile", "UpdateDynamicSchedule", "ChangeConfiguration")
                    refusal = [4, message[1], "NotSupported", "", {}]
                    reply = [3, message[1], {"status": "Accepted"}] if taken else refusal
                    await raw.send(json.dumps(reply))
            raw.csms_calls.clear()

    async with raw:
        answering = asyncio.create_task(answer())
        await raw.boot()
        if raw.version is Version.V16:
            start = {"connectorId": 1, "idTag": "A", "meterStart": 0, "timestamp": raw.time()}
            await raw.ok("StartTransaction", start)
        else:
            await raw.event("Started", 0)
        await asyncio.sleep(5)
        try:
            yield calls
        finally:
            answering.cancel()
            await asyncio.gather(answering, return_exceptions=True)


async def test_reading_the_composite_schedule_has_a_short_time_out() -> None:
    raw = Raw()
    async with in_session(raw, "GetCompositeSchedule") as calls:
        began = raw.clock.now()
        assert await raw.csms.reconcile("CP1-1") is None
        assert READ_TIMEOUT_S <= raw.clock.now() - began < READ_TIMEOUT_S + 1
        assert calls[-1][0] == "GetCompositeSchedule"


async def test_an_invalid_message_is_an_outcome_and_not_an_exception() -> None:
    raw = Raw(Version.V16)
    async with in_session(raw) as calls:
        station = raw.csms.stations["CP1"]
        # past the check of a profile that is read
        table = Setpoint.model_construct(channel=Channel.LIMIT, decimals=2)
        station.vendor = VendorProfile(name="fine", ocpp=("1.6",)).model_copy(update={"setpoint": table})
        calls.clear()
        outcome = await setpoint.apply(station, station.evses[1], 4000.37, 15.0)
        assert (outcome.answer, outcome.code) == (Answer.REFUSED, "InvalidOrder")
        assert "limit" in outcome.text
        assert all(body["csChargingProfiles"]["stackLevel"] == 0 for _, body in calls)


async def test_a_call_beyond_the_queue_limit_times_out() -> None:
    raw = Raw()
    async with in_session(raw, "ClearCache") as _:
        station = raw.csms.stations["CP1"]
        waiting = [asyncio.create_task(station.call("ClearCache", {})) for _ in range(2000)]
        await asyncio.sleep(1)
        assert isinstance(await station.call("ClearCache", {}), TimedOut)
        assert isinstance(await station.call("ClearCache", {"no": "such"}), Refused)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


@pytest.mark.parametrize(("setting", "message"), [("decimals = 2", "decimals"), ('unit = "kW"', "kW")])
def test_a_vendor_profile_outside_the_schema_is_rejected_when_read(tmp_path: Path, setting: str, message: str) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(f'name = "mine"\nocpp = ["1.6"]\n[setpoint]\nchannel = "limit"\n{setting}\n')
    with pytest.raises(vendor.BadProfile, match=message):
        vendor.read(file)
