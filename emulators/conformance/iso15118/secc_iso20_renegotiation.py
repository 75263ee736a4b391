"""Cases for a SECC, ISO 15118-20: renegotiation."""

from __future__ import annotations

from emulators.conformance.case import expect
from emulators.conformance.iso15118.mutation import Mutant, accepts, refuses
from emulators.conformance.iso15118.plain import Plain, encoded
from emulators.conformance.iso15118.profiles import DC_BPT, DC_BPT_SCHEDULED, Profile
from emulators.conformance.iso15118.secc_access import SeccAccess
from emulators.conformance.iso15118.secc_iso20_case import DC_CPD, RENEGOTIATION, iso20_case
from emulators.conformance.iso15118.secc_procedures import SEQUENCE_ERROR
from emulators.conformance.iso15118.vehicle import Vehicle
from protocols.v2gtp import PayloadType

SCHEDULE = "ScheduleExchangeReq"
SERVICES: Plain = {"ChargingSession": "ServiceRenegotiation"}
NO_RENEGOTIATION = "FAILED_NoServiceRenegotiationSupported"
STREAM, COMMON = int(PayloadType.ISO20_SCHEDULE_STREAM), int(PayloadType.ISO20_COMMON)


async def _looping(device: SeccAccess, profile: Profile) -> Vehicle:
    vehicle = await device.reach(profile, profile.loop)
    await vehicle.loop()
    return vehicle


async def _parallel(device: SeccAccess) -> None:
    vehicle = await _looping(device, DC_BPT_SCHEDULED)
    response = await vehicle.exchange(SCHEDULE, vehicle.message(SCHEDULE), STREAM)
    expect(response.code.startswith("OK"), f"ScheduleExchangeRes has the code {response.code}")
    expect(response.payload_type == STREAM, f"the payload type is {response.payload_type:#06x}, not {STREAM:#06x}")


async def _loop_goes_on(device: SeccAccess) -> None:
    vehicle = await _looping(device, DC_BPT_SCHEDULED)
    await vehicle.exchange(SCHEDULE, vehicle.message(SCHEDULE), STREAM)
    for _ in range(3):
        response = await vehicle.loop()
        expect(response.code.startswith("OK"), f"DC_ChargeLoopRes has the code {response.code}")


async def _on_main_stream(device: SeccAccess) -> None:
    vehicle = await _looping(device, DC_BPT_SCHEDULED)
    response = await vehicle.exchange(SCHEDULE, vehicle.message(SCHEDULE))
    expect(response.code == SEQUENCE_ERROR, f"ScheduleExchangeRes has the code {response.code}")


async def _new_profile(device: SeccAccess) -> None:
    vehicle = await _looping(device, DC_BPT_SCHEDULED)
    response = await vehicle.exchange(SCHEDULE, vehicle.message(SCHEDULE), STREAM)
    vehicle.state.learn("ScheduleExchangeRes", response.fields)
    response = await vehicle.request("PowerDeliveryReq", {"ChargeProgress": "ScheduleRenegotiation"})
    expect(response.code.startswith("OK"), f"PowerDeliveryRes has the code {response.code}")
    response = await vehicle.loop()
    expect(response.code.startswith("OK"), f"DC_ChargeLoopRes has the code {response.code}")


_METERING: Plain = {
    "MeteringConfirmationReq": {
        "SignedMeteringData": {
            "Id": "id1",
            "SessionID": "1122334455667788",
            "MeterInfo": {"MeterID": "meter", "ChargedEnergyReadingWh": 123_456},
            "Dynamic_SMDTControlMode": {},
        }
    }
}


