"""One CHAdeMO EVSE whose sessions the gateway hosts: its board, its CAN bus, its events and the orders to it.

To the rest of the gateway it is an EVSE as any of a charging station; no OCPP is between a command and the current.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from gateway.drivers.board import orders, ports
from gateway.drivers.board.evse import BoardEvse
from gateway.drivers.board.faults import FaultName
from gateway.drivers.board.orders import Event
from gateway.drivers.board.plug_output import state_of
from gateway.drivers.board.ports import Board, MeterReading
from gateway.drivers.board.runner import BoardRunner
from gateway.drivers.chademo.bus import ReopeningBus
from gateway.drivers.chademo.output import ChademoOutput
from gateway.drivers.chademo.session import ChademoSession
from gateway.drivers.chademo.settings import ChademoEvseSettings
from gateway.drivers.chademo.vehicle import metered
from gateway.model import event as model
from gateway.model.event import PlugState, Report
from gateway.model.station import Answer, Outcome, OutcomeCode, setpoint_refusal
from protocols.chademo import timers
from protocols.dc_modules.bus import CanBus
from protocols.ports import Clock

log = logging.getLogger("v2x.drivers")

VEHICLE_OPENS_S = timers.FRAME_LOSS + timers.CHARGER_OFF  # after the last frame
RAMP_S = 1.0  # of a power stage to 0 A
ENDS_WITHIN_S = 7.5  # for a session when the gateway stops: the vehicle opens its contactors after 2 to 4 s


class ChademoEvse(BoardEvse[ChademoOutput]):
    """EVSE with the driver `chademo`. `board` makes the board, `bus` opens the CAN bus anew for each run."""

    protocol = "chademo"

    def __init__(
        self,
        settings: ChademoEvseSettings,
        board: Callable[[], Board],
        bus: Callable[[], CanBus],
        report: Report,
        clock: Clock,
    ) -> None:
        super().__init__(settings, board, report, clock)
        self.settings = settings
        self._open_bus = bus
        self._session: ChademoSession | None = None
        self._lines: ports.LinesChanged | None = None

    # `gateway.drivers.hosted.HostedEvse`

    async def run(self) -> None:
        """Serve vehicles until cancelled."""
        board = self._operated = BoardRunner(self._board(), self._clock, self._on_board)
        output = self._output = ChademoOutput(self.settings, board)
        reason = "the driver of the board failed"
        try:
            if board.board.lines is None:
                raise ValueError(f"board {self.settings.board} has no lines of a CHAdeMO plug")
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(board.run(), name=f"board {self.name}")
                await self._connect(output)
                self._note_silence(board)
                session = self._session = self._new_session(output, board)
                tasks.create_task(session.exchange(), name=f"CAN {self.name}")
                tasks.create_task(session.supervise(), name=f"plug {self.name}")
                await self._tend(output)
        except asyncio.CancelledError:
            reason = "the gateway stops"
            raise
        finally:
            session_lost, self._session = self._session, None
            if session_lost is not None:
                session_lost.end(reason)
            self._lines = None
            self._lose(reason)

    def _note_silence(self, board: BoardRunner) -> None:
        """Log a power stage that supplies current for longer than a vehicle waits for the frames of this process."""
        stage = board.board.power
        silence_s = None if stage is None else stage.silence_s
        if silence_s is None or silence_s > VEHICLE_OPENS_S - RAMP_S:
            log.warning(
                "%s: the silence time-out of the power stage is %s; if this process ends under power, the vehicle "
                "opens its contactors with current after %.1f s",
                self.name,
                "not known" if silence_s is None else f"{silence_s:g} s",
                VEHICLE_OPENS_S,
            )

    def _new_session(self, output: ChademoOutput, board: BoardRunner) -> ChademoSession:
        bus = ReopeningBus(self._open_bus, self._clock, self._bus_changed)
        session = ChademoSession(self.settings, bus, output, board, self._report_of_session, self._clock)
        if self._lines is not None:
            session.use_lines(self._lines.plugged, self._lines.k)
        return session

    async def close(self) -> None:
        """End the session of the vehicle in the regular way, and wait for it."""
        session = self._session
        if session is None or not session.active:
            return
        session.stop("the gateway stops", hold=True)
        try:
            async with self._clock.timeout_at(self._clock.now() + ENDS_WITHIN_S):
                while session.active:
                    await self._clock.sleep(0.05)
        except TimeoutError:
            pass

    # orders

    async def end_session(self, evse: str) -> Outcome:
        """End the session; a new one begins after the plug was removed, or after a reset of the EVSE."""
        session = self._session
        if session is None or session.id is None:
            return Outcome(Answer.REFUSED, OutcomeCode.TX_NOT_FOUND, f"no session is active on {self.name}")
        session.stop("ordered by the operator", hold=True)
        return Outcome(Answer.APPLIED)

    async def reset(self, evse: str) -> Outcome:
        """Release latched faults that are cleared, of the hardware and of the last session."""
        outcome = await super().reset(evse)
        if outcome.answer is Answer.APPLIED and self._session is not None:
            self._session.reset()
            self._report_plug()
        return outcome

    def _refusal(self, power_w: float, valid_for_s: float) -> Outcome | None:
        board, output, session = self._operated, self._output, self._session
        if board is None or output is None or session is None or not self.connected:
            return self._silent()
        bidirectional = session.session.discharge_agreed if session.id is not None else None
        refused = setpoint_refusal(power_w, valid_for_s, why_not=output.why_not or None, bidirectional=bidirectional)
        if refused is not None:
            return refused
        if session.id is None:
            return Outcome(Answer.REFUSED, OutcomeCode.TX_NOT_FOUND, f"no session is active on {self.name}")
        if power_w and not output.available:
            names = ", ".join(name for _, name in board.supervisor.faults.active) or "a latched fault"
            return Outcome(Answer.REFUSED, "Faulted", f"the hardware is in fault: {names}")
        return None

    # what `BoardEvse` needs of the session

    def _apply(self, power_w: float) -> None:
        if self._session is not None:
            self._session.set_power(power_w)

    def _fail(self, reason: str) -> None:
        if self._session is not None:
            self._session.sense()

    def _forming_refused(self, output: ChademoOutput) -> str:
        session = self._session
        ready = session is not None and session.powered and session.session.discharge_agreed
        return "" if ready else f"no vehicle at {self.name} can supply an island now"

    def _metered(self, reading: MeterReading, output: ChademoOutput) -> model.Metered:
        session = self._session
        found = None if session is None or session.id is None else session.session
        return metered(self.name, self._clock.now(), self._clock.wall(), reading, output.measured, found)

    def _plug_state(self) -> PlugState:
        session = self._session
        if session is not None and (session.link_lost or session.faulted):
            return PlugState.FAULTED
        return super()._plug_state()

    # the hardware

    def _on_board(self, event: Event) -> None:
        """React to an event of the supervisor."""
        if self._operated is None:
            return
        session = self._session
        match event:
            case ports.LinesChanged():
                self._lines_changed(event)
            case ports.FaultRaised() | ports.FaultCleared():
                self._fault_changed(event)
            case orders.CableChecked(passed, resistance_ohm) if session is not None:
                session.cable_checked(passed, resistance_ohm)
            case orders.OutputStopped(reason) if session is not None:
                session.output_stopped(reason)
            case ports.StopRequested(reason) if session is not None:
                session.stop(reason, hold=True)
            case orders.Recovered():
                self._report_plug()
                if session is not None:
                    session.retry()

    def _lines_changed(self, event: ports.LinesChanged) -> None:
        self._lines, self._pilot = event, state_of(event)
        session = self._session
        if session is not None:
            session.use_lines(event.plugged, event.k)
            session.sense()
        self._report_plug()

    def _bus_changed(self, reason: str) -> None:
        """Report the loss and the return of the CAN bus as a fault."""
        session, now = self._session, self._clock.now()
        if session is None:
            return
        before = session.link_lost
        session.lose_link(reason and f"CAN {self.settings.can}: {reason}")
        if reason and not before:
            self._report(model.FaultRaised(self.name, now, FaultName.COMMUNICATION, session.link_lost))
        elif before and not reason:
            self._report(model.FaultCleared(self.name, now, FaultName.COMMUNICATION))
            session.retry()
        session.sense()
        self._report_plug()

    def _report_of_session(self, event: model.Event) -> None:
        """Report an event of the session; its set-point ends with it, and the state of the plug follows its faults."""
        if isinstance(event, model.SessionEnded):
            self._setpoint_w = 0.0
        if isinstance(event, model.FaultCleared):
            self._report_plug()  # first: a faulted plug is a fault by itself
        self._report(event)
        if isinstance(event, model.FaultRaised):
            self._report_plug()
