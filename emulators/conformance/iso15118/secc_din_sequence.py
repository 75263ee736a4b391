"""Cases for a SECC, DIN SPEC 70121: sequence."""

from __future__ import annotations

from emulators.conformance.case import expect
from emulators.conformance.iso15118.declaration import SeccCase
from emulators.conformance.iso15118.mutation import accepts, alters, refuses, stays_open
from emulators.conformance.iso15118.profiles import DIN, STOP
from emulators.conformance.iso15118.secc_access import SeccAccess
from emulators.conformance.iso15118.secc_din_case import AUTHENTICATION, CPD, SELECTION, SEQUENCE, din_case
from emulators.conformance.iso15118.secc_older import (
    UNKNOWN_ID,
    closes_after_error,
    in_running_loop,
    unless_ok,
    while_ongoing,
)
from emulators.conformance.iso15118.secc_procedures import SEQUENCE_ERROR, closed, only, refused

# number of the requirement, due request, requests that are not due in its place
STATES: tuple[tuple[int, str, tuple[str, ...]], ...] = (
    (437, "SessionSetupReq", ("ServiceDiscoveryReq",)),
    (439, "ServiceDiscoveryReq", (SELECTION, AUTHENTICATION)),
    (441, SELECTION, (AUTHENTICATION, CPD)),
    (444, AUTHENTICATION, (CPD, "ServiceDiscoveryReq")),
    (495, CPD, ("CableCheckReq", AUTHENTICATION)),
    (453, "CableCheckReq", ("PreChargeReq", "CurrentDemandReq")),
    (499, "PreChargeReq", ("CurrentDemandReq", "CableCheckReq")),
    (458, "PowerDeliveryReq", ("CurrentDemandReq", "CableCheckReq")),
    (462, "CurrentDemandReq", ("SessionStopReq", "PreChargeReq")),
    (459, "WeldingDetectionReq", ("CurrentDemandReq", "PreChargeReq")),
)


def _state_case(number_: int, due: str, unexpected: tuple[str, ...]) -> SeccCase:
    return din_case(
        f"SEQ-{number_}",
        number_,
        f"where {due} is due, {' and '.join(unexpected)} are sequence errors",
        SEQUENCE,
        only(DIN, due, *unexpected),
        *(accepts(f"{one[:-3]}Res") for one in unexpected),
        refuses(f"{due[:-3]}Res", SEQUENCE_ERROR),
        before=due,
        stimulus=f"{due}; in further sessions {', '.join(unexpected)} in its place",
        expectation=f"OK; {SEQUENCE_ERROR} for each of the others",
        tags=("negative", "sequence"),
    )


async def _welding_repeats(device: SeccAccess) -> None:
    vehicle = await device.reach(DIN, "WeldingDetectionReq")
    for step in ("WeldingDetectionReq", "WeldingDetectionReq", "SessionStopReq"):
        response = await vehicle.request(step)
        expect(response.code.startswith("OK"), f"{response.name} has the code {response.code}")


async def _closes_after_stop(device: SeccAccess) -> None:
    vehicle = await device.reach(DIN, "SessionStopReq")
    await vehicle.request("SessionStopReq")
    await closed(vehicle)


async def _stop_anywhere(device: SeccAccess) -> None:
    for step in DIN.steps[1 : DIN.steps.index("PowerDeliveryReq") + 1]:
        vehicle = await device.reach(DIN, step)
        response = await vehicle.request("SessionStopReq")
        expect(response.code == "OK", f"SessionStopReq in place of {step} has the code {response.code}")
        await vehicle.connection.close()


async def _gives_up(device: SeccAccess) -> None:
    vehicle = await device.reach(DIN, "PowerDeliveryReq")
    response = await vehicle.request(STOP)
    expect(response.code.startswith("OK"), f"PowerDeliveryRes has the code {response.code}")


async def _start_in_loop(device: SeccAccess) -> None:
    vehicle = await device.reach(DIN, "CurrentDemandReq")
    await vehicle.loop()
    response = await vehicle.request("PowerDeliveryReq")
    expect(response.code.startswith("FAILED"), f"PowerDeliveryRes has the code {response.code}")


