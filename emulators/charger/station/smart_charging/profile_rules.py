"""Which charging profiles a station takes: a table of refusals, each with its reason code and requirement id.

What the JSON schema cannot say. Texts are OCPP 2.1 part 2 K01, K28, Q01-Q10 with the 2025-09 errata; where the two
differ the erratum rules. How accepted profiles act together is in `profiles.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from protocols.ocpp.times import parse

Profile: TypeAlias = dict[str, Any]
Period: TypeAlias = Mapping[str, Any]

MODES = (
    "ChargingOnly",
    "CentralSetpoint",
    "CentralFrequency",
    "ExternalSetpoint",
    "ExternalLimits",
    "LocalFrequency",
    "LocalLoadBalancing",
    "Idle",
)
TX_PURPOSES = frozenset({"TxProfile", "TxDefaultProfile"})
# Table 95 with erratum 2.24: what each purpose may do.
PURPOSE_MODES: dict[str, frozenset[str]] = {
    "TxProfile": frozenset(MODES),
    "TxDefaultProfile": frozenset(MODES),
    "ChargingStationExternalConstraints": frozenset({"ChargingOnly", "ExternalLimits", "ExternalSetpoint"}),
    "LocalGeneration": frozenset({"ChargingOnly", "ExternalLimits"}),
    "PriorityCharging": frozenset({"ChargingOnly"}),
    "ChargingStationMaxProfile": frozenset({"ChargingOnly"}),
}
ADDITIONAL_PURPOSES = frozenset({"PriorityCharging", "LocalGeneration"})
THRESHOLDS = ("UpperThreshold", "LowerThreshold", "UpperOffset", "LowerOffset")
_BASES = ("limit", "dischargeLimit", "setpoint", "setpointReactive")
_FORBIDDEN = {name + phase for name in _BASES for phase in ("", "_L2", "_L3")}


@dataclass(slots=True)
class Abilities:
    """What this station can do, as its device model says."""

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
    negative_limit: bool = False  # vendors' way of 1.6 and 2.0.1
    replaces_twins: bool = False  # 1.6: same purpose and level replaces, whatever the id
    additional_purposes: frozenset[str] = ADDITIONAL_PURPOSES
    external_ids: int | None = None  # MaxExternalConstraintsId
    thresholds: Mapping[str, float] = field(default_factory=dict)  # LocalLoadBalancing
    phases_of_ev: frozenset[str] = frozenset()  # such as setpoint_L2, dischargeLimit_L3: what the EV reported


@dataclass(frozen=True, slots=True)
class Offer:
    """A profile at the door, and what it must fit."""

    evse: int
    profile: Profile
    abilities: Abilities
    transaction: str | None  # that runs on the EVSE
    external: bool = False  # set by an external system rather than the CSMS
    installed: tuple[tuple[int, Profile], ...] = ()

    @property
    def purpose(self) -> str:
        return str(self.profile["chargingProfilePurpose"])

    @property
    def kind(self) -> str:
        return str(self.profile["chargingProfileKind"])

    @property
    def schedules(self) -> list[dict[str, Any]]:
        return list(self.profile["chargingSchedule"])

    @property
    def periods(self) -> list[Period]:
        return [period for schedule in self.schedules for period in schedule["chargingSchedulePeriod"]]


def mode_of(period: Period) -> str:
    """The operation mode of a period; absent means ChargingOnly."""
    return str(period.get("operationMode", "ChargingOnly"))


def refusal(offer: Offer) -> tuple[str, str] | None:
    """Reason code and requirement for the first rule the profile breaks, or None."""
    for rule in RULES:
        for found in rule(offer):
            return found
    return None


Rule: TypeAlias = Callable[[Offer], Iterator[tuple[str, str]]]


def _place(offer: Offer) -> Iterator[tuple[str, str]]:
    can, purpose = offer.abilities, offer.purpose
    if offer.evse != 0 and offer.evse not in can.evses:
        yield "UnknownEVSE", "K01.FR.28"
    if purpose == "ChargingStationExternalConstraints" and not offer.external:
        yield "InvalidProfile", "K01.FR.22"
    if purpose in ADDITIONAL_PURPOSES and purpose not in can.additional_purposes:
        yield "UnsupportedPurpose", "K01.FR.120"
    if purpose == "ChargingStationMaxProfile" and offer.evse != 0:
        yield "InvalidProfile", "K01.FR.28"
    if purpose == "TxProfile":
        if offer.evse == 0:
            yield "InvalidProfile", "K01.FR.16"
        if offer.transaction is None:
            yield "TxNotFound", "K01.FR.09"
        elif offer.profile.get("transactionId") != offer.transaction:
            yield "TxNotFound", "K01.FR.33"
    if not 0 <= offer.profile["stackLevel"] <= can.stack_levels:
        yield "InvalidStackLevel", "K01.FR.17"
    if not offer.external and can.external_ids is not None and offer.profile["id"] <= can.external_ids:
        yield "InvalidProfileId", "K01.FR.81"


def _kind(offer: Offer) -> Iterator[tuple[str, str]]:
    profile, can = offer.profile, offer.abilities
    if offer.kind == "Dynamic" and not can.dynamic:
        yield "UnsupportedKind", "K01.FR.121"
    if offer.kind != "Dynamic" and ("dynUpdateInterval" in profile or "dynUpdateTime" in profile):
        yield "InvalidProfile", "K28.FR.04"
    if "maxOfflineDuration" in profile and not can.max_offline:
        yield "UnsupportedParam", "K01.FR.101"
    if offer.kind == "Dynamic" and (
        len(offer.schedules) != 1 or len(offer.periods) != 1 or offer.periods[0]["startPeriod"] != 0
    ):
        yield "InvalidSchedule", "K28.FR.03"
    if offer.kind == "Recurring" and "recurrencyKind" not in profile:
        yield "InvalidProfile", "K01.FR.40"
    if offer.purpose == "ChargingStationMaxProfile" and offer.kind == "Relative":
        yield "InvalidProfile", "K01.FR.38"


def _schedule(offer: Offer) -> Iterator[tuple[str, str]]:
    can = offer.abilities
    for schedule in offer.schedules:
        if schedule["chargingRateUnit"] not in can.rate_units:
            yield "UnsupportedRateUnit", "K01.FR.26"
        starts = [period["startPeriod"] for period in schedule["chargingSchedulePeriod"]]
        if not starts or starts[0] != 0:
            yield "InvalidSchedule", "K01.FR.31"
        if starts != sorted(set(starts)):
            yield "InvalidSchedule", "K01.FR.35"
        if len(starts) > can.periods:
            yield "InvalidSchedule", "K01.FR.35"
        anchored = "startSchedule" in schedule
        if offer.kind in ("Absolute", "Recurring") and not anchored:
            yield "InvalidSchedule", "K01.FR.40"
        if offer.kind == "Relative" and anchored:
            yield "InvalidSchedule", "K01.FR.41"
        if anchored and parse(schedule["startSchedule"]) is None:
            yield "InvalidSchedule", "K01.FR.40"
        if schedule.get("useLocalTime", False) and not can.local_time:
            yield "InvalidSchedule", "K01.FR.123"
        if schedule.get("randomizedDelay", 0) > 0:
            if not can.randomized_delay:
                yield "InvalidSchedule", "K01.FR.124"
            if offer.purpose not in TX_PURPOSES and not offer.external:
                yield "InvalidSchedule", "K01.FR.95"
        if "limitAtSoC" in schedule and not can.limit_at_soc:
            yield "InvalidSchedule", "K01.FR.125"
        if offer.purpose == "PriorityCharging" and "duration" in schedule:
            yield "InvalidSchedule", "K01.FR.70"


def _twins(offer: Offer) -> Iterator[tuple[str, str]]:
    """No two profiles may be valid at once with one purpose, level and place."""
    profile = offer.profile
    if offer.abilities.replaces_twins:
        return
    for evse, other in offer.installed:
        if other["id"] == profile["id"]:
            if other["chargingProfilePurpose"] == "ChargingStationExternalConstraints" and not offer.external:
                yield "InvalidProfileId", "K01.FR.05"
            continue
        if other["chargingProfilePurpose"] != offer.purpose or other["stackLevel"] != profile["stackLevel"]:
            continue
        if offer.purpose == "TxProfile":
            if other.get("transactionId") == profile.get("transactionId"):
                yield "DuplicateProfile", "K01.FR.39"
        elif offer.purpose == "TxDefaultProfile" and (evse == 0) != (offer.evse == 0):
            yield "DuplicateProfile", "K01.FR.52" if offer.evse == 0 else "K01.FR.53"
        elif evse == offer.evse and _overlap(other, profile) and not offer.external:
            yield "DuplicateProfile", "K01.FR.06"


def _overlap(a: Profile, b: Profile) -> bool:
    def bounds(profile: Profile) -> tuple[float, float]:
        start, end = parse(profile.get("validFrom")), parse(profile.get("validTo"))
        return (float("-inf") if start is None else start), (float("inf") if end is None else end)

    (start_a, end_a), (start_b, end_b) = bounds(a), bounds(b)
    return start_a < end_b and start_b < end_a


def _modes(offer: Offer) -> Iterator[tuple[str, str]]:
    can = offer.abilities
    for schedule in offer.schedules:
        for period in schedule["chargingSchedulePeriod"]:
            mode = mode_of(period)
            if offer.purpose == "PriorityCharging" and mode != "ChargingOnly":
                yield "InvalidSchedule", "K01.FR.71"
            if mode not in PURPOSE_MODES[offer.purpose]:
                yield "InvalidOperationMode", "K01.FR.114"
            if mode not in can.modes:
                if mode == "LocalLoadBalancing":
                    yield "UnsupportedParam", "Q09.FR.01"
                yield "InvalidOperationMode", "K01.FR.115"
            yield from _fields(offer, mode, schedule, period)


def _fields(offer: Offer, mode: str, schedule: Mapping[str, Any], period: Period) -> Iterator[tuple[str, str]]:
    can = offer.abilities
    if mode == "Idle" and _FORBIDDEN & period.keys():
        yield "InvalidSchedule", "Q10.FR.02"
    if mode == "LocalFrequency":
        if _FORBIDDEN & period.keys():
            yield "InvalidSchedule", "Q08.FR.04"
        if "v2xBaseline" not in period or len(period.get("v2xFreqWattCurve", ())) < 2:
            yield "NoFreqWattCurve", "Q08.FR.03"
        if schedule["chargingRateUnit"] != "W":
            yield "InvalidSchedule", "Q08.FR.05"
    if mode == "LocalLoadBalancing":
        thresholds = can.thresholds
        if any(name not in thresholds for name in THRESHOLDS) or (
            thresholds["UpperThreshold"] <= thresholds["LowerThreshold"]
        ):
            yield "MissingDevModelInfo", "Q09.FR.02"
    if mode == "ChargingOnly":
        if "limit" not in period:
            yield "InvalidSchedule", "Q02.FR.02"
        if (_FORBIDDEN - {"limit", "limit_L2", "limit_L3"}) & period.keys():
            yield "InvalidSchedule", "Q02.FR.02"
    if mode in ("CentralSetpoint", "CentralFrequency") and "setpoint" not in period:
        yield "InvalidSchedule", "Q03.FR.01"
    if period.get("limit", 0.0) < 0 and not can.negative_limit:
        yield "InvalidSchedule", "V2X.05"
    yield from _phases(offer, period)
    if "setpoint" in period:
        low, high = period.get("dischargeLimit", float("-inf")), period.get("limit", float("inf"))
        if not low <= period["setpoint"] <= high:
            yield "InvalidSchedule", "V2X.05"
    if can.dc and ("numberPhases" in period or "phaseToUse" in period):
        yield "NoPhaseForDC", "K01.FR.44"
    if "phaseToUse" in period and period.get("numberPhases", 3) != 1:
        yield "InvalidSchedule", "K01.FR.19"


def _phases(offer: Offer, period: Period) -> Iterator[tuple[str, str]]:
    for name in _BASES:
        for phase in ("_L2", "_L3"):
            if name + phase not in period:
                continue
            if name not in period:
                yield "InvalidSchedule", "V2X.07"
            if name == "limit":
                continue
            if offer.purpose != "TxProfile":
                yield "PhaseConflict", "V2X.08"
            if name + phase not in offer.abilities.phases_of_ev:
                yield "PhaseConflict", "V2X.09"


RULES: tuple[Rule, ...] = (_place, _kind, _schedule, _twins, _modes)
