"""`v2x secc --slac`: control pilot and SLAC of the EVSE beside its SECC, which gets the states of the pilot."""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine
from typing import TextIO

from emulators.charger.secc.secc import EvseSecc
from emulators.ev.report import Reporter, print_error
from emulators.ev.slac_lines import LINES
from emulators.powerline.cable import EvseCable
from emulators.runtime.clock import RealClock
from protocols.iec61851 import StateChanged

Program = Callable[[Callable[[EvseSecc], None]], Coroutine[object, None, int]]


async def run_on_cable(interface: str, json: bool, program: Program, out: TextIO | None = None) -> int:
    """Run a SECC together with its end of the cable; return its exit status."""
    reporter = Reporter(out or sys.stdout, json, LINES)
    started: list[EvseSecc] = []

    def observe(event: object) -> None:
        reporter(event)
        if isinstance(event, StateChanged):
            for secc in started:
                secc.set_pilot(event.state)

    try:
        async with EvseCable(interface, RealClock(), observe):
            return await program(started.append)
    except OSError as error:
        print_error("v2x secc", f"{error.strerror or error}")
        return 2
