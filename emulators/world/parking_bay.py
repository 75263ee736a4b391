"""Parking bay: one EVSE of a station, its power stage, the car that is plugged in and their charging session.

With ISO 15118-20 the EVCC and SECC engines communicate over the network of the world. While the car stays, a session
that fails is retried, and one that has ended begins again at the charger's request. Without a vehicle link the car is
connected to the power stage directly. With CHAdeMO it is a `ChademoBay`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial

from emulators.charger.hardware.power_stage import Contactors, Fault, PowerStage
from emulators.charger.secc.events import Measured, NeedsStated, SeccEvent, SessionEnded
from emulators.charger.secc.secc import EvseSecc
from emulators.charger.station.chademo_power_path import ChademoPowerPath
from emulators.charger.station.power_path import CarPowerPath, Reading
from emulators.charger.station.secc_power_path import SeccPowerPath
from emulators.ev.car import Car
from emulators.ev.session import EvSession, car_settings
from emulators.faults.injection_points import InjectionPoints
from emulators.runtime.candump import CanRecording
from emulators.runtime.pcap import Capture
from emulators.runtime.transcript import Transcript
from emulators.runtime.transports import Link
from emulators.scenario.tables import VehicleLink
from emulators.world.fast_forward import FastForward, WakeableClock, limits_in_reach
from protocols.iso15118.iso20.events import ChargeLoopAnswered, Event, MessageReceived, MessageSent, PilotRequested
from protocols.ports import Clock, Wire

RETRY_AFTER_S = 10.0  # after a session that failed
MAX_SESSIONS = 20  # of one stay
MAX_PACKETS = 20_000  # of one capture
ERROR_CODES = {  # of OCPP
    Fault.INSULATION: "GroundFailure",
    Fault.WELD: "PowerSwitchFailure",
    Fault.OVERVOLTAGE: "OverVoltage",
    Fault.INTERNAL: "InternalError",
}


# Connects a vehicle at an EVSE to its SECC, which serves it as a task; returns the vehicle's end of the stream
ConnectVehicle = Callable[[str, EvseSecc, Link[bytes], asyncio.TaskGroup], Awaitable[Wire]]


class _BayPowerPath(SeccPowerPath):
    """Power path that reads power stage and car directly, with the values that a charge loop would exchange now."""

    def __init__(
        self,
        stage: PowerStage,
        clock: Clock,
        observe: Callable[[SeccEvent], None],
        wake: Callable[[], None],
        trace: Callable[[MessageSent | MessageReceived], None] | None,
    ) -> None:
        """`wake` is called when the next charge loop must be exchanged."""
        super().__init__(stage, clock, observe, trace=trace)
        self._wake = wake
        self._car: Car | None = None
        self.woken = asyncio.Event()  # a new session of the car is requested

    def connect_car(self, car: Car | None) -> None:
        """Connect a car, or none."""
        self._car = car
        self.secc.connect_battery(car)
        self.woken.clear()

    @property
    def plugged(self) -> bool:
        return self._car is not None

    def wake_vehicle(self) -> None:
        self.woken.set()

    def _on_event(self, event: SeccEvent) -> None:
        if isinstance(event, NeedsStated):
            self.woken.clear()
        super()._on_event(event)

    def set_power(self, power_w: float, now: float) -> None:
        before = self.requested_w
        super().set_power(power_w, now)
        if self.requested_w != before:
            self._wake()

    def open(self, now: float) -> None:
        super().open(now)
        self._wake()

    def close(self, now: float) -> None:
        super().close(now)
        self._wake()

    def renegotiate(self) -> bool:
        done = super().renegotiate()
        self._wake()
        return done

    def reading(self, now: float) -> Reading:
        looped, car, meter = self._measured, self._car, self.stage.meter
        if looped is None or looped.soc_pct is None or car is None:
            reported = super().reading(now)
            self.stage.advance(now)
            return reported
        charged_wh, discharged_wh = meter.charged_wh, meter.discharged_wh  # as the vehicle's last step left them
        measured, energy = self.stage.reading(now), car.energy()
        return Reading(
            power_w=measured.ac_power_w,
            charged_wh=charged_wh,
            discharged_wh=discharged_wh,
            voltage_v=measured.voltage_v,
            current_a=measured.current_a,
            soc_pct=looped.soc_pct,
            min_v2x_energy_wh=energy.minimum_v2x_wh,
            max_v2x_energy_wh=energy.maximum_v2x_wh,
        )


ISO15118: VehicleLink = "iso15118-20"


@dataclass(frozen=True, slots=True)
class BaySettings:
    """Vehicle communication of one parking bay."""

    loop_interval_s: float = 0.25
    vehicle_link: VehicleLink = ISO15118
    tls: bool = False
    fast_forward: bool = False  # skip charge loops that only repeat the one before


@dataclass
class ParkingBay:
    """One EVSE. `plug` and `unplug` may be called at any time."""

    evse: str
    stage: PowerStage
    clock: Clock
    transcript: Transcript
    injection_points: InjectionPoints
    settings: BaySettings = field(default_factory=BaySettings)
    connect_vehicle: ConnectVehicle | None = None  # needed with ISO 15118
    capture: Capture | None = None  # packets of the sessions
    car: Car | None = None
    session: EvSession | None = None
    session_ends: list[str] = field(default_factory=list)  # reasons of ended sessions
    power_path: SeccPowerPath | ChademoPowerPath | CarPowerPath = field(init=False)
    _fast: FastForward | None = None
    _skipped: int = 0  # charge loops of ended sessions
    _secc_clock: WakeableClock | None = None
    _measured: Measured | None = None
    _stage_state: tuple[object, ...] = ()  # at the last update
    _error_code: str | None = None  # reported to the station last
    _sessions: asyncio.Task[None] | None = None

    def __post_init__(self) -> None:
        if self.settings.vehicle_link == ISO15118:
            trace = self._record_message if self.transcript.keep else None
            self._secc_clock = WakeableClock(self.clock)
            self.power_path = _BayPowerPath(self.stage, self._secc_clock, self._record_secc_event, self.wake, trace)
        else:
            self.power_path = CarPowerPath(self.stage)

    @property
    def recorded(self) -> Capture | CanRecording | None:
        """Recording of the communication with the vehicles, if it is kept."""
        return self.capture

    def requested_w(self) -> float:
        """Return the magnitude of the power that the station requests of this EVSE, before limits."""
        path = self.power_path
        return abs((self.stage.setpoint_w if isinstance(path, CarPowerPath) else path.requested_w) or 0.0)

    async def plug(self, car: Car) -> None:
        """Plug a car in; ValueError if another one is plugged in."""
        if self.car is not None:
            raise ValueError(f"{self.evse} is occupied by {self.car.name}")
        self.car = car
        car.couple(self.stage.advance)
        if isinstance(self.power_path, _BayPowerPath):
            self.power_path.connect_car(car)
            self._sessions = asyncio.get_running_loop().create_task(self._run_sessions(self.power_path, car))
        elif isinstance(self.power_path, CarPowerPath) and (station := self.power_path.station) is not None:
            station.plug_in(self.power_path.number, self.power_path.plug(car, self.clock.now()))

    async def unplug(self, car: Car | None = None) -> None:
        """Unplug the car at any stage of its session."""
        leaving, self.car = self.car, None
        if leaving is None:
            return
        if isinstance(self.power_path, _BayPowerPath):
            await self.power_path.secc.unplug()
            if self.session is not None:
                await self.session.unplug()
            self.wake()
            self.power_path.wake_vehicle()  # ends the wait for a request, too
            sessions, self._sessions = self._sessions, None
            if sessions is not None:
                with contextlib.suppress(asyncio.CancelledError):
                    await sessions
            self.power_path.connect_car(None)
        if self.power_path.station is not None:
            self.power_path.station.unplug(self.power_path.number)
        if isinstance(self.power_path, CarPowerPath):
            self.power_path.unplug(self.clock.now())
        leaving.decouple()
        leaving.contactors_closed = False

    async def abandon(self) -> None:
        """Cancel the session at the end of the world."""
        sessions, self._sessions = self._sessions, None
        if sessions is not None:
            sessions.cancel()
            await asyncio.gather(sessions, return_exceptions=True)

    async def _run_sessions(self, power_path: _BayPowerPath, car: Car) -> None:
        for _ in range(MAX_SESSIONS):
            link: Link[bytes] = Link(on_write=None if self.capture is None else self._capture_packet)
            self.injection_points.attach_vehicle(self.evse, link)
            clock = WakeableClock(self.clock)
            self._fast = (
                FastForward(clock, self.settings.loop_interval_s, self._secc_clock)
                if self.settings.fast_forward
                else None
            )
            settings = car_settings(car, loop_interval=self.settings.loop_interval_s, tls=self.settings.tls)
            self.session = EvSession(car, clock, self._on_ev_event, settings=settings)
            ok = await self._run_session(power_path, self.session, link)
            if self._fast is not None:
                self._skipped += self._fast.skipped
                self._fast = None
            if ok and self._error_code is None:
                await power_path.woken.wait()
            elif self.car is car:
                await self.clock.sleep(RETRY_AFTER_S)
            while self._error_code is not None and self.car is car:  # until the fault is cleared
                await self.clock.sleep(RETRY_AFTER_S)
            if self.car is not car:
                return

    async def _run_session(self, power_path: _BayPowerPath, session: EvSession, link: Link[bytes]) -> bool:
        """Run one session to its end; return whether it succeeded."""
        assert self.connect_vehicle is not None
        async with asyncio.TaskGroup() as tasks:
            try:
                ev_end = await self.connect_vehicle(self.evse, power_path.secc, link, tasks)
            except OSError as error:
                self.session_ends.append(f"no connection to the charger: {error}")
                return False
            driving = tasks.create_task(session.run(ev_end))
        return driving.result().ok

    # Skipping of charge loops

    @property
    def skipped_loops(self) -> int:
        """Charge loops of all sessions that were not exchanged."""
        return self._skipped + (self._fast.skipped if self._fast is not None else 0)

    def wake(self) -> None:
        """Exchange the next charge loop: something about this bay changed."""
        if self._fast is not None:
            self._fast.wake(self.session)

    def update(self, now: float) -> None:
        """Apply changes of the power stage from outside (grid, island, faults, supply) to station and session."""
        stage = self.stage
        if (stage.contactors is Contactors.WELDED) != (Fault.WELD in stage.faults):
            self._detect_weld(now)
        error_code = next((code for fault, code in ERROR_CODES.items() if fault in stage.faults), None)
        if error_code != self._error_code and self.power_path.station is not None:
            self._error_code = error_code
            self.power_path.station.fault(self.power_path.number, error_code)
        state = self._conditions_of_stage()
        if state != self._stage_state:
            self._stage_state = state
            self.wake()

    def _conditions_of_stage(self) -> tuple[object, ...]:
        """Return what is to be exchanged with the vehicle when it changes."""
        stage = self.stage
        return (tuple(sorted(stage.faults)), stage.grid_present, stage.island_w, stage.supply_limit_w)

    def _detect_weld(self, now: float) -> None:
        """Trip on contactors that stay closed, which the voltage shows once no vehicle is served."""
        stage, power_path = self.stage, self.power_path
        if stage.contactors is not Contactors.WELDED:
            stage.reset(Fault.WELD, now)
        elif self.car is None if isinstance(power_path, CarPowerPath) else not power_path.connected:
            stage.trip(Fault.WELD, now)

    def _on_ev_event(self, event: Event) -> None:
        fast, car, session = self._fast, self.car, self.session
        if isinstance(event, PilotRequested) and isinstance(self.power_path, _BayPowerPath):
            self.power_path.secc.set_pilot(event.state)
        if fast is None or car is None or session is None or not isinstance(event, ChargeLoopAnswered):
            return
        if self.injection_points.impairs_vehicle_link(self.evse):
            fast.exchange_next()  # a skipped loop could not be lost, duplicated or delayed
        elif isinstance(self.power_path, _BayPowerPath):
            fast.looped(session, self.power_path.secc, car, self.stage, self._measured)

    # Transcript

    def _record_secc_event(self, event: SeccEvent) -> None:
        if isinstance(event, Measured):
            limits = limits_in_reach(event.limits, self.stage)
            key = (round(event.target_w, 1), event.binding, limits, event.soc_pct, event.current_a == 0.0)
            self.transcript.loop(self.clock.now(), self.evse, key, partial(_loop_text, event))
            self._measured = event
        elif isinstance(event, SessionEnded):
            self.session_ends.append(event.reason)
            self.transcript.add(self.clock.now(), f"iso15118:{self.evse}", "session", f"ended: {event.reason}")

    def _capture_packet(self, sender: str, data: bytes) -> None:
        if self.capture is not None and len(self.capture) < MAX_PACKETS:
            self.capture.add(self.clock.wall(), sender, data)

    def _record_message(self, event: MessageSent | MessageReceived) -> None:
        name = type(event.message).__name__
        if "ChargeLoop" not in name:
            sender = "secc" if isinstance(event, MessageSent) else "ev"
            code = getattr(event.message, "ResponseCode", None)
            text = name if code is None else f"{name} {getattr(code, 'name', code)}"
            self.transcript.add(self.clock.now(), f"iso15118:{self.evse}", sender, text)


def _loop_text(event: Measured) -> str:
    return (
        f"target {event.target_w:.1f} W ({event.binding}), {event.power_w:.1f} W, {event.voltage_v:.2f} V, "
        f"{event.current_a:.3f} A, {event.soc_pct} %"
    )
