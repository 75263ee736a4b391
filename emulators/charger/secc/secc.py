"""SECC of one emulated EVSE: serves the cars that connect and controls its power stage.

The interface for a station or a program, which needs no other part of ISO 15118::

    secc = EvseSecc(stage, clock, observe=print)          # events below, in the order they happen
    server = await listen(secc.serve, "::1", 0)           # or `await secc.serve(wire)` for any wire
    secc.set_power(-5_000)                                # live set-point at the grid side, W, - discharges
    secc.authorize(True)                                  # if built with `free_vend=False`
    secc.terminate("reservation ends"); secc.renegotiate()
    secc.unplug()                                         # the cable is disconnected: the session ends at once

Events: `VehicleIdentified`, `AuthorizationRequested`, `NeedsStated`, `ChargingStarted`, `Measured` (once per loop),
`ChargingStopped`, `StandbyEntered`, `SessionEnded`. Power is signed, + into the vehicle; limits are magnitudes. In
dynamic control the set-point is applied within the limits of both sides. In scheduled control it becomes a new
schedule, offered by renegotiation, and limits the power at once. The protocol engine is
`protocols.iso15118.iso20.secc`, the converter `hardware/power_stage.py`. Independent of OCPP.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from emulators.battery.pack import Battery
from emulators.charger.hardware.power_stage import PowerStage
from emulators.charger.secc.events import (
    AuthorizationRequested,
    ChargingStarted,
    ChargingStopped,
    Measured,
    NeedsStated,
    SeccEvent,
    SessionEnded,
    SetpointRefused,
    StandbyEntered,
    VehicleIdentified,
)
from emulators.charger.secc.evse_hardware import EvseHardware, is_dc, stage_settings
from protocols.iec61851 import PilotState
from protocols.iso15118.first_message import WaitingConnections
from protocols.iso15118.iso20 import events, orders
from protocols.iso15118.iso20.limits import PowerRange
from protocols.iso15118.iso20.secc_session import Evse, SeccSettings, Verdict
from protocols.iso15118.iso20.setpoint import decide
from protocols.iso15118.iso20.states import State
from protocols.iso15118.iso20.types import EVSENotification
from protocols.iso15118.pump.io import pump
from protocols.iso15118.secc import Engine, Secc
from protocols.iso15118.secc_engines import PROTOCOLS, engines
from protocols.iso15118.secc_setpoint import NOTICE_S, SeccSetpoint
from protocols.ports import Clock, Wire


class EvseSecc:
    """SECC of one EVSE. `battery`: the battery of an emulated car; None uses the values of the session."""

    def __init__(
        self,
        stage: PowerStage,
        clock: Clock,
        observe: Callable[[SeccEvent], None] | None = None,
        *,
        settings: SeccSettings | None = None,
        protocols: Sequence[str] = PROTOCOLS,
        tolerance: str = "interop",
        free_vend: bool = True,
        cable_check_s: float = 1.0,
        battery: Battery | None = None,
        trace: Callable[[events.MessageSent | events.MessageReceived], None] | None = None,
    ) -> None:
        self.stage = stage
        self.settings = settings or stage_settings(stage)
        self.protocols, self._tolerance = tuple(protocols), tolerance
        if trace is not None:
            self.settings = replace(self.settings, trace=True)
        self.hardware = EvseHardware(stage, clock, battery, cable_check_s)
        self._port: Secc | None = None
        self._clock = clock
        self._observe: Callable[[SeccEvent], object] = observe or (lambda event: None)
        self._trace = trace
        self._free_vend = free_vend
        self._setpoint = SeccSetpoint(stage.spec.max_charge_w, stage.spec.max_discharge_w, clock)
        self._paused: dict[bytes, events.Paused] = {}
        self._wire: Wire | None = None
        self._waiting = WaitingConnections()
        self._pausing = False
        self._headroom: PowerRange | None = None  # power range of the last charge loop
        self._pilot: PilotState | None = None  # None: not measured

    @property
    def engine(self) -> Engine | None:
        """The engine of the present session; None without a connection."""
        return None if self._port is None else self._port.engine

    # commands

    @property
    def connected(self) -> bool:
        """True while a car is connected."""
        return self.engine is not None

    def set_power(self, power_w: float | None) -> None:
        """Set the set-point at the grid side, also for later cars. None: what the car requests."""
        if power_w == self._setpoint.power_w:
            return
        self._setpoint.power_w = power_w
        if self.engine is not None:
            self._setpoint.send(self.engine)
            self._drive_at_once(self.engine)

    def _drive_at_once(self, engine: Engine) -> None:
        """Dynamic DC: apply the set-point within the range of the last charge loop without waiting for the next one."""
        choice, allowed, setpoint = engine.session.choice, self._headroom, self._setpoint.of(engine)
        immediate = choice is not None and choice.is_dc and choice.is_dynamic and engine.state is State.CHARGE_LOOP
        if immediate and allowed and setpoint is not None:
            self.stage.set_point(decide(setpoint, allowed).power_w, self._clock.now())

    def set_pilot(self, state: PilotState) -> None:
        """Report the state of the control pilot, which the sessions then verify."""
        self._pilot = state
        self._command(orders.ControlPilot(state))

    def connect_battery(self, battery: Battery | None) -> None:
        """Connect the battery of an emulated car; None uses the values of the session."""
        self.hardware.battery = battery

    def authorize(self, accepted: bool) -> None:
        """Accept or reject the vehicle."""
        self._command(orders.Authorize(Verdict.YES if accepted else Verdict.NO))

    def wait_for_customer(self) -> None:
        """Report that authorization waits for the driver (a card, an app): the car repeats its request."""
        self._command(orders.Authorize(Verdict.WAITING_FOR_CUSTOMER))

    def terminate(self, reason: str = "", within_s: int = NOTICE_S) -> None:
        """Request the end of the session; after `within_s` the power is switched off."""
        self._notify(EVSENotification.Terminate, within_s)

    def renegotiate(self, *, services: bool = False, within_s: int = NOTICE_S) -> None:
        """Request a new schedule exchange, or a new service selection, as far as the session's protocol has it."""
        engine, kind = self.engine, EVSENotification.ScheduleRenegotiation
        if services and engine is not None and engine.supports(EVSENotification.ServiceRenegotiation):
            kind = EVSENotification.ServiceRenegotiation
        if engine is not None and engine.supports(kind):
            self._notify(kind, within_s)

    def pause(self, within_s: int = NOTICE_S) -> None:
        """Request a pause of the session."""
        self._notify(EVSENotification.Pause, within_s)

    def exit_standby(self, within_s: int = NOTICE_S) -> None:
        """Request the end of standby."""
        self._notify(EVSENotification.ExitStandby, within_s)

    async def unplug(self) -> None:
        """Disconnect the cable (control pilot state A): power off, connection closed without a message."""
        now = self._clock.now()
        self.hardware.cut(now)
        if self.engine is not None:
            self.engine.command(orders.Abort("the plug was pulled", silent=True), now)
        if self._wire is not None:
            await self._wire.close()
        await self._waiting.close()

    # one connection

    async def serve(self, wire: Wire) -> bool:
        """Serve one car until its session ends; return False for a connection beside the session of another one.

        Connections wait for their first message beside each other: the first one to send it is the car.
        """
        now, first = self._clock.now(), None
        if self.engine is None:
            first = await self._waiting.first(wire, self._clock, now + self.settings.setup_timeout)
        if self.engine is not None or first is None:
            await wire.close()
            return False
        port = Secc(self._engines(wire, now))
        self._port, self._wire, self._pausing = port, wire, False
        self.hardware.begin()
        self._setpoint.begin()
        self._headroom = None
        try:
            await pump(port, wire, self._clock, self._report, self._prepare, first)
        finally:
            self.hardware.cut(self._clock.now())
            self._port = self._wire = None
            if not port.ended:  # cancelled or failed: the station must not regard the car as connected
                self._observe(SessionEnded("the charger aborted the session", ok=False))
        return bool(first)

    def _engines(self, wire: Wire, connected_at: float) -> list[Engine]:
        """Return the engines of a connection, one for ISO 15118-20 and one for the older generations."""
        verdict = Verdict.YES if self._free_vend else Verdict.WAITING
        evse = Evse(setpoint_w=self._setpoint.power_w, authorization=verdict, pilot=self._pilot)
        protocols, tolerance = self.protocols, self._tolerance
        return engines(
            wire,
            self.settings,
            evse,
            self._clock,
            protocols=protocols,
            paused=self._paused,
            tolerance=tolerance,
            connected_at=connected_at,
        )

    def _prepare(self, now: float) -> None:
        if self.engine is not None:
            self.hardware.prepare(self.engine, now)

    def _report(self, happened: Sequence[object]) -> None:
        for event in happened:
            react = _REACTIONS.get(type(event))
            if react is not None:
                react(self, event)

    # reactions to the engine

    def _session_opened(self, event: events.SessionOpened) -> None:
        self._paused.pop(event.session_id, None)
        self._observe(VehicleIdentified(event.evccid, event.resumed))

    def _authorization_requested(self, event: events.AuthorizationRequested) -> None:
        if not self._free_vend:
            self._observe(AuthorizationRequested(event.evccid))

    def _limits_stated(self, event: events.LimitsStated) -> None:
        """Prepare the next responses: schedules, and the insulation result if there is no cable check to wait for."""
        engine = self.engine
        assert engine is not None
        if engine.evse.schedules is None:
            self._setpoint.send(engine, notify=False)
        verdict = self.hardware.immediate_insulation()
        if verdict is not None:
            engine.command(orders.CableChecked(verdict), self._clock.now())

    def _needs_stated(self, event: events.NeedsStated) -> None:
        self._observe(
            NeedsStated(
                service=event.choice.service.name,
                control="dynamic" if event.choice.is_dynamic else "scheduled",
                mobility_needs_mode=int(event.mobility),
                limits=event.ev,
                needs=event.needs,
                departure_s=event.departure_s,
                minimum_soc_pct=event.minimum_soc_pct,
                target_soc_pct=event.target_soc_pct,
                renegotiation=event.renegotiation,
                requested=self._setpoint.exchange_done(),
                offer_to_sell=event.offer_to_sell,
            )
        )

    def _power_started(self, event: events.PowerStarted) -> None:
        self.hardware.power_on(is_dc(self.engine))
        if self.engine is not None:
            self._setpoint.started(self.engine)
        if not event.again:
            self._observe(ChargingStarted())

    def _looped(self, event: events.ChargeLoopRequested) -> None:
        car, dc = event.car, is_dc(self.engine)
        self._headroom = event.allowed
        reading = self.hardware.loop(event, dc)
        meter, display = self.stage.meter, car.display
        self._observe(
            Measured(
                power_w=reading.ac_power_w if dc else self.hardware.ac_power_w,
                current_a=reading.current_a,
                voltage_v=reading.voltage_v,
                target_w=event.target.power_w,
                binding=event.target.binding,
                allowed=event.allowed,
                limits=car.limits,
                needs=car.needs,
                soc_pct=display.present_soc_pct if display is not None else None,
                charged_wh=meter.charged_wh,
                discharged_wh=meter.discharged_wh,
            )
        )

    def _standby_entered(self, event: events.StandbyEntered) -> None:
        self.stage.set_point(0.0, self._clock.now())
        self._observe(StandbyEntered())

    def _power_stopped(self, event: events.PowerStopped) -> None:
        self.hardware.cut(self._clock.now())
        self._observe(ChargingStopped())

    def _services_reopened(self, event: events.ServicesReopened) -> None:
        assert self.engine is not None
        self.engine.take_over(replace(self.engine.evse, schedules=None, insulation=Verdict.WAITING))

    def _session_paused(self, event: events.SessionPaused) -> None:
        self._paused[event.kept.session_id] = event.kept
        self._pausing = True

    def _session_ended(self, event: events.SessionEnded) -> None:
        self.hardware.cut(self._clock.now())
        self._observe(SessionEnded(event.reason, event.ok, self._pausing))

    def _message_traced(self, event: events.MessageSent | events.MessageReceived) -> None:
        if self._trace is not None:
            self._trace(event)

    def _setpoint_refused(self, event: events.SetpointRefused) -> None:
        self._observe(SetpointRefused(event.power_w, event.reason))

    # helpers

    def _command(self, order: orders.SeccOrder) -> None:
        if self.engine is not None:
            self.engine.command(order, self._clock.now())

    def _notify(self, notification: EVSENotification, within_s: int) -> None:
        if self.engine is not None:
            self._setpoint.notify(self.engine, notification, within_s)


_REACTIONS: dict[type[object], Callable[[EvseSecc, Any], None]] = {
    events.SessionOpened: EvseSecc._session_opened,
    events.AuthorizationRequested: EvseSecc._authorization_requested,
    events.LimitsStated: EvseSecc._limits_stated,
    events.NeedsStated: EvseSecc._needs_stated,
    events.CableCheckRequested: lambda secc, _: secc.hardware.check_cable(),
    events.PreChargeRequested: lambda secc, event: secc.hardware.precharge(event.target_voltage_v),
    events.PowerStarted: EvseSecc._power_started,
    events.ChargeLoopRequested: EvseSecc._looped,
    events.StandbyEntered: EvseSecc._standby_entered,
    events.PowerStopped: EvseSecc._power_stopped,
    events.ServicesReopened: EvseSecc._services_reopened,
    events.SessionPaused: EvseSecc._session_paused,
    events.SessionEnded: EvseSecc._session_ended,
    events.SetpointRefused: EvseSecc._setpoint_refused,
    events.MessageSent: EvseSecc._message_traced,
    events.MessageReceived: EvseSecc._message_traced,
}
