"""What the emulated station does when a 1.6 CSMS asks for diagnostics, firmware or certificates (whitepaper)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from emulators.charger.station import Station
from protocols.ocpp.schema import Payload
from protocols.ocpp.times import parse

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

        self.station.later(self.upkeep.upload(request["location"], name, tell, "UploadFailed"))
        return {"fileName": name}

    def get_log(self, request: Payload) -> Payload:
        """Whitepaper 4.4."""
        name, number = self.upkeep.log_name(), request["requestId"]

        async def tell(status: str) -> None:
            await self.station.call("LogStatusNotification", {"status": status, "requestId": number})

        self.station.later(self.upkeep.upload(request["log"]["remoteLocation"], name, tell, "UploadFailure"))
        return {"status": "Accepted", "filename": name}

    def update_firmware(self, request: Payload) -> Payload:
        """5.19."""

        async def tell(status: str) -> None:
            await self.station.call("FirmwareStatusNotification", {"status": status})

        work = self.upkeep.update(request["location"], tell)
        self.station.later(self._at(parse(request["retrieveDate"]), work))
        return {}

    def signed_update_firmware(self, request: Payload) -> Payload:
        """Whitepaper 5.1."""
        firmware, number = request["firmware"], request["requestId"]

        async def tell(status: str) -> None:
            await self.station.call("SignedFirmwareStatusNotification", {"status": status, "requestId": number})

        work = self.upkeep.update(firmware["location"], tell, firmware["signingCertificate"], firmware["signature"])
        self.station.later(self._at(parse(firmware["retrieveDateTime"]), work))
        return {"status": "Accepted"}

    async def _at(self, when: float | None, work: Any) -> None:
        if when is not None and when > self.station.wall():
            await self.station.clock.sleep(when - self.station.wall())
        await work

    def install_certificate(self, request: Payload) -> Payload:
        """Whitepaper 4.2."""
        return {"status": self.upkeep.certificates.install(request["certificateType"], request["certificate"])}

    def get_installed_certificate_ids(self, request: Payload) -> Payload:
        """Whitepaper 4.2."""
        found = self.upkeep.certificates.of([request["certificateType"]])
        if not found:
            return {"status": "NotFound"}
        return {"status": "Accepted", "certificateHashData": [one.hash_data() for one in found]}

    def delete_certificate(self, request: Payload) -> Payload:
        """Whitepaper 4.2."""
        return {"status": self.upkeep.certificates.delete(request["certificateHashData"])}

    def certificate_signed(self, request: Payload) -> Payload:
        """Whitepaper 4.1."""
        return {"status": "Accepted" if self.upkeep.certificates.take(request["certificateChain"]) else "Rejected"}

    async def sign(self) -> None:
        """Ask for a certificate of one's own."""
        await self.station.call("SignCertificate", {"csr": self.upkeep.certificates.request(self.station.config.id)})
