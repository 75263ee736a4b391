"""Validation of charging profiles beyond the JSON schema: rules with reason code and requirement id.

OCPP 2.1 part 2 K01, K28, Q01-Q10 with the 2025-09 errata; where they differ the erratum applies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from emulators.charger.station.ocpp_enums import OperationMode, ProfileKind, ProfilePurpose
from protocols.frozen import frozen
from protocols.ocpp.times import parse

Profile: TypeAlias = dict[str, Any]
Schedule: TypeAlias = Mapping[str, Any]
Period: TypeAlias = Mapping[str, Any]

MODES = (
    OperationMode.charging_only, OperationMode.central_setpoint, OperationMode.central_frequency,
    OperationMode.external_setpoint, OperationMode.external_limits, OperationMode.local_frequency,
    OperationMode.local_load_balancing, OperationMode.idle,
)  # fmt: skip
TX_PURPOSES = frozenset({ProfilePurpose.tx_profile, ProfilePurpose.tx_default_profile})
# Table 95 with erratum 2.24: operation modes of each purpose.
PURPOSE_MODES: dict[str, frozenset[str]] = {
    ProfilePurpose.tx_profile: frozenset(MODES),
    ProfilePurpose.tx_default_profile: frozenset(MODES),
    ProfilePurpose.charging_station_external_constraints: frozenset(
        {OperationMode.charging_only, OperationMode.external_limits, OperationMode.external_setpoint}
    ),
    ProfilePurpose.local_generation: frozenset({OperationMode.charging_only, OperationMode.external_limits}),
    ProfilePurpose.priority_charging: frozenset({OperationMode.charging_only}),
    ProfilePurpose.charging_station_max_profile: frozenset({OperationMode.charging_only}),
}
ADDITIONAL_PURPOSES = frozenset({ProfilePurpose.priority_charging, ProfilePurpose.local_generation})
THRESHOLDS = ("UpperThreshold", "LowerThreshold", "UpperOffset", "LowerOffset")
_BASES = ("limit", "dischargeLimit", "setpoint", "setpointReactive")
POWER_FIELDS = {name + phase for name in _BASES for phase in ("", "_L2", "_L3")}


@dataclass(slots=True)
class StationCapabilities:
    """Capabilities of a station, as in its device model."""

    evses: frozenset[int]
    modes: frozenset[str] = frozenset(MODES)
    dc: bool = True
    rate_units: frozenset[str] = frozenset({"W", "A"})
    stack_levels: int = 10
    periods: int = 1024
    entries: int = 64
    dynamic: bool = True
    max_offline: bool = True
    local_time: bool = False
    randomized_delay: bool = True
    limit_at_soc: bool = True
    negative_limit: bool = False  # vendor channel of 1.6 and 2.0.1
    replaces_same_level: bool = False  # 1.6: the same purpose and level replaces, whatever the id
    additional_purposes: frozenset[str] = ADDITIONAL_PURPOSES
    external_ids: int | None = None  # MaxExternalConstraintsId
    thresholds: Mapping[str, float] = field(default_factory=dict)  # LocalLoadBalancing
    phases_of_ev: frozenset[str] = frozenset()  # such as setpoint_L2, dischargeLimit_L3, as the EV reported


@frozen
class ProfileRequest:
    """A profile to validate, with the state of the station."""

    evse: int
    profile: Profile
    capabilities: StationCapabilities
    transaction: str | None  # running on the EVSE
    external: bool = False  # installed by an external system, not the CSMS
    installed: tuple[tuple[int, Profile], ...] = ()

    @property
    def purpose(self) -> str:
        """ChargingProfilePurposeEnumType."""
        return str(self.profile["chargingProfilePurpose"])

    @property
    def kind(self) -> str:
        """ChargingProfileKindEnumType."""
        return str(self.profile["chargingProfileKind"])

    @property
    def schedules(self) -> list[Schedule]:
        """Charging schedules of the profile."""
        return list(self.profile["chargingSchedule"])

    @property
    def periods(self) -> list[Period]:
        """Periods of all schedules."""
        return [period for schedule in self.schedules for period in schedule["chargingSchedulePeriod"]]


def mode_of(period: Period) -> str:
    """Return the operation mode of a period; absent means ChargingOnly."""
    return str(period.get("operationMode", OperationMode.charging_only))


def rejection(request: ProfileRequest) -> tuple[str, str] | None:
    """Return reason code and requirement of the first violated rule, or None."""
    for rule in RULES:
        for violated, code, requirement in rule(request):
            if violated:
                return code, requirement
    return None


Check: TypeAlias = tuple[object, str, str]  # violated if true, reason code, requirement
Rule: TypeAlias = Callable[[ProfileRequest], Iterator[Check]]


def _place(request: ProfileRequest) -> Iterator[Check]:
    can, purpose = request.capabilities, request.purpose
    yield request.evse != 0 and request.evse not in can.evses, "UnknownEVSE", "K01.FR.28"
    constraints = purpose == ProfilePurpose.charging_station_external_constraints
    yield constraints and not request.external, "InvalidProfile", "K01.FR.22"
    yield purpose in ADDITIONAL_PURPOSES and purpose not in can.additional_purposes, "UnsupportedPurpose", "K01.FR.120"
    yield purpose == ProfilePurpose.charging_station_max_profile and request.evse != 0, "InvalidProfile", "K01.FR.28"
    if purpose == ProfilePurpose.tx_profile:
        yield request.evse == 0, "InvalidProfile", "K01.FR.16"
        yield request.transaction is None, "TxNotFound", "K01.FR.09"
        yield request.profile.get("transactionId") != request.transaction, "TxNotFound", "K01.FR.33"
    yield not 0 <= request.profile["stackLevel"] <= can.stack_levels, "InvalidStackLevel", "K01.FR.17"
    reserved_id = can.external_ids is not None and request.profile["id"] <= can.external_ids
    yield reserved_id and not request.external, "InvalidProfileId", "K01.FR.81"


def _kind(request: ProfileRequest) -> Iterator[Check]:
    profile, can, dynamic = request.profile, request.capabilities, request.kind == ProfileKind.dynamic
    yield dynamic and not can.dynamic, "UnsupportedKind", "K01.FR.121"
    yield not dynamic and {"dynUpdateInterval", "dynUpdateTime"} & profile.keys(), "InvalidProfile", "K28.FR.04"
    yield "maxOfflineDuration" in profile and not can.max_offline, "UnsupportedParam", "K01.FR.101"
    periods = request.periods
    single = len(request.schedules) == len(periods) == 1 and periods[0]["startPeriod"] == 0
    yield dynamic and not single, "InvalidSchedule", "K28.FR.03"
    yield request.kind == ProfileKind.recurring and "recurrencyKind" not in profile, "InvalidProfile", "K01.FR.40"
    of_station = request.purpose == ProfilePurpose.charging_station_max_profile
    yield of_station and request.kind == ProfileKind.relative, "InvalidProfile", "K01.FR.38"


def _schedule(request: ProfileRequest) -> Iterator[Check]:
    for schedule in request.schedules:
        yield schedule["chargingRateUnit"] not in request.capabilities.rate_units, "UnsupportedRateUnit", "K01.FR.26"
        yield from _periods(request, schedule)
        yield from _start(request, schedule)
        yield from _schedule_options(request, schedule)


def _periods(request: ProfileRequest, schedule: Schedule) -> Iterator[Check]:
    starts = [period["startPeriod"] for period in schedule["chargingSchedulePeriod"]]
    yield not starts or starts[0] != 0, "InvalidSchedule", "K01.FR.31"
    too_many = len(starts) > request.capabilities.periods
    yield starts != sorted(set(starts)) or too_many, "InvalidSchedule", "K01.FR.35"


def _start(request: ProfileRequest, schedule: Schedule) -> Iterator[Check]:
    anchored = "startSchedule" in schedule
    yield request.kind in (ProfileKind.absolute, ProfileKind.recurring) and not anchored, "InvalidSchedule", "K01.FR.40"
    yield request.kind == ProfileKind.relative and anchored, "InvalidSchedule", "K01.FR.41"
    yield anchored and parse(schedule["startSchedule"]) is None, "InvalidSchedule", "K01.FR.40"


def _schedule_options(request: ProfileRequest, schedule: Schedule) -> Iterator[Check]:
    can = request.capabilities
    yield schedule.get("useLocalTime", False) and not can.local_time, "InvalidSchedule", "K01.FR.123"
    if schedule.get("randomizedDelay", 0) > 0:
        yield not can.randomized_delay, "InvalidSchedule", "K01.FR.124"
        yield request.purpose not in TX_PURPOSES and not request.external, "InvalidSchedule", "K01.FR.95"
    yield "limitAtSoC" in schedule and not can.limit_at_soc, "InvalidSchedule", "K01.FR.125"
    yield request.purpose == ProfilePurpose.priority_charging and "duration" in schedule, "InvalidSchedule", "K01.FR.70"


def _duplicates(request: ProfileRequest) -> Iterator[Check]:
    """Reject profiles of the same purpose, level and EVSE that are valid at the same time."""
    profile = request.profile
    if request.capabilities.replaces_same_level:
        return
    for evse, other in request.installed:
        if other["id"] == profile["id"]:
            external = other["chargingProfilePurpose"] == ProfilePurpose.charging_station_external_constraints
            yield external and not request.external, "InvalidProfileId", "K01.FR.05"
            continue
        if other["chargingProfilePurpose"] != request.purpose or other["stackLevel"] != profile["stackLevel"]:
            continue
        if request.purpose == ProfilePurpose.tx_profile:
            yield other.get("transactionId") == profile.get("transactionId"), "DuplicateProfile", "K01.FR.39"
        elif request.purpose == ProfilePurpose.tx_default_profile and (evse == 0) != (request.evse == 0):
            yield True, "DuplicateProfile", "K01.FR.52" if request.evse == 0 else "K01.FR.53"
        else:
            overlaps = evse == request.evse and _overlap(other, profile)
            yield overlaps and not request.external, "DuplicateProfile", "K01.FR.06"


def _overlap(a: Profile, b: Profile) -> bool:
    def bounds(profile: Profile) -> tuple[float, float]:
        start, end = parse(profile.get("validFrom")), parse(profile.get("validTo"))
        return (float("-inf") if start is None else start), (float("inf") if end is None else end)

    (start_a, end_a), (start_b, end_b) = bounds(a), bounds(b)
    return start_a < end_b and start_b < end_a


def _modes(request: ProfileRequest) -> Iterator[Check]:
    can = request.capabilities
    for schedule in request.schedules:
        for period in schedule["chargingSchedulePeriod"]:
            mode = mode_of(period)
            priority = request.purpose == ProfilePurpose.priority_charging
            yield priority and mode != OperationMode.charging_only, "InvalidSchedule", "K01.FR.71"
            yield mode not in PURPOSE_MODES[request.purpose], "InvalidOperationMode", "K01.FR.114"
            unsupported = mode not in can.modes
            yield unsupported and mode == OperationMode.local_load_balancing, "UnsupportedParam", "Q09.FR.01"
            yield unsupported, "InvalidOperationMode", "K01.FR.115"
            fixed = mode == OperationMode.central_frequency and request.kind != ProfileKind.dynamic
            yield fixed, "InvalidSchedule", "Q07.FR.02"
            yield from _mode_fields(can, mode, schedule["chargingRateUnit"], period)
            yield from _values(request, period)


def _mode_fields(can: StationCapabilities, mode: str, unit: str, period: Period) -> Iterator[Check]:
    """Check the fields that an operation mode requires and forbids."""
    match mode:
        case OperationMode.idle:
            yield POWER_FIELDS & period.keys(), "InvalidSchedule", "Q10.FR.02"
        case OperationMode.local_frequency:
            yield from _local_frequency(unit, period)
        case OperationMode.local_load_balancing:
            yield not _complete(can.thresholds), "MissingDevModelInfo", "Q09.FR.02"
        case OperationMode.charging_only:
            others = (POWER_FIELDS - {"limit", "limit_L2", "limit_L3"}) & period.keys()
            yield "limit" not in period or others, "InvalidSchedule", "Q02.FR.02"
        case OperationMode.central_setpoint | OperationMode.central_frequency:
            yield "setpoint" not in period, "InvalidSchedule", "Q03.FR.01"


def _local_frequency(unit: str, period: Period) -> Iterator[Check]:
    yield POWER_FIELDS & period.keys(), "InvalidSchedule", "Q08.FR.04"
    yield "v2xBaseline" not in period or len(period.get("v2xFreqWattCurve", ())) < 2, "NoFreqWattCurve", "Q08.FR.03"
    yield 0 < len(period.get("v2xSignalWattCurve", ())) < 2, "NoSignalWattCurve", "Q08.FR.02"
    yield unit != "W", "InvalidSchedule", "Q08.FR.05"


def _complete(thresholds: Mapping[str, float]) -> bool:
    """Return True if all thresholds of local load balancing are set and in order."""
    return all(name in thresholds for name in THRESHOLDS) and (
        thresholds["UpperThreshold"] > thresholds["LowerThreshold"]
    )


def _values(request: ProfileRequest, period: Period) -> Iterator[Check]:
    can = request.capabilities
    yield period.get("limit", 0.0) < 0 and not can.negative_limit, "InvalidSchedule", "V2X.05"
    yield from _phases(request, period)
    if "setpoint" in period:
        low, high = period.get("dischargeLimit", float("-inf")), period.get("limit", float("inf"))
        yield not low <= period["setpoint"] <= high, "InvalidSchedule", "V2X.05"
    yield can.dc and ("numberPhases" in period or "phaseToUse" in period), "NoPhaseForDC", "K01.FR.44"
    yield "phaseToUse" in period and period.get("numberPhases", 3) != 1, "InvalidSchedule", "K01.FR.19"


def _phases(request: ProfileRequest, period: Period) -> Iterator[Check]:
    for name in _BASES:
        for phase in ("_L2", "_L3"):
            if name + phase not in period:
                continue
            yield name not in period, "InvalidSchedule", "V2X.07"
            if name == "limit":
                continue
            yield request.purpose != ProfilePurpose.tx_profile, "PhaseConflict", "V2X.08"
            yield name + phase not in request.capabilities.phases_of_ev, "PhaseConflict", "V2X.09"


RULES: tuple[Rule, ...] = (_place, _kind, _schedule, _duplicates, _modes)
