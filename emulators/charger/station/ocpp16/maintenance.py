"""Requests of a 1.6 CSMS about diagnostics, firmware and certificates (1.6 chapter 5, security whitepaper)."""

from __future__ import annotations

from emulators.charger.station.maintenance.maintenance import Firmware
from emulators.charger.station.maintenance.requests import SharedMaintenanceRequests, retries
from emulators.charger.station.responses import response
from protocols.ocpp.enums import v16
from protocols.ocpp.schema import Payload
from protocols.ocpp.times import parse

FIRMWARE_STATES = frozenset(
    {"Downloaded", "DownloadFailed", "Downloading", "Idle", "InstallationFailed", "Installing", "Installed"}
)


# Status of an update that runs, as FirmwareStatusNotification of 1.6 states it; any other status is Idle.
_RUNNING_UPDATE = {
    "Downloading": "Downloading",
    "Downloaded": "Downloaded",
    "SignatureVerified": "Downloaded",
    "InstallScheduled": "Downloaded",
    "Installing": "Installing",
}


class MaintenanceRequests(SharedMaintenanceRequests):
    """Handlers of maintenance requests."""

    firmware_action = v16.Action.signed_firmware_status_notification

    def get_diagnostics(self, request: Payload) -> Payload:
        """GetDiagnostics (5.9)."""
        name = self._station.maintenance.log_name()

        async def notify(status: str) -> None:
            await self._station.call(v16.Action.diagnostics_status_notification, {"status": status})

        self._station.maintenance.upload(request["location"], name, notify, "UploadFailed", **retries(request))
        return {"fileName": name}

    def update_firmware(self, request: Payload) -> Payload:
        """UpdateFirmware (5.19)."""

        async def notify(status: str) -> None:
            known = "InstallationFailed" if status == "InstallVerificationFailed" else status
            if known in FIRMWARE_STATES:
                self._station.notify(v16.Action.firmware_status_notification, {"status": known})

        update = Firmware(request["location"], parse(request["retrieveDate"]), **retries(request))
        self._station.maintenance.update(update, notify)
        return {}

    def signed_update_firmware(self, request: Payload) -> Payload:
        """SignedUpdateFirmware (whitepaper 5.1)."""
        return self._update_firmware(request)

    async def send_unsigned_firmware_status(self) -> None:
        """Send FirmwareStatusNotification, Idle without a running update (4.5)."""
        status = _RUNNING_UPDATE.get(self._station.maintenance.firmware_status[0], "Idle")
        await self._station.call(v16.Action.firmware_status_notification, {"status": status})

    async def send_diagnostics_status(self) -> None:
        """Send DiagnosticsStatusNotification, Idle without a running upload (4.4)."""
        await self._station.call(
            v16.Action.diagnostics_status_notification, {"status": self._station.maintenance.log_status[0]}
        )

    def get_installed_certificate_ids(self, request: Payload) -> Payload:
        """GetInstalledCertificateIds (whitepaper 4.2)."""
        found = self._station.maintenance.certificates.of([request["certificateType"]])
        if not found:
            return response(v16.GetInstalledCertificateStatus.not_found)
        hashes = [one.hash_data() for one in found]
        return response(v16.GetInstalledCertificateStatus.accepted, certificateHashData=hashes)

    async def sign(self) -> None:
        """Send SignCertificate."""
        await self._station.call(v16.Action.sign_certificate, self._signing_request())