CASES = (
    *(_state_case(*row) for row in STATES),
    din_case(
        "SEQ-498",
        498,
        "while charge parameter discovery is Ongoing, only ChargeParameterDiscoveryReq continues",
        SEQUENCE,
        while_ongoing(DIN, CPD, "CableCheckReq"),
        accepts("CableCheckRes"),
        before=CPD,
        stimulus=f"{CPD}; while the response is Ongoing, CableCheckReq",
        expectation=SEQUENCE_ERROR,
        tags=("negative", "sequence"),
    ),
    din_case(
        "SEQ-455",
        455,
        "while the cable check is Ongoing, PreChargeReq is a sequence error",
        SEQUENCE,
        while_ongoing(DIN, "CableCheckReq", "PreChargeReq"),
        accepts("PreChargeRes"),
        before="CableCheckReq",
        stimulus="CableCheckReq; while the response is Ongoing, PreChargeReq",
        expectation=SEQUENCE_ERROR,
        tags=("negative", "sequence"),
    ),
    din_case(
        "SEQ-465",
        465,
        "in the loop CurrentDemandReq or PowerDeliveryReq is due",
        SEQUENCE,
        in_running_loop(DIN, "SessionStopReq", "PreChargeReq"),
        accepts("SessionStopRes"),
        unless_ok("PreChargeRes"),
        refuses("CurrentDemandRes", SEQUENCE_ERROR, first=2),
        before="CurrentDemandReq",
        stimulus="CurrentDemandReq, then again; in further sessions SessionStopReq and PreChargeReq",
        expectation=f"OK; {SEQUENCE_ERROR} for each of the others",
        tags=("negative", "sequence"),
    ),
    din_case(
        "SEQ-469",
        469,
        "after WeldingDetectionRes the EV may repeat it or stop the session",
        SEQUENCE,
        _welding_repeats,
        refuses("WeldingDetectionRes", SEQUENCE_ERROR, first=2),
        before="WeldingDetectionReq",
        stimulus="two WeldingDetectionReq, then SessionStopReq",
        expectation="OK each time",
        tags=("nominal", "sequence"),
    ),
    din_case(
        "SEQ-451",
        451,
        "after SessionStopRes no request is due: the SECC closes a connection that the EV leaves open",
        SEQUENCE,
        _closes_after_stop,
        stays_open(),
        before="SessionStopReq",
        stimulus="SessionStopReq; the EV leaves the connection open",
        expectation="the SECC closes it within 10 s",
        tags=("nominal", "stop"),
    ),
    din_case(
        "SEQ-STOP",
        "9.4.1.8.2",
        "before power flows, SessionStopReq ends the session in every state",
        SEQUENCE,
        _stop_anywhere,
        refuses("SessionStopRes", SEQUENCE_ERROR),
        stimulus="SessionStopReq in place of each request from ServiceDiscoveryReq to PowerDeliveryReq",
        expectation="OK each time",
        tags=("nominal", "stop"),
    ),
    din_case(
        "SEQ-GIVEUP",
        "9.4.1.7.2",
        "PowerDelivery with ReadyToChargeState false is accepted after pre-charge",
        SEQUENCE,
        _gives_up,
        refuses("PowerDeliveryRes", SEQUENCE_ERROR),
        before="PowerDeliveryReq",
        stimulus="PowerDeliveryReq with ReadyToChargeState false",
        expectation="OK",
        tags=("nominal", "stop"),
    ),
    din_case(
        "SEQ-START",
        "9.4.1.7.2",
        "PowerDelivery with ReadyToChargeState true in the loop is FAILED",
        SEQUENCE,
        _start_in_loop,
        unless_ok("PowerDeliveryRes"),
        before="CurrentDemandReq",
        stimulus="PowerDeliveryReq with ReadyToChargeState true in the loop",
        expectation="a FAILED code",
        tags=("negative", "sequence"),
    ),
    din_case(
        "SEQ-390",
        390,
        "a request with another session id is FAILED_UnknownSession",
        SEQUENCE,
        refused(
            DIN,
            "ServiceDiscoveryReq",
            "ServiceDiscoveryReq",
            "FAILED_UnknownSession",
            session_id=lambda own: UNKNOWN_ID,
        ),
        accepts("ServiceDiscoveryRes"),
        before="ServiceDiscoveryReq",
        stimulus="ServiceDiscoveryReq with another session id",
        expectation="FAILED_UnknownSession",
        tags=("negative", "errors"),
    ),
    din_case(
        "SEQ-391",
        391,
        "the response to a request that is not due has its type and FAILED_SequenceError",
        SEQUENCE,
        refused(DIN, "ServiceDiscoveryReq", "PreChargeReq", SEQUENCE_ERROR),
        alters("PreChargeRes", ResponseCode="FAILED"),
        before="ServiceDiscoveryReq",
        stimulus="PreChargeReq",
        expectation=f"PreChargeRes with {SEQUENCE_ERROR}",
        tags=("negative", "errors"),
    ),
    din_case(
        "SEQ-CLOSE",
        "9.6.3",
        "after a sequence error the SECC ends the connection",
        SEQUENCE,
        closes_after_error(DIN, "ServiceDiscoveryReq", "PreChargeReq"),
        stays_open(),
        before="ServiceDiscoveryReq",
        stimulus="PreChargeReq",
        expectation="the SECC closes the connection within 10 s",
        tags=("negative", "errors"),
    ),
)
