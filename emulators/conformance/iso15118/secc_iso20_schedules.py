"""Cases for a SECC, ISO 15118-20: schedules."""

from __future__ import annotations

from emulators.conformance.case import expect
from emulators.conformance.iso15118.mutation import Mutant, accepts, alters
from emulators.conformance.iso15118.plain import ABSENT, Plain, changed, find, number
from emulators.conformance.iso15118.profiles import DC_BPT, DC_BPT_SCHEDULED
from emulators.conformance.iso15118.requests import rational
from emulators.conformance.iso15118.secc_access import SeccAccess
from emulators.conformance.iso15118.secc_iso20_case import BPT_DC_RES, DC_CPD, SCHEDULES, WRONG, iso20_case
from emulators.conformance.iso15118.secc_procedures import SEQUENCE_ERROR, answered, refused
from protocols.json_values import items, members

TUPLE = "Scheduled_SEResControlMode.ScheduleTuple"
ENTRIES = "ChargingSchedule.PowerSchedule.PowerScheduleEntries.PowerScheduleEntry"
LEAST_POINTS = 12


def _tuples(fields: Plain) -> str:
    given = [number(find(one, "ScheduleTupleID")) for one in items(find(fields, TUPLE))]
    good = 1 <= len(given) <= 3 and len(set(given)) == len(given) and min(given) >= 1
    return "" if good else f"ids of the schedule tuples are {given}"


def _priced(fields: Plain) -> str:
    for one in items(find(fields, TUPLE)):
        names = members(find(one, "ChargingSchedule"))
        if "PriceLevelSchedule" not in names and "AbsolutePriceSchedule" not in names:
            return f"schedule tuple {find(one, 'ScheduleTupleID')} has no price schedule"
    return ""


def _few_entries(fields: Plain) -> str:
    for one in items(find(fields, TUPLE)):
        count = len(items(find(one, ENTRIES)))
        if count > LEAST_POINTS:
            return f"schedule tuple {find(one, 'ScheduleTupleID')} has {count} entries"
    return ""


def _durations(fields: Plain) -> str:
    for one in items(find(fields, TUPLE)):
        short = [entry for entry in items(find(one, ENTRIES)) if number(find(entry, "Duration")) <= 0]
        if short:
            return f"schedule tuple {find(one, 'ScheduleTupleID')} has an entry of no duration"
    return ""


def _needs_of_ev(fields: Plain) -> str:
    mode = members(fields.get("Dynamic_SEResControlMode"))
    given = [name for name in ("DepartureTime", "MinimumSOC", "TargetSOC") if name in mode]
    return f"{', '.join(given)} in MobilityNeedsMode 1" if given else ""


async def _within_power(device: SeccAccess) -> None:
    vehicle = await device.reach(DC_BPT_SCHEDULED, "ScheduleExchangeReq")
    limits = members(find(vehicle.history[DC_CPD].fields, BPT_DC_RES))
    most = number(limits.get("EVSEMaximumChargePower"))
    response = await vehicle.perform("ScheduleExchangeReq")
    for one in items(find(response.fields, TUPLE)):
        powers = [number(find(entry, "Power")) for entry in items(find(one, ENTRIES))]
        expect(
            max(powers, default=0.0) <= most + 1, f"a schedule of {max(powers):g} W, EVSEMaximumChargePower {most:g} W"
        )


async def _anchor(device: SeccAccess) -> None:
    vehicle = await device.reach(DC_BPT_SCHEDULED, "ScheduleExchangeReq")
    response = await vehicle.perform("ScheduleExchangeReq")
    stamp = number(find(response.plain, "ScheduleExchangeRes.Header.TimeStamp"))
    for one in items(find(response.fields, TUPLE)):
        anchor = number(find(one, "ChargingSchedule.PowerSchedule.TimeAnchor"))
        expect(abs(anchor - stamp) <= 60, f"TimeAnchor {anchor:.0f} at the TimeStamp {stamp:.0f}")


_OTHER_MODE: Plain = {"Dynamic_SEReqControlMode": ABSENT, "Scheduled_SEReqControlMode": {}}
_FIRST = f"{TUPLE}.0"

