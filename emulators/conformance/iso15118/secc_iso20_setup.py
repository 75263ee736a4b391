"""Cases for a SECC: session, authorization and services of ISO 15118-20."""

from __future__ import annotations

from collections import Counter

from emulators.conformance.case import NotApplicable, Requirement, expect
from emulators.conformance.iso15118.mutation import Mutant, accepts, alters
from emulators.conformance.iso15118.plain import ABSENT, Plain, find, number
from emulators.conformance.iso15118.profiles import AC_BPT, DC_BPT, Profile
from emulators.conformance.iso15118.requests import ZERO_20, integer
from emulators.conformance.iso15118.secc_access import SeccAccess
from emulators.conformance.iso15118.secc_procedures import (
    ISO20,
    Check,
    Procedure,
    SeccCase,
    answered,
    refused,
    secc_case,
)
from protocols.json_values import items, members

SESSION, AUTHORIZATION, SERVICES = (
    "ISO 15118-20: session",
    "ISO 15118-20: authorization",
    "ISO 15118-20: services",
)
UNKNOWN_ID = "1122334455667788"
YEAR_2020, YEAR_2100 = 1_577_836_800, 4_102_444_800
DC_SERVICES, AC_SERVICES = {2, 4, 6, 7, 8, 9}, {1, 3, 5, 10, 11}
ENERGY_SERVICES = "EnergyTransferServiceList.Service"
SETS = "ServiceParameterList.ParameterSet"
COMMON_PARAMETERS = {"Connector", "ControlMode", "MobilityNeedsMode", "Pricing"}
BPT_PARAMETERS = {"BPTChannel", "GeneratorMode"}
ISLANDING = {"GridCodeIslandingDetectionMethod", "DetectionMethodGridCodeIslanding"}
VALUES = {"ControlMode": {1, 2}, "MobilityNeedsMode": {1, 2}, "Pricing": {0, 1, 2}}
VALUES |= {"BPTChannel": {1, 2}, "GeneratorMode": {1, 2}}


def _setup(check: Check) -> Procedure:
    return answered(DC_BPT, "SessionSetupReq", check)


def _case(
    id: str,
    reference: str,
    rule: str,
    feature: str,
    procedure: Procedure,
    *mutants: Mutant,
    profile: Profile = DC_BPT,
    before: str = "",
    stimulus: str,
    expectation: str,
    tags: tuple[str, ...] = ("nominal",),
) -> SeccCase:
    return secc_case(
        f"SECC-20-{id}",
        Requirement(ISO20, reference, rule),
        feature,
        procedure,
        *mutants,
        profile=profile,
        before=before,
        stimulus=stimulus,
        expectation=expectation,
        tags=tags,
    )


# session -------------------------------------------------------------------------------------------------------------


async def _new_id(device: SeccAccess) -> None:
    vehicle = await device.reach(DC_BPT, "SessionSetupReq")
    given = (await vehicle.request("SessionSetupReq")).session_id
    expect(len(given) == 16 and given != ZERO_20, f"the session id is {given or 'empty'}")


async def _different_ids(device: SeccAccess) -> None:
    given = []
    for _ in range(3):
        vehicle = await device.reach(DC_BPT, "AuthorizationSetupReq")
        given.append(vehicle.state.session_id)
        await vehicle.request("SessionStopReq")
        await vehicle.connection.close()
    expect(len(set(given)) == 3, f"the session ids of three sessions are {', '.join(given)}")


async def _unknown_id(device: SeccAccess) -> None:
    vehicle = await device.reach(DC_BPT, "SessionSetupReq")
    response = await vehicle.request("SessionSetupReq", session_id=UNKNOWN_ID)
    expect(response.code == "OK_NewSessionEstablished", f"the code is {response.code}")
    expect(response.session_id != UNKNOWN_ID, "the unknown id is taken over")


async def _same_header(device: SeccAccess) -> None:
    vehicle = await device.vehicle(DC_BPT)
    await vehicle.run_to("DC_ChargeLoopReq")
    given = vehicle.state.session_id
    for step, response in vehicle.history.items():
        expect(response.session_id == given, f"the response to {step} has the session id {response.session_id}")


