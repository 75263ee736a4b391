"""`v2x ev --slac`: plug in, match with the charger at the other end of the cable, run the session, unplug.

The control pilot follows the session: state C (or B) as ISO 15118 requires for DC and AC.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine
from typing import TextIO

from emulators.ev.report import Reporter, print_error
from emulators.ev.slac_lines import LINES
from emulators.powerline.cable import EvCable
from emulators.runtime.clock import RealClock
from protocols.iec61851 import ENERGY, ReleaseEnergy, RequestEnergy, VehicleOrder
from protocols.iso15118.iso20 import events

Observer = Callable[[object], None]
Session = Callable[[Observer], Coroutine[object, None, int]]


class PilotFollower:
    """Sets the control pilot of a vehicle by the events of its session: state C before the cable check (DC) or with the
    power (AC), state B after it."""

    def __init__(self, order: Callable[[VehicleOrder], None]) -> None:
        self._order = order
        self._dc = False

    def __call__(self, event: object) -> None:
        if isinstance(event, events.ServiceAgreed):
            self._dc = event.choice.is_dc
        elif isinstance(event, events.PilotRequested):
            self._order(RequestEnergy() if event.state in ENERGY else ReleaseEnergy())
        elif isinstance(event, events.PowerStarted) or (isinstance(event, events.SchedulesReceived) and self._dc):
            self._order(RequestEnergy())
        elif isinstance(event, events.PowerStopped | events.SessionEnded):
            self._order(ReleaseEnergy())


async def run_plugged_in(interface: str, json: bool, session: Session, out: TextIO | None = None) -> int:
    """Run a session on a cable; return its exit status, or 1 without a match."""
    reporter = Reporter(out or sys.stdout, json, LINES)
    try:
        async with EvCable(interface, RealClock(), reporter) as cable:
            await cable.plug_in()
            try:
                return await session(PilotFollower(cable.order))
            finally:
                await cable.unplug()
    except OSError as error:
        print_error("v2x ev", f"{error.strerror or error}")
        reporter.write_record("Summary", {"ok": False, "reason": error.strerror or str(error), "loops": 0})
        return 1
