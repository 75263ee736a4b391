"""Cases for a SECC, DIN SPEC 70121: session, services, parameters."""

from __future__ import annotations

from emulators.conformance.iso15118.mutation import Mutant, accepts, alters, refuses
from emulators.conformance.iso15118.plain import Plain, find, number
from emulators.conformance.iso15118.profiles import DIN
from emulators.conformance.iso15118.requests import physical
from emulators.conformance.iso15118.secc_din_case import CPD, CPD_RES, SELECTION, SELECTION_RES, SETUP, din_case
from emulators.conformance.iso15118.secc_older import (
    EVSE_DC,
    TUPLES,
    UNKNOWN_ID,
    limits_in_order,
    new_for_unknown,
    starts_at_zero,
    tuple_ids,
)
from emulators.conformance.iso15118.secc_procedures import Procedure, answered, refused
from protocols.json_values import items, members

EV_DC = "DC_EVChargeParameter"
PMAX = "PMaxSchedule.PMaxScheduleEntry"
MOST_ENTRIES = 12


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


CASES = (
    din_case(
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
    din_case(
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
    din_case(
        "SRV-01",
        252,
        "external payment is the only payment option",
        SETUP,
        answered(DIN, "ServiceDiscoveryReq", _external),
        alters("ServiceDiscoveryRes", {"PaymentOptions.PaymentOption": ["Contract"]}),
        before="ServiceDiscoveryReq",
        expectation="ExternalPayment alone",
    ),
    din_case(
        "SRV-02",
        628,
        "ServiceName is not used",
        SETUP,
        _without("ChargeService.ServiceTag.ServiceName"),
        alters("ServiceDiscoveryRes", {"ChargeService.ServiceTag.ServiceName": "charging"}),
        before="ServiceDiscoveryReq",
        expectation="no ServiceName",
    ),
    din_case(
        "SRV-03",
        629,
        "ServiceScope is not used",
        SETUP,
        _without("ChargeService.ServiceTag.ServiceScope"),
        alters("ServiceDiscoveryRes", {"ChargeService.ServiceTag.ServiceScope": "all"}),
        before="ServiceDiscoveryReq",
        expectation="no ServiceScope",
    ),
    din_case(
        "SRV-04",
        "9.4.1.3.3",
        "the energy transfer type is one of DC",
        SETUP,
        answered(DIN, "ServiceDiscoveryReq", _transfer_type),
        alters("ServiceDiscoveryRes", {"ChargeService.EnergyTransferType": "AC_three_phase_core"}),
        before="ServiceDiscoveryReq",
        expectation="DC_core, DC_extended or DC_combo_core",
    ),
    din_case(
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
    din_case(
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
    din_case(
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
    din_case(
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
    din_case(
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
    din_case(
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
    din_case(
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
    din_case(
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
    din_case(
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
    din_case(
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
    din_case(
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
