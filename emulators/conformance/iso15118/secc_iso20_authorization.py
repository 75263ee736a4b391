"""Cases for a SECC, ISO 15118-20: authorization."""

from __future__ import annotations

from emulators.conformance.case import NotApplicable, expect
from emulators.conformance.iso15118.mutation import Mutant, accepts, alters
from emulators.conformance.iso15118.plain import ABSENT, Plain
from emulators.conformance.iso15118.profiles import DC_BPT
from emulators.conformance.iso15118.secc_access import SeccAccess
from emulators.conformance.iso15118.secc_iso20_case import AUTHORIZATION, iso20_case
from emulators.conformance.iso15118.secc_procedures import answered
from protocols.json_values import items

_PNC: Plain = {
    "SelectedAuthorizationService": "PnC",
    "EIM_AReqAuthorizationMode": ABSENT,
    "PnC_AReqAuthorizationMode": {
        "Id": "id1",
        "GenChallenge": "AAAAAAAAAAAAAAAAAAAAAA==",
        "ContractCertificateChain": {"Certificate": "MAA=", "SubCertificates": {"Certificate": ["MAA="]}},
    },
}
_INSTALLATION: Plain = {
    "OEMProvisioningCertificateChain": {"Id": "id1", "Certificate": "MAA="},
    "ListOfRootCertificateIDs": {
        "RootCertificateID": [{"X509IssuerName": "CN=V2GRoot", "X509SerialNumber": 1}],
    },
    "MaximumContractCertificateChains": 1,
}


def _form(fields: Plain) -> str:
    plug = "PnC" in items(fields.get("AuthorizationServices"))
    form = "PnC_ASResAuthorizationMode" if plug else "EIM_ASResAuthorizationMode"
    return "" if form in fields else f"services {fields.get('AuthorizationServices')} without {form}"


def _distinct_services(fields: Plain) -> str:
    given = items(fields.get("AuthorizationServices"))
    return "" if given and len(given) == len(set(map(str, given))) else f"AuthorizationServices are {given}"


async def _eim_after_warning(device: SeccAccess) -> None:
    vehicle = await device.reach(DC_BPT, "AuthorizationReq")
    _offers_no_pnc(vehicle.history["AuthorizationSetupReq"].fields)
    first = await vehicle.request("AuthorizationReq", _PNC)
    expect(not first.code.startswith("FAILED"), f"PnC that is not offered has the code {first.code}")
    second = await vehicle.perform("AuthorizationReq")
    expect(second.code == "OK", f"EIM afterwards has the code {second.code}")


def _offers_no_pnc(fields: Plain) -> None:
    if "PnC" in items(fields.get("AuthorizationServices")):
        raise NotApplicable("the device offers PnC")


async def _pnc_not_offered(device: SeccAccess) -> None:
    vehicle = await device.reach(DC_BPT, "AuthorizationReq")
    _offers_no_pnc(vehicle.history["AuthorizationSetupReq"].fields)
    response = await vehicle.request("AuthorizationReq", _PNC)
    wanted = "WARNING_AuthorizationSelectionInvalid"
    expect(response.code == wanted, f"the code is {response.code}, not {wanted}")


async def _installation_not_offered(device: SeccAccess) -> None:
    vehicle = await device.reach(DC_BPT, "AuthorizationReq")
    if vehicle.history["AuthorizationSetupReq"].fields.get("CertificateInstallationService") is True:
        raise NotApplicable("the device offers certificate installation")
    response = await vehicle.request("CertificateInstallationReq", _INSTALLATION)
    expect(response.code.startswith("FAILED"), f"the code is {response.code}")


def _finished(fields: Plain) -> str:
    given = fields.get("EVSEProcessing")
    return "" if given in ("Finished", "Ongoing", "Ongoing_WaitingForCustomerInteraction") else f"{given}"


CASES = (
    iso20_case(
        "AUT-01",
        "[V2G20-2567]",
        "the parameters of AuthorizationSetupRes are those of EIM unless PnC is offered",
        AUTHORIZATION,
        answered(DC_BPT, "AuthorizationSetupReq", _form),
        alters("AuthorizationSetupRes", AuthorizationServices=["PnC"]),
        before="AuthorizationSetupReq",
        stimulus="AuthorizationSetupReq",
        expectation="EIM_ASResAuthorizationMode, or PnC_ASResAuthorizationMode where PnC is among the services",
    ),
    iso20_case(
        "AUT-02",
        "8.3.4.3.2.2",
        "AuthorizationSetupRes lists each authorization service once",
        AUTHORIZATION,
        answered(DC_BPT, "AuthorizationSetupReq", _distinct_services),
        alters("AuthorizationSetupRes", AuthorizationServices=["EIM", "EIM"]),
        before="AuthorizationSetupReq",
        stimulus="AuthorizationSetupReq",
        expectation="one or two different services",
    ),
    iso20_case(
        "AUT-03",
        "8.3.4.3.3.2",
        "a service that is not offered is refused with WARNING_AuthorizationSelectionInvalid",
        AUTHORIZATION,
        _pnc_not_offered,
        alters("AuthorizationRes", ResponseCode="OK"),
        alters("AuthorizationRes", ResponseCode="FAILED"),
        before="AuthorizationReq",
        stimulus="AuthorizationReq with PnC, which is not offered",
        expectation="WARNING_AuthorizationSelectionInvalid",
        tags=("negative",),
    ),
    iso20_case(
        "AUT-04",
        "8.6",
        "a WARNING does not end the session: another authorization service can be selected",
        AUTHORIZATION,
        _eim_after_warning,
        Mutant(
            text="the second AuthorizationReq is a sequence error",
            message="AuthorizationRes",
            first=2,
            rewrite=lambda fields: {**fields, "ResponseCode": "FAILED_SequenceError"},
        ),
        before="AuthorizationReq",
        stimulus="AuthorizationReq with PnC, which is not offered, then with EIM",
        expectation="a WARNING, then OK",
        tags=("negative",),
    ),
    iso20_case(
        "AUT-05",
        "8.3.4.3.9.2",
        "certificate installation that is not offered is refused",
        AUTHORIZATION,
        _installation_not_offered,
        accepts("CertificateInstallationRes"),
        before="AuthorizationReq",
        stimulus="CertificateInstallationReq",
        expectation="a FAILED code",
        tags=("negative",),
    ),
)
