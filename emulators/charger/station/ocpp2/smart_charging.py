"""What the emulated station does when a 2.x CSMS asks about power: profiles, priority, aFRR, DER controls."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from emulators.charger.station.evse import EvseState
from emulators.charger.station.ocpp2.charging_needs import followed
from emulators.charger.station.smart_charging import operation_modes
from emulators.charger.station.smart_charging.der import BODIES, CURVES, Control
from emulators.charger.station.smart_charging.profile_rules import THRESHOLDS
from emulators.charger.station.smart_charging.profiles import as_reported
from emulators.charger.station.smart_charging.schedule import Composite, Held
from emulators.charger.station.station import Station
from protocols.ocpp.schema import Payload, Version
from protocols.ocpp.times import parse, stamp

if TYPE_CHECKING:
    from emulators.charger.station.ocpp2.messages import Dialect2

DAY_S = 86_400
REPORTED = 20  # DER controls in one report; the schema allows 24 of each kind
_GET_NAMES = {"fixedPFAbsorb": "fixedPF", "fixedPFInject": "fixedPF"}
Handler = Callable[[Payload], Payload | Awaitable[Payload]]


def handlers(station: Station, dialect: Dialect2) -> dict[str, Handler]:
    """The table for one connection."""
    smart = Smart(station, dialect)
    table: dict[str, Handler] = {
        "ClearChargingProfile": smart.clear_charging_profile,
        "GetChargingProfiles": smart.get_charging_profiles,
        "GetCompositeSchedule": smart.get_composite_schedule,
        "SetChargingProfile": smart.set_charging_profile,
    }
    if station.config.version is Version.V21:
        table |= {
            "AFRRSignal": smart.afrr_signal,
            "ClearDERControl": smart.clear_der_control,
            "GetDERControl": smart.get_der_control,
            "NotifyAllowedEnergyTransfer": smart.notify_allowed_energy_transfer,
            "SetDERControl": smart.set_der_control,
            "UpdateDynamicSchedule": smart.update_dynamic_schedule,
            "UsePriorityCharging": smart.use_priority_charging,
        }
    return table


def learn_thresholds(station: Station) -> None:
    """V2XChargingCtrlr.LocalLoadBalancing as numbers, for each EVSE that has them."""
    for evse in station.evses.values():
        values = {}
        for name in THRESHOLDS:
            text = station.device.get("V2XChargingCtrlr", "LocalLoadBalancing", evse.number, name)
            if text:
                values[name] = float(text)
        evse.surroundings.thresholds = values
        evse.surroundings.frequency_threshold_mhz = station.device.number(
            "V2XChargingCtrlr", "LocalFrequencyUpdateThreshold", 10.0, evse.number
        )


def rejected(code: str, text: str = "") -> Payload:
    """An answer that says no, and why."""
    return {"status": "Rejected", "statusInfo": {"reasonCode": code[:20]} | ({"additionalInfo": text} if text else {})}


class Smart:
    """Requests about power."""

    def __init__(self, station: Station, dialect: Dialect2) -> None:
        self.station, self.dialect = station, dialect

    # K

    def set_charging_profile(self, request: Payload) -> Payload:
        """K01, K28, Q01-Q12."""
        station, number = self.station, request["evseId"]
        evse = station.evses.get(number)
        if evse is not None:
            self._learn(evse)
        running = evse.transaction.id if evse is not None and evse.transaction is not None else None
        found = station.profiles.install(number, request["chargingProfile"], station.wall(), running)
        if found is not None:
            station.refused.append(f"{found[1]}: {found[0]}")
            return rejected(found[0], found[1])
        self._changed()
        profile = request["chargingProfile"]
        if evse is not None and running and profile["chargingProfilePurpose"] == "TxProfile" and not self.dialect.late:
            station.later(self._tell_followed(evse, profile["chargingSchedule"][0]))
        return {"status": "Accepted"}

    async def _tell_followed(self, evse: EvseState, schedule: Payload) -> None:
        """K15.FR.10, .19, K16.FR.05, .13: the schedule that the vehicle follows under a new profile."""
        station, wall, vehicle = self.station, self.station.wall(), evse.vehicle
        if vehicle is None:
            return
        unit, at = schedule["chargingRateUnit"], station.steering.circumstances(evse)
        seconds = schedule.get("duration", DAY_S)
        factor = 1.0 if unit == "W" else 1.0 / (at.voltage_v * at.phases)
        plan = station.profiles.schedule(evse.number, wall, seconds, at)
        told: Payload = {
            "id": schedule["id"],
            "duration": seconds,
            "chargingRateUnit": unit,
            "chargingSchedulePeriod": followed(plan, vehicle, factor, seconds),
        }
        body: Payload = {"timeBase": stamp(wall), "evseId": evse.number, "chargingSchedule": told}
        await station.call("NotifyEVChargingSchedule", body)

    def _changed(self) -> None:
        """Profiles act at once, and those that persist are kept."""
        self.station.save("profiles")
        self.station.wake()
        self.station.step()

    def _learn(self, evse: EvseState) -> None:
        station = self.station
        learn_thresholds(station)
        station.profiles.abilities.thresholds = evse.surroundings.thresholds

    def update_dynamic_schedule(self, request: Payload) -> Payload:
        """K28.FR.06, .09, .11."""
        station = self.station
        held, wall = station.profiles.get(request["chargingProfileId"]), station.wall()
        before = held.profile if held is not None and held.lasts(wall) else None
        found = station.profiles.update(request["chargingProfileId"], request["scheduleUpdate"], wall)
        if found is not None:
            return rejected(found[0], found[1])
        if held is None or held.profile is not before:  # else it only shows that somebody is there
            self._changed()
        return {"status": "Accepted"}

    def clear_charging_profile(self, request: Payload) -> Payload:
        """K10."""
        criteria = request.get("chargingProfileCriteria", {})
        gone = self.station.profiles.clear(
            request.get("chargingProfileId"),
            criteria.get("evseId"),
            criteria.get("chargingProfilePurpose"),
            criteria.get("stackLevel"),
        )
        self._changed()
        return {"status": "Accepted" if gone else "Unknown"}

    def get_charging_profiles(self, request: Payload) -> Payload:
        """K09."""
        asked = request["chargingProfile"]
        found = self.station.profiles.report(
            request.get("evseId"),
            asked.get("chargingProfilePurpose"),
            asked.get("stackLevel"),
            asked.get("chargingProfileId"),
        )
        if "chargingLimitSource" in asked:
            found = [h for h in found if _source(h) in asked["chargingLimitSource"]]
        if not found:
            return {"status": "NoProfiles"}
        self.station.later(self._report_profiles(request["requestId"], found))
        return {"status": "Accepted"}

    async def _report_profiles(self, request: int, found: list[Held]) -> None:
        groups: dict[tuple[int, str], list[Held]] = {}
        for held in found:
            groups.setdefault((held.evse, _source(held)), []).append(held)
        for number, ((evse, source), members) in enumerate(groups.items(), 1):
            body: Payload = {
                "requestId": request,
                "chargingLimitSource": source,
                "evseId": evse,
                "chargingProfile": [as_reported(held) for held in members],
                "tbc": number < len(groups),
            }
            await self.station.call("ReportChargingProfiles", body)

    def get_composite_schedule(self, request: Payload) -> Payload:
        """K08. EVSE 0 is the sum over the EVSEs, within the station's own limits."""
        station, number = self.station, request["evseId"]
        if number != 0 and number not in station.evses:
            return rejected("UnknownEVSE")
        unit, wall = request.get("chargingRateUnit", "W"), station.wall()
        evses = list(station.evses.values()) if number == 0 else [station.evses[number]]
        first = evses[0]
        at = station.steering.circumstances(first)
        factor = 1.0 if unit == "W" else 1.0 / (at.voltage_v * at.phases)
        seconds = request["duration"]
        if number == 0:
            periods = self._total(evses, wall, seconds, factor)
        else:
            version = station.config.version.number
            found = station.profiles.schedule(number, wall, seconds, at)
            periods = [operation_modes.as_period(_bounded(c, first), start, version, factor) for start, c in found]
        schedule: Payload = {
            "evseId": number,
            "duration": seconds,
            "scheduleStart": stamp(wall),
            "chargingRateUnit": unit,
            "chargingSchedulePeriod": periods,
        }
        return {"status": "Accepted", "schedule": schedule}

    def _total(self, evses: list[EvseState], wall: float, seconds: float, factor: float) -> list[Payload]:
        station = self.station
        plans = [station.profiles.schedule(e.number, wall, seconds, station.steering.circumstances(e)) for e in evses]
        starts = sorted({start for plan in plans for start, _ in plan})
        periods: list[Payload] = []
        for start in starts:
            total = 0.0
            for evse, plan in zip(evses, plans, strict=True):
                composite = [c for begin, c in plan if begin <= start][-1]
                ceiling = composite.setpoint_w if composite.setpoint_w is not None else composite.limit_w
                total += evse.outlet.max_charge_w if ceiling is None else min(ceiling, evse.outlet.max_charge_w)
            entry: Payload = {"startPeriod": round(start), "limit": round(max(total, 0.0) * factor, 1)}
            if total < 0:
                entry["dischargeLimit"] = round(total * factor, 1)
            if not periods or entry["limit"] != periods[-1]["limit"]:
                periods.append(entry)
        return periods

    def use_priority_charging(self, request: Payload) -> Payload:
        """K21, K22."""
        station = self.station
        for evse in station.evses.values():
            if evse.transaction is None or evse.transaction.id != request["transactionId"]:
                continue
            installed = [h for h in station.profiles if h.purpose == "PriorityCharging" and h.evse in (0, evse.number)]
            if not installed:
                return {"status": "NoProfile"}
            evse.priority = request["activate"]
            station.later(self._tell_priority(evse.transaction.id, evse.priority))
            station.wake()
            return {"status": "Accepted"}
        return rejected("TxNotFound")

    async def _tell_priority(self, transaction: str, activated: bool) -> None:
        body: Payload = {"transactionId": transaction, "activated": activated}
        await self.station.call("NotifyPriorityCharging", body)

    # Q

    def notify_allowed_energy_transfer(self, request: Payload) -> Payload:
        """Q02.FR.06, .07: accepted; the service is negotiated again, and the needs are told again."""
        station = self.station
        for evse in station.evses.values():
            if evse.transaction is not None and evse.transaction.id == request["transactionId"]:
                evse.allowed = tuple(request["allowedEnergyTransfer"])
                station.later(station.renegotiate(evse))
                return {"status": "Accepted"}
        return rejected("TxNotFound")

    def afrr_signal(self, request: Payload) -> Payload:
        """Q08.FR.10, .11."""
        active = [
            e
            for e in self.station.evses.values()
            if e.transaction is not None
            and e.composite.mode == "LocalFrequency"
            and "v2xSignalWattCurve" in e.composite.period
        ]
        if not active:
            return rejected("NoSignalWattCurve")
        self.station.later(self._apply_signal(active, request["signal"], parse(request["timestamp"])))
        return {"status": "Accepted"}

    async def _apply_signal(self, evses: list[EvseState], signal: int, at: float | None) -> None:
        if at is not None and at > self.station.wall():
            await self.station.clock.sleep(at - self.station.wall())
        for evse in evses:
            evse.surroundings.afrr_signal = signal
        self.station.wake()

    # R

    def set_der_control(self, request: Payload) -> Payload:
        """R04.FR.01-08."""
        status, superseded = self.station.controls.set(request, self.station.wall())
        self.station.save("controls")
        self.station.wake()
        return {"status": status} | ({"supersededIds": superseded} if superseded else {})

    def get_der_control(self, request: Payload) -> Payload:
        """R04.FR.30-36."""
        controls, kind = self.station.controls, request.get("controlType")
        if kind is not None and kind not in controls.supported:
            return {"status": "NotSupported"}
        found = controls.select(request.get("isDefault"), kind, request.get("controlId"))
        if not found:
            return {"status": "NotFound"}
        self.station.later(self._report_controls(request["requestId"], found))
        return {"status": "Accepted"}

    async def _report_controls(self, request: int, found: list[Control]) -> None:
        parts = [found[i : i + REPORTED] for i in range(0, len(found), REPORTED)]
        for number, part in enumerate(parts, 1):
            body: Payload = {"requestId": request, "tbc": number < len(parts)}
            for control in part:
                body.setdefault(BODIES[control.type], []).append(_report(control))
            await self.station.call("ReportDERControl", body)

    def clear_der_control(self, request: Payload) -> Payload:
        """R04.FR.41-45."""
        controls, kind, number = self.station.controls, request.get("controlType"), request.get("controlId")
        if kind is not None and kind not in controls.supported:
            return {"status": "NotSupported"}
        found = controls.select(request["isDefault"], kind, number)
        if not found and (kind is not None or number is not None):
            return {"status": "NotFound"}
        controls.remove(found)
        self.station.save("controls")
        self.station.wake()
        return {"status": "Accepted"}


def _report(control: Control) -> Payload:
    """The *GetType of a control."""
    body = BODIES[control.type]
    entry: Payload = {"id": control.id, _GET_NAMES.get(body, body): control.body}
    if control.type in CURVES:
        entry["curveType"] = control.type
    if control.type not in ("EnterService", "Gradients"):
        entry |= {"isDefault": control.default, "isSuperseded": control.superseded}
    return entry


def _source(held: Held) -> str:
    return "EMS" if held.external else "CSO"


def _bounded(composite: Composite, evse: EvseState) -> Composite:
    """A composite schedule names a limit always: without any it is what the hardware can."""
    if composite.limit_w is None and composite.mode in ("ChargingOnly", "ExternalLimits"):
        return replace(composite, limit_w=evse.outlet.max_charge_w)
    return composite
