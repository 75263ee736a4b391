"""Cases for a SECC, ISO 15118-20: services."""

from __future__ import annotations

from collections import Counter

from emulators.conformance.case import expect
from emulators.conformance.iso15118.mutation import Mutant, accepts, alters
from emulators.conformance.iso15118.plain import ABSENT, Plain, find, number
from emulators.conformance.iso15118.profiles import AC_BPT, DC_BPT, Profile
from emulators.conformance.iso15118.requests import integer
from emulators.conformance.iso15118.secc_access import SeccAccess
from emulators.conformance.iso15118.secc_iso20_case import SERVICES, iso20_case
from emulators.conformance.iso15118.secc_procedures import Check, Procedure, answered, refused
from protocols.json_values import items, members

DC_SERVICES, AC_SERVICES = {2, 4, 6, 7, 8, 9}, {1, 3, 5, 10, 11}
ENERGY_SERVICES = "EnergyTransferServiceList.Service"
SETS = "ServiceParameterList.ParameterSet"
COMMON_PARAMETERS = {"Connector", "ControlMode", "MobilityNeedsMode", "Pricing"}
BPT_PARAMETERS = {"BPTChannel", "GeneratorMode"}
ISLANDING = {"GridCodeIslandingDetectionMethod", "DetectionMethodGridCodeIslanding"}
VALUES = {"ControlMode": {1, 2}, "MobilityNeedsMode": {1, 2}, "Pricing": {0, 1, 2}}
VALUES |= {"BPTChannel": {1, 2}, "GeneratorMode": {1, 2}}


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

CASES = (
    iso20_case(
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
    iso20_case(
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
    iso20_case(
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
    iso20_case(
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
    iso20_case(
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
    iso20_case(
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
    iso20_case(
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
    iso20_case(
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
    iso20_case(
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
    iso20_case(
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
    iso20_case(
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
    iso20_case(
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
    iso20_case(
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
    iso20_case(
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
    iso20_case(
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
