"""Cases for a SECC: order of the requests of ISO 15118-2. The numbers are those of the states of the SECC."""

from __future__ import annotations

from typing import Unpack

from emulators.conformance.case import NotApplicable, expect
from emulators.conformance.iso15118.declaration import ISO2, Declaration, SeccCase, Stated
from emulators.conformance.iso15118.mutation import Mutant, accepts, alters, refuses, stays_open
from emulators.conformance.iso15118.profiles import AC_2, DC_2, Profile
from emulators.conformance.iso15118.secc_access import SeccAccess
from emulators.conformance.iso15118.secc_older import closes_after_error, in_running_loop, unless_ok, while_ongoing
from emulators.conformance.iso15118.secc_procedures import SEQUENCE_ERROR, Procedure, closed, only

FEATURE = "ISO 15118-2: sequence"
CPD = "ChargeParameterDiscoveryReq"

sequence_case = Declaration[SeccAccess](
    prefix="SECC-2-SEQ-", standard=ISO2, numbered="[V2G2-{}]", profile=DC_2, tags=("negative", "sequence")
)

# number of the requirement, profile, due request, requests that are not due in its place
STATES: tuple[tuple[int, Profile, str, tuple[str, ...]], ...] = (
    (541, DC_2, "SessionSetupReq", ("ServiceDiscoveryReq",)),
    (543, DC_2, "ServiceDiscoveryReq", ("PaymentServiceSelectionReq", "AuthorizationReq")),
    (545, DC_2, "PaymentServiceSelectionReq", ("AuthorizationReq", CPD)),
    (551, DC_2, "AuthorizationReq", (CPD, "ServiceDiscoveryReq")),
    (573, DC_2, CPD, ("CableCheckReq", "ServiceDiscoveryReq")),
    (582, DC_2, "CableCheckReq", ("PreChargeReq", "CurrentDemandReq")),
    (584, DC_2, "PreChargeReq", ("CurrentDemandReq", "WeldingDetectionReq")),
    (587, DC_2, "PowerDeliveryReq", ("CurrentDemandReq", "CableCheckReq")),
    (590, DC_2, "CurrentDemandReq", ("SessionStopReq", "PreChargeReq")),
    (601, DC_2, "WeldingDetectionReq", ("CurrentDemandReq", "PreChargeReq")),
    (565, AC_2, "PowerDeliveryReq", ("ChargingStatusReq", "CableCheckReq")),
    (576, AC_2, "ChargingStatusReq", ("SessionStopReq", CPD)),
    (568, AC_2, "SessionStopReq", ("ChargingStatusReq", "WeldingDetectionReq")),
)


def _case(
    number: int | str, rule: str, procedure: Procedure, *mutants: Mutant, suffix: str = "", **stated: Unpack[Stated]
) -> SeccCase:
    return sequence_case(f"{suffix or number}", number, rule, FEATURE, procedure, *mutants, **stated)


def _state_case(number: int, profile: Profile, due: str, unexpected: tuple[str, ...]) -> SeccCase:
    return _case(
        number,
        f"where {due} is due, {' and '.join(unexpected)} are sequence errors",
        only(profile, due, *unexpected),
        *(accepts(f"{one[:-3]}Res") for one in unexpected),
        refuses(f"{due[:-3]}Res", SEQUENCE_ERROR),
        profile=profile,
        before=due,
        stimulus=f"{due}; in further sessions {', '.join(unexpected)} in its place",
        expectation=f"OK; {SEQUENCE_ERROR} for each of the others",
    )


async def _welding_repeats(device: SeccAccess) -> None:
    vehicle = await device.reach(DC_2, "WeldingDetectionReq")
    for step in ("WeldingDetectionReq", "WeldingDetectionReq", "SessionStopReq"):
        response = await vehicle.request(step)
        expect(response.code.startswith("OK"), f"{response.name} has the code {response.code}")


