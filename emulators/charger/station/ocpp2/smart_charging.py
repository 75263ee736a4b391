"""Requests of a 2.x CSMS about charging profiles, priority charging and energy transfer (blocks K and Q)."""

from __future__ import annotations

from dataclasses import replace

from emulators.charger.station.device_model.variables_v2x import load_thresholds
from emulators.charger.station.evse import EvseState
from emulators.charger.station.ocpp2.charging_needs import followed
from emulators.charger.station.ocpp_enums import OperationMode, ProfilePurpose
from emulators.charger.station.responses import accepted_if, rejected, response
from emulators.charger.station.shared_requests import RequestHandlers
from emulators.charger.station.smart_charging import operation_modes
from emulators.charger.station.smart_charging.profiles import with_update_time
from emulators.charger.station.smart_charging.schedule import Composite, InstalledProfile
from protocols.ocpp.enums import v21
from protocols.ocpp.schema import Payload, Version
from protocols.ocpp.times import parse, stamp

DAY_S = 86_400


class SmartChargingRequests(RequestHandlers):
    """Handlers of smart charging requests."""

    # K

    def set_charging_profile(self, request: Payload) -> Payload:
        """SetChargingProfile (K01, K28, Q01-Q12)."""
        station, number = self._station, request["evseId"]
        evse = station.evses.get(number)
        if evse is not None:
            load_thresholds(station.device_model, station.evses.values())
            station.profiles.use_thresholds(evse.conditions.thresholds)
        running = evse.transaction.id if evse is not None and evse.transaction is not None else None
        profile = request["chargingProfile"]
        found = station.profiles.install(number, profile, station.wall(), running)
        if found is not None:
            self._station.rejections.append(f"{found[1]}: {found[0]}")
            return rejected(found[0], found[1])
        self._profiles_changed()
        of_transaction = profile["chargingProfilePurpose"] == ProfilePurpose.tx_profile
        if evse is not None and running and of_transaction and station.config.version is not Version.V21:
            station.later(self._notify_followed(evse, profile["chargingSchedule"][0]))
        return response(v21.ChargingProfileStatusEnumType.accepted)

    async def _notify_followed(self, evse: EvseState, schedule: Payload) -> None:
        """Send the schedule that the vehicle follows under a new profile (K15.FR.10, .19, K16.FR.05, .13)."""
        station, wall, vehicle = self._station, self._station.wall(), evse.vehicle
        if vehicle is None:
            return
        unit, at = schedule["chargingRateUnit"], self._station.smart_charging.evse_conditions(evse)
        seconds = schedule.get("duration", DAY_S)
        factor = at.unit_factor(unit)
        plan = self._station.profiles.schedule(evse.number, wall, seconds, at)
        followed_schedule: Payload = {
            "id": schedule["id"],
            "duration": seconds,
            "chargingRateUnit": unit,
            "chargingSchedulePeriod": followed(plan, vehicle, factor, seconds),
        }
        body: Payload = {"timeBase": stamp(wall), "evseId": evse.number, "chargingSchedule": followed_schedule}
        await station.call(v21.Action.notify_ev_charging_schedule, body)

    def update_dynamic_schedule(self, request: Payload) -> Payload:
        """UpdateDynamicSchedule (K28.FR.06, .09, .11)."""
        station = self._station
        held, wall = self._station.profiles.get(request["chargingProfileId"]), station.wall()
        before = held.profile if held is not None and held.lasts(wall) else None
        found = self._station.profiles.update(request["chargingProfileId"], request["scheduleUpdate"], wall)
        if found is not None:
            return rejected(found[0], found[1])
        if held is None or held.profile is not before:  # otherwise it is a sign of life
            self._profiles_changed()
        return response(v21.ChargingProfileStatusEnumType.accepted)

    def clear_charging_profile(self, request: Payload) -> Payload:
        """ClearChargingProfile (K10)."""
        criteria = request.get("chargingProfileCriteria", {})
        cleared = self._station.profiles.clear(
            request.get("chargingProfileId"),
            criteria.get("evseId"),
            criteria.get("chargingProfilePurpose"),
            criteria.get("stackLevel"),
        )
        self._profiles_changed()
        return accepted_if(bool(cleared), v21.ClearChargingProfileStatusEnumType.unknown)

    def get_charging_profiles(self, request: Payload) -> Payload:
        """GetChargingProfiles (K09)."""
        criterion = request["chargingProfile"]
        found = self._station.profiles.report(
            request.get("evseId"),
            criterion.get("chargingProfilePurpose"),
            criterion.get("stackLevel"),
            criterion.get("chargingProfileId"),
        )
        if "chargingLimitSource" in criterion:
            found = [h for h in found if _source(h) in criterion["chargingLimitSource"]]
        if not found:
            return response(v21.GetChargingProfileStatusEnumType.no_profiles)
        self._station.later(self._report_profiles(request["requestId"], found))
        return response(v21.GetChargingProfileStatusEnumType.accepted)

    async def _report_profiles(self, request: int, found: list[InstalledProfile]) -> None:
        groups: dict[tuple[int, str], list[InstalledProfile]] = {}
        for held in found:
            groups.setdefault((held.evse, _source(held)), []).append(held)
        for number, ((evse, source), members) in enumerate(groups.items(), 1):
            body: Payload = {
                "requestId": request,
                "chargingLimitSource": source,
                "evseId": evse,
                "chargingProfile": [with_update_time(held) for held in members],
                "tbc": number < len(groups),
            }
            await self._station.call(v21.Action.report_charging_profiles, body)

    def get_composite_schedule(self, request: Payload) -> Payload:
        """GetCompositeSchedule (K08). EVSE 0 is the sum over the EVSEs, within the station's own limits."""
        station, number = self._station, request["evseId"]
        evses = self._selected(number)
        if not evses:
            return rejected("UnknownEVSE")
        unit, wall = request.get("chargingRateUnit", "W"), station.wall()
        first = evses[0]
        at = self._station.smart_charging.evse_conditions(first)
        factor = at.unit_factor(unit)
        seconds = request["duration"]
        if number == 0:
            periods = self._total(evses, wall, seconds, factor)
        else:
            version = station.config.version.number
            found = self._station.profiles.schedule(number, wall, seconds, at)
            periods = [operation_modes.as_period(_bounded(c, first), start, version, factor) for start, c in found]
        schedule: Payload = {
            "evseId": number,
            "duration": seconds,
            "scheduleStart": stamp(wall),
            "chargingRateUnit": unit,
            "chargingSchedulePeriod": periods,
        }
        return response(v21.GenericStatusEnumType.accepted, schedule=schedule)

    def _total(self, evses: list[EvseState], wall: float, seconds: float, factor: float) -> list[Payload]:
        plans = [
            self._station.profiles.schedule(e.number, wall, seconds, self._station.smart_charging.evse_conditions(e))
            for e in evses
        ]
        starts = sorted({start for plan in plans for start, _ in plan})
        periods: list[Payload] = []
        for start in starts:
            total = 0.0
            for evse, plan in zip(evses, plans, strict=True):
                composite = [c for begin, c in plan if begin <= start][-1]
                ceiling = composite.setpoint_w if composite.setpoint_w is not None else composite.limit_w
                total += evse.power_path.max_charge_w if ceiling is None else min(ceiling, evse.power_path.max_charge_w)
            entry: Payload = {"startPeriod": round(start), "limit": round(max(total, 0.0) * factor, 1)}
            if total < 0:
                entry["dischargeLimit"] = round(total * factor, 1)
            if not periods or entry["limit"] != periods[-1]["limit"]:
                periods.append(entry)
        return periods

    def use_priority_charging(self, request: Payload) -> Payload:
        """UsePriorityCharging (K21, K22)."""
        station, evse = self._station, self._station.evse_of(request["transactionId"])
        if evse is None:
            return rejected("TxNotFound")
        priority = ProfilePurpose.priority_charging
        if not any(h.purpose == priority and h.evse in (0, evse.number) for h in station.profiles):
            return response(v21.PriorityChargingStatusEnumType.no_profile)
        evse.priority = request["activate"]
        body: Payload = {"transactionId": request["transactionId"], "activated": evse.priority}
        station.later(station.call(v21.Action.notify_priority_charging, body))
        station.wake()
        return response(v21.PriorityChargingStatusEnumType.accepted)

    # Q

    def notify_allowed_energy_transfer(self, request: Payload) -> Payload:
        """NotifyAllowedEnergyTransfer: the service is renegotiated and the needs are sent again (Q02.FR.06, .07)."""
        evse = self._station.evse_of(request["transactionId"])
        if evse is None:
            return rejected("TxNotFound")
        evse.allowed_transfers = tuple(request["allowedEnergyTransfer"])
        self._station.later(self._station.sessions.renegotiate(evse))
        return response(v21.NotifyAllowedEnergyTransferStatusEnumType.accepted)

    def afrr_signal(self, request: Payload) -> Payload:
        """AFRRSignal (Q08.FR.10, .11)."""
        active = {
            e.number: (e.transaction.name, e.composite.profile)
            for e in self._station.evses.values()
            if e.transaction is not None and _takes_signal(e.composite)
        }
        if not active:
            return rejected("NoSignalWattCurve")
        self._station.later(self._apply_signal(active, request["signal"], parse(request["timestamp"])))
        return response(v21.GenericStatusEnumType.accepted)

    async def _apply_signal(self, active: dict[int, tuple[str, int | None]], signal: int, at: float | None) -> None:
        """Apply a signal at its time to the transactions and profiles for which it was accepted."""
        if at is not None and at > self._station.wall():
            await self._station.clock.sleep(at - self._station.wall())
        for number, accepted_for in active.items():
            evse = self._station.evses[number]
            now = evse.transaction is not None and (evse.transaction.name, evse.composite.profile)
            if now == accepted_for and _takes_signal(evse.composite):
                evse.algorithm.follow(evse.composite)
                evse.algorithm.afrr_signal = signal
        self._station.wake()


def _takes_signal(composite: Composite) -> bool:
    return composite.mode == OperationMode.local_frequency and "v2xSignalWattCurve" in composite.period


def _source(held: InstalledProfile) -> str:
    return "EMS" if held.external else "CSO"


def _bounded(composite: Composite, evse: EvseState) -> Composite:
    """Return a composite with a limit: without one it is that of the hardware."""
    if composite.limit_w is None and composite.mode in (OperationMode.charging_only, OperationMode.external_limits):
        return replace(composite, limit_w=evse.power_path.max_charge_w)
    return composite
