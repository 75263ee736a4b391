"""Parts that cases of authorization, transactions and remote control in 2.x share: names, starts and the local list."""

from __future__ import annotations

from emulators.conformance.ocpp.stations.procedures import Station
from protocols.ocpp.schema import Payload

EVENT = "TransactionEvent"
STARTED: Payload = {"eventType": "Started"}
UPDATED: Payload = {"eventType": "Updated"}
ENDED: Payload = {"eventType": "Ended"}
VEHICLE, READER = "lab.vehicle", "lab.reader"
UNKNOWN = "V2XUNKNOWN"
NO_LIST = ("AuthCtrlr", "LocalPreAuthorize")


def transaction_info(**members: object) -> Payload:
    """Return a pattern of TransactionEvent."""
    return {"transactionInfo": members}


async def start_transaction(station: Station, within: float = 60.0) -> Payload:
    """Start a transaction remotely with a vehicle connected, and return its Started event."""
    await station.plug()
    await station.sleep(1)
    if station.running() is not None:
        await station.stop()
    await station.start()
    return await station.expect(EVENT, STARTED, within=within)


def list_entry(token: str, status: str = "Accepted") -> Payload:
    """Return an entry of the local list."""
    return {"idToken": {"idToken": token, "type": "ISO14443"}, "idTokenInfo": {"status": status}}


async def send_list(station: Station, version: int, kind: str, entries: list[Payload] | None, expected: object) -> None:
    """Send a local list and expect a response."""
    body: Payload = {"versionNumber": version, "updateType": kind}
    if entries is not None:
        body["localAuthorizationList"] = entries
    await station.request("SendLocalList", body, expected)
