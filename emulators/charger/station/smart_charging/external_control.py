"""An external system at the station, such as an energy management system on site: limits and set-points beside OCPP.

Single values live in a Dynamic profile, schedules in an Absolute one, of purpose ChargingStationExternalConstraints
(K29.FR.04, Q06); while a profile of the CSMS grants control (ExternalLimits, ExternalSetpoint), its values are put
there (K29.FR.03, Q05). EVSE 0 is the station as a whole. The text has NotifyChargingLimit say `isDynamic`; the schema
of edition 1 has no such member, so it is not said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from emulators.charger.station.smart_charging.profile_rules import mode_of
from emulators.charger.station.smart_charging.schedule import EXTERNAL, Held
from protocols.ocpp.schema import Payload
from protocols.ocpp.times import stamp

if TYPE_CHECKING:
    from emulators.charger.station.station import Station

IDS_FROM = 0  # MaxExternalConstraintsId: our own profiles are numbered from here downwards
GRANTS = {"ExternalSetpoint": ("setpoint", "setpointReactive"), "ExternalLimits": ("limit", "dischargeLimit")}
_CONTROLLER = "SmartChargingCtrlr"


class ExternalSystem:
    """What an energy management system can ask of a station."""

    def __init__(self, station: Station) -> None:
        self.station = station

    def limits(self, evse: int = 0, limit_w: float | None = None, discharge_limit_w: float | None = None) -> bool:
        """Single limits, W: limit ≥ 0, discharge limit ≤ 0. Whether the station took them."""
        return self._single(evse, "ExternalLimits", _named(limit=limit_w, dischargeLimit=discharge_limit_w))

    def setpoint(self, evse: int = 0, setpoint_w: float = 0.0) -> bool:
        """A single set-point, W, + into the vehicle. Whether the station took it."""
        return self._single(evse, "ExternalSetpoint", {"setpoint": setpoint_w})

    def schedule(self, evse: int, mode: str, periods: Sequence[Mapping[str, Any]], duration: int | None = None) -> bool:
        """A schedule from now on: periods of `startPeriod` and the values of the mode (Q06.FR.01, .03)."""
        if not self._allowed():
            return False
        station = self.station
        body: Payload = {
            "id": 1,
            "chargingRateUnit": "W",
            "startSchedule": stamp(station.wall()),
            "chargingSchedulePeriod": [{**period, "operationMode": mode} for period in periods],
        }
        if duration is not None:
            body["duration"] = duration
        return self._install(evse, "Absolute", body)

    def clear(self, evse: int = 0) -> None:
        """Let go of what was set."""
        if self.station.profiles.drop_external(evse):
            body: Payload = {"chargingLimitSource": "EMS"} | ({"evseId": evse} if evse else {})
            self.station.later(self._tell("ClearedChargingLimit", body))
            self.station.wake()

    # how values get into profiles

    def _allowed(self) -> bool:
        """Q06.FR.08."""
        device = self.station.device
        enabled = device.truth(_CONTROLLER, "ExternalControlSignalsEnabled", True)
        return enabled and not device.truth(_CONTROLLER, "ExternalConstraintsProfileDisallowed")

    def _single(self, evse: int, mode: str, values: dict[str, float]) -> bool:
        station, granted = self.station, self._granted(evse, mode)
        if granted is not None:
            if granted.dynamic:
                found = station.profiles.update(granted.id, values, station.wall())
                station.wake()
                return found is None
            return False  # Q05.FR.03, .04: only a Dynamic profile is changed from outside
        if not self._allowed():
            return False
        held = self._own(evse)
        if held is not None and held.dynamic and mode_of(self._period(held)) == mode:
            before = dict(self._period(held))
            station.profiles.update(held.id, values, station.wall())  # K29.FR.05, .06
            if self._significant(before, values):
                station.later(self._tell_limit(held))
            station.wake()
            return True
        period = {"startPeriod": 0, "operationMode": mode, **values}
        body: Payload = {"id": 1, "chargingRateUnit": "W", "chargingSchedulePeriod": [period]}
        return self._install(evse, "Dynamic", body)

    def _granted(self, evse: int, mode: str) -> Held | None:
        """A profile of the CSMS that rules, or would if it were fed, and grants this kind of control."""
        for held in sorted(self.station.profiles, key=lambda one: -one.level):
            if held.external or held.purpose not in ("TxProfile", "TxDefaultProfile"):
                continue
            if evse in (0, held.evse) or held.evse == 0:
                period = self._period(held)
                if mode_of(period) == mode:
                    return held
        return None

    def _own(self, evse: int) -> Held | None:
        return next((h for h in self.station.profiles if h.purpose == EXTERNAL and h.evse == evse), None)

    @staticmethod
    def _period(held: Held) -> Mapping[str, Any]:
        period: Mapping[str, Any] = held.profile["chargingSchedule"][0]["chargingSchedulePeriod"][0]
        return period

    def _install(self, evse: int, kind: str, schedule: Payload) -> bool:
        station = self.station
        profile: Payload = {
            "id": IDS_FROM - evse,
            "stackLevel": 0,
            "chargingProfilePurpose": EXTERNAL,
            "chargingProfileKind": kind,
            "chargingSchedule": [schedule],
        }
        if station.profiles.install(evse, profile, station.wall(), None, external=True) is not None:
            return False
        held = self._own(evse)
        if held is not None:
            station.later(self._tell_limit(held))
        station.wake()
        return True

    def _significant(self, before: Mapping[str, Any], values: Mapping[str, float]) -> bool:
        """Whether a value moved by more than LimitChangeSignificance percent."""
        share = self.station.device.number(_CONTROLLER, "LimitChangeSignificance", 5.0) / 100.0
        return any(
            abs(value - before.get(name, 0.0)) > share * max(abs(before.get(name, 0.0)), 1e-9)
            for name, value in values.items()
        )

    async def _tell_limit(self, held: Held) -> None:
        """Q06.FR.10, .11."""
        schedules = held.profile["chargingSchedule"]
        body: Payload = {"chargingLimit": {"chargingLimitSource": "EMS"}, "chargingSchedule": schedules}
        if held.evse:
            body["evseId"] = held.evse
        await self._tell("NotifyChargingLimit", body)

    async def _tell(self, action: str, body: Payload) -> None:
        if self.station.online:
            await self.station.call(action, body)


def _named(**values: float | None) -> dict[str, float]:
    return {name: value for name, value in values.items() if value is not None}
