"""Cases for a SECC, ISO 15118-20: cable check, pre-charge, power delivery."""

from __future__ import annotations

from emulators.conformance.case import expect
from emulators.conformance.iso15118.connection import Received
from emulators.conformance.iso15118.mutation import accepts, alters, refuses
from emulators.conformance.iso15118.plain import ABSENT, Plain, number
from emulators.conformance.iso15118.profiles import DC_BPT, DC_BPT_SCHEDULED
from emulators.conformance.iso15118.requests import rational
from emulators.conformance.iso15118.secc_access import SeccAccess
from emulators.conformance.iso15118.secc_iso20_case import START, iso20_case
from emulators.conformance.iso15118.secc_procedures import SEQUENCE_ERROR, Procedure, refused
from emulators.conformance.iso15118.vehicle import Vehicle

MATCHED_V, PRE_CHARGE_WITHIN_S, CABLE_CHECK_WITHIN_S, ONGOING_WITHIN_S = 20.0, 10.0, 38.0, 55.0


def _timely(step: str, within_s: float) -> Procedure:
    async def procedure(device: SeccAccess) -> None:
        vehicle = await device.reach(DC_BPT, step)
        began = vehicle.connection.now
        response = await vehicle.perform(step)
        took = vehicle.connection.now - began
        expect(response.code.startswith("OK"), f"{response.name} has the code {response.code}")
        expect(took <= within_s, f"{step} is finished after {took:.1f} s")

    return procedure


async def _no_overshoot(device: SeccAccess) -> None:
    vehicle = await device.reach(DC_BPT, "DC_PreChargeReq")
    reached: list[float] = []
    for _ in range(30):
        response = await vehicle.request("DC_PreChargeReq", {"EVProcessing": "Ongoing"})
        reached.append(number(response.fields.get("EVSEPresentVoltage")))
        await vehicle.wait(0.1)
    target = vehicle.state.voltage_v
    expect(max(reached) <= target + MATCHED_V, f"{max(reached):g} V at a target of {target:g} V")


def _start_with(changes: Plain, code: str) -> Procedure:
    return refused(DC_BPT_SCHEDULED, "PowerDeliveryReq", "PowerDeliveryReq", code, changes)


async def _after_standby(device: SeccAccess) -> None:
    vehicle = await device.reach(DC_BPT, "DC_ChargeLoopReq")
    await vehicle.loop()
    response = await _standby(vehicle)
    expect(response.code in ("OK", "WARNING_StandbyNotAllowed"), f"Standby has the code {response.code}")
    response = await vehicle.request("PowerDeliveryReq")
    expect(response.code.startswith("OK"), f"Start after Standby has the code {response.code}")
    response = await vehicle.loop()
    expect(response.code.startswith("OK"), f"DC_ChargeLoopRes has the code {response.code}")


async def _without_standby(device: SeccAccess) -> None:
    vehicle = await device.reach(DC_BPT, "DC_ChargeLoopReq")
    await vehicle.loop()
    response = await _standby(vehicle)
    expect(response.code == "WARNING_StandbyNotAllowed", f"Standby has the code {response.code}")
    response = await vehicle.loop()
    expect(response.code.startswith("OK"), f"DC_ChargeLoopRes has the code {response.code}")


async def _standby(vehicle: Vehicle) -> Received:
    absent = {"EVPowerProfile": ABSENT, "BPT_ChannelSelection": ABSENT}
    return await vehicle.request("PowerDeliveryReq", {"ChargeProgress": "Standby", **absent})


_PROFILE = "EVPowerProfile.EVPowerProfileEntries.EVPowerProfileEntry.0.Power"

