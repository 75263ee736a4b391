"""Charging profiles of a 1.6 CSMS (5.5, 5.7, 5.16)."""

from __future__ import annotations

from emulators.charger.station.ocpp_enums import ProfileKind, ProfilePurpose
from emulators.charger.station.responses import accepted_if, response
from emulators.charger.station.shared_requests import RequestHandlers
from protocols.ocpp.enums import v16
from protocols.ocpp.schema import Payload
from protocols.ocpp.times import stamp


def as_profile(profile16: Payload, transaction: str | None, wall: float) -> Payload:
    """Return a charging profile of 1.6 in the form of 2.x, as `Profiles` stores it; `wall` is the present time."""
    schedule = dict(profile16["chargingSchedule"])
    schedule["id"] = profile16["chargingProfileId"]
    number = profile16.get("transactionId")
    purpose = profile16["chargingProfilePurpose"]
    profile: Payload = {
        "id": profile16["chargingProfileId"],
        "stackLevel": profile16["stackLevel"],
        "chargingProfilePurpose": _purpose(purpose),
        "chargingProfileKind": profile16["chargingProfileKind"],
        "chargingSchedule": [schedule],
    }
    profile |= {name: profile16[name] for name in ("recurrencyKind", "validFrom", "validTo") if name in profile16}
    if number is not None:
        profile["transactionId"] = str(number)
    elif purpose == ProfilePurpose.tx_profile and transaction is not None:
        profile["transactionId"] = transaction  # 5.16: without an id it applies to the running transaction
    if profile["chargingProfileKind"] == ProfileKind.absolute and "startSchedule" not in schedule:
        profile["chargingProfileKind"] = ProfileKind.relative  # 7.13: relative to the start of charging
    if purpose == "ChargePointMaxProfile" and profile["chargingProfileKind"] == ProfileKind.relative:
        profile["chargingProfileKind"] = ProfileKind.absolute  # a station has no start of charging
        schedule.setdefault("startSchedule", stamp(wall))
    return profile


def _purpose(purpose: str | None) -> str | None:
    return ProfilePurpose.charging_station_max_profile if purpose == "ChargePointMaxProfile" else purpose


class SmartChargingRequests(RequestHandlers):
    """Handlers of requests about charging profiles."""

    def set_charging_profile(self, request: Payload) -> Payload:
        """SetChargingProfile (5.16)."""
        station, number = self._station, request["connectorId"]
        evse = station.evses.get(number)
        running = evse.transaction if evse is not None else None
        name = None if running is None else running.name
        profile = as_profile(request["csChargingProfiles"], name, station.wall())
        found = self._station.profiles.install(number, profile, station.wall(), name)
        if found is not None:
            self._station.rejections.append(f"{found[1]}: {found[0]}")
            return response(v16.ChargingProfileStatus.rejected)
        self._profiles_changed()
        return response(v16.ChargingProfileStatus.accepted)

    def clear_charging_profile(self, request: Payload) -> Payload:
        """ClearChargingProfile (5.5)."""
        purpose = _purpose(request.get("chargingProfilePurpose"))
        cleared = self._station.profiles.clear(
            request.get("id"), request.get("connectorId"), purpose, request.get("stackLevel")
        )
        self._profiles_changed()
        return accepted_if(bool(cleared), v16.ClearChargingProfileStatus.unknown)

    def get_composite_schedule(self, request: Payload) -> Payload:
        """GetCompositeSchedule (5.7)."""
        station, number = self._station, request["connectorId"]
        if number != 0 and number not in station.evses:
            return response(v16.GetCompositeScheduleStatus.rejected)
        unit, wall = request.get("chargingRateUnit", "W"), station.wall()
        evse = station.evses[number or 1]
        at = self._station.smart_charging.evse_conditions(evse)
        factor = at.unit_factor(unit)
        found = self._station.profiles.schedule(number, wall, request["duration"], at)
        periods = []
        for start, composite in found:
            limit = evse.power_path.max_charge_w if composite.limit_w is None else composite.limit_w
            periods.append({"startPeriod": round(start), "limit": round(limit * factor, 1)})
        schedule = {"duration": request["duration"], "chargingRateUnit": unit, "chargingSchedulePeriod": periods}
        status = v16.GetCompositeScheduleStatus.accepted
        return response(status, connectorId=number, scheduleStart=stamp(wall), chargingSchedule=schedule)
