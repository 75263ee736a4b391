"""Control pilot of a hosted EVSE, with SLAC or without, and which vehicle may connect.

With SLAC the engine of the plug, between the board and the powerline modem, decides the signal of the pilot, and only a
vehicle that it has matched may connect. Without it, a modem that works by itself is expected. A vehicle at an AC EVSE
that does not match, or that matches and begins no session in time, charges by the duty cycle.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Protocol

from gateway.drivers.board.plug import PLUGGED, signal_of, signalled_by
from gateway.drivers.board.ports import DutyCycle, PilotLevel, PilotSignal, PilotState
from gateway.drivers.secc.ac_pilot import AcPilot
from gateway.drivers.secc.settings import SeccEvseSettings
from protocols import iec61851
from protocols.errors import LocalProtocolError
from protocols.iec61851 import EvseOrder, OfferCurrent, OfferDigital, OutputChanged, RetriesExhausted, TurnOff
from protocols.ports import Clock
from protocols.slac import io
from protocols.slac.events import KeyRefused, LinkLost, Matched, MatchingFailed, NetworkLeft, Order, Pause, Resume
from protocols.slac.plug import EvsePlug
from protocols.slac.settings import EvseSettings

DIGITAL = DutyCycle(5.0)  # digital communication is required (IEC 61851-1)
log = logging.getLogger("v2x.drivers")

WAKE_S = 1.0  # duration of X1, which wakes a vehicle

Signal = Callable[[PilotSignal], None]
Lost = Callable[[str], None]
Frames = Callable[[], io.FramePort]


class PlugControl(Protocol):
    """Control pilot of one EVSE. `mac`: address of the vehicle that SLAC matched.

    `basic`: the plugged vehicle does not communicate, and charges by the duty cycle (AC).
    """

    mac: str | None
    basic: bool

    @property
    def ready(self) -> bool:
        """Return True while a vehicle may connect."""

    async def run(self) -> None: ...

    def pilot_changed(self, state: PilotState) -> None:
        """Process a state that the board measured."""

    def wake(self) -> None:
        """Wake a plugged vehicle: X1, then digital communication again."""

    def pause(self) -> None:
        """Process that the vehicle paused its session: its modem may be off."""

    def resume(self) -> None:
        """Process that a session begins or goes on."""

    def offer_current(self, current_a: float) -> None:
        """Offer a current to a `basic` vehicle by the duty cycle, 0 A by X1."""


@asynccontextmanager
async def plug_control(
    settings: SeccEvseSettings, frames: Frames | None, clock: Clock, signal: Signal, lost: Lost, *, ac: bool
) -> AsyncIterator[PlugControl]:
    """Yield the control of the plug. Raises OSError where the interface of the modem cannot be used.

    `frames` opens a powerline other than the configured interface.
    """
    if frames is None and not (settings.slac and settings.interface is not None):
        yield AcPilot(signal, clock, settings.digital_within_s) if ac else DigitalPilot(signal)
        return
    port = io.PacketSocket(settings.interface or "") if frames is None else frames()
    try:
        within_s = settings.digital_within_s if ac else None
        yield Matching(settings.id, EvseSettings(port.mac, settings.modem), port, clock, signal, lost, within_s)
    finally:
        port.close()


class DigitalPilot:
    """Control pilot without SLAC: a plugged vehicle is required to communicate, at once."""

    mac: str | None = None
    ready = True
    basic = False

    def __init__(self, signal: Signal) -> None:
        self._signal = signal
        self._plugged = False

    async def run(self) -> None:
        """Return: nothing is to be done."""

    def pilot_changed(self, state: PilotState) -> None:
        if (state in PLUGGED) != self._plugged:
            self._plugged = state in PLUGGED
            self._offer()

    def wake(self) -> None:
        self._signal(PilotLevel.X1)
        asyncio.get_running_loop().call_later(WAKE_S, self._offer)

    def _offer(self) -> None:
        self._signal(DIGITAL if self._plugged else PilotLevel.X1)

    def pause(self) -> None:
        """Keep the signal: the vehicle may come back at any time."""

    def resume(self) -> None:
        """Keep the signal."""

    def offer_current(self, current_a: float) -> None:
        """Offer nothing: a DC vehicle communicates."""


class Matching:
    """Control pilot and SLAC of one EVSE. `signal` sets the pilot; `lost` is called at the end of a link.

    `digital_within_s`: for a matched vehicle to begin a session, None where there is no charging by duty cycle (DC).
    """

    def __init__(
        self,
        evse: str,
        settings: EvseSettings,
        port: io.FramePort,
        clock: Clock,
        signal: Signal,
        lost: Lost,
        digital_within_s: float | None,
    ) -> None:
        self.basic, self._within_s, self._offered_a = False, digital_within_s, 0.0
        self._fallback: asyncio.TimerHandle | None = None
        self._evse, self._port, self._clock = evse, port, clock
        self._signal, self._lost = signal, lost
        self._plug = EvsePlug(settings, clock.now())
        self.mac: str | None = None

    @property
    def ready(self) -> bool:
        return self.mac is not None

    async def run(self) -> None:
        """Exchange frames with the modem until cancelled."""
        try:
            await io.pump(self._plug, self._port, self._clock, self._observe)
        finally:
            self._await_session(None)

    def pilot_changed(self, state: PilotState) -> None:
        if signalled_by(self._plug.output, state):
            return
        if state not in PLUGGED:
            self.basic = False
            self._await_session(None)
        self._process(self._plug.measured(iec61851.PilotState(state.value), self._clock.now()))

    def pause(self) -> None:
        self._order(Pause())

    def resume(self) -> None:
        self._await_session(None)
        self._order(Resume())
        if self.basic:
            self.basic = False
            self._order(OfferDigital())

    def offer_current(self, current_a: float) -> None:
        if self.basic and current_a != self._offered_a:
            self._offered_a = current_a
            self._order(OfferCurrent(current_a) if current_a else TurnOff())

    def wake(self) -> None:
        self.resume()
        self._order(TurnOff())
        asyncio.get_running_loop().call_later(WAKE_S, self._order, OfferDigital())

    def _order(self, order: EvseOrder | Order) -> None:
        with suppress(LocalProtocolError):  # pause and resume without a match
            self._process(self._plug.command(order, self._clock.now()))

    def _process(self, events: Sequence[object]) -> None:
        for event in events:
            self._observe(event)
        self._port.wake()

    def _observe(self, event: object) -> None:
        match event:
            case OutputChanged():
                self._signal(signal_of(self._plug.output))
            case RetriesExhausted():
                self.basic, self._offered_a = self._within_s is not None, 0.0
            case Matched(vehicle):
                self.mac, self.basic = vehicle.hex(":"), False
                log.info("%s: vehicle %s matched by SLAC", self._evse, self.mac)
                self._await_session(self._within_s)
            case MatchingFailed(reason):
                self._end(f"the matching failed: {reason}")
            case LinkLost():
                self._end("the powerline link was lost")
            case NetworkLeft(reason):
                self._end(reason)
            case KeyRefused(attempts):
                log.warning("%s: the modem took no key in %d attempts", self._evse, attempts)

    def _await_session(self, within_s: float | None) -> None:
        """Start the time for a matched vehicle to begin a session, or with None end it."""
        if self._fallback is not None:
            self._fallback.cancel()
        loop = asyncio.get_running_loop()
        self._fallback = None if within_s is None else loop.call_later(within_s, self._charge_by_duty_cycle)

    def _charge_by_duty_cycle(self) -> None:
        log.info("%s: vehicle %s begins no session and charges by the duty cycle", self._evse, self.mac)
        self.basic, self._offered_a = True, 0.0
        self._order(TurnOff())

    def _end(self, reason: str) -> None:
        self._await_session(None)
        matched, self.mac = self.ready, None
        log.info("%s: no powerline link: %s", self._evse, reason)
        if matched and not self.basic:
            self._lost(reason)
