"""External control system at the station, such as an energy management system: limits and set-points beside OCPP.

Single values are stored in a Dynamic profile, schedules in an Absolute one, of purpose
ChargingStationExternalConstraints (K29.FR.04, Q06). While a profile of the CSMS grants control (ExternalLimits,
ExternalSetpoint), the values are stored there (K29.FR.03, Q05). EVSE 0 is the station as a whole. The text requires
`isDynamic` in NotifyChargingLimit; the schema of edition 1 has no such member, so it is not sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from emulators.charger.station.context import StationContext
from emulators.charger.station.ocpp_enums import OperationMode, ProfileKind, ProfilePurpose
from emulators.charger.station.smart_charging.profile_rules import Period, mode_of
from emulators.charger.station.smart_charging.profiles import Profiles
from emulators.charger.station.smart_charging.schedule import EXTERNAL, InstalledProfile
from protocols.ocpp.enums import v21
from protocols.ocpp.schema import Payload
from protocols.ocpp.times import stamp

IDS_FROM = 0  # MaxExternalConstraintsId: profiles of the external system have this id and lower ones

_CONTROLLER = "SmartChargingCtrlr"


class ExternalControlSystem:
    """Interface of an external control system to one station."""

    def __init__(self, context: StationContext, profiles: Profiles) -> None:
        self._context, self._profiles = context, profiles

    def limits(
        self,
        evse: int = 0,
        limit_w: float | None = None,
        discharge_limit_w: float | None = None,
        duration: int | None = None,
    ) -> bool:
        """Set single limits, W: limit ≥ 0, discharge limit ≤ 0; they expire after `duration`. False if rejected."""
        values = _without_none(limit=limit_w, dischargeLimit=discharge_limit_w)
        return self._single(evse, OperationMode.external_limits, values, duration)

    def setpoint(self, evse: int = 0, setpoint_w: float = 0.0) -> bool:
        """Set a single set-point, W, + into the vehicle. Return False if rejected."""
        return self._single(evse, OperationMode.external_setpoint, {"setpoint": setpoint_w})

    def schedule(self, evse: int, mode: str, periods: Sequence[Period], duration: int | None = None) -> bool:
        """Set a schedule that starts now: periods of `startPeriod` and the values of the mode (Q06.FR.01, .03)."""
        if not self._allowed():
            return False
        context = self._context
        body: Payload = {
            "id": 1,
            "chargingRateUnit": "W",
            "startSchedule": stamp(context.wall()),
            "chargingSchedulePeriod": [{**period, "operationMode": mode} for period in periods],
        }
        if duration is not None:
            body["duration"] = duration
        return self._install(evse, ProfileKind.absolute, body)

    def clear(self, evse: int = 0) -> None:
        """Remove all values of the external system."""
        if self._profiles.drop_external(evse):
            body: Payload = {"chargingLimitSource": "EMS"} | ({"evseId": evse} if evse else {})
            self._context.later(self._notify(v21.Action.cleared_charging_limit, body))
            self._context.wake()

    # profiles

    def _allowed(self) -> bool:
        """Return True if external control is enabled (Q06.FR.08)."""
        device_model = self._context.device_model
        enabled = device_model.truth(_CONTROLLER, "ExternalControlSignalsEnabled", True)
        return enabled and not device_model.truth(_CONTROLLER, "ExternalConstraintsProfileDisallowed")

    def _single(self, evse: int, mode: str, values: dict[str, float], duration: int | None = None) -> bool:
        context, granted = self._context, self._granted(evse, mode)
        if granted is not None:
            if granted.dynamic:
                found = self._profiles.update(granted.id, values, context.wall())
                context.wake()
                return found is None
            return False  # Q05.FR.03, .04: only a Dynamic profile can be changed
        if not self._allowed():
            return False
        held = self._own(evse)
        if held is not None and held.dynamic and mode_of(self._period(held)) == mode:
            before = dict(self._period(held))
            self._profiles.update(held.id, values, context.wall())  # K29.FR.05, .06
            if self._significant(before, values):
                context.later(self._notify_limit(held))
            context.wake()
            return True
        period = {"startPeriod": 0, "operationMode": mode, **values}
        body: Payload = {"id": 1, "chargingRateUnit": "W", "chargingSchedulePeriod": [period]}
        if duration is not None:
            body["duration"] = duration
        return self._install(evse, ProfileKind.dynamic, body)

    def _granted(self, evse: int, mode: str) -> InstalledProfile | None:
        """Return the profile of the CSMS with the highest level that grants this kind of control."""
        for held in sorted(self._profiles, key=lambda one: -one.level):
            if held.external or held.purpose not in (ProfilePurpose.tx_profile, ProfilePurpose.tx_default_profile):
                continue
            if evse in (0, held.evse) or held.evse == 0:
                period = self._period(held)
                if mode_of(period) == mode:
                    return held
        return None

    def _own(self, evse: int) -> InstalledProfile | None:
        return next((h for h in self._profiles if h.purpose == EXTERNAL and h.evse == evse), None)

    @staticmethod
    def _period(held: InstalledProfile) -> Period:
        period: Period = held.profile["chargingSchedule"][0]["chargingSchedulePeriod"][0]
        return period

    def _install(self, evse: int, kind: str, schedule: Payload) -> bool:
        context = self._context
        profile: Payload = {
            "id": IDS_FROM - evse,
            "stackLevel": 0,
            "chargingProfilePurpose": EXTERNAL,
            "chargingProfileKind": kind,
            "chargingSchedule": [schedule],
        }
        if self._profiles.install(evse, profile, context.wall(), None, external=True) is not None:
            return False
        held = self._own(evse)
        if held is not None:
            context.later(self._notify_limit(held))
        context.wake()
        return True

    def _significant(self, before: Period, values: Mapping[str, float]) -> bool:
        """Return True if a value changed by more than LimitChangeSignificance percent."""
        share = self._context.device_model.number(_CONTROLLER, "LimitChangeSignificance", 5.0) / 100.0
        return any(
            abs(value - before.get(name, 0.0)) > share * max(abs(before.get(name, 0.0)), 1e-9)
            for name, value in values.items()
        )

    async def _notify_limit(self, held: InstalledProfile) -> None:
        """Send NotifyChargingLimit (Q06.FR.10, .11)."""
        schedules = held.profile["chargingSchedule"]
        body: Payload = {"chargingLimit": {"chargingLimitSource": "EMS"}, "chargingSchedule": schedules}
        if held.evse:
            body["evseId"] = held.evse
        await self._notify(v21.Action.notify_charging_limit, body)

    async def _notify(self, action: str, body: Payload) -> None:
        if self._context.online:
            await self._context.call(action, body)


def _without_none(**values: float | None) -> dict[str, float]:
    return {name: value for name, value in values.items() if value is not None}
