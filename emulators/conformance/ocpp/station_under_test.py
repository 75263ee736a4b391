"""A station under test as cases see it: requests with valid responses, variables, boots, transactions and power."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from emulators.conformance.case import CaseEnd, Failed, Inconclusive
from emulators.conformance.ocpp import meter, pattern
from emulators.conformance.ocpp.environment import Environment
from emulators.conformance.ocpp.peer import Peer
from emulators.conformance.ocpp.tester_csms import TOKENS, Answer, TesterCsms
from emulators.conformance.ocpp.tester_station import check_refused, text
from protocols.ocpp.events import Answered, Reply
from protocols.ocpp.schema import ErrorCode, Payload, Version

BOOT_WITHIN = 180.0  # s from a reset to BootNotification
START_WITHIN = 60.0
SAMPLE_S = 2  # interval of meter values in cases that measure power
POWER_TOLERANCE = 0.03  # of the expected power
POWER_FLOOR_W = 60.0
QUIET_S = 0.5
_MISSING = object()


class StationUnderTest:
    """One station, connected to the tester's CSMS."""

    def __init__(self, csms: TesterCsms, environment: Environment) -> None:
        self.csms, self.environment = csms, environment
        self.clock, self.recorded = csms.clock, csms.recorded
        self.expect, self.expect_none, self.find = self.recorded.expect, self.recorded.expect_none, self.recorded.find
        self.stimulus = self.recorded.stimulus
        self._variables: dict[tuple[str, str, str, int], str] = {}  # values before the case, by name
        self._keys: dict[str, str] = {}
        self._inoperative = False
        self._remote_starts = 0
        self._plugged: set[int] = set()

    @property
    def version(self) -> Version:
        """OCPP version of the connection."""
        return self.csms.version

    @property
    def early(self) -> bool:
        """Return whether the station uses OCPP 1.6."""
        return self.version is Version.V16

    def answer(self, action: str, answer: Answer) -> None:
        """Set the response to an action of the station; None is the default."""
        self.csms.answers[action] = answer

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await self.clock.sleep(seconds)

    # requests

    async def call(self, action: str, payload: Payload | None = None, within: float = 30.0) -> Reply:
        """Send a request and return its reply."""
        return await self.csms.call(action, payload or {}, within)

    async def request(
        self, action: str, payload: Payload | None = None, expected: object = pattern.ANY, within: float = 30.0
    ) -> Payload:
        """Send a request and return its response. Raises Failed for an error, a broken schema or another content."""
        reply = await self.call(action, payload, within)
        if not isinstance(reply, Answered):
            raise Failed(f"{action}: {text(reply)} instead of a response")
        if reply.violation is not None:
            raise Failed(f"{action}: the response breaks its schema: {reply.violation.text}")
        if not pattern.matches(reply.payload, expected):
            raise Failed(f"{action}: expected {pattern.text(expected)}, received {str(reply.payload)[:300]}")
        return reply.payload

    async def prepare(self, action: str, payload: Payload | None = None, expected: object = pattern.ANY) -> Payload:
        """Send a request that brings the station to the start of the case; Inconclusive instead of Failed."""
        try:
            return await self.request(action, payload, expected)
        except Failed as error:
            raise Inconclusive(f"preparation: {error}") from None

    async def refused(self, action: str, payload: Payload, *codes: ErrorCode, within: float = 30.0) -> None:
        """Send a request that has to be answered by a CALLERROR with one of these codes."""
        check_refused(action, await self.call(action, payload, within), *codes)

    async def peer(self) -> Peer:
        """Return the present connection."""
        return await self.csms.connected()

    # variables and configuration keys

    async def variable(self, component: str, variable: str, instance: str = "", evse: int = 0) -> str | None:
        """Return the value of a variable; None where the station has none."""
        data = _name(component, variable, instance, evse)
        found = (await self.request("GetVariables", {"getVariableData": [data]}))["getVariableResult"][0]
        return str(found.get("attributeValue", "")) if found["attributeStatus"] == "Accepted" else None

    async def write(self, component: str, variable: str, value: object, instance: str = "", evse: int = 0) -> str:
        """Set a variable and return the status; `restore` sets its former value again."""
        name = (component, variable, instance, evse)
        if name not in self._variables:
            before = await self.variable(*name)
            if before is not None:
                self._variables[name] = before
        return await self._write(name, str(value))

    async def _write(self, name: tuple[str, str, str, int], value: str) -> str:
        data = _name(*name) | {"attributeValue": value}
        answer = await self.request("SetVariables", {"setVariableData": [data]})
        return str(answer["setVariableResult"][0]["attributeStatus"])

    async def set(self, component: str, variable: str, value: object, instance: str = "", evse: int = 0) -> None:
        """Set a variable that the case needs. Raises Inconclusive where the station does not accept it."""
        status = await self.write(component, variable, value, instance, evse)
        if status != "Accepted":
            raise Inconclusive(f"{component}.{variable} = {value}: {status}")

    async def key(self, key: str) -> str | None:
        """Return the value of a configuration key of 1.6; None where the station has none."""
        found = (await self.request("GetConfiguration", {"key": [key]})).get("configurationKey", [])
        return str(found[0].get("value", "")) if found else None

    async def configure(self, key: str, value: object) -> str:
        """Set a configuration key of 1.6 and return the status; `restore` sets its former value again."""
        if key not in self._keys and (before := await self.key(key)) is not None:
            self._keys[key] = before
        return str((await self.request("ChangeConfiguration", {"key": key, "value": str(value)}))["status"])

    async def set_key(self, key: str, value: object) -> None:
        """Set a configuration key that the case needs. Raises Inconclusive."""
        status = await self.configure(key, value)
        if status != "Accepted":
            raise Inconclusive(f"{key} = {value}: {status}")

    # boots and connections

    async def boot(self, *responses: Payload, within: float = BOOT_WITHIN) -> Payload:
        """Reset the station and return its BootNotification, after which `expect` begins.

        `responses` answer the first ones.
        """
        remaining = list(responses)
        if responses:
            self.answer("BootNotification", lambda _: self._boot_answer(remaining))
        body = {"type": "Hard" if self.early else "Immediate"}
        await self.prepare("Reset", body, {"status": "Accepted"})
        since = self.recorded.mark
        payload = await self.expect("BootNotification", within=within)
        boot = self.find("BootNotification", since=since)[0]
        self.recorded.mark = self.recorded.messages.index(boot) + 1  # what follows is after the boot
        return payload

    def _boot_answer(self, remaining: list[Payload]) -> Payload | None:
        default = self.csms.default("BootNotification", {})
        return default | remaining.pop(0) if remaining else default

    async def booted(self, within: float = BOOT_WITHIN) -> None:
        """Wait for the statuses that follow an accepted boot."""
        await self.expect("StatusNotification", within=within)
        await self.sleep(1.0)

    async def offline(self, seconds: float, meanwhile: Callable[[], object] | None = None) -> None:
        """Interrupt the connection for some seconds, as a new stimulus."""
        self.csms.refuses = True
        self.stimulus()
        await self.csms.disconnect()
        if meanwhile is not None:
            result = meanwhile()
            if asyncio.iscoroutine(result):
                await result
        await self.sleep(seconds)
        self.csms.refuses = False
        await self.csms.connected(within=BOOT_WITHIN)

    # transactions

    async def plug(self, evse: int = 1) -> None:
        """Connect a vehicle, as a new stimulus."""
        self.stimulus()
        await self.environment.plug(evse)
        self._plugged.add(evse)

    async def unplug(self, evse: int = 1) -> None:
        """Disconnect the vehicle, as a new stimulus."""
        self.stimulus()
        await self.environment.unplug(evse)
        self._plugged.discard(evse)

    async def present(self, token: str = TOKENS[0], evse: int = 1) -> None:
        """Present a token, as a new stimulus."""
        self.stimulus()
        await self.environment.present(evse, token)

    def running(self, evse: int = 1) -> str | None:
        """Return the id of the running transaction of an EVSE, as its messages state it."""
        places = self.transactions()
        return next((number for number in reversed(places) if places[number] in (evse, None)), None)

    def transactions(self) -> dict[str, int | None]:
        """Return the EVSE of each running transaction, None where no message has stated it."""
        return self._transactions_16() if self.early else self._transactions_2()

    def _transactions_2(self) -> dict[str, int | None]:
        found: dict[str, int | None] = {}
        for message in self.find("TransactionEvent", since=0):
            number = message.payload.get("transactionInfo", {}).get("transactionId")
            if message.payload.get("eventType") == "Ended":
                found.pop(number, None)
            else:
                found[number] = message.payload.get("evse", {}).get("id", found.get(number))
        return found

    def _transactions_16(self) -> dict[str, int | None]:
        started: dict[str, int | None] = {}
        answers = {
            m.id: str(m.payload["transactionId"])
            for m in self.recorded.messages
            if not m.from_device and m.action == "StartTransaction" and "transactionId" in m.payload
        }
        for message in self.recorded.messages:
            if not message.from_device:
                continue
            if message.action == "StartTransaction" and message.id in answers:
                started[answers[message.id]] = message.payload.get("connectorId", 0)
            elif message.action == "StopTransaction":
                started.pop(str(message.payload.get("transactionId")), None)
        return started

    async def transaction(self, evse: int = 1, *, token: str = TOKENS[0], sampled: bool = False) -> str:
        """Return the id of a running transaction with a vehicle; start one remotely where none runs."""
        if sampled:
            await self.sample()
        if evse not in self._plugged:
            await self.plug(evse)
            await self.sleep(1.0)
        if (running := self.running(evse)) is not None:
            return running
        await self.start(evse, token)
        return await self.until_running(evse)

    async def start(self, evse: int = 1, token: str = TOKENS[0], **more: object) -> Payload:
        """Start a transaction remotely."""
        self._remote_starts += 1
        if self.early:
            body: Payload = {"idTag": token, "connectorId": evse, **more}
            return await self.prepare("RemoteStartTransaction", body, {"status": "Accepted"})
        body = {
            "idToken": {"idToken": token, "type": "ISO14443"},
            "remoteStartId": self._remote_starts,
            "evseId": evse,
            **more,
        }
        return await self.prepare("RequestStartTransaction", body, {"status": "Accepted"})

    async def until_running(self, evse: int = 1, within: float = START_WITHIN, settles: float = 5.0) -> str:
        """Wait until a transaction runs and, after `settles` s, energy may flow; return its id."""
        if not await self.recorded.wait_for(lambda: self.running(evse) is not None, within):
            raise Inconclusive(f"no transaction began at EVSE {evse} within {within:g} s")
        running = self.running(evse)
        assert running is not None
        await self.sleep(settles)
        return running

    async def stop(self, evse: int = 1) -> None:
        """Stop the running transaction of an EVSE remotely; nothing where none runs."""
        if (running := self.running(evse)) is not None:
            await self._stop(running)

    async def stop_all(self) -> None:
        """Stop all running transactions remotely."""
        for running in self.transactions():
            await self._stop(running)

    async def _stop(self, running: str) -> None:
        if self.early:
            await self.prepare("RemoteStopTransaction", {"transactionId": int(running)}, {"status": "Accepted"})
        else:
            await self.prepare("RequestStopTransaction", {"transactionId": running}, {"status": "Accepted"})
        await self.recorded.wait_for(lambda: running not in self.transactions(), 30.0)

    # power

    async def sample(self, seconds: int = SAMPLE_S) -> None:
        """Shorten the interval of meter values, where the station permits it."""
        if self.early:
            await self.configure("MeterValueSampleInterval", seconds)
        else:
            await self.write("SampledDataCtrlr", "TxUpdatedInterval", seconds)

    def power(self, evse: int = 1, since: int | None = None) -> float | None:
        """Return the power in W of the latest meter values since the last stimulus, or from an index."""
        for message in reversed(self.recorded.messages[self.recorded.mark if since is None else since :]):
            if message.from_device and (found := meter.in_payload(message.action, message.payload)) is not None:
                number, power = found
                if number in (None, evse):
                    return power
        return None

    async def power_becomes(self, watts: float, evse: int = 1, within: float = 30.0) -> None:
        """Wait until the power at the meter is near a value. Raises Failed with the last power."""
        if not await self.recorded.wait_for(lambda: _near(self.power(evse), watts), within):
            last = self.power(evse)
            seen = "no meter values" if last is None else f"the last is {last:.0f} W"
            raise Failed(f"the power did not become {watts:.0f} W within {within:g} s; {seen}")

    async def power_stays(self, watts: float, evse: int = 1, during: float = 10.0) -> None:
        """Raise Failed if the power at the meter leaves the vicinity of a value."""
        begun = len(self.recorded.messages)

        def left() -> bool:
            found = [
                power
                for m in self.recorded.messages[begun:]
                if m.from_device and (power := meter.in_payload(m.action, m.payload)) and power[0] in (None, evse)
            ]
            return any(not _near(power, watts) for _, power in found)

        if await self.recorded.wait_for(left, during):
            raise Failed(f"the power did not stay at {watts:.0f} W: {self.power(evse)} W")

    # begin and end of a case

    async def quiet(self) -> None:
        """Wait until the station has sent nothing for a moment, such as the rest of a report."""
        for _ in range(20):
            seen = len(self.recorded.messages)
            await self.sleep(QUIET_S)
            if len(self.recorded.messages) == seen:
                return

    async def restore(self) -> None:
        """Bring the station back to the state before the case, as far as it permits."""
        self.csms.answers.clear()
        self.csms.refuses = False
        await self.csms.connected()
        if not await self.recorded.wait_for(lambda: self.csms.accepted, BOOT_WITHIN):
            raise Inconclusive("the station does not boot again")
        sent = {m.action for m in self.recorded.messages if not m.from_device}
        with suppress(CaseEnd):
            await self.environment.reset()
        for evse in sorted(self._plugged | {1}):
            with suppress(CaseEnd):
                await self.stop(evse)
        for evse in sorted(self._plugged):
            with suppress(CaseEnd):
                await self.environment.unplug(evse)
        if "SendLocalList" in sent:
            number = "listVersion" if self.early else "versionNumber"
            await self.call("SendLocalList", {number: 1, "updateType": "Full"})
        for key, value in self._keys.items():
            await self.call("ChangeConfiguration", {"key": key, "value": value})
        for name, value in self._variables.items():
            await self._write(name, value)


def _name(component: str, variable: str, instance: str, evse: int) -> Payload:
    where: Payload = {"name": component} | ({"evse": {"id": evse}} if evse else {})
    return {"component": where, "variable": {"name": variable} | ({"instance": instance} if instance else {})}


def _near(power: float | None, watts: float) -> bool:
    return power is not None and abs(power - watts) <= max(POWER_FLOOR_W, POWER_TOLERANCE * abs(watts))
