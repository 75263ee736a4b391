"""Cases for a SECC, ISO 15118-2: charge parameters and schedules."""

from __future__ import annotations

from emulators.conformance.iso15118.mutation import Mutant, accepts, alters
from emulators.conformance.iso15118.plain import ABSENT, Plain, find, number
from emulators.conformance.iso15118.profiles import AC_2, DC_2
from emulators.conformance.iso15118.requests import physical
from emulators.conformance.iso15118.secc_iso2_case import CPD, CPD_RES, DELIVERY_RES, PARAMETERS, iso2_case
from emulators.conformance.iso15118.secc_older import EVSE_DC, TUPLES, limits_in_order, starts_at_zero, tuple_ids
from emulators.conformance.iso15118.secc_procedures import answered, refused
from protocols.json_values import items, members

EV_DC = "DC_EVChargeParameter"
PMAX = "PMaxSchedule.PMaxScheduleEntry"
DAY_S = 86_400
DIALOGUE_S = 60  # of a schedule, spent since it was made


def _covers_a_day(fields: Plain) -> str:
    for one in items(find(fields, TUPLES)):
        last = find(one, PMAX)
        entries = items(last)
        interval = members(find(entries[-1], "RelativeTimeInterval")) if entries else {}
        end = number(interval.get("start", 0)) + number(interval.get("duration", 0))
        if end < DAY_S - DIALOGUE_S:
            return f"the schedule of tuple {find(one, 'SAScheduleTupleID')} ends after {end:g} s"
    return ""


def _has_schedule(fields: Plain) -> str:
    return "" if items(find(fields, TUPLES)) else "there is no SAScheduleList"


def _ac_values(fields: Plain) -> str:
    mode = members(fields.get("AC_EVSEChargeParameter"))
    volts, amperes = number(mode.get("EVSENominalVoltage")), number(mode.get("EVSEMaxCurrent"))
    return "" if 90 <= volts <= 500 and amperes > 0 else f"EVSENominalVoltage {volts:g} V, EVSEMaxCurrent {amperes:g} A"


_AC_IN_DC: Plain = {
    EV_DC: ABSENT,
    "AC_EVChargeParameter": {
        "EAmount": physical(10_000, "Wh"),
        "EVMaxVoltage": physical(400, "V"),
        "EVMaxCurrent": physical(16, "A"),
        "EVMinCurrent": physical(6, "A"),
    },
}
_TOO_MUCH: Plain = {
    "ChargingProfile": {
        "ProfileEntry": [{"ChargingProfileEntryStart": 0, "ChargingProfileEntryMaxPower": physical(900_000, "W")}]
    }
}

