"""Certification cases of OCPP 2.0.1 part 6 for charging stations, blocks H, J, L to R; docstrings state ids."""

from __future__ import annotations

import base64
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from protocols.ocpp.schema import Version
from protocols.ocpp.times import parse, stamp
from tests.emulators.charger.certification import TOKEN, boots, events
from tests.emulators.charger.csms_rig import SILENCE, CsmsRig
from tests.gateway.csms.test_security import Authority

pytestmark = pytest.mark.virtual_time

# J: meter values


async def test_clock_aligned_values() -> None:
    """TC_J_01, TC_J_02, TC_J_03, TC_J_09, TC_J_10."""
    async with CsmsRig() as csms:
        assert await csms.set("AlignedDataCtrlr", "Interval", 15) == "Accepted"
        await csms.sleep(61)
        idle = [m["meterValue"][0] for m in csms.calls("MeterValues")]
        assert len(idle) == 4
        assert {v["context"] for m in idle for v in m["sampledValue"]} == {"Sample.Clock"}
        assert all((parse(m["timestamp"]) or 0) % 15 < 0.1 for m in idle)
        assert await csms.set("SampledDataCtrlr", "TxUpdatedInterval", 7) == "Accepted"
        assert await csms.set("AlignedDataCtrlr", "TxEndedInterval", 20) == "Accepted"
        await csms.charging()
        await csms.sleep(100)
        clock = [e for e in events(csms) if e["triggerReason"] == "MeterValueClock"]
        assert len(clock) >= 6
        periodic = [parse(e["timestamp"]) or 0 for e in events(csms) if e["triggerReason"] == "MeterValuePeriodic"]
        assert {round(b - a) for a, b in pairwise(periodic[2:])} == {7}
        csms.station.unplug(1)
        await csms.sleep(1)
        kept = [v for v in events(csms, "Ended")[0]["meterValue"] if v["sampledValue"][0]["context"] == "Sample.Clock"]
        assert len(kept) == 5


# L, M, N: upkeep


async def test_scheduled_and_signed_firmware_updates(tmp_path: Path) -> None:
    """TC_L_02, TC_L_03, TC_L_05, TC_L_08, TC_L_10."""
    (tmp_path / "v2.bin").write_bytes(b"new")
    (tmp_path / "empty.bin").write_bytes(b"")
    (tmp_path / "other").mkdir()
    ca, other = Authority(tmp_path), Authority(tmp_path / "other")
    pem = ca.certificate.public_bytes(Encoding.PEM).decode()

    async with CsmsRig() as csms:
        root = {"certificateType": "ManufacturerRootCertificate", "certificate": pem}
        assert await csms.call("InstallCertificate", root) == {"status": "Accepted"}

        async def update(name: str, by: Authority = ca, **times: float) -> dict[str, Any]:
            signature = by.key.sign(b"" if "empty" in name else b"new", ec.ECDSA(hashes.SHA256()))
            firmware = {
                "location": f"file://{tmp_path}/{name}", "retrieveDateTime": "2020-01-01T00:00:00Z",
                "signingCertificate": by.certificate.public_bytes(Encoding.PEM).decode(),
                "signature": base64.b64encode(signature).decode(),
                **{key: stamp(csms.station.wall() + value) for key, value in times.items()},
            }  # fmt: skip
            return await csms.call("UpdateFirmware", {"requestId": 1, "firmware": firmware})

        assert (await update("v2.bin", other))["status"] == "InvalidCertificate"
        await csms.sleep(1)
        assert csms.calls("SecurityEventNotification")[-1]["type"] == "InvalidFirmwareSigningCertificate"
        assert (await update("empty.bin"))["status"] == "Accepted"
        await csms.sleep(20)
        assert csms.calls("FirmwareStatusNotification")[-1]["status"] == "InstallVerificationFailed"
        csms.received.clear()
        assert (await update("v2.bin", retrieveDateTime=60))["status"] == "Accepted"
        await csms.sleep(5)
        assert (await update("v2.bin", retrieveDateTime=30, installDateTime=90))["status"] == "AcceptedCanceled"
        await csms.until(lambda: bool(csms.calls("BootNotification")))
        firmware_statuses = [c["status"] for c in csms.calls("FirmwareStatusNotification")]
        assert firmware_statuses == [
            "DownloadScheduled", "DownloadScheduled", "Downloading", "Downloaded", "SignatureVerified",
            "InstallScheduled", "Installing", "Installed",
        ]  # fmt: skip
        assert csms.calls("BootNotification")[0]["chargingStation"]["firmwareVersion"] == "v2.bin"


