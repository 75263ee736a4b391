"""The gateway's CSMS and an emulated station with a wire in memory between them, in virtual time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, TypeVar

from emulators.charger.hardware.power_stage import StageSpec
from emulators.charger.station.build import build, car_power_path
from emulators.charger.station.config import StationConfig
from emulators.charger.station.csms_link.network_profiles import NetworkProfile
from emulators.charger.station.evse import EvseState
from emulators.charger.station.power_path import CarPowerPath, PowerPath
from emulators.charger.station.station import Station
from emulators.ev.car import CCS_63, Car, CarSpec
from emulators.runtime.clock import VirtualClock
from emulators.runtime.transports import Link, text_wire_pair
from gateway.csms.csms import Csms
from gateway.csms.settings import CsmsSettings, StationSettings, UnknownTokens
from gateway.csms.station import Station as GatewayStation
from gateway.model.event import Event
from protocols.ocpp.schema import Version
from protocols.ports import TextWire

E = TypeVar("E")


class Rig:
    """One CSMS, one station. `link` connects them, `messages` records all messages."""

    def __init__(
        self,
        version: Version = Version.V21,
        *,
        evses: int = 1,
        settings: CsmsSettings | None = None,
        config: StationConfig | None = None,
        stage: StageSpec | None = None,
        power_paths: list[PowerPath] | None = None,
        vendor_profile: str | None = None,
        registered: bool = True,
    ) -> None:
        self.clock = VirtualClock()
        self.events: list[Event] = []
        self.messages: list[tuple[str, list[Any]]] = []
        known = StationSettings(
            "CP1",
            vendor_profile=vendor_profile,
            max_charge_w=None if version is Version.V21 else 10_000.0,
            max_discharge_w=None if version is Version.V21 else 10_000.0,
        )
        self.settings = settings or CsmsSettings(
            stations=(known,) if registered else (), unknown_tokens=UnknownTokens.ACCEPT
        )
        self.csms = Csms(self.settings, self.events.append, self.clock)
        self.config = config or StationConfig(version=version, vendor_profile=vendor_profile)
        self.power_paths: list[PowerPath] = power_paths or [car_power_path(stage) for _ in range(evses)]
        self.up = True  # False interrupts the network
        self.link: Link[str] | None = None
        self.station = build(self.config, self.power_paths, self.clock, self.connect)
        self._tasks: list[asyncio.Task[object]] = []

    async def connect(self, target: NetworkProfile) -> TextWire:
        if not self.up:
            raise ConnectionError("the network is down")
        link: Link[str] = Link(on_write=lambda who, text: self.messages.append((who, json.loads(text))))
        ours, theirs = text_wire_pair("station", "gateway", subprotocol=target.version.value, link=link)
        self.link = link
        self._tasks.append(asyncio.create_task(self.csms.attach(theirs, self.config.id)))
        return ours

    def cut(self, down: bool = True) -> None:
        self.up = not down
        if self.link is not None:
            self.link.cut()

    # running

    async def __aenter__(self) -> Rig:
        self._tasks.append(asyncio.create_task(self.station.run()))
        await self.until(lambda: self.station.online and self.known.accepted)
        await self.sleep(1.0)
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def sleep(self, seconds: float) -> None:
        await self.clock.sleep(seconds)

    async def until(self, what: Callable[[], bool], within: float = 300.0) -> None:
        deadline = self.clock.now() + within
        while not what():
            assert self.clock.now() < deadline, "condition not reached"
            await self.clock.sleep(0.05)

    # the two ends

    @property
    def known(self) -> GatewayStation:
        return self.csms.stations["CP1"]

    def evse(self, number: int = 1) -> EvseState:
        return self.station.evses[number]

    def plug(self, car: Car | None = None, number: int = 1, spec: CarSpec = CCS_63, soc: float = 80.0) -> Car:
        car = car or Car(spec, soc)
        power_path = self.power_paths[number - 1]
        assert isinstance(power_path, CarPowerPath)
        self.station.plug_in(number, power_path.plug(car, self.clock.now()))
        return car

    async def charging(self, number: int = 1, **about: Any) -> Car:
        """Plug a car in and wait until its transaction runs at both ends."""
        car = self.plug(number=number, **about)
        await self.until(lambda: self.evse(number).open)
        await self.until(lambda: self.csms.context.transactions.active_at("CP1", number) is not None)
        await self.sleep(0.5)
        return car

    # recorded events and messages

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    def calls(self, action: str, who: str | None = None) -> list[dict[str, Any]]:
        return [m[3] for sender, m in self.messages if m[0] == 2 and m[2] == action and who in (None, sender)]

    def answers(self, action: str) -> list[dict[str, Any]]:
        ids = [m[1] for _, m in self.messages if m[0] == 2 and m[2] == action]
        found = {m[1]: m[2] for _, m in self.messages if m[0] == 3}
        return [found[mid] for mid in ids if mid in found]

    def errors(self) -> list[list[Any]]:
        return [m for _, m in self.messages if m[0] in (4, 5)]

    async def request(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        """Send a request from the CSMS to the station; the response must be valid."""
        answer = await self.known.request(action, payload)
        assert answer is not None, f"{action}: {self.messages[-2:]}"
        return answer


def dynamic(setpoint: float = -5000.0, duration: int | None = 30, **more: Any) -> dict[str, Any]:
    """A Dynamic CentralSetpoint TxProfile without a transaction."""
    schedule: dict[str, Any] = {
        "id": 1,
        "chargingRateUnit": "W",
        "chargingSchedulePeriod": [{"startPeriod": 0, "operationMode": "CentralSetpoint", "setpoint": setpoint}],
    }
    if duration is not None:
        schedule["duration"] = duration
    return {
        "id": 10,
        "stackLevel": 5,
        "chargingProfilePurpose": "TxProfile",
        "chargingProfileKind": "Dynamic",
        "chargingSchedule": [schedule],
        **more,
    }


__all__ = ["Rig", "Station", "dynamic"]
