"""Session with one vehicle: events of the protocol engine become orders to the board and events of the gateway.

The engine has the protocol, the supervisor of the board its hardware; here is what one needs of the other.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

from gateway.drivers.board.orders import CheckCable, Precharge, Stop
from gateway.drivers.board.runner import BoardRunner
from gateway.drivers.secc.output import EvseOutput
from gateway.drivers.secc.vehicle import needs_of
from gateway.model.event import NeedsStated, Report, SessionEnded, SessionStarted, VehicleDescribed
from gateway.model.vehicle_link import link_of
from protocols.iso15118.iso20 import events, orders
from protocols.iso15118.iso20.loop import CarReport, Meter
from protocols.iso15118.iso20.secc_session import Verdict
from protocols.iso15118.iso20.setpoint import decide
from protocols.iso15118.iso20.states import State
from protocols.iso15118.iso20.types import EVSENotification
from protocols.iso15118.secc import Engine, Secc
from protocols.iso15118.secc_setpoint import NOTICE_S, SeccSetpoint
from protocols.ports import Clock

log = logging.getLogger("v2x.drivers")


class VehicleSession:
    """One connection of a vehicle, from its first message to its end. Powers at the meter unless named otherwise."""

    def __init__(
        self,
        evse: str,
        port: Secc,
        output: EvseOutput,
        board: BoardRunner,
        setpoint: SeccSetpoint,
        paused: dict[bytes, events.Paused],
        report: Report,
        clock: Clock,
        mac: str | None = None,
    ) -> None:
        """`mac`: of the vehicle, where it was matched by SLAC."""
        self._evse, self._port, self._output, self._board = evse, port, output, board
        self._setpoint, self._paused, self._report_event, self._clock = setpoint, paused, report, clock
        self._mac = mac
        self.id: str | None = None  # once the vehicle has opened the session
        self.bidirectional: bool | None = None  # as agreed; None before
        self.car: CarReport | None = None  # of the last charge loop
        self.pausing = False
        self.paused_id: str | None = None  # after its end, where the vehicle paused it
        self._power_w = 0.0
        self._failure = ""  # why the hardware ended it
        self._closed = False  # AC: contactors, in this session
        output.begin()
        setpoint.begin()

    @property
    def engine(self) -> Engine:
        """Engine of the connection."""
        return self._port.engine

    # orders

    def set_power(self, power_w: float) -> None:
        """Apply a set-point: to the engine, and in dynamic control to the output at once."""
        self._power_w = power_w
        engine, now = self.engine, self._clock.now()
        self._setpoint.power_w = self._output.to_connector(power_w)
        self._setpoint.send(engine)
        choice, allowed = engine.session.choice, self._output.allowed
        if choice is not None and choice.is_dynamic and engine.state is State.CHARGE_LOOP and allowed is not None:
            self._output.deliver(decide(self._setpoint.power_w, allowed).power_w, now)
        elif power_w == 0.0 or self._output.forms:
            self._output.deliver(0.0, now)

    def terminate(self, within_s: int = NOTICE_S) -> None:
        """Request the end of the session; without one the power is switched off after `within_s`."""
        self._setpoint.notify(self.engine, EVSENotification.Terminate, within_s)

    def abort(self, reason: str, *, silent: bool = False) -> None:
        """End the session by a failed response to the next request; `silent`: without a response."""
        self._failure = self._failure or reason
        self.engine.command(orders.Abort(reason, silent=silent), self._clock.now())

    # the hardware

    def cable_checked(self, passed: bool) -> None:
        """Answer the vehicle that waits for the cable check."""
        self.engine.command(orders.CableChecked(Verdict.YES if passed else Verdict.NO), self._clock.now())

    def contactors_moved(self, *, closed: bool) -> None:
        """Report the position of the contactors, which an AC vehicle waits for."""
        if self._output.ac:
            self._closed = closed
            self.engine.command(orders.ContactorMoved(closed), self._clock.now())

    def output_stopped(self, reason: str) -> None:
        """Fail a session whose output was switched off by the hardware or its supervisor."""
        if self._output.ac and not self._closed:
            return  # it was the output of the session before
        self.contactors_moved(closed=False)
        expected = not self._output.delivering
        self._output.stop()
        if not expected:
            self.abort(f"the output was switched off: {reason}")

    # the engine

    def prepare(self, now: float) -> None:
        """Update the engine with measurements, limits and the set-point, before it processes bytes or time."""
        engine, output = self.engine, self._output
        measured, reading = output.measured, output.reading
        output.learn(now)
        engine.command(
            orders.Measure(
                voltage_v=0.0 if measured is None else measured.voltage_v,
                current_a=0.0 if measured is None else measured.current_a,
                power_w=None if reading is None else reading.power_w,
                meter=None
                if reading is None
                else Meter(meter_id="v2x-meter", charged_wh=reading.charged_wh, discharged_wh=reading.discharged_wh),
            ),
            now,
        )
        limits = output.limits()
        engine.command(orders.LimitOutput(ac=limits) if output.ac else orders.LimitOutput(dc=limits), now)
        self._setpoint.power_w = output.to_connector(self._power_w)
        engine.command(orders.SetPower(self._setpoint.power_w), now)

    def report(self, happened: Sequence[object]) -> None:
        """React to events of the engine."""
        for event in happened:
            self._react_to_setup(event)
            self._react_to_power(event)

    def _react_to_setup(self, event: object) -> None:
        match event:
            case events.SessionOpened():
                self._opened(event)
            case events.LimitsStated():
                self._limits_stated(event)
            case events.NeedsStated():
                self._needs_stated(event)
            case events.ServicesReopened():
                self._services_reopened()
            case events.SessionPaused(kept):
                self._paused[kept.session_id] = kept
                self.pausing = True
            case events.SetpointRefused(power_w, reason):
                log.info("%s: set-point of %.0f W refused: %s", self._evse, power_w, reason)
            case events.SessionEnded():
                self.end(event.reason if event.ok else self._failure or event.reason)

    def _react_to_power(self, event: object) -> None:
        match event:
            case events.CableCheckRequested():
                own, vehicle = self._output.limits(), self._output.vehicle
                self._board.command(CheckCable(min(own.max_voltage_v, vehicle.max_voltage_v)))
            case events.PreChargeRequested(target_voltage_v):
                self._board.command(Precharge(target_voltage_v))
            case events.PowerStarted():
                self._power_started()
            case events.ChargeLoopRequested():
                self._looped(event)
            case events.StandbyEntered():
                self._output.allow(None)
                self._output.deliver(0.0, self._clock.now())
            case events.PowerStopped():
                self._output.stop()
                self._board.command(Stop())

    def _opened(self, event: events.SessionOpened) -> None:
        self._paused.pop(event.session_id, None)
        self.id = event.session_id.hex()
        self._report_event(SessionStarted(self._evse, self._clock.now(), self.id, event.evccid or self._mac, self._mac))
        if (link := link_of(self.engine.session.namespace)) is not None:
            self._report_event(VehicleDescribed(self._evse, self._clock.now(), link))

    def _limits_stated(self, event: events.LimitsStated) -> None:
        self._output.limit(event.ev)
        if self.engine.evse.schedules is None:
            self._setpoint.send(self.engine, notify=False)

    def _needs_stated(self, event: events.NeedsStated) -> None:
        self._setpoint.exchange_done()
        self.bidirectional = event.choice.is_bpt
        needs = needs_of(event, self._output.power_limits, self._clock.wall(), self.car)
        self._report_event(NeedsStated(self._evse, self._clock.now(), needs))

    def _power_started(self) -> None:
        self._output.start()
        self._output.deliver(0.0, self._clock.now())
        self._setpoint.started(self.engine)

    def _looped(self, event: events.ChargeLoopRequested) -> None:
        self.car = event.car
        self._output.limit(event.car.limits)
        self._output.allow(event.allowed)
        self._output.deliver(event.target.power_w, self._clock.now())

    def _services_reopened(self) -> None:
        engine = self.engine
        engine.take_over(replace(engine.evse, schedules=None, insulation=Verdict.WAITING))

    def end(self, reason: str) -> None:
        """Switch off, and report the end of the session unless the vehicle paused it."""
        self._output.stop()
        self._board.command(Stop())
        session, self.id = self.id, None
        if session is None:
            return
        if self.pausing:
            self.paused_id = session
        else:
            self._report_event(SessionEnded(self._evse, self._clock.now(), session, reason))
