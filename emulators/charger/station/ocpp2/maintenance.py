"""What the emulated station does when a 2.x CSMS asks for logs, firmware, certificates, messages or customers' data."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from emulators.charger.station.maintenance.maintenance import Firmware
from emulators.charger.station.ocpp16.maintenance import retries
from emulators.charger.station.station import Station
from protocols.ocpp.schema import Payload, Version
from protocols.ocpp.times import parse, stamp

DATA_LENGTH = 512  # of one NotifyCustomerInformation
Handler = Callable[[Payload], Payload | Awaitable[Payload]]


def handlers(station: Station) -> dict[str, Handler]:
    """The table for one connection."""
    asked = Upkeep2(station)
    return {
        "CertificateSigned": asked.certificate_signed,
        "ClearDisplayMessage": asked.clear_display_message,
        "CostUpdated": asked.cost_updated,
        "CustomerInformation": asked.customer_information,
        "DeleteCertificate": asked.delete_certificate,
        "GetDisplayMessages": asked.get_display_messages,
        "GetInstalledCertificateIds": asked.get_installed_certificate_ids,
        "GetLog": asked.get_log,
        "InstallCertificate": asked.install_certificate,
        "SetDisplayMessage": asked.set_display_message,
        "UpdateFirmware": asked.update_firmware,
    }


class Upkeep2:
    """Requests of a 2.x CSMS about upkeep."""

    def __init__(self, station: Station) -> None:
        self.station = station
        self.upkeep = station.upkeep

    # N01, L01

    def get_log(self, request: Payload) -> Payload:
        """N01: the log is what the station has said."""
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
        """L01, L02."""
        firmware, number = request["firmware"], request["requestId"]

        async def tell(status: str) -> None:
            self.station.tell("FirmwareStatusNotification", {"status": status, "requestId": number})

        signer = firmware.get("signingCertificate")
        unsigned = self.station.config.unsigned_firmware
        if unsigned is None:
            unsigned = self.station.line.network.target().security_profile < 2
        if signer is None and not unsigned:
            return {"status": "Rejected"}
        if signer is not None and not self.upkeep.trusts(signer):
            self.station.security_event("InvalidFirmwareSigningCertificate")
            return {"status": "InvalidCertificate"}
        wanted = Firmware(
            firmware["location"],
            parse(firmware["retrieveDateTime"]),
            parse(firmware.get("installDateTime")),
            signer,
            firmware.get("signature"),
            **retries(request),
        )
        cancelled = self.upkeep.update(wanted, tell, number)
        return {"status": "AcceptedCanceled" if cancelled else "Accepted"}

    # A02, M03-M05

    def install_certificate(self, request: Payload) -> Payload:
        """M05."""
        store, kind = self.upkeep.certificates, request["certificateType"]
        status = store.install(kind, request["certificate"], self.station.wall())
        self.station.save("certificates")
        return {"status": status}

    def get_installed_certificate_ids(self, request: Payload) -> Payload:
        """M03."""
        found = self.upkeep.certificates.of(request.get("certificateType"))
        if not found:
            return {"status": "NotFound"}
        chain = [{"certificateType": one.kind, "certificateHashData": one.hash_data()} for one in found]
        return {"status": "Accepted", "certificateHashDataChain": chain}

    def delete_certificate(self, request: Payload) -> Payload:
        """M04."""
        status = self.upkeep.certificates.delete(request["certificateHashData"])
        self.station.save("certificates")
        return {"status": status}

    def certificate_signed(self, request: Payload) -> Payload:
        """A02: only for the key that was asked for."""
        if not self.upkeep.certificates.take(request["certificateChain"], self.station.wall()):
            self.station.security_event("InvalidChargingStationCertificate")
            return {"status": "Rejected"}
        self.station.save("certificates")
        if self.station.line.network.target().security_profile == 3:
            self.station.later(self.station.line.reconnect("new certificate"))
        return {"status": "Accepted"}

    async def sign(self) -> None:
        """Ask for a certificate of one's own."""
        body: Payload = {
            "csr": self.upkeep.certificates.request(self.station.config.id),
            "certificateType": "ChargingStationCertificate",
        }
        if self.station.config.version is Version.V21:
            body["requestId"] = self.upkeep.uploads + 1
        await self.station.call("SignCertificate", body)

    # O

    def set_display_message(self, request: Payload) -> Payload:
        """O01, O02, O06."""
        return {"status": self.station.display.put(request["message"])}

    def get_display_messages(self, request: Payload) -> Payload:
        """O03, O04."""
        wanted = self.station.display.select(request.get("id"), request.get("priority"), request.get("state"))
        if not wanted:
            return {"status": "Unknown"}
        body: Payload = {"requestId": request["requestId"], "messageInfo": wanted, "tbc": False}
        self.station.later(self._tell("NotifyDisplayMessages", body))
        return {"status": "Accepted"}

    def clear_display_message(self, request: Payload) -> Payload:
        """O05."""
        return {"status": "Accepted" if self.station.display.clear(request["id"]) else "Unknown"}

    # I, N09, N10

    def cost_updated(self, request: Payload) -> Payload:
        """I02: what the driver sees."""
        for evse in self.station.evses.values():
            if evse.transaction is not None and evse.transaction.id == request["transactionId"]:
                evse.transaction.cost_updated = request["totalCost"]
        return {}

    def customer_information(self, request: Payload) -> Payload:
        """N09, N10: what is kept of a customer is an entry of the local list. By anything else nothing is found."""
        token = request.get("idToken", {}).get("idToken")
        if token is None and not {"customerIdentifier", "customerCertificate"} & request.keys():
            return {"status": "Invalid"}
        if not (request["report"] or request["clear"]):
            return {"status": "Rejected"}
        known = None if token is None else self.station.local_list.status(token, self.station.wall())
        data = "" if known is None or not request["report"] else f"idToken {token}: {known}"
        if request["clear"] and token is not None and self.station.local_list.drop(token):
            self.station.save("local_list")
        self.station.later(self._tell_customer(request["requestId"], data))
        return {"status": "Accepted"}

    async def _tell_customer(self, number: int, data: str) -> None:
        parts = [data[i : i + DATA_LENGTH] for i in range(0, len(data), DATA_LENGTH)] or [""]
        for index, part in enumerate(parts):
            body: Payload = {
                "requestId": number,
                "data": part,
                "seqNo": index,
                "generatedAt": stamp(self.station.wall()),
                "tbc": index < len(parts) - 1,
            }
            await self.station.call("NotifyCustomerInformation", body)

    async def _tell(self, action: str, body: Payload) -> None:
        await self.station.call(action, body)
