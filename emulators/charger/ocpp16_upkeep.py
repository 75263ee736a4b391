"""What the emulated station does when a 1.6 CSMS asks for diagnostics, firmware or certificates (whitepaper)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

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

        self.station.later(self.upkeep.update(request["location"], parse(request["retrieveDate"]), tell))
        return {}

    def signed_update_firmware(self, request: Payload) -> Payload:
        """Whitepaper 5.1."""
        firmware, number = request["firmware"], request["requestId"]

        async def tell(status: str) -> None:
            await self.station.call("SignedFirmwareStatusNotification", {"status": status, "requestId": number})

        when, signer = parse(firmware["retrieveDateTime"]), firmware["signingCertificate"]
        self.station.later(self.upkeep.update(firmware["location"], when, tell, signer, firmware["signature"]))
        return {"status": "Accepted"}

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
