"""Discovery of a SECC's capabilities: one dialogue for each generation and kind of current."""

from __future__ import annotations

from emulators.conformance.bench import DeviceUnreachable, Discovery
from emulators.conformance.capabilities import Capabilities, Capability, DeviceIdentity
from emulators.conformance.case import CaseEnd, Failed
from emulators.conformance.evidence import Evidence
from emulators.conformance.iso15118 import profiles
from emulators.conformance.iso15118.plain import find
from emulators.conformance.iso15118.profiles import Profile
from emulators.conformance.iso15118.requests import integer
from emulators.conformance.iso15118.secc_access import Connect, SeccAccess
from emulators.conformance.iso15118.vehicle import Vehicle
from protocols.json_values import items
from protocols.ports import Clock

CAPABILITIES: dict[str, Capability] = {
    "iso20.dc": Capability("ISO 15118-20, service 2 (DC)"),
    "iso20.dc_bpt": Capability("ISO 15118-20, service 6 (DC_BPT)"),
    "iso20.ac": Capability("ISO 15118-20, service 1 (AC)"),
    "iso20.ac_bpt": Capability("ISO 15118-20, service 5 (AC_BPT)"),
    "iso20.scheduled": Capability("ISO 15118-20: scheduled control mode, in every offered service"),
    "iso20.dynamic": Capability("ISO 15118-20: dynamic control mode, in every offered service"),
    "iso20.service_renegotiation": Capability("ISO 15118-20: renegotiation of services"),
    "iso20.pause": Capability("ISO 15118-20: pause and resumption of a session"),
    "iso20.standby": Capability("ISO 15118-20: standby during the charge loop"),
    "iso20.metering_confirmation": Capability("ISO 15118-20: verification of MeteringConfirmationReq", default=False),
    "iso2.dc": Capability("ISO 15118-2, DC"),
    "iso2.ac": Capability("ISO 15118-2, AC"),
    "iso2.pause": Capability("ISO 15118-2: pause and resumption of a session"),
    "iso2.renegotiation": Capability("ISO 15118-2: renegotiation during the charge loop"),
    "din.dc": Capability("DIN SPEC 70121, DC"),
}
SERVICES = {1: "iso20.ac", 2: "iso20.dc", 5: "iso20.ac_bpt", 6: "iso20.dc_bpt"}
MODES = {1: "iso20.scheduled", 2: "iso20.dynamic"}


async def discover(connect: Connect, clock: Clock, evidence: Evidence) -> Discovery:
    """Return what the SECC offers. Raises DeviceUnreachable."""
    access = SeccAccess(connect, clock, evidence, Capabilities(CAPABILITIES))
    found: dict[str, bool] = {}
    ids: list[str] = []  # EVSEID by protocol; that of DIN SPEC 70121 is hexadecimal
    try:
        for profile in (profiles.DC_BPT, profiles.AC_BPT):
            ids.append(await _iso20(access, profile, found))
        for profile in (profiles.DC_2, profiles.DIN):
            ids.append(await _older(access, profile, found))
    finally:
        await access.close()
    stated = [one for one in ids if one]
    if not stated:
        raise DeviceUnreachable("it opens no session of ISO 15118-20, ISO 15118-2 or DIN SPEC 70121")
    return Discovery(DeviceIdentity(name=stated[0]), found)


async def _iso20(access: SeccAccess, profile: Profile, found: dict[str, bool]) -> str:
    kinds = (2, 6) if profile.dc else (1, 5)
    found |= {SERVICES[one]: False for one in kinds}
    vehicle = await access.vehicle(profile)
    try:
        await vehicle.run_to("ServiceDetailReq")
        offered = vehicle.history["ServiceDiscoveryReq"].fields
        found["iso20.service_renegotiation"] = offered.get("ServiceRenegotiationSupported") is True
        services = [
            integer(find(one, "ServiceID"), 0) for one in items(find(offered, "EnergyTransferServiceList.Service"))
        ]
        for service in services:
            if service in SERVICES:
                found[SERVICES[service]] = True
                await _modes(vehicle, service, found)
        await _ended(vehicle)
    except CaseEnd:
        pass
    await vehicle.connection.close()
    setup = vehicle.history.get("SessionSetupReq")
    return str(setup.fields.get("EVSEID", "")) if setup is not None else ""


async def _modes(vehicle: Vehicle, service: int, found: dict[str, bool]) -> None:
    detail = (await vehicle.request("ServiceDetailReq", {"ServiceID": service})).fields
    parameters = [
        one
        for parameter_set in items(find(detail, "ServiceParameterList.ParameterSet"))
        for one in items(find(parameter_set, "Parameter"))
    ]
    values = {integer(find(one, "intValue"), 0) for one in parameters if find(one, "Name") == "ControlMode"}
    for mode, name in MODES.items():
        found[name] = found.get(name, True) and mode in values


async def _older(access: SeccAccess, profile: Profile, found: dict[str, bool]) -> str:
    found |= {"iso2.dc": False, "iso2.ac": False} if profile.protocol == "iso2" else {"din.dc": False}
    vehicle = await access.vehicle(profile)
    try:
        await vehicle.run_to(profile.steps[2])
        offered = vehicle.history["ServiceDiscoveryReq"].fields
        if profile.protocol == "iso2":
            modes = items(find(offered, "ChargeService.SupportedEnergyTransferMode.EnergyTransferMode"))
            found["iso2.dc"] = any(str(mode).startswith("DC") for mode in modes)
            found["iso2.ac"] = any(str(mode).startswith("AC") for mode in modes)
        else:
            found["din.dc"] = str(find(offered, "ChargeService.EnergyTransferType")).startswith("DC")
        await _ended(vehicle)
    except CaseEnd:
        pass
    await vehicle.connection.close()
    setup = vehicle.history.get("SessionSetupReq")
    return str(setup.fields.get("EVSEID", "")) if setup is not None else ""


async def _ended(vehicle: Vehicle) -> None:
    """End the session, so that the SECC is free for the next connection."""
    try:
        await vehicle.request("SessionStopReq")
    except Failed:
        return
