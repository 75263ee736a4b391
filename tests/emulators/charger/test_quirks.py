"""Defects of stations in the field, reproduced by the emulator and tolerated by the gateway."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from emulators.charger.station.config import StationConfig
from gateway.csms.csms import Csms
from gateway.csms.settings import CsmsSettings, StationSettings, UnknownStations
from gateway.model.event import EvseDescribed, Metered, SessionEnded, SessionStarted, StationConnected, StationLost
from gateway.model.station import Answer
from protocols.ocpp.schema import Version
from protocols.ocpp.vendor import Channel, Quirks, Setpoint, VendorProfile
from tests.emulators.charger.station_rig import Rig

pytestmark = pytest.mark.virtual_time


def near(watts: float) -> object:
    return pytest.approx(watts, rel=0.01)


def quirky(version: Version = Version.V21, **quirks: Any) -> Rig:
    numbers: tuple[Any, ...] = (version.number,)
    profile = VendorProfile(
        name="quirky", ocpp=numbers, setpoint=Setpoint(channel=Channel.STANDARD), quirks=Quirks(**quirks)
    )
    return Rig(version, config=StationConfig(version=version, vendor_profile=profile))


async def test_event_numbers_that_remain_zero() -> None:
    async with quirky(seq_no_always_zero=True) as rig:
        await rig.charging()
        await rig.csms.set_power("CP1-1", -3000.0, 120.0)
        await rig.sleep(40)
        assert {c["seqNo"] for c in rig.calls("TransactionEvent")} == {0}
        readings = [m for m in rig.of(Metered) if m.power_w is not None]
        assert len(readings) >= 4
        assert readings[-1].power_w == near(-3000)


async def test_a_meter_that_only_rises() -> None:
    async with quirky(meter_only_rises=True) as rig:
        await rig.charging()
        await rig.csms.set_power("CP1-1", -3000.0, 120.0)
        await rig.sleep(30)
        assert all((m.power_w or 0.0) >= 0 for m in rig.of(Metered))
        assert rig.of(Metered)[-1].energy_discharged_wh is None


async def test_no_periodic_meter_values() -> None:
    async with quirky(clock_aligned_only=True) as rig:
        await rig.charging()
        await rig.csms.set_power("CP1-1", -3000.0, 300.0)
        await rig.sleep(10)
        before = len(rig.of(Metered))
        await rig.sleep(120)
        assert len(rig.of(Metered)) == before
        assert (await rig.request("TriggerMessage", {"requestedMessage": "MeterValues", "evse": {"id": 1}}))[
            "status"
        ] == "Accepted"
        await rig.sleep(1)
        assert rig.of(Metered)[-1].power_w == near(-3000)


async def test_a_profile_accepted_and_ignored() -> None:
    async with quirky(accepts_and_ignores=True) as rig:
        await rig.charging()
        assert (await rig.csms.set_power("CP1-1", -3000.0, 120.0)).answer is Answer.APPLIED
        await rig.sleep(20)
        assert (rig.of(Metered)[-1].power_w or 0.0) > 5000  # the meter is correct


async def test_a_limit_that_lapses_and_then_charges() -> None:
    async with quirky(limit_lapses_s=1200.0) as rig:
        await rig.charging()
        assert rig.evse().reading.power_w == 0.0
        await rig.sleep(1190)
        assert rig.evse().reading.power_w == 0.0
        await rig.sleep(30)
        assert rig.evse().reading.power_w > 5000


@pytest.mark.parametrize("keeps", [True, False])
async def test_two_connections_after_a_modem_reset(keeps: bool) -> None:
    async with quirky(keeps_old_connection=keeps) as rig:
        await rig.charging()
        await rig.station.link.modem_reset()
        await rig.until(lambda: rig.station.online and rig.known.connected)
        await rig.sleep(10)
        assert len(rig.of(StationLost)) == (0 if keeps else 1)
        assert len(rig.of(StationConnected)) == 2
        assert (await rig.csms.set_power("CP1-1", -3000.0, 60.0)).answer is Answer.APPLIED
        await rig.sleep(5)
        assert rig.evse().reading.power_w == near(-3000)
        assert rig.of(SessionEnded) == []


@pytest.mark.parametrize("version", [Version.V16, Version.V21])
async def test_transactions_reported_hours_later(version: Version) -> None:
    async with quirky(version, reports_late_s=7200.0) as rig:
        rig.plug()
        await rig.sleep(600)
        rig.station.unplug(1)
        ended = rig.clock.wall()
        assert rig.of(SessionStarted) == []
        await rig.sleep(20_000)
        (transaction,) = rig.csms.context.transactions.of("CP1")
        assert transaction.stopped_at == pytest.approx(ended, abs=2)
        assert transaction.started_at == pytest.approx(ended - 600, abs=5)
        assert not rig.csms.context.transactions.active_of("CP1")


async def test_a_clock_at_1970_until_a_heartbeat() -> None:
    async with quirky(clock_at_epoch=True) as rig:
        assert rig.calls("StatusNotification")[0]["timestamp"].startswith("1970")
        await rig.sleep(310)
        assert rig.station.wall() == pytest.approx(rig.clock.wall(), abs=1)


async def test_a_status_before_the_boot() -> None:
    async with quirky(status_before_boot=True) as rig:
        first = next(m for who, m in rig.messages if who == "station" and m[0] == 2)
        assert first[2] == "StatusNotification"
        assert rig.known.accepted
        assert rig.station.online


# the connection


async def test_events_of_an_offline_time_come_in_order_with_their_times() -> None:
    async with Rig() as rig:
        await rig.charging()
        rig.cut()
        await rig.sleep(120)
        rig.station.unplug(1)
        await rig.sleep(60)
        rig.plug()
        await rig.sleep(60)
        rig.up = True
        await rig.until(lambda: len(rig.of(SessionStarted)) == 2)
        await rig.sleep(5)
        offline = [c for c in rig.calls("TransactionEvent") if c.get("offline")]
        assert [c["timestamp"] for c in offline] == sorted(c["timestamp"] for c in offline)
        assert {"Ended", "Started"} <= {c["eventType"] for c in offline}
        by_transaction: dict[str, list[int]] = {}
        for call in rig.calls("TransactionEvent"):
            by_transaction.setdefault(call["transactionInfo"]["transactionId"], []).append(call["seqNo"])
        for numbers in by_transaction.values():
            assert numbers == list(range(len(numbers)))
        assert len(rig.of(SessionEnded)) == 1


async def test_a_half_open_connection_is_detected_and_replaced() -> None:
    async with Rig() as rig:
        await rig.charging()
        assert rig.link is not None
        rig.link.silent.update({"station", "gateway"})
        outcome = await rig.csms.set_power("CP1-1", -3000.0, 30.0)
        assert outcome.answer is Answer.UNKNOWN
        await rig.until(lambda: len(rig.of(StationConnected)) == 2, within=900)
        await rig.until(lambda: rig.station.online)
        await rig.sleep(40)
        assert (await rig.csms.set_power("CP1-1", -3000.0, 30.0)).answer is Answer.APPLIED


async def test_a_session_survives_a_gateway_restart() -> None:
    async with Rig() as rig:
        await rig.charging()
        await rig.csms.set_power("CP1-1", -3000.0, 30.0)
        await rig.sleep(5)
        rig.cut()
        rig.events.clear()
        rig.csms = Csms(rig.settings, rig.events.append, rig.clock)  # the old one is gone with all it knew
        await rig.sleep(20)
        rig.up = True
        await rig.until(lambda: bool(rig.of(SessionStarted)))
        await rig.until(lambda: any(e.can_discharge for e in rig.of(EvseDescribed)))
        assert rig.evse().transaction is not None
        assert (await rig.csms.set_power("CP1-1", -3000.0, 30.0)).answer is Answer.APPLIED
        await rig.sleep(5)
        assert rig.evse().reading.power_w == near(-3000)
        assert rig.errors() == []


async def test_a_rejected_station_keeps_booting() -> None:
    rig = Rig(settings=CsmsSettings(unknown_stations=UnknownStations.PENDING))
    rig.csms.settings = rig.settings
    rig.up = False
    running = asyncio.create_task(rig.station.run())
    await rig.sleep(300)
    rig.up = True
    await rig.until(lambda: bool(rig.calls("BootNotification")))
    await rig.until(lambda: len(rig.calls("BootNotification")) > 2)  # Pending: repeated after the interval
    rig.csms.register(StationSettings("CP1"))
    await rig.until(lambda: rig.station.online)
    assert rig.calls("StatusNotification")
    statuses = [a["status"] for a in rig.answers("BootNotification")]
    assert statuses == ["Pending"] * (len(statuses) - 1) + ["Accepted"]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await rig.__aexit__()