async def _timestamps(device: SeccAccess) -> None:
    vehicle = await device.vehicle(DC_BPT)
    await vehicle.run_to("ServiceSelectionReq")
    for step, response in vehicle.history.items():
        stamp = number(find(response.plain, f"{response.name}.Header.TimeStamp"))
        expect(YEAR_2020 < stamp < YEAR_2100, f"the response to {step} has the TimeStamp {stamp:.0f}")


def _evse_id(fields: Plain) -> str:
    given = str(fields.get("EVSEID", ""))
    return "" if 1 <= len(given) <= 255 and given.strip() else f"EVSEID is {given!r}"


SESSION_CASES = (
    _case(
        "SES-01",
        "8.3.4.3.1.2",
        "a session without an earlier one is opened with OK_NewSessionEstablished",
        SESSION,
        _setup(lambda f: "" if f["ResponseCode"] == "OK_NewSessionEstablished" else f"the code is {f['ResponseCode']}"),
        alters("SessionSetupRes", ResponseCode="OK"),
        alters("SessionSetupRes", ResponseCode="OK_OldSessionJoined"),
        stimulus="SessionSetupReq with the session id zero",
        expectation="OK_NewSessionEstablished",
    ),
    _case(
        "SES-02",
        "8.3.3",
        "a new session has an id of 8 bytes that is not zero",
        SESSION,
        _new_id,
        Mutant(text="the session id is zero", message="SessionSetupRes", header={"SessionID": ZERO_20}),
        stimulus="SessionSetupReq with the session id zero",
        expectation="another session id of 8 bytes in the response",
    ),
    _case(
        "SES-03",
        "8.3.3",
        "the ids of sessions are drawn at random",
        SESSION,
        _different_ids,
        Mutant(
            text="every session has the same id, internally translated",
            message="SessionSetupRes",
            header={"SessionID": UNKNOWN_ID},
        ),
        stimulus="three sessions one after another",
        expectation="three session ids",
    ),
    _case(
        "SES-04",
        "[V2G20-2613]",
        "an unknown session id leads to a new session, not to an error",
        SESSION,
        _unknown_id,
        alters("SessionSetupRes", ResponseCode="FAILED_UnknownSession"),
        alters("SessionSetupRes", ResponseCode="OK_OldSessionJoined"),
        stimulus="SessionSetupReq with the id of a session that never was",
        expectation="OK_NewSessionEstablished with another id",
        tags=("negative",),
    ),
    _case(
        "SES-05",
        "8.3.3",
        "a request with another session id is refused with FAILED_UnknownSession",
        SESSION,
        refused(
            DC_BPT,
            "ServiceDiscoveryReq",
            "ServiceDiscoveryReq",
            "FAILED_UnknownSession",
            session_id=lambda own: UNKNOWN_ID,
        ),
        accepts("ServiceDiscoveryRes"),
        alters("ServiceDiscoveryRes", ResponseCode="FAILED_SequenceError"),
        before="ServiceDiscoveryReq",
        stimulus="ServiceDiscoveryReq with another session id",
        expectation="FAILED_UnknownSession",
        tags=("negative",),
    ),
    _case(
        "SES-06",
        "8.3.4.1",
        "every response carries the id of its session",
        SESSION,
        _same_header,
        Mutant(text="another session id in a response", message="DC_CableCheckRes", header={"SessionID": UNKNOWN_ID}),
        stimulus="a session up to the charge loop",
        expectation="the session id of SessionSetupRes in every response",
    ),
    _case(
        "SES-07",
        "8.3.3",
        "TimeStamp is Unix time in seconds",
        SESSION,
        _timestamps,
        Mutant(text="TimeStamp in milliseconds", message="AuthorizationRes", header={"TimeStamp": 1_770_000_000_000}),
        Mutant(text="TimeStamp since the start", message="AuthorizationRes", header={"TimeStamp": 17}),
        stimulus="a session up to the selection of a service",
        expectation="a time between the years 2020 and 2100 in every response",
    ),
    _case(
        "SES-08",
        "8.3.4.3.1.2",
        "SessionSetupRes states the EVSEID",
        SESSION,
        _setup(_evse_id),
        alters("SessionSetupRes", EVSEID=""),
        stimulus="SessionSetupReq",
        expectation="an EVSEID of 1 to 255 characters",
    ),
)


