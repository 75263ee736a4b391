"""Cases for a SECC: order of the requests of ISO 15118-20, and the response to one that is not due.

Each state of the SECC accepts the requests of its own clause; any other request gets the response of its own type with
FAILED_SequenceError, and the session ends.
"""

from __future__ import annotations

from typing import Unpack

from emulators.conformance.case import expect
from emulators.conformance.iso15118.declaration import SeccCase, Stated
from emulators.conformance.iso15118.mutation import Mutant, accepts, alters, refuses, stays_open
from emulators.conformance.iso15118.profiles import AC_BPT, DC_BPT, STOP, Profile
from emulators.conformance.iso15118.secc_access import SeccAccess
from emulators.conformance.iso15118.secc_iso20_case import iso20_case
from emulators.conformance.iso15118.secc_procedures import SEQUENCE_ERROR, Procedure, closed, only, refused

FEATURE = "ISO 15118-20: sequence"

# due request, clause of its message, requests that are not due in its place
STATES: tuple[tuple[Profile, str, str, tuple[str, ...]], ...] = (
    (DC_BPT, "SessionSetupReq", "8.3.4.3.1.1", ("AuthorizationSetupReq",)),
    (DC_BPT, "AuthorizationSetupReq", "8.3.4.3.2.1", ("AuthorizationReq", "ServiceDiscoveryReq")),
    (DC_BPT, "AuthorizationReq", "8.3.4.3.3.1", ("ServiceDiscoveryReq", "DC_ChargeParameterDiscoveryReq")),
    (DC_BPT, "ServiceDiscoveryReq", "8.3.4.3.4.2", ("ServiceDetailReq", "AuthorizationSetupReq")),
    (DC_BPT, "ServiceDetailReq", "8.3.4.3.5.1", ("ServiceSelectionReq", "AuthorizationReq")),
    (DC_BPT, "ServiceSelectionReq", "8.3.4.3.6.2", ("DC_ChargeParameterDiscoveryReq",)),
    (DC_BPT, "DC_ChargeParameterDiscoveryReq", "8.3.4.5.2.2", ("ScheduleExchangeReq", "ServiceDiscoveryReq")),
    (DC_BPT, "ScheduleExchangeReq", "8.3.4.3.7.2", ("DC_CableCheckReq", "PowerDeliveryReq")),
    (DC_BPT, "DC_CableCheckReq", "8.3.4.5.3.2", ("DC_PreChargeReq", "DC_ChargeLoopReq")),
    (DC_BPT, "DC_PreChargeReq", "8.3.4.5.4.1", ("PowerDeliveryReq", "DC_CableCheckReq")),
    (DC_BPT, "PowerDeliveryReq", "8.3.4.3.8.2", ("DC_ChargeLoopReq", "DC_WeldingDetectionReq")),
    (DC_BPT, "DC_ChargeLoopReq", "8.3.4.5.5.2", ("DC_WeldingDetectionReq", "DC_PreChargeReq")),
    (DC_BPT, "DC_WeldingDetectionReq", "8.3.4.5.6.2", ("DC_ChargeLoopReq", "DC_CableCheckReq")),
    (AC_BPT, "AC_ChargeParameterDiscoveryReq", "8.3.4.4.2.2", ("ScheduleExchangeReq", "PowerDeliveryReq")),
    (AC_BPT, "AC_ChargeLoopReq", "8.3.4.4.3.2", ("ServiceDiscoveryReq",)),
)


def _state_case(number: int, profile: Profile, due: str, clause: str, unexpected: tuple[str, ...]) -> SeccCase:
    return iso20_case(
        f"SEQ-{number:02d}",
        clause,
        f"where {due} is due, {' and '.join(unexpected)} are sequence errors",
        FEATURE,
        only(profile, due, *unexpected),
        *(accepts(f"{one[:-3]}Res") for one in unexpected),
        refuses(f"{due[:-3]}Res", SEQUENCE_ERROR),
        profile=profile,
        before=due,
        stimulus=f"{due}; in further sessions {', '.join(unexpected)} in its place",
        expectation=f"OK; {SEQUENCE_ERROR} for each of the others",
        tags=("negative", "sequence"),
    )


async def _ac_after_schedule(device: SeccAccess) -> None:
    await only(AC_BPT, "PowerDeliveryReq", "AC_ChargeLoopReq")(device)


async def _stop_before_loop(device: SeccAccess) -> None:
    for step in DC_BPT.steps[1 : DC_BPT.steps.index("PowerDeliveryReq") + 1]:
        vehicle = await device.reach(DC_BPT, step)
        response = await vehicle.request("SessionStopReq")
        expect(response.code == "OK", f"SessionStopReq in place of {step} has the code {response.code}")
        await vehicle.connection.close()


async def _response_type(device: SeccAccess) -> None:
    vehicle = await device.reach(DC_BPT, "AuthorizationSetupReq")
    response = await vehicle.request("DC_PreChargeReq")
    expect(response.schema == "iso20-dc", f"the response is a message of {response.schema}")
    expect(response.code == SEQUENCE_ERROR, f"the code is {response.code}")


async def _ends_after_error(device: SeccAccess) -> None:
    vehicle = await device.reach(DC_BPT, "ServiceDiscoveryReq")
    await vehicle.request("DC_CableCheckReq")
    await closed(vehicle)


async def _welding_optional(device: SeccAccess) -> None:
    vehicle = await device.reach(DC_BPT, "DC_WeldingDetectionReq")
    response = await vehicle.request("SessionStopReq")
    expect(response.code == "OK", f"the code is {response.code}")


