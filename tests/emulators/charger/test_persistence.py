"""Persistence of a station over a crash: transactions, queued messages and settings of the CSMS."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from emulators.charger.station.build import build, car_power_path
from emulators.charger.station.store import Store
from protocols.ocpp.schema import Version
from tests.emulators.charger.station_rig import Rig
from tests.requirements import requirement

pytestmark = pytest.mark.virtual_time

LATE = [Version.V201, Version.V21]


class Restarted(Rig):
    """A station with a store, which can be killed and restarted."""

    def __init__(self, version: Version, folder: Path, **about: Any) -> None:
        super().__init__(version, **about)
        self.folder = folder
        self.new_process()

    def new_process(self) -> None:
        self.power_paths = [car_power_path() for _ in self.power_paths]
        self.station = build(
            self.config, self.power_paths, self.clock, self.connect, Store(self.folder, self.config.id)
        )

    async def __aenter__(self) -> Restarted:
        await super().__aenter__()
        return self

    async def kill(self) -> None:
        """Kill the process: no message is sent."""
        self.station.persistence.close()  # what a dead process would write is not written
        running = self._tasks.pop(0) if self._tasks else None
        for task in list(self._tasks):
            task.cancel()
        if running is not None:
            running.cancel()
        await asyncio.gather(*self._tasks, *([] if running is None else [running]), return_exceptions=True)
        self._tasks.clear()

    async def start(self) -> None:
        self.new_process()
        self._tasks.append(asyncio.create_task(self.station.run()))
        await self.sleep(0)


@pytest.mark.parametrize("version", list(Version))
async def test_an_offline_transaction_survives_a_crash(version: Version, tmp_path: Path) -> None:
    async with Restarted(version, tmp_path) as rig:
        await rig.charging()
        await rig.sleep(30)
        rig.cut()
        await rig.sleep(600)
        before = rig.station.wall()
        charged = rig.evse().power_path.stage.meter.charged_wh
        await rig.kill()
        await rig.start()
        rig.up = True
        await rig.until(lambda: rig.station.online and not rig.station.link.waiting, within=600)
        if version is Version.V16:
            stop = rig.calls("StopTransaction")
            assert len(stop) == 1
            assert stop[0]["transactionId"] == rig.answers("StartTransaction")[0]["transactionId"]
            assert stop[0]["reason"] == "PowerLoss"
            assert charged - 200 <= stop[0]["meterStop"] <= charged
            assert all(m.get("transactionId") == stop[0]["transactionId"] for m in rig.calls("MeterValues"))
        else:
            events = rig.calls("TransactionEvent")
            assert [e["seqNo"] for e in events] == list(range(len(events)))
            assert events[-1]["eventType"] == "Ended"
            assert events[-1]["transactionInfo"]["stoppedReason"] == "PowerLoss"
            assert events[-1]["offline"]
            assert len({e["transactionInfo"]["transactionId"] for e in events}) == 1
            assert events == sorted(events, key=lambda e: str(e["timestamp"]))
        assert rig.station.wall() > before
        assert rig.csms.context.transactions.active_at("CP1", 1) is None


async def test_an_unanswered_message_is_sent_again_after_a_crash(tmp_path: Path) -> None:
    """A 1.6 start without a response: the stop carries the id of the repeated start."""
    async with Restarted(Version.V16, tmp_path) as rig:
        rig.plug()
        for _ in range(100):  # to the very moment, which virtual time is too coarse for
            if rig.calls("StartTransaction"):
                break
            await asyncio.sleep(0)
        await rig.kill()
        assert not rig.answers("StartTransaction")
        await rig.start()
        await rig.until(lambda: bool(rig.calls("StopTransaction")) and not rig.station.link.waiting)
        assert len(rig.calls("StartTransaction")) == 2
        assert rig.calls("StopTransaction")[0]["transactionId"] == rig.answers("StartTransaction")[-1]["transactionId"]


@requirement("N07.FR.13")
@pytest.mark.parametrize("version", list(Version))
async def test_a_car_connected_before_the_start_begins_a_new_transaction(version: Version, tmp_path: Path) -> None:
    """As with `v2x charger --car`: the end of the previous transaction is sent before the new one."""
    async with Restarted(version, tmp_path) as rig:
        await rig.charging()
        await rig.sleep(60)
        await rig.kill()
        rig.messages.clear()
        rig.new_process()
        rig.plug()
        rig._tasks.append(asyncio.create_task(rig.station.run()))
        await rig.until(lambda: rig.evse().open and rig.station.online and not rig.station.link.waiting)
        if version is Version.V16:
            order = [m[2] for _, m in rig.messages if m[0] == 2 and m[2] in ("StartTransaction", "StopTransaction")]
            assert order == ["StopTransaction", "StartTransaction"]
        else:
            kinds = [e["eventType"] for e in rig.calls("TransactionEvent") if e["eventType"] != "Updated"]
            assert kinds == ["Ended", "Started"]


@pytest.mark.parametrize("version", LATE)
async def test_settings_of_the_csms_persist_over_a_restart(version: Version, tmp_path: Path) -> None:
    async with Restarted(version, tmp_path, evses=2) as rig:
        await rig.request("ChangeAvailability", {"operationalStatus": "Inoperative", "evse": {"id": 2}})
        entry = {"idToken": {"idToken": "04A1B2C3", "type": "ISO14443"}, "idTokenInfo": {"status": "Accepted"}}
        body = {"versionNumber": 7, "updateType": "Full", "localAuthorizationList": [entry]}
        assert await rig.request("SendLocalList", body) == {"status": "Accepted"}
        token = {"idToken": "04A1B2C3", "type": "ISO14443"}
        reservation = {"id": 5, "expiryDateTime": "2026-01-16T00:00:00Z", "idToken": token, "evseId": 1}
        assert await rig.request("ReserveNow", reservation) == {"status": "Accepted"}
        variable = {
            "component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "OfflineThreshold"},
            "attributeValue": "123",
        }  # fmt: skip
        await rig.request("SetVariables", {"setVariableData": [variable]})
        monitor = {
            "value": 60.0, "type": "UpperThreshold", "severity": 4,
            "component": {"name": "EVSE", "evse": {"id": 1}}, "variable": {"name": "Temperature"},
        }  # fmt: skip
        answer = await rig.request("SetVariableMonitoring", {"setMonitoringData": [monitor]})
        number = answer["setMonitoringResult"][0]["id"]
        profile = {
            "id": 3, "stackLevel": 1, "chargingProfilePurpose": "TxDefaultProfile",
            "chargingProfileKind": "Relative",
            "chargingSchedule": [
                {"id": 1, "chargingRateUnit": "W", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 1234.0}]}
            ],
        }  # fmt: skip
        assert await rig.request("SetChargingProfile", {"evseId": 0, "chargingProfile": profile}) == {
            "status": "Accepted"
        }
        if version is Version.V21:
            control = {
                "isDefault": True, "controlId": "d1", "controlType": "LimitMaxDischarge",
                "limitMaxDischarge": {"priority": 0, "pctMaxDischargePower": 50.0},
            }  # fmt: skip
            assert (await rig.request("SetDERControl", control))["status"] == "Accepted"
        await rig.kill()
        await rig.start()
        rig.messages.clear()
        await rig.until(lambda: rig.station.online)
        await rig.sleep(3)
        assert {c["evseId"]: c["connectorStatus"] for c in rig.calls("StatusNotification")} == {
            1: "Reserved", 2: "Unavailable",
        }  # fmt: skip
        assert (await rig.request("GetLocalListVersion", {}))["versionNumber"] == 7
        assert await rig.request("CancelReservation", {"reservationId": 5}) == {"status": "Accepted"}
        assert rig.station.device_model.get("OCPPCommCtrlr", "OfflineThreshold") == "123"
        assert rig.station.monitoring.monitors.get(number) is not None
        assert rig.station.smart_charging.composite(rig.evse()).limit_w == 1234.0
        if version is Version.V21:
            assert rig.station.der_controls.in_force("LimitMaxDischarge") is not None


def test_an_unusable_folder_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(OSError, match="file"):
        Store(tmp_path / "file", "CP1")
