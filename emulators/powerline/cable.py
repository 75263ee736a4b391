"""One end of an emulated cable on a real interface: pilot, modem and SLAC, for the programs that then run a session.

The interface is the powerline; the other end is a program of the same kind. IP uses the same interface.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from types import TracebackType
from typing import Generic, Self, TypeVar

from emulators.powerline.modem import MODEM_PROFILES
from emulators.powerline.program import emulated_modem
from emulators.powerline.real_interface import ETHERTYPES, EvPilotEnd, EvsePilotEnd, OnLine, PilotEnd
from protocols.iec61851 import EvseOrder, PlugIn, ReleaseEnergy, Unplug, VehicleOrder
from protocols.ports import Clock
from protocols.slac import io
from protocols.slac.behaviour import EV_PROFILES, EvBehaviour
from protocols.slac.events import FrameIgnored, Matched, Order
from protocols.slac.plug import EvPlug, EvsePlug
from protocols.slac.settings import EvseSettings, EvSettings

CABLE_DB = 8
MATCH_WITHIN = 120.0  # s, with every retry of the control pilot
LEAVE_AFTER = 0.1  # s for the last state of the pilot to be sent
Report = Callable[[object], None]
PlugT = TypeVar("PlugT", EvPlug, EvsePlug)


class _CableEnd(Generic[PlugT]):
    """One end, open while its context is entered. Raises OSError without the interface or the permission."""

    plug: PlugT

    def __init__(self, interface: str, clock: Clock, report: Report, modem: str = "qca7000") -> None:
        self._interface = interface
        self._modem = MODEM_PROFILES[modem]
        self._clock = clock
        self._report = report
        self._port: io.PacketSocket | None = None
        self._pumping: asyncio.Future[None] | None = None
        self.matched = asyncio.Event()

    def _make(self, host: bytes, now: float) -> tuple[PlugT, PilotEnd]:
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        self._port = io.PacketSocket(self._interface, ETHERTYPES)
        self.plug, pilot = self._make(self._port.mac, self._clock.now())
        end = OnLine(self.plug, emulated_modem(self._port.mac, self._modem), CABLE_DB, pilot)
        self._pumping = asyncio.ensure_future(io.pump(end, self._port, self._clock, self._on_event))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pumping is not None:
            self._pumping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._pumping
        if self._port is not None:
            self._port.close()

    def _on_event(self, event: object) -> None:
        if isinstance(event, Matched):
            self.matched.set()
        if not isinstance(event, FrameIgnored):
            self._report(event)

    def _wake(self) -> None:
        if self._port is not None:
            self._port.wake()


class EvCable(_CableEnd[EvPlug]):
    """The end of a vehicle."""

    def __init__(self, interface: str, clock: Clock, report: Report, behaviour: EvBehaviour | None = None) -> None:
        super().__init__(interface, clock, report)
        self._behaviour = behaviour or EV_PROFILES["standard"]

    def _make(self, host: bytes, now: float) -> tuple[EvPlug, PilotEnd]:
        plug = EvPlug(EvSettings(host, behaviour=self._behaviour), now)
        return plug, EvPilotEnd(plug)

    def order(self, order: VehicleOrder | Order) -> None:
        """Execute an order for pilot or SLAC."""
        for event in self.plug.command(order, self._clock.now()):
            self._on_event(event)
        self._wake()

    async def plug_in(self) -> None:
        """Insert the plug and return when the link is up. Raises OSError if it does not come up."""
        self.order(PlugIn())
        try:
            async with asyncio.timeout(MATCH_WITHIN):
                await self.matched.wait()
        except TimeoutError:
            raise OSError(f"no EVSE was matched on {self._interface}") from None
        await self._clock.sleep(self._behaviour.discovery_after)

    async def unplug(self) -> None:
        """End the request for energy, then remove the plug; without further reports."""
        self._report = lambda _: None
        self.order(ReleaseEnergy())
        await self._clock.sleep(LEAVE_AFTER)
        self.order(Unplug())
        await self._clock.sleep(LEAVE_AFTER)


class EvseCable(_CableEnd[EvsePlug]):
    """The end of an EVSE; 5 % is offered to each vehicle."""

    def _make(self, host: bytes, now: float) -> tuple[EvsePlug, PilotEnd]:
        plug = EvsePlug(EvseSettings(host), now)
        return plug, EvsePilotEnd(plug)

    def order(self, order: EvseOrder | Order) -> None:
        """Execute an order for pilot or SLAC."""
        for event in self.plug.command(order, self._clock.now()):
            self._on_event(event)
        self._wake()
