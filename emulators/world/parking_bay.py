"""A parking bay: one EVSE of a station, its power stage, and the car that comes and goes, with a session between them.

Where the vehicle link is ISO 15118-20 two engines speak over whatever the world joins them by; a session that breaks is
tried again while the car stays. Without a vehicle link the car is plugged on the stage as it is.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from emulators.charger.hardware.power_stage import Contactors, Fault, PowerStage
from emulators.charger.secc.secc import EvseSecc, Measured, SeccEvent, SessionEnded
from emulators.charger.station.power_path import CarPowerPath, Reading
from emulators.charger.station.secc_power_path import SeccPowerPath
from emulators.charger.station.station import Station
from emulators.ev.car import Car
from emulators.ev.session import EvSession, car_settings
from emulators.faults.injector import Parts
from emulators.runtime.fast_forward import FastForward, WakeableClock
from emulators.runtime.pcap import Capture
from emulators.runtime.transcript import Transcript
from emulators.runtime.transports import Link
from protocols.iso15118.iso20.events import Event, MessageReceived, MessageSent, StationLooped
from protocols.ports import Clock, Wire

AGAIN_AFTER_S = 10.0  # a broken session is tried again
TRIES = 20
MOST_PACKETS = 20_000  # of one capture
CODES = {  # what a charger calls its faults, in OCPP's words
    Fault.INSULATION: "GroundFailure",
    Fault.WELD: "PowerSwitchFailure",
    Fault.OVERVOLTAGE: "OverVoltage",
    Fault.INTERNAL: "InternalError",
}


class Meet(Protocol):
    """Brings a car to an SECC: the car's end of a stream that the SECC serves as one of the tasks."""

    async def __call__(self, evse: str, secc: EvseSecc, link: Link[bytes], tasks: asyncio.TaskGroup) -> Wire: ...


class _Outlet(SeccPowerPath):
    """Reads the metal and the car themselves, as the charge loop of this very moment would tell."""

    car: Car | None = None
    wake: Callable[[], None] = staticmethod(lambda: None)  # the next charge loop may not be left out

    def set_power(self, power_w: float, now: float) -> None:
        before = self.requested_w
        super().set_power(power_w, now)
        if self.requested_w != before:
            self.wake()

    def open(self, now: float) -> None:
        super().open(now)
        self.wake()

    def close(self, now: float) -> None:
        super().close(now)
        self.wake()

    def renegotiate(self) -> bool:
        done = super().renegotiate()
        self.wake()
        return done

    def reading(self, now: float) -> Reading:
        told, seen, car = super().reading(now), self.stage.reading(now), self.car
        if told.soc_pct is None or car is None:
            return told
        energy = car.energy()
        return Reading(
            power_w=seen.ac_power_w,
            charged_wh=told.charged_wh,
            discharged_wh=told.discharged_wh,
            voltage_v=seen.voltage_v,
            current_a=seen.current_a,
            soc_pct=told.soc_pct,
            min_v2x_energy_wh=energy.v2x_minimum_wh,
            max_v2x_energy_wh=energy.v2x_maximum_wh,
        )


