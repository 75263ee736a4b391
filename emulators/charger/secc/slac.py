"""`v2x secc --slac`: control pilot and SLAC of the EVSE beside its SECC, for each car that is plugged in."""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine
from typing import TextIO

from emulators.ev.report import Reporter, print_error
from emulators.powerline.cable import EvseCable
from emulators.powerline.texts import EVENTS, text_of
from emulators.runtime.clock import RealClock


async def run_on_cable(
    interface: str, json: bool, secc: Callable[[], Coroutine[object, None, int]], out: TextIO | None = None
) -> int:
    """Run a SECC together with its end of the cable; return its exit status."""
    reporter = Reporter(out or sys.stdout, json, dict.fromkeys(EVENTS, text_of))
    try:
        async with EvseCable(interface, RealClock(), reporter):
            return await secc()
    except OSError as error:
        print_error("v2x secc", f"{error.strerror or error}")
        return 2
