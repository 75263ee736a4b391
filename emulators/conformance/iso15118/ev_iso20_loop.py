"""Cases for an EV, ISO 15118-20: charge loop."""

from __future__ import annotations

from emulators.conformance.case import expect
from emulators.conformance.iso15118.ev_access import EvAccess
from emulators.conformance.iso15118.ev_iso20_case import AC_CPD, BPT_AC, BPT_DC, CPD, LOOP, has, iso20_case
from emulators.conformance.iso15118.ev_procedures import Changes, Procedure, looping, requested
from emulators.conformance.iso15118.mutation import Mutant, alters, delays
from emulators.conformance.iso15118.plain import find, number
from emulators.conformance.iso15118.profiles import AC_BPT, DC_20, DC_BPT, DC_BPT_SCHEDULED, STOP, Profile
from emulators.conformance.iso15118.requests import rational
from emulators.conformance.iso15118.responses import MAX_A
from emulators.conformance.iso15118.vehicle import total
from protocols.json_values import members

LOOP_DC, LOOP_AC = "BPT_Dynamic_DC_CLReqControlMode", "BPT_Dynamic_AC_CLReqControlMode"
SCHEDULED_DC = "BPT_Scheduled_DC_CLReqControlMode"
LOOP_WITHIN_S, MATCHED_V = 0.5, 20.0


async def _paced(device: EvAccess) -> None:
    station = await looping(device, DC_BPT)
    for _ in range(10):
        began = station.now
        request = station.due or await station.next(DC_BPT.loop, within_s=2.0)
        gap = station.now - began
        expect(gap <= LOOP_WITHIN_S, f"the next DC_ChargeLoopReq comes after {gap:.2f} s")
        await station.answer(request)
    await station.finish()


def _loop_form(profile: Profile, name: str) -> Procedure:
    return requested(profile, profile.loop, has(name))


async def _tightens(device: EvAccess) -> None:
    station = await device.station(DC_BPT)
    await station.reach(DC_BPT.loop)
    stated = members(station.sent(CPD)[0].fields.get(BPT_DC))
    for request in await station.loops(5):
        mode = members(request.fields.get(LOOP_DC))
        for name in ("ChargePower", "ChargeCurrent", "DischargePower", "DischargeCurrent", "Voltage"):
            before, now = (number(one.get(f"EVMaximum{name}")) for one in (stated, mode))
            expect(now <= before * 1.001, f"EVMaximum{name} is {now:g} in the loop, {before:g} before")
    await station.finish()


async def _within_station(device: EvAccess) -> None:
    station = await device.station(DC_BPT_SCHEDULED)
    await station.reach(DC_BPT_SCHEDULED.loop)
    for request in await station.loops(5):
        amperes = number(find(request.fields, f"{SCHEDULED_DC}.EVTargetCurrent"))
        expect(abs(amperes) <= MAX_A, f"EVTargetCurrent is {amperes:g} A, the limit of the EVSE {MAX_A:g} A")
    await station.finish()


async def _follows(device: EvAccess) -> None:
    station = await looping(device, AC_BPT)
    station.state.target_w = -3_000.0
    requests = await station.loops(16)
    power = total(members(requests[-1].fields.get(LOOP_AC)), "EVPresentActivePower")
    expect(-3_600 <= power <= -2_400, f"EVPresentActivePower is {power:g} W at a target of −3,000 W")
    await station.finish()


async def _beyond(device: EvAccess) -> None:
    station = await looping(device, AC_BPT)
    most = total(members(station.sent(AC_CPD)[0].fields.get(BPT_AC)), "EVMaximumDischargePower")
    station.state.target_w = -60_000.0
    requests = await station.loops(16)
    power = total(members(requests[-1].fields.get(LOOP_AC)), "EVPresentActivePower")
    expect(power >= -most * 1.05, f"EVPresentActivePower is {power:g} W, EVMaximumDischargePower {most:g} W")
    await station.finish()


async def _idle(device: EvAccess) -> None:
    station = await looping(device, AC_BPT)
    station.state.target_w = 0.0
    requests = await station.loops(10)
    power = total(members(requests[-1].fields.get(LOOP_AC)), "EVPresentActivePower")
    expect(abs(power) <= 300, f"EVPresentActivePower is {power:g} W at a target of 0")
    await station.finish()


def _present(watts: float) -> Mutant:
    values = {f"{LOOP_AC}.EVPresentActivePower{phase}": rational(watts / 3) for phase in ("", "_L2", "_L3")}
    return alters("AC_ChargeLoopReq", values)


def _refuses(profile: Profile, changes: Changes) -> Procedure:
    """Expect the EV to leave the loop, regularly or at once."""

    async def procedure(device: EvAccess) -> None:
        station = await looping(device, profile)
        for _ in range(60):
            request = station.due or await station.receive(5.0)
            if request is None:
                expect(station.connection.closed, "the EV sends nothing and stays connected")
                return
            if station.step_of(request) in (STOP, "SessionStopReq"):
                return
            await station.answer(request, changes)
        expect(False, "the EV is still in the charge loop after 60 responses")

    return procedure


_IGNORES_CURRENT = Mutant(
    text="the reverse current is not regarded",
    received="DC_ChargeLoopRes",
    received_rewrite=lambda f: {**f, "EVSEPresentCurrent": rational(0)},
)
_IGNORES_VOLTAGE = Mutant(
    text="the voltage is not regarded",
    received="DC_ChargeLoopRes",
    received_rewrite=lambda f: {**f, "EVSEPresentVoltage": rational(363)},
)

