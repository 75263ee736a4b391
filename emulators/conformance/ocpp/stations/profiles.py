"""Charging profiles of the cases: payloads, installation, reports and composite schedules."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count

from emulators.conformance.case import Failed, expect
from emulators.conformance.ocpp.mutants import Answers, Pretends
from emulators.conformance.ocpp.stations.procedures import ACCEPTED, Station
from protocols.ocpp.schema import Payload
from protocols.ocpp.times import stamp

PROFILE = 900_001  # ids of the cases: above MaxExternalConstraintsId of any station
OTHER = PROFILE + 1
SET = "SetChargingProfile"
IGNORES = Pretends(SET, ACCEPTED)
ACCEPTS = Answers(SET, ACCEPTED)
_REQUESTS = count(700)


def period(start: int = 0, **values: object) -> Payload:
    """Return a period of a schedule."""
    return {"startPeriod": start, **values}


def setpoint(watts: float, start: int = 0, mode: str = "CentralSetpoint", **values: object) -> Payload:
    """Return a period with a set-point (2.1)."""
    return period(start, operationMode=mode, setpoint=watts, **values)


def profile(
    *periods: Payload,
    purpose: str = "TxDefaultProfile",
    kind: str = "Relative",
    number: int = PROFILE,
    stack: int = 1,
    schedule: Mapping[str, object] | None = None,
    **more: object,
) -> Payload:
    """Return a charging profile of 2.x in W."""
    body: Payload = {"id": number, "chargingRateUnit": "W", "chargingSchedulePeriod": list(periods)}
    return {
        "id": number,
        "stackLevel": stack,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": kind,
        "chargingSchedule": [{**body, **(schedule or {})}],
        **more,
    }


def absolute(station: Station, *periods: Payload, begins: float = -2.0, **more: object) -> Payload:
    """Return a profile with a schedule that starts now, by any clock of the station, or `begins` s later."""
    schedule = {"startSchedule": stamp(station.clock.wall() + begins), **_mapping(more.pop("schedule", None))}
    return profile(*periods, kind="Absolute", schedule=schedule, **more)  # type: ignore[arg-type]


def dynamic(watts: float, duration: int | None = None, **more: object) -> Payload:
    """Return a Dynamic TxProfile with a set-point."""
    schedule = {} if duration is None else {"duration": duration}
    values = {"purpose": "TxProfile", "kind": "Dynamic", "stack": 5, **more}
    return profile(setpoint(watts), schedule=schedule, **values)  # type: ignore[arg-type]


def _mapping(value: object) -> dict[str, object]:
    return dict(value) if isinstance(value, Mapping) else {}


async def install(station: Station, charging: Payload, evse: int = 1, expected: object = ACCEPTED) -> None:
    """Install a profile and expect a response; a TxProfile is for the running transaction."""
    if charging["chargingProfilePurpose"] == "TxProfile" and "transactionId" not in charging:
        charging = {**charging, "transactionId": station.running(evse)}
    await station.request("SetChargingProfile", {"evseId": evse, "chargingProfile": charging}, expected)


async def clear(station: Station, *numbers: int) -> None:
    """Remove profiles of a case that survive it."""
    for number in numbers or (PROFILE,):
        await station.call("ClearChargingProfile", {"chargingProfileId": number})


async def reported(station: Station, criterion: Payload, evse: int | None = None) -> list[Payload]:
    """Return the ReportChargingProfiles messages of a request; none where the station has no such profile."""
    body: Payload = {"requestId": next(_REQUESTS), "chargingProfile": criterion}
    if evse is not None:
        body["evseId"] = evse
    answer = await station.request("GetChargingProfiles", body)
    if answer["status"] == "NoProfiles":
        return []

    def complete() -> bool:
        return any(not m.payload.get("tbc", False) for m in station.find("ReportChargingProfiles"))

    if not await station.recorded.wait_for(complete, 20):
        raise Failed("no complete ReportChargingProfiles within 20 s")
    return [m.payload for m in station.find("ReportChargingProfiles")]


async def ids(station: Station, criterion: Payload, evse: int | None = None) -> set[int]:
    """Return the ids of the reported profiles."""
    return {one["id"] for report in await reported(station, criterion, evse) for one in report["chargingProfile"]}


async def one(station: Station, number: int = PROFILE) -> Payload:
    """Return one reported profile. Raises Failed where it is not reported."""
    for report in await reported(station, {"chargingProfileId": [number]}):
        for found in report["chargingProfile"]:
            if found["id"] == number:
                profile: Payload = found
                return profile
    raise Failed(f"the profile {number} is not reported")


async def composite(station: Station, evse: int = 1, duration: int = 300) -> list[Payload]:
    """Return the periods of the composite schedule."""
    body = {"evseId": evse, "duration": duration, "chargingRateUnit": "W"}
    answer = await station.request("GetCompositeSchedule", body, ACCEPTED)
    periods: list[Payload] = answer["schedule"]["chargingSchedulePeriod"]
    return periods


async def composite_starts_with(station: Station, watts: float, evse: int = 1) -> None:
    """Expect a limit at the start of the composite schedule."""
    found = (await composite(station, evse))[0]
    expect(
        abs(found.get("limit", 0.0) - watts) < 60, f"composite limit {found.get('limit')} W instead of {watts:.0f} W"
    )
