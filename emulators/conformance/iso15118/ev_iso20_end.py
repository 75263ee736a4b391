"""Cases for an EV, ISO 15118-20: notifications, errors, end, timers."""

from __future__ import annotations

from emulators.conformance.case import expect
from emulators.conformance.iso15118.ev_access import EvAccess
from emulators.conformance.iso15118.ev_iso20_case import REACTIONS, TIMERS, iso20_case
from emulators.conformance.iso15118.ev_procedures import (
    Check,
    ended,
    ends_after,
    looping,
    reacts,
    silent_response,
    until,
)
from emulators.conformance.iso15118.mutation import Mutant, alters, stays_open
from emulators.conformance.iso15118.plain import Plain
from emulators.conformance.iso15118.profiles import AC_BPT, DC_BPT, DC_BPT_SCHEDULED, STOP

FAILED: Plain = {"ResponseCode": "FAILED"}


def _notified(notification: str) -> Plain:
    return {"EVSEStatus": {"NotificationMaxDelay": 5, "EVSENotification": notification}}


def _kind(kind: str) -> Check:
    return lambda f: "" if f.get("ChargingSession") == kind else f"ChargingSession is {f.get('ChargingSession')}"


def _unnotified(kind: str) -> Mutant:
    """Return a mutant that does not receive the notification."""
    return Mutant(
        text=f"{kind} is not regarded",
        received="DC_ChargeLoopRes",
        received_rewrite=lambda f: {key: value for key, value in f.items() if key != "EVSEStatus"},
    )


async def _renegotiates(device: EvAccess) -> None:
    station = await looping(device, DC_BPT_SCHEDULED)
    changes = _notified("ScheduleRenegotiation")
    for _ in range(40):
        request = station.due or await station.next(within_s=5.0)
        if request.name == "ScheduleExchangeReq":
            return
        progress = request.fields.get("ChargeProgress")
        if request.name == "PowerDeliveryReq":
            expect(progress == "ScheduleRenegotiation", f"PowerDeliveryReq with {progress}")
            return
        await station.answer(request, changes)
    expect(False, "no schedule exchange within 40 responses")


async def _services_again(device: EvAccess) -> None:
    station = await looping(device, DC_BPT)
    request = await until(station, STOP, _notified("ServiceRenegotiation"))
    while request.name != "SessionStopReq":
        await station.answer(request)
        request = await station.next(within_s=10.0)
    kind = request.fields.get("ChargingSession")
    expect(kind == "ServiceRenegotiation", f"ChargingSession is {kind}")
    await station.answer(request)
    await station.next("ServiceDiscoveryReq", within_s=10.0)


async def _undecodable(device: EvAccess) -> None:
    station = await device.station(DC_BPT)
    await station.reach("ServiceDiscoveryReq")
    await station.connection.send_bytes(bytes.fromhex("01fe80020000000480ffffff"), "a payload that is no EXI document")
    await ended(station)


async def _closes_after_stop(device: EvAccess) -> None:
    station = await looping(device, DC_BPT)
    request = await until(station, STOP, _notified("Terminate"))
    while request.name != "SessionStopReq":
        await station.answer(request)
        request = await station.next(within_s=10.0)
    await station.answer(request)
    await ended(station)


def _failure_ignored(response: str) -> Mutant:
    return Mutant(
        text=f"FAILED in {response} is not regarded",
        received=response,
        received_rewrite=lambda f: {**f, "ResponseCode": "OK"},
    )


