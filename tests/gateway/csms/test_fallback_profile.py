"""A station that rejects the fallback profile: repeated attempts, the reported reason, and 0 W in any case."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gateway.csms.admin_views import station as station_row
from gateway.csms.csms import Csms
from gateway.csms.setpoint import FALLBACK_ATTEMPTS, FALLBACK_RETRY_S, FALLBACK_TIMEOUT_S
from gateway.csms.settings import CsmsSettings, StationSettings, UnknownTokens
from gateway.csms.station import RESUME_AFTER_S
from gateway.model.event import EvseDescribed
from gateway.model.station import Answer, OutcomeCode
from protocols.ocpp.schema import Version
from tests.gateway.csms.raw_station import Raw
from tests.gateway.csms.scripted_transaction import BPT

pytestmark = pytest.mark.virtual_time

REFUSALS = ("silent", "error", "Rejected")


class Stubborn:
    """A station that accepts every profile except the fallback profile."""

    def __init__(self, raw: Raw, how: str) -> None:
        self.raw, self.how = raw, how
        self.fallback: list[float] = []  # times of the attempts to install the fallback profile
        self.power: list[dict[str, Any]] = []  # the other profiles' schedules
        self._task = asyncio.create_task(self._live())

    async def _live(self) -> None:
        while True:
            await self.raw.called(0.5)
            while self.raw.csms_calls:
                await self._take(self.raw.csms_calls.pop(0))

    async def _take(self, message: list[Any]) -> None:
        _, mid, action, payload = message
        if action == "SetChargingProfile":
            profile = payload.get("chargingProfile") or payload["csChargingProfiles"]
            schedule = profile["chargingSchedule"]
            if profile["chargingProfilePurpose"] == "TxDefaultProfile":
                self.fallback.append(self.raw.clock.now())
                if self.how == "silent":
                    return
                if self.how == "error":
                    await self.raw.send(json.dumps([4, mid, "InternalError", "no", {}]))
                    return
                await self.raw.send(json.dumps([3, mid, {"status": self.how}]))
                return
            self.power.append(schedule[0] if isinstance(schedule, list) else schedule)
        await self.raw.send(json.dumps([3, mid, {"status": "Accepted"}]))

    def stop(self) -> None:
        self._task.cancel()


def value(schedule: dict[str, Any]) -> float:
    """Return the limit or set-point of a schedule."""
    period = schedule["chargingSchedulePeriod"][0]
    found: float = period.get("setpoint", period.get("limit"))
    return found


@asynccontextmanager
async def refusing(how: str, version: Version) -> AsyncIterator[tuple[Raw, Stubborn]]:
    """Run a station in a transaction that rejects the fallback profile."""
    profile = None if version is Version.V21 else "negative-limit"
    entry = StationSettings("CP1", vendor_profile=profile, max_charge_w=1e4, max_discharge_w=1e4)
    raw = Raw(version)
    settings = CsmsSettings(stations=(entry,), unknown_tokens=UnknownTokens.ACCEPT, inventory=False)
    raw.csms = Csms(settings, raw.events.append, raw.clock)
    async with raw:
        station = Stubborn(raw, how)
        try:
            await raw.boot()
            if version is Version.V16:
                begin = {"connectorId": 1, "idTag": "A", "meterStart": 0, "timestamp": raw.time()}
                await raw.ok("StartTransaction", begin)
            else:
                await raw.event("Started", 0)
                if version is Version.V21:
                    await raw.ok("NotifyEVChargingNeeds", {"evseId": 1, "chargingNeeds": BPT})
            yield raw, station
        finally:
            station.stop()


@pytest.mark.parametrize("version", list(Version))
@pytest.mark.parametrize("how", REFUSALS)
async def test_zero_is_always_sent_and_power_is_not(how: str, version: Version) -> None:
    async with refusing(how, version) as (raw, station):
        await asyncio.sleep(1)
        begun = raw.clock.now()
        refused = await raw.csms.set_power("CP1-1", -3000.0, 15.0)
        assert raw.clock.now() - begun <= FALLBACK_TIMEOUT_S + 1
        assert refused.answer is not Answer.APPLIED
        assert "fallback profile" in refused.text
        assert {value(schedule) for schedule in station.power} <= {0.0}  # for the needs of the vehicle
        begun = raw.clock.now()
        assert (await raw.csms.set_power("CP1-1", 0.0, 15.0)).answer is Answer.APPLIED
        assert raw.clock.now() - begun <= FALLBACK_TIMEOUT_S + 1
        schedule = station.power[-1]
        assert "duration" not in schedule  # beneath it lies nothing: it must not lapse
        assert value(schedule) == 0.0


@pytest.mark.parametrize("how", REFUSALS)
async def test_attempts_are_repeated_with_growing_intervals_and_reported(how: str) -> None:
    async with refusing(how, Version.V21) as (raw, station):
        for _ in range(200):  # whoever insists does not make it more often
            await raw.csms.set_power("CP1-1", -3000.0, 15.0)
            await asyncio.sleep(20)
        assert 4 <= len(station.fallback) <= 12
        gaps = [b - a for a, b in zip(station.fallback, station.fallback[1:], strict=False)]
        assert min(gaps) >= 5.0
        described = raw.of(EvseDescribed)[-1]
        assert not described.can_discharge
        assert "fallback profile" in described.why_not
        row = station_row(raw.csms.stations["CP1"])["evses"][0]
        assert row["safe_profile"] not in ("held", "not held")
        assert "fallback profile" in row["why_not"]


async def test_automatic_attempts_are_bounded() -> None:
    async with refusing("Rejected", Version.V21) as (_, station):
        await asyncio.sleep(10_000)
        assert len(station.fallback) <= FALLBACK_ATTEMPTS


async def test_a_station_that_accepts_it_later_discharges() -> None:
    async with refusing("Rejected", Version.V21) as (raw, station):
        await asyncio.sleep(200)
        assert not raw.of(EvseDescribed)[-1].can_discharge
        station.how = "Accepted"
        await asyncio.sleep(700)
        assert raw.of(EvseDescribed)[-1].can_discharge
        assert (await raw.csms.set_power("CP1-1", -3000.0, 15.0)).answer is Answer.APPLIED
        assert station.power[-1]["duration"] == 15
        assert station_row(raw.csms.stations["CP1"])["evses"][0]["safe_profile"] == "held"


async def test_an_attempt_that_a_new_connection_ends_says_nothing_about_the_station() -> None:
    async with refusing("silent", Version.V21) as (raw, station):
        await asyncio.sleep(1)
        assert len(station.fallback) == 1  # no response yet
        station.how = "Accepted"
        await raw.connect()
        await raw.ok("Heartbeat", {})
        await asyncio.sleep(1)
        assert (await raw.csms.set_power("CP1-1", -3000.0, 15.0)).answer is Answer.APPLIED


@pytest.mark.parametrize("in_use", [True, False])
async def test_a_fallback_profile_follows_at_a_new_connection_once_that_is_in_use(in_use: bool) -> None:
    """A new connection is in use from its first message on: before that the station may be about to boot."""
    async with refusing("silent", Version.V21) as (raw, station):
        await asyncio.sleep(10_000)  # from now on the profile is only sent before a set-point
        attempts = len(station.fallback)
        order = asyncio.create_task(raw.csms.set_power("CP1-1", 3000.0, 15.0))
        await asyncio.sleep(1)
        assert len(station.fallback) == attempts + 1  # no response yet
        station.how = "Accepted"
        await raw.connect()
        if in_use:
            await raw.ok("Heartbeat", {})
        await order
        await asyncio.sleep(RESUME_AFTER_S / 2)
        assert len(station.fallback) == attempts + 1 + in_use
        await asyncio.sleep(RESUME_AFTER_S)
        assert len(station.fallback) == attempts + 2


@pytest.mark.parametrize("ordered_after_s", [1, FALLBACK_TIMEOUT_S + FALLBACK_RETRY_S[0]])
async def test_an_order_of_before_a_new_connection_is_not_sent_to_it(ordered_after_s: float) -> None:
    """It waited for an attempt to install the fallback profile, or made one itself. The power is decided anew."""
    async with refusing("silent", Version.V21) as (raw, station):
        await asyncio.sleep(ordered_after_s)
        order = asyncio.create_task(raw.csms.set_power("CP1-1", -3000.0, 15.0))
        await asyncio.sleep(1)
        station.how = "Accepted"
        await raw.connect()
        await raw.ok("Heartbeat", {})
        outcome = await order
        assert (outcome.answer, outcome.code) == (Answer.UNKNOWN, OutcomeCode.NOT_CONNECTED)
        assert outcome.text == "CP1 has connected again meanwhile"
        assert (await raw.csms.set_power("CP1-1", -2000.0, 15.0)).answer is Answer.APPLIED
        assert {value(schedule) for schedule in station.power} <= {0.0, -2000.0}
