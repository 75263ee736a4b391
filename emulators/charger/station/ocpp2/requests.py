"""What the emulated station does when a 2.x CSMS asks. An action not in the table is refused with NotSupported."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from emulators.charger.station import availability
from emulators.charger.station.connector_sessions import Order
from emulators.charger.station.device_model import settings
from emulators.charger.station.evse import EvseState
from emulators.charger.station.ocpp2 import maintenance, monitoring, smart_charging, tariffs, variables
from emulators.charger.station.reservations import Reservation
from emulators.charger.station.smart_charging import vendor_power
from emulators.charger.station.station import Station
from protocols.ocpp.schema import Payload
from protocols.ocpp.times import parse, stamp

if TYPE_CHECKING:
    from emulators.charger.station.ocpp2.messages import Dialect2

Handler = Callable[[Payload], Payload | Awaitable[Payload]]


def handlers(station: Station, dialect: Dialect2) -> dict[str, Handler]:
    """The table for one connection."""
    asked = Asked(station, dialect)
    table: dict[str, Handler] = {
        "CancelReservation": asked.cancel_reservation,
        "ChangeAvailability": asked.change_availability,
        "ClearCache": asked.clear_cache,
        "DataTransfer": asked.data_transfer,
        "GetLocalListVersion": asked.get_local_list_version,
        "GetTransactionStatus": asked.get_transaction_status,
        "RequestStartTransaction": asked.request_start,
        "RequestStopTransaction": asked.request_stop,
        "ReserveNow": asked.reserve_now,
        "Reset": asked.reset,
        "SendLocalList": asked.send_local_list,
        "TriggerMessage": asked.trigger_message,
        "UnlockConnector": asked.unlock_connector,
    }
    others = (variables, monitoring, tariffs, maintenance)
    for one in others:
        table |= one.handlers(station)
    return table | smart_charging.handlers(station, dialect)


def info(code: str, text: str = "") -> Payload:
    """StatusInfoType."""
    return {"reasonCode": code[:20]} | ({"additionalInfo": text[:500]} if text else {})


class Asked:
    """Requests that have nothing to do with power."""

    def __init__(self, station: Station, dialect: Dialect2) -> None:
        self.station, self.dialect, self.device = station, dialect, station.device

    # B: reset

    def reset(self, request: Payload) -> Payload:
        """B11, B12. One EVSE can be reset by itself; a station that reboots ends what runs at all of them."""
        number = request.get("evseId", 0)
        evses = [e for e in self.station.evses.values() if number in (0, e.number)]
        if not evses:
            return {"status": "Rejected", "statusInfo": info("UnknownEVSE")}
        if request["type"] == "ImmediateAndResume":
            return {"status": "Rejected", "statusInfo": info("UnsupportedRequest", "no transaction is resumed")}
        if request["type"] == "OnIdle" and any(e.transaction is not None for e in evses):
            for evse in evses:
                evse.resetting = True
                availability.show(self.station, evse)
            self.station.later(self._reset_when_idle(evses, number))
            return {"status": "Scheduled"}
        self.station.later(self._reset_now(evses, number))
        return {"status": "Accepted"}

    async def _reset_now(self, evses: list[EvseState], number: int) -> None:
        if number == 0:
            await self.station.reboot("RemoteReset", "ImmediateReset")
            return
        for evse in evses:
            self.station.end_transaction(evse, "ResetCommand", "ImmediateReset")
            evse.resetting = False
            availability.show(self.station, evse)

    async def _reset_when_idle(self, evses: list[EvseState], number: int) -> None:
        while any(e.transaction is not None for e in evses):
            await self.station.clock.sleep(1.0)
        if number == 0:
            await self.station.reboot("ScheduledReset", "Reboot")
            return
        for evse in evses:
            evse.resetting = False
            availability.show(self.station, evse)

    # C, D: tokens

    def clear_cache(self, request: Payload) -> Payload:
        """C11: there is no cache."""
        return {"status": "Rejected"}

    def get_local_list_version(self, request: Payload) -> Payload:
        """D02."""
        enabled = settings.truth(self.station, "list_enabled")
        return {"versionNumber": self.station.local_list.version if enabled else 0}

    def send_local_list(self, request: Payload) -> Payload:
        """D01."""
        if not settings.truth(self.station, "list_enabled"):
            return {"status": "Failed", "statusInfo": info("NotEnabled")}
        entries = [(e["idToken"]["idToken"], e.get("idTokenInfo")) for e in request.get("localAuthorizationList", [])]
        full = request["updateType"] == "Full"
        status = self.station.local_list.update(request["versionNumber"], full, entries)
        self.station.save("local_list")
        return {"status": status}

    # E, F: transactions and remote control

    def get_transaction_status(self, request: Payload) -> Payload:
        """E14."""
        number = request.get("transactionId")
        answer: Payload = {"messagesInQueue": any(True for _ in self.station.line.queue.of(number))}
        if number is not None:
            running = [e.transaction.id for e in self.station.evses.values() if e.transaction is not None]
            answer["ongoingIndicator"] = number in running
        return answer

    def request_start(self, request: Payload) -> Payload:
        """F01, F02: at the EVSE where a vehicle waits, or where one may come."""
        if not self.station.online:
            return {"status": "Rejected", "statusInfo": info("NotAccepted")}  # B02.FR.05
        token, number = request["idToken"], request.get("evseId")
        group = request.get("groupIdToken", {}).get("idToken")
        evse = self._startable(number, token["idToken"], group)
        if evse is None:
            return {"status": "Rejected", "statusInfo": info("NotReady", "no EVSE is free for this token")}
        profile = request.get("chargingProfile")
        if profile is not None and profile["chargingProfilePurpose"] != "TxProfile":
            return {"status": "Rejected", "statusInfo": info("InvalidProfile")}  # K05.FR.02
        order = Order(token["idToken"], token["type"], request["remoteStartId"], profile, group)
        if settings.truth(self.station, "remote_authorize") and token["type"] not in ("NoAuthorization", "Central"):
            self.station.later(self._ask_then_start(evse, order))
            return {"status": "Accepted"}
        new = self.station.plugs.begin(evse, order)
        return {"status": "Accepted", "transactionId": new.id}

    def _startable(self, number: int | None, token: str, group: str | None) -> EvseState | None:
        station = self.station
        free = [
            e
            for e in station.evses.values()
            if number in (None, e.number)
            and e.transaction is None
            and e.operative
            and e.fault is None
            and not e.resetting
            and station.reservations.allows(e, token, group)
        ]
        return min(free, key=lambda e: e.vehicle is None, default=None)

    async def _ask_then_start(self, evse: EvseState, order: Order) -> None:
        """F02.FR.01: AuthorizeRemoteStart."""
        if await self.dialect.authorize(evse, order.token, order.sort) and evse.transaction is None:
            self.station.plugs.begin(evse, order)

    def request_stop(self, request: Payload) -> Payload:
        """F03."""
        evse = self.evse_of(request["transactionId"])
        if evse is None:
            return {"status": "Rejected", "statusInfo": info("TxNotFound")}
        self.station.later(self._stop(evse))
        return {"status": "Accepted"}

    async def _stop(self, evse: EvseState) -> None:
        self.station.end_transaction(evse, "RemoteStop", "Remote")

    def evse_of(self, transaction: str) -> EvseState | None:
        """Where a transaction runs."""
        for evse in self.station.evses.values():
            if evse.transaction is not None and evse.transaction.id == transaction:
                return evse
        return None

    def unlock_connector(self, request: Payload) -> Payload:
        """F05."""
        evse = self.station.evses.get(request["evseId"])
        if evse is None or request["connectorId"] != 1:
            return {"status": "UnknownConnector"}
        return {"status": "OngoingAuthorizedTransaction" if evse.transaction is not None else "Unlocked"}

    def trigger_message(self, request: Payload) -> Payload:
        """F06."""
        wanted = request["requestedMessage"]
        number = request.get("evse", {}).get("id")
        evses = [e for e in self.station.evses.values() if number in (None, e.number)]
        if not evses:
            return {"status": "Rejected"}
        table = {
            "BootNotification": self._trigger_boot,
            "Heartbeat": self._trigger_heartbeat,
            "FirmwareStatusNotification": self._trigger_firmware,
            "LogStatusNotification": self._trigger_log,
            "StatusNotification": self._trigger_status,
            "TransactionEvent": self._trigger_transaction,
            "MeterValues": self._trigger_meter,
            "SignChargingStationCertificate": self._trigger_sign,
        }
        if wanted not in table:
            return {"status": "NotImplemented"}
        if wanted == "BootNotification" and self.station.online:
            return {"status": "Rejected"}  # F06.FR.17: it has been accepted already
        self.station.later(table[wanted](evses))
        return {"status": "Accepted"}

    async def _trigger_boot(self, evses: list[EvseState]) -> None:
        await self.station.call("BootNotification", self.dialect.boot("Triggered"))

    async def _trigger_heartbeat(self, evses: list[EvseState]) -> None:
        await self.station.call("Heartbeat", {})

    async def _trigger_sign(self, evses: list[EvseState]) -> None:
        await maintenance.Upkeep2(self.station).sign()

    async def _trigger_firmware(self, evses: list[EvseState]) -> None:
        """F06.FR.16: Idle where nothing is under way."""
        status, number = self.station.upkeep.firmware_status
        body: Payload = {"status": status} | ({} if number is None or status == "Idle" else {"requestId": number})
        await self.station.call("FirmwareStatusNotification", body)

    async def _trigger_log(self, evses: list[EvseState]) -> None:
        """F06.FR.15."""
        status, number = self.station.upkeep.log_status
        body: Payload = {"status": status} | ({} if number is None or status == "Idle" else {"requestId": number})
        await self.station.call("LogStatusNotification", body)

    async def _trigger_status(self, evses: list[EvseState]) -> None:
        for evse in evses:
            await self.station.line.tell_status(evse)

    async def _trigger_transaction(self, evses: list[EvseState]) -> None:
        for evse in evses:
            if evse.transaction is not None:
                self.dialect.updated(evse, evse.transaction, "Trigger")

    async def _trigger_meter(self, evses: list[EvseState]) -> None:
        wanted = (self.device.get("SampledDataCtrlr", "TxUpdatedMeasurands") or "").split(",")
        for evse in evses:
            values = self.dialect.samples(evse, wanted, "Trigger")
            entry = {"timestamp": stamp(self.station.wall()), "sampledValue": values}
            await self.station.call("MeterValues", {"evseId": evse.number, "meterValue": [entry]})

    # G: availability

    def change_availability(self, request: Payload) -> Payload:
        """G03, G04."""
        place = request.get("evse", {})
        evses = [e for e in self.station.evses.values() if place.get("id") in (None, 0, e.number)]
        if not evses or place.get("connectorId", 1) != 1:
            return {"status": "Rejected", "statusInfo": info("UnknownEVSE")}
        return {"status": availability.change(self.station, evses, request["operationalStatus"] == "Operative")}

    # H: reservation

    def reserve_now(self, request: Payload) -> Payload:
        """H01."""
        number = request.get("evseId", 0)
        if number != 0 and number not in self.station.evses:
            return {"status": "Rejected", "statusInfo": info("UnknownEVSE")}
        if not self.device.truth("ReservationCtrlr", "Enabled", True):
            return {"status": "Rejected", "statusInfo": info("NotEnabled")}
        if "connectorType" in request and number == 0:
            mine = {self.device.get("Connector", "ConnectorType", e) for e in self.station.evses}
            if request["connectorType"] not in mine:
                return {"status": "Rejected", "statusInfo": info("UnknownConnector")}
        expiry = parse(request["expiryDateTime"]) or self.station.wall()
        group = request.get("groupIdToken", {}).get("idToken")
        new = Reservation(request["id"], request["idToken"]["idToken"], expiry, number, group, self.station.wall())
        return {"status": self.station.reservations.reserve(new)}

    def cancel_reservation(self, request: Payload) -> Payload:
        """H02."""
        done = self.station.reservations.cancel(request["reservationId"])
        return {"status": "Accepted" if done else "Rejected"}

    # P: data transfer

    def data_transfer(self, request: Payload) -> Payload:
        """P01: the vendor's own set-point, where the profile says there is one."""
        say, forming = self.station.vendor.setpoint, self.station.vendor.forming
        if forming.vendor_id and (request["vendorId"], request.get("messageId", "")) == (
            forming.vendor_id,
            forming.message_id,
        ):
            done = vendor_power.forming_message(self.station, request.get("data"))
            return {"status": "Accepted" if done else "Rejected"}
        if not say.vendor_id or request["vendorId"] != say.vendor_id:
            return {"status": "UnknownVendorId"}
        if request.get("messageId") != say.message_id:
            return {"status": "UnknownMessageId"}
        return {"status": "Accepted" if vendor_power.message(self.station, request.get("data")) else "Rejected"}
