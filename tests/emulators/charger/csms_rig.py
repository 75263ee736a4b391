"""A CSMS that accepts every message, with configurable responses, and one station: a certification tool in memory."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from emulators.charger.station.build import build, car_power_path
from emulators.charger.station.config import StationConfig
from emulators.charger.station.csms_link.network_profiles import NetworkProfile
from emulators.charger.station.evse import EvseState
from emulators.charger.station.power_path import CarPowerPath
from emulators.charger.station.store import Store
from emulators.ev.car import CCS_63, Car
from emulators.runtime.clock import VirtualClock
from emulators.runtime.transports import text_wire_pair
from protocols.ocpp.errors import Refusal
from protocols.ocpp.events import Answered, CallReceived, Reply, SendReceived
from protocols.ocpp.io import Link
from protocols.ocpp.rpc import Rpc
from protocols.ocpp.schema import Version
from protocols.ocpp.times import stamp
from protocols.ports import TextWire

Answer = Callable[[dict[str, Any]], dict[str, Any] | None]
SILENCE: dict[str, Any] = {"silence": True}


class CsmsRig:
    """One CSMS and one station. `answers` by action: a payload, a function, SILENCE for none, or a Refusal to raise."""

    def __init__(self, version: Version = Version.V201, *, evses: int = 1, store: Store | None = None, **config: Any):
        self.clock = VirtualClock()
        self.version = version
        self.config = StationConfig(version=version, csms=config.pop("csms", "ws://one/ocpp"), **config)
        self.power_paths = [car_power_path() for _ in range(evses)]
        self.station = build(self.config, list(self.power_paths), self.clock, self.connect, store)
        self.answers: dict[str, Any] = {}
        self.received: list[tuple[float, str, dict[str, Any]]] = []
        self.sends: list[dict[str, Any]] = []
        self.dialled: list[tuple[float, NetworkProfile]] = []
        self._made: dict[str, dict[str, Any]] = {}
        self.may_be_silent: set[str] = set()  # actions whose function in `answers` may return SILENCE
        self.down: set[str] = set()  # unreachable addresses; "*" for all
        self.link: Link | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def connect(self, target: NetworkProfile) -> TextWire:
        self.dialled.append((self.clock.now(), target))
        if {"*", target.url} & self.down:
            raise ConnectionError(f"{target.url} is down")
        ours, theirs = text_wire_pair("station", "csms", subprotocol=target.version.value)
        engine = Rpc(self.version)
        self.link = Link(_SilentWire(theirs, self), engine, self._handle, self.clock, on_send=self._sent)
        self._tasks.append(asyncio.create_task(self.link.run()))
        return ours

    def _sent(self, event: SendReceived) -> None:
        self.sends.append(event.payload)

    def _handle(self, call: CallReceived) -> Any:
        self.received.append((self.clock.now(), call.action, call.payload))
        answer = self._made.pop(call.action, None) or self.answers.get(call.action)
        if isinstance(answer, Refusal):
            raise answer
        if callable(answer):
            answer = answer(call.payload)
        return self._default(call.action) if answer is None else answer

    def silent(self, action: str, payload: dict[str, Any]) -> bool:
        """Record a call that gets no response; return False if it gets one."""
        answer = self.answers.get(action)
        if callable(answer) and action in self.may_be_silent:
            self._made[action] = answer = answer(payload) or self._default(action)
        if answer is not SILENCE:
            return False
        self._made.pop(action, None)
        self.received.append((self.clock.now(), action, payload))
        return True

    def _default(self, action: str) -> dict[str, Any]:
        now, early = stamp(self.clock.wall()), self.version is Version.V16
        table: dict[str, dict[str, Any]] = {
            "Authorize": {"idTagInfo": {"status": "Accepted"}} if early else {"idTokenInfo": {"status": "Accepted"}},
            "BootNotification": {"status": "Accepted", "interval": 300, "currentTime": now},
            "Heartbeat": {"currentTime": now},
            "StartTransaction": {"transactionId": len(self.received), "idTagInfo": {"status": "Accepted"}},
            "NotifyEVChargingNeeds": {"status": "Accepted"},
            "NotifyEVChargingSchedule": {"status": "Accepted"},
            "OpenPeriodicEventStream": {"status": "Accepted"},
            "SignCertificate": {"status": "Accepted"},
        }
        return table.get(action, {})

    async def __aenter__(self) -> CsmsRig:
        self._tasks.append(asyncio.create_task(self.station.run()))
        await self.until(lambda: self.station.online or bool(self.answers) or bool(self.down))
        await self.sleep(1.0)
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def sleep(self, seconds: float) -> None:
        await self.clock.sleep(seconds)

    async def until(self, condition: Callable[[], bool], within: float = 600.0) -> None:
        deadline = self.clock.now() + within
        while not condition():
            assert self.clock.now() < deadline, f"condition not reached; received {self.actions()}"
            await self.clock.sleep(0.05)

    async def call(self, action: str, payload: dict[str, Any] | None = None) -> dict[str, Any]:
        reply = await self.reply(action, payload)
        assert isinstance(reply, Answered), reply
        assert reply.violation is None, reply.violation
        return reply.payload

    async def reply(self, action: str, payload: dict[str, Any] | None = None) -> Reply:
        assert self.link is not None
        return await self.link.call(action, payload or {})

    async def cut(self, down: bool = True) -> None:
        """Interrupt the connection."""
        if down:
            self.down.add("*")
        if self.link is not None:
            await self.link.close()
        await self.until(lambda: not self.station.online)

    def actions(self) -> list[str]:
        return [action for _, action, _ in self.received][-12:]

    def calls(self, action: str) -> list[dict[str, Any]]:
        return [payload for _, name, payload in self.received if name == action]

    def times(self, action: str) -> list[float]:
        return [at for at, name, _ in self.received if name == action]

    def evse(self, number: int = 1) -> EvseState:
        return self.station.evses[number]

    def plug(self, number: int = 1, soc: float = 50.0) -> Car:
        car, power_path = Car(CCS_63, soc), self.power_paths[number - 1]
        assert isinstance(power_path, CarPowerPath)
        self.station.plug_in(number, power_path.plug(car, self.clock.now()))
        return car

    async def charging(self, number: int = 1) -> None:
        self.plug(number)
        await self.until(lambda: self.evse(number).open)
        await self.sleep(5)

    async def set(self, component: str, variable: str, value: object, instance: str = "", **more: Any) -> str:
        """Set one variable; return its status."""
        what = {"name": variable} | ({"instance": instance} if instance else {})
        data = {"component": {"name": component, **more}, "variable": what, "attributeValue": str(value)}
        answer = await self.call("SetVariables", {"setVariableData": [data]})
        return str(answer["setVariableResult"][0]["attributeStatus"])

    async def get(self, component: str, variable: str, **more: Any) -> dict[str, Any]:
        """Read one variable; return its result."""
        data = {"component": {"name": component, **more}, "variable": {"name": variable}}
        answer = await self.call("GetVariables", {"getVariableData": [data]})
        found: dict[str, Any] = answer["getVariableResult"][0]
        return found

    async def put_slot(self, variable: str, value: object, slot: str) -> str:
        """Set a variable of a network configuration of 2.1; return its status."""
        component = {"name": "NetworkConfiguration", "instance": slot}
        data = {"component": component, "variable": {"name": variable}, "attributeValue": str(value)}
        answer = await self.call("SetVariables", {"setVariableData": [data]})
        return str(answer["setVariableResult"][0]["attributeStatus"])


class _SilentWire:
    """The CSMS end of a wire, which leaves some calls without a response."""

    def __init__(self, wire: TextWire, rig: CsmsRig) -> None:
        self._wire, self._rig = wire, rig

    @property
    def peer(self) -> str:
        return self._wire.peer

    @property
    def subprotocol(self) -> str:
        return self._wire.subprotocol

    async def receive(self) -> str | None:
        while (text := await self._wire.receive()) is not None:
            message = json.loads(text)
            if message[0] != 2 or not self._rig.silent(message[2], message[3]):
                break
        return text

    async def send(self, text: str) -> None:
        await self._wire.send(text)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        await self._wire.close(code, reason)
