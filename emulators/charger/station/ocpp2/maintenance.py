"""Requests of a 2.x CSMS about logs, firmware and certificates (blocks A, L, M, N)."""

from __future__ import annotations

from emulators.charger.station.maintenance.requests import SharedMaintenanceRequests
from emulators.charger.station.responses import response
from protocols.ocpp.enums import v21
from protocols.ocpp.schema import Payload, Version


class MaintenanceRequests(SharedMaintenanceRequests):
    """Handlers of maintenance requests."""

    firmware_action = v21.Action.firmware_status_notification

    def update_firmware(self, request: Payload) -> Payload:
        """UpdateFirmware (L01, L02)."""
        unsigned_allowed = self._station.config.unsigned_firmware
        if unsigned_allowed is None:
            unsigned_allowed = self._station.link.network_profiles.target().security_profile < 2
        if "signingCertificate" not in request["firmware"] and not unsigned_allowed:
            return response(v21.UpdateFirmwareStatusEnumType.rejected)
        return self._update_firmware(request)

    def get_installed_certificate_ids(self, request: Payload) -> Payload:
        """GetInstalledCertificateIds (M03)."""
        found = self._station.maintenance.certificates.of(request.get("certificateType"))
        if not found:
            return response(v21.GetInstalledCertificateStatusEnumType.not_found)
        chain = [{"certificateType": one.kind, "certificateHashData": one.hash_data()} for one in found]
        return response(v21.GetInstalledCertificateStatusEnumType.accepted, certificateHashDataChain=chain)

    async def sign(self) -> None:
        """Send SignCertificate (A02)."""
        body = self._signing_request() | {"certificateType": "ChargingStationCertificate"}
        if self._station.config.version is Version.V21:
            body["requestId"] = self._station.maintenance.uploads + 1
        await self._station.call(v21.Action.sign_certificate, body)