async def test_log_uploads_are_repeated_and_the_security_log_is_separate(tmp_path: Path) -> None:
    """TC_N_26, TC_N_35, TC_N_36."""
    async with CsmsRig() as csms:
        body = {"logType": "SecurityLog", "requestId": 1, "log": {"remoteLocation": f"file://{tmp_path}"}}
        answer = await csms.call("GetLog", body)
        await csms.sleep(2)
        assert b"StartupOfTheDevice" in (tmp_path / answer["filename"]).read_bytes()
        csms.received.clear()
        bad = body | {"log": {"remoteLocation": "gopher://x/"}, "retries": 3, "retryInterval": 20}
        await csms.call("GetLog", bad)
        await csms.sleep(200)
        assert [c["status"] for c in csms.calls("LogStatusNotification")] == ["Uploading", "UploadFailure"] * 4
        at = csms.times("LogStatusNotification")[::2]
        assert all(round(b - a) == 20 for a, b in pairwise(at))
        await csms.call("GetLog", bad)
        await csms.sleep(1)
        assert (await csms.call("GetLog", body))["status"] == "AcceptedCanceled"


async def test_customer_information() -> None:
    """TC_N_27 - TC_N_32."""
    async with CsmsRig() as csms:
        csms.station.local_list.put("04A1B2C3", {"status": "Accepted"})
        for report, clear, data in ((True, False, True), (False, True, False), (True, False, False)):
            csms.received.clear()
            request = {"requestId": 5, "report": report, "clear": clear, "idToken": TOKEN}
            assert await csms.call("CustomerInformation", request) == {"status": "Accepted"}
            await csms.sleep(1)
            (sent,) = csms.calls("NotifyCustomerInformation")
            assert bool(sent["data"]) is data
        assert "04A1B2C3" not in csms.station.local_list


async def test_display_messages_end_at_their_end_time() -> None:
    """TC_O_01, TC_O_13, TC_O_14, TC_O_27, TC_O_28, TC_O_36."""
    async with CsmsRig() as csms:
        now = csms.station.wall()
        text = {"format": "UTF8", "content": "Welcome"}
        message = {
            "id": 1, "priority": "NormalCycle", "message": text, "startDateTime": stamp(now + 30),
            "endDateTime": stamp(now + 60),
        }  # fmt: skip
        assert await csms.call("SetDisplayMessage", {"message": message}) == {"status": "Accepted"}
        front = {"id": 2, "priority": "AlwaysFront", "message": text, "state": "Charging"}
        assert await csms.call("SetDisplayMessage", {"message": front}) == {"status": "Accepted"}
        html = front | {"id": 3, "message": {"format": "HTML", "content": "x"}}
        assert await csms.call("SetDisplayMessage", {"message": html}) == {"status": "NotSupportedMessageFormat"}
        assert csms.station.display.shown() == []
        await csms.sleep(40)
        assert [m["id"] for m in csms.station.display.shown()] == [1]
        await csms.charging()
        assert [m["id"] for m in csms.station.display.shown()] == [2, 1]
        await csms.sleep(60)
        assert await csms.call("GetDisplayMessages", {"requestId": 1, "id": [1]}) == {"status": "Unknown"}


# H: reservations


