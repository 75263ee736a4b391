"""The SECC of one emulated EVSE: serves the cars that connect, and makes its power stage do what was agreed.

This is all a station needs to know of ISO 15118::

    secc = EvseSecc(stage, clock, observe=print)          # events below, in the order they happen
    server = await listen(secc.serve, "::1", 0)           # or `await secc.serve(wire)` for a wire of any kind
    secc.set_power(-5_000)                                # live set-point at the grid side, W, - discharges
    secc.limit_power(max_discharge_w=0)                   # tighter limits for now; None lifts them
    secc.authorize(True)                                  # if built with `free_vend=False`
    secc.terminate("reservation ends"); secc.pause(); secc.renegotiate(); secc.exit_standby()
    secc.unplug()                                         # the plug is out: the session is over at once

Events: `VehicleIdentified`, `AuthorizationWanted`, `NeedsStated`, `ChargingStarted`, `Measured` (once a loop),
`ChargingStopped`, `StandbyEntered`, `SessionEnded`. Power is signed, + into the vehicle; limits are magnitudes. In
dynamic control the set-point drives the current within the limits of both sides. In scheduled control it becomes a
new schedule, offered by renegotiation, and caps the car at once. The engine is `protocols.iso15118.iso20.secc`, the
metal `power_stage.py`; OCPP is not known here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from emulators.battery.pack import Battery
from emulators.charger.hardware.power_stage import PowerStage
from emulators.charger.secc.events import (
    AuthorizationWanted,
    ChargingStarted,
    ChargingStopped,
    Measured,
    NeedsStated,
    SeccEvent,
    SessionEnded,
    StandbyEntered,
    VehicleIdentified,
)
from emulators.charger.secc.evse_hardware import EvseHardware, is_dc
from emulators.charger.secc.setpoint import NOTICE_S, SeccWish
from emulators.charger.secc.settings import SessionBattery, stage_settings
from protocols.iso15118.iso20 import events, orders
from protocols.iso15118.iso20.limits import Limits, PowerRange
from protocols.iso15118.iso20.schedules import ScheduleOffer
from protocols.iso15118.iso20.secc import Secc
from protocols.iso15118.iso20.secc_session import Evse, Fault, SeccSettings, Verdict
from protocols.iso15118.iso20.setpoint import decide
from protocols.iso15118.iso20.states import State
from protocols.iso15118.iso20.types import EVSENotification
from protocols.iso15118.pump import pump
from protocols.iso15118.subject import common_name
from protocols.ports import Clock, Wire

__all__ = [
    "AuthorizationWanted",
    "ChargingStarted",
    "ChargingStopped",
    "EvseSecc",
    "Measured",
    "NeedsStated",
    "SeccEvent",
    "SessionBattery",
    "SessionEnded",
    "StandbyEntered",
    "VehicleIdentified",
    "stage_settings",
]


class EvseSecc:
    """See the top of the file. `battery`: the car itself, where it lives in the same world; else its session's word.

    `hold_schedules`: a car waits after `NeedsStated` until `offer_schedules` (`()` is enough in dynamic control).
    """

    def __init__(
        self,
        stage: PowerStage,
        clock: Clock,
        observe: Callable[[SeccEvent], None] | None = None,
        *,
        settings: SeccSettings | None = None,
        free_vend: bool = True,
        hold_schedules: bool = False,
        cable_check_s: float = 1.0,
        battery: Battery | None = None,
        trace: Callable[[events.MessageSent | events.MessageReceived], None] | None = None,
    ) -> None:
        self.stage = stage
        self.settings = settings or stage_settings(stage)
        if trace is not None:
            self.settings = replace(self.settings, trace=True)
        self.metal = EvseHardware(stage, clock, battery, cable_check_s)
        self.engine: Secc | None = None
        self._clock = clock
        self._observe: Callable[[SeccEvent], None] = observe or _nobody
        self._trace = trace
        self._free_vend = free_vend
        self._wish = SeccWish(stage, clock, hold_schedules)
        self._paused: dict[bytes, events.Paused] = {}
        self._cap = Limits(max_charge_w=float("inf"), max_discharge_w=float("inf"))
        self._wire: Wire | None = None
        self._pausing = False
        self._room: PowerRange | None = None  # what the last charge loop allowed

    # what a station may ask for

    @property
    def connected(self) -> bool:
        """A car is on the line."""
        return self.engine is not None

    @property
    def battery(self) -> Battery | None:
        """The car itself, where it lives in the same world."""
        return self.metal.battery

    @battery.setter
    def battery(self, battery: Battery | None) -> None:
        self.metal.battery = battery

    @property
    def setpoint_w(self) -> float | None:
        return self._wish.power_w

    def set_power(self, power_w: float | None) -> None:
        """The set-point at the grid side from now on, also for cars to come. None: all the car wants."""
        if power_w == self._wish.power_w:
            return
        self._wish.power_w = power_w
        if self.engine is not None:
            self._wish.tell(self.engine)
            self._drive_at_once(self.engine)

    def _drive_at_once(self, engine: Secc) -> None:
        """Dynamic DC: within what the last loop left the converter need not wait for the next one."""
        choice, room, wish = engine.session.choice, self._room, self._wish.of(engine)
        if (
            choice is not None
            and choice.is_dc
            and choice.is_dynamic
            and engine.state is State.CHARGE_LOOP
            and room
            and wish is not None
        ):
            self.stage.set_point(decide(wish, room).power_w, self._clock.now())

    def limit_power(self, max_charge_w: float | None = None, max_discharge_w: float | None = None) -> None:
        """Tighter limits than the stage's, magnitudes; None lifts them."""
        self._cap = Limits(
            max_charge_w=float("inf") if max_charge_w is None else max_charge_w,
            max_discharge_w=float("inf") if max_discharge_w is None else max_discharge_w,
        )

    def authorize(self, accepted: bool) -> None:
        self._command(orders.Authorize(Verdict.YES if accepted else Verdict.NO))

    def wait_for_customer(self) -> None:
        """The driver has still to do something (a card, an app): the car goes on asking."""
        self._command(orders.Authorize(Verdict.WAITING_FOR_CUSTOMER))

    def state_needs(
        self, *, departure_s: float | None = None, minimum_soc_pct: int | None = None, target_soc_pct: int | None = None
    ) -> None:
        """The driver's needs as the station knows them; a car hears them in MobilityNeedsMode 2."""
        order = orders.SetDriverNeeds(
            departure_s=departure_s,
            minimum_soc_pct=minimum_soc_pct,
            target_soc_pct=target_soc_pct,
            confirm_within_s=30,
        )
        self._command(order)

    def offer_schedules(self, offers: tuple[ScheduleOffer, ...], *, pause_wanted: bool = False) -> None:
        """Schedules of the station's own making, for the present or the next exchange."""
        self._command(orders.OfferSchedules(offers, pause_wanted))

    def terminate(self, reason: str = "", within_s: int = NOTICE_S) -> None:
        """Ask the car to end the session; a car that doesn't is cut off."""
        self._notify(EVSENotification.Terminate, within_s)

    def pause(self, within_s: int = NOTICE_S) -> None:
        self._notify(EVSENotification.Pause, within_s)

    def renegotiate(self, *, services: bool = False, within_s: int = NOTICE_S) -> None:
        """Ask for another exchange of schedules, or of services."""
        kind = EVSENotification.ServiceRenegotiation if services else EVSENotification.ScheduleRenegotiation
        self._notify(kind, within_s)

    def exit_standby(self, within_s: int = NOTICE_S) -> None:
        self._notify(EVSENotification.ExitStandby, within_s)

    def break_down(self, fault: Fault, broken: bool = True) -> None:
        """The contactor or the output does not work (or does again)."""
        self._command(orders.ReportFault(fault, broken))

    async def unplug(self) -> None:
        """The plug is out (control pilot A): no power from now on, the connection ends without a word."""
        now = self._clock.now()
        self.metal.cut(now)
        if self.engine is not None:
            self.engine.command(orders.Abort("the plug was pulled", silent=True), now)
        if self._wire is not None:
            await self._wire.close()

    # one connection

    async def serve(self, wire: Wire) -> None:
        """Serve one car until its session ends. A second car is turned away while one is here."""
        if self.engine is not None:
            await wire.close()
            return
        now = self._clock.now()
        certificate = getattr(wire, "peer_certificate", None)
        engine = Secc(
            self.settings,
            now,
            epoch=self._clock.wall() - now,
            paused=self._paused,
            vehicle_certificate=certificate,
            vehicle_name=None if certificate is None else common_name(certificate),
            tls=getattr(wire, "tls_version", None) == "TLSv1.3",
            evse=Evse(setpoint_w=self._wish.power_w, authorization=Verdict.YES if self._free_vend else Verdict.WAITING),
        )
        self.engine, self._wire, self._pausing = engine, wire, False
        self.metal.begin()
        self._wish.begin()
        self._room = None
        try:
            await pump(engine, wire, self._clock, self._report, self._prepare)
        finally:
            self.metal.cut(self._clock.now())
            self.engine = self._wire = None
            if (
                not engine.ended
            ):  # cancelled, or a fault of ours: the plug must not look as if the car were still served
                self._observe(SessionEnded("the charger broke off", ok=False))

    def _prepare(self, now: float) -> None:
        if self.engine is not None:
            self.metal.prepare(self.engine, self._cap, now)

    def _report(self, happened: Sequence[object]) -> None:
        for event in happened:
            react = _REACTIONS.get(type(event))
            if react is not None:
                react(self, event)

    # reactions to the engine

    def _opened(self, event: events.SessionOpened) -> None:
        self._paused.pop(event.session_id, None)
        self._observe(VehicleIdentified(event.evccid, event.resumed))

    def _asked(self, event: events.AuthorizationAsked) -> None:
        if not self._free_vend:
            self._observe(AuthorizationWanted(event.evccid))

    def _agreed(self, event: events.LimitsStated) -> None:
        """What the car will ask for next is known already: the schedules, and with no test to wait for the
        insulation."""
        engine = self.engine
        assert engine is not None
        if engine.evse.schedules is None:
            self._wish.tell(engine, notify=False)
        verdict = self.metal.known_insulation()
        if verdict is not None:
            engine.command(orders.CableChecked(verdict), self._clock.now())

    def _needs(self, event: events.NeedsStated) -> None:
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
                asked=self._wish.exchanged(),
                offer_to_sell=event.offer_to_sell,
            )
        )

    def _cable(self, event: events.CableCheckAsked) -> None:
        self.metal.check_cable()

    def _pre_charge(self, event: events.PreChargeAsked) -> None:
        self.metal.precharge(event.target_voltage_v)

    def _started(self, event: events.PowerStarted) -> None:
        self.metal.power_on(is_dc(self.engine))
        if self.engine is not None:
            self._wish.started(self.engine)
        if not event.again:
            self._observe(ChargingStarted())

    def _looped(self, event: events.CarLooped) -> None:
        car, dc = event.car, is_dc(self.engine)
        self._room = event.allowed
        reading = self.metal.loop(event, dc)
        meter, display = self.stage.meter, car.display
        self._observe(
            Measured(
                power_w=reading.ac_power_w if dc else self.metal.ac_power_w,
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

    def _standby(self, event: events.StandbyEntered) -> None:
        self.stage.set_point(0.0, self._clock.now())
        self._observe(StandbyEntered())

    def _stopped(self, event: events.PowerStopped) -> None:
        self.metal.cut(self._clock.now())
        self._observe(ChargingStopped())

    def _reopened(self, event: events.ServicesReopened) -> None:
        assert self.engine is not None
        self.engine.evse = replace(self.engine.evse, schedules=None, insulation=Verdict.WAITING)

    def _kept(self, event: events.SessionPaused) -> None:
        self._paused[event.kept.session_id] = event.kept
        self._pausing = True

    def _ended(self, event: events.SessionEnded) -> None:
        self.metal.cut(self._clock.now())
        self._observe(SessionEnded(event.reason, event.ok, self._pausing))

    def _seen(self, event: events.MessageSent | events.MessageReceived) -> None:
        if self._trace is not None:
            self._trace(event)

    # below

    def _command(self, order: orders.SeccOrder) -> None:
        if self.engine is not None:
            self.engine.command(order, self._clock.now())

    def _notify(self, notification: EVSENotification, within_s: int) -> None:
        if self.engine is not None:
            self._wish.notify(self.engine, notification, within_s)


def _nobody(event: SeccEvent) -> None:
    """No one looks."""


_REACTIONS: dict[type[object], Callable[[EvseSecc, Any], None]] = {
    events.SessionOpened: EvseSecc._opened,
    events.AuthorizationAsked: EvseSecc._asked,
    events.LimitsStated: EvseSecc._agreed,
    events.NeedsStated: EvseSecc._needs,
    events.CableCheckAsked: EvseSecc._cable,
    events.PreChargeAsked: EvseSecc._pre_charge,
    events.PowerStarted: EvseSecc._started,
    events.CarLooped: EvseSecc._looped,
    events.StandbyEntered: EvseSecc._standby,
    events.PowerStopped: EvseSecc._stopped,
    events.ServicesReopened: EvseSecc._reopened,
    events.SessionPaused: EvseSecc._kept,
    events.SessionEnded: EvseSecc._ended,
    events.MessageSent: EvseSecc._seen,
    events.MessageReceived: EvseSecc._seen,
}
