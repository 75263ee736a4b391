"""What the emulated station does when a 2.x CSMS asks for logs, firmware, certificates, messages or customers' data."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from emulators.charger.station import Station
from protocols.ocpp.schema import Payload, Version
from protocols.ocpp.times import parse, stamp

MOST_MESSAGES = 50
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

        self.station.later(self.upkeep.upload(request["log"]["remoteLocation"], name, tell, "UploadFailure"))
        return {"status": "Accepted", "filename": name}

    def update_firmware(self, request: Payload) -> Payload:
        """L01, L02."""
        firmware, number = request["firmware"], request["requestId"]

        async def tell(status: str) -> None:
            await self.station.call("FirmwareStatusNotification", {"status": status, "requestId": number})

        when, signer = parse(firmware["retrieveDateTime"]), firmware.get("signingCertificate")
        work = self.upkeep.update(firmware["location"], when, tell, signer, firmware.get("signature"))
        self.station.later(work)
        return {"status": "Accepted"}

    # A02, M03-M05

    def install_certificate(self, request: Payload) -> Payload:
        """M05."""
        return {"status": self.upkeep.certificates.install(request["certificateType"], request["certificate"])}

    def get_installed_certificate_ids(self, request: Payload) -> Payload:
        """M03."""
        found = self.upkeep.certificates.of(request.get("certificateType"))
        if not found:
            return {"status": "NotFound"}
        chain = [{"certificateType": one.kind, "certificateHashData": one.hash_data()} for one in found]
        return {"status": "Accepted", "certificateHashDataChain": chain}

    def delete_certificate(self, request: Payload) -> Payload:
        """M04."""
        return {"status": self.upkeep.certificates.delete(request["certificateHashData"])}

    def certificate_signed(self, request: Payload) -> Payload:
        """A02: only for the key that was asked for."""
        return {"status": "Accepted" if self.upkeep.certificates.take(request["certificateChain"]) else "Rejected"}

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
        """O01."""
        message, shown = request["message"], self.station.messages
        if message["id"] not in shown and len(shown) >= MOST_MESSAGES:
            return {"status": "Rejected"}
        if "transactionId" in message and not any(
            e.transaction is not None and e.transaction.id == message["transactionId"]
            for e in self.station.evses.values()
        ):
            return {"status": "UnknownTransaction"}
        shown[message["id"]] = message
        return {"status": "Accepted"}

    def get_display_messages(self, request: Payload) -> Payload:
        """O03, O04."""
        wanted = [
            message
            for message in self.station.messages.values()
            if ("id" not in request or message["id"] in request["id"])
            and request.get("priority") in (None, message["priority"])
            and request.get("state") in (None, message.get("state"))
        ]
        if not wanted:
            return {"status": "Unknown"}
        body: Payload = {"requestId": request["requestId"], "messageInfo": wanted, "tbc": False}
        self.station.later(self._tell("NotifyDisplayMessages", body))
        return {"status": "Accepted"}

    def clear_display_message(self, request: Payload) -> Payload:
        """O05."""
        return {"status": "Unknown" if self.station.messages.pop(request["id"], None) is None else "Accepted"}

    # I, N09, N10

    def cost_updated(self, request: Payload) -> Payload:
        """I02: what the driver sees."""
        for evse in self.station.evses.values():
            if evse.transaction is not None and evse.transaction.id == request["transactionId"]:
                evse.shown_cost = request["totalCost"]
        return {}

    def customer_information(self, request: Payload) -> Payload:
        """N09, N10: what is kept of a customer is an entry of the local list."""
        token = request.get("idToken", {}).get("idToken")
        if token is None:
            return {"status": "Invalid"}
        entry = self.station.local_list.get(token.casefold())
        if request["clear"]:
            self.station.local_list.pop(token.casefold(), None)
        if request["report"]:
            data = "" if entry is None else f"idToken {token}: {entry['status']}"
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