CASES = (
    iso2_case(
        "CPD-01",
        476,
        "an energy transfer mode that is not offered is FAILED_WrongEnergyTransferMode",
        PARAMETERS,
        refused(DC_2, CPD, CPD, "FAILED_WrongEnergyTransferMode", {"RequestedEnergyTransferMode": "DC_unique"}),
        accepts(CPD_RES),
        alters(CPD_RES, ResponseCode="FAILED"),
        before=CPD,
        stimulus=f"{CPD} with DC_unique",
        expectation="FAILED_WrongEnergyTransferMode",
        tags=("negative", "errors"),
    ),
    iso2_case(
        "CPD-02",
        477,
        "parameters of AC in a DC mode are FAILED_WrongChargeParameter",
        PARAMETERS,
        refused(DC_2, CPD, CPD, "FAILED_WrongChargeParameter", _AC_IN_DC),
        accepts(CPD_RES),
        alters(CPD_RES, ResponseCode="FAILED"),
        before=CPD,
        stimulus=f"{CPD} with DC_extended and AC_EVChargeParameter",
        expectation="FAILED_WrongChargeParameter",
        tags=("negative", "errors"),
    ),
    iso2_case(
        "CPD-03",
        "8.4.3.8.3",
        "a maximum voltage below the range of the EVSE is FAILED_WrongChargeParameter",
        PARAMETERS,
        refused(DC_2, CPD, CPD, "FAILED_WrongChargeParameter", {f"{EV_DC}.EVMaximumVoltageLimit": physical(20, "V")}),
        accepts(CPD_RES),
        before=CPD,
        stimulus=f"{CPD} with EVMaximumVoltageLimit 20 V",
        expectation="FAILED_WrongChargeParameter",
        tags=("negative", "limits"),
    ),
    iso2_case(
        "CPD-04",
        "8.5.4.4",
        "the minimum limits of the EVSE are not above the maximum ones",
        PARAMETERS,
        answered(DC_2, CPD, limits_in_order),
        alters(CPD_RES, {f"{EVSE_DC}.EVSEMinimumVoltageLimit": physical(3_000, "V")}),
        alters(CPD_RES, {f"{EVSE_DC}.EVSEMinimumCurrentLimit": physical(-5, "A")}),
        before=CPD,
        expectation="0 ≤ minimum ≤ maximum, of current and voltage",
        tags=("nominal", "limits"),
    ),
    iso2_case(
        "CPD-05",
        773,
        "the ids of the schedule tuples are 1 to 255 and unique",
        PARAMETERS,
        answered(DC_2, CPD, tuple_ids),
        Mutant(
            text="two tuples of the same id",
            message=CPD_RES,
            when=lambda f: bool(items(find(f, TUPLES))),
            rewrite=lambda f: {**f, "SAScheduleList": {"SAScheduleTuple": items(find(f, TUPLES))[:1] * 2}},
        ),
        before=CPD,
        expectation="one to three tuples with unique ids",
        tags=("nominal", "schedules"),
    ),
    iso2_case(
        "CPD-06",
        "8.4.3.8.3",
        "a finished charge parameter discovery states the schedules",
        PARAMETERS,
        answered(DC_2, CPD, _has_schedule),
        alters(CPD_RES, SAScheduleList=ABSENT),
        before=CPD,
        expectation="SAScheduleList",
        tags=("nominal", "schedules"),
    ),
    iso2_case(
        "CPD-07",
        304,
        "without a departure time the schedules cover at least 24 h",
        PARAMETERS,
        answered(DC_2, CPD, _covers_a_day),
        Mutant(
            text="a schedule of one hour",
            message=CPD_RES,
            when=lambda f: bool(items(find(f, TUPLES))),
            rewrite=lambda f: _shortened(f),
        ),
        before=CPD,
        stimulus=f"{CPD} without DepartureTime",
        expectation="the last entry ends after 86,400 s or later (60 s tolerance)",
        tags=("nominal", "schedules"),
    ),
    iso2_case(
        "CPD-08",
        "8.5.2.14",
        "the entries of PMaxSchedule start at 0 and in ascending order",
        PARAMETERS,
        answered(DC_2, CPD, starts_at_zero(PMAX)),
        Mutant(
            text="the first entry starts after an hour",
            message=CPD_RES,
            when=lambda f: bool(items(find(f, TUPLES))),
            rewrite=lambda f: _late(f),
        ),
        before=CPD,
        expectation="starts from 0, each later than the one before",
        tags=("nominal", "schedules"),
    ),
    iso2_case(
        "CPD-09",
        "8.5.3.3",
        "AC: nominal voltage and maximum current are those of a supply",
        PARAMETERS,
        answered(AC_2, CPD, _ac_values),
        alters(CPD_RES, {"AC_EVSEChargeParameter.EVSENominalVoltage": physical(0, "V")}),
        alters(CPD_RES, {"AC_EVSEChargeParameter.EVSEMaxCurrent": physical(0, "A")}),
        profile=AC_2,
        before=CPD,
        expectation="90 to 500 V, more than 0 A",
        tags=("nominal", "limits"),
    ),
    iso2_case(
        "PD-01",
        479,
        "a schedule tuple that was not offered is FAILED_TariffSelectionInvalid",
        PARAMETERS,
        refused(
            DC_2, "PowerDeliveryReq", "PowerDeliveryReq", "FAILED_TariffSelectionInvalid", {"SAScheduleTupleID": 250}
        ),
        accepts(DELIVERY_RES),
        alters(DELIVERY_RES, ResponseCode="FAILED"),
        before="PowerDeliveryReq",
        stimulus="PowerDeliveryReq (Start) with SAScheduleTupleID 250",
        expectation="FAILED_TariffSelectionInvalid",
        tags=("negative", "schedules"),
    ),
    iso2_case(
        "PD-02",
        225,
        "a charging profile above PMax is FAILED_ChargingProfileInvalid",
        PARAMETERS,
        refused(AC_2, "PowerDeliveryReq", "PowerDeliveryReq", "FAILED_ChargingProfileInvalid", _TOO_MUCH),
        accepts(DELIVERY_RES),
        alters(DELIVERY_RES, ResponseCode="FAILED"),
        profile=AC_2,
        before="PowerDeliveryReq",
        stimulus="PowerDeliveryReq (Start) with a profile of 900 kW",
        expectation="FAILED_ChargingProfileInvalid",
        tags=("negative", "schedules", "limits"),
    ),
)


def _entries_changed(fields: Plain, change: Plain) -> Plain:
    tuples = []
    for one in map(members, items(find(fields, TUPLES))):
        entries = [{**members(entry), "RelativeTimeInterval": change} for entry in items(find(one, PMAX))]
        tuples.append({**one, "PMaxSchedule": {"PMaxScheduleEntry": entries[:1]}})
    return {**fields, "SAScheduleList": {"SAScheduleTuple": tuples}}


def _shortened(fields: Plain) -> Plain:
    return _entries_changed(fields, {"start": 0, "duration": 3_600})


def _late(fields: Plain) -> Plain:
    return _entries_changed(fields, {"start": 3_600, "duration": DAY_S})
