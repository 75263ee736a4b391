"""Cases for a SECC: DIN SPEC 70121. Numbers of the sequence are those of the states of the SECC."""

from __future__ import annotations

from emulators.conformance.case import Requirement, expect
from emulators.conformance.iso15118.mutation import Mutant, accepts, alters, delays, refuses, stays_open
from emulators.conformance.iso15118.plain import ABSENT, Plain, find, number
from emulators.conformance.iso15118.profiles import DIN, STOP
from emulators.conformance.iso15118.requests import physical
from emulators.conformance.iso15118.secc_access import SeccAccess
from emulators.conformance.iso15118.secc_older import (
    EVSE_DC,
    TUPLES,
    UNKNOWN_ID,
    closes_after_error,
    current_between,
    in_running_loop,
    isolated,
    limits_in_order,
    new_for_unknown,
    no_overshoot,
    off_after_stop,
    prompt,
    prompt_loop,
    silence,
    starts_at_zero,
    timely,
    tuple_ids,
    unless_ok,
    voltage_below,
    while_ongoing,
)
from emulators.conformance.iso15118.secc_procedures import (
    DIN70121,
    SEQUENCE_ERROR,
    Procedure,
    SeccCase,
    answered,
    closed,
    in_loop,
    only,
    refused,
    secc_case,
)
from protocols.json_values import items, members

SEQUENCE, SETUP, POWER, TIMERS = (
    "DIN SPEC 70121: sequence",
    "DIN SPEC 70121: session, services and parameters",
    "DIN SPEC 70121: power",
    "DIN SPEC 70121: timers",
)
CPD, CPD_RES = "ChargeParameterDiscoveryReq", "ChargeParameterDiscoveryRes"
SELECTION, SELECTION_RES = "ServicePaymentSelectionReq", "ServicePaymentSelectionRes"
AUTHENTICATION = "ContractAuthenticationReq"
EV_DC = "DC_EVChargeParameter"
PMAX = "PMaxSchedule.PMaxScheduleEntry"
MOST_ENTRIES = 12

# number of the requirement, due request, requests that are not due in its place
STATES: tuple[tuple[int, str, tuple[str, ...]], ...] = (
    (437, "SessionSetupReq", ("ServiceDiscoveryReq",)),
    (439, "ServiceDiscoveryReq", (SELECTION, AUTHENTICATION)),
    (441, SELECTION, (AUTHENTICATION, CPD)),
    (444, AUTHENTICATION, (CPD, "ServiceDiscoveryReq")),
    (495, CPD, ("CableCheckReq", AUTHENTICATION)),
    (453, "CableCheckReq", ("PreChargeReq", "CurrentDemandReq")),
    (499, "PreChargeReq", ("CurrentDemandReq", "CableCheckReq")),
    (458, "PowerDeliveryReq", ("CurrentDemandReq", "CableCheckReq")),
    (462, "CurrentDemandReq", ("SessionStopReq", "PreChargeReq")),
    (459, "WeldingDetectionReq", ("CurrentDemandReq", "PreChargeReq")),
)


def _case(
    id: str,
    reference: int | str,
    rule: str,
    feature: str,
    procedure: Procedure,
    *mutants: Mutant,
    before: str = "",
    stimulus: str = "",
    expectation: str,
    tags: tuple[str, ...] = ("nominal",),
) -> SeccCase:
    return secc_case(
        f"SECC-DIN-{id}",
        Requirement(DIN70121, f"[V2G-DC-{reference}]" if isinstance(reference, int) else reference, rule),
        feature,
        procedure,
        *mutants,
        profile=DIN,
        before=before,
        stimulus=stimulus or before,
        expectation=expectation,
        tags=tags,
    )


