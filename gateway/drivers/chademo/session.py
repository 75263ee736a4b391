"""Sessions with the vehicles at one plug: outputs of the engine are orders to the board, its events those of the model.

The engine has the protocol, the supervisor of the board its hardware; here is what one needs of the other. A session
begins by itself when a vehicle is plugged in and the hardware is ready, and again a while after one that ended.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from gateway.drivers.board.faults import FaultName, Part, Reaction, rule_of
from gateway.drivers.board.orders import CheckCable, SetLines, SetLock, Stop
from gateway.drivers.board.phases import Phase
from gateway.drivers.board.runner import BoardRunner
from gateway.drivers.chademo.faults import fault_of
from gateway.drivers.chademo.output import ChademoOutput
from gateway.drivers.chademo.settings import ChademoEvseSettings, charger_settings
from gateway.drivers.chademo.vehicle import SETTLED_S, needs_of
from gateway.model import event as model
from gateway.model.event import PlugState, Report
from gateway.model.vehicle_link import CHADEMO
from protocols.chademo import events, stops
from protocols.chademo.charger import Charger
from protocols.chademo.charger_session import (
    ChargerInputs,
    ChargerOrder,
    ChargerSession,
    Reset,
    SetCurrent,
    Start,
    StopSession,
)
from protocols.chademo.durations import Durations
from protocols.chademo.io import Connection
from protocols.chademo.states import ChargerState
from protocols.chademo.timers import SAFE_V
from protocols.dc_modules.bus import CanBus
from protocols.ports import Clock

log = logging.getLogger("v2x.drivers")

SENSE_S, IDLE_S = 0.1, 0.5  # period in which the hardware is read, in a session and without
RESTARTS_S = (60.0, 60.0, 60.0, 600.0)  # from the end of a session to the next attempt, by failures in a row
AT_REST = frozenset({ChargerState.IDLE, ChargerState.FAULT})
ENDING = frozenset({ChargerState.STOPPING, ChargerState.WELD_CHECK, ChargerState.RELEASE})
NEEDS_S = 1.0  # period in which the limits of the vehicle are compared
CURRENT_STEP_A = 0.05  # smaller changes of the set-point are not passed on
EARTH = frozenset({FaultName.GROUND, FaultName.RCD_AC, FaultName.RCD_DC, FaultName.RCD_SELFTEST})


class ChademoSession:
    """Engine of one plug with its host. `id` is that of the session as the gateway knows it, None without one."""

    def __init__(
        self,
        settings: ChademoEvseSettings,
        bus: CanBus,
        output: ChademoOutput,
        board: BoardRunner,
        report: Report,
        clock: Clock,
    ) -> None:
        self._settings, self._evse = settings, settings.id
        self.engine, self._output, self._board = Charger(), output, board
        self._report_event, self._clock = report, clock
        self._connection: Connection[ChargerOrder] = Connection(self.engine, bus, clock, self._handle)
        self.id: str | None = None
        self.fault: tuple[FaultName, Part] | None = None  # of the last session, until power flows again
        self.link_lost = ""  # why the CAN bus is lost
        self._plugged = self._k = False
        self._held = False  # no new session before the plug is removed
        self._restart_at, self._failures = 0.0, 0
        self._power_w = 0.0  # at the meter
        self._insulation_ohm: float | None = None
        self._checking = False
        self._lines, self._locked = (False, False), False
        self._stated: tuple[model.PowerLimits, bool] | None = None  # of the needs, and when
        self._stated_at = 0.0
        self._vehicle: str | None = None  # its identifier
        self._durations = Durations()
        self._state: ChargerState | None = None
        self._stop: stops.Stop | None = None  # of the present or last session, as reported
        self._released = False  # the contactors were ordered open

    # tasks

    async def exchange(self) -> None:
        """Exchange frames with the vehicle until cancelled."""
        await self._connection.run()

    async def supervise(self) -> None:
        """Pass lines and measurements to the engine until cancelled, and begin sessions."""
        while True:
            self.sense()
            await self._clock.sleep(IDLE_S if self.engine.state in AT_REST else SENSE_S)

    # orders

    @property
    def session(self) -> ChargerSession:
        """State of the present or last session."""
        return self.engine.session

    @property
    def powered(self) -> bool:
        """True while power can flow."""
        return self.engine.state is ChargerState.POWER

    @property
    def active(self) -> bool:
        """True from d1 until the plug is released."""
        return self.engine.state not in AT_REST

    @property
    def faulted(self) -> bool:
        """True while a fault of the last session makes the connector faulted."""
        return self.fault is not None and rule_of(*self.fault).status is PlugState.FAULTED

    def set_power(self, power_w: float) -> None:
        """Apply a set-point at the meter at once."""
        self._power_w = power_w
        self.sense()

    def stop(self, reason: str, *, hold: bool = False) -> None:
        """End the session; `hold`: no new one before the plug is removed or the EVSE is reset."""
        self._held = self._held or hold
        self._command(StopSession(reason))

    def reset(self) -> None:
        """Release a latched fault of the last session, and permit a new one now."""
        self._held, self._failures, self._restart_at = False, 0, self._clock.now()
        if self.engine.state is ChargerState.FAULT:
            self._command(Reset())
        self._clear_fault()
        self.sense()

    def retry(self) -> None:
        """Begin a session now, if the vehicle is ready for one."""
        self._restart_at = self._clock.now()
        self.sense()

    # the hardware

    def use_lines(self, plugged: bool, k: bool) -> None:
        """Apply the inputs of the plug; `k` is the permission of the vehicle."""
        self._plugged, self._k = plugged, k

    def lose_link(self, reason: str) -> None:
        """Apply why the CAN bus is lost, "" when it has returned."""
        self.link_lost = reason

    def sense(self) -> None:
        """Pass lines and measurements to the engine."""
        if not self._plugged:
            self._held, self._failures, self._restart_at = False, 0, 0.0
        inputs = self._inputs()
        removed = self.engine.state is ChargerState.FAULT and not self._plugged
        if inputs != self.session.inputs or removed:
            self._command(inputs)
        if self.engine.state is ChargerState.IDLE and not self._plugged:
            self._clear_fault()
        self._recover()
        if self._may_start():
            log.info("%s: a CHAdeMO session begins", self._evse)
            self._insulation_ohm, self._checking = None, False
            self._stop, self._released = None, False
            if (capability := self._output.capability) is not None:
                self.engine.settings = charger_settings(self._settings, capability)
            self._command(Start())
        if self.active:
            self._steer()
        self._synchronise()

    def cable_checked(self, passed: bool, resistance_ohm: float | None) -> None:
        """Pass the result of the insulation test to the engine."""
        self._checking = False
        self._insulation_ohm = resistance_ohm if resistance_ohm is not None or not passed else float("inf")
        self.sense()

    def output_stopped(self, reason: str) -> None:
        """End a session whose contactors the supervisor opened; unlock the plug where it waited for that."""
        self._checking = False
        if self.engine.state in (ChargerState.READY, ChargerState.WAIT_REQUEST, ChargerState.POWER):
            self.stop(f"the output was switched off: {reason}")
        if not self.engine.outputs.lock:
            self._board.command(SetLock(False))

    def end(self, reason: str) -> None:
        """Report the end of a session whose hardware is lost."""
        session, self.id = self.id, None
        if session is not None:
            self._report_event(model.SessionEnded(self._evse, self._clock.now(), session, reason))

    def _inputs(self) -> ChargerInputs:
        board, output = self._board.board, self._output
        faults = self._board.supervisor.faults
        severe = [
            name
            for part, name in {*faults.active, *faults.latched}
            if rule_of(name, part).reaction in (Reaction.OPEN, Reaction.LATCH)
        ]
        earth = [name for name in severe if name in EARTH]
        other = sorted(name for name in severe if name not in EARTH)
        resistance = None if board.isolation is None else board.isolation.resistance_ohm
        if resistance is not None and self._insulation_ohm is not None and self.powered:
            self._insulation_ohm = resistance
        return ChargerInputs(
            plugged=self._plugged,
            k=self._plugged and self._k,
            locked=board.lock is None or board.lock.locked is True,
            voltage_v=round(output.voltage_v, 1),
            current_a=round(output.current_a, 1),
            insulation_ohm=self._insulation_ohm,
            earth_fault=bool(earth),
            malfunction=", ".join(other) or self.link_lost,
        )

    # start and end

    def _may_start(self) -> bool:
        return (
            self.engine.state is ChargerState.IDLE
            and self._plugged
            and not self._held
            and self._clock.now() >= self._restart_at
            and not self.link_lost
            and self._board.supervisor.phase is Phase.IDLE
            and not self._board.supervisor.faults.at_least(Reaction.OPEN)
        )

    def _recover(self) -> None:
        """Leave the fault state by itself where the fault table permits it and the hardware is ready again."""
        if self.engine.state is not ChargerState.FAULT or self._clock.now() < self._restart_at or self.link_lost:
            return
        latched = self.fault is not None and rule_of(*self.fault).reaction is Reaction.LATCH
        if not latched and not self._board.supervisor.faults.at_least(Reaction.OPEN):
            self._command(Reset())

    def _clear_fault(self) -> None:
        fault, self.fault = self.fault, None
        if fault is not None:
            self._report_event(model.FaultCleared(self._evse, self._clock.now(), fault[0]))

    # the engine

    def _command(self, order: ChargerOrder) -> None:
        self._connection.command(order)

    def _steer(self) -> None:
        """Pass set-point and limits to the engine, and its current to the board."""
        engine, output = self.engine, self._output
        session = engine.session
        capability = output.capability_of(session.settings)
        if (session.max_charge_a, session.max_discharge_a) != (capability.max_charge_a, capability.max_discharge_a):
            self._command(capability)
        current_a = output.set_current_a(self._power_w)
        if abs(current_a - session.requested_a) > CURRENT_STEP_A or (not current_a and session.requested_a):
            self._command(SetCurrent(current_a))

    def _handle(self, happened: Sequence[events.Event]) -> None:
        if not happened:
            if self.powered:
                self._output.follow(self.engine.session.current_a, self.engine, self._clock.now())
            return
        for event in happened:
            match event:
                case events.ParametersAgreed():
                    self._opened()
                case events.SessionEnded(stop):
                    self._ended(stop)
                case events.FrameIgnored(can_id, reason):
                    log.warning("%s: CAN frame %#05x ignored: %s", self._evse, can_id, reason)
        self._synchronise()

    def _opened(self) -> None:
        now, wall = self._clock.now(), self._clock.wall()
        self.id, self._stated = f"{self._evse}-{wall:.0f}", None
        self._vehicle = self.session.vehicle.vehicle_id
        self._report_event(model.SessionStarted(self._evse, now, self.id, self._vehicle))
        self._report_event(model.VehicleDescribed(self._evse, now, CHADEMO))

    def _note_stop(self, stop: stops.Stop) -> None:
        """Report the fault of a stop; a more severe one may follow."""
        self._stop = stop
        log.info("%s: the CHAdeMO session stops: %s", self._evse, stop.text)
        fault = fault_of(stop, self.session)
        active = {name for _, name in self._board.supervisor.faults.active}
        if fault is None or fault == self.fault or fault[0] in active:
            return
        self._clear_fault()
        self.fault = fault
        if rule_of(*fault).reaction is not Reaction.NOTE:
            self._report_event(model.FaultRaised(self._evse, self._clock.now(), fault[0], stop.text))

    def _ended(self, stop: stops.Stop) -> None:
        now = self._clock.now()
        self.end(stop.text)
        self._output.form(False)
        self._power_w = 0.0
        failed = self.session.power_at is None
        self._failures = self._failures + 1 if failed else 0
        self._restart_at = now + RESTARTS_S[min(self._failures, len(RESTARTS_S) - 1)]
        self._board.command(Stop())

    def _synchronise(self) -> None:
        """Carry out the outputs of the engine."""
        outputs, board = self.engine.outputs, self._board
        stop = self.session.stop
        if stop is not None and stop != self._stop:
            self._note_stop(stop)
        if outputs.lock is not self._locked:
            self._locked = outputs.lock
            board.command(SetLock(outputs.lock))
        if (outputs.d1, outputs.d2) != self._lines:
            self._lines = outputs.d1, outputs.d2
            board.command(SetLines(*self._lines))
        before, self._state = self._state, self.engine.state
        self._operate(self._state, before, self._clock.now())

    def _operate(self, state: ChargerState, before: ChargerState | None, now: float) -> None:
        """Operate the output as a state of the engine requires."""
        outputs, board, output = self.engine.outputs, self._board, self._output
        if state in ENDING and before not in ENDING:
            if self.session.d2_at is None:
                board.command(Stop())  # the vehicle never closed its contactors
            else:
                output.switch_off()
        match state:
            case ChargerState.INSULATION:
                if outputs.test_v and not self._checking and board.supervisor.phase is Phase.IDLE:
                    self._checking = True
                    board.command(CheckCable(outputs.test_v))
            case ChargerState.WAIT_REQUEST:
                output.match(now)
            case ChargerState.POWER:
                if board.supervisor.phase is Phase.CHECKED:
                    output.match(now)
                output.deliver(outputs, now)
                if now - self._stated_at >= NEEDS_S or before is not state:
                    self._stated_at = now
                    output.learn(now)
                    self._state_needs(now)
            case ChargerState.RELEASE if not self._released and output.voltage_v <= SAFE_V:
                self._released = True  # before, the closed contactors show the voltage of a welded contactor
                board.command(Stop())

    def _state_needs(self, now: float) -> None:
        """Report needs and limits of the vehicle when they change, and the end of a fault: power can flow again."""
        self._clear_fault()
        session, limits, voltage = self.session, self._output.power_limits, round(self._output.voltage_v)
        less = self._durations.lasts("less", session.offered_a > session.request_a, now, SETTLED_S)
        needs = needs_of(session, limits, voltage, now, requests_less=less)
        vehicle = session.vehicle.vehicle_id
        if vehicle is not None and vehicle != self._vehicle:
            self._vehicle = vehicle
            self._report_event(model.VehicleIdentified(self._evse, now, vehicle))
        key = needs.limits, needs.bidirectional
        if key != self._stated:
            self._stated = key
            self._report_event(model.NeedsStated(self._evse, now, needs))
