"""Procedures and payloads that cases for stations share."""

from __future__ import annotations

from emulators.conformance.ocpp.declarations import Procedure
from emulators.conformance.ocpp.station_under_test import StationUnderTest
from emulators.conformance.ocpp.tester_csms import TOKENS
from protocols.ocpp.schema import ErrorCode, Payload
from protocols.ocpp.times import stamp

Station = StationUnderTest
StationProcedure = Procedure[StationUnderTest]
TOKEN: Payload = {"idToken": TOKENS[0], "type": "ISO14443"}
ACCEPTED: Payload = {"status": "Accepted"}
REJECTED: Payload = {"status": "Rejected"}


def exchange(action: str, payload: Payload | None, expected: object) -> StationProcedure:
    """Return a procedure that sends one request and expects a response."""

    async def procedure(station: Station) -> None:
        await station.request(action, payload, expected)

    return procedure


def refusal(action: str, payload: Payload, *codes: ErrorCode) -> StationProcedure:
    """Return a procedure that sends one request and expects a CALLERROR."""

    async def procedure(station: Station) -> None:
        await station.refused(action, payload, *codes)

    return procedure


def triggered(requested: str, sent: str, expected: object, **more: object) -> StationProcedure:
    """Return a procedure that triggers a message."""

    async def procedure(station: Station) -> None:
        await station.request("TriggerMessage", {"requestedMessage": requested, **more}, ACCEPTED)
        await station.expect(sent, expected, within=20)

    return procedure


def variable(component: str, name: str, instance: str = "", evse: int = 0, **more: object) -> Payload:
    """Return a component and a variable of 2.x."""
    where: Payload = {"name": component} | ({"evse": {"id": evse}} if evse else {})
    return {"component": where, "variable": {"name": name} | ({"instance": instance} if instance else {}), **more}


def in_future(station: Station, seconds: float) -> str:
    """Return a time from now."""
    return stamp(station.clock.wall() + seconds)
