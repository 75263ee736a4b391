"""Procedures and payloads that cases for stations share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from emulators.conformance.case import CaseEnd, Inconclusive, NotApplicable, expect
from emulators.conformance.ocpp.declarations import Procedure
from emulators.conformance.ocpp.station_under_test import StationUnderTest
from emulators.conformance.ocpp.tester_csms import TOKENS
from protocols.ocpp.schema import Payload
from protocols.ocpp.times import stamp

Station = StationUnderTest
StationProcedure = Procedure[StationUnderTest]
TOKEN: Payload = {"idToken": TOKENS[0], "type": "ISO14443"}
ACCEPTED: Payload = {"status": "Accepted"}
REJECTED: Payload = {"status": "Rejected"}
OTHER_PASSWORD = "V2x-Another-0123456"


def exchange(action: str, payload: Payload | None, expected: object) -> StationProcedure:
    """Return a procedure that sends one request and expects a response."""

    async def procedure(station: Station) -> None:
        await station.request(action, payload, expected)

    return procedure


async def charging_transaction(station: Station) -> str:
    """Return the id of a running transaction with frequent meter values."""
    return await station.transaction(sampled=True)


async def authenticated(station: Station, *, as_itself: bool) -> None:
    """Interrupt the connection; the next handshake has credentials, or those of the id in its path."""
    station.csms.recorded.stimulus()
    before = len(station.csms.handshakes)
    await station.csms.disconnect()
    await station.recorded.wait_for(lambda: len(station.csms.handshakes) > before, 120)
    if len(station.csms.handshakes) == before:
        raise Inconclusive("the station did not connect again within 120 s")
    handshake = station.csms.handshakes[-1][1]
    found = handshake.credentials
    expect(found is not None and bool(found[1]), "the handshake has no user and password")
    if as_itself and found is not None:
        expect(found[0] == handshake.station, f"user {found[0]!r} instead of {handshake.station!r}")


async def another_password(station: Station, send: Callable[[str], Awaitable[object]]) -> None:
    """Set another password; the station connects with it. Then the former one is set again."""
    former = next(iter(station.csms.passwords), None)
    if former is None:
        raise Inconclusive("the password of the station is not known")
    await _set_password(station, send, OTHER_PASSWORD)
    await _set_password(station, send, former)


async def _set_password(station: Station, send: Callable[[str], Awaitable[object]], password: str) -> None:
    """Set a password and wait for the connection with it. Raises Failed without one."""
    csms, before = station.csms, set(station.csms.passwords)
    csms.passwords.add(password)
    connections = len(csms.handshakes)

    def connected() -> bool:
        return any((one.credentials or ("", ""))[1] == password for _, one in csms.handshakes[connections:])

    try:
        await send(password)
        expect(
            await station.recorded.wait_for(connected, 60.0), "the station did not connect again with the new password"
        )
        csms.passwords -= before - {password}
    except CaseEnd:
        csms.passwords |= before
        raise
    await csms.connected()


async def trigger(station: Station, requested: str, status: str, **more: object) -> None:
    """Request a message. A station need not implement each of them."""
    answer = await station.request("TriggerMessage", {"requestedMessage": requested, **more})
    if answer["status"] == "NotImplemented":
        raise NotApplicable(f"TriggerMessage of {requested} is NotImplemented, which F06.FR.08 and 1.6 5.17 permit")
    expect(answer["status"] == status, f"TriggerMessage of {requested}: {answer['status']} instead of {status}")


def triggered(requested: str, sent: str, expected: object, **more: object) -> StationProcedure:
    """Return a procedure that triggers a message."""

    async def procedure(station: Station) -> None:
        await trigger(station, requested, "Accepted", **more)
        await station.expect(sent, expected, within=20)

    return procedure


def variable(component: str, name: str, instance: str = "", evse: int = 0, **more: object) -> Payload:
    """Return a component and a variable of 2.x."""
    where: Payload = {"name": component} | ({"evse": {"id": evse}} if evse else {})
    return {"component": where, "variable": {"name": name} | ({"instance": instance} if instance else {}), **more}


def in_future(station: Station, seconds: float) -> str:
    """Return a time from now."""
    return stamp(station.clock.wall() + seconds)
