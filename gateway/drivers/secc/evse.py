"""One EVSE whose sessions the gateway hosts itself: its board, its vehicles, its events and the orders to it.

To the rest of the gateway it is an EVSE as any of a charging station; no OCPP is between a command and the current.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from gateway.drivers.board import orders as board_orders
from gateway.drivers.board import ports
from gateway.drivers.board.evse import BoardEvse
from gateway.drivers.board.orders import Event, SetLock, SetPilot
from gateway.drivers.board.plug import PLUGGED
from gateway.drivers.board.ports import Board, MeterReading, PilotLevel, PilotSignal, PilotState
from gateway.drivers.board.runner import BoardRunner
from gateway.drivers.secc import endpoint, matching
from gateway.drivers.secc.ac_output import AcOutput
from gateway.drivers.secc.basic import BasicSession
from gateway.drivers.secc.dc_output import DcEvseOutput
from gateway.drivers.secc.matching import PlugControl
from gateway.drivers.secc.output import EvseOutput
from gateway.drivers.secc.refusal import refusal
from gateway.drivers.secc.session import VehicleSession
from gateway.drivers.secc.settings import SeccEvseSettings, engine_settings, protocols_of
from gateway.drivers.secc.vehicle import metered
from gateway.model import event as model
from gateway.model.event import Report
from gateway.model.station import Answer, Outcome, OutcomeCode
from protocols.iso15118.first_message import WaitingConnections
from protocols.iso15118.iso20 import events
from protocols.iso15118.iso20.secc_session import Evse, Verdict
from protocols.iso15118.pump.io import pump
from protocols.iso15118.secc import Engine, Secc
from protocols.iso15118.secc_engines import engines
from protocols.iso15118.secc_setpoint import SeccSetpoint
from protocols.ports import Clock, Wire

log = logging.getLogger("v2x.drivers")

ENDS_WITHIN_S = 3.0  # for the vehicle to end its session when the gateway stops
PLUG_WITHIN_S = 0.5  # from the first message of a vehicle to the report of its plug


class SeccEvse(BoardEvse[EvseOutput]):
    """EVSE with the driver `secc`. `board` makes the board anew for each run, `frames` opens another powerline."""

    protocol = "iso15118"

    def __init__(
        self,
        settings: SeccEvseSettings,
        board: Callable[[], Board],
        report: Report,
        clock: Clock,
        frames: matching.Frames | None = None,
    ) -> None:
        super().__init__(settings, board, report, clock)
        self.settings = settings
        self.port = 0  # of the server, while it listens
        self._frames = frames
        self._control: PlugControl = matching.DigitalPilot(self._signal)
        self._session: VehicleSession | BasicSession | None = None
        self._wire: Wire | None = None
        self._waiting = WaitingConnections()
        self._paused: dict[bytes, events.Paused] = {}
        self._paused_session: str | None = None  # known to the gateway, and paused by the vehicle
        self._disconnecting: asyncio.Task[None] | None = None

    # `gateway.drivers.hosted.HostedEvse`

    async def run(self) -> None:
        """Serve vehicles until cancelled."""
        board = self._operated = BoardRunner(self._board(), self._clock, self._on_board)
        kind = AcOutput if board.board.power is None else DcEvseOutput
        self._output, reason = kind(self.settings, board), "the driver of the board failed"
        try:
            control = matching.plug_control(
                self.settings, self._frames, self._clock, self._signal, self._abort, ac=kind.ac
            )
            async with control as self._control, asyncio.TaskGroup() as tasks:
                tasks.create_task(board.run(), name=f"board {self.name}")
                tasks.create_task(self._control.run(), name=f"plug {self.name}")
                await self._connect(self._output)
                async with endpoint.listening(self.settings, self.serve, lambda: self._control.ready) as port:
                    self.port = port
                    await self._tend(self._output)
        except asyncio.CancelledError:
            reason = "the gateway stops"
            raise
        finally:
            self._disconnect(reason)
            await self._close_wire()

    async def close(self) -> None:
        """Request the end of the vehicle's session and wait for it; then disconnect it."""
        session = self._session
        if session is None or isinstance(session, BasicSession):
            self._end_basic("the gateway stops")
            return
        session.terminate(within_s=2)
        try:
            async with self._clock.timeout_at(self._clock.now() + ENDS_WITHIN_S):
                while self._session is session:
                    await self._clock.sleep(0.05)
        except TimeoutError:
            session.abort("the gateway stops", silent=True)
            await self._close_wire()

    async def end_session(self, evse: str) -> Outcome:
        """Request the end of the vehicle's session."""
        session = self._session
        if session is None or session.id is None:
            return Outcome(Answer.REFUSED, OutcomeCode.TX_NOT_FOUND, f"no session is active on {self.name}")
        session.terminate()
        return Outcome(Answer.APPLIED)

    def _refusal(self, power_w: float, valid_for_s: float) -> Outcome | None:
        """Return the reason why a set-point is not applied, or None. A vehicle that has paused is woken."""
        board, output, session = self._operated, self._output, self._session
        if board is None or output is None or not self.connected:
            return self._silent()
        paused = self._paused_session if session is None else session.paused_id
        found = refusal(self.name, power_w, valid_for_s, output, session, paused, board.supervisor.faults)
        if found is not None and found.answer is Answer.UNKNOWN:
            self._wake_vehicle()
        return found

    # the hardware

    async def _connect(self, output: EvseOutput) -> None:
        self._signal(PilotLevel.X1)
        await super()._connect(output)
        if self._pilot is not None:
            self._control.pilot_changed(self._pilot)

    def _disconnect(self, reason: str) -> None:
        """Report the loss of the hardware; a session over it has ended."""
        self._operated = self._output = self._pilot = None
        session, self._session = self._session, None
        if session is not None:
            session.end(reason)
        self._end_paused(reason)
        self._lose(reason)

    def _signal(self, signal: PilotSignal) -> None:
        self._command(SetPilot(signal))

    def _on_board(self, event: Event) -> None:
        """React to an event of the supervisor."""
        if self._operated is None:
            return
        session = self._session
        match event:
            case ports.PilotChanged(state):
                self._pilot_changed(state)
            case ports.FaultRaised() | ports.FaultCleared():
                self._fault_changed(event)
            case board_orders.DeliveryStarted() if session is not None:
                session.contactors_moved(closed=True)
            case board_orders.CableChecked(passed) if session is not None:
                session.cable_checked(passed)
            case board_orders.OrderRefused(board_orders.CheckCable(), reason) if session is not None:
                log.warning("%s: no cable check: %s", self.name, reason)
                session.cable_checked(False)
            case board_orders.OutputStopped(reason):
                if session is not None:
                    session.output_stopped(reason)
                self._command(SetLock(False))
            case ports.StopRequested() if session is not None:
                session.terminate()
            case board_orders.Recovered():
                self._report_plug()
                self._wake_vehicle()

    def _pilot_changed(self, state: PilotState) -> None:
        plugged, self._pilot = self._pilot in PLUGGED, state
        if not self.connected:
            return
        self._control.pilot_changed(state)
        if isinstance(self._session, BasicSession):
            self._session.pilot_changed(state)
        if state is PilotState.DISCONNECTED and plugged:
            self._end_basic("the plug was pulled")
            self._abort("the plug was pulled")
        self._report_plug()

    def _wake_vehicle(self) -> None:
        """Wake a vehicle whose session is paused or failed: X1, then digital communication again."""
        if self._pilot not in PLUGGED or (self._session is not None and self._session.id is not None):
            return
        self._control.wake()

    def _abort(self, reason: str) -> None:
        """End the session of a vehicle whose cable is disconnected or whose powerline link is lost."""
        if self._session is not None:
            self._session.abort(reason, silent=True)
        self._disconnecting = asyncio.get_running_loop().create_task(self._vehicle_left(reason), name=reason)

    async def _vehicle_left(self, reason: str) -> None:
        await self._close_wire()
        await self._waiting.close()
        self._end_paused(reason)

    def _end_paused(self, reason: str) -> None:
        session, self._paused_session = self._paused_session, None
        self._paused.clear()
        if session is not None:
            self._report(model.SessionEnded(self.name, self._clock.now(), session, reason))

    # what `BoardEvse` needs of the session

    def _apply(self, power_w: float) -> None:
        if self._session is not None:
            self._session.set_power(power_w)

    def _fail(self, reason: str) -> None:
        if self._session is not None:
            self._session.abort(reason)

    def _forming_refused(self, output: EvseOutput) -> str:
        ready = self._session is not None and self._session.bidirectional and output.delivering
        return "" if ready else f"no vehicle at {self.name} can supply an island now"

    def _metered(self, reading: MeterReading, output: EvseOutput) -> model.Metered:
        car = None if self._session is None else self._session.car
        return metered(self.name, self._clock.now(), self._clock.wall(), reading, output.measured, car)

    def _report_measured(self, output: EvseOutput, now: float) -> None:
        super()._report_measured(output, now)
        self._tend_basic(output)

    def _tend_basic(self, output: EvseOutput) -> None:
        """Begin the charging by duty cycle of a vehicle that does not communicate, and keep its contactors closed."""
        board, control = self._operated, self._control
        if control.basic and self._session is None and isinstance(output, AcOutput) and board is not None:
            self._session = BasicSession(self.name, output, board, control, self._report, self._clock)
            self._setpoint_w = 0.0
            if self._pilot is not None:
                self._session.pilot_changed(self._pilot)
        if isinstance(self._session, BasicSession):
            self._session.tend()

    def _end_basic(self, reason: str) -> None:
        if isinstance(self._session, BasicSession):
            session, self._session, self._setpoint_w = self._session, None, 0.0
            session.end(reason)

    # vehicles

    async def serve(self, wire: Wire) -> bool:
        """Serve one vehicle until its session ends; return False for a connection beside the session of another one."""
        output, now, first = self._output, self._clock.now(), None
        limits = None if output is None else output.limits()
        waits = self._session is None or isinstance(self._session, BasicSession)
        if output is not None and limits is not None and waits and self.connected:
            settings = engine_settings(self.settings, limits, ac=output.ac)
            first = await self._waiting.first(wire, self._clock, now + settings.setup_timeout)
            if self._pilot not in PLUGGED:
                await self._clock.sleep(PLUG_WITHIN_S)
            if self._pilot not in PLUGGED or not self._control.ready:
                first = None  # no vehicle is plugged in and matched: another host is on this link
        if first:
            self._end_basic("the vehicle communicates")
        if first is None or self._session is not None or output is not self._output or output is None:
            await wire.close()
            return False
        evse = Evse(authorization=Verdict.YES, contactor_closed=False if output.ac else None)
        protocols, paused = protocols_of(self.settings, ac=output.ac), self._paused
        found = engines(wire, settings, evse, self._clock, protocols=protocols, paused=paused, connected_at=now)
        await self._serve(wire, first, found, output)
        return bool(first)

    async def _serve(self, wire: Wire, first: bytes, engines: list[Engine], output: EvseOutput) -> None:
        board, limits = self._operated, output.limits()
        assert board is not None
        port = Secc(engines)
        setpoint = SeccSetpoint(limits.max_charge_w, limits.max_discharge_w, self._clock)
        session = VehicleSession(
            self.name, port, output, board, setpoint, self._paused, self._report, self._clock, self._control.mac
        )
        self._control.resume()
        self._session, self._wire, self._setpoint_w = session, wire, 0.0
        try:
            await pump(port, wire, self._clock, session.report, session.prepare, first)
        finally:
            session.end("the connection was aborted")
            if self._session is session:
                self._session = self._wire = None
                self._setpoint_w = 0.0
                output.form(False)
                self._paused_session = session.paused_id
                if session.paused_id is not None:
                    self._control.pause()

    async def _close_wire(self) -> None:
        if self._wire is not None:
            await self._wire.close()
