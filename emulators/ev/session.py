"""ISO 15118 or DIN 70121 session of an emulated vehicle: couples the EVCC engine with its settings and battery.

::

    session = EvSession(Car(soc_pct=80), clock, observe=print)
    ended = await session.run(wire)              # over TCP: wire = await io.connect("::1", 65000)
    session.stop(); session.renegotiate(); await session.unplug()

Events are those of the engine (`protocols.iso15118.iso20.events`), the last one is `SessionEnded`. The battery
integrates the current of the charge loop responses (with AC, the target power of the charger). The vehicle model is
`car.py`, the engine `protocols.iso15118.evcc`; the vehicle offers the protocols of its model, in its order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from emulators.ev.car import Car
from emulators.ev.charger_check import REFUSED, ChargerCheck, ChargerOutput
from emulators.runtime.wrapped_wire import WrappedWire
from protocols.iso15118.app_protocol import Protocol
from protocols.iso15118.evcc import Engine, Evcc
from protocols.iso15118.iso20 import evcc as iso20
from protocols.iso15118.iso20 import events, orders
from protocols.iso15118.iso20.common import ChargingSession
from protocols.iso15118.iso20.evcc_session import EvccSettings
from protocols.iso15118.iso20.limits import Limits, allowed
from protocols.iso15118.iso20.loop import Display
from protocols.iso15118.iso20.services import NAMES
from protocols.iso15118.iso20.setpoint import EnergyRequests, decide
from protocols.iso15118.iso20.states import Step
from protocols.iso15118.iso20.types import EVSENotification
from protocols.iso15118.pump.io import pump
from protocols.latest import Latest
from protocols.ports import Clock, Wire
from protocols.quantities import clamp

AC_MAX_W = 11_000.0  # three-phase on-board converter, both ways
AC_MIN_W = 1_380.0  # 6 A on one phase
AC_PHASES = 3
MIN_CHARGING_W = 50.0  # a lower power does not count as charging
PROTOCOLS = ("iso20", "iso2", "din")
MAX_LOOP_INTERVAL_S = 0.25  # between a loop response and the next request


def car_settings(car: Car, **changes: object) -> EvccSettings:
    """Return the engine settings of a vehicle model; `changes` are fields of EvccSettings."""
    quirks = car.spec.quirks
    ignores = frozenset(EVSENotification) if quirks.ignores_stop else frozenset[EVSENotification]()
    settings = EvccSettings(
        evccid=car.spec.evcc_id,
        services=tuple(NAMES[name] for name in car.spec.services if name in NAMES),
        loop_interval=min(car.spec.loop_s, MAX_LOOP_INTERVAL_S),
        ignores=ignores,
        negative_discharge_limits=quirks.negative_discharge_limits,
    )
    return replace(settings, **changes)  # type: ignore[arg-type]


class EvSession:
    """One session of one vehicle. `loops`: stop after this many charge loops; `trace`: report every message as well."""

    def __init__(
        self,
        car: Car,
        clock: Clock,
        observe: Callable[[events.Event], None] | None = None,
        *,
        settings: EvccSettings | None = None,
        protocols: Sequence[str] | None = None,
        loops: int | None = None,
        trace: bool = False,
    ) -> None:
        self.car = car
        self.settings = settings or car_settings(car)
        if trace:
            self.settings = replace(self.settings, trace=True)
        self.protocols = tuple(one for one in protocols or car.spec.protocols if one in PROTOCOLS)
        self._evcc: Evcc | None = None
        self.ended: events.SessionEnded | None = None
        self.paused: events.Paused | None = None
        self.loops = 0
        self._clock = clock
        self._observe = observe
        self._max_loops = loops
        self._wire: Wire | None = None
        self._inlet_v = 0.0
        self._ac_power_w = 0.0
        self._flow_w = 0.0
        self._began = 0.0
        self._renegotiated_at = 0.0
        self._check = ChargerCheck()
        self.requested_power_w: float | None = None  # scheduled control: of the driver; None: by the schedule
        self._latest_state = Latest(_state_of)

    @property
    def engine(self) -> Engine | None:
        """The engine of the session; None before it."""
        return None if self._evcc is None else self._evcc.engine

    # Commands

    def stop(self, explanation: str | None = None) -> None:
        """End the session."""
        self._command(orders.Stop(ChargingSession.Terminate, None, explanation))

    def pause(self, explanation: str | None = None) -> None:
        """Pause the session; `paused` then has what a later session resumes."""
        self._command(orders.Stop(ChargingSession.Pause, None, explanation))

    def standby(self, enter: bool = True) -> None:
        """Enter or leave standby."""
        self._command(orders.EnterStandby() if enter else orders.LeaveStandby())

    def renegotiate(self, *, services: bool = False, multiplexed: bool = True) -> None:
        self._command(
            orders.Stop(ChargingSession.ServiceRenegotiation) if services else orders.Renegotiate(multiplexed)
        )

    async def unplug(self) -> None:
        """Disconnect without ending the session."""
        self._open_contactors()
        self._command(orders.Abort("unplugged"))
        if self._wire is not None:
            await self._wire.close()

    # Session

    async def run(self, wire: Wire) -> events.SessionEnded:
        """Run one session over `wire` to its end; return how it ended."""
        now = self._clock.now()
        self.car.plug()
        self._wire, self._began, self._renegotiated_at = wire, now, now
        self._inlet_v = self._ac_power_w = 0.0
        self._check = ChargerCheck()
        self._evcc = evcc = self._build(now)
        quirks = self.car.spec.quirks
        if quirks.late_frames_s or quirks.silent_after_s is not None:
            wire = _QuirkyWire(wire, self._clock, quirks.late_frames_s, quirks.silent_after_s)
        try:
            await pump(evcc, wire, self._clock, self._report, self._prepare)
        finally:
            self._open_contactors()
        if self.ended is None:
            self.ended = events.SessionEnded(reason="cancelled", ok=False)
        return self.ended

    def _build(self, now: float) -> Evcc:
        """Return the engines of the protocols that the vehicle offers."""
        settings, state = self.settings, self._state(now)
        engines: list[Engine] = []
        offered: dict[str, list[Protocol]] = {}
        if "iso20" in self.protocols:
            modern = iso20.Evcc(settings, state, now, epoch=self._clock.wall() - now)
            engines.append(modern)
            offered["iso20"] = list(modern.protocols())
        if {"iso2", "din"} & set(self.protocols):
            from emulators.ev import older_engine  # loaded only for these protocols

            older = older_engine.build(settings, state, now, self.protocols)
            engines.append(older)
            offered |= older_engine.offered(older)
        return Evcc(engines, [protocol for name in self.protocols for protocol in offered.get(name, ())])

    def _prepare(self, now: float) -> None:
        engine, car, quirks = self.engine, self.car, self.car.spec.quirks
        if engine is None or engine.ended:
            return
        car.advance(now)
        reason = car.session_end_reason()
        if reason is not None and engine.session.stop is None:
            engine.command(orders.Stop(ChargingSession.Terminate, None, reason), now)
        every = quirks.renegotiates_every_s
        possible = engine.step == Step.CHARGE_LOOP and engine.renegotiates
        if every is not None and now - self._renegotiated_at >= every and possible:
            self._renegotiated_at = now
            engine.command(orders.Renegotiate(), now)
        engine.command(self._state(now), now)

    def _state(self, now: float) -> orders.CarState:
        """Return the state and the targets: the same object as long as nothing of them changes."""
        car = self.car
        return self._latest_state(
            self._limits(),
            car.energy(),
            car.departure_in_s(now),
            _BatteryState(
                car.reported_soc_pct,
                car.min_soc_pct,
                car.target_soc_pct,
                car.spec.max_soc_pct,
                car.voltage_v,
                car.capacity_wh,
            ),
            self._inlet_v,
            self._ac_power_w,
            self.requested_power_w,
            self._flow_w,
        )

    def _limits(self) -> Limits:
        now = self.car.limits()
        if self._is_dc:
            return now
        charge, discharge = min(now.max_charge_w, AC_MAX_W), min(now.max_discharge_w, AC_MAX_W)
        return Limits(
            max_charge_w=charge,
            min_charge_w=min(AC_MIN_W, charge),
            max_discharge_w=discharge,
            min_discharge_w=min(AC_MIN_W, discharge),
            phases=AC_PHASES,
        )

    @property
    def ac_power_w(self) -> float:
        """Power of the vehicle's own converter, as the last charge loop decided it."""
        return self._ac_power_w

    @property
    def _is_dc(self) -> bool:
        choice = self.engine.session.choice if self.engine is not None else None
        return self.settings.services[0].name.startswith("DC") if choice is None else choice.is_dc

    def _report(self, reported: Sequence[object]) -> None:
        for event in reported:
            if isinstance(event, events.ChargeLoopAnswered):
                self._looped(event)
            elif isinstance(event, events.VoltageMatched):
                self._inlet_v = event.voltage_v
            elif isinstance(event, events.PowerStarted):
                self.car.contactors_closed = True
            elif isinstance(event, events.PowerStopped):
                self._open_contactors()
            elif isinstance(event, events.SessionPaused):
                self.paused = event.kept
            elif isinstance(event, events.SessionEnded):
                self.ended = event
            if self._observe is not None:
                self._observe(event)  # type: ignore[arg-type]

    def _looped(self, event: events.ChargeLoopAnswered) -> None:
        now, car, charger, engine = self._clock.now(), self.car, event.station, self.engine
        assert engine is not None
        self.loops += 1
        if charger.present_current_a is not None:
            self._flow_w = charger.present_current_a * car.voltage_v
            car.set_current(charger.present_current_a, now)
            car.check_current(charger.present_current_a)
            self._check_charger(charger.present_current_a, charger.present_voltage_v, now)
        else:
            is_bpt = engine.session.agreed.is_bpt
            wanted = min(charger.target_power_w or 0.0, charger.present_power_w or 0.0)
            self._refuse(self._check.ac_refusal(wanted, discharge_agreed=is_bpt, now=now))
            limits = self._limits() if is_bpt else self._limits().charge_only()
            target = _ac_target(engine, charger.target_power_w, now)
            self._ac_power_w = decide(target, allowed(limits, charger.limits)).power_w
            self._flow_w = self._ac_power_w
            car.set_current(self._ac_power_w / max(car.voltage_v, 1.0), now)
        if self._max_loops is not None and self.loops >= self._max_loops:
            self.stop()

    def _check_charger(self, current_a: float, voltage_v: float | None, now: float) -> None:
        """End the session if the charger does what is physically wrong."""
        assert self.engine is not None
        output = ChargerOutput(
            current_a=current_a,
            voltage_v=voltage_v,
            battery_v=self.car.voltage_v,
            contactors_closed=self.car.contactors_closed,
            discharge_agreed=self.engine.session.agreed.is_bpt,
            limits=self._limits(),
        )
        self._refuse(self._check.refusal(output, now))

    def _refuse(self, reason: str | None) -> None:
        if reason is not None:
            self._command(orders.Stop(ChargingSession.Terminate, REFUSED, reason))

    def _open_contactors(self) -> None:
        self.car.set_current(0.0, self._clock.now())
        self.car.contactors_closed = False
        self._ac_power_w = self._inlet_v = self._flow_w = 0.0

    def _command(self, order: orders.EvccOrder) -> None:
        if self.engine is not None and not self.engine.ended:
            self.engine.command(order, self._clock.now())


