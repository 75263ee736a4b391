"""Logs, firmware, certificates, display messages and customer information at the request of the CSMS."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.csms.settings import CsmsSettings, StationSettings, UnknownTokens
from protocols.ocpp.schema import Version
from tests.emulators.charger.station_rig import Rig
from tests.gateway.csms.test_certificates import files
from tests.gateway.csms.test_security import Authority

pytestmark = pytest.mark.virtual_time

LATE = [Version.V201, Version.V21]


@pytest.mark.parametrize("version", list(Version))
async def test_a_log_is_uploaded(version: Version, tmp_path: Path) -> None:
    async with Rig(version) as rig:
        log = {"log": {"remoteLocation": f"file://{tmp_path}"}, "logType": "DiagnosticsLog", "requestId": 3}
        answer = await rig.request("GetLog", log)
        await rig.sleep(5)
        assert [c["status"] for c in rig.calls("LogStatusNotification")] == ["Uploading", "Uploaded"]
        calls = [json.loads(line) for line in (tmp_path / answer["filename"]).read_text().splitlines()]
        assert {kind for kind, *_ in calls} == {2}
        assert calls[0][2] == "BootNotification"
        await rig.request("GetLog", log | {"log": {"remoteLocation": "gopher://x/"}})
        await rig.sleep(5)
        assert rig.calls("LogStatusNotification")[-1] == {"status": "UploadFailure", "requestId": 3}
        if version is Version.V16:
            name = (await rig.request("GetDiagnostics", {"location": f"file://{tmp_path}"}))["fileName"]
            await rig.sleep(5)
            assert rig.calls("DiagnosticsStatusNotification")[-1]["status"] == "Uploaded"
            assert (tmp_path / name).exists()


def statuses(rig: Rig, action: str = "FirmwareStatusNotification") -> list[str]:
    return [c["status"] for c in rig.calls(action)]


@pytest.mark.parametrize("version", LATE)
async def test_firmware_is_verified_installed_and_booted(version: Version, tmp_path: Path) -> None:
    image = tmp_path / "v2.bin"
    image.write_bytes(b"new")
    ca = Authority(tmp_path)
    good = base64.b64encode(ca.key.sign(b"new", ec.ECDSA(hashes.SHA256()))).decode()
    bad = base64.b64encode(ca.key.sign(b"old", ec.ECDSA(hashes.SHA256()))).decode()
    pem = ca.certificate.public_bytes(Encoding.PEM).decode()

    async with Rig(version) as rig:

        async def update(location: str, signature: str) -> None:
            firmware = {
                "location": location,
                "retrieveDateTime": "2026-01-15T00:00:00Z",
                "signingCertificate": pem,
                "signature": signature,
            }
            assert await rig.request("UpdateFirmware", {"requestId": 1, "firmware": firmware}) == {"status": "Accepted"}
            await rig.sleep(20)

        await update(f"file://{tmp_path}/none", good)
        assert statuses(rig) == ["Downloading", "DownloadFailed"]
        await update(f"file://{image}", bad)
        assert statuses(rig)[2:] == ["Downloading", "Downloaded", "InvalidSignature"]
        await update(f"file://{image}", good)
        assert statuses(rig)[5:] == ["Downloading", "Downloaded", "SignatureVerified", "Installing", "Installed"]
        await rig.until(lambda: rig.calls("BootNotification")[-1]["reason"] == "FirmwareUpdate")
        assert rig.calls("BootNotification")[-1]["chargingStation"]["firmwareVersion"] == "v2.bin"
        await rig.until(lambda: rig.station.online)


async def test_firmware_16(tmp_path: Path) -> None:
    (tmp_path / "v2.bin").write_bytes(b"new")

    async with Rig(Version.V16) as rig:
        body = {"location": f"file://{tmp_path}/v2.bin", "retrieveDate": "2026-01-15T00:01:00Z"}
        assert await rig.request("UpdateFirmware", body) == {}
        await rig.sleep(30)
        assert statuses(rig) == []  # not before its time
        await rig.sleep(60)
        assert statuses(rig) == ["Downloading", "Downloaded", "Installing", "Installed"]
        assert rig.calls("BootNotification")[-1]["firmwareVersion"] == "v2.bin"


@pytest.mark.parametrize("version", list(Version))
async def test_certificates(version: Version, tmp_path: Path) -> None:
    certificate, key = files(tmp_path)
    early = version is Version.V16
    kind = "CentralSystemRootCertificate" if early else "CSMSRootCertificate"
    settings = CsmsSettings(
        stations=(StationSettings("CP1"),), unknown_tokens=UnknownTokens.ACCEPT, tls_ca=certificate, ca_key=key
    )

    async with Rig(version, settings=settings) as rig:
        wanted: dict[str, Any] = {"certificateType": kind if early else [kind]}
        assert (await rig.request("GetInstalledCertificateIds", wanted))["status"] == "NotFound"
        pem = certificate.read_text()
        body = {"certificateType": kind, "certificate": pem}
        assert await rig.request("InstallCertificate", body) == {"status": "Accepted"}
        broken = {"certificateType": kind, "certificate": "nonsense"}
        assert await rig.request("InstallCertificate", broken) == {"status": "Rejected"}
        found = await rig.request("GetInstalledCertificateIds", wanted)
        if early:
            (data,) = found["certificateHashData"]
        else:
            data = found["certificateHashDataChain"][0]["certificateHashData"]
        assert await rig.request("DeleteCertificate", {"certificateHashData": data}) == {"status": "Accepted"}
        assert await rig.request("DeleteCertificate", {"certificateHashData": data}) == {"status": "NotFound"}
        trigger = "ExtendedTriggerMessage" if early else "TriggerMessage"
        message = "SignChargePointCertificate" if early else "SignChargingStationCertificate"
        assert await rig.request(trigger, {"requestedMessage": message}) == {"status": "Accepted"}
        await rig.until(lambda: bool(rig.station.maintenance.certificates.own))
        assert rig.answers("CertificateSigned") == [{"status": "Accepted"}]
        again = {"certificateChain": rig.calls("CertificateSigned")[0]["certificateChain"]}
        assert await rig.request("CertificateSigned", again) == {"status": "Rejected"}  # not requested


@pytest.mark.parametrize("version", LATE)
async def test_display_messages_costs_and_customer_information(version: Version) -> None:
    async with Rig(version) as rig:
        await rig.charging()
        text = {"format": "UTF8", "content": "Welcome"}
        message = {"id": 1, "priority": "NormalCycle", "message": text}
        assert await rig.request("SetDisplayMessage", {"message": message}) == {"status": "Accepted"}
        lost = message | {"id": 2, "transactionId": "nobody"}
        assert await rig.request("SetDisplayMessage", {"message": lost}) == {"status": "UnknownTransaction"}
        assert await rig.request("GetDisplayMessages", {"requestId": 1, "id": [9]}) == {"status": "Unknown"}
        assert await rig.request("GetDisplayMessages", {"requestId": 1}) == {"status": "Accepted"}
        await rig.sleep(1)
        assert rig.calls("NotifyDisplayMessages")[0]["messageInfo"] == [message]
        assert await rig.request("ClearDisplayMessage", {"id": 1}) == {"status": "Accepted"}
        assert await rig.request("ClearDisplayMessage", {"id": 1}) == {"status": "Unknown"}

        transaction = rig.evse().transaction
        assert transaction is not None
        assert await rig.request("CostUpdated", {"totalCost": 1.5, "transactionId": transaction.id}) == {}

        token = {"idToken": "A", "type": "ISO14443"}
        entry = {"idToken": token, "idTokenInfo": {"status": "Accepted"}}
        body = {"versionNumber": 1, "updateType": "Full", "localAuthorizationList": [entry]}
        assert await rig.request("SendLocalList", body) == {"status": "Accepted"}
        request = {"requestId": 2, "report": True, "clear": True, "idToken": token}
        assert await rig.request("CustomerInformation", request) == {"status": "Accepted"}
        await rig.sleep(1)
        assert "A" in rig.calls("NotifyCustomerInformation")[0]["data"]
        assert len(rig.station.local_list) == 0
        assert rig.errors() == []
