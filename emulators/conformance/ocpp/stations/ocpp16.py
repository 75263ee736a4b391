"""Parts that cases of OCPP 1.6 share: names, a status, a reservation and a charging profile."""

from __future__ import annotations

from collections.abc import Callable

from emulators.conformance.ocpp.stations.procedures import ACCEPTED, Station, StationProcedure, in_future
from emulators.conformance.ocpp.tester_csms import TOKENS
from protocols.ocpp.schema import Payload

VEHICLE, READER = "lab.vehicle", "lab.reader"
STATUS, START, STOP = "StatusNotification", "StartTransaction", "StopTransaction"
TAG = TOKENS[0]
Declaring = Callable[[StationProcedure], StationProcedure]


def status_is(status: str, connector: int = 1) -> Payload:
    """Return a pattern of StatusNotification."""
    return {"connectorId": connector, "status": status}


async def reserve(station: Station, expected: object = ACCEPTED, number: int = 81, **more: object) -> None:
    """Reserve connector 1 for ten minutes and expect a response."""
    expiry = in_future(station, 600)
    body: Payload = {"connectorId": 1, "expiryDate": expiry, "idTag": TAG, "reservationId": number, **more}
    await station.request("ReserveNow", body, expected)


def profile_16(limit: float, purpose: str = "TxProfile", number: int = 900_001, **more: object) -> Payload:
    """Return a Relative charging profile of one period, in W."""
    schedule: Payload = {"chargingRateUnit": "W", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit}]}
    return {
        "chargingProfileId": number,
        "stackLevel": 1,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": "Relative",
        "chargingSchedule": schedule,
        **more,
    }
