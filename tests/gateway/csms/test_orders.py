"""Set-points at stations that fail: what is asked of them is bounded, and what they are told is valid."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from emulators.clock import run_virtual
from gateway.csms.charging_profile import HELD_WITHIN_S
from protocols.ocpp.schema import Version
from tests.gateway.csms.raw import Raw

Said = list[tuple[str, dict[str, Any]]]


@asynccontextmanager
async def in_session(raw: Raw, *silent: str) -> AsyncIterator[Said]:
    """A station with a session that takes every profile, and does not answer the actions in `silent`."""
    said: Said = []

    async def answer() -> None:
        while True:
            await asyncio.sleep(0.05)
            for message in raw.asked:
                said.append((message[2], message[3]))
                if message[2] not in silent:
                    taken = message[2] in ("SetChargingProfile", "UpdateDynamicSchedule", "ChangeConfiguration")
                    refusal = [4, message[1], "NotSupported", "", {}]
                    reply = [3, message[1], {"status": "Accepted"}] if taken else refusal
                    await raw.say(json.dumps(reply))
            raw.asked.clear()

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
            yield said
        finally:
            answering.cancel()
            await asyncio.gather(answering, return_exceptions=True)


def test_a_station_that_does_not_tell_its_schedule_is_asked_for_a_short_while() -> None:
    async def scene() -> None:
        raw = Raw()
        async with in_session(raw, "GetCompositeSchedule") as said:
            began = raw.clock.now()
            assert await raw.csms.reconcile("CP1-1") is None
            assert HELD_WITHIN_S <= raw.clock.now() - began < HELD_WITHIN_S + 1
            assert said[-1][0] == "GetCompositeSchedule"

    run_virtual(scene())