def _state_case(number_: int, due: str, unexpected: tuple[str, ...]) -> SeccCase:
    return _case(
        f"SEQ-{number_}",
        number_,
        f"where {due} is due, {' and '.join(unexpected)} are sequence errors",
        SEQUENCE,
        only(DIN, due, *unexpected),
        *(accepts(f"{one[:-3]}Res") for one in unexpected),
        refuses(f"{due[:-3]}Res", SEQUENCE_ERROR),
        before=due,
        stimulus=f"{due}; in further sessions {', '.join(unexpected)} in its place",
        expectation=f"OK; {SEQUENCE_ERROR} for each of the others",
        tags=("negative", "sequence"),
    )


# sequence ------------------------------------------------------------------------------------------------------------


async def _welding_repeats(device: SeccAccess) -> None:
    vehicle = await device.reach(DIN, "WeldingDetectionReq")
    for step in ("WeldingDetectionReq", "WeldingDetectionReq", "SessionStopReq"):
        response = await vehicle.request(step)
        expect(response.code.startswith("OK"), f"{response.name} has the code {response.code}")


async def _closes_after_stop(device: SeccAccess) -> None:
    vehicle = await device.reach(DIN, "SessionStopReq")
    await vehicle.request("SessionStopReq")
    await closed(vehicle)


async def _stop_anywhere(device: SeccAccess) -> None:
    for step in DIN.steps[1 : DIN.steps.index("PowerDeliveryReq") + 1]:
        vehicle = await device.reach(DIN, step)
        response = await vehicle.request("SessionStopReq")
        expect(response.code == "OK", f"SessionStopReq in place of {step} has the code {response.code}")
        await vehicle.connection.close()


async def _gives_up(device: SeccAccess) -> None:
    vehicle = await device.reach(DIN, "PowerDeliveryReq")
    response = await vehicle.request(STOP)
    expect(response.code.startswith("OK"), f"PowerDeliveryRes has the code {response.code}")


async def _start_in_loop(device: SeccAccess) -> None:
    vehicle = await device.reach(DIN, "CurrentDemandReq")
    await vehicle.loop()
    response = await vehicle.request("PowerDeliveryReq")
    expect(response.code.startswith("FAILED"), f"PowerDeliveryRes has the code {response.code}")


