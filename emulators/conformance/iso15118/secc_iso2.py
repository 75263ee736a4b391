"""Cases for a SECC: response codes, values, power, pause and timers of ISO 15118-2."""

from __future__ import annotations

from emulators.conformance.case import Requirement, expect
from emulators.conformance.iso15118.mutation import Mutant, accepts, alters, delays, refuses, stays_open
from emulators.conformance.iso15118.plain import ABSENT, Plain, find, number
from emulators.conformance.iso15118.profiles import AC_2, DC_2, Profile
from emulators.conformance.iso15118.requests import physical
from emulators.conformance.iso15118.secc_access import SeccAccess
from emulators.conformance.iso15118.secc_older import (
    EVSE_DC,
    TUPLES,
    UNKNOWN_ID,
    current_between,
    isolated,
    keeps_session_id,
    limits_in_order,
    new_for_unknown,
    no_overshoot,
    off_after_stop,
    prompt,
    prompt_loop,
    silence,
    silent_connection,
    starts_at_zero,
    timely,
    tuple_ids,
    voltage_below,
)
from emulators.conformance.iso15118.secc_procedures import (
    ISO2,
    Procedure,
    SeccCase,
    answered,
    in_loop,
    refused,
    secc_case,
)
from emulators.conformance.iso15118.vehicle import Vehicle
from protocols.json_values import items, members

SESSION, SERVICES, PARAMETERS, POWER, PAUSE, TIMERS = (
    "ISO 15118-2: session",
    "ISO 15118-2: services and payment",
    "ISO 15118-2: charge parameters and schedules",
    "ISO 15118-2: power",
    "ISO 15118-2: pause",
    "ISO 15118-2: timers",
)
CPD, CPD_RES = "ChargeParameterDiscoveryReq", "ChargeParameterDiscoveryRes"
SELECTION, SELECTION_RES = "PaymentServiceSelectionReq", "PaymentServiceSelectionRes"
NO_CHARGE_SERVICE = ("FAILED_NoChargeServiceSelected", "FAILED_ServiceSelectionInvalid")
DELIVERY_RES = "PowerDeliveryRes"
EV_DC = "DC_EVChargeParameter"
PMAX = "PMaxSchedule.PMaxScheduleEntry"
DAY_S = 86_400
DIALOGUE_S = 60  # of a schedule, spent since it was made
SLOW = ("ServiceDetailReq", "PaymentDetailsReq", "PowerDeliveryReq")
PAUSED: Plain = {"ChargingSession": "Pause"}


def _case(
    id: str,
    reference: int | str,
    rule: str,
    feature: str,
    procedure: Procedure,
    *mutants: Mutant,
    profile: Profile = DC_2,
    before: str = "",
    stimulus: str = "",
    expectation: str,
    tags: tuple[str, ...] = ("nominal",),
    requires: tuple[str, ...] = (),
) -> SeccCase:
    return secc_case(
        f"SECC-2-{id}",
        Requirement(ISO2, f"[V2G2-{reference}]" if isinstance(reference, int) else reference, rule),
        feature,
        procedure,
        *mutants,
        profile=profile,
        before=before,
        stimulus=stimulus or before,
        expectation=expectation,
        tags=tags,
        requires=requires,
    )


def _evse_id(fields: Plain) -> str:
    given = str(fields.get("EVSEID", ""))
    return "" if 7 <= len(given) <= 37 else f"EVSEID is {given!r}"


