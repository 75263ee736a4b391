"""CentralSetpoint is for vehicles whose needs request a bidirectional transfer; every other vehicle is only charged."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.csms.charging_needs import BIDIRECTIONAL
from gateway.model.event import EvseDescribed
from gateway.model.station import Answer
from protocols.ocpp.enums import v21
from protocols.ocpp.schema import Version
from tests.gateway.csms.scripted_transaction import ACCEPTED, BPT, Session, period_of, schedule_of, session
from tests.gateway.csms.test_restart import restartable

pytestmark = pytest.mark.virtual_time

TRANSFERS = [mode.value for mode in v21.EnergyTransferModeEnumType]


def needs_of(transfer: str) -> dict[str, Any]:
    return {"requestedEnergyTransfer": transfer, "v2xChargingParameters": {"maxChargePower": 10_000}}


@pytest.mark.parametrize("order_w", [None, 0.0, 3000.0])
@pytest.mark.parametrize("transfer", TRANSFERS)
async def test_each_statement_of_needs_is_followed_by_a_profile_in_its_mode(
    transfer: str, order_w: float | None
) -> None:
    """Whatever was sent before the needs, and again for needs that are stated again (Q01.FR.07, Q02.FR.01, FR.02)."""
    async with session(None) as one:
        if order_w is not None:
            _, calls = await one.order(order_w, 60.0)
            assert [period_of(call) for call in calls] == [
                {"startPeriod": 0, "operationMode": "ChargingOnly", "limit": order_w}
            ]
        for _ in range(2):
            (call,) = await one.needs(needs_of(transfer))
            mode, key = ("CentralSetpoint", "setpoint") if transfer in BIDIRECTIONAL else ("ChargingOnly", "limit")
            assert period_of(call) == {"startPeriod": 0, "operationMode": mode, key: order_w or 0.0}
            assert ("duration" in schedule_of(call)) is (order_w is not None)


async def test_before_its_needs_a_vehicle_is_only_charged() -> None:
    async with session(None) as one:
        outcome = await one.raw.csms.set_power("CP1-1", -3000.0, 15.0)
        assert (outcome.answer, outcome.code) == (Answer.REFUSED, "NeedsNotStated")
        assert not [call for call in one.calls if "setpoint" in str(call)]
        await one.needs(BPT)
        assert (await one.order(-3000.0))[0] is Answer.APPLIED


async def test_needs_before_the_transaction_are_those_of_its_vehicle_and_not_of_the_next_one() -> None:
    async with session() as one:
        raw = one.raw
        await raw.event("Ended", 1)
        body = {"evseId": 1, "chargingNeeds": BPT}
        assert (await raw.ok("NotifyEVChargingNeeds", body))["status"] == "NoChargingProfile"
        await raw.event("Started", 0, "t2")
        assert (await one.order(-3000.0))[0] is Answer.APPLIED
        await raw.event("Ended", 1, "t2")
        assert (await raw.ok("NotifyEVChargingNeeds", body))["status"] == "NoChargingProfile"
        for status in ("Occupied", "Available", "Occupied"):  # the vehicle leaves, another one comes
            place = {"timestamp": raw.time(), "connectorStatus": status, "evseId": 1, "connectorId": 1}
            await raw.ok("StatusNotification", place)
        await raw.event("Started", 0, "t3")
        assert (await one.order(-3000.0))[0] is Answer.REFUSED


@pytest.mark.parametrize("transfer", ["DC", "DC_BPT"])
async def test_the_needs_of_a_session_hold_after_a_restart_of_the_gateway(transfer: str) -> None:
    async with restartable(Version.V21) as lives:

        async def mode() -> str:
            one = Session(lives.raw)
            answering = asyncio.create_task(one.answer())
            await lives.raw.ok("Heartbeat", {})
            await asyncio.sleep(1)
            _, calls = await one.order(2000.0)
            answering.cancel()
            found: str = period_of(calls[-1])["operationMode"]
            return found

        await lives.raw.boot()
        await lives.raw.event("Started", 0)
        await lives.raw.ok("NotifyEVChargingNeeds", {"evseId": 1, "chargingNeeds": needs_of(transfer)})
        before = await mode()
        await lives.writer.write()
        await lives.kill()
        assert await mode() == before == ("CentralSetpoint" if transfer in BIDIRECTIONAL else "ChargingOnly")


@pytest.mark.parametrize("notified", [False, True])
async def test_a_scheduled_limit_of_discharge_counts_while_it_runs(notified: bool) -> None:
    """LimitMaxDischarge (R04): by the clock alone, and where the station reports start and end."""
    async with session() as one:
        raw, csms = one.raw, one.raw.csms
        await asyncio.sleep(1)
        one.answers["GetDERControl"] = ACCEPTED
        limit = {"priority": 1, "pctMaxDischargePower": 40.0, "startTime": raw.time(60), "duration": 120}
        default = {"priority": 1, "pctMaxDischargePower": 80.0}
        controls = [
            {"id": "d", "isDefault": True, "isSuperseded": False, "limitMaxDischarge": default},
            {"id": "s", "isDefault": False, "isSuperseded": False, "limitMaxDischarge": limit},
            {
                "id": "x",
                "isDefault": False,
                "isSuperseded": True,
                "limitMaxDischarge": limit | {"startTime": raw.time()},
            },
        ]

        async def report() -> None:
            while True:
                await asyncio.sleep(0.1)
                for call in [call for call in one.calls if call[0] == "GetDERControl"]:
                    one.calls.remove(call)
                    await raw.ok("ReportDERControl", {"requestId": call[1]["requestId"], "limitMaxDischarge": controls})

        reporting = asyncio.create_task(report())
        body = {"timestamp": raw.time(), "controlId": "d", "started": True}
        await raw.ok("NotifyDERStartStop", body)

        async def share() -> float:
            await asyncio.sleep(3)
            limits = raw.of(EvseDescribed)[-1].limits
            return limits.max_discharge_w / 1e4

        found = [await share()]
        for started in (True, False):
            await asyncio.sleep(60 if started else 118)
            if notified:
                await raw.ok("NotifyDERStartStop", body | {"controlId": "s", "started": started})
            found.append(await share())
        assert found == [0.8, 0.4, 0.8]
        reporting.cancel()
        await asyncio.sleep(600)
        assert csms.stations["CP1"].der.discharge_share == 0.8