SEQUENCE_CASES = (
    *(_state_case(*row) for row in STATES),
    _case(
        "SEQ-498",
        498,
        "while charge parameter discovery is Ongoing, only ChargeParameterDiscoveryReq continues",
        SEQUENCE,
        while_ongoing(DIN, CPD, "CableCheckReq"),
        accepts("CableCheckRes"),
        before=CPD,
        stimulus=f"{CPD}; while the response is Ongoing, CableCheckReq",
        expectation=SEQUENCE_ERROR,
        tags=("negative", "sequence"),
    ),
    _case(
        "SEQ-455",
        455,
        "while the cable check is Ongoing, PreChargeReq is a sequence error",
        SEQUENCE,
        while_ongoing(DIN, "CableCheckReq", "PreChargeReq"),
        accepts("PreChargeRes"),
        before="CableCheckReq",
        stimulus="CableCheckReq; while the response is Ongoing, PreChargeReq",
        expectation=SEQUENCE_ERROR,
        tags=("negative", "sequence"),
    ),
    _case(
        "SEQ-465",
        465,
        "in the loop CurrentDemandReq or PowerDeliveryReq is due",
        SEQUENCE,
        in_running_loop(DIN, "SessionStopReq", "PreChargeReq"),
        accepts("SessionStopRes"),
        unless_ok("PreChargeRes"),
        refuses("CurrentDemandRes", SEQUENCE_ERROR, first=2),
        before="CurrentDemandReq",
        stimulus="CurrentDemandReq, then again; in further sessions SessionStopReq and PreChargeReq",
        expectation=f"OK; {SEQUENCE_ERROR} for each of the others",
        tags=("negative", "sequence"),
    ),
    _case(
        "SEQ-469",
        469,
        "after WeldingDetectionRes the EV may repeat it or stop the session",
        SEQUENCE,
        _welding_repeats,
        refuses("WeldingDetectionRes", SEQUENCE_ERROR, first=2),
        before="WeldingDetectionReq",
        stimulus="two WeldingDetectionReq, then SessionStopReq",
        expectation="OK each time",
        tags=("nominal", "sequence"),
    ),
    _case(
        "SEQ-451",
        451,
        "after SessionStopRes no request is due: the SECC closes a connection that the EV leaves open",
        SEQUENCE,
        _closes_after_stop,
        stays_open(),
        before="SessionStopReq",
        stimulus="SessionStopReq; the EV leaves the connection open",
        expectation="the SECC closes it within 10 s",
        tags=("nominal", "stop"),
    ),
    _case(
        "SEQ-STOP",
        "9.4.1.8.2",
        "before power flows, SessionStopReq ends the session in every state",
        SEQUENCE,
        _stop_anywhere,
        refuses("SessionStopRes", SEQUENCE_ERROR),
        stimulus="SessionStopReq in place of each request from ServiceDiscoveryReq to PowerDeliveryReq",
        expectation="OK each time",
        tags=("nominal", "stop"),
    ),
    _case(
        "SEQ-GIVEUP",
        "9.4.1.7.2",
        "PowerDelivery with ReadyToChargeState false is accepted after pre-charge",
        SEQUENCE,
        _gives_up,
        refuses("PowerDeliveryRes", SEQUENCE_ERROR),
        before="PowerDeliveryReq",
        stimulus="PowerDeliveryReq with ReadyToChargeState false",
        expectation="OK",
        tags=("nominal", "stop"),
    ),
    _case(
        "SEQ-START",
        "9.4.1.7.2",
        "PowerDelivery with ReadyToChargeState true in the loop is FAILED",
        SEQUENCE,
        _start_in_loop,
        unless_ok("PowerDeliveryRes"),
        before="CurrentDemandReq",
        stimulus="PowerDeliveryReq with ReadyToChargeState true in the loop",
        expectation="a FAILED code",
        tags=("negative", "sequence"),
    ),
    _case(
        "SEQ-390",
        390,
        "a request with another session id is FAILED_UnknownSession",
        SEQUENCE,
        refused(
            DIN,
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
        "SEQ-391",
        391,
        "the response to a request that is not due has its type and FAILED_SequenceError",
        SEQUENCE,
        refused(DIN, "ServiceDiscoveryReq", "PreChargeReq", SEQUENCE_ERROR),
        alters("PreChargeRes", ResponseCode="FAILED"),
        before="ServiceDiscoveryReq",
        stimulus="PreChargeReq",
        expectation=f"PreChargeRes with {SEQUENCE_ERROR}",
        tags=("negative", "errors"),
    ),
    _case(
        "SEQ-CLOSE",
        "9.6.3",
        "after a sequence error the SECC ends the connection",
        SEQUENCE,
        closes_after_error(DIN, "ServiceDiscoveryReq", "PreChargeReq"),
        stays_open(),
        before="ServiceDiscoveryReq",
        stimulus="PreChargeReq",
        expectation="the SECC closes the connection within 10 s",
        tags=("negative", "errors"),
    ),
)


# session, services, parameters ---------------------------------------------------------------------------------------


def _external(fields: Plain) -> str:
    given = items(find(fields, "PaymentOptions.PaymentOption"))
    return "" if given == ["ExternalPayment"] else f"payment options are {given}"


def _without(path: str) -> Procedure:
    name = path.rpartition(".")[2]
    return answered(DIN, "ServiceDiscoveryReq", lambda f: f"{name} is used" if find(f, path) is not None else "")


def _transfer_type(fields: Plain) -> str:
    given = find(fields, "ChargeService.EnergyTransferType")
    return "" if given in ("DC_core", "DC_extended", "DC_combo_core") else f"EnergyTransferType is {given}"


def _no_tariff(fields: Plain) -> str:
    found = any("SalesTariff" in members(one) for one in items(find(fields, TUPLES)))
    return "SalesTariff is used" if found else ""


def _few_entries(fields: Plain) -> str:
    for one in items(find(fields, TUPLES)):
        count = len(items(find(one, PMAX)))
        if count > MOST_ENTRIES:
            return f"PMaxSchedule has {count} entries"
    return ""


def _duration(fields: Plain) -> str:
    for one in items(find(fields, TUPLES)):
        entries = items(find(one, PMAX))
        last = find(entries[-1], "RelativeTimeInterval.duration") if entries else None
        if not number(last) > 0:
            return f"the last entry of PMaxSchedule has the duration {last}"
    return ""


def _selected(*ids: int) -> Plain:
    return {"SelectedServiceList.SelectedService": [{"ServiceID": one} for one in ids]}


def _entries(count: int, **change: object) -> Mutant:
    def rewrite(fields: Plain) -> Plain:
        tuples = []
        for one in map(members, items(find(fields, TUPLES))):
            first = members(items(find(one, PMAX))[0])
            made = [
                {
                    **first,
                    "RelativeTimeInterval": {"start": n * 60, "duration": 60, **change},
                }
                for n in range(count)
            ]
            kept = members(one.get("PMaxSchedule"))
            tuples.append({**one, "PMaxSchedule": {**kept, "PMaxScheduleEntry": made}})
        return {**fields, "SAScheduleList": {"SAScheduleTuple": tuples}}

    return Mutant(text=f"{count} entries of PMaxSchedule {change or ''}", message=CPD_RES, rewrite=rewrite)


SETUP_CASES = (
    _case(
        "SES-01",
        "9.4.1.2.3",
        "a session without an earlier one is opened with OK_NewSessionEstablished and an id that is not zero",
        SETUP,
        new_for_unknown(DIN, "00"),
        alters("SessionSetupRes", ResponseCode="OK"),
        Mutant(text="the session id is zero", message="SessionSetupRes", header={"SessionID": "00" * 8}),
        before="SessionSetupReq",
        stimulus="SessionSetupReq with the session id zero",
        expectation="OK_NewSessionEstablished, another id",
    ),
    _case(
        "SES-02",
        "9.4.1.2.2",
        "an unknown session id leads to a new session",
        SETUP,
        new_for_unknown(DIN, UNKNOWN_ID),
        refuses("SessionSetupRes", "FAILED_UnknownSession"),
        before="SessionSetupReq",
        stimulus="SessionSetupReq with the id of a session that never was",
        expectation="OK_NewSessionEstablished, another id",
        tags=("negative",),
    ),
    _case(
        "SRV-01",
        252,
        "external payment is the only payment option",
        SETUP,
        answered(DIN, "ServiceDiscoveryReq", _external),
        alters("ServiceDiscoveryRes", {"PaymentOptions.PaymentOption": ["Contract"]}),
        before="ServiceDiscoveryReq",
        expectation="ExternalPayment alone",
    ),
    _case(
        "SRV-02",
        628,
        "ServiceName is not used",
        SETUP,
        _without("ChargeService.ServiceTag.ServiceName"),
        alters("ServiceDiscoveryRes", {"ChargeService.ServiceTag.ServiceName": "charging"}),
        before="ServiceDiscoveryReq",
        expectation="no ServiceName",
    ),
    _case(
        "SRV-03",
        629,
        "ServiceScope is not used",
        SETUP,
        _without("ChargeService.ServiceTag.ServiceScope"),
        alters("ServiceDiscoveryRes", {"ChargeService.ServiceTag.ServiceScope": "all"}),
        before="ServiceDiscoveryReq",
        expectation="no ServiceScope",
    ),
    _case(
        "SRV-04",
        "9.4.1.3.3",
        "the energy transfer type is one of DC",
        SETUP,
        answered(DIN, "ServiceDiscoveryReq", _transfer_type),
        alters("ServiceDiscoveryRes", {"ChargeService.EnergyTransferType": "AC_three_phase_core"}),
        before="ServiceDiscoveryReq",
        expectation="DC_core, DC_extended or DC_combo_core",
    ),
    _case(
        "SRV-05",
        395,
        "another payment option than external payment is FAILED_PaymentSelectionInvalid",
        SETUP,
        refused(DIN, SELECTION, SELECTION, "FAILED_PaymentSelectionInvalid", {"SelectedPaymentOption": "Contract"}),
        accepts(SELECTION_RES),
        alters(SELECTION_RES, ResponseCode="FAILED"),
        before=SELECTION,
        stimulus="ServicePaymentSelectionReq with Contract",
        expectation="FAILED_PaymentSelectionInvalid",
        tags=("negative", "errors"),
    ),
    _case(
        "SRV-06",
        396,
        "a service that is not offered is FAILED_ServiceSelectionInvalid",
        SETUP,
        refused(DIN, SELECTION, SELECTION, "FAILED_ServiceSelectionInvalid", _selected(60_006)),
        accepts(SELECTION_RES),
        alters(SELECTION_RES, ResponseCode="FAILED"),
        before=SELECTION,
        stimulus="ServicePaymentSelectionReq with the service 60006",
        expectation="FAILED_ServiceSelectionInvalid",
        tags=("negative", "errors"),
    ),
    _case(
        "SRV-07",
        635,
        "more than the charge service is FAILED_ServiceSelectionInvalid",
        SETUP,
        refused(DIN, SELECTION, SELECTION, "FAILED_ServiceSelectionInvalid", _selected(1, 60_006)),
        accepts(SELECTION_RES),
        before=SELECTION,
        stimulus="ServicePaymentSelectionReq with the services 1 and 60006",
        expectation="FAILED_ServiceSelectionInvalid",
        tags=("negative", "errors"),
    ),
    _case(
        "CPD-01",
        397,
        "an energy transfer type that is not offered is FAILED_WrongEnergyTransferType",
        SETUP,
        refused(DIN, CPD, CPD, "FAILED_WrongEnergyTransferType", {"EVRequestedEnergyTransferType": "DC_unique"}),
        accepts(CPD_RES),
        alters(CPD_RES, ResponseCode="FAILED"),
        before=CPD,
        stimulus=f"{CPD} with DC_unique",
        expectation="FAILED_WrongEnergyTransferType",
        tags=("negative", "errors"),
    ),
    _case(
        "CPD-02",
        398,
        "parameters that do not fit the EVSE are FAILED_WrongChargeParameter",
        SETUP,
        refused(DIN, CPD, CPD, "FAILED_WrongChargeParameter", {f"{EV_DC}.EVMaximumVoltageLimit": physical(20, "V")}),
        accepts(CPD_RES),
        before=CPD,
        stimulus=f"{CPD} with EVMaximumVoltageLimit 20 V",
        expectation="FAILED_WrongChargeParameter",
        tags=("negative", "limits"),
    ),
    _case(
        "CPD-03",
        "9.4.1.6.3",
        "the minimum limits of the EVSE are not above the maximum ones",
        SETUP,
        answered(DIN, CPD, limits_in_order),
        alters(CPD_RES, {f"{EVSE_DC}.EVSEMinimumVoltageLimit": physical(3_000, "V")}),
        before=CPD,
        expectation="0 ≤ minimum ≤ maximum, of current and voltage",
        tags=("nominal", "limits"),
    ),
    _case(
        "CPD-04",
        554,
        "SalesTariff is not used",
        SETUP,
        answered(DIN, CPD, _no_tariff),
        Mutant(
            text="a sales tariff",
            message=CPD_RES,
            rewrite=lambda f: _with_tariff(f),
        ),
        before=CPD,
        expectation="no SalesTariff",
        tags=("nominal", "schedules"),
    ),
    _case(
        "CPD-05",
        329,
        "PMaxSchedule has at most 12 entries",
        SETUP,
        answered(DIN, CPD, _few_entries),
        _entries(MOST_ENTRIES + 1),
        before=CPD,
        expectation="at most 12 entries",
        tags=("nominal", "schedules"),
    ),
    _case(
        "CPD-06",
        "9.5.2.10",
        "the last entry of PMaxSchedule has a duration",
        SETUP,
        answered(DIN, CPD, _duration),
        _entries(1, duration=0),
        before=CPD,
        expectation="a duration above 0",
        tags=("nominal", "schedules"),
    ),
    _case(
        "CPD-07",
        "9.5.2.10",
        "the entries of PMaxSchedule start at 0 and in ascending order",
        SETUP,
        answered(DIN, CPD, starts_at_zero(PMAX)),
        _entries(1, start=3_600),
        before=CPD,
        expectation="starts from 0, each later than the one before",
        tags=("nominal", "schedules"),
    ),
    _case(
        "CPD-08",
        "9.4.1.6.3",
        "the ids of the schedule tuples are 1 to 255 and unique",
        SETUP,
        answered(DIN, CPD, tuple_ids),
        Mutant(
            text="two tuples of the same id",
            message=CPD_RES,
            rewrite=lambda f: {**f, "SAScheduleList": {"SAScheduleTuple": items(find(f, TUPLES))[:1] * 2}},
        ),
        before=CPD,
        expectation="one to three tuples with unique ids",
        tags=("nominal", "schedules"),
    ),
)


def _with_tariff(fields: Plain) -> Plain:
    tariff = {
        "Id": "t1",
        "SalesTariffID": 1,
        "NumEPriceLevels": 1,
        "SalesTariffEntry": [{"RelativeTimeInterval": {"start": 0}, "EPriceLevel": 1}],
    }
    tuples = [{**members(one), "SalesTariff": tariff} for one in items(find(fields, TUPLES))]
    return {**fields, "SAScheduleList": {"SAScheduleTuple": tuples}}


# power and timers ----------------------------------------------------------------------------------------------------

POWER_CASES = (
    _case(
        "CC-01",
        418,
        "the cable check is repeated until it is Finished, with valid isolation and EVSE_Ready",
        POWER,
        answered(DIN, "CableCheckReq", isolated),
        alters("CableCheckRes", {"DC_EVSEStatus.EVSEIsolationStatus": "Invalid"}),
        alters("CableCheckRes", {"DC_EVSEStatus.EVSEStatusCode": "EVSE_NotReady"}),
        alters("CableCheckRes", {"DC_EVSEStatus.EVSEIsolationStatus": ABSENT}),
        before="CableCheckReq",
        stimulus="CableCheckReq until EVSEProcessing is Finished",
        expectation="EVSEIsolationStatus Valid or Warning, EVSE_Ready",
    ),
    _case(
        "PC-01",
        "9.4.2.3.3",
        "pre-charge does not exceed the target voltage",
        POWER,
        no_overshoot(DIN),
        alters("PreChargeRes", EVSEPresentVoltage=physical(435, "V")),
        before="PreChargeReq",
        stimulus="PreChargeReq for 3 s",
        expectation="not above the target (20 V tolerance)",
        tags=("nominal", "limits"),
    ),
    _case(
        "PWR-01",
        "9.4.2.4.3",
        "the current does not exceed EVTargetCurrent",
        POWER,
        in_loop(DIN, current_between(0, 10)),
        alters("CurrentDemandRes", EVSEPresentCurrent=physical(25, "A")),
        before="CurrentDemandReq",
        stimulus="CurrentDemandReq with EVTargetCurrent 10 A",
        expectation="EVSEPresentCurrent from 0 to 10 A (1 A tolerance) after 1.6 s",
        tags=("nominal", "limits"),
    ),
    _case(
        "PWR-02",
        "9.4.2.4.2",
        "DIN SPEC 70121 charges only: the current is never negative",
        POWER,
        in_loop(DIN, current_between(0, 1_000), {"EVTargetCurrent": physical(-20, "A")}, settle=0, judged=6),
        alters("CurrentDemandRes", EVSEPresentCurrent=physical(-20, "A")),
        before="CurrentDemandReq",
        stimulus="CurrentDemandReq with EVTargetCurrent −20 A",
        expectation="EVSEPresentCurrent not below 0 (1 A tolerance)",
        tags=("negative", "energy-direction", "limits"),
    ),
    _case(
        "PWR-03",
        "9.4.2.4.2",
        "the voltage does not exceed EVMaximumVoltageLimit",
        POWER,
        in_loop(DIN, voltage_below(450)),
        alters("CurrentDemandRes", EVSEPresentVoltage=physical(600, "V")),
        before="CurrentDemandReq",
        stimulus="CurrentDemandReq with EVMaximumVoltageLimit 450 V",
        expectation="EVSEPresentVoltage not above 450 V (10 V tolerance)",
        tags=("nominal", "limits"),
    ),
    _case(
        "PWR-04",
        "9.4.2.5.3",
        "the output is without voltage after PowerDelivery with ReadyToChargeState false",
        POWER,
        off_after_stop(DIN),
        alters("WeldingDetectionRes", EVSEPresentVoltage=physical(390, "V")),
        before="WeldingDetectionReq",
        stimulus="WeldingDetectionReq for 5 s",
        expectation="EVSEPresentVoltage below 60 V",
        tags=("nominal", "limits", "stop"),
    ),
    _case(
        "TIM-01",
        "Table 75, SECC sequence time-out",
        "a SECC that waits for a request ends the session after 60 s",
        TIMERS,
        silence(DIN, "ServiceDiscoveryReq", 60.0),
        stays_open(),
        before="ServiceDiscoveryReq",
        stimulus="no request after SessionSetupRes",
        expectation="the SECC closes the connection after 55 to 65 s",
        tags=("negative", "timers", "long"),
    ),
    _case(
        "TIM-02",
        "Table 77, EVCC message time-outs",
        "responses, that of PowerDelivery included, arrive within 2 s, the time-out of the EV",
        TIMERS,
        prompt(DIN, 2.0),
        delays("PowerDeliveryRes", 2.5),
        stimulus="a whole session",
        expectation="within 2 s",
        tags=("nominal", "timers"),
    ),
    _case(
        "TIM-03",
        "Table 77, EVCC message time-out, CurrentDemand",
        "CurrentDemandRes arrives within 0.25 s, the time-out of the EV",
        TIMERS,
        prompt_loop(DIN, 0.25),
        delays("CurrentDemandRes", 0.3),
        before="CurrentDemandReq",
        stimulus="20 CurrentDemandReq",
        expectation="within 0.25 s",
        tags=("nominal", "timers"),
    ),
    _case(
        "TIM-04",
        "Table 75, ongoing, contract authentication",
        "authorization is finished within 60 s, the time-out of the EV",
        TIMERS,
        timely(DIN, AUTHENTICATION, 60.0),
        alters("ContractAuthenticationRes", EVSEProcessing="Ongoing"),
        before=AUTHENTICATION,
        stimulus=f"{AUTHENTICATION} until EVSEProcessing is Finished",
        expectation="Finished within 60 s",
        tags=("nominal", "timers"),
    ),
    _case(
        "TIM-05",
        "Table 75, cable check",
        "the cable check is finished within 40 s, the time-out of the EV",
        TIMERS,
        timely(DIN, "CableCheckReq", 40.0),
        alters("CableCheckRes", EVSEProcessing="Ongoing"),
        before="CableCheckReq",
        stimulus="CableCheckReq until EVSEProcessing is Finished",
        expectation="Finished within 40 s",
        tags=("nominal", "timers"),
    ),
    _case(
        "TIM-06",
        "Table 75, pre-charge",
        "pre-charge reaches the target voltage within 7 s, the time-out of the EV",
        TIMERS,
        timely(DIN, "PreChargeReq", 7.0),
        alters("PreChargeRes", EVSEPresentVoltage=physical(300, "V")),
        before="PreChargeReq",
        stimulus="PreChargeReq until EVSEPresentVoltage is within 20 V of EVTargetVoltage",
        expectation="within 7 s",
        tags=("nominal", "timers"),
    ),
)

CASES: tuple[SeccCase, ...] = (*SEQUENCE_CASES, *SETUP_CASES, *POWER_CASES)
