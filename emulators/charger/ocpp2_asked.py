"""What the emulated station does when a 2.x CSMS asks. An action not in the table is refused with NotSupported."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from emulators.charger import ocpp2_smart, ocpp2_upkeep, vendor_power
from emulators.charger.device_model import DeviceModel
from emulators.charger.evse import EvseState
from emulators.charger.station import Station
from protocols.ocpp.schema import Payload
from protocols.ocpp.times import parse, stamp

if TYPE_CHECKING:
    from emulators.charger.ocpp2 import Dialect2

REPORT_ENTRIES = 50  # in one NotifyReport
Handler = Callable[[Payload], Payload | Awaitable[Payload]]


def handlers(station: Station, dialect: Dialect2) -> dict[str, Handler]:
    """The table for one connection."""
    asked = Asked(station, dialect)
    table: dict[str, Handler] = {
        "CancelReservation": asked.cancel_reservation,
        "ChangeAvailability": asked.change_availability,
        "ClearCache": asked.clear_cache,
        "DataTransfer": asked.data_transfer,
        "GetBaseReport": asked.get_base_report,
        "GetLocalListVersion": asked.get_local_list_version,
        "GetReport": asked.get_report,
        "GetTransactionStatus": asked.get_transaction_status,
        "GetVariables": asked.get_variables,
        "RequestStartTransaction": asked.request_start,
        "RequestStopTransaction": asked.request_stop,
        "ReserveNow": asked.reserve_now,
        "Reset": asked.reset,
        "SendLocalList": asked.send_local_list,
        "SetVariables": asked.set_variables,
        "TriggerMessage": asked.trigger_message,
        "UnlockConnector": asked.unlock_connector,
    }
    return table | ocpp2_smart.handlers(station, dialect) | ocpp2_upkeep.handlers(station)


def info(code: str, text: str = "") -> Payload:
    """StatusInfoType."""
    return {"reasonCode": code[:20]} | ({"additionalInfo": text[:500]} if text else {})


class Asked:
    """Requests that have nothing to do with power."""

    def __init__(self, station: Station, dialect: Dialect2) -> None:
        self.station, self.dialect = station, dialect

    # B: device model

    @property
    def device(self) -> DeviceModel:
        """The station's variables."""
        return self.station.device

    def get_variables(self, request: Payload) -> Payload:
        """B06."""
        return {"getVariableResult": [self.device.read(asked) for asked in request["getVariableData"]]}

    def set_variables(self, request: Payload) -> Payload:
        """B05. Thresholds of local load balancing act from the next profile on."""
        results = [self._set_variable(asked) for asked in request["setVariableData"]]
        ocpp2_smart.learn_thresholds(self.station)
        heartbeat = self.device.number("OCPPCommCtrlr", "HeartbeatInterval", self.station.line.heartbeat_s)
        if any(r["variable"]["name"] == "HeartbeatInterval" for r in results):
            self.station.line.heartbeat_s = heartbeat
        return {"setVariableResult": results}

    def _set_variable(self, asked: Payload) -> Payload:
        say = self.station.vendor.setpoint
        if say.component and (asked["component"]["name"], asked["variable"]["name"]) == (say.component, say.variable):
            vendor_power.variable(self.station, asked["attributeValue"])
            return {"component": asked["component"], "variable": asked["variable"], "attributeStatus": "Accepted"}
        return self.device.write(asked)

    def get_base_report(self, request: Payload) -> Payload:
        """B07."""
        base = request["reportBase"]
        if base == "SummaryInventory":
            entries = self.device.report(components={"ChargingStation", "EVSE", "Connector"})
        else:
            entries = self.device.report(mutable_only=base == "ConfigurationInventory")
        self.station.later(self._report(request["requestId"], entries))
        return {"status": "Accepted"}

    def get_report(self, request: Payload) -> Payload:
        """B08: by component."""
        asked = request.get("componentVariable", [])
        wanted = {entry["component"]["name"] for entry in asked}
        entries = self.device.report(components=wanted or None)
        names = {(e["component"]["name"], e["variable"]["name"]) for e in asked if "variable" in e}
        if names:
            plain = {e["component"]["name"] for e in asked if "variable" not in e}
            entries = [
                e
                for e in entries
                if e["component"]["name"] in plain or (e["component"]["name"], e["variable"]["name"]) in names
            ]
        if not entries:
            return {"status": "EmptyResultSet"}
        self.station.later(self._report(request["requestId"], entries))
        return {"status": "Accepted"}

    async def _report(self, request: int, entries: list[dict[str, Any]]) -> None:
        parts = [entries[i : i + REPORT_ENTRIES] for i in range(0, len(entries), REPORT_ENTRIES)]
        for number, part in enumerate(parts):
            body: Payload = {
                "requestId": request,
                "generatedAt": stamp(self.station.wall()),
                "seqNo": number,
                "reportData": part,
                "tbc": number < len(parts) - 1,
            }
            await self.station.call("NotifyReport", body)

    # B: reset

    def reset(self, request: Payload) -> Payload:
        """B11, B12."""
        running = [e for e in self.station.evses.values() if e.transaction is not None]
        if "evseId" in request:
            return {"status": "Rejected", "statusInfo": info("UnsupportedRequest", "only the whole station")}
        if request["type"] == "OnIdle" and running:
            self.station.later(self._reset_when_idle())
            return {"status": "Scheduled"}
        self.station.later(self.station.reboot("RemoteReset", "ImmediateReset"))
        return {"status": "Accepted"}

    async def _reset_when_idle(self) -> None:
        while any(e.transaction is not None for e in self.station.evses.values()):
            await self.station.clock.sleep(1.0)
        await self.station.reboot("ScheduledReset", "Reboot")

    # C, D: tokens

    def clear_cache(self, request: Payload) -> Payload:
        """C11: there is no cache."""
        return {"status": "Rejected"}

    def get_local_list_version(self, request: Payload) -> Payload:
        """D02."""
        return {"versionNumber": self.station.local_list_version}

    def send_local_list(self, request: Payload) -> Payload:
        """D01."""
        entries = request.get("localAuthorizationList", [])
        station, version = self.station, request["versionNumber"]
        if request["updateType"] == "Full":
            station.local_list.clear()
        elif version <= station.local_list_version:
            return {"status": "VersionMismatch"}
        for entry in entries:
            name = entry["idToken"]["idToken"].casefold()
            if "idTokenInfo" in entry:
                station.local_list[name] = {"status": entry["idTokenInfo"]["status"]}
            else:
                station.local_list.pop(name, None)
        station.local_list_version = version
        return {"status": "Accepted"}

    # E, F: transactions and remote control

    def get_transaction_status(self, request: Payload) -> Payload:
        """E14."""
        number = request.get("transactionId")
        waiting = [m for m in self.station.line.queue.messages if number in (None, self._transaction(m.build()))]
        answer: Payload = {"messagesInQueue": bool(waiting)}
        if number is not None:
            running = [e.transaction.id for e in self.station.evses.values() if e.transaction is not None]
            answer["ongoingIndicator"] = number in running
        return answer

    @staticmethod
    def _transaction(body: Payload) -> str | None:
        found = body.get("transactionInfo", {}).get("transactionId")
        return None if found is None else str(found)

    def request_start(self, request: Payload) -> Payload:
        """F01, F02: with a vehicle at the plug it begins now."""
        station, number = self.station, request.get("evseId")
        free = [
            e
            for e in station.evses.values()
            if number in (None, e.number) and e.transaction is None and e.operative and e.fault is None and e.vehicle
        ]
        if not free:
            return {"status": "Rejected", "statusInfo": info("NotReady", "no vehicle waits there")}
        token, evse = request["idToken"], free[0]
        if evse.reservation is not None and evse.reservation["token"].casefold() != token["idToken"].casefold():
            return {"status": "Rejected", "statusInfo": info("Reserved")}
        new = station.begin_transaction(evse, token["idToken"], token["type"], request["remoteStartId"])
        profile = request.get("chargingProfile")
        if profile is not None:
            station.profiles.install(evse.number, {**profile, "transactionId": new.id}, station.wall(), new.id)
        return {"status": "Accepted", "transactionId": new.id}

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
        await ocpp2_upkeep.Upkeep2(self.station).sign()

    async def _trigger_status(self, evses: list[EvseState]) -> None:
        for evse in evses:
            await self.station.call("StatusNotification", self.dialect.status(evse))

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
        number, operative = request.get("evse", {}).get("id"), request["operationalStatus"] == "Operative"
        evses = [e for e in self.station.evses.values() if number in (None, 0, e.number)]
        if not evses:
            return {"status": "Rejected", "statusInfo": info("UnknownEVSE")}
        waits = False
        for evse in evses:
            if not operative and evse.transaction is not None:
                evse.inoperative_next, waits = True, True
                continue
            evse.operative, evse.inoperative_next = operative, False
            if evse.fault is None:
                self.station.set_status(
                    evse, ("Occupied" if evse.vehicle else "Available") if operative else "Unavailable"
                )
        return {"status": "Scheduled" if waits else "Accepted"}

    # H: reservation

    def reserve_now(self, request: Payload) -> Payload:
        """H01."""
        number = request.get("evseId")
        evses = [e for e in self.station.evses.values() if number in (None, e.number)]
        if not evses:
            return {"status": "Rejected", "statusInfo": info("UnknownEVSE")}
        free = [e for e in evses if e.status in ("Available", "Reserved")]
        if not free:
            states = {e.status for e in evses}
            return {"status": next((s for s in ("Occupied", "Faulted", "Unavailable") if s in states), "Rejected")}
        same = [e for e in free if e.reservation is not None and e.reservation["id"] == request["id"]]
        empty = [e for e in free if e.reservation is None]
        if not same and not empty:
            return {"status": "Occupied"}
        evse = (same or empty)[0]
        expiry = parse(request["expiryDateTime"]) or self.station.wall()
        evse.reservation = {"id": request["id"], "token": request["idToken"]["idToken"], "expiry": expiry}
        self.station.set_status(evse, "Reserved")
        self.station.later(self._expire(evse, request["id"], expiry))
        return {"status": "Accepted"}

    async def _expire(self, evse: EvseState, number: int, expiry: float) -> None:
        """H04."""
        await self.station.clock.sleep(max(0.0, expiry - self.station.wall()))
        if evse.reservation is not None and evse.reservation["id"] == number and evse.reservation["expiry"] == expiry:
            evse.reservation = None
            self.station.set_status(evse, "Available")
            body: Payload = {"reservationId": number, "reservationUpdateStatus": "Expired"}
            await self.station.call("ReservationStatusUpdate", body)

    def cancel_reservation(self, request: Payload) -> Payload:
        """H02."""
        for evse in self.station.evses.values():
            if evse.reservation is not None and evse.reservation["id"] == request["reservationId"]:
                evse.reservation = None
                self.station.set_status(evse, "Available")
                return {"status": "Accepted"}
        return {"status": "Rejected"}

    # P: data transfer

    def data_transfer(self, request: Payload) -> Payload:
        """P01: the vendor's own set-point, where the profile says there is one."""
        say = self.station.vendor.setpoint
        if not say.vendor_id or request["vendorId"] != say.vendor_id:
            return {"status": "UnknownVendorId"}
        if request.get("messageId") != say.message_id:
            return {"status": "UnknownMessageId"}
        return {"status": "Accepted" if vendor_power.message(self.station, request.get("data")) else "Rejected"}
