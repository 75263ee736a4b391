"""Cases for a SECC, ISO 15118-2: services and payment."""

from __future__ import annotations

from emulators.conformance.iso15118.mutation import accepts, alters
from emulators.conformance.iso15118.plain import Plain, find
from emulators.conformance.iso15118.profiles import AC_2, DC_2
from emulators.conformance.iso15118.secc_iso2_case import SERVICES, iso2_case
from emulators.conformance.iso15118.secc_procedures import answered, in_loop, refused
from protocols.json_values import items, members

SELECTION, SELECTION_RES = "PaymentServiceSelectionReq", "PaymentServiceSelectionRes"
NO_CHARGE_SERVICE = ("FAILED_NoChargeServiceSelected", "FAILED_ServiceSelectionInvalid")


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


CASES = (
    iso2_case(
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
    iso2_case(
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
    iso2_case(
        "SRV-03",
        "8.4.3.3.3",
        "external payment is among the payment options",
        SERVICES,
        answered(DC_2, "ServiceDiscoveryReq", _external),
        alters("ServiceDiscoveryRes", {"PaymentOptionList.PaymentOption": ["Contract"]}),
        before="ServiceDiscoveryReq",
        expectation="ExternalPayment",
    ),
    iso2_case(
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
    iso2_case(
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
    iso2_case(
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
    iso2_case(
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
    iso2_case(
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