async def test_reservations_expire_and_persist_over_a_reset() -> None:
    """TC_B_24, TC_H_01 - TC_H_23."""
    async with CsmsRig(evses=2) as csms:

        def reserve(number: int, seconds: float, **about: Any) -> dict[str, Any]:
            expiry = stamp(csms.station.wall() + seconds)
            return {"id": number, "expiryDateTime": expiry, "idToken": TOKEN, **about}

        assert await csms.call("ReserveNow", reserve(1, 600, evseId=1)) == {"status": "Accepted"}
        assert await csms.call("ReserveNow", reserve(2, 600, evseId=1)) == {"status": "Occupied"}
        assert await csms.call("ReserveNow", reserve(1, 900, evseId=1)) == {"status": "Accepted"}
        assert await csms.call("ReserveNow", reserve(3, 60)) == {"status": "Accepted"}
        assert await csms.call("ReserveNow", reserve(4, 60)) == {"status": "Occupied"}  # one EVSE is left for 3
        await csms.sleep(70)
        updates = csms.calls("ReservationStatusUpdate")
        assert updates == [{"reservationId": 3, "reservationUpdateStatus": "Expired"}]
        csms.received.clear()
        await csms.call("Reset", {"type": "OnIdle"})
        await csms.until(lambda: len(csms.calls("StatusNotification")) >= 2)
        assert csms.calls("StatusNotification")[0]["connectorStatus"] == "Reserved"
        await csms.call("ChangeAvailability", {"operationalStatus": "Inoperative", "evse": {"id": 1}})
        await csms.sleep(1)
        updates = csms.calls("ReservationStatusUpdate")
        assert updates == [{"reservationId": 1, "reservationUpdateStatus": "Removed"}]
        assert await csms.call("CancelReservation", {"reservationId": 1}) == {"status": "Rejected"}


async def test_der_alarms_while_offline_are_sent_after_reconnection() -> None:
    """R04.FR.20, R05 and H04 apply while offline; before acceptance only BootNotification is sent."""
    async with CsmsRig(Version.V21, evses=2) as csms:
        now = csms.station.wall()
        control = {
            "isDefault": False, "controlId": "c1", "controlType": "LimitMaxDischarge",
            "limitMaxDischarge": {
                "priority": 0, "pctMaxDischargePower": 50.0, "startTime": stamp(now + 60), "duration": 60.0,
            },
        }  # fmt: skip
        assert (await csms.call("SetDERControl", control))["status"] == "Accepted"
        reserve = {"id": 1, "expiryDateTime": stamp(now + 90), "idToken": TOKEN, "evseId": 2}
        assert await csms.call("ReserveNow", reserve) == {"status": "Accepted"}
        await csms.cut()
        await csms.sleep(200)
        csms.received.clear()
        boots(csms, "Pending", "Accepted", interval=30)
        csms.station.link.booted = False
        csms.down.clear()
        await csms.until(lambda: csms.station.online)
        assert [a for _, a, _ in csms.received][:2] == ["BootNotification"] * 2
        await csms.sleep(5)
        turns = csms.calls("NotifyDERStartStop")
        assert [t["started"] for t in turns] == [True, False]
        assert [round((parse(t["timestamp"]) or 0) - now) for t in turns] == [60, 120]
        updates = csms.calls("ReservationStatusUpdate")
        assert updates == [{"reservationId": 1, "reservationUpdateStatus": "Expired"}]


async def test_an_unanswered_notification_delays_no_transaction() -> None:
    """Notifications delay the messages of transactions by at most one time-out."""
    csms = CsmsRig()
    csms.answers["SecurityEventNotification"] = SILENCE
    async with csms:
        csms.plug()
        await csms.until(lambda: bool(events(csms, "Started")), within=40)
        await csms.sleep(300)
        assert len(events(csms)) > 20
        assert len(csms.calls("SecurityEventNotification")) <= 5  # attempts, then it is given up
