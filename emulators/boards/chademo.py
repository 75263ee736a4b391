"""Board driver of emulated CHAdeMO hardware: as `emulated.py`, with the lines of the plug instead of a pilot."""

from __future__ import annotations

from emulators.boards.emulated import EmulatedBoard, EmulatedSettings, stage_of
from emulators.boards.emulated_ports import EmulatedLines
from emulators.charger.hardware.chademo_hardware import ChademoHardware
from gateway.drivers.board.faults import Part
from gateway.drivers.board.ports import LinesChanged
from protocols.ports import Clock


class ChademoBoard(EmulatedBoard):
    """Driver and hardware of one CHAdeMO EVSE. `plug` is its hardware: the vehicle and tests act on it."""

    def __init__(self, settings: EmulatedSettings, clock: Clock, hardware: ChademoHardware | None = None) -> None:
        """`hardware`: instead of new hardware with these settings, such as after a restart of the gateway."""
        if hardware is None:
            hardware = ChademoHardware(stage_of(settings), clock.now(), settings.silence_s)
            hardware.isolation_ohm = settings.isolation_ohm
        super().__init__(settings, clock, hardware)
        self.plug = hardware
        self.pilot, self.lines = None, EmulatedLines(self, hardware)

    def _report_plug(self, now: float) -> None:
        if Part.LINES not in self.silent:
            lines = (self.plug.plugged_in, self.plug.k)
            self._report_change("lines", lines, LinesChanged(*lines, now))

    def _withdraw(self) -> None:
        if self.lines is not None:
            self.lines.set(False, False)
