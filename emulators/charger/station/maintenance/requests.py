"""Requests about maintenance that 2.x and the security whitepaper of 1.6 share: logs, firmware, certificates."""

from __future__ import annotations

from typing import TypedDict

from emulators.charger.station.maintenance.maintenance import Firmware
from emulators.charger.station.responses import response
from emulators.charger.station.shared_requests import RequestHandlers
from protocols.ocpp.enums import v21
from protocols.ocpp.schema import Payload
from protocols.ocpp.times import parse


class Retries(TypedDict, total=False):
    """Repetitions of a transfer and the wait between them, s."""

    retries: int
    retry_after: float


def retries(request: Payload) -> Retries:
    """Return the repetitions that a request allows."""
    found: Retries = {"retries": request.get("retries", 0)}
    if "retryInterval" in request:
        found["retry_after"] = float(request["retryInterval"])
    return found


class SharedMaintenanceRequests(RequestHandlers):
    """Handlers with the same payloads in both versions."""

    firmware_action: str  # notification of the status of updates

    def get_log(self, request: Payload) -> Payload:
        """GetLog (N01; whitepaper 4.4). The diagnostics log contains the messages sent."""
        name, number = self._station.maintenance.log_name(), request["requestId"]

        async def notify(status: str) -> None:
            await self._station.call(v21.Action.log_status_notification, {"status": status, "requestId": number})

        security = request["logType"] == "SecurityLog"
        url = request["log"]["remoteLocation"]
        cancelled = self._station.maintenance.upload(
            url, name, notify, "UploadFailure", number=number, security=security, **retries(request)
        )
        status = v21.LogStatusEnumType.accepted_canceled if cancelled else v21.LogStatusEnumType.accepted
        return response(status, filename=name)

    def _update_firmware(self, request: Payload) -> Payload:
        """Start a firmware update, signed or not; return the response."""
        firmware, number = request["firmware"], request["requestId"]

        async def notify(status: str) -> None:
            self._station.notify(self.firmware_action, {"status": status, "requestId": number})

        signer = firmware.get("signingCertificate")
        if signer is not None and not self._station.maintenance.trusts(signer):
            self._station.security_event("InvalidFirmwareSigningCertificate")
            return response(v21.UpdateFirmwareStatusEnumType.invalid_certificate)
        update = Firmware(
            firmware["location"],
            parse(firmware["retrieveDateTime"]),
            parse(firmware.get("installDateTime")),
            signer,
            firmware.get("signature"),
            **retries(request),
        )
        cancelled = self._station.maintenance.update(update, notify, number)
        statuses = v21.UpdateFirmwareStatusEnumType
        return response(statuses.accepted_canceled if cancelled else statuses.accepted)

    def install_certificate(self, request: Payload) -> Payload:
        """InstallCertificate (M05; whitepaper 4.2)."""
        store, kind = self._station.maintenance.certificates, request["certificateType"]
        status = store.install(kind, request["certificate"], self._station.wall())
        self._station.save("certificates")
        return response(status)

    def delete_certificate(self, request: Payload) -> Payload:
        """DeleteCertificate (M04; whitepaper 4.2)."""
        status = self._station.maintenance.certificates.delete(request["certificateHashData"])
        self._station.save("certificates")
        return response(status)

    def certificate_signed(self, request: Payload) -> Payload:
        """CertificateSigned: accepted only for the requested key (A02; whitepaper 4.1)."""
        if not self._station.maintenance.certificates.accept(request["certificateChain"], self._station.wall()):
            self._station.security_event("InvalidChargingStationCertificate")
            return response(v21.CertificateSignedStatusEnumType.rejected)
        self._station.save("certificates")
        if self._station.link.network_profiles.target().security_profile == 3:
            self._station.later(self._station.link.reconnect("new certificate"))
        return response(v21.CertificateSignedStatusEnumType.accepted)

    def _signing_request(self) -> Payload:
        """Return a payload of SignCertificate with a new key."""
        return {"csr": self._station.maintenance.certificates.request(self._station.config.id)}

    async def send_firmware_status(self) -> None:
        """Send the status of firmware updates, Idle without a running update (F06.FR.16)."""
        await self._send_status(self.firmware_action, self._station.maintenance.firmware_status)

    async def send_log_status(self) -> None:
        """Send LogStatusNotification, Idle without a running upload (F06.FR.15)."""
        await self._send_status(v21.Action.log_status_notification, self._station.maintenance.log_status)

    async def _send_status(self, action: str, current: tuple[str, int | None]) -> None:
        status, number = current
        body: Payload = {"status": status} | ({} if number is None or status == "Idle" else {"requestId": number})
        await self._station.call(action, body)
