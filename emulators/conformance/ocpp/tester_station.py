"""The tester as a charging station of a CSMS under test: its connection, boot, transactions and responses."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from emulators.conformance.case import Failed, Inconclusive
from emulators.conformance.ocpp import minimal, pattern
from emulators.conformance.ocpp.peer import ErrorAnswer, Kind, Message, NoAnswer, Peer
from emulators.conformance.ocpp.recorded import Recorded
from emulators.conformance.ocpp.tester_csms import Answer, Silence
from protocols.ocpp.events import Answered, Refused, Reply, TimedOut
from protocols.ocpp.schema import ErrorCode, Payload, Version
from protocols.ocpp.times import stamp
from protocols.ports import Clock, TextWire

BOOT_2: Payload = {"reason": "PowerUp", "chargingStation": {"model": "tester", "vendorName": "v2x-gateway"}}
BOOT_16: Payload = {"chargePointVendor": "v2x-gateway", "chargePointModel": "tester"}
TOKEN = "DEC0DE01"
Connect = Callable[[], Awaitable[TextWire]]


class TesterStation:
    """One station. `find` and `expect` are about requests of the CSMS."""

    __test__ = False  # no test, whatever its name begins with

    def __init__(self, clock: Clock, version: Version, name: str, connect: Connect) -> None:
        self.clock, self.version, self.name = clock, version, name
        self.recorded = Recorded(clock)
        self.expect, self.expect_none, self.find = self.recorded.expect, self.recorded.expect_none, self.recorded.find
        self.stimulus = self.recorded.stimulus
        self.answers: dict[str, Answer] = {}
        self.peer: Peer | None = None
        self._connect = connect
        self._connections = 0
        self._reading: asyncio.Task[None] | None = None
        self._transactions = 0

    @property
    def early(self) -> bool:
        """Return whether the version is OCPP 1.6."""
        return self.version is Version.V16

    # connection

    async def connect(self) -> None:
        """Connect as a new stimulus. Raises ConnectionError with the reason."""
        await self.close()
        self._connections += 1
        wire = await self._connect()
        self.peer = Peer(wire, self.version, self.clock, self.recorded.add, self._answer, f"s{self._connections}-")
        self.stimulus()
        self._reading = asyncio.get_running_loop().create_task(self.peer.run())

    async def ready(self) -> None:
        """Connect unless connected."""
        if self.peer is None or self.peer.closed.is_set():
            await self.connect()

    async def close(self) -> None:
        """Close the connection."""
        if self.peer is not None:
            await self.peer.close()
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        self.peer = self._reading = None

    def _answer(self, call: Message) -> Payload | ErrorAnswer:
        answer = self.answers.get(call.action)
        if callable(answer):
            answer = answer(call.payload)
        if isinstance(answer, Silence):
            raise NoAnswer
        if answer is not None:
            return answer
        try:
            return self._default(call)
        except KeyError:
            return ErrorAnswer(ErrorCode.NOT_IMPLEMENTED)

    def _default(self, call: Message) -> Payload:
        """Return the response of a station that accepts."""
        found = minimal.response(self.version, call.action)
        if call.action == "SetVariables":
            data = call.payload.get("setVariableData", [])
            found["setVariableResult"] = [_named(one, "Accepted") for one in data]
        elif call.action == "GetVariables":
            data = call.payload.get("getVariableData", [])
            found["getVariableResult"] = [_named(one, "UnknownVariable") for one in data]
        elif call.action in ("GetBaseReport", "GetReport", "GetMonitoringReport"):
            found["status"] = "NotSupported"
        elif call.action == "GetDERControl":
            found["status"] = "NotFound"  # Accepted would be followed by ReportDERControl
        return found

    # messages

    async def call(self, action: str, payload: object, within: float = 30.0) -> Reply:
        """Send a request as a new stimulus, valid or not."""
        if self.peer is None or self.peer.closed.is_set():
            raise Inconclusive(f"no connection for {action}")
        self.stimulus()
        return await self.peer.call(action, payload, within)

    async def request(self, action: str, payload: Payload, expected: object = pattern.ANY) -> Payload:
        """Send a request and return its response. Raises Failed for an error, a broken schema or another content."""
        reply = await self.call(action, payload)
        if not isinstance(reply, Answered):
            raise Failed(f"{action}: {text(reply)} instead of a response")
        if reply.violation is not None:
            raise Failed(f"{action}: the response breaks its schema: {reply.violation.text}")
        if not pattern.matches(reply.payload, expected):
            raise Failed(f"{action}: expected {pattern.text(expected)}, received {str(reply.payload)[:300]}")
        return reply.payload

    async def refused(self, action: str, payload: object, *codes: str) -> None:
        """Send a request that has to be answered by a CALLERROR with one of these codes."""
        check_refused(action, await self.call(action, payload), *codes)

    async def boot(self) -> Payload:
        """Send BootNotification and return its response."""
        return await self.request("BootNotification", BOOT_16 if self.early else BOOT_2)

    async def booted(self) -> None:
        """Boot and send the status of the connector. Raises Inconclusive unless the station is accepted."""
        await self.ready()
        try:
            found = await self.boot()
        except Failed as error:
            raise Inconclusive(f"preparation: {error}") from None
        if found["status"] != "Accepted":
            raise Inconclusive(f"the CSMS answers BootNotification with {found['status']}")
        await self.status("Available")

    async def status(self, status: str, number: int = 1) -> Payload:
        """Send the status of a connector."""
        if self.early:
            body: Payload = {"connectorId": number, "errorCode": "NoError", "status": status}
        else:
            body = {"timestamp": self.time(), "connectorStatus": status, "evseId": number, "connectorId": 1}
        return await self.request("StatusNotification", body)

    def time(self, offset: float = 0.0) -> str:
        """Return the present time as an OCPP dateTime, with an offset in s."""
        return stamp(self.clock.wall() + offset)

    async def event(self, kind: str, seq: int, transaction: str, token: str | None = None, **more: object) -> Payload:
        """Send a TransactionEvent of 2.x and return its response."""
        triggers = {"Started": "Authorized", "Updated": "MeterValuePeriodic", "Ended": "StopAuthorized"}
        body: Payload = {
            "eventType": kind,
            "timestamp": self.time(),
            "triggerReason": triggers[kind],
            "seqNo": seq,
            "transactionInfo": {"transactionId": transaction},
            "evse": {"id": 1, "connectorId": 1},
            **more,
        }
        if token is not None:
            body["idToken"] = {"idToken": token, "type": "ISO14443"}
        return await self.request("TransactionEvent", body)

    async def finish(self) -> None:
        """End the transactions that the CSMS may still have as running."""
        running = self._running_16() if self.early else self._running_2()
        for number, seq in running.items():
            if self.early:
                body: Payload = {"transactionId": int(number), "meterStop": 10, "timestamp": self.time()}
                await self.request("StopTransaction", body)
            else:
                await self.event("Ended", seq + 1, number)

    def _running_2(self) -> dict[str, int]:
        """Return the last sequence number of each transaction that has no end, by id."""
        found: dict[str, int] = {}
        for message in self.recorded.messages:
            if message.from_device or message.action != "TransactionEvent" or message.kind is not Kind.CALL:
                continue
            number = message.payload["transactionInfo"]["transactionId"]
            found[number] = message.payload["seqNo"]
            if message.payload["eventType"] == "Ended":
                del found[number]
        return found

    def _running_16(self) -> dict[str, int]:
        """Return the transactions that have no end, by id."""
        found: dict[str, int] = {}
        for message in self.recorded.messages:
            if message.action == "StartTransaction" and message.kind is Kind.RESULT:
                found[str(message.payload.get("transactionId"))] = 0
            elif message.action == "StopTransaction" and message.kind is Kind.CALL:
                found.pop(str(message.payload.get("transactionId")), None)
        return found

    def new_transaction(self) -> str:
        """Return a new transaction id of the tester."""
        self._transactions += 1
        return f"{self.name}-{int(self.clock.wall())}-{self._transactions}"[:36]


def check_refused(what: str, reply: Reply, *codes: str) -> None:
    """Raise Failed unless a reply is a CALLERROR with one of these codes."""
    if not isinstance(reply, Refused) or reply.code not in codes:
        raise Failed(f"{what}: expected CALLERROR {' or '.join(codes)}, received {text(reply)}")


def text(reply: Reply) -> str:
    """Return a reply as people read it."""
    if isinstance(reply, Refused):
        return f"CALLERROR {reply.code} ({reply.description})"
    return "no response" if isinstance(reply, TimedOut) else str(reply)


def _named(data: Payload, status: str) -> Payload:
    return {"attributeStatus": status, "component": data["component"], "variable": data["variable"]}
