"""Declaration of the cases for an EV of ISO 15118-2 and DIN SPEC 70121: what their files share."""

from __future__ import annotations

from emulators.conformance.case import expect
from emulators.conformance.iso15118.declaration import DIN70121, ISO2, Declaration
from emulators.conformance.iso15118.ev_access import EvAccess
from emulators.conformance.iso15118.ev_procedures import Changes, Check, Procedure, ended, looping, until
from emulators.conformance.iso15118.mutation import Mutant
from emulators.conformance.iso15118.plain import Plain, changed, number
from emulators.conformance.iso15118.profiles import DC_2, DIN, STOP, Profile
from emulators.conformance.iso15118.requests import physical
from emulators.conformance.iso15118.responses import MAX_A

CPD = "ChargeParameterDiscoveryReq"
SHORT_ID = "A1B2C3D4"
ONGOING: Plain = {"EVSEProcessing": "Ongoing"}
FAILED: Plain = {"ResponseCode": "FAILED"}
STATUS = "DC_EVSEStatus"

iso2_case = Declaration[EvAccess](prefix="EV-2-", standard=ISO2, numbered="[V2G2-{}]", profile=DC_2)
din_case = Declaration[EvAccess](prefix="EV-DIN-", standard=DIN70121, numbered="[V2G-DC-{}]", profile=DIN)


def zero_id(profile: Profile) -> Procedure:
    async def procedure(device: EvAccess) -> None:
        station = await device.station(profile)
        request = await station.reach("SessionSetupReq")
        expect(not request.session_id.strip("0"), f"the session id is {request.session_id}")
        await station.finish()

    return procedure


def keeps_id(profile: Profile) -> Procedure:
    async def procedure(device: EvAccess) -> None:
        station = await device.station(profile)
        station.state.session_id = SHORT_ID
        request = await station.reach(CPD)
        expect(
            request.session_id == SHORT_ID, f"{request.name} has the session id {request.session_id}, not {SHORT_ID}"
        )
        await station.finish()

    return procedure


def selects_payment(fields: Plain) -> str:
    given = fields.get("SelectedPaymentOption")
    return "" if given == "ExternalPayment" else f"SelectedPaymentOption is {given}"


def requests_mode(name: str, *known: str) -> Check:
    return lambda f: "" if f.get(name) in known else f"{name} is {f.get(name)}"


def waits_for_voltage(profile: Profile) -> Procedure:
    async def procedure(device: EvAccess) -> None:
        station = await device.station(profile)
        request = await station.reach("PreChargeReq")
        began = station.now
        while station.now - began < 4.0:
            await station.answer(request, {"EVSEPresentVoltage": physical(120, "V")})
            following = await station.receive(5.0)
            if following is None or station.step_of(following) in (STOP, "SessionStopReq"):
                return
            expect(following.name == "PreChargeReq", f"{following.name} at 120 V")
            request = following
        await station.finish()

    return procedure


def within_station(profile: Profile) -> Procedure:
    async def procedure(device: EvAccess) -> None:
        station = await device.station(profile)
        await station.reach(profile.loop)
        for request in await station.loops(5):
            amperes = number(request.fields.get("EVTargetCurrent"))
            expect(0 <= amperes <= MAX_A, f"EVTargetCurrent is {amperes:g} A, the limit of the EVSE {MAX_A:g} A")
        await station.finish()

    return procedure


def reacts_to_fault(code: str) -> Changes:
    return {f"{STATUS}.EVSEStatusCode": code}


def unnotified(profile: Profile, what: str) -> Mutant:
    """Return a mutant that receives the status of an ordinary loop."""
    status = f"{'DC' if profile.dc else 'AC'}_EVSEStatus"
    good: Plain = {f"{status}.EVSENotification": "None"}
    good |= {f"{status}.EVSEStatusCode": "EVSE_Ready"} if profile.dc else {}
    return Mutant(
        text=f"{what} is not regarded",
        received=f"{profile.loop[:-3]}Res",
        received_rewrite=lambda f: changed(f, good),
    )


def failure_ignored(response: str) -> Mutant:
    return Mutant(
        text=f"FAILED in {response} is not regarded",
        received=response,
        received_rewrite=lambda f: {**f, "ResponseCode": "OK"},
    )


def closes(profile: Profile, stop: Changes) -> Procedure:
    async def procedure(device: EvAccess) -> None:
        station = await looping(device, profile)
        request = await until(station, STOP, stop)
        while request.name != "SessionStopReq":
            await station.answer(request)
            request = await station.next(within_s=10.0)
        await station.answer(request)
        await ended(station)

    return procedure


NO_CHARGING: Plain = {"SelectedServiceList.SelectedService": [{"ServiceID": 3}]}
