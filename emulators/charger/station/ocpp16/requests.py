"""What the emulated station does when a 1.6 CSMS asks. The rest is NotSupported."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from emulators.charger.station import availability
from emulators.charger.station.connector_sessions import Order
from emulators.charger.station.device_model import settings
from emulators.charger.station.evse import EvseState
from emulators.charger.station.ocpp16 import keys, maintenance
from emulators.charger.station.reservations import Reservation
from emulators.charger.station.smart_charging import vendor_power
from emulators.charger.station.station import Station
from protocols.ocpp.schema import Payload
from protocols.ocpp.times import parse, stamp

if TYPE_CHECKING:
    from emulators.charger.station.ocpp16.messages import Dialect16

Handler = Callable[[Payload], Payload | Awaitable[Payload]]


def handlers(station: Station, dialect: Dialect16) -> dict[str, Handler]:
    """The table for one connection."""
    asked = Asked16(station, dialect)
    return {
        "CancelReservation": asked.cancel_reservation,
        "ChangeAvailability": asked.change_availability,
        "ChangeConfiguration": asked.change_configuration,
        "ClearCache": asked.clear_cache,
        "ClearChargingProfile": asked.clear_charging_profile,
        "DataTransfer": asked.data_transfer,
        "ExtendedTriggerMessage": asked.trigger_message,
        "GetCompositeSchedule": asked.get_composite_schedule,
        "GetConfiguration": asked.get_configuration,
        "GetLocalListVersion": asked.get_local_list_version,
        "RemoteStartTransaction": asked.remote_start,
        "RemoteStopTransaction": asked.remote_stop,
        "ReserveNow": asked.reserve_now,
        "Reset": asked.reset,
        "SendLocalList": asked.send_local_list,
        "SetChargingProfile": asked.set_charging_profile,
        "TriggerMessage": asked.trigger_message,
        "UnlockConnector": asked.unlock_connector,
    } | maintenance.handlers(station)


def as_profile(early: Payload, transaction: str | None) -> dict[str, Any]:
    """A csChargingProfiles of 1.6 as the profile stack keeps it."""
    schedule = dict(early["chargingSchedule"])
    schedule["id"] = early["chargingProfileId"]
    number = early.get("transactionId")
    purpose = early["chargingProfilePurpose"]
    profile: dict[str, Any] = {
        "id": early["chargingProfileId"],
        "stackLevel": early["stackLevel"],
        "chargingProfilePurpose": "ChargingStationMaxProfile" if purpose == "ChargePointMaxProfile" else purpose,
        "chargingProfileKind": early["chargingProfileKind"],
        "chargingSchedule": [schedule],
    }
    profile |= {name: early[name] for name in ("recurrencyKind", "validFrom", "validTo") if name in early}
    if number is not None:
        profile["transactionId"] = str(number)
    elif purpose == "TxProfile" and transaction is not None:
        profile["transactionId"] = transaction  # 5.16: without an id it is for the transaction that runs
    if purpose == "ChargePointMaxProfile" and profile["chargingProfileKind"] == "Relative":
        profile["chargingProfileKind"] = "Absolute"
        schedule.setdefault("startSchedule", stamp(0.0))
    return profile


class Asked16:
    """Requests of a 1.6 CSMS."""

    def __init__(self, station: Station, dialect: Dialect16) -> None:
        self.station, self.dialect = station, dialect

    # core

    def change_configuration(self, request: Payload) -> Payload:
        """5.3."""
        return {"status": keys.change(self.station, request["key"], request["value"])}

    def get_configuration(self, request: Payload) -> Payload:
        """5.8."""
        return keys.read(self.station, request.get("key", []))

    def clear_cache(self, request: Payload) -> Payload:
        """5.4: there is no cache."""
        return {"status": "Rejected"}

    def change_availability(self, request: Payload) -> Payload:
        """5.2."""
        number = request["connectorId"]
        evses = [e for e in self.station.evses.values() if number in (0, e.number)]
        if not evses:
            return {"status": "Rejected"}
        return {"status": availability.change(self.station, evses, request["type"] == "Operative")}

    def remote_start(self, request: Payload) -> Payload:
        """5.11: where a vehicle waits, or where one may come within ConnectionTimeOut."""
        station, number, token = self.station, request.get("connectorId"), request["idTag"]
        group = station.local_list.group(token)
        free = [
            e
            for e in station.evses.values()
            if number in (None, e.number)
            and e.transaction is None
            and e.awaited is None
            and e.operative
            and e.fault is None
            and station.reservations.allows(e, token, group)
        ]
        if not free or not station.online:
            return {"status": "Rejected"}
        profile = request.get("chargingProfile")
        order = Order(token, "Central", 0, None if profile is None else as_profile(profile, "-"), group)
        station.later(self._start(min(free, key=lambda e: e.vehicle is None), order))
        return {"status": "Accepted"}

    async def _start(self, evse: EvseState, order: Order) -> None:
        ask = settings.truth(self.station, "remote_authorize")
        if ask and not await self.dialect.authorize(evse, order.token, order.sort):
            return
        if evse.transaction is None:
            self.station.plugs.order(evse, order)

    def remote_stop(self, request: Payload) -> Payload:
        """5.12."""
        for evse in self.station.evses.values():
            if evse.transaction is not None and evse.transaction.number == request["transactionId"]:
                self.station.later(self._stop(evse))
                return {"status": "Accepted"}
        return {"status": "Rejected"}

    async def _stop(self, evse: EvseState) -> None:
        self.station.end_transaction(evse, "RemoteStop", "Remote")

    def reset(self, request: Payload) -> Payload:
        """5.14: both kinds end transactions in order here."""
        reason = "ImmediateReset" if request["type"] == "Hard" else "Reboot"
        self.station.later(self.station.reboot("RemoteReset", reason))
        return {"status": "Accepted"}

    def unlock_connector(self, request: Payload) -> Payload:
        """5.18: it ends the transaction first."""
        evse = self.station.evses.get(request["connectorId"])
        if evse is None:
            return {"status": "NotSupported"}
        if evse.transaction is not None:
            self.station.later(self._unlock(evse))
        return {"status": "Unlocked"}

    async def _unlock(self, evse: EvseState) -> None:
        self.station.end_transaction(evse, "UnlockCommand", "Local")

    def data_transfer(self, request: Payload) -> Payload:
        """5.6: the vendor's own set-point, where the profile says there is one."""
        say = self.station.vendor.setpoint
        if not say.vendor_id or request["vendorId"] != say.vendor_id:
            return {"status": "UnknownVendorId"}
        if request.get("messageId") != say.message_id:
            return {"status": "UnknownMessageId"}
        return {"status": "Accepted" if vendor_power.message(self.station, request.get("data")) else "Rejected"}

    # local list

    def get_local_list_version(self, request: Payload) -> Payload:
        """5.10."""
        enabled = settings.truth(self.station, "list_enabled")
        return {"listVersion": self.station.local_list.version if enabled else -1}

    def send_local_list(self, request: Payload) -> Payload:
        """5.15."""
        if not settings.truth(self.station, "list_enabled"):
            return {"status": "NotSupported"}
        entries = [(e["idTag"], e.get("idTagInfo")) for e in request.get("localAuthorizationList", [])]
        status = self.station.local_list.update(request["listVersion"], request["updateType"] == "Full", entries)
        self.station.save("local_list")
        return {"status": status}

    # trigger

    def trigger_message(self, request: Payload) -> Payload:
        """5.17, and the whitepaper's ExtendedTriggerMessage."""
        wanted, number = request["requestedMessage"], request.get("connectorId")
        evses = [e for e in self.station.evses.values() if number in (None, e.number)]
        if not evses:
            return {"status": "Rejected"}
        table = {
            "BootNotification": self._trigger_boot,
            "Heartbeat": self._trigger_heartbeat,
            "MeterValues": self._trigger_meter,
            "SignChargePointCertificate": self._trigger_sign,
            "StatusNotification": self._trigger_status,
        }
        if wanted not in table:
            return {"status": "NotImplemented"}
        self.station.later(table[wanted](evses))
        return {"status": "Accepted"}

    async def _trigger_boot(self, evses: list[EvseState]) -> None:
        await self.station.call("BootNotification", self.dialect.boot("Triggered"))

    async def _trigger_heartbeat(self, evses: list[EvseState]) -> None:
        await self.station.call("Heartbeat", {})

    async def _trigger_sign(self, evses: list[EvseState]) -> None:
        await maintenance.Upkeep16(self.station).sign()

    async def _trigger_status(self, evses: list[EvseState]) -> None:
        for evse in evses:
            await self.station.line.tell_status(evse)

    async def _trigger_meter(self, evses: list[EvseState]) -> None:
        for evse in evses:
            values = self.dialect.samples(evse, "Trigger")
            body: Payload = {
                "connectorId": evse.number,
                "meterValue": [{"timestamp": stamp(self.station.wall()), "sampledValue": values}],
            }
            if evse.transaction is not None and evse.transaction.number is not None:
                body["transactionId"] = evse.transaction.number
            await self.station.call("MeterValues", body)

    # reservation

    def reserve_now(self, request: Payload) -> Payload:
        """5.13. Connector 0 is refused, as ReserveConnectorZeroSupported is not there."""
        number = request["connectorId"]
        if number not in self.station.evses:
            return {"status": "Rejected"}
        expiry = parse(request["expiryDate"]) or self.station.wall()
        new = Reservation(request["reservationId"], request["idTag"], expiry, number, request.get("parentIdTag"))
        return {"status": self.station.reservations.reserve(new)}

    def cancel_reservation(self, request: Payload) -> Payload:
        """5.1."""
        return {"status": "Accepted" if self.station.reservations.cancel(request["reservationId"]) else "Rejected"}

    # smart charging

    def set_charging_profile(self, request: Payload) -> Payload:
        """5.16."""
        station, number = self.station, request["connectorId"]
        evse = station.evses.get(number)
        running = evse.transaction if evse is not None else None
        name = None if running is None else (str(running.number) if running.number is not None else running.id)
        profile = as_profile(request["csChargingProfiles"], name)
        found = station.profiles.install(number, profile, station.wall(), name)
        if found is not None:
            station.refused.append(f"{found[1]}: {found[0]}")
            return {"status": "Rejected"}
        station.save("profiles")
        station.wake()
        station.step()
        return {"status": "Accepted"}

    def clear_charging_profile(self, request: Payload) -> Payload:
        """5.5."""
        purpose = request.get("chargingProfilePurpose")
        purpose = "ChargingStationMaxProfile" if purpose == "ChargePointMaxProfile" else purpose
        gone = self.station.profiles.clear(
            request.get("id"), request.get("connectorId"), purpose, request.get("stackLevel")
        )
        self.station.save("profiles")
        self.station.wake()
        return {"status": "Accepted" if gone else "Unknown"}

    def get_composite_schedule(self, request: Payload) -> Payload:
        """5.7."""
        station, number = self.station, request["connectorId"]
        if number != 0 and number not in station.evses:
            return {"status": "Rejected"}
        unit, wall = request.get("chargingRateUnit", "W"), station.wall()
        evse = station.evses[number or 1]
        at = station.steering.circumstances(evse)
        factor = 1.0 if unit == "W" else 1.0 / (at.voltage_v * at.phases)
        found = station.profiles.schedule(number, wall, request["duration"], at)
        periods = []
        for start, composite in found:
            limit = evse.outlet.max_charge_w if composite.limit_w is None else composite.limit_w
            periods.append({"startPeriod": round(start), "limit": round(limit * factor, 1)})
        schedule = {
            "duration": request["duration"],
            "chargingRateUnit": unit,
            "chargingSchedulePeriod": periods,
        }
        return {
            "status": "Accepted",
            "connectorId": number,
            "scheduleStart": stamp(wall),
            "chargingSchedule": schedule,
        }
