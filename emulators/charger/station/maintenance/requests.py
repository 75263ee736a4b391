"""Requests about maintenance that 2.x and the security whitepaper of 1.6 share: logs, firmware, certificates."""

from __future__ import annotations

from typing import TypedDict

from emulators.charger.station.context import StationContext
from emulators.charger.station.csms_link.link import CsmsLink
from emulators.charger.station.maintenance.maintenance import Firmware, Maintenance
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


class SharedMaintenanceRequests:
    """Handlers with the same payloads in both versions."""

    def __init__(self, context: StationContext, maintenance: Maintenance, link: CsmsLink) -> None:
        self._context, self._maintenance, self._link = context, maintenance, link

    def get_log(self, request: Payload) -> Payload:
        """GetLog (N01; whitepaper 4.4). The diagnostics log contains the messages sent."""
        name, number = self._maintenance.log_name(), request["requestId"]

        async def notify(status: str) -> None:
            await self._context.call("LogStatusNotification", {"status": status, "requestId": number})

        security = request["logType"] == "SecurityLog"
        url = request["log"]["remoteLocation"]
        cancelled = self._maintenance.upload(
            url, name, notify, "UploadFailure", number=number, security=security, **retries(request)
        )
        return {"status": "AcceptedCanceled" if cancelled else "Accepted", "filename": name}

    def _update_firmware(self, request: Payload, status_action: str) -> Payload:
        """Start a firmware update, signed or not; return the response."""
        firmware, number = request["firmware"], request["requestId"]

        async def notify(status: str) -> None:
            self._context.notify(status_action, {"status": status, "requestId": number})

        signer = firmware.get("signingCertificate")
        if signer is not None and not self._maintenance.trusts(signer):
            self._context.security_event("InvalidFirmwareSigningCertificate")
            return {"status": "InvalidCertificate"}
        update = Firmware(
            firmware["location"],
            parse(firmware["retrieveDateTime"]),
            parse(firmware.get("installDateTime")),
            signer,
            firmware.get("signature"),
            **retries(request),
        )
        cancelled = self._maintenance.update(update, notify, number)
        return {"status": "AcceptedCanceled" if cancelled else "Accepted"}

    def install_certificate(self, request: Payload) -> Payload:
        """InstallCertificate (M05; whitepaper 4.2)."""
        store, kind = self._maintenance.certificates, request["certificateType"]
        status = store.install(kind, request["certificate"], self._context.wall())
        self._context.save("certificates")
        return {"status": status}

    def delete_certificate(self, request: Payload) -> Payload:
        """DeleteCertificate (M04; whitepaper 4.2)."""
        status = self._maintenance.certificates.delete(request["certificateHashData"])
        self._context.save("certificates")
        return {"status": status}

    def certificate_signed(self, request: Payload) -> Payload:
        """CertificateSigned: accepted only for the requested key (A02; whitepaper 4.1)."""
        if not self._maintenance.certificates.accept(request["certificateChain"], self._context.wall()):
            self._context.security_event("InvalidChargingStationCertificate")
            return {"status": "Rejected"}
        self._context.save("certificates")
        if self._link.network_profiles.target().security_profile == 3:
            self._context.later(self._link.reconnect("new certificate"))
        return {"status": "Accepted"}

    def _signing_request(self) -> Payload:
        """Return a payload of SignCertificate with a new key."""
        return {"csr": self._maintenance.certificates.request(self._context.config.id)}