@dataclass
class ParkingBay:
    """One EVSE. `plug` and `unplug` may come at any moment."""

    evse: str
    number: int
    stage: PowerStage
    clock: Clock
    transcript: Transcript
    parts: Parts
    loop_s: float = 0.25
    speaks: bool = True  # ISO 15118-20 between car and charger
    meet: Meet | None = None  # needed where it speaks
    secure: bool = False  # TLS lies between the two
    car: Car | None = None
    session: EvSession | None = None
    ends: list[str] = field(default_factory=list)  # why sessions ended
    outlet: SeccPowerPath | CarPowerPath = field(init=False)
    hurries: bool = False  # leaves out loops that only repeat
    skipped: int = 0
    capture: Capture | None = None  # what crosses the wire, as packets
    _fast: FastForward | None = None
    _waiting: WakeableClock | None = None  # of the charger's end of the session
    _measured: Measured | None = None
    _glanced: tuple[object, ...] = ()
    _station: Station | None = None
    _broken: str | None = None  # what the station was told last
    _life: asyncio.Task[None] | None = None

    def __post_init__(self) -> None:
        if self.speaks:
            trace = self._said if self.transcript.keep else None
            self._waiting = WakeableClock(self.clock)
            self.outlet = outlet = _Outlet(self.stage, self._waiting, self._heard, trace=trace)
            outlet.wake = self.wake
        else:
            self.outlet = CarPowerPath(self.stage)

    def asked_w(self) -> float:
        """What the station asks of this EVSE now, whatever limits do to it; a magnitude."""
        asked_w = self.outlet.requested_w if isinstance(self.outlet, SeccPowerPath) else self.stage.setpoint_w
        return abs(asked_w or 0.0)

    def bind(self, station: Station) -> None:
        """Whose EVSE this is."""
        self._station = station
        if isinstance(self.outlet, SeccPowerPath):
            self.outlet.bind(station, self.number)

    async def plug(self, car: Car) -> None:
        """A car arrives. ValueError if another one is here."""
        if self.car is not None:
            raise ValueError(f"{self.evse} is taken by {self.car.name}")
        self.car = car
        car.coupled, car.metal = True, self.stage.advance
        if isinstance(self.outlet, _Outlet):
            self.outlet.car = self.outlet.secc.battery = car
            self._life = asyncio.get_running_loop().create_task(self._sessions(self.outlet, car))
        elif isinstance(self.outlet, CarPowerPath) and self._station is not None:
            self._station.plug_in(self.number, self.outlet.plug(car, self.clock.now()))

    async def unplug(self, car: Car | None = None) -> None:
        """The car leaves, whatever is going on."""
        gone, self.car = self.car, None
        if gone is None:
            return
        if isinstance(self.outlet, _Outlet):
            await self.outlet.secc.unplug()
            if self.session is not None:
                await self.session.unplug()
            self.wake()
            life, self._life = self._life, None
            if life is not None:
                with contextlib.suppress(asyncio.CancelledError):
                    await life
            self.outlet.car = self.outlet.secc.battery = None
        if self._station is not None:
            self._station.unplug(self.number)
        if isinstance(self.outlet, CarPowerPath):
            self.outlet.unplug(self.clock.now())
        gone.coupled, gone.metal = False, None
        gone.contactors_closed = False

    async def abandon(self) -> None:
        """The world ends: so does what goes on here, without a word."""
        life, self._life = self._life, None
        if life is not None:
            life.cancel()
            await asyncio.gather(life, return_exceptions=True)

    async def _sessions(self, outlet: _Outlet, car: Car) -> None:
        for _ in range(TRIES):
            link: Link[bytes] = Link()
            self.parts.join_bytes(self.evse, link)
            if self.capture is not None:
                link.spy = self._capture
            clock = WakeableClock(self.clock)
            self._fast = FastForward(clock, self.loop_s, self._waiting) if self.hurries else None
            settings = car_settings(car, loop_interval=self.loop_s, tls=self.secure)
            self.session = EvSession(car, clock, self._looped, settings=settings)
            ended = await self._session(outlet, self.session, link)
            if self._fast is not None:
                self.skipped += self._fast.skipped
                self._fast = None
            if (ended and self._broken is None) or not self._stays(car):
                return
            await self.clock.sleep(AGAIN_AFTER_S)
            while self._broken is not None and self._stays(car):  # a mended charger wakes its car
                await self.clock.sleep(AGAIN_AFTER_S)
            if not self._stays(car):
                return

    async def _session(self, outlet: _Outlet, session: EvSession, link: Link[bytes]) -> bool:
        """One session, from the first byte to the last; whether it ended well."""
        assert self.meet is not None
        async with asyncio.TaskGroup() as both:
            try:
                ev_end = await self.meet(self.evse, outlet.secc, link, both)
            except OSError as error:
                self.ends.append(f"the car found no charger: {error}")
                return False
            driving = both.create_task(session.run(ev_end))
        return driving.result().ok

    def _stays(self, car: Car) -> bool:
        return self.car is car

    # leaving out loops

    @property
    def left_out(self) -> int:
        """Turns of the charge loop that were not spoken, of all sessions so far."""
        return self.skipped + (self._fast.skipped if self._fast is not None else 0)

    def wake(self) -> None:
        """Something about this bay changed: the next turn of the charge loop is spoken."""
        if self._fast is not None:
            self._fast.wake(self.session)

    def glance(self, now: float) -> None:
        """Look whether the metal was changed from outside (grid, island, faults, supply)."""
        stage = self.stage
        if (stage.contactors is Contactors.WELDED) != (Fault.WELD in stage.faults):
            self._look_for_welds(now)
        broken = next((CODES[fault] for fault in CODES if fault in stage.faults), None)
        if broken != self._broken and self._station is not None:
            self._broken = broken
            self._station.fault(self.number, broken)
        seen = (tuple(sorted(stage.faults)), stage.grid_present, stage.island_w, stage.supply_limit_w)
        if seen != self._glanced:
            self._glanced = seen
            self.wake()

    def _look_for_welds(self, now: float) -> None:
        """Contactors that should be open and are not: seen by the voltage that stays, once nobody is served."""
        stage, outlet = self.stage, self.outlet
        served = isinstance(outlet, SeccPowerPath) and outlet.secc.connected
        if stage.contactors is not Contactors.WELDED:
            stage.reset(Fault.WELD, now)
        elif not served and (self.car is None or isinstance(outlet, SeccPowerPath)):
            stage.trip(Fault.WELD, now)

    def _looped(self, event: Event) -> None:
        fast, car, session = self._fast, self.car, self.session
        if fast is None or car is None or session is None or not isinstance(event, StationLooped):
            return
        if self.parts.unsound(self.evse):
            fast.stay()  # a turn that is left out could not be lost, doubled or late
        elif isinstance(self.outlet, _Outlet):
            fast.looped(session, self.outlet.secc, car, self.stage, self._measured)

    # the transcript

    def _heard(self, event: SeccEvent) -> None:
        if isinstance(event, Measured):
            key = (round(event.target_w, 1), event.binding, event.limits, event.soc_pct, event.current_a == 0.0)
            text = (
                f"target {event.target_w:.1f} W ({event.binding}), {event.power_w:.1f} W, {event.voltage_v:.2f} V, "
                f"{event.current_a:.3f} A, {event.soc_pct} %"
            )
            self.transcript.loop(self.clock.now(), self.evse, key, text)
            self._measured = event
        elif isinstance(event, SessionEnded):
            self.ends.append(event.reason)
            self.transcript.add(self.clock.now(), f"iso15118:{self.evse}", "session", f"ended: {event.reason}")

    def _capture(self, sender: str, data: bytes) -> None:
        if self.capture is not None and len(self.capture) < MOST_PACKETS:
            self.capture.add(self.clock.wall(), sender, data)

    def _said(self, event: MessageSent | MessageReceived) -> None:
        name = type(event.message).__name__
        if "ChargeLoop" not in name:
            sender = "secc" if isinstance(event, MessageSent) else "ev"
            code = getattr(event.message, "ResponseCode", None)
            text = name if code is None else f"{name} {getattr(code, 'name', code)}"
            self.transcript.add(self.clock.now(), f"iso15118:{self.evse}", sender, text)
