"""What the emulated station does when a 1.6 CSMS asks, and its configuration keys. The rest is NotSupported."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from emulators.charger import ocpp16_upkeep, vendor_power
from emulators.charger.device_model import Variable, fits
from emulators.charger.evse import EvseState
from emulators.charger.station import Station
from protocols.ocpp.schema import Payload
from protocols.ocpp.times import parse, stamp

if TYPE_CHECKING:
    from emulators.charger.ocpp16 import Dialect16

Handler = Callable[[Payload], Payload | Awaitable[Payload]]
KEYS_PER_ANSWER = 100  # GetConfigurationMaxKeys
_INTEGER, _BOOLEAN = "integer", "boolean"


def furnish(station: Station) -> None:
    """The configuration keys of 1.6, chapter 9, and of the vendor profile. They live in a component without a name."""
    from emulators.charger.ocpp16 import MEASURANDS

    def add(key: str, value: object, kind: str = "string", mutable: bool = True, **about: Any) -> None:
        station.device.add("", key, value, type=kind, mutable=mutable, **about)

    add("AllowOfflineTxForUnknownId", False, _BOOLEAN)
    add("AuthorizationKey", "", secret=True)
    add("AuthorizeRemoteTxRequests", False, _BOOLEAN)
    add("ClockAlignedDataInterval", 0, _INTEGER, low=0)
    add("ConnectionTimeOut", 120, _INTEGER, low=0)
    add("ConnectorPhaseRotation", "NotApplicable")
    add("GetConfigurationMaxKeys", KEYS_PER_ANSWER, _INTEGER, mutable=False)
    add("HeartbeatInterval", 300, _INTEGER, low=1)
    add("LocalAuthListEnabled", True, _BOOLEAN)
    add("LocalAuthListMaxLength", 1000, _INTEGER, mutable=False)
    add("LocalAuthorizeOffline", True, _BOOLEAN)
    add("LocalPreAuthorize", False, _BOOLEAN)
    for key in ("MeterValuesAlignedData", "StopTxnAlignedData", "StopTxnSampledData"):
        add(key, ",".join(MEASURANDS[:2]), "MemberList", values=MEASURANDS)
    add("MeterValuesSampledData", ",".join(MEASURANDS), "MemberList", values=MEASURANDS)
    add("MeterValueSampleInterval", round(station.config.meter_interval_s), _INTEGER, low=0)
    add("NumberOfConnectors", len(station.evses), _INTEGER, mutable=False)
    add("ResetRetries", 1, _INTEGER, low=0)
    add("SecurityProfile", 0, _INTEGER, mutable=False)
    add("SendLocalListMaxLength", 1000, _INTEGER, mutable=False)
    add("StopTransactionOnEVSideDisconnect", True, _BOOLEAN)
    add("StopTransactionOnInvalidId", True, _BOOLEAN)
    add(
        "SupportedFeatureProfiles",
        "Core,FirmwareManagement,LocalAuthListManagement,RemoteTrigger,Reservation,SmartCharging",
        mutable=False,
    )
    add("TransactionMessageAttempts", 5, _INTEGER, low=1)
    add("TransactionMessageRetryInterval", 10, _INTEGER, low=0)
    add("UnlockConnectorOnEVSideDisconnect", True, _BOOLEAN)
    add("WebSocketPingInterval", 20, _INTEGER, low=0)
    add("ChargeProfileMaxStackLevel", 10, _INTEGER, mutable=False)
    add("ChargingScheduleAllowedChargingRateUnit", "Current,Power", mutable=False)
    add("ChargingScheduleMaxPeriods", 1024, _INTEGER, mutable=False)
    add("MaxChargingProfilesInstalled", 64, _INTEGER, mutable=False)
    if station.vendor.setpoint.key:
        add(station.vendor.setpoint.key, "0.0", "decimal")


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
    } | ocpp16_upkeep.handlers(station)


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
        station, key, value = self.station, request["key"], request["value"]
        variable = self._variable(key)
        if variable is None:
            return {"status": "NotSupported"}
        if not variable.mutable or not fits(variable, value):
            return {"status": "Rejected"}
        if key == station.vendor.setpoint.key and not vendor_power.variable(station, value):
            return {"status": "Rejected"}
        variable.value = value
        if key == "HeartbeatInterval":
            station.line.heartbeat_s = float(value)
        return {"status": "Accepted"}

    def _variable(self, key: str) -> Variable | None:
        return next(
            (v for (component, _, name, _), v in self.station.device.items() if not component and name == key), None
        )

    def get_configuration(self, request: Payload) -> Payload:
        """5.8."""
        keys = {name: v for (component, _, name, _), v in self.station.device.items() if not component}
        asked = request.get("key") or list(keys)
        known = []
        for key in asked:
            if key in keys:
                entry: Payload = {"key": key, "readonly": not keys[key].mutable}
                if not keys[key].secret:
                    entry["value"] = keys[key].value[:500]
                known.append(entry)
        answer: Payload = {"configurationKey": known}
        unknown = [key for key in asked if key not in keys]
        if unknown:
            answer["unknownKey"] = unknown
        return answer

    def clear_cache(self, request: Payload) -> Payload:
        """5.4: there is no cache."""
        return {"status": "Rejected"}

    def change_availability(self, request: Payload) -> Payload:
        """5.2."""
        number, operative = request["connectorId"], request["type"] == "Operative"
        evses = [e for e in self.station.evses.values() if number in (0, e.number)]
        if not evses:
            return {"status": "Rejected"}
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

    def remote_start(self, request: Payload) -> Payload:
        """5.11."""
        station, number = self.station, request.get("connectorId")
        free = [
            e
            for e in station.evses.values()
            if number in (None, e.number) and e.transaction is None and e.operative and e.fault is None and e.vehicle
        ]
        if not free:
            return {"status": "Rejected"}
        station.later(self._start(free[0], request))
        return {"status": "Accepted"}

    async def _start(self, evse: EvseState, request: Payload) -> None:
        station = self.station
        if evse.transaction is None:
            new = station.begin_transaction(evse, request["idTag"], "Central", 0)
            profile = request.get("chargingProfile")
            if profile is not None:
                station.profiles.install(evse.number, as_profile(profile, new.id), station.wall(), new.id)

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
        return {"listVersion": self.station.local_list_version}

    def send_local_list(self, request: Payload) -> Payload:
        """5.15."""
        station, version = self.station, request["listVersion"]
        if request["updateType"] == "Full":
            station.local_list.clear()
        elif version <= station.local_list_version:
            return {"status": "VersionMismatch"}
        for entry in request.get("localAuthorizationList", []):
            name = entry["idTag"].casefold()
            if "idTagInfo" in entry:
                station.local_list[name] = {"status": entry["idTagInfo"]["status"]}
            else:
                station.local_list.pop(name, None)
        station.local_list_version = version
        return {"status": "Accepted"}

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
        await ocpp16_upkeep.Upkeep16(self.station).sign()

    async def _trigger_status(self, evses: list[EvseState]) -> None:
        for evse in evses:
            await self.station.call("StatusNotification", self.dialect.status(evse))

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
        """5.13."""
        number = request["connectorId"]
        evses = [e for e in self.station.evses.values() if number in (0, e.number)]
        if not evses or number == 0:
            return {"status": "Rejected"}
        evse = evses[0]
        if evse.status not in ("Available", "Reserved"):
            return {"status": {"Faulted": "Faulted", "Unavailable": "Unavailable"}.get(evse.status, "Occupied")}
        if evse.reservation is not None and evse.reservation["id"] != request["reservationId"]:
            return {"status": "Occupied"}
        expiry = parse(request["expiryDate"]) or self.station.wall()
        evse.reservation = {"id": request["reservationId"], "token": request["idTag"], "expiry": expiry}
        self.station.set_status(evse, "Reserved")
        self.station.later(self._expire(evse, request["reservationId"], expiry))
        return {"status": "Accepted"}

    async def _expire(self, evse: EvseState, number: int, expiry: float) -> None:
        await self.station.clock.sleep(max(0.0, expiry - self.station.wall()))
        if evse.reservation is not None and evse.reservation["id"] == number and evse.reservation["expiry"] == expiry:
            evse.reservation = None
            self.station.set_status(evse, "Available")

    def cancel_reservation(self, request: Payload) -> Payload:
        """5.1."""
        for evse in self.station.evses.values():
            if evse.reservation is not None and evse.reservation["id"] == request["reservationId"]:
                evse.reservation = None
                self.station.set_status(evse, "Available")
                return {"status": "Accepted"}
        return {"status": "Rejected"}

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
