"""Network of a world: connections between gateway, broker, facility, stations and vehicles; here those in memory.

Every stream between two parts has a `Link`, on which faults act and from which the transcript and captures are taken.
Connections over real sockets are in `sockets.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from enum import StrEnum
from typing import Any, Protocol

from emulators.charger.secc.secc import EvseSecc
from emulators.faults.injection_points import FaultableBroker
from emulators.modbus.device import EmulatedDevice
from emulators.runtime.memory_broker import MemoryBroker
from emulators.runtime.transports import Link, text_wire_pair, wire_pair
from gateway.app import Gateway
from gateway.drivers.secc.evse import SeccEvse
from gateway.mqtt.client import Connect
from protocols.ocpp.schema import Version
from protocols.ports import Bus, BusMessage, TextWire, Wire

GATEWAY_ID = "gw1"
FACILITY_ID = "facility"


class Transports(StrEnum):
    """Transports between the parts of a world."""

    MEMORY = "memory"
    SOCKETS = "sockets"


ConnectionSettings = dict[str, dict[str, Any]]  # settings of the gateway configuration, by section
OnPublished = Callable[[str, BusMessage], None]  # (client id, message)


class Network(Protocol):
    """Connects the parts of one world while the context of `opened` is entered."""

    @property
    def broker(self) -> FaultableBroker:
        """The broker, for fault injection."""

    @property
    def listens(self) -> bool:
        """Return whether the gateway listens on a port for stations."""

    def opened(self) -> AbstractAsyncContextManager[None]:
        """Set up and tear down what all connections need."""

    def settings(self) -> ConnectionSettings:
        """Return the settings of the gateway's connections for its configuration, by section."""

    def facility(self) -> AbstractAsyncContextManager[Bus]:
        """Connect the facility to the broker."""

    def gateway(self, is_running: Callable[[], bool]) -> Connect:
        """Return how a gateway process connects to the broker; refused once `is_running` returns False."""

    async def station(self, name: str, version: Version, running: Gateway, link: Link[str]) -> TextWire:
        """Connect a station to the gateway; return the station's end of the stream."""

    async def vehicle(self, evse: str, secc: EvseSecc, link: Link[bytes], tasks: asyncio.TaskGroup) -> Wire:
        """Connect a vehicle to an SECC, which serves it as one of the tasks; return the vehicle's end of the stream."""

    async def hosted(self, evse: str, running: Gateway, link: Link[bytes]) -> Wire:
        """Connect a vehicle to the gateway that hosts the EVSE; return the vehicle's end of the stream."""

    async def modbus(self, evse: str, device: EmulatedDevice, link: Link[bytes]) -> Wire:
        """Connect the gateway to a wallbox; return the gateway's end of the stream."""

    def disconnect_gateway(self) -> None:
        """Cut the connections of a killed gateway process."""


class MemoryNetwork:
    """Connections in memory, without latency unless a fault adds it."""

    listens = False

    def __init__(self, broker: MemoryBroker, prefix: str = "") -> None:
        """`broker` may be shared with other sites; `prefix` distinguishes the client ids of this site from theirs."""
        self.broker = broker
        self._gateway_settings: ConnectionSettings = {}
        self._gateway, self._facility = prefix + GATEWAY_ID, prefix + FACILITY_ID
        self._attached: set[asyncio.Task[object]] = set()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        yield

    def configure_gateway(self, section: str, settings: dict[str, Any]) -> None:
        """Set one section of the configuration with which the gateway starts."""
        self._gateway_settings[section] = settings

    def settings(self) -> ConnectionSettings:
        return self._gateway_settings

    def facility(self) -> AbstractAsyncContextManager[Bus]:
        return self.broker.client(self._facility, clean_start=False, session_expiry_s=300.0)

    def gateway(self, is_running: Callable[[], bool]) -> Connect:
        @asynccontextmanager
        async def connect(will: BusMessage) -> AsyncIterator[Bus]:
            if not is_running():
                raise ConnectionRefusedError("this gateway process was killed")
            client = self.broker.client
            async with client(
                self._gateway, will=will, clean_start=False, session_expiry_s=60.0, acknowledges=True
            ) as bus:
                yield bus

        return connect

    async def station(self, name: str, version: Version, running: Gateway, link: Link[str]) -> TextWire:
        if running.csms is None:
            raise ConnectionRefusedError("the gateway has no CSMS")
        near, far = text_wire_pair(name, GATEWAY_ID, subprotocol=version.value, link=link)
        task = asyncio.get_running_loop().create_task(running.csms.attach(far, name))
        self._attached.add(task)
        task.add_done_callback(self._attached.discard)
        return near

    async def vehicle(self, evse: str, secc: EvseSecc, link: Link[bytes], tasks: asyncio.TaskGroup) -> Wire:
        ev_end, secc_end = wire_pair("ev", "secc", link=link)
        tasks.create_task(secc.serve(secc_end))
        return ev_end

    async def hosted(self, evse: str, running: Gateway, link: Link[bytes]) -> Wire:
        ev_end, secc_end = wire_pair("ev", "secc", link=link)
        task = asyncio.get_running_loop().create_task(hosted_evse(running, evse).serve(secc_end))
        self._attached.add(task)
        task.add_done_callback(self._attached.discard)
        return ev_end

    async def modbus(self, evse: str, device: EmulatedDevice, link: Link[bytes]) -> Wire:
        from protocols.modbus.io import serve  # pymodbus is an extra, and only loaded where it is used

        near, far = wire_pair(GATEWAY_ID, evse, link=link)
        task = asyncio.get_running_loop().create_task(serve(far, device.handle))
        self._attached.add(task)
        task.add_done_callback(self._attached.discard)
        return near

    def disconnect_gateway(self) -> None:
        self.broker.cut(self._gateway)
        for task in list(self._attached):
            task.cancel()


def hosted_evse(running: Gateway, evse: str) -> SeccEvse:
    """Return an EVSE that the gateway hosts. Raises ConnectionError while it does not."""
    found = running.hosted.by_name.get(evse)
    if not isinstance(found, SeccEvse) or not found.connected:
        raise ConnectionRefusedError(f"{evse} is not in operation")
    return found