SESSION_CASES = (
    _case(
        "SES-01",
        "8.4.3.2.2",
        "a session without an earlier one is opened with OK_NewSessionEstablished",
        SESSION,
        answered(DC_2, "SessionSetupReq", lambda f: "" if f["ResponseCode"] == "OK_NewSessionEstablished" else "code"),
        alters("SessionSetupRes", ResponseCode="OK"),
        before="SessionSetupReq",
        stimulus="SessionSetupReq with the session id zero",
        expectation="OK_NewSessionEstablished",
    ),
    _case(
        "SES-02",
        756,
        "an unknown session id leads to a new session, never to an error",
        SESSION,
        new_for_unknown(DC_2, UNKNOWN_ID),
        refuses("SessionSetupRes", "FAILED_UnknownSession"),
        before="SessionSetupReq",
        stimulus="SessionSetupReq with the id of a session that never was",
        expectation="OK_NewSessionEstablished and another id that is not zero",
        tags=("negative",),
    ),
    _case(
        "SES-03",
        460,
        "a request with another session id is FAILED_UnknownSession",
        SESSION,
        refused(
            DC_2,
            "ServiceDiscoveryReq",
            "ServiceDiscoveryReq",
            "FAILED_UnknownSession",
            session_id=lambda own: UNKNOWN_ID,
        ),
        accepts("ServiceDiscoveryRes"),
        before="ServiceDiscoveryReq",
        stimulus="ServiceDiscoveryReq with another session id",
        expectation="FAILED_UnknownSession",
        tags=("negative", "errors"),
    ),
    _case(
        "SES-04",
        "8.3.3",
        "every response carries the id of its session",
        SESSION,
        keeps_session_id(DC_2),
        Mutant(
            text="another session id in a response",
            message="AuthorizationRes",
            header={"SessionID": UNKNOWN_ID},
        ),
        stimulus="a session up to the loop",
        expectation="the session id of SessionSetupRes in every response",
    ),
    _case(
        "SES-05",
        "8.4.3.2.2",
        "EVSEID has 7 to 37 characters",
        SESSION,
        answered(DC_2, "SessionSetupReq", _evse_id),
        alters("SessionSetupRes", EVSEID="DE"),
        before="SessionSetupReq",
        expectation="an EVSEID of 7 to 37 characters",
    ),
)


# services and payment ------------------------------------------------------------------------------------------------


def _charge_service(fields: Plain) -> str:
    service = members(fields.get("ChargeService"))
    if service.get("ServiceID") != 1 or service.get("ServiceCategory") != "EVCharging":
        return f"ChargeService has id {service.get('ServiceID')} and category {service.get('ServiceCategory')}"
    return ""


def _modes(fields: Plain) -> str:
    given = [str(one) for one in items(find(fields, "ChargeService.SupportedEnergyTransferMode.EnergyTransferMode"))]
    return "" if given and len(set(given)) == len(given) else f"energy transfer modes are {given}"


def _external(fields: Plain) -> str:
    given = items(find(fields, "PaymentOptionList.PaymentOption"))
    return "" if "ExternalPayment" in given else f"payment options are {given}"


def _selected(*ids: int) -> Plain:
    return {"SelectedServiceList.SelectedService": [{"ServiceID": one} for one in ids]}


def _receipt(fields: Plain) -> str:
    return "ReceiptRequired is true" if fields.get("ReceiptRequired") is True else ""


