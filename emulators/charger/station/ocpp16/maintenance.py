"""What the emulated station does when a 1.6 CSMS asks for diagnostics, firmware or certificates (whitepaper)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from emulators.charger.station.maintenance.maintenance import Firmware
from emulators.charger.station.station import Station
from protocols.ocpp.schema import Payload
from protocols.ocpp.times import parse

FIRMWARE_STATES = frozenset(
    {"Downloaded", "DownloadFailed", "Downloading", "Idle", "InstallationFailed", "Installing", "Installed"}
)
Handler = Callable[[Payload], Payload | Awaitable[Payload]]


def handlers(station: Station) -> dict[str, Handler]:
    """The table for one connection."""
    asked = Upkeep16(station)
    return {
        "CertificateSigned": asked.certificate_signed,
        "DeleteCertificate": asked.delete_certificate,
        "GetDiagnostics": asked.get_diagnostics,
        "GetInstalledCertificateIds": asked.get_installed_certificate_ids,
        "GetLog": asked.get_log,
        "InstallCertificate": asked.install_certificate,
        "SignedUpdateFirmware": asked.signed_update_firmware,
        "UpdateFirmware": asked.update_firmware,
    }


class Upkeep16:
    """Requests of a 1.6 CSMS about upkeep."""

    def __init__(self, station: Station) -> None:
        self.station = station
        self.upkeep = station.upkeep

    def get_diagnostics(self, request: Payload) -> Payload:
        """5.9."""
        name = self.upkeep.log_name()

        async def tell(status: str) -> None:
            await self.station.call("DiagnosticsStatusNotification", {"status": status})

        self.upkeep.upload(request["location"], name, tell, "UploadFailed", **retries(request))
        return {"fileName": name}

    def get_log(self, request: Payload) -> Payload:
        """Whitepaper 4.4."""
        name, number = self.upkeep.log_name(), request["requestId"]

        async def tell(status: str) -> None:
            await self.station.call("LogStatusNotification", {"status": status, "requestId": number})

        security = request["logType"] == "SecurityLog"
        where = request["log"]["remoteLocation"]
        cancelled = self.upkeep.upload(
            where, name, tell, "UploadFailure", number=number, security=security, **retries(request)
        )
        return {"status": "AcceptedCanceled" if cancelled else "Accepted", "filename": name}

    def update_firmware(self, request: Payload) -> Payload:
        """5.19."""

        async def tell(status: str) -> None:
            said = "InstallationFailed" if status == "InstallVerificationFailed" else status
            if said in FIRMWARE_STATES:
                self.station.tell("FirmwareStatusNotification", {"status": said})

        tries = retries(request)
        self.upkeep.update(Firmware(request["location"], parse(request["retrieveDate"]), **tries), tell)
        return {}

    def signed_update_firmware(self, request: Payload) -> Payload:
        """Whitepaper 5.1."""
        firmware, number = request["firmware"], request["requestId"]

        async def tell(status: str) -> None:
            self.station.tell("SignedFirmwareStatusNotification", {"status": status, "requestId": number})

        if not self.upkeep.trusts(firmware["signingCertificate"]):
            self.station.security_event("InvalidFirmwareSigningCertificate")
            return {"status": "InvalidCertificate"}
        wanted = Firmware(
            firmware["location"],
            parse(firmware["retrieveDateTime"]),
            parse(firmware.get("installDateTime")),
            firmware["signingCertificate"],
            firmware["signature"],
            **retries(request),
        )
        cancelled = self.upkeep.update(wanted, tell, number)
        return {"status": "AcceptedCanceled" if cancelled else "Accepted"}

    def install_certificate(self, request: Payload) -> Payload:
        """Whitepaper 4.2."""
        store, kind = self.upkeep.certificates, request["certificateType"]
        status = store.install(kind, request["certificate"], self.station.wall())
        self.station.save("certificates")
        return {"status": status}

    def get_installed_certificate_ids(self, request: Payload) -> Payload:
        """Whitepaper 4.2."""
        found = self.upkeep.certificates.of([request["certificateType"]])
        if not found:
            return {"status": "NotFound"}
        return {"status": "Accepted", "certificateHashData": [one.hash_data() for one in found]}

    def delete_certificate(self, request: Payload) -> Payload:
        """Whitepaper 4.2."""
        status = self.upkeep.certificates.delete(request["certificateHashData"])
        self.station.save("certificates")
        return {"status": status}

    def certificate_signed(self, request: Payload) -> Payload:
        """Whitepaper 4.1."""
        if not self.upkeep.certificates.take(request["certificateChain"], self.station.wall()):
            self.station.security_event("InvalidChargingStationCertificate")
            return {"status": "Rejected"}
        self.station.save("certificates")
        if self.station.line.network.target().security_profile == 3:
            self.station.later(self.station.line.reconnect("new certificate"))
        return {"status": "Accepted"}

    async def sign(self) -> None:
        """Ask for a certificate of one's own."""
        await self.station.call("SignCertificate", {"csr": self.upkeep.certificates.request(self.station.config.id)})


def retries(request: Payload) -> dict[str, Any]:
    """How often, and after how many seconds, something is tried again."""
    found: dict[str, Any] = {"retries": request.get("retries", 0)}
    if "retryInterval" in request:
        found["retry_after"] = float(request["retryInterval"])
    return found
