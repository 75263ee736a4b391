"""A transaction at a station whose responses the test defines."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from gateway.csms.csms import Csms
from gateway.csms.settings import CsmsSettings, StationSettings, UnknownTokens
from gateway.model.station import Answer
from protocols.ocpp.schema import Version
from tests.gateway.csms.raw_station import Raw

DC: dict[str, Any] = {
    "requestedEnergyTransfer": "DC",
    "dcChargingParameters": {"evMaxCurrent": 100, "evMaxVoltage": 400},
}
BPT: dict[str, Any] = {"requestedEnergyTransfer": "DC_BPT", "v2xChargingParameters": {"maxDischargePower": 10_000}}
ACCEPTED: dict[str, Any] = {"status": "Accepted"}
PROFILE, UPDATE, SCHEDULE = "SetChargingProfile", "UpdateDynamicSchedule", "GetCompositeSchedule"


class Session:
    """A transaction at a station with `answers` by action: a payload, an error code, or None for no response."""

    def __init__(self, raw: Raw) -> None:
        self.raw = raw
        self.answers: dict[str, dict[str, Any] | str | None] = {PROFILE: ACCEPTED, UPDATE: ACCEPTED}
        self.calls: list[tuple[str, dict[str, Any]]] = []

    async def answer(self) -> None:
        while True:
            await self.raw.called(0.2)
            while self.raw.csms_calls:
                _, number, action, payload = self.raw.csms_calls.pop(0)
                self.calls.append((action, payload))
                reply = self.answers.get(action, "NotSupported")
                if isinstance(reply, str):
                    await self.raw.send(json.dumps([4, number, reply, "not now", {}]))
                elif reply is not None:
                    await self.raw.send(json.dumps([3, number, reply]))

    async def needs(self, needs: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
        """Send the EV's needs and return the calls that follow."""
        self.calls.clear()
        body = {"evseId": 1, "maxScheduleTuples": 3, "chargingNeeds": needs}
        assert (await self.raw.ok("NotifyEVChargingNeeds", body))["status"] == "Accepted"
        await asyncio.sleep(5)
        return list(self.calls)

    async def order(self, power_w: float, valid_for_s: float = 15.0) -> tuple[Answer, list[tuple[str, dict[str, Any]]]]:
        """Apply a set-point; return its outcome and the calls."""
        self.calls.clear()
        outcome = await self.raw.csms.set_power("CP1-1", power_w, valid_for_s)
        return outcome.answer, list(self.calls)


@asynccontextmanager
async def session(needs: dict[str, Any] | None = BPT, version: Version = Version.V21) -> AsyncIterator[Session]:
    raw = Raw(version)
    async with raw:
        one = Session(raw)
        answering = asyncio.create_task(one.answer())
        try:
            await raw.boot()
            await raw.event("Started", 0)
            await asyncio.sleep(5)
            if needs is not None:
                await one.needs(needs)
            yield one
        finally:
            answering.cancel()
            await asyncio.gather(answering, return_exceptions=True)


def schedule_of(call: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    action, body = call
    assert action == PROFILE
    (schedule,) = body["chargingProfile"]["chargingSchedule"]
    found: dict[str, Any] = schedule
    return found


def period_of(call: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    (period,) = schedule_of(call)["chargingSchedulePeriod"]
    found: dict[str, Any] = period
    return found


@asynccontextmanager
async def early(version: Version, profile: str | None) -> AsyncIterator[Session]:
    """Run a session at a station with a vendor profile."""
    entry = StationSettings("CP1", vendor_profile=profile, max_charge_w=1e4, max_discharge_w=1e4)
    raw = Raw(version)
    settings = CsmsSettings(stations=(entry,), unknown_tokens=UnknownTokens.ACCEPT, inventory=False)
    raw.csms = Csms(settings, raw.events.append, raw.clock)
    async with raw:
        one = Session(raw)
        one.answers["ChangeConfiguration"] = ACCEPTED
        answering = asyncio.create_task(one.answer())
        try:
            await raw.boot()
            if version is Version.V16:
                begin = {"connectorId": 1, "idTag": "A", "meterStart": 0, "timestamp": raw.time()}
                await raw.ok("StartTransaction", begin)
            else:
                await raw.event("Started", 0)
            await asyncio.sleep(5)
            yield one
        finally:
            answering.cancel()
            await asyncio.gather(answering, return_exceptions=True)
