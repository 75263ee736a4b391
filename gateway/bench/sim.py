"""`v2x bench sim`: processor time of an emulated hour, with and without repeated charge loops.

Three aims on one core: four hours of one vehicle's discharge within 10 s with every charge loop exchanged and within 1
s with repeated ones left out; a day of a store with ten vehicles within 30 s. No peer does the same, so the run that
exchanges every loop is the reference. Counts show where the work is: they are the same on every machine, the seconds
are not.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from gateway import garbage_collection
from gateway.bench.measuring import Figures, progress

HOUR = 3600.0
DISCHARGE: Figures = {
    "name": "four hours of one car",
    "start": "2026-01-15T17:00:00+09:00",
    "duration": 4 * HOUR,
    "step": 5,
    "tick": 5,
    "telemetry": 60,
    "sample": 600,
    "site": {"kind": "store"},
    "charger": [{"id": "CP"}],
    "car": [{"name": "car", "profile": "ariya-66", "evse": "CP-1", "soc_pct": 92}],
    "command": [{"at": 30, "target": "CP-1", "verb": "discharge", "power_w": 9000, "lease_s": 3600, "hold": 4 * HOUR}],
}
DAY = "store-day-ten-cars"
AIM_S = {"discharge_full": 10.0, "discharge_fast": 1.0, "store_day_fast": 30.0}
REFERENCE_S = HOUR  # first hour of the store's day, with every loop


@dataclass(frozen=True, slots=True)
class Run:
    """One run: processor seconds and counts. Messages are those on the wire, both ways."""

    virtual_s: float
    cpu_s: float
    messages: dict[str, int]
    loops: int  # charge loops exchanged
    loops_left_out: int
    wakes: int  # advances of the clock
    controller_steps: int
    plans: int
    broken: list[str]  # expectations of the scenario that are not met

    @property
    def per_hour(self) -> float:
        """Return the processor seconds of a virtual hour."""
        return self.cpu_s / self.virtual_s * HOUR


def text(found: Figures) -> Iterator[str]:
    """Yield the figures as lines."""
    for name, row in found["runs"].items():
        yield (
            f"{name:>17}  {row['virtual_s'] / HOUR:4.1f} h in {row['cpu_s']:6.2f} s of processor, "
            f"{row['loops']} loops ({row['loops_left_out']} left out), {sum(row['messages'].values())} messages, "
            f"{row['controller_steps']} controller steps, {row['wakes']} wake-ups"
        )
    for name, aim in found["aims"].items():
        yield f"{name:>17}  {aim['cpu_s']:.2f} s, aim {aim['aim_s']:.0f} s"
    for name, ratio in found["ratios"].items():
        yield f"{name:>17}  whole run / run with loops left out: {ratio}"


def figures() -> Figures:
    """Return all runs, their aims and the ratios; `ok`: the expectations of the scenarios are met."""
    runs = {
        "discharge_full": run(DISCHARGE, fast_forward=False),
        "discharge_fast": run(DISCHARGE, fast_forward=True),
        "store_hour_full": run(DAY, fast_forward=False, until_s=REFERENCE_S),
        "store_hour_fast": run(DAY, fast_forward=True, until_s=REFERENCE_S),
        "store_day_fast": run(DAY, fast_forward=True),
    }
    ratios = {
        name: round(runs[f"{name}_full"].cpu_s / runs[f"{name}_fast"].cpu_s, 2) for name in ("discharge", "store_hour")
    }
    aims = {
        name: {"cpu_s": runs[name].cpu_s, "aim_s": aim_s, "met": runs[name].cpu_s <= aim_s}
        for name, aim_s in AIM_S.items()
    }
    return {
        "bench": "sim",
        "ok": not any(one.broken for one in runs.values()),
        "aims": aims,
        "ratios": ratios,
        "runs": {name: {**asdict(one), "cpu_s_per_hour": round(one.per_hour, 3)} for name, one in runs.items()},
    }


def run(scenario: str | Figures, *, fast_forward: bool, until_s: float | None = None) -> Run:
    """Run a scenario (a shipped one by name, or a table) or its first `until_s`; imports are not counted."""
    from emulators.runtime.clock import run_virtual
    from emulators.scenario.loading import check, load

    plan = load(scenario) if isinstance(scenario, str) else check(scenario, "the bench")
    of = f", its first {until_s:.0f} s" if until_s is not None else ""
    progress(f"{plan.name}{of}, {'fast-forwarded' if fast_forward else 'in full'}")
    if until_s is not None:
        plan = plan.model_copy(update={"duration": min(plan.duration, until_s), "expect": {}})
    return run_virtual(_live(plan, fast_forward))


async def _live(plan: Any, fast_forward: bool) -> Run:
    from emulators.runtime.clock import VirtualLoop
    from emulators.world import World

    garbage_collection.settle()  # as `v2x sim` does
    began = time.process_time()
    world = World(plan, keep_transcript=False, fast_forward=fast_forward)
    async with world.running():
        assert world.gateway is not None
        energy_service = world.gateway.energy_service
        await world.clock.sleep(plan.duration)
        cpu_s = time.process_time() - began
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        counts = dict(sorted(world.transcript.counts.items()))
        left_out = sum(bay.skipped_loops for bay in world.bays.values())
        return Run(
            virtual_s=plan.duration,
            cpu_s=round(cpu_s, 3),
            messages={name: count for name, count in counts.items() if name != "world"},
            loops=counts.get("iso15118", 0) // 2,
            loops_left_out=left_out,
            wakes=loop.jumps,
            controller_steps=energy_service.steps,
            plans=energy_service.plans,
            broken=world.recording.violations(plan.expect),
        )