CASES = (
    iso20_case(
        "NOT-01",
        "8.3.5.3.61",
        "Terminate: PowerDelivery(Stop), then SessionStop(Terminate)",
        REACTIONS,
        reacts(DC_BPT, _notified("Terminate"), STOP, "SessionStopReq", check=_kind("Terminate")),
        _unnotified("Terminate"),
        alters("SessionStopReq", ChargingSession="Pause"),
        stimulus="DC_ChargeLoopRes with the notification Terminate",
        expectation="PowerDelivery(Stop) within 20 s, SessionStop(Terminate)",
        tags=("nominal", "stop"),
    ),
    iso20_case(
        "NOT-02",
        "8.3.5.3.61",
        "Pause: PowerDelivery(Stop), then SessionStop(Pause)",
        REACTIONS,
        reacts(DC_BPT, _notified("Pause"), STOP, "SessionStopReq", check=_kind("Pause")),
        _unnotified("Pause"),
        alters("SessionStopReq", ChargingSession="Terminate"),
        stimulus="DC_ChargeLoopRes with the notification Pause",
        expectation="PowerDelivery(Stop) within 20 s, SessionStop(Pause)",
        tags=("nominal", "pause"),
        requires=("iso20.pause",),
    ),
    iso20_case(
        "NOT-03",
        "8.3.5.3.61",
        "ScheduleRenegotiation: a schedule exchange beside the loop, or PowerDelivery(ScheduleRenegotiation)",
        REACTIONS,
        _renegotiates,
        _unnotified("ScheduleRenegotiation"),
        profile=DC_BPT_SCHEDULED,
        stimulus="DC_ChargeLoopRes with the notification ScheduleRenegotiation",
        expectation="ScheduleExchangeReq or PowerDeliveryReq within 40 responses",
        tags=("nominal", "renegotiation"),
        requires=("iso20.renegotiation",),
    ),
    iso20_case(
        "NOT-04",
        "[V2G20-1477]",
        "ServiceRenegotiation: SessionStop(ServiceRenegotiation), then ServiceDiscoveryReq on the same connection",
        REACTIONS,
        _services_again,
        _unnotified("ServiceRenegotiation"),
        alters("SessionStopReq", ChargingSession="Terminate"),
        stimulus="DC_ChargeLoopRes with the notification ServiceRenegotiation",
        expectation="PowerDelivery(Stop), SessionStop(ServiceRenegotiation), ServiceDiscoveryReq",
        tags=("nominal", "renegotiation"),
        requires=("iso20.renegotiation",),
    ),
    iso20_case(
        "ERR-01",
        "8.6",
        "a FAILED response before power ends session and connection",
        REACTIONS,
        ends_after(DC_BPT, "ServiceDiscoveryReq", FAILED),
        _failure_ignored("ServiceDiscoveryRes"),
        stimulus="ServiceDiscoveryRes with FAILED",
        expectation="no further request, the connection is closed within 5 s",
        tags=("negative", "errors"),
    ),
    iso20_case(
        "ERR-02",
        "8.3.4.5.5.3",
        "a FAILED response in the loop ends session and connection",
        REACTIONS,
        ends_after(DC_BPT, "DC_ChargeLoopReq", FAILED),
        _failure_ignored("DC_ChargeLoopRes"),
        stimulus="DC_ChargeLoopRes with FAILED",
        expectation="no further request, the connection is closed within 5 s",
        tags=("negative", "errors"),
    ),
    iso20_case(
        "ERR-03",
        "8.3.4.3.8.3",
        "no loop begins after a FAILED response to PowerDelivery(Start)",
        REACTIONS,
        ends_after(DC_BPT, "PowerDeliveryReq", {"ResponseCode": "FAILED_PowerDeliveryNotApplied"}),
        _failure_ignored("PowerDeliveryRes"),
        stimulus="PowerDeliveryRes with FAILED_PowerDeliveryNotApplied",
        expectation="no further request, the connection is closed within 5 s",
        tags=("negative", "errors"),
    ),
    iso20_case(
        "ERR-04",
        "8.3.4.5.3.3",
        "a failed cable check ends the session",
        REACTIONS,
        ends_after(DC_BPT, "DC_CableCheckReq", FAILED),
        _failure_ignored("DC_CableCheckRes"),
        stimulus="DC_CableCheckRes with FAILED",
        expectation="no further request, the connection is closed within 5 s",
        tags=("negative", "errors"),
    ),
    iso20_case(
        "ERR-05",
        "7.9.1",
        "a response that is no EXI document of the schema ends the session",
        REACTIONS,
        _undecodable,
        stays_open(),
        stimulus="a payload that is no message, in place of ServiceDiscoveryRes",
        expectation="no further request, the connection is closed within 5 s",
        tags=("negative", "errors"),
    ),
    iso20_case(
        "END-01",
        "[V2G20-1633]",
        "the EV closes the connection after SessionStopRes",
        REACTIONS,
        _closes_after_stop,
        stays_open(),
        stimulus="the notification Terminate, then OK responses",
        expectation="the connection is closed within 5 s of SessionStopRes",
        tags=("nominal", "stop"),
    ),
    iso20_case(
        "TIM-01",
        "Table 215, EVCC message time-out",
        "the EV ends a session without a response after 2 s",
        TIMERS,
        silent_response(DC_BPT, "AuthorizationSetupReq", 1.5, 5.0),
        Mutant(text="the EV ends at once", message="AuthorizationSetupReq", close_after=True),
        stays_open(),
        stimulus="no AuthorizationSetupRes",
        expectation="the connection is closed after 1.5 to 5 s",
        tags=("negative", "timers"),
    ),
    iso20_case(
        "TIM-02",
        "Table 215, EVCC message time-out, ServiceDetail",
        "the EV waits 5 s for ServiceDetailRes",
        TIMERS,
        silent_response(DC_BPT, "ServiceDetailReq", 4.5, 9.0),
        Mutant(text="the EV ends at once", message="ServiceDetailReq", close_after=True),
        stays_open(),
        stimulus="no ServiceDetailRes",
        expectation="the connection is closed after 4.5 to 9 s",
        tags=("negative", "timers"),
    ),
    iso20_case(
        "TIM-03",
        "Table 217, EVCC message time-out, DC charge loop",
        "the EV ends a charge loop without a response after 0.5 s",
        TIMERS,
        silent_response(DC_BPT, "DC_ChargeLoopReq", 0.25, 3.0),
        Mutant(text="the EV ends at once", message="DC_ChargeLoopReq", close_after=True),
        stays_open(),
        stimulus="no DC_ChargeLoopRes",
        expectation="the connection is closed after 0.25 to 3 s",
        tags=("negative", "timers"),
    ),
    iso20_case(
        "TIM-04",
        "Table 216, EVCC message time-out, AC charge loop",
        "the EV ends an AC charge loop without a response after 0.5 s",
        TIMERS,
        silent_response(AC_BPT, "AC_ChargeLoopReq", 0.25, 3.0),
        Mutant(text="the EV ends at once", message="AC_ChargeLoopReq", close_after=True),
        stays_open(),
        profile=AC_BPT,
        stimulus="no AC_ChargeLoopRes",
        expectation="the connection is closed after 0.25 to 3 s",
        tags=("negative", "timers"),
    ),
)
