"""One charging profile: its values at a time, in watts, and when they change by themselves.

Pure: Unix times are arguments. Recurrence, validity, the duration of dynamic profiles, randomised delays and validity
while offline follow OCPP 2.1 part 2 K01, K28, Q11 and Q12. Profiles are combined in `profiles.py`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from emulators.charger.station.ocpp_enums import OperationMode, ProfileKind, ProfilePurpose
from emulators.charger.station.smart_charging.profile_rules import Period, Profile, Schedule, mode_of
from protocols.frozen import frozen
from protocols.ocpp.times import parse

RECURS = {"Daily": 86_400.0, "Weekly": 604_800.0}
AFTER_S = 1e-3  # between the end of what ends after a time and the time at which a station wakes for it
EXTERNAL = ProfilePurpose.charging_station_external_constraints
STATION_TOTALS = frozenset({EXTERNAL, ProfilePurpose.charging_station_max_profile, ProfilePurpose.local_generation})


@frozen
class EvseConditions:
    """State of an EVSE on which its profiles depend."""

    transaction: str | None = None
    ready_at: float | None = None  # authorised and connected: start of Relative schedules
    soc_pct: float | None = None
    offline_since: float | None = None  # None while online
    priority: bool = False
    setpoint_priority: str = "ExternalControl"  # SmartChargingCtrlr.SetpointPriority
    voltage_v: float = 230.0
    phases: int = 3
    max_charge_w: float = float("inf")
    max_discharge_w: float = float("inf")
    sharers: int = 1  # EVSEs with a transaction, among which limits of the whole station are divided

    def unit_factor(self, unit: str) -> float:
        """Return the factor from W to a ChargingRateUnit."""
        return 1.0 if unit == "W" else 1.0 / (self.voltage_v * self.phases)


@frozen
class Active:
    """The current period of the valid profile of one purpose."""

    held: InstalledProfile
    period: Period
    unit: str
    cap_at_soc: float | None = None


@frozen
class Composite:
    """Combination of all purposes. Powers in W, + into the vehicle; None is no limit."""

    mode: str = OperationMode.charging_only
    limit_w: float | None = None
    discharge_limit_w: float | None = None
    setpoint_w: float | None = None
    profile: int | None = None  # of the Tx purpose
    period: Period = field(default_factory=dict)
    unit: str = "W"


@dataclass(slots=True, eq=False)
class InstalledProfile:
    """One installed profile with its state. Its fields are a stored format."""

    evse: int
    profile: Profile
    installed_at: float
    updated_at: float  # dynUpdateTime
    external: bool = False
    pulled_at: float = 0.0  # time of the last PullDynamicScheduleUpdate
    spent: bool = False  # invalidated by invalidAfterOfflineDuration
    delays: tuple[float, ...] = ()  # of each period (randomizedDelay)

    @property
    def id(self) -> int:
        """Id of the profile."""
        return int(self.profile["id"])

    @property
    def purpose(self) -> str:
        """ChargingProfilePurposeEnumType."""
        return str(self.profile["chargingProfilePurpose"])

    @property
    def dynamic(self) -> bool:
        """True for a profile of kind Dynamic."""
        return bool(self.profile["chargingProfileKind"] == ProfileKind.dynamic)

    @property
    def level(self) -> int:
        """Stack level."""
        return int(self.profile["stackLevel"])

    def lasts(self, now: float) -> bool:
        """Return False if the duration has expired since the last update."""
        duration = self.profile["chargingSchedule"][0].get("duration")
        return duration is None or now - self.updated_at <= duration


def active_period(held: InstalledProfile, now: float, at: EvseConditions) -> Active | None:
    """Return the current period of a profile, None if it is not valid."""
    profile = held.profile
    start, end = parse(profile.get("validFrom")), parse(profile.get("validTo"))
    if held.spent or (start is not None and now < start) or (end is not None and now >= end):
        return None
    if held.purpose == ProfilePurpose.tx_profile and profile.get("transactionId") != at.transaction:
        return None
    longest = profile.get("maxOfflineDuration")
    if longest is not None and at.offline_since is not None and now - at.offline_since > longest:
        return None  # K01.FR.101
    schedule = profile["chargingSchedule"][0]
    elapsed = _elapsed(held, schedule, now, at)
    if elapsed is None or elapsed < 0:
        return None
    duration = schedule.get("duration")
    if duration is not None and (elapsed >= duration if not held.dynamic else elapsed > duration):
        return None  # K28.FR.13 has "after", the others "until"
    periods = schedule["chargingSchedulePeriod"]
    index = 0
    if not held.dynamic:
        starts = _starts(held, schedule)
        index = max(0, bisect_right(starts, elapsed) - 1)
    cap = None
    at_soc = schedule.get("limitAtSoC")
    if at_soc is not None and at.soc_pct is not None and at.soc_pct >= at_soc["soc"]:
        cap = float(at_soc["limit"])  # K01.FR.100
    return Active(held, periods[index], schedule["chargingRateUnit"], cap)


def _elapsed(held: InstalledProfile, schedule: Schedule, now: float, at: EvseConditions) -> float | None:
    """Return the seconds since the start of the schedule; None if it has no start yet."""
    kind = held.profile["chargingProfileKind"]
    if kind == ProfileKind.dynamic:
        return max(0.0, now - held.updated_at)
    if kind == ProfileKind.relative:
        return now - (held.installed_at if at.ready_at is None else at.ready_at)
    start = parse(schedule.get("startSchedule"))
    if start is None:
        return None
    if kind == ProfileKind.recurring and now >= start:
        return (now - start) % RECURS[held.profile["recurrencyKind"]]
    return now - start


def read(active: Active, at: EvseConditions) -> Composite:
    """Return the values of a period in watts as a composite of one profile."""
    period, watts = active.period, _watts(active, at)
    if active.held.evse == 0 and active.held.purpose in STATION_TOTALS:
        watts /= max(1, at.sharers)  # Q06.FR.30, .31
    limit, floor, setpoint = (_total(period, name, watts) for name in ("limit", "dischargeLimit", "setpoint"))
    if active.cap_at_soc is not None:
        cap = active.cap_at_soc * watts
        limit = least(limit, cap)
        setpoint = None if setpoint is None else min(setpoint, cap)
    return Composite(mode_of(period), limit, floor, setpoint, active.held.id, period, active.unit)


def _watts(active: Active, at: EvseConditions) -> float:
    if active.unit == "W":
        return 1.0
    return at.voltage_v * float(active.period.get("numberPhases", at.phases))  # K01.FR.49, K01.FR.51


def change_times(held: InstalledProfile, now: float, until: float, at: EvseConditions) -> Iterator[float]:
    """Iterate over the times in (now, until) at which a profile starts, changes or ends.

    What ends after a time, not at it, ends up to `AFTER_S` before the time that is returned.
    """
    profile = held.profile
    moments: list[float] = [t for name in ("validFrom", "validTo") if (t := parse(profile.get(name))) is not None]
    longest = profile.get("maxOfflineDuration")
    if longest is not None and at.offline_since is not None:
        moments.append(at.offline_since + longest + AFTER_S)
    schedule = profile["chargingSchedule"][0]
    elapsed = _elapsed(held, schedule, now, at)
    if elapsed is not None:
        begin = now - elapsed
        marks = [] if held.dynamic else _starts(held, schedule)
        if "duration" in schedule:
            marks = [*marks, schedule["duration"] + (AFTER_S if held.dynamic else 0.0)]
        recurring = profile["chargingProfileKind"] == ProfileKind.recurring
        recurs = RECURS.get(profile.get("recurrencyKind", ""), 0.0) if recurring else 0.0
        rounds = int((until - begin) / recurs) + 2 if recurs else 1
        for lap in range(rounds):
            moments += [begin + mark + lap * recurs for mark in [*marks, 0.0]]
    return (t for t in moments if now < t < until)


def _starts(held: InstalledProfile, schedule: Schedule) -> list[float]:
    starts = [
        p["startPeriod"] + delay for p, delay in zip(schedule["chargingSchedulePeriod"], held.delays, strict=True)
    ]
    for before, after in pairwise(range(len(starts))):
        starts[after] = max(starts[after], starts[before])  # a delayed period never passes its successor
    return starts


def _total(period: Period, name: str, factor: float) -> float | None:
    """Return the value over all phases: the plain field is L1 where L2 or L3 are present."""
    values = [period[key] for key in (name, f"{name}_L2", f"{name}_L3") if key in period]
    return sum(values) * factor if values else None


def least(a: float | None, b: float | None) -> float | None:
    """Return the lower of two limits; None is no limit."""
    return b if a is None else a if b is None else min(a, b)
