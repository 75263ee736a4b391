"""A station of single messages, written by the test, connected to the CSMS in memory and virtual time."""

from __future__ import annotations

import asyncio
import json
from itertools import count
from typing import Any, TypeVar

from emulators.runtime.clock import VirtualClock
from emulators.runtime.transports import MemoryTextWire, text_wire_pair
from gateway.csms.csms import Csms
from gateway.csms.persistence import Writer
from gateway.csms.settings import CsmsSettings, StationSettings, UnknownTokens
from gateway.model.event import Event
from protocols.ocpp.schema import Version
from protocols.ocpp.times import stamp

E = TypeVar("E")
ABOUT = {"reason": "PowerUp", "chargingStation": {"model": "raw", "vendorName": "tests"}}
ABOUT_16 = {"chargePointVendor": "tests", "chargePointModel": "raw"}


class Raw:
    """One connection of one station."""

    def __init__(
        self,
        version: Version = Version.V21,
        csms: Csms | None = None,
        name: str = "CP1",
        writer: Writer | None = None,
        **about: Any,
    ) -> None:
        self.version, self.name = version, name
        self.events: list[Event] = []
        about.setdefault("unknown_tokens", UnknownTokens.ACCEPT)
        about.setdefault("inventory", False)
        self.clock = VirtualClock() if csms is None else csms.clock
        settings = CsmsSettings(stations=(StationSettings("CP1", max_charge_w=1e4, max_discharge_w=1e4),), **about)
        self.csms = csms or Csms(settings, self.events.append, self.clock, writer)
        self.wire: MemoryTextWire | None = None
        self.csms_calls: list[list[Any]] = []  # calls of the CSMS
        self._call_received = asyncio.Event()
        self.closed = False
        self._numbers = count(1)
        self._last_call = ""
        self._answers: dict[str, asyncio.Future[list[Any]]] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Raw:
        await self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def connect(self, subprotocol: str | None = None) -> None:
        ours, theirs = text_wire_pair(self.name, "gateway", subprotocol=subprotocol or self.version.value)
        self.wire, self.closed = ours, False
        self._tasks.append(asyncio.create_task(self.csms.attach(theirs, self.name)))
        self._tasks.append(asyncio.create_task(self._read(ours)))

    async def _read(self, wire: MemoryTextWire) -> None:
        while (text := await wire.receive()) is not None:
            message = json.loads(text)
            if message[0] == 2:
                self.csms_calls.append(message)
                self._call_received.set()
            elif message[1] in self._answers:
                self._answers.pop(message[1]).set_result(message)
        if wire is self.wire:
            self.closed = True

    async def send(self, text: str) -> None:
        assert self.wire is not None
        await self.wire.send(text)

    async def call(self, action: str, payload: dict[str, Any]) -> list[Any]:
        """Send a call and return the whole response, CALLRESULT or CALLERROR."""
        mid = f"r{next(self._numbers)}"
        self._answers[mid] = asyncio.get_running_loop().create_future()
        await self.send(json.dumps([2, mid, action, payload]))
        async with asyncio.timeout(60):
            return await self._answers[mid]

    async def ok(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        """Send a call and return the payload of its CALLRESULT."""
        message = await self.call(action, payload)
        assert message[0] == 3, message
        answer: dict[str, Any] = message[2]
        return answer

    async def boot(self) -> dict[str, Any]:
        return await self.ok("BootNotification", ABOUT_16 if self.version is Version.V16 else ABOUT)

    async def called(self, latency_s: float = 0.0) -> None:
        """Wait until a call of the CSMS is there, and for the time that the station takes to read it."""
        while not self.csms_calls:
            self._call_received.clear()
            await self._call_received.wait()
        await asyncio.sleep(latency_s)

    async def next_call(self, action: str, answer: dict[str, Any] | None = None) -> dict[str, Any]:
        """Wait for a call of the CSMS, answer it, and return its payload."""
        while not any(message[2] == action for message in self.csms_calls):
            self._call_received.clear()
            await self._call_received.wait()
        message = next(m for m in self.csms_calls if m[2] == action)
        self.csms_calls.remove(message)
        self._last_call = message[1]
        if answer is not None:
            await self.answer_last(answer)
        payload: dict[str, Any] = message[3]
        return payload

    async def answer_last(self, answer: dict[str, Any]) -> None:
        """Answer the call that `next_call` returned last."""
        await self.send(json.dumps([3, self._last_call, answer]))

    def time(self, offset: float = 0.0) -> str:
        return stamp(self.clock.wall() + offset)

    async def event(self, kind: str, seq: int, transaction: str = "t1", at: float = 0.0, **more: Any) -> dict[str, Any]:
        """Send a TransactionEvent and return the payload of its response."""
        about = {"transactionId": transaction, **more.pop("info", {})}
        trigger = {"Started": "Authorized", "Updated": "MeterValuePeriodic", "Ended": "EVDeparted"}[kind]
        body = {
            "eventType": kind,
            "timestamp": self.time(at),
            "triggerReason": more.pop("trigger", trigger),
            "seqNo": seq,
            "transactionInfo": about,
            "evse": {"id": more.pop("evse", 1), "connectorId": 1},
            **more,
        }
        return await self.ok("TransactionEvent", body)

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]


def power(raw: Raw, watts: float, at: float = 0.0) -> list[dict[str, Any]]:
    """Return meter values with one import power."""
    return [{"timestamp": raw.time(at), "sampledValue": [{"value": watts, "measurand": "Power.Active.Import"}]}]