# authorization -------------------------------------------------------------------------------------------------------

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


AUTHORIZATION_CASES = (
    _case(
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
    _case(
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
    _case(
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
    _case(
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
    _case(
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


# services ------------------------------------------------------------------------------------------------------------


def _ids(fields: Plain, path: str = ENERGY_SERVICES) -> list[int]:
    return [integer(find(one, "ServiceID"), 0) for one in items(find(fields, path))]


def _of_namespace(fields: Plain) -> str:
    others = set(_ids(fields)) - DC_SERVICES
    return f"services {sorted(others)} are not those of DC" if others else ""


def _of_ac(fields: Plain) -> str:
    others = set(_ids(fields)) - AC_SERVICES
    return f"services {sorted(others)} are not those of AC" if others else ""


def _no_twice(fields: Plain) -> str:
    twice = [one for one, count in Counter(_ids(fields)).items() if count > 1]
    return f"services {twice} are listed twice" if twice else ""


async def _filter_keeps_energy(device: SeccAccess) -> None:
    lists = []
    for filtered in ({}, {"SupportedServiceIDs": {"ServiceID": [65]}}):
        vehicle = await device.reach(DC_BPT, "ServiceDiscoveryReq")
        lists.append(_ids((await vehicle.request("ServiceDiscoveryReq", filtered)).fields))
        await vehicle.request("SessionStopReq")
        await vehicle.connection.close()
    expect(lists[0] == lists[1], f"energy services {lists[1]} with a filter, {lists[0]} without")


def _filtered_vas(fields: Plain) -> str:
    others = set(_ids(fields, "VASList.Service")) - {65}
    return f"value-added services {sorted(others)} are listed" if others else ""


def _names(one: object) -> set[str]:
    return {str(members(p).get("Name")) for p in items(find(one, "Parameter"))}


def _complete(needed: set[str], islanding: bool) -> Check:
    def check(fields: Plain) -> str:
        for one in items(find(fields, SETS)):
            missing = needed - _names(one)
            if missing:
                return f"parameter set {find(one, 'ParameterSetID')} lacks {', '.join(sorted(missing))}"
            if islanding and not _names(one) & ISLANDING:
                return f"parameter set {find(one, 'ParameterSetID')} lacks the method of islanding detection"
        return ""

    return check


def _set_ids(fields: Plain) -> str:
    given = [number(find(one, "ParameterSetID")) for one in items(find(fields, SETS))]
    return "" if given and len(set(given)) == len(given) else f"ids of the parameter sets are {given}"


def _mobility(fields: Plain) -> str:
    for one in items(find(fields, SETS)):
        values = {str(members(p).get("Name")): members(p).get("intValue") for p in items(find(one, "Parameter"))}
        if values.get("MobilityNeedsMode") == 2 and values.get("ControlMode") != 2:
            return f"parameter set {find(one, 'ParameterSetID')} has MobilityNeedsMode 2 with scheduled control"
    return ""


def _values(fields: Plain) -> str:
    for one in items(find(fields, SETS)):
        for parameter in map(members, items(find(one, "Parameter"))):
            name, value = str(parameter.get("Name")), parameter.get("intValue")
            if name in VALUES and value not in VALUES[name]:
                return f"parameter set {find(one, 'ParameterSetID')}: {name} is {value}"
    return ""


def _detail(check: Check, profile: Profile = DC_BPT) -> Procedure:
    return answered(profile, "ServiceDetailReq", check)


_NO_SERVICE = 60_006
_FIRST = f"{SETS}.0.Parameter.0"

SERVICE_CASES = (
    _case(
        "SRV-01",
        "8.3.4.3.4.3",
        "a session of the DC namespace offers services of DC only",
        SERVICES,
        answered(DC_BPT, "ServiceDiscoveryReq", _of_namespace),
        alters("ServiceDiscoveryRes", {f"{ENERGY_SERVICES}.0.ServiceID": 5}),
        before="ServiceDiscoveryReq",
        stimulus="ServiceDiscoveryReq",
        expectation="services of DC only",
    ),
    _case(
        "SRV-02",
        "8.3.4.3.4.3",
        "a session of the AC namespace offers services of AC only",
        SERVICES,
        answered(AC_BPT, "ServiceDiscoveryReq", _of_ac),
        alters("ServiceDiscoveryRes", {f"{ENERGY_SERVICES}.0.ServiceID": 6}),
        profile=AC_BPT,
        before="ServiceDiscoveryReq",
        stimulus="ServiceDiscoveryReq",
        expectation="services of AC only",
    ),
    _case(
        "SRV-03",
        "8.3.4.3.4.3",
        "each energy transfer service is listed once",
        SERVICES,
        answered(DC_BPT, "ServiceDiscoveryReq", _no_twice),
        alters("ServiceDiscoveryRes", {f"{ENERGY_SERVICES}.0.ServiceID": 2}),
        before="ServiceDiscoveryReq",
        stimulus="ServiceDiscoveryReq",
        expectation="no id twice",
    ),
    _case(
        "SRV-04",
        "[V2G20-1248]",
        "a filter does not shorten the list of energy transfer services",
        SERVICES,
        _filter_keeps_energy,
        Mutant(
            text="the filter shortens the list of energy services",
            message="ServiceDiscoveryRes",
            from_connection=2,
            rewrite=lambda fields: {
                **fields,
                "EnergyTransferServiceList": {"Service": items(find(fields, ENERGY_SERVICES))[:1]},
            },
        ),
        before="ServiceDiscoveryReq",
        stimulus="ServiceDiscoveryReq without a filter and, in another session, with the filter 65 (Internet)",
        expectation="the same energy transfer services",
        tags=("negative",),
    ),
    _case(
        "SRV-05",
        "[V2G20-1249]",
        "value-added services that the filter does not name are left out",
        SERVICES,
        answered(DC_BPT, "ServiceDiscoveryReq", _filtered_vas, {"SupportedServiceIDs": {"ServiceID": [65]}}),
        alters("ServiceDiscoveryRes", VASList={"Service": [{"ServiceID": 66, "FreeService": True}]}),
        before="ServiceDiscoveryReq",
        stimulus="ServiceDiscoveryReq with the filter 65 (Internet)",
        expectation="no other value-added service",
        tags=("negative",),
    ),
    _case(
        "SRV-06",
        "[V2G20-464]",
        "ServiceDetailReq for a service that is not offered is refused with FAILED_ServiceIDInvalid",
        SERVICES,
        refused(DC_BPT, "ServiceDetailReq", "ServiceDetailReq", "FAILED_ServiceIDInvalid", {"ServiceID": _NO_SERVICE}),
        accepts("ServiceDetailRes"),
        alters("ServiceDetailRes", ResponseCode="FAILED"),
        before="ServiceDetailReq",
        stimulus=f"ServiceDetailReq for the service {_NO_SERVICE}",
        expectation="FAILED_ServiceIDInvalid",
        tags=("negative",),
    ),
    _case(
        "SRV-07",
        "8.3.4.3.5.2",
        "ServiceDetailRes states the requested service",
        SERVICES,
        _detail(lambda f: "" if f.get("ServiceID") == DC_BPT.service else f"ServiceID is {f.get('ServiceID')}"),
        alters("ServiceDetailRes", ServiceID=2),
        before="ServiceDetailReq",
        stimulus="ServiceDetailReq for DC_BPT",
        expectation="ServiceID 6",
    ),
    _case(
        "SRV-08",
        "8.3.5.3.21",
        "the ids of the parameter sets of a service are unique",
        SERVICES,
        _detail(_set_ids),
        alters("ServiceDetailRes", {f"{SETS}.1.ParameterSetID": 1}),
        before="ServiceDetailReq",
        stimulus="ServiceDetailReq for DC_BPT",
        expectation="no id twice",
    ),
    _case(
        "SRV-09",
        "8.3.4.3.5.2",
        "a parameter set of DC_BPT states connector, control, mobility needs, pricing, channel and generator mode",
        SERVICES,
        _detail(_complete(COMMON_PARAMETERS | BPT_PARAMETERS, False)),
        alters("ServiceDetailRes", {f"{SETS}.0.Parameter.4": ABSENT}),
        alters("ServiceDetailRes", {f"{_FIRST}.Name": "connector"}),
        before="ServiceDetailReq",
        stimulus="ServiceDetailReq for DC_BPT",
        expectation="all six parameters in every set",
    ),
    _case(
        "SRV-10",
        "8.3.4.3.5.2",
        "a parameter set of AC_BPT also states the nominal voltage and the method of islanding detection",
        SERVICES,
        _detail(_complete(COMMON_PARAMETERS | BPT_PARAMETERS | {"EVSENominalVoltage"}, True), AC_BPT),
        alters("ServiceDetailRes", {f"{SETS}.0.Parameter.2": ABSENT}),
        alters("ServiceDetailRes", {f"{SETS}.0.Parameter.7": ABSENT}),
        profile=AC_BPT,
        before="ServiceDetailReq",
        stimulus="ServiceDetailReq for AC_BPT",
        expectation="all eight parameters in every set",
    ),
    _case(
        "SRV-11",
        "[V2G20-2663]",
        "MobilityNeedsMode 2 is offered with dynamic control only",
        SERVICES,
        _detail(_mobility),
        alters("ServiceDetailRes", {f"{SETS}.2.Parameter.2.intValue": 2}),
        before="ServiceDetailReq",
        stimulus="ServiceDetailReq for DC_BPT",
        expectation="no parameter set with ControlMode 1 and MobilityNeedsMode 2",
    ),
    _case(
        "SRV-12",
        "8.3.5.3.22",
        "parameters have the values that the standard defines",
        SERVICES,
        _detail(_values),
        alters("ServiceDetailRes", {f"{SETS}.0.Parameter.1.intValue": 3}),
        before="ServiceDetailReq",
        stimulus="ServiceDetailReq for DC_BPT",
        expectation="ControlMode, MobilityNeedsMode, BPTChannel, GeneratorMode 1 or 2, Pricing 0 to 2",
    ),
    _case(
        "SRV-13",
        "8.3.4.3.6.3",
        "a selection without an offered energy service is FAILED_NoEnergyTransferServiceSelected",
        SERVICES,
        refused(
            DC_BPT,
            "ServiceSelectionReq",
            "ServiceSelectionReq",
            "FAILED_NoEnergyTransferServiceSelected",
            {"SelectedEnergyTransferService.ServiceID": _NO_SERVICE},
        ),
        accepts("ServiceSelectionRes"),
        alters("ServiceSelectionRes", ResponseCode="FAILED"),
        before="ServiceSelectionReq",
        stimulus=f"ServiceSelectionReq for the service {_NO_SERVICE}",
        expectation="FAILED_NoEnergyTransferServiceSelected",
        tags=("negative",),
    ),
    _case(
        "SRV-14",
        "8.3.4.3.6.3",
        "a parameter set that was not offered is FAILED_ServiceSelectionInvalid",
        SERVICES,
        refused(
            DC_BPT,
            "ServiceSelectionReq",
            "ServiceSelectionReq",
            "FAILED_ServiceSelectionInvalid",
            {"SelectedEnergyTransferService.ParameterSetID": 999},
        ),
        accepts("ServiceSelectionRes"),
        alters("ServiceSelectionRes", ResponseCode="FAILED"),
        before="ServiceSelectionReq",
        stimulus="ServiceSelectionReq for DC_BPT with the parameter set 999",
        expectation="FAILED_ServiceSelectionInvalid",
        tags=("negative",),
    ),
    _case(
        "SRV-15",
        "8.3.5.3.24",
        "a value-added service that was not offered is FAILED_ServiceSelectionInvalid",
        SERVICES,
        refused(
            DC_BPT,
            "ServiceSelectionReq",
            "ServiceSelectionReq",
            "FAILED_ServiceSelectionInvalid",
            {"SelectedVASList": {"SelectedService": [{"ServiceID": _NO_SERVICE, "ParameterSetID": 1}]}},
        ),
        accepts("ServiceSelectionRes"),
        before="ServiceSelectionReq",
        stimulus=f"ServiceSelectionReq for DC_BPT and the value-added service {_NO_SERVICE}",
        expectation="FAILED_ServiceSelectionInvalid",
        tags=("negative",),
    ),
)

CASES: tuple[SeccCase, ...] = (*SESSION_CASES, *AUTHORIZATION_CASES, *SERVICE_CASES)