async def _closes_after_stop(device: SeccAccess) -> None:
    vehicle = await device.reach(DC_2, "SessionStopReq")
    await vehicle.request("SessionStopReq")
    await closed(vehicle)


async def _detail_then_selection(device: SeccAccess) -> None:
    vehicle = await device.reach(DC_2, "PaymentServiceSelectionReq")
    detail = await vehicle.request("ServiceDetailReq")
    if detail.code.startswith("FAILED"):
        raise NotApplicable("the SECC has no details of the charge service")
    response = await vehicle.request("PaymentServiceSelectionReq")
    expect(response.code.startswith("OK"), f"PaymentServiceSelectionRes has the code {response.code}")


async def _renegotiates(device: SeccAccess) -> None:
    for step in (CPD, "CurrentDemandReq"):
        vehicle = await device.reach(DC_2, "CurrentDemandReq")
        await vehicle.loop()
        response = await vehicle.request("Renegotiate")
        expect(response.code.startswith("OK"), f"PowerDeliveryRes has the code {response.code}")
        response = await vehicle.request(step)
        good = response.code.startswith("OK") if step == CPD else response.code == SEQUENCE_ERROR
        expect(good, f"{step} after Renegotiate has the code {response.code}")
        await vehicle.connection.close()


async def _renegotiate_early(device: SeccAccess) -> None:
    vehicle = await device.reach(DC_2, "PowerDeliveryReq")
    response = await vehicle.request("Renegotiate")
    expect(response.code.startswith("FAILED"), f"PowerDeliveryRes has the code {response.code}")


async def _start_in_loop(device: SeccAccess) -> None:
    vehicle = await device.reach(DC_2, "CurrentDemandReq")
    await vehicle.loop()
    response = await vehicle.request("PowerDeliveryReq")
    expect(response.code.startswith("FAILED"), f"PowerDeliveryRes has the code {response.code}")


async def _stop_anywhere(device: SeccAccess) -> None:
    for step in DC_2.steps[1 : DC_2.steps.index("PowerDeliveryReq") + 1]:
        vehicle = await device.reach(DC_2, step)
        response = await vehicle.request("SessionStopReq")
        expect(response.code == "OK", f"SessionStopReq in place of {step} has the code {response.code}")
        await vehicle.connection.close()


async def _response_type(device: SeccAccess) -> None:
    vehicle = await device.reach(DC_2, "ServiceDiscoveryReq")
    response = await vehicle.request("PreChargeReq")
    expect(response.code == SEQUENCE_ERROR, f"{response.name} has the code {response.code}")


