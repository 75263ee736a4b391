"""Command `v2x ev --chademo CHANNEL`: one session of an emulated vehicle on a CAN bus, until the charger ends it.

Exit status as of `v2x ev`: 0 the session succeeded, 1 it failed, 2 the options are invalid. With JSON, one line per
event and a last one named `Summary`.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from emulators.ev import profile as profiles
from emulators.ev.car import Car
from emulators.ev.chademo import ChademoEv
from emulators.ev.chademo_report import LINES
from emulators.ev.report import PowerChanges, Reporter, power_text, print_error
from emulators.runtime.clock import RealClock
from emulators.runtime.recorded_can import FrameTools
from protocols.chademo.states import VehicleState
from protocols.dc_modules.bus import CanBus
from protocols.ports import Clock

WATCH_S = 0.2  # between two checks of the power
END_WITHIN = 8.0  # s, to end the session after Ctrl-C
CYCLES_PER_S = 10


@dataclass(frozen=True, slots=True)
class ChademoOptions:
    """Options of `v2x ev --chademo`. `loops` is the number of cycles of 100 ms with power."""

    channel: str
    profile: str = "leaf-40"
    soc_pct: float = 80.0
    loops: int | None = None
    json: bool = False
    trace: bool = False  # print every frame
    candump: Path | None = None  # log of the frames


async def run(options: ChademoOptions, out: TextIO | None = None) -> int:
    """Run one vehicle; return the exit status."""
    from protocols.dc_modules.io import open_bus  # python-can is an extra

    try:
        car = Car(profiles.load(options.profile), soc_pct=options.soc_pct)
    except (ValueError, profiles.ProfileError) as error:
        print_error("v2x ev", f"{error}")
        return 2
    reporter = Reporter(out or sys.stdout, options.json, LINES)
    clock = RealClock()
    try:
        tools = FrameTools(options.candump, reporter.write_text if options.trace else None)
        bus = tools.wrap(open_bus(options.channel), clock.wall)
    except ConnectionError as error:
        print_error("v2x ev", f"{error}")
        return 1
    except OSError as error:
        print_error("v2x ev", f"--candump: {error}")
        return 2
    try:
        return await run_on(bus, car, options, reporter, clock)
    finally:
        tools.close()


async def run_on(bus: CanBus, car: Car, options: ChademoOptions, reporter: Reporter, clock: Clock) -> int:
    """Run one vehicle on an open bus; return the exit status."""
    ev = ChademoEv(car, bus, clock, report=reporter)
    reporter.write_text(f"on {options.channel}; battery at {car.soc_pct:.0f} %")
    running = asyncio.ensure_future(ev.run())
    try:
        await _watch(ev, running, options, reporter, clock)
    except asyncio.CancelledError:
        ev.stop("stopped by the driver")
        with suppress(TimeoutError):
            async with asyncio.timeout(END_WITHIN):
                # locked until d1 is off; a vehicle that no charger has started has nothing to end
                while _in_session(ev) and not running.done():
                    await clock.sleep(WATCH_S)
    finally:
        running.cancel()
        lost = (await asyncio.gather(running, return_exceptions=True))[0]
    reason = ev.ended.text if ev.ended is not None else f"{lost}" or "interrupted"
    ok = ev.ended is not None and ev.ended.severity in ("normal", "alarm")
    _summarise(reporter, car, ok, reason)
    return 0 if ok else 1


async def _watch(
    ev: ChademoEv, running: asyncio.Future[None], options: ChademoOptions, reporter: Reporter, clock: Clock
) -> None:
    """Report power and state of charge until the session has ended and d1 is open, or the bus is lost."""
    changes, powered_s = PowerChanges(), 0.0
    while not running.done():
        await clock.sleep(WATCH_S)
        power_w = ev.charger.current_a * ev.car.voltage_v if ev.car.contactors_closed else 0.0
        if changes.select(power_w, power_w, ev.car.soc_pct):
            reporter.write_text(f"{power_text(power_w)}, battery at {ev.car.soc_pct:.0f} %")
            reporter.write_record("Power", {"power_w": round(power_w), "soc_pct": round(ev.car.soc_pct, 3)})
        powered_s += WATCH_S if ev.engine.state is VehicleState.POWER else 0.0
        if options.loops is not None and powered_s * CYCLES_PER_S >= options.loops:
            ev.stop(f"{options.loops} cycles")
        if ev.ended is not None and not ev.charger.d1:
            return


def _in_session(ev: ChademoEv) -> bool:
    """Return whether a session runs, or its charger holds d1."""
    return ev.charger.d1 or (ev.ended is None and ev.engine.state not in (VehicleState.SLEEP, VehicleState.PLUGGED))


def _summarise(reporter: Reporter, car: Car, ok: bool, reason: str) -> None:
    values = {
        "ok": ok,
        "reason": reason,
        "soc_pct": round(car.soc_pct, 3),
        "energy_in_wh": round(car.energy_in_wh, 3),
        "energy_out_wh": round(car.energy_out_wh, 3),
    }
    reporter.write_record("Summary", values)
    reporter.write_text(
        f"{'succeeded' if ok else 'FAILED'}: {reason}; battery at {car.soc_pct:.1f} %, {car.energy_in_wh:.1f} Wh in, "
        f"{car.energy_out_wh:.1f} Wh out"
    )
