"""Resets of a 2.x station that wait for the end of transactions, and resets that follow them (B11, B12)."""

from __future__ import annotations

from typing import Any

import pytest

from protocols.ocpp.schema import Version
from tests.emulators.charger.csms_rig import CsmsRig

pytestmark = pytest.mark.virtual_time


def rig_2x(version: Version = Version.V21, **more: Any) -> CsmsRig:
    return CsmsRig(version, id_token="04A1B2C3", **more)


async def reset(rig: CsmsRig, kind: str, **more: Any) -> str:
    return str((await rig.call("Reset", {"type": kind, **more}))["status"])


def boots(rig: CsmsRig) -> list[str]:
    return [call["reason"] for call in rig.calls("BootNotification")]


@pytest.mark.parametrize("version", [Version.V201, Version.V21], ids=str)
async def test_a_reset_on_idle_acts_once_the_transaction_has_ended(version: Version) -> None:
    async with rig_2x(version) as rig:
        await rig.charging()
        assert await reset(rig, "OnIdle") == "Scheduled"
        await rig.sleep(600)
        assert boots(rig) == ["PowerUp"]
        assert rig.evse().transaction is not None
        rig.station.unplug(1)
        await rig.until(lambda: len(boots(rig)) == 2, within=5)
        assert boots(rig) == ["PowerUp", "ScheduledReset"]
        ended = [call for call in rig.calls("TransactionEvent") if call["eventType"] == "Ended"]
        assert [call["triggerReason"] for call in ended] == ["EVCommunicationLost"]
        await rig.sleep(5)
        await rig.charging()  # the EVSEs are free again


@pytest.mark.parametrize("second", ["Immediate", "OnIdle"])
async def test_a_reset_after_a_scheduled_one_boots_once(second: str) -> None:
    async with rig_2x() as rig:
        await rig.charging()
        assert await reset(rig, "OnIdle") == "Scheduled"
        assert await reset(rig, second) == ("Accepted" if second == "Immediate" else "Scheduled")
        if second == "OnIdle":
            rig.station.unplug(1)
        await rig.until(lambda: len(boots(rig)) == 2)
        await rig.sleep(300)
        assert boots(rig) == ["PowerUp", "RemoteReset" if second == "Immediate" else "ScheduledReset"]
        if second == "Immediate":  # the vehicle that remained connected charges again
            assert rig.evse().transaction is not None
        assert not rig.evse().resetting


async def test_a_transaction_after_an_immediate_reset_is_not_ended_by_the_earlier_schedule() -> None:
    async with rig_2x() as rig:
        await rig.charging()
        await reset(rig, "OnIdle")
        await reset(rig, "Immediate")
        await rig.until(lambda: len(boots(rig)) == 2 and rig.evse().transaction is not None)
        await rig.sleep(60)
        rig.station.unplug(1)
        await rig.sleep(60)
        assert boots(rig) == ["PowerUp", "RemoteReset"]


async def test_a_reset_of_one_evse_leaves_the_schedule_of_the_station() -> None:
    async with rig_2x(evses=2) as rig:
        await rig.charging(1)
        await rig.charging(2)
        assert await reset(rig, "OnIdle") == "Scheduled"
        assert await reset(rig, "Immediate", evseId=1) == "Accepted"
        await rig.sleep(30)
        assert rig.evse(1).transaction is None
        assert rig.evse(1).resetting  # no new transaction before the reset of the station
        assert rig.evse(2).transaction is not None
        rig.station.unplug(2)
        await rig.until(lambda: boots(rig) == ["PowerUp", "ScheduledReset"])
        await rig.sleep(5)
        assert not rig.evse(1).resetting


async def test_no_transaction_begins_while_a_reset_waits() -> None:
    async with rig_2x(evses=2) as rig:
        await rig.charging(1)
        await reset(rig, "OnIdle")
        rig.plug(2)
        token = {"idToken": "04A1B2C3", "type": "ISO14443"}
        body = {"idToken": token, "remoteStartId": 1, "evseId": 2}
        assert (await rig.call("RequestStartTransaction", body))["status"] == "Rejected"
        await rig.sleep(30)
        assert rig.evse(2).transaction is None
        rig.station.unplug(1)
        await rig.until(lambda: len(boots(rig)) == 2)
        await rig.until(lambda: rig.evse(2).transaction is not None)  # after the boot it charges


@pytest.mark.parametrize("version", [Version.V16, Version.V201, Version.V21], ids=str)
async def test_a_station_set_inoperative_during_a_transaction_starts_none_after_its_reset(version: Version) -> None:
    async with rig_2x(version) as rig:
        await rig.charging()
        early = version is Version.V16
        scheduled = {"connectorId": 0, "type": "Inoperative"} if early else {"operationalStatus": "Inoperative"}
        assert (await rig.call("ChangeAvailability", scheduled))["status"] == "Scheduled"
        assert await reset(rig, "Hard" if early else "Immediate") == "Accepted"
        await rig.until(lambda: len(rig.calls("BootNotification")) == 2)
        await rig.sleep(60)
        assert rig.evse().transaction is None
        assert rig.evse().status == "Unavailable"