CASES: tuple[SeccCase, ...] = (
    *(_state_case(*row) for row in STATES),
    _case(
        548,
        "after ServiceDetailRes the selection of payment and services is accepted",
        _detail_then_selection,
        refuses("PaymentServiceSelectionRes", SEQUENCE_ERROR),
        before="PaymentServiceSelectionReq",
        stimulus="ServiceDetailReq, then PaymentServiceSelectionReq",
        expectation="OK to the second",
        tags=("nominal", "sequence"),
    ),
    _case(
        688,
        "while charge parameter discovery is Ongoing, only ChargeParameterDiscoveryReq continues",
        while_ongoing(DC_2, CPD, "CableCheckReq"),
        accepts("CableCheckRes"),
        before=CPD,
        stimulus=f"{CPD}; while the response is Ongoing, CableCheckReq",
        expectation=SEQUENCE_ERROR,
    ),
    _case(
        621,
        "while the cable check is Ongoing, only CableCheckReq continues",
        while_ongoing(DC_2, "CableCheckReq", "PreChargeReq"),
        accepts("PreChargeRes"),
        before="CableCheckReq",
        stimulus="CableCheckReq; while the response is Ongoing, PreChargeReq",
        expectation=SEQUENCE_ERROR,
    ),
    _case(
        593,
        "in the loop CurrentDemandReq or PowerDeliveryReq is due",
        in_running_loop(DC_2, "SessionStopReq", "PreChargeReq"),
        accepts("SessionStopRes"),
        unless_ok("PreChargeRes"),
        refuses("CurrentDemandRes", SEQUENCE_ERROR, first=2),
        before="CurrentDemandReq",
        stimulus="CurrentDemandReq, then again; in further sessions SessionStopReq and PreChargeReq",
        expectation=f"OK; {SEQUENCE_ERROR} for each of the others",
    ),
    _case(
        575,
        "in the AC loop ChargingStatusReq or PowerDeliveryReq is due",
        in_running_loop(AC_2, "SessionStopReq"),
        accepts("SessionStopRes"),
        refuses("ChargingStatusRes", SEQUENCE_ERROR, first=2),
        profile=AC_2,
        before="ChargingStatusReq",
        stimulus="ChargingStatusReq, then again; in another session SessionStopReq",
        expectation=f"OK; {SEQUENCE_ERROR} for the other",
    ),
    _case(
        597,
        "after WeldingDetectionRes the EV may repeat it or stop the session",
        _welding_repeats,
        refuses("WeldingDetectionRes", SEQUENCE_ERROR, first=2),
        before="WeldingDetectionReq",
        stimulus="two WeldingDetectionReq, then SessionStopReq",
        expectation="OK each time",
        tags=("nominal", "sequence"),
    ),
    _case(
        571,
        "after SessionStopRes no request is due: the SECC closes a connection that the EV leaves open",
        _closes_after_stop,
        stays_open(),
        before="SessionStopReq",
        stimulus="SessionStopReq; the EV leaves the connection open",
        expectation="the SECC closes it within 10 s",
        tags=("nominal", "stop"),
    ),
    _case(
        813,
        "after PowerDelivery(Renegotiate) charge parameter discovery is due",
        _renegotiates,
        refuses("PowerDeliveryRes", "FAILED", first=2),
        accepts("CurrentDemandRes"),
        before="CurrentDemandReq",
        stimulus=f"PowerDeliveryReq with Renegotiate in the loop, then {CPD}; in another session CurrentDemandReq",
        expectation=f"OK; {SEQUENCE_ERROR} for the other",
        tags=("nominal", "renegotiation"),
        requires=("iso2.renegotiation",),
    ),
    _case(
        812,
        "PowerDelivery(Renegotiate) outside the loop is FAILED",
        _renegotiate_early,
        accepts("PowerDeliveryRes"),
        before="PowerDeliveryReq",
        stimulus="PowerDeliveryReq with Renegotiate instead of Start",
        expectation="a FAILED code",
        tags=("negative", "renegotiation"),
    ),
    _case(
        812,
        "PowerDelivery(Start) in the loop is FAILED",
        _start_in_loop,
        unless_ok("PowerDeliveryRes"),
        before="CurrentDemandReq",
        stimulus="PowerDeliveryReq with Start in the loop",
        expectation="a FAILED code",
        tags=("negative", "sequence"),
        suffix="812B",
    ),
    _case(
        "8.4.3.12.2",
        "before power flows, SessionStopReq ends the session in every state",
        _stop_anywhere,
        refuses("SessionStopRes", SEQUENCE_ERROR),
        stimulus="SessionStopReq in place of each request from ServiceDiscoveryReq to PowerDeliveryReq",
        expectation="OK each time",
        tags=("nominal", "stop"),
        suffix="STOP",
    ),
    _case(
        538,
        "the response to a request that is not due has its type and FAILED_SequenceError",
        _response_type,
        alters("PreChargeRes", ResponseCode="FAILED"),
        before="ServiceDiscoveryReq",
        stimulus="PreChargeReq",
        expectation=f"PreChargeRes with {SEQUENCE_ERROR}",
    ),
    _case(
        539,
        "after a sequence error the SECC ends the connection",
        closes_after_error(DC_2, "ServiceDiscoveryReq", "PreChargeReq"),
        stays_open(),
        before="ServiceDiscoveryReq",
        stimulus="PreChargeReq",
        expectation="the SECC closes the connection within 10 s",
    ),
)
