"""A 1.6 station: connector 0, unlocking, triggered status notifications, schedules without a start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from emulators.charger.station.store import Store
from protocols.ocpp.schema import Version
from protocols.ocpp.times import stamp
from tests.emulators.charger.csms_rig import CsmsRig

pytestmark = pytest.mark.virtual_time


def rig_16(**more: Any) -> CsmsRig:
    return CsmsRig(Version.V16, id_token="04A1B2C3", **more)


def statuses(rig: CsmsRig, connector: int) -> list[tuple[str, str]]:
    calls = rig.calls("StatusNotification")
    return [(call["status"], call["errorCode"]) for call in calls if call["connectorId"] == connector]


# connector 0


async def test_the_station_reports_connector_0_after_a_boot() -> None:
    async with rig_16(evses=2) as rig:
        assert [call["connectorId"] for call in rig.calls("StatusNotification")] == [0, 1, 2]
        assert statuses(rig, 0) == [("Available", "NoError")]
        await rig.call("Reset", {"type": "Soft"})
        await rig.until(lambda: len(rig.calls("StatusNotification")) == 6)
        assert [call["connectorId"] for call in rig.calls("StatusNotification")][3:] == [0, 1, 2]


async def test_an_inoperative_station_is_unavailable_once_no_transaction_runs() -> None:
    async with rig_16(evses=2) as rig:
        await rig.charging()
        body = {"connectorId": 0, "type": "Inoperative"}
        assert (await rig.call("ChangeAvailability", body))["status"] == "Scheduled"
        await rig.sleep(2)
        assert statuses(rig, 0)[-1] == ("Available", "NoError")
        assert statuses(rig, 2)[-1] == ("Unavailable", "NoError")
        rig.station.unplug(1)
        await rig.sleep(2)
        assert statuses(rig, 0)[-1] == statuses(rig, 1)[-1] == ("Unavailable", "NoError")
        await rig.call("ChangeAvailability", {"connectorId": 0, "type": "Operative"})
        await rig.sleep(2)
        assert statuses(rig, 0)[-1] == statuses(rig, 2)[-1] == ("Available", "NoError")


async def test_an_inoperative_connector_leaves_the_station_available() -> None:
    async with rig_16(evses=2) as rig:
        for connector in (1, 2):
            await rig.call("ChangeAvailability", {"connectorId": connector, "type": "Inoperative"})
        await rig.sleep(2)
        assert statuses(rig, 0) == [("Available", "NoError")]


async def test_a_fault_of_the_station_is_reported_for_connector_0_and_stops_every_evse() -> None:
    async with rig_16(evses=2) as rig:
        await rig.charging()
        rig.station.fault(0, "GroundFailure")
        await rig.sleep(2)
        assert statuses(rig, 0)[-1] == statuses(rig, 1)[-1] == statuses(rig, 2)[-1] == ("Faulted", "GroundFailure")
        assert len(rig.calls("StopTransaction")) == 1
        rig.station.fault(0, None)
        await rig.sleep(2)
        assert statuses(rig, 0)[-1] == ("Available", "NoError")


async def test_an_inoperative_station_stays_so_over_the_end_of_its_process(tmp_path: Path) -> None:
    async with rig_16(store=Store(tmp_path, "CP1")) as rig:
        await rig.call("ChangeAvailability", {"connectorId": 0, "type": "Inoperative"})
    async with rig_16(store=Store(tmp_path, "CP1")) as rig:
        assert statuses(rig, 0) == statuses(rig, 1) == [("Unavailable", "NoError")]


@pytest.mark.parametrize(("connector", "sent"), [({}, [0, 1, 2]), ({"connectorId": 2}, [2]), ({"connectorId": 0}, [0])])
async def test_triggered_status_of_connectors(connector: dict[str, int], sent: list[int]) -> None:
    async with rig_16(evses=2) as rig:
        before = len(rig.calls("StatusNotification"))
        body = {"requestedMessage": "StatusNotification", **connector}
        assert (await rig.call("TriggerMessage", body))["status"] == "Accepted"
        await rig.sleep(1)
        assert [call["connectorId"] for call in rig.calls("StatusNotification")[before:]] == sent


# UnlockConnector


async def test_unlocking_ends_the_transaction_with_its_own_reason() -> None:
    async with rig_16() as rig:
        await rig.charging()
        assert (await rig.call("UnlockConnector", {"connectorId": 1}))["status"] == "Unlocked"
        await rig.sleep(2)
        (stop,) = rig.calls("StopTransaction")
        assert stop["reason"] == "UnlockCommand"
        assert statuses(rig, 1)[-1] == ("Finishing", "NoError")
        assert (await rig.call("UnlockConnector", {"connectorId": 1}))["status"] == "Unlocked"
        await rig.sleep(2)
        assert len(rig.calls("StopTransaction")) == 1


@pytest.mark.parametrize("connector", [2, 99])
async def test_an_unknown_connector_has_no_lock(connector: int) -> None:
    async with rig_16() as rig:
        assert (await rig.call("UnlockConnector", {"connectorId": connector}))["status"] == "NotSupported"


@pytest.mark.parametrize("version", list(Version), ids=str)
async def test_a_lock_that_has_failed_stays_locked(version: Version) -> None:
    async with CsmsRig(version) as rig:
        body = {"connectorId": 1} | ({} if version is Version.V16 else {"evseId": 1})
        rig.station.fault(1, "ConnectorLockFailure")
        assert (await rig.call("UnlockConnector", body))["status"] == "UnlockFailed"
        rig.station.fault(1, None)
        assert (await rig.call("UnlockConnector", body))["status"] == "Unlocked"


REASONS = [("Hard", "HardReset"), ("Soft", "SoftReset")]


@pytest.mark.parametrize(("kind", "reason"), REASONS)
async def test_a_reset_ends_the_transaction_with_its_own_reason(kind: str, reason: str) -> None:
    async with rig_16() as rig:
        await rig.charging()
        await rig.call("Reset", {"type": kind})
        await rig.sleep(5)
        assert rig.calls("StopTransaction")[0]["reason"] == reason


# TriggerMessage


async def triggered(rig: CsmsRig, requested: str, sent: str, by: str = "TriggerMessage") -> dict[str, Any]:
    """Trigger a message and return its payload."""
    before = len(rig.calls(sent))
    assert (await rig.call(by, {"requestedMessage": requested}))["status"] == "Accepted"
    await rig.until(lambda: len(rig.calls(sent)) > before)
    return rig.calls(sent)[before]


async def test_triggered_firmware_and_diagnostics_status_of_an_idle_station() -> None:
    async with rig_16() as rig:
        for name in ("FirmwareStatusNotification", "DiagnosticsStatusNotification"):
            assert await triggered(rig, name, name) == {"status": "Idle"}
        extended = "ExtendedTriggerMessage"
        log = await triggered(rig, "LogStatusNotification", "LogStatusNotification", extended)
        assert log == {"status": "Idle"}
        name = "SignedFirmwareStatusNotification"
        assert await triggered(rig, "FirmwareStatusNotification", name, extended) == {"status": "Idle"}


async def test_triggered_firmware_status_of_an_update(tmp_path: Path) -> None:
    image, name = tmp_path / "image-2.bin", "FirmwareStatusNotification"
    image.write_bytes(b"image")
    async with rig_16() as rig:
        later = stamp(rig.clock.wall() + 60)
        await rig.call("UpdateFirmware", {"location": image.as_uri(), "retrieveDate": later})
        await rig.sleep(5)
        assert await triggered(rig, name, name) == {"status": "Idle"}  # nothing to do yet
        await rig.until(lambda: {"status": "Installing"} in rig.calls(name))
        assert await triggered(rig, name, name) == {"status": "Installing"}
        await rig.until(lambda: {"status": "Installed"} in rig.calls(name))
        await rig.until(lambda: rig.station.online)
        await rig.sleep(5)
        assert await triggered(rig, name, name) == {"status": "Idle"}


async def test_triggered_status_after_failures(tmp_path: Path) -> None:
    async with rig_16() as rig:
        missing = (tmp_path / "missing").as_uri()
        await rig.call("UpdateFirmware", {"location": missing, "retrieveDate": stamp(rig.clock.wall())})
        await rig.call("GetDiagnostics", {"location": (tmp_path / "no" / "folder").as_uri()})
        name = "FirmwareStatusNotification"
        await rig.until(lambda: {"status": "DownloadFailed"} in rig.calls(name))
        await rig.until(lambda: {"status": "UploadFailed"} in rig.calls("DiagnosticsStatusNotification"))
        assert await triggered(rig, name, name) == {"status": "Idle"}
        name = "DiagnosticsStatusNotification"
        assert await triggered(rig, name, name) == {"status": "Idle"}


# schedules without startSchedule (7.13)


def profile_16(purpose: str = "TxProfile", **schedule: Any) -> dict[str, Any]:
    periods = [{"startPeriod": 0, "limit": 3000.0}, {"startPeriod": 60, "limit": 5000.0}]
    body = {"chargingRateUnit": "W", "chargingSchedulePeriod": periods, **schedule}
    return {
        "chargingProfileId": 1,
        "stackLevel": 1,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": "Absolute",
        "chargingSchedule": body,
    }


@pytest.mark.parametrize("purpose", ["TxProfile", "TxDefaultProfile"])
async def test_an_absolute_schedule_without_a_start_begins_with_charging(purpose: str) -> None:
    async with rig_16() as rig:
        await rig.charging()
        await rig.sleep(30)
        body = {"connectorId": 1, "csChargingProfiles": profile_16(purpose)}
        assert (await rig.call("SetChargingProfile", body))["status"] == "Accepted"
        await rig.sleep(10)
        assert rig.evse().setpoint_w == 3000.0
        await rig.sleep(25)
        assert rig.evse().setpoint_w == 5000.0


@pytest.mark.parametrize("kind", ["Absolute", "Relative"])
async def test_a_limit_of_the_station_without_a_start_begins_at_once(kind: str) -> None:
    async with rig_16() as rig:
        await rig.charging()
        profile = profile_16("ChargePointMaxProfile", duration=120) | {"chargingProfileKind": kind}
        body = {"connectorId": 0, "csChargingProfiles": profile}
        assert (await rig.call("SetChargingProfile", body))["status"] == "Accepted"
        await rig.sleep(10)
        assert rig.evse().setpoint_w == 3000.0
        await rig.sleep(60)
        assert rig.evse().setpoint_w == 5000.0
        await rig.sleep(60)
        assert rig.evse().setpoint_w == 10_000.0


async def test_an_absolute_schedule_with_a_start_begins_there() -> None:
    async with rig_16() as rig:
        await rig.charging()
        start = stamp(rig.clock.wall() - 50)
        body = {"connectorId": 1, "csChargingProfiles": profile_16(startSchedule=start)}
        assert (await rig.call("SetChargingProfile", body))["status"] == "Accepted"
        await rig.sleep(5)
        assert rig.evse().setpoint_w == 3000.0
        await rig.sleep(10)
        assert rig.evse().setpoint_w == 5000.0