SERVICE_CASES = (
    _case(
        "SRV-01",
        "8.4.3.3.3",
        "the charge service has the id 1 and the category EVCharging",
        SERVICES,
        answered(DC_2, "ServiceDiscoveryReq", _charge_service),
        alters("ServiceDiscoveryRes", {"ChargeService.ServiceID": 7}),
        alters("ServiceDiscoveryRes", {"ChargeService.ServiceCategory": "Internet"}),
        before="ServiceDiscoveryReq",
        expectation="ChargeService with id 1 and category EVCharging",
    ),
    _case(
        "SRV-02",
        "8.5.2.4",
        "the energy transfer modes are listed once each",
        SERVICES,
        answered(DC_2, "ServiceDiscoveryReq", _modes),
        alters(
            "ServiceDiscoveryRes",
            {"ChargeService.SupportedEnergyTransferMode.EnergyTransferMode": ["DC_core", "DC_core"]},
        ),
        before="ServiceDiscoveryReq",
        expectation="one to six different modes",
    ),
    _case(
        "SRV-03",
        "8.4.3.3.3",
        "external payment is among the payment options",
        SERVICES,
        answered(DC_2, "ServiceDiscoveryReq", _external),
        alters("ServiceDiscoveryRes", {"PaymentOptionList.PaymentOption": ["Contract"]}),
        before="ServiceDiscoveryReq",
        expectation="ExternalPayment",
    ),
    _case(
        "SRV-04",
        464,
        "ServiceDetailReq for a service that is not offered is FAILED_ServiceIDInvalid",
        SERVICES,
        refused(DC_2, SELECTION, "ServiceDetailReq", "FAILED_ServiceIDInvalid", {"ServiceID": 60_006}),
        accepts("ServiceDetailRes"),
        before=SELECTION,
        stimulus="ServiceDetailReq for the service 60006",
        expectation="FAILED_ServiceIDInvalid",
        tags=("negative", "errors"),
    ),
    _case(
        "SRV-05",
        465,
        "a payment option that is not offered is FAILED_PaymentSelectionInvalid",
        SERVICES,
        refused(DC_2, SELECTION, SELECTION, "FAILED_PaymentSelectionInvalid", {"SelectedPaymentOption": "Contract"}),
        accepts(SELECTION_RES),
        alters(SELECTION_RES, ResponseCode="FAILED"),
        before=SELECTION,
        stimulus="PaymentServiceSelectionReq with Contract, which is not offered without TLS",
        expectation="FAILED_PaymentSelectionInvalid",
        tags=("negative", "errors"),
    ),
    _case(
        "SRV-06",
        467,
        "a service that is not offered is FAILED_ServiceSelectionInvalid",
        SERVICES,
        refused(DC_2, SELECTION, SELECTION, "FAILED_ServiceSelectionInvalid", _selected(1, 60_006)),
        accepts(SELECTION_RES),
        alters(SELECTION_RES, ResponseCode="FAILED"),
        before=SELECTION,
        stimulus="PaymentServiceSelectionReq with the services 1 and 60006",
        expectation="FAILED_ServiceSelectionInvalid",
        tags=("negative", "errors"),
    ),
    _case(
        "SRV-07",
        804,
        "a selection without the charge service is refused",
        SERVICES,
        refused(DC_2, SELECTION, SELECTION, NO_CHARGE_SERVICE, _selected(60_006)),
        accepts(SELECTION_RES),
        alters(SELECTION_RES, ResponseCode="FAILED_PaymentSelectionInvalid"),
        before=SELECTION,
        stimulus="PaymentServiceSelectionReq with the service 60006 alone",
        expectation="FAILED_NoChargeServiceSelected, or FAILED_ServiceSelectionInvalid: both rules apply",
        tags=("negative", "errors"),
    ),
    _case(
        "SRV-08",
        691,
        "with external payment no metering receipt is required",
        SERVICES,
        in_loop(AC_2, _receipt, settle=0, judged=4),
        alters("ChargingStatusRes", ReceiptRequired=True),
        profile=AC_2,
        before="ChargingStatusReq",
        expectation="ReceiptRequired false",
    ),
)


# charge parameters and schedules -------------------------------------------------------------------------------------


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


