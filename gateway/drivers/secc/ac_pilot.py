"""Control pilot of an AC EVSE without SLAC: digital communication first, then charging by duty cycle.

A plugged vehicle gets 5 %. One that has not begun a session in time charges by the duty cycle (IEC 61851-1): X1, and a
nominal duty cycle as soon as a current is offered. It gets 5 % again with its next plug, or when it begins a session.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf

from gateway.drivers.board.plug import PLUGGED, signal_of, signalled_by
from gateway.drivers.board.ports import PilotSignal, PilotState
from protocols import iec61851
from protocols.iec61851 import EvseOrder, OfferCurrent, OfferDigital, OutputChanged, TurnOff
from protocols.pilot_engines import EvsePilot
from protocols.ports import Clock

WAKE_S = 1.0  # duration of X1, which wakes a vehicle


class AcPilot:
    """Control pilot of one EVSE. `digital_within_s`: for a vehicle to begin a session."""

    mac: str | None = None
    ready = True

    def __init__(self, signal: Callable[[PilotSignal], None], clock: Clock, digital_within_s: float) -> None:
        self.basic = False
        self._signal, self._clock, self._within_s = signal, clock, digital_within_s
        self._pilot = EvsePilot(debounce_s=0.0)  # a board reports debounced states
        self._plugged = False
        self._basic_at = inf
        self._offered_a = 0.0
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Take the steps that are due until cancelled."""
        while True:
            self._changed.clear()
            now = self._clock.now()
            if now >= self._basic_at:
                self._basic_at, self.basic, self._offered_a = inf, True, 0.0
                self._pilot.command(TurnOff(), now)
            self._expire(now)
            try:
                async with self._clock.timeout_at(min(self._basic_at, self._pilot.deadline() or inf)):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def pilot_changed(self, state: PilotState) -> None:
        if signalled_by(self._pilot.output, state):
            return
        now, plugged = self._clock.now(), state in PLUGGED
        if plugged and not self._plugged:
            self._basic_at = now + self._within_s
            self._pilot.command(OfferDigital(), now)
        elif not plugged:
            self._basic_at, self.basic = inf, False
        self._plugged = plugged
        self._observe(self._pilot.receive(iec61851.PilotState(state.value), now))
        self._changed.set()

    def offer_current(self, current_a: float) -> None:
        if self.basic and current_a != self._offered_a:
            self._offered_a = current_a
            self._order(OfferCurrent(current_a) if current_a else TurnOff())

    def wake(self) -> None:
        if not self.basic:
            self._order(TurnOff())
            asyncio.get_running_loop().call_later(WAKE_S, self._offer_digital)

    def pause(self) -> None:
        """Keep the signal: the vehicle may come back at any time."""

    def resume(self) -> None:
        self._basic_at = inf
        if self.basic:
            self.basic = False
            self._order(OfferDigital())

    def _offer_digital(self) -> None:
        if not self.basic:
            self._order(OfferDigital())

    def _order(self, order: EvseOrder) -> None:
        now = self._clock.now()
        self._pilot.command(order, now)
        self._expire(now)
        self._changed.set()

    def _expire(self, now: float) -> None:
        self._observe(self._pilot.expire(now))

    def _observe(self, events: list[iec61851.Event]) -> None:
        if any(isinstance(event, OutputChanged) for event in events):
            self._signal(signal_of(self._pilot.output))