CASES = (
    iso20_case(
        "CC-01",
        "Table 215, cable check",
        "the cable check is finished within 38 s",
        START,
        _timely("DC_CableCheckReq", CABLE_CHECK_WITHIN_S),
        alters("DC_CableCheckRes", EVSEProcessing="Ongoing"),
        before="DC_CableCheckReq",
        stimulus="DC_CableCheckReq until EVSEProcessing is Finished",
        expectation="Finished within 38 s",
        tags=("nominal", "timers"),
    ),
    iso20_case(
        "PC-01",
        "8.3.4.5.4.3",
        "pre-charge brings the output within 20 V of the target in 10 s",
        START,
        _timely("DC_PreChargeReq", PRE_CHARGE_WITHIN_S),
        alters("DC_PreChargeRes", EVSEPresentVoltage=rational(340)),
        before="DC_PreChargeReq",
        stimulus="DC_PreChargeReq until EVSEPresentVoltage is within 20 V of EVTargetVoltage",
        expectation="within 10 s",
        tags=("nominal", "timers", "limits"),
    ),
    iso20_case(
        "PC-02",
        "8.3.4.5.4.1",
        "pre-charge does not exceed the target voltage",
        START,
        _no_overshoot,
        alters("DC_PreChargeRes", EVSEPresentVoltage=rational(435)),
        before="DC_PreChargeReq",
        stimulus="DC_PreChargeReq with EVProcessing Ongoing for 3 s",
        expectation="EVSEPresentVoltage never more than 20 V above EVTargetVoltage",
        tags=("nominal", "limits"),
    ),
    iso20_case(
        "PD-01",
        "8.3.4.3.8.3",
        "a schedule that was not offered is FAILED_ScheduleSelectionInvalid",
        START,
        _start_with(
            {"EVPowerProfile.Scheduled_EVPPTControlMode.SelectedScheduleTupleID": 4_000},
            "FAILED_ScheduleSelectionInvalid",
        ),
        accepts("PowerDeliveryRes"),
        alters("PowerDeliveryRes", ResponseCode="FAILED"),
        profile=DC_BPT_SCHEDULED,
        before="PowerDeliveryReq",
        stimulus="PowerDeliveryReq (Start) with the schedule tuple 4000",
        expectation="FAILED_ScheduleSelectionInvalid",
        tags=("negative", "schedules"),
    ),
    iso20_case(
        "PD-02",
        "8.3.4.3.8.3",
        "a power profile above the schedule is FAILED_EVPowerProfileInvalid",
        START,
        _start_with({_PROFILE: rational(900_000)}, "FAILED_EVPowerProfileInvalid"),
        accepts("PowerDeliveryRes"),
        profile=DC_BPT_SCHEDULED,
        before="PowerDeliveryReq",
        stimulus="PowerDeliveryReq (Start) with a profile of 900 kW",
        expectation="FAILED_EVPowerProfileInvalid",
        tags=("negative", "schedules", "limits"),
    ),
    iso20_case(
        "PD-03",
        "8.3.4.3.8.2",
        "renegotiation before the charge loop is a sequence error",
        START,
        refused(
            DC_BPT,
            "PowerDeliveryReq",
            "PowerDeliveryReq",
            (SEQUENCE_ERROR, "FAILED"),
            {"ChargeProgress": "ScheduleRenegotiation"},
        ),
        accepts("PowerDeliveryRes"),
        before="PowerDeliveryReq",
        stimulus="PowerDeliveryReq with ScheduleRenegotiation",
        expectation=SEQUENCE_ERROR,
        tags=("negative", "renegotiation"),
    ),
    iso20_case(
        "PD-04",
        "8.3.4.3.8.3",
        "Standby is accepted or refused with WARNING_StandbyNotAllowed; the loop can be started again",
        START,
        _after_standby,
        refuses("PowerDeliveryRes", "FAILED", first=2),
        refuses("PowerDeliveryRes", SEQUENCE_ERROR, first=3),
        before="DC_ChargeLoopReq",
        stimulus="PowerDeliveryReq with Standby in the loop, then with Start, then DC_ChargeLoopReq",
        expectation="no FAILED code",
        tags=("nominal", "pause"),
        requires=("iso20.standby",),
    ),
    iso20_case(
        "PD-05",
        "8.3.4.3.8.2",
        "scheduled control: PowerDelivery(Start) without a power profile is refused",
        START,
        _start_with({"EVPowerProfile": ABSENT}, "FAILED_EVPowerProfileInvalid"),
        accepts("PowerDeliveryRes"),
        profile=DC_BPT_SCHEDULED,
        before="PowerDeliveryReq",
        stimulus="PowerDeliveryReq (Start) without EVPowerProfile",
        expectation="FAILED_EVPowerProfileInvalid",
        tags=("negative", "schedules"),
    ),
    iso20_case(
        "PD-06",
        "8.3.4.3.8.3",
        "a SECC without standby answers WARNING_StandbyNotAllowed, and the loop goes on",
        START,
        _without_standby,
        accepts("PowerDeliveryRes"),
        refuses("DC_ChargeLoopRes", SEQUENCE_ERROR, first=2),
        before="DC_ChargeLoopReq",
        stimulus="PowerDeliveryReq with Standby in the loop, then DC_ChargeLoopReq",
        expectation="WARNING_StandbyNotAllowed, then OK",
        tags=("negative", "pause"),
        lacks=("iso20.standby",),
    ),
    iso20_case(
        "ONG-01",
        "Table 216, ongoing",
        "authorization is finished within 55 s",
        START,
        _timely("AuthorizationReq", ONGOING_WITHIN_S),
        alters("AuthorizationRes", EVSEProcessing="Ongoing"),
        before="AuthorizationReq",
        stimulus="AuthorizationReq until EVSEProcessing is Finished",
        expectation="Finished within 55 s",
        tags=("nominal", "timers"),
    ),
    iso20_case(
        "ONG-02",
        "Table 216, ongoing",
        "the schedule exchange is finished within 55 s",
        START,
        _timely("ScheduleExchangeReq", ONGOING_WITHIN_S),
        alters("ScheduleExchangeRes", EVSEProcessing="Ongoing"),
        before="ScheduleExchangeReq",
        stimulus="ScheduleExchangeReq until EVSEProcessing is Finished",
        expectation="Finished within 55 s",
        tags=("nominal", "timers"),
    ),
)
