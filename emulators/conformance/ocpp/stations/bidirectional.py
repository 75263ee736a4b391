"""Parts that cases of bidirectional charging and Dynamic profiles share: names, mutants, a rejected profile."""

from __future__ import annotations

from collections.abc import Callable

from emulators.conformance.case import expect
from emulators.conformance.ocpp.declarations import V21, Declared
from emulators.conformance.ocpp.mutants import Sends
from emulators.conformance.ocpp.stations.procedures import REJECTED, Station, charging_transaction
from emulators.conformance.ocpp.stations.profiles import ACCEPTS, PROFILE, clear, install, one
from protocols.ocpp.schema import Payload
from protocols.ocpp.times import parse

UPDATE, EVENT = "UpdateDynamicSchedule", "TransactionEvent"
V2X, VEHICLE, POWER, EXTERNAL, GRID = "station.v2x", "lab.vehicle", "station.power", "lab.external", "lab.grid"
DYNAMIC = "station.dynamic"
EMS = {"chargingLimitSource": ["EMS"]}
BPT, MODES = "station.bpt-vehicle", "SupportedOperationModes"


def with_schedules(**change: object) -> Callable[[Payload], Payload]:
    """Return a change of every schedule of a profile; None removes a member."""

    def apply(request: Payload) -> Payload:
        for schedule in request["chargingProfile"]["chargingSchedule"]:
            for name, value in change.items():
                if value is None:
                    schedule.pop(name, None)
                else:
                    schedule[name] = value
        return request

    return apply


def with_periods(**change: object) -> Callable[[Payload], Payload]:
    """Return a change of every period of a profile; None removes a member."""

    def apply(request: Payload) -> Payload:
        for schedule in request["chargingProfile"]["chargingSchedule"]:
            for entry in schedule["chargingSchedulePeriod"]:
                for name, value in change.items():
                    if value is None:
                        entry.pop(name, None)
                    else:
                        entry[name] = value
        return request

    return apply


def declare_rejected(
    declared: Declared[Station], reference: str, stimulus: str, make: Callable[[Station], Payload], *needs: str
) -> None:
    """Declare a case: a profile that is rejected."""

    async def procedure(station: Station) -> None:
        await charging_transaction(station)
        try:
            await install(station, make(station), expected=REJECTED)
        finally:
            await clear(station)

    declared.add(V21, reference, stimulus, "Rejected", ACCEPTS, procedure, VEHICLE, *needs)


async def update_time(station: Station, number: int = PROFILE) -> float:
    """Return dynUpdateTime of a reported profile, in s of wall time."""
    at = parse((await one(station, number)).get("dynUpdateTime", ""))
    expect(at is not None, "the reported profile has no dynUpdateTime")
    assert at is not None
    return at


def reports_update_time(value: str | None) -> Sends:
    """Return a mutant that reports another dynUpdateTime, or none."""
    return Sends(
        "ReportChargingProfiles",
        lambda p: {
            **p,
            "chargingProfile": [
                {k: v for k, v in {**one_profile, "dynUpdateTime": value}.items() if v is not None}
                for one_profile in p["chargingProfile"]
            ],
        },
    )
