"""Cases for an EV, ISO 15118-20: services."""

from __future__ import annotations

from emulators.conformance.iso15118.ev_access import EvAccess
from emulators.conformance.iso15118.ev_iso20_case import SERVICES, iso20_case
from emulators.conformance.iso15118.ev_procedures import ended, requested
from emulators.conformance.iso15118.mutation import Mutant, alters
from emulators.conformance.iso15118.plain import Plain, find
from emulators.conformance.iso15118.profiles import DC_BPT

SELECTED = "SelectedEnergyTransferService"


def _offered(fields: Plain) -> str:
    given = fields.get("ServiceID")
    return "" if given == DC_BPT.service else f"the service {given} is not offered"


def _selection(fields: Plain) -> str:
    service, chosen = (find(fields, f"{SELECTED}.{name}") for name in ("ServiceID", "ParameterSetID"))
    return "" if (service, chosen) == (DC_BPT.service, 4) else f"service {service} with parameter set {chosen}"


async def _without_service(device: EvAccess) -> None:
    station = await device.station(DC_BPT)
    request = await station.reach("ServiceDiscoveryReq")
    await station.answer(request, {"EnergyTransferServiceList.Service.0.ServiceID": 3})
    await ended(station, ("SessionStopReq",), 10.0)


async def _unknown_parameter(device: EvAccess) -> None:
    station = await device.station(DC_BPT)
    request = await station.reach("ServiceDetailReq")
    more = {"Name": "VendorParameter", "intValue": 7}
    await station.answer(request, {"ServiceParameterList.ParameterSet.0.Parameter.0": more})
    await station.next("ServiceSelectionReq", within_s=10.0)


CASES = (
    iso20_case(
        "SRV-01",
        "8.3.4.3.5.1",
        "the EV requests details of offered services only",
        SERVICES,
        requested(DC_BPT, "ServiceDetailReq", _offered),
        alters("ServiceDetailReq", ServiceID=2),
        stimulus="ServiceDiscoveryRes with service 6 alone",
        expectation="ServiceDetailReq for service 6",
    ),
    iso20_case(
        "SRV-02",
        "8.3.4.3.6.2",
        "the EV selects an offered service and parameter set",
        SERVICES,
        requested(DC_BPT, "ServiceSelectionReq", _selection),
        alters("ServiceSelectionReq", {f"{SELECTED}.ParameterSetID": 1}),
        stimulus="ServiceDetailRes with the parameter set 4 alone",
        expectation="service 6 with parameter set 4",
    ),
    iso20_case(
        "SRV-03",
        "8.3.4.3.4.3",
        "an EV that finds no service of its own ends the session",
        SERVICES,
        _without_service,
        Mutant(
            text="the EV goes on with a service that is not offered",
            received="ServiceDiscoveryRes",
            received_rewrite=lambda f: {
                **f,
                "EnergyTransferServiceList": {"Service": [{"ServiceID": 6, "FreeService": True}]},
            },
        ),
        stimulus="ServiceDiscoveryRes with service 3 (WPT) alone",
        expectation="SessionStopReq or the end of the connection",
        tags=("negative",),
    ),
    iso20_case(
        "SRV-04",
        "8.3.5.3.22",
        "unknown parameters of a service are tolerated",
        SERVICES,
        _unknown_parameter,
        Mutant(text="the EV ends the session", message="ServiceSelectionReq", close=True),
        stimulus="ServiceDetailRes with a parameter of an unknown name",
        expectation="ServiceSelectionReq",
        tags=("negative",),
    ),
)