async def _second_detail(device: SeccAccess) -> None:
    vehicle = await device.reach(DC_BPT, "ServiceSelectionReq")
    response = await vehicle.request("ServiceDetailReq")
    expect(response.code == "OK", f"the code is {response.code}")


async def _stop_from_power_delivery(device: SeccAccess) -> None:
    vehicle = await device.reach(DC_BPT, "PowerDeliveryReq")
    response = await vehicle.request(STOP)
    expect(response.code.startswith("OK"), f"the code is {response.code}")
    response = await vehicle.request("SessionStopReq")
    expect(response.code == "OK", f"afterwards SessionStopRes has the code {response.code}")


async def _processing_ongoing(device: SeccAccess) -> None:
    vehicle = await device.reach(DC_BPT, "PowerDeliveryReq")
    ongoing = {"EVProcessing": "Ongoing"}
    response = await vehicle.request("PowerDeliveryReq", ongoing)
    expect(response.code.startswith("OK"), f"while the EV is Ongoing, the code is {response.code}")
    response = await vehicle.request("PowerDeliveryReq")
    expect(response.code.startswith("OK"), f"when it is Finished, the code is {response.code}")
    response = await vehicle.loop()
    expect(response.code.startswith("OK"), f"DC_ChargeLoopRes has the code {response.code}")


_BASE = len(STATES) + 1


def _more(
    offset: int, clause: str, rule: str, procedure: Procedure, *mutants: Mutant, **stated: Unpack[Stated]
) -> SeccCase:
    return iso20_case(f"SEQ-{_BASE + offset:02d}", clause, rule, FEATURE, procedure, *mutants, **stated)


CASES: tuple[SeccCase, ...] = (
    *(_state_case(n, *row) for n, row in enumerate(STATES, 1)),
    _more(
        0,
        "8.3.4.3.8.2",
        "AC: after the schedule PowerDeliveryReq is due, a charge loop without it is a sequence error",
        _ac_after_schedule,
        accepts("AC_ChargeLoopRes"),
        profile=AC_BPT,
        before="PowerDeliveryReq",
        stimulus="PowerDeliveryReq; in another session AC_ChargeLoopReq in its place",
        expectation=f"OK; {SEQUENCE_ERROR}",
        tags=("negative", "sequence"),
    ),
    _more(
        1,
        "8.3.4.3.10.2",
        "before power flows, SessionStopReq ends the session in every state",
        _stop_before_loop,
        refuses("SessionStopRes", SEQUENCE_ERROR),
        stimulus="SessionStopReq in place of each request from AuthorizationSetupReq to PowerDeliveryReq",
        expectation="OK each time",
        tags=("nominal", "sequence", "stop"),
        within_s=300.0,
    ),
    _more(
        2,
        "8.3.4.3.10.2",
        "in the charge loop a session ends through PowerDelivery(Stop), not by SessionStopReq",
        refused(DC_BPT, "DC_ChargeLoopReq", "SessionStopReq", SEQUENCE_ERROR),
        accepts("SessionStopRes"),
        before="DC_ChargeLoopReq",
        stimulus="SessionStopReq",
        expectation=SEQUENCE_ERROR,
        tags=("negative", "sequence", "stop"),
    ),
    _more(
        3,
        "8.6",
        "the response to a request that is not due has the type of that request",
        _response_type,
        alters("DC_PreChargeRes", ResponseCode="FAILED"),
        before="AuthorizationSetupReq",
        stimulus="DC_PreChargeReq",
        expectation=f"DC_PreChargeRes with {SEQUENCE_ERROR}",
        tags=("negative", "sequence"),
    ),
    _more(
        4,
        "8.6",
        "after a FAILED response the SECC ends the session and the connection",
        _ends_after_error,
        stays_open(),
        before="ServiceDiscoveryReq",
        stimulus="DC_CableCheckReq",
        expectation="the SECC closes the connection within 10 s",
        tags=("negative", "sequence"),
    ),
    _more(
        5,
        "8.3.4.5.6.2",
        "welding detection is optional: SessionStopReq is accepted in its place",
        _welding_optional,
        refuses("SessionStopRes", SEQUENCE_ERROR),
        before="DC_WeldingDetectionReq",
        stimulus="SessionStopReq",
        expectation="OK",
        tags=("nominal", "sequence"),
    ),
    _more(
        6,
        "8.3.4.3.5.1",
        "ServiceDetailReq may be repeated before a service is selected",
        _second_detail,
        Mutant(
            text="the second ServiceDetailReq is a sequence error",
            message="ServiceDetailRes",
            first=2,
            rewrite=lambda fields: {**fields, "ResponseCode": SEQUENCE_ERROR},
        ),
        before="ServiceSelectionReq",
        stimulus="ServiceDetailReq again",
        expectation="OK",
        tags=("nominal", "sequence"),
    ),
    _more(
        7,
        "8.3.4.3.8.2",
        "PowerDelivery(Stop) is accepted before PowerDelivery(Start): the EV gives up before charging",
        _stop_from_power_delivery,
        refuses("PowerDeliveryRes", SEQUENCE_ERROR),
        before="PowerDeliveryReq",
        stimulus="PowerDeliveryReq with Stop, then SessionStopReq",
        expectation="OK each time",
        tags=("nominal", "sequence", "stop"),
    ),
    _more(
        8,
        "8.3.4.3.8.2",
        "PowerDeliveryReq is repeated while EVProcessing is Ongoing",
        _processing_ongoing,
        refuses("PowerDeliveryRes", SEQUENCE_ERROR, first=2),
        before="PowerDeliveryReq",
        stimulus="PowerDeliveryReq (Start) with EVProcessing Ongoing, then Finished, then DC_ChargeLoopReq",
        expectation="OK each time",
        tags=("nominal", "sequence"),
    ),
)