async def _unsigned_metering(device: SeccAccess) -> None:
    vehicle = await _looping(device, DC_BPT)
    header = {"SessionID": vehicle.state.session_id, "TimeStamp": vehicle.state.timestamp}
    body = _METERING["MeteringConfirmationReq"]
    assert isinstance(body, dict)
    plain: Plain = {"MeteringConfirmationReq": {"Header": header, **body}}
    kind = int(PayloadType.ISO20_METERING_STREAM)
    response = await vehicle.exchange("MeteringConfirmationReq", plain, kind)
    expect(response.code.startswith("FAILED"), f"MeteringConfirmationRes has the code {response.code}")


async def _to_services(device: SeccAccess) -> Vehicle:
    vehicle = await device.reach(DC_BPT, "SessionStopReq")
    response = await vehicle.request("SessionStopReq", SERVICES)
    expect(response.code == "OK", f"SessionStopRes has the code {response.code}")
    return vehicle


async def _services_again(device: SeccAccess) -> None:
    vehicle = await _to_services(device)
    response = await vehicle.request("ServiceDiscoveryReq")
    expect(response.code == "OK", f"ServiceDiscoveryRes has the code {response.code}")


async def _opens_services(device: SeccAccess) -> None:
    await _to_services(device)


async def _same_session(device: SeccAccess) -> None:
    vehicle = await _to_services(device)
    given = vehicle.state.session_id
    for step in ("ServiceDiscoveryReq", "ServiceDetailReq", "ServiceSelectionReq", DC_CPD):
        response = await vehicle.request(step)
        expect(response.code.startswith("OK"), f"{response.name} has the code {response.code}")
        expect(response.session_id == given, f"{response.name} has the session id {response.session_id}")


async def _no_authorization(device: SeccAccess) -> None:
    vehicle = await device.reach(DC_BPT, "AuthorizationReq")
    response = await vehicle.request("SessionStopReq", SERVICES)
    if response.code.startswith("FAILED"):
        return
    await vehicle.connection.send("ServiceDiscoveryReq", vehicle.message("ServiceDiscoveryReq"))
    following = await vehicle.connection.receive(5.0)
    offered = following is not None and following.code.startswith("OK")
    expect(not offered, "services are offered to an EV that is not authorized")


_STOPPED = encoded(
    "iso20",
    {"SessionStopRes": {"Header": {"SessionID": "1122334455667788", "TimeStamp": 1}, "ResponseCode": "OK"}},
)