PARAMETER_CASES = (
    _case(
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
    _case(
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
    _case(
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
    _case(
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
    _case(
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
    _case(
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
    _case(
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
    _case(
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
    _case(
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
    _case(
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
    _case(
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


# power ---------------------------------------------------------------------------------------------------------------


def _faulty(status: str, code: str) -> Plain:
    return {f"{status}.EVErrorCode": code}


def _echo(name: str, setup: str) -> Procedure:
    async def procedure(device: SeccAccess) -> None:
        vehicle = await device.reach(AC_2, "ChargingStatusReq")
        response = await vehicle.loop()
        wanted = vehicle.history[setup].fields.get(name) if name == "EVSEID" else vehicle.state.tuple_id
        expect(response.fields.get(name) == wanted, f"{name} is {response.fields.get(name)}, not {wanted}")

    return procedure


POWER_CASES = (
    _case(
        "CC-01",
        "8.4.5.2.3",
        "a finished cable check states a valid isolation and EVSE_Ready",
        POWER,
        answered(DC_2, "CableCheckReq", isolated),
        alters("CableCheckRes", {"DC_EVSEStatus.EVSEIsolationStatus": "Invalid"}),
        alters("CableCheckRes", {"DC_EVSEStatus.EVSEStatusCode": "EVSE_NotReady"}),
        before="CableCheckReq",
        stimulus="CableCheckReq until EVSEProcessing is Finished",
        expectation="EVSEIsolationStatus Valid or Warning, EVSE_Ready",
    ),
    _case(
        "CC-02",
        "8.4.5.2.2",
        "a cable check of an EV with an error is refused",
        POWER,
        refused(
            DC_2,
            "CableCheckReq",
            "CableCheckReq",
            "FAILED",
            _faulty("DC_EVStatus", "FAILED_ChargerConnectorLockFault"),
        ),
        accepts("CableCheckRes"),
        before="CableCheckReq",
        stimulus="CableCheckReq with FAILED_ChargerConnectorLockFault",
        expectation="FAILED",
        tags=("negative", "errors"),
    ),
    _case(
        "PC-01",
        "8.4.5.3.3",
        "pre-charge does not exceed the target voltage",
        POWER,
        no_overshoot(DC_2),
        alters("PreChargeRes", EVSEPresentVoltage=physical(435, "V")),
        before="PreChargeReq",
        stimulus="PreChargeReq for 3 s",
        expectation="not above the target (20 V tolerance)",
        tags=("nominal", "limits"),
    ),
    _case(
        "PC-02",
        "8.4.5.3.2",
        "pre-charge with more than 2 A is refused",
        POWER,
        refused(DC_2, "PreChargeReq", "PreChargeReq", "FAILED", {"EVTargetCurrent": physical(20, "A")}),
        accepts("PreChargeRes"),
        before="PreChargeReq",
        stimulus="PreChargeReq with EVTargetCurrent 20 A",
        expectation="FAILED",
        tags=("negative", "limits"),
    ),
    _case(
        "PWR-01",
        "8.4.5.4.2",
        "the current does not exceed EVTargetCurrent",
        POWER,
        in_loop(DC_2, current_between(0, 10)),
        alters("CurrentDemandRes", EVSEPresentCurrent=physical(25, "A")),
        before="CurrentDemandReq",
        stimulus="CurrentDemandReq with EVTargetCurrent 10 A",
        expectation="EVSEPresentCurrent from 0 to 10 A (1 A tolerance) after 1.6 s",
        tags=("nominal", "limits"),
    ),
    _case(
        "PWR-02",
        "8.4.5.4.2",
        "no current flows for EVTargetCurrent 0",
        POWER,
        in_loop(DC_2, current_between(0, 0), {"EVTargetCurrent": physical(0, "A")}),
        alters("CurrentDemandRes", EVSEPresentCurrent=physical(6, "A")),
        before="CurrentDemandReq",
        stimulus="CurrentDemandReq with EVTargetCurrent 0",
        expectation="EVSEPresentCurrent 0 (1 A tolerance) after 1.6 s",
        tags=("nominal", "limits"),
    ),
    _case(
        "PWR-03",
        "8.4.5.4.3",
        "ISO 15118-2 charges only: the current is never negative",
        POWER,
        in_loop(DC_2, current_between(0, 1_000), {"EVTargetCurrent": physical(-20, "A")}, settle=0, judged=6),
        alters("CurrentDemandRes", EVSEPresentCurrent=physical(-20, "A")),
        before="CurrentDemandReq",
        stimulus="CurrentDemandReq with EVTargetCurrent −20 A",
        expectation="EVSEPresentCurrent not below 0 (1 A tolerance), or a FAILED code",
        tags=("negative", "energy-direction", "limits"),
    ),
    _case(
        "PWR-04",
        "8.4.5.4.2",
        "the voltage does not exceed EVMaximumVoltageLimit",
        POWER,
        in_loop(DC_2, voltage_below(450)),
        alters("CurrentDemandRes", EVSEPresentVoltage=physical(600, "V")),
        before="CurrentDemandReq",
        stimulus="CurrentDemandReq with EVMaximumVoltageLimit 450 V",
        expectation="EVSEPresentVoltage not above 450 V (10 V tolerance)",
        tags=("nominal", "limits"),
    ),
    _case(
        "PWR-05",
        "8.4.5.5.3",
        "the output is without voltage after PowerDelivery(Stop)",
        POWER,
        off_after_stop(DC_2),
        alters("WeldingDetectionRes", EVSEPresentVoltage=physical(390, "V")),
        before="WeldingDetectionReq",
        stimulus="WeldingDetectionReq for 5 s",
        expectation="EVSEPresentVoltage below 60 V",
        tags=("nominal", "limits", "stop"),
    ),
    _case(
        "PWR-06",
        "8.4.4.2.3",
        "ChargingStatusRes states the EVSEID of SessionSetupRes",
        POWER,
        _echo("EVSEID", "SessionSetupReq"),
        alters("ChargingStatusRes", EVSEID="DE8AAE99999"),
        profile=AC_2,
        before="ChargingStatusReq",
        expectation="the same EVSEID",
    ),
    _case(
        "PWR-07",
        "8.4.4.2.3",
        "ChargingStatusRes states the selected schedule tuple",
        POWER,
        _echo("SAScheduleTupleID", CPD),
        alters("ChargingStatusRes", SAScheduleTupleID=77),
        profile=AC_2,
        before="ChargingStatusReq",
        expectation="SAScheduleTupleID of PowerDeliveryReq",
        tags=("nominal", "schedules"),
    ),
)


# pause ---------------------------------------------------------------------------------------------------------------


async def _resumed(device: SeccAccess) -> Vehicle:
    earlier = await device.reach(DC_2, "SessionStopReq")
    response = await earlier.request("SessionStopReq", PAUSED)
    expect(response.code == "OK", f"SessionStopRes with Pause has the code {response.code}")
    await earlier.connection.close()
    vehicle = await device.vehicle(DC_2)
    vehicle.resumes = earlier.state.session_id
    await vehicle.handshake()
    await vehicle.request("SessionSetupReq")
    return vehicle


async def _joins(device: SeccAccess) -> None:
    vehicle = await _resumed(device)
    response = vehicle.history["SessionSetupReq"]
    expect(response.code == "OK_OldSessionJoined", f"SessionSetupRes has the code {response.code}")
    expect(response.session_id == vehicle.resumes, f"the session id is {response.session_id}")


async def _replays(device: SeccAccess) -> None:
    vehicle = await _resumed(device)
    response = await vehicle.request("ServiceDiscoveryReq")
    expect(response.code.startswith("OK"), f"ServiceDiscoveryRes has the code {response.code}")


async def _accepted_pause(device: SeccAccess) -> None:
    vehicle = await device.reach(DC_2, "SessionStopReq")
    response = await vehicle.request("SessionStopReq", PAUSED)
    expect(response.code == "OK", f"SessionStopRes has the code {response.code}")


_PAUSE = ("iso2.pause",)

PAUSE_CASES = (
    _case(
        "PAU-01",
        "8.4.3.12.2",
        "a session can be paused after its loop",
        PAUSE,
        _accepted_pause,
        refuses("SessionStopRes"),
        before="SessionStopReq",
        stimulus="SessionStopReq with Pause",
        expectation="OK",
        tags=("nominal", "pause"),
        requires=_PAUSE,
    ),
    _case(
        "PAU-02",
        740,
        "a paused session is resumed with its id and OK_OldSessionJoined",
        PAUSE,
        _joins,
        Mutant(
            text="a new session instead of the paused one",
            message="SessionSetupRes",
            from_connection=2,
            rewrite=lambda f: {**f, "ResponseCode": "OK_NewSessionEstablished"},
        ),
        before="SessionStopReq",
        stimulus="SessionStopReq with Pause; SessionSetupReq with the session id on a new connection",
        expectation="OK_OldSessionJoined and the same session id",
        tags=("nominal", "pause"),
        requires=_PAUSE,
    ),
    _case(
        "PAU-03",
        741,
        "a resumed session repeats the sequence from ServiceDiscoveryReq",
        PAUSE,
        _replays,
        Mutant(
            text="ServiceDiscoveryReq is a sequence error in a resumed session",
            message="ServiceDiscoveryRes",
            from_connection=2,
            rewrite=lambda f: {**f, "ResponseCode": "FAILED_SequenceError"},
        ),
        before="SessionStopReq",
        stimulus="pause, resumption, ServiceDiscoveryReq",
        expectation="OK",
        tags=("nominal", "pause"),
        requires=_PAUSE,
    ),
    _case(
        "PAU-04",
        "8.4.3.12.3",
        "a pause before power has flowed is refused",
        PAUSE,
        refused(DC_2, "AuthorizationReq", "SessionStopReq", ("FAILED", "FAILED_SequenceError"), PAUSED),
        accepts("SessionStopRes"),
        before="AuthorizationReq",
        stimulus="SessionStopReq with Pause",
        expectation="a FAILED code",
        tags=("negative", "pause", "errors"),
    ),
)


# timers --------------------------------------------------------------------------------------------------------------

TIMER_CASES = (
    _case(
        "TIM-01",
        443,
        "a SECC that waits for a request ends the session after 60 s",
        TIMERS,
        silence(DC_2, "ServiceDiscoveryReq", 60.0),
        stays_open(),
        before="ServiceDiscoveryReq",
        stimulus="no request after SessionSetupRes",
        expectation="the SECC closes the connection after 55 to 65 s",
        tags=("negative", "timers", "long"),
    ),
    _case(
        "TIM-02",
        716,
        "without a session the connection is closed by the communication setup timer of 18 s",
        TIMERS,
        silent_connection(DC_2, 20.0),
        stays_open(),
        before="SessionSetupReq",
        stimulus="no request after the handshake",
        expectation="the SECC closes the connection within 25 s",
        tags=("negative", "timers"),
    ),
    _case(
        "TIM-03",
        "Table 109, SECC performance",
        "responses are sent within 1.5 s",
        TIMERS,
        prompt(DC_2, 1.5, but=(*SLOW, "CurrentDemandReq")),
        delays("AuthorizationRes", 1.8),
        stimulus="a whole session",
        expectation="within 1.5 s, PowerDeliveryRes and CurrentDemandRes apart",
        tags=("nominal", "timers"),
    ),
    _case(
        "TIM-04",
        "Table 109, SECC performance, PowerDelivery",
        "PowerDeliveryRes is sent within 4.5 s",
        TIMERS,
        prompt(DC_2, 4.5, only=("PowerDeliveryReq",)),
        delays(DELIVERY_RES, 4.9),
        stimulus="a whole session",
        expectation="within 4.5 s",
        tags=("nominal", "timers"),
    ),
    _case(
        "TIM-05",
        "Table 109, EVCC message time-out, CurrentDemand",
        "CurrentDemandRes arrives within 0.25 s, the time-out of the EV",
        TIMERS,
        prompt_loop(DC_2, 0.25),
        delays("CurrentDemandRes", 0.3),
        before="CurrentDemandReq",
        stimulus="20 CurrentDemandReq",
        expectation="within 0.25 s",
        tags=("nominal", "timers"),
    ),
    _case(
        "TIM-06",
        "Table 109, SECC ongoing, authorization",
        "authorization is finished within 55 s",
        TIMERS,
        timely(DC_2, "AuthorizationReq", 55.0),
        alters("AuthorizationRes", EVSEProcessing="Ongoing"),
        before="AuthorizationReq",
        stimulus="AuthorizationReq until EVSEProcessing is Finished",
        expectation="Finished within 55 s",
        tags=("nominal", "timers"),
    ),
    _case(
        "TIM-07",
        "Table 109, SECC ongoing, charge parameters",
        "charge parameter discovery is finished within 55 s",
        TIMERS,
        timely(DC_2, CPD, 55.0),
        alters(CPD_RES, EVSEProcessing="Ongoing"),
        before=CPD,
        stimulus=f"{CPD} until EVSEProcessing is Finished",
        expectation="Finished within 55 s",
        tags=("nominal", "timers"),
    ),
    _case(
        "TIM-08",
        "Table 109, SECC cable check",
        "the cable check is finished within 38 s",
        TIMERS,
        timely(DC_2, "CableCheckReq", 38.0),
        alters("CableCheckRes", EVSEProcessing="Ongoing"),
        before="CableCheckReq",
        stimulus="CableCheckReq until EVSEProcessing is Finished",
        expectation="Finished within 38 s",
        tags=("nominal", "timers"),
    ),
    _case(
        "TIM-09",
        "Table 109, SECC pre-charge",
        "pre-charge reaches the target voltage within 7 s",
        TIMERS,
        timely(DC_2, "PreChargeReq", 7.0),
        alters("PreChargeRes", EVSEPresentVoltage=physical(300, "V")),
        before="PreChargeReq",
        stimulus="PreChargeReq until EVSEPresentVoltage is within 20 V of EVTargetVoltage",
        expectation="within 7 s",
        tags=("nominal", "timers"),
    ),
    _case(
        "TIM-10",
        "Table 109, SECC performance, ChargingStatus",
        "ChargingStatusRes is sent within 1.5 s",
        TIMERS,
        prompt_loop(AC_2, 1.5),
        delays("ChargingStatusRes", 1.8),
        profile=AC_2,
        before="ChargingStatusReq",
        stimulus="20 ChargingStatusReq",
        expectation="within 1.5 s",
        tags=("nominal", "timers"),
    ),
)

CASES: tuple[SeccCase, ...] = (
    *SESSION_CASES,
    *SERVICE_CASES,
    *PARAMETER_CASES,
    *POWER_CASES,
    *PAUSE_CASES,
    *TIMER_CASES,
)
