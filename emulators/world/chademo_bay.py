"""Parking bay of a station whose cars use CHAdeMO: both engines over the converter of the EVSE, on a CAN bus in memory.

Cycles of 100 ms run in steps of the clock. While the car stays, a session that failed is begun again, and one that has
ended begins again at the station's request. In fast-forward, cycles that only repeat the last ones are skipped: any
change of the set-point, of the car's limits, of the converter or of the link ends that.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from emulators.battery.pack import Pack
from emulators.charger.chademo.pair import Conditions, Pair
from emulators.charger.chademo.stage_side import StageSide
from emulators.charger.hardware.power_stage import Fault
from emulators.charger.station.chademo_power_path import AT_REST, ChademoPowerPath
from emulators.ev.car import Car
from emulators.ev.chademo import profile_of
from emulators.runtime.can_link import CanLink
from emulators.runtime.candump import CanRecording
from emulators.world.parking_bay import MAX_SESSIONS, RETRY_AFTER_S, ParkingBay
from protocols.can import CanFrame
from protocols.chademo import timers
from protocols.chademo.events import Event, SessionEnded, StateEntered, Stopping
from protocols.chademo.states import ChargerState, VehicleState
from protocols.chademo.vehicle import Vehicle
from protocols.chademo.vehicle_session import ResetVehicle, StopVehicle

STEADY_S = 0.5  # of cycles that repeat, before cycles are skipped
MIN_SKIP_S, MAX_SKIP_S = 4.0, 60.0  # it grows while nothing interrupts it
ENDED_WITHIN_S = 20.0  # of engine time, after the plug was pulled
_VEHICLE_AT_REST = frozenset({VehicleState.SLEEP, VehicleState.PLUGGED, VehicleState.ENDED, VehicleState.FAULT})


@dataclass
class ChademoBay(ParkingBay):
    """One EVSE with CHAdeMO. `plug` and `unplug` may be called at any time."""

    recording: CanRecording | None = None  # frames of the sessions
    pair: Pair | None = None
    skipped_s: float = 0.0  # of cycles that were not exchanged
    _path: ChademoPowerPath = field(init=False)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _skipping: bool = False
    _skip_s: float = MIN_SKIP_S
    _steady: tuple[object, ...] = ()
    _steady_since: float = 0.0
    _noted: int = 0  # events of the pair that were processed
    _ok: bool = True  # the last session ended well
    _starts: int = 0
    _limits: tuple[object, ...] = ()

    def __post_init__(self) -> None:
        self.power_path = self._path = ChademoPowerPath(self.stage, self._record)
        self._path.wake = self.wake

    @property
    def recorded(self) -> CanRecording | None:
        """Frames of the sessions, if they are kept."""
        return self.recording

    # the vehicle

    async def plug(self, car: Car) -> None:
        """Plug a car in; ValueError if another one is plugged in."""
        if self.car is not None:
            raise ValueError(f"{self.evse} is occupied by {self.car.name}")
        self.car = car
        car.plug()
        car.couple(self.stage.advance)
        self._path.plugged_in(car)
        side: StageSide[Pack] = StageSide(
            car.pack, stage=self.stage, clock=self.clock, on_contactors=self._contactors_moved
        )
        pair = Pair(self._path.engine, Vehicle(profile_of(car)), side, now=self.clock.now())
        link = CanLink()
        self.injection_points.attach_can(self.evse, link)
        pair.carry = self._carrier(link)
        pair.conditions = self._conditions(car)
        self.pair, self._noted, self._starts, self._ok = pair, 0, 0, True
        self._path.order = pair.order
        pair.refresh()
        self._sessions = asyncio.get_running_loop().create_task(self._run(pair, car))
        self._begin()

    async def unplug(self, car: Car | None = None) -> None:
        """Unplug the car at any stage of its session."""
        leaving, pair = self.car, self.pair
        if leaving is None or pair is None:
            return
        self.wake()
        pair.conditions = replace(pair.conditions, plugged=False)
        pair.refresh()
        self._process(pair)
        sessions, self._sessions, self.car = self._sessions, None, None
        if sessions is not None:
            sessions.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sessions
        self._finish(pair)
        self.pair = self._path.order = None
        self._path.unplugged(self.clock.now())
        leaving.decouple()
        leaving.contactors_closed = False

    def _finish(self, pair: Pair) -> None:
        """Let both sides end after the plug was pulled."""
        pair.run(ENDED_WITHIN_S, until=_at_rest)
        self._process(pair)
        self._path.steer(self.clock.now())

    def _begin(self) -> None:
        """Begin a session, if neither the converter nor the number of failures prevents it."""
        pair = self.pair
        if pair is None or self._error_code is not None or self._starts >= MAX_SESSIONS:
            return
        self._starts += 1
        if pair.vehicle.session.service_lock is not None or pair.vehicle.state is VehicleState.FAULT:
            pair.order_vehicle(ResetVehicle())
        self._path.wake_vehicle()

    def _contactors_moved(self, closed: bool) -> None:
        if self.car is not None:
            self.car.contactors_closed = closed

    def _conditions(self, car: Car) -> Conditions:
        """Return what car and converter report besides voltage, current and state of charge."""
        limits, faults = car.limits(), self.stage.faults
        serious = next((fault for fault in (Fault.INTERNAL, Fault.OVERVOLTAGE) if fault in faults), None)
        return Conditions(
            max_charge_a=limits.max_charge_a,
            max_discharge_a=limits.max_discharge_a,
            earth_fault=Fault.INSULATION in faults,
            malfunction="" if serious is None else serious.value,
            soc_pct=car.reported_soc_pct if car.spec.quirks.frozen_soc else None,
        )

    # cycles

    async def _run(self, pair: Pair, car: Car) -> None:
        while self.car is car:
            self._advance(pair, car)
            self._changed.clear()
            pause = self._pause_s(pair)
            with contextlib.suppress(TimeoutError):
                async with self.clock.timeout_at(None if pause is None else self.clock.now() + pause):
                    await self._changed.wait()
            if self._skipping:
                self._resume()
            if _at_rest(pair) and not self._ok:
                self._begin()

    def _advance(self, pair: Pair, car: Car) -> None:
        """Exchange the cycles up to now."""
        pair.run(self.clock.now() - pair.now)
        self._process(pair)
        self._path.steer(self.clock.now())
        if (reason := car.session_end_reason()) is not None:
            pair.order_vehicle(StopVehicle(reason))

    def _pause_s(self, pair: Pair) -> float | None:
        """Return the time to the next cycle that must be exchanged; None: when something changes."""
        now = self.clock.now()
        if _at_rest(pair):
            self._skipping = True
            return None if self._ok else RETRY_AFTER_S
        steady = self._steady_state(pair)
        if steady is None or steady != self._steady:
            self._steady, self._steady_since = steady or (), now
        elif self.settings.fast_forward and now - self._steady_since >= STEADY_S:
            self._skipping = True
            pause, self._skip_s = self._skip_s, min(MAX_SKIP_S, self._skip_s * 2)
            return pause
        return timers.CYCLE

    def _steady_state(self, pair: Pair) -> tuple[object, ...] | None:
        """Return what the frames of a cycle depend on but measurements; None where cycles must be exchanged."""
        charger, vehicle = self._path.session, pair.vehicle.session
        if charger.state is not ChargerState.POWER or vehicle.state is not VehicleState.POWER:
            return None
        if (
            not self._path.settled
            or charger.keep_alive_until > pair.now
            or self.injection_points.impairs_can(self.evse)
        ):
            return None
        return (
            (charger.requested_a, charger.current_a, charger.offered_a, charger.max_charge_a, charger.max_discharge_a),
            (charger.charge_blocked, charger.discharge_blocked, charger.voltage_blocked),
            (vehicle.request_a, vehicle.ceiling_a, self.stage.current_a == 0.0),
        )

    def _resume(self) -> None:
        """Exchange cycles again."""
        self._skipping, self._steady = False, ()
        pair, now = self.pair, self.clock.now()
        if pair is not None and now > pair.now:
            self.skipped_s += now - pair.now
            pair.skip_to(now)
            if self.recording is not None and not _at_rest(pair):
                self.recording.repeat(self.clock.wall())

    def wake(self) -> None:
        """Exchange the next cycles: something about this bay changed."""
        if self._skipping:
            self._resume()
            self._skip_s = MIN_SKIP_S
            self._changed.set()

    def update(self, now: float) -> None:
        """Apply changes of the converter and of the car."""
        super().update(now)
        car, pair = self.car, self.pair
        if car is None or pair is None:
            return
        conditions = self._conditions(car)
        limits = (conditions, round(car.reported_soc_pct), self._path.wanted_a())
        if limits != self._limits:
            self._limits = limits
            self.wake()
            pair.conditions = conditions
            self._path.steer(now)
        if self.stage.current_a:
            car.check_current(self.stage.current_a)

    def _conditions_of_stage(self) -> tuple[object, ...]:
        stage = self.stage  # a changed power in an island changes no frame but the measurements
        return (tuple(sorted(stage.faults)), stage.grid_present, stage.island_w is None, stage.supply_limit_w)

    # frames

    def _carrier(self, link: CanLink) -> Callable[[str, CanFrame], Iterable[tuple[float, CanFrame]]]:
        def carry(sender: str, frame: CanFrame) -> Iterable[tuple[float, CanFrame]]:
            if self.recording is not None:
                self.recording.add(self.clock.wall(), frame)
            late = 0.0
            if sender == "vehicle" and self.car is not None and self.pair is not None:
                quirks, session = self.car.spec.quirks, self.pair.vehicle.session
                if quirks.silent_after_s is not None and self.pair.now - session.started_at >= quirks.silent_after_s:
                    return ()
                late = quirks.late_frames_s
            return [(late + delay, arriving) for delay, arriving in link.deliveries(sender, frame)]

        return carry

    # events

    def _process(self, pair: Pair) -> None:
        """Pass the new events on."""
        while self._noted < len(pair.log):
            _, side, event = pair.log[self._noted]
            self._noted += 1
            if side == "charger":
                self._path.on_event(event)
            if isinstance(event, StateEntered | Stopping):
                text = event.state.value if isinstance(event, StateEntered) else f"stop: {event.stop.text}"
                self.transcript.add(self.clock.now(), f"chademo:{self.evse}", side, text)

    def _record(self, event: Event) -> None:
        if isinstance(event, SessionEnded):
            self._ok = event.ok
            self._starts = 0 if event.ok else self._starts
            self.session_ends.append(event.stop.text)
            self.transcript.add(self.clock.now(), f"chademo:{self.evse}", "session", f"ended: {event.stop.text}")


def _at_rest(pair: Pair) -> bool:
    return pair.charger.state in AT_REST and pair.vehicle.state in _VEHICLE_AT_REST