CASES = (
    iso20_case(
        "SCH-01",
        "8.3.5.3.16",
        "scheduled control: one to three schedule tuples with different ids from 1",
        SCHEDULES,
        answered(DC_BPT_SCHEDULED, "ScheduleExchangeReq", _tuples),
        Mutant(
            text="two schedule tuples of the same id",
            message="ScheduleExchangeRes",
            rewrite=lambda f: {
                **f,
                "Scheduled_SEResControlMode": {"ScheduleTuple": items(find(f, TUPLE))[:1] * 2},
            },
        ),
        profile=DC_BPT_SCHEDULED,
        before="ScheduleExchangeReq",
        expectation="unique ids",
        tags=("nominal", "schedules"),
    ),
    iso20_case(
        "SCH-02",
        "[V2G20-2176]",
        "scheduled control: every charging schedule has a price schedule",
        SCHEDULES,
        answered(DC_BPT_SCHEDULED, "ScheduleExchangeReq", _priced),
        alters("ScheduleExchangeRes", {f"{_FIRST}.ChargingSchedule.PriceLevelSchedule": ABSENT}),
        profile=DC_BPT_SCHEDULED,
        before="ScheduleExchangeReq",
        expectation="PriceLevelSchedule or AbsolutePriceSchedule",
        tags=("nominal", "schedules"),
    ),
    iso20_case(
        "SCH-03",
        "8.3.4.3.7.2",
        "schedules have no more entries than the EV can store",
        SCHEDULES,
        answered(DC_BPT_SCHEDULED, "ScheduleExchangeReq", _few_entries, {"MaximumSupportingPoints": LEAST_POINTS}),
        Mutant(
            text="13 entries",
            message="ScheduleExchangeRes",
            rewrite=lambda f: _with_entries(f, LEAST_POINTS + 1),
        ),
        profile=DC_BPT_SCHEDULED,
        before="ScheduleExchangeReq",
        stimulus="ScheduleExchangeReq with MaximumSupportingPoints 12",
        expectation="at most 12 entries in each schedule",
        tags=("nominal", "schedules", "limits"),
    ),
    iso20_case(
        "SCH-04",
        "8.3.5.3.41",
        "entries of a power schedule have a duration",
        SCHEDULES,
        answered(DC_BPT_SCHEDULED, "ScheduleExchangeReq", _durations),
        alters("ScheduleExchangeRes", {f"{_FIRST}.{ENTRIES}.0.Duration": 0}),
        profile=DC_BPT_SCHEDULED,
        before="ScheduleExchangeReq",
        expectation="every Duration above 0",
        tags=("nominal", "schedules"),
    ),
    iso20_case(
        "SCH-05",
        "8.3.5.3.40",
        "the time anchor of a schedule is Unix time, near that of the message",
        SCHEDULES,
        _anchor,
        alters("ScheduleExchangeRes", {f"{_FIRST}.ChargingSchedule.PowerSchedule.TimeAnchor": 0}),
        profile=DC_BPT_SCHEDULED,
        before="ScheduleExchangeReq",
        expectation="TimeAnchor within 60 s of the TimeStamp",
        tags=("nominal", "schedules"),
    ),
    iso20_case(
        "SCH-06",
        "8.3.5.3.16",
        "a schedule does not exceed the maximum charge power of the EVSE",
        SCHEDULES,
        _within_power,
        alters("ScheduleExchangeRes", {f"{_FIRST}.{ENTRIES}.0.Power": rational(300_000)}),
        profile=DC_BPT_SCHEDULED,
        before="ScheduleExchangeReq",
        expectation="no entry above EVSEMaximumChargePower",
        tags=("nominal", "schedules", "limits"),
    ),
    iso20_case(
        "SCH-07",
        "8.3.4.3.7.3",
        "a schedule exchange for the other control mode is refused",
        SCHEDULES,
        refused(DC_BPT, "ScheduleExchangeReq", "ScheduleExchangeReq", ("FAILED", SEQUENCE_ERROR, WRONG), _OTHER_MODE),
        accepts("ScheduleExchangeRes"),
        before="ScheduleExchangeReq",
        stimulus="ScheduleExchangeReq with Scheduled_SEReqControlMode after the selection of dynamic control",
        expectation="a FAILED code",
        tags=("negative", "schedules"),
    ),
    iso20_case(
        "SCH-08",
        "8.3.5.3.15",
        "in MobilityNeedsMode 1 the SECC does not state the needs of the EV",
        SCHEDULES,
        answered(DC_BPT, "ScheduleExchangeReq", _needs_of_ev),
        alters("ScheduleExchangeRes", {"Dynamic_SEResControlMode": {"TargetSOC": 90}}),
        before="ScheduleExchangeReq",
        expectation="no DepartureTime, MinimumSOC or TargetSOC",
        tags=("nominal",),
    ),
    iso20_case(
        "SCH-09",
        "8.3.4.3.7.3",
        "the response has the control mode of the selected service",
        SCHEDULES,
        answered(
            DC_BPT_SCHEDULED,
            "ScheduleExchangeReq",
            lambda f: "" if "Scheduled_SEResControlMode" in f else "there is no Scheduled_SEResControlMode",
        ),
        alters("ScheduleExchangeRes", {"Scheduled_SEResControlMode": ABSENT}, Dynamic_SEResControlMode={}),
        profile=DC_BPT_SCHEDULED,
        before="ScheduleExchangeReq",
        expectation="Scheduled_SEResControlMode",
        tags=("nominal", "schedules"),
    ),
)


def _with_entries(fields: Plain, count: int) -> Plain:
    entry = items(find(fields, f"{_FIRST}.{ENTRIES}"))[0]
    return changed(fields, {f"{_FIRST}.{ENTRIES}": [entry] * count})