class _BatteryState(NamedTuple):
    soc_pct: float  # as reported
    minimum_soc_pct: float
    target_soc_pct: float
    maximum_soc_pct: float
    voltage_v: float
    capacity_wh: float


def _state_of(
    limits: Limits,
    energy: EnergyRequests,
    departure_s: float | None,
    battery: _BatteryState,
    inlet_voltage_v: float,
    ac_power_w: float,
    requested_power_w: float | None,
    flow_w: float,
) -> orders.CarState:
    """Return the state; `flow_w` is the present power, for which the times on the display are calculated."""
    complete = battery.soc_pct >= battery.maximum_soc_pct
    display = Display(
        present_soc_pct=battery.soc_pct,
        minimum_soc_pct=battery.minimum_soc_pct,
        target_soc_pct=max(battery.target_soc_pct, battery.minimum_soc_pct),
        maximum_soc_pct=battery.maximum_soc_pct,
        to_minimum_s=_time_for(energy.minimum_wh, flow_w),
        to_target_s=_time_for(energy.target_wh, flow_w),
        to_maximum_s=_time_for(energy.maximum_wh, flow_w),
        complete=complete,
        capacity_wh=battery.capacity_wh,
    )
    return orders.CarState(
        limits=limits,
        needs=energy,
        departure_s=departure_s,
        soc_pct=battery.soc_pct,
        minimum_soc_pct=battery.minimum_soc_pct,
        target_soc_pct=battery.target_soc_pct,
        maximum_soc_pct=battery.maximum_soc_pct,
        voltage_v=battery.voltage_v,
        inlet_voltage_v=inlet_voltage_v,
        power_w=ac_power_w,
        requested_power_w=requested_power_w,
        complete=complete,
        capacity_wh=battery.capacity_wh,
        display=display,
    )


def _time_for(energy_wh: float, flow_w: float) -> int | None:
    if energy_wh <= 0:
        return 0
    return None if flow_w <= MIN_CHARGING_W else int(energy_wh * 3600 / flow_w)


def _ac_target(engine: Engine, target_w: float | None, now: float) -> float:
    """Return the AC power: that of the charger in dynamic control, else the vehicle's profile within it."""
    if engine.session.agreed.is_dynamic:
        return target_w or 0.0
    planned = engine.planned_power(now)
    return planned if target_w is None else clamp(planned, min(target_w, 0.0), max(target_w, 0.0))


class _QuirkyWire(WrappedWire):
    """Wire of a vehicle with the quirks `late_frames_s` and `silent_after_s`."""

    def __init__(self, wire: Wire, clock: Clock, late_s: float, silent_after_s: float | None) -> None:
        super().__init__(wire)
        self._clock, self._late_s = clock, late_s
        self._silent_from = None if silent_after_s is None else clock.now() + silent_after_s

    async def write(self, data: bytes) -> None:
        if self._late_s:
            await self._clock.sleep(self._late_s)
        if self._silent_from is None or self._clock.now() < self._silent_from:
            await self._wire.write(data)