CASES = (
    iso20_case(
        "REN-01",
        "8.3.4.3.7.2",
        "in the loop a schedule exchange runs in its own stream, payload type 0x8101",
        RENEGOTIATION,
        _parallel,
        Mutant(
            text="the response has the payload type 0x8002",
            message="ScheduleExchangeRes",
            first=2,
            payload_type=COMMON,
        ),
        refuses("ScheduleExchangeRes", SEQUENCE_ERROR, first=2),
        profile=DC_BPT_SCHEDULED,
        before="DC_ChargeLoopReq",
        stimulus="ScheduleExchangeReq with payload type 0x8101 in the loop",
        expectation="ScheduleExchangeRes with OK and payload type 0x8101",
        tags=("nominal", "renegotiation"),
    ),
    iso20_case(
        "REN-02",
        "8.3.4.5.5.2",
        "the charge loop goes on during a schedule exchange",
        RENEGOTIATION,
        _loop_goes_on,
        refuses("DC_ChargeLoopRes", SEQUENCE_ERROR, first=2),
        profile=DC_BPT_SCHEDULED,
        before="DC_ChargeLoopReq",
        stimulus="ScheduleExchangeReq with payload type 0x8101, then three DC_ChargeLoopReq",
        expectation="OK each time",
        tags=("nominal", "renegotiation"),
    ),
    iso20_case(
        "REN-03",
        "8.3.4.3.7.2",
        "in the loop a schedule exchange in the main stream is a sequence error",
        RENEGOTIATION,
        _on_main_stream,
        Mutant(
            text="a second exchange in the main stream is accepted",
            message="ScheduleExchangeRes",
            first=2,
            rewrite=lambda f: {**f, "ResponseCode": "OK"},
        ),
        profile=DC_BPT_SCHEDULED,
        before="DC_ChargeLoopReq",
        stimulus="ScheduleExchangeReq with payload type 0x8002 in the loop",
        expectation=SEQUENCE_ERROR,
        tags=("negative", "renegotiation"),
    ),
    iso20_case(
        "REN-04",
        "8.3.4.3.8.2",
        "PowerDelivery(ScheduleRenegotiation) with the new power profile ends the renegotiation",
        RENEGOTIATION,
        _new_profile,
        refuses("PowerDeliveryRes", SEQUENCE_ERROR, first=2),
        profile=DC_BPT_SCHEDULED,
        before="DC_ChargeLoopReq",
        stimulus="a schedule exchange in the loop, PowerDeliveryReq with ScheduleRenegotiation, DC_ChargeLoopReq",
        expectation="OK each time",
        tags=("nominal", "renegotiation"),
    ),
    iso20_case(
        "REN-05",
        "8.3.4.3.11.3",
        "a metering confirmation without a valid signature is refused",
        RENEGOTIATION,
        _unsigned_metering,
        accepts("MeteringConfirmationRes"),
        before="DC_ChargeLoopReq",
        stimulus="MeteringConfirmationReq of another session without a signature, payload type 0x8102",
        expectation="a FAILED code",
        tags=("negative",),
    ),
    iso20_case(
        "REN-06",
        "[V2G20-1477]",
        "after SessionStop(ServiceRenegotiation) ServiceDiscoveryReq is due on the same connection",
        RENEGOTIATION,
        _services_again,
        Mutant(
            text="the second ServiceDiscoveryReq is a sequence error",
            message="ServiceDiscoveryRes",
            first=2,
            rewrite=lambda f: {**f, "ResponseCode": SEQUENCE_ERROR},
        ),
        before="SessionStopReq",
        stimulus="SessionStopReq with ServiceRenegotiation, then ServiceDiscoveryReq",
        expectation="OK each time",
        tags=("nominal", "renegotiation"),
        requires=("iso20.service_renegotiation",),
    ),
    iso20_case(
        "REN-07",
        "[V2G20-1956]",
        "SessionStop(ServiceRenegotiation) is accepted where ServiceDiscoveryRes states its support",
        RENEGOTIATION,
        _opens_services,
        refuses("SessionStopRes", NO_RENEGOTIATION),
        before="SessionStopReq",
        stimulus="SessionStopReq with ServiceRenegotiation",
        expectation="OK",
        tags=("nominal", "renegotiation"),
        requires=("iso20.service_renegotiation",),
    ),
    iso20_case(
        "REN-08",
        "8.3.3",
        "a renegotiation of services keeps the session and its authorization",
        RENEGOTIATION,
        _same_session,
        Mutant(
            text="another session id",
            message="ServiceDiscoveryRes",
            first=2,
            header={"SessionID": "1122334455667788"},
        ),
        before="SessionStopReq",
        stimulus="SessionStopReq with ServiceRenegotiation, then the requests up to charge parameter discovery",
        expectation="OK, and the same session id",
        tags=("nominal", "renegotiation"),
        requires=("iso20.service_renegotiation",),
    ),
    iso20_case(
        "REN-09",
        "8.3.4.3.10.3",
        "a renegotiation of services does not circumvent the authorization",
        RENEGOTIATION,
        _no_authorization,
        Mutant(
            text="services are offered without authorization",
            received="SessionStopReq",
            reply=_STOPPED,
            message="ServiceDiscoveryRes",
            rewrite=lambda f: {**f, "ResponseCode": "OK"},
        ),
        before="AuthorizationReq",
        stimulus="SessionStopReq with ServiceRenegotiation before AuthorizationReq, then ServiceDiscoveryReq",
        expectation="a FAILED code to one of them, or the end of the connection",
        tags=("negative", "renegotiation", "errors"),
    ),
)