CASES = (
    iso20_case(
        "LOOP-01",
        "[V2G20-1502]",
        "DC: the next request of the loop comes within 0.5 s, the sequence time-out of the SECC",
        LOOP,
        _paced,
        delays("DC_ChargeLoopReq", 0.6),
        stimulus="ten DC_ChargeLoopRes",
        expectation="each DC_ChargeLoopReq within 0.5 s",
        tags=("nominal", "timers"),
    ),
    iso20_case(
        "LOOP-02",
        "8.3.5.5.7.3",
        "DC_BPT, dynamic: the loop request states both directions",
        LOOP,
        _loop_form(DC_BPT, LOOP_DC),
        Mutant(
            text="the control mode without discharging",
            message="DC_ChargeLoopReq",
            rewrite=lambda f: {
                **{key: value for key, value in f.items() if key != LOOP_DC},
                "Dynamic_DC_CLReqControlMode": {
                    key: value
                    for key, value in members(f[LOOP_DC]).items()
                    if "Discharge" not in key and "V2X" not in key
                },
            },
        ),
        stimulus="PowerDeliveryRes",
        expectation=LOOP_DC,
        tags=("nominal", "energy-direction"),
    ),
    iso20_case(
        "LOOP-03",
        "8.3.5.4.7.3",
        "AC_BPT, dynamic: the loop request states both directions",
        LOOP,
        _loop_form(AC_BPT, LOOP_AC),
        Mutant(
            text="the control mode without discharging",
            message="AC_ChargeLoopReq",
            rewrite=lambda f: {
                **{key: value for key, value in f.items() if key != LOOP_AC},
                "Dynamic_AC_CLReqControlMode": {
                    key: value
                    for key, value in members(f[LOOP_AC]).items()
                    if "Discharge" not in key and "V2X" not in key
                },
            },
        ),
        profile=AC_BPT,
        stimulus="PowerDeliveryRes",
        expectation=LOOP_AC,
        tags=("nominal", "energy-direction"),
    ),
    iso20_case(
        "LOOP-04",
        "[V2G20-2655]",
        "limits of the loop are never above those of charge parameter discovery",
        LOOP,
        _tightens,
        alters("DC_ChargeLoopReq", {f"{LOOP_DC}.EVMaximumDischargePower": rational(300_000)}),
        stimulus="five DC_ChargeLoopRes",
        expectation="no EVMaximum… above that of DC_ChargeParameterDiscoveryReq",
        tags=("nominal", "limits", "energy-direction"),
    ),
    iso20_case(
        "LOOP-05",
        "8.3.5.5.4",
        "DC, scheduled: EVTargetCurrent is within the limits of the EVSE",
        LOOP,
        _within_station,
        alters("DC_ChargeLoopReq", {f"{SCHEDULED_DC}.EVTargetCurrent": rational(400)}),
        profile=DC_BPT_SCHEDULED,
        stimulus=f"limits of {MAX_A:g} A",
        expectation=f"EVTargetCurrent up to {MAX_A:g} A",
        tags=("nominal", "limits"),
    ),
    iso20_case(
        "LOOP-06",
        "8.3.5.4.5",
        "AC, dynamic: the EV follows a negative target power: it discharges",
        LOOP,
        _follows,
        _present(3_000),
        _present(0),
        profile=AC_BPT,
        stimulus="AC_ChargeLoopRes with EVSETargetActivePower −3,000 W",
        expectation="EVPresentActivePower −3,000 W (20 % tolerance) in the last of 16 requests",
        tags=("nominal", "energy-direction"),
    ),
    iso20_case(
        "LOOP-07",
        "8.3.5.4.7.3",
        "AC, dynamic: the EV never exceeds its own limits",
        LOOP,
        _beyond,
        _present(-60_000),
        profile=AC_BPT,
        stimulus="AC_ChargeLoopRes with EVSETargetActivePower −60,000 W",
        expectation="EVPresentActivePower within EVMaximumDischargePower",
        tags=("negative", "limits", "energy-direction"),
    ),
    iso20_case(
        "LOOP-08",
        "8.3.5.4.5",
        "AC, dynamic: at a target of 0 no power flows",
        LOOP,
        _idle,
        _present(3_000),
        profile=AC_BPT,
        stimulus="AC_ChargeLoopRes with EVSETargetActivePower 0",
        expectation="EVPresentActivePower 0 (300 W tolerance)",
        tags=("nominal", "energy-direction"),
    ),
    iso20_case(
        "LOOP-09",
        "8.3.5.5.5",
        "a current out of the EV ends a session whose service only charges",
        LOOP,
        _refuses(DC_20, {"EVSEPresentCurrent": rational(-30)}),
        _IGNORES_CURRENT,
        profile=DC_20,
        stimulus="DC_ChargeLoopRes with EVSEPresentCurrent −30 A on the service DC",
        expectation="PowerDelivery(Stop), SessionStopReq or the end of the connection within 60 responses",
        tags=("negative", "energy-direction", "errors"),
    ),
    iso20_case(
        "LOOP-10",
        "8.3.4.5.5.3",
        "a voltage above EVMaximumVoltage ends the session",
        LOOP,
        _refuses(DC_BPT, {"EVSEPresentVoltage": rational(700), "EVSEPresentCurrent": rational(5)}),
        _IGNORES_VOLTAGE,
        stimulus="DC_ChargeLoopRes with EVSEPresentVoltage 700 V and EVSEPresentCurrent 5 A",
        expectation="PowerDelivery(Stop), SessionStopReq or the end of the connection within 60 responses",
        tags=("negative", "limits", "errors"),
    ),
)
