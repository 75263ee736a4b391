"""`v2x bench fleet`: 1,000 emulated stations with EVs against one gateway in virtual time: CPU and memory.

A station-hour is one station with an EV that gets a command now and then: heartbeats, meter values, set-points with
their renewals, MQTT states and telemetry, the physics of battery and converter. No peer does the same. Reference in
the same run: a tenth of the fleet, which shows the cost of one more. Both ends share the process and are counted.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

from gateway.bench.measuring import Figures, progress, resident_kib

STATIONS = 1000
WARM_S, MEASURED_S = 60.0, 300.0
COMMANDED = 0.1  # share of the EVs that discharge


def figures(stations: int = STATIONS) -> Figures:
    """Return the figures of a tenth of the fleet and of the whole; `ok`: all online, every command carried out."""
    small, large = fleet(max(1, stations // 10)), fleet(stations)
    return {
        "ok": small["ok"] and large["ok"],
        "small": small,
        "large": large,
        "cpu_per_station_ratio": round(large["cpu_s_per_station_hour"] / small["cpu_s_per_station_hour"], 2),
    }


def text(found: Figures) -> Iterator[str]:
    """Yield one line for each run and for the ratio."""
    return (f"{name:>24}  {row}" for name, row in found.items())


def fleet(stations: int, measured_s: float = MEASURED_S) -> Figures:
    """Return the figures of one run."""
    progress(f"{stations} stations")
    from emulators.runtime.clock import run_virtual

    return run_virtual(_live(stations, measured_s))


async def _live(stations: int, measured_s: float) -> Figures:
    from emulators.scenario.loading import check
    from emulators.world import World

    plan = check(
        {
            "name": f"{stations} stations",
            "start": "2026-01-15T09:00:00+09:00",
            "duration": WARM_S + measured_s + 60,
            "step": 5,
            "tick": 5,
            "telemetry": 60,
            "sample": 600,
            "site": {"kind": "store"},
            "charger": [{"id": "CP", "count": stations, "vehicle_link": "none"}],
            "car": [{"name": "car", "count": stations, "evse": "CP1-1" if stations > 1 else "CP-1", "soc_pct": 70}],
        },
        "the bench",
    )
    before = resident_kib() or 0
    began = time.perf_counter()
    world = World(plan, 1, keep_transcript=False, fast_forward=True)
    async with world.running():
        await world.clock.sleep(WARM_S)
        ready_s = time.perf_counter() - began
        online = sum(1 for station in world.stations.values() if station.online)
        loaded = resident_kib() or 0
        some = list(world.bays)[:: max(1, round(1 / COMMANDED))]
        cpu, real = time.process_time(), time.perf_counter()
        holding = [
            asyncio.create_task(world.facility.hold(evse, "discharge", measured_s + 60, power_w=5000.0, lease_s=120))
            for evse in some
        ]
        await world.clock.sleep(measured_s)
        cpu, real = time.process_time() - cpu, time.perf_counter() - real
        obeyed = sum(1 for evse in some if world.bays[evse].stage.reading(world.clock.now()).ac_power_w < -4_800)
        for task in holding:
            task.cancel()
        messages = dict(world.transcript.counts)
    station_hours = stations * measured_s / 3600
    return {
        "ok": online == stations and obeyed == len(some),
        "stations": stations,
        "online": online,
        "commanded": len(some),
        "obeyed": obeyed,
        "ready_s": round(ready_s, 2),
        "cpu_s_per_station_hour": round(cpu / station_hours, 4),
        "virtual_s_per_s": round(measured_s / real, 1),
        "memory_kb_per_station": round((loaded - before) / stations, 1),
        "messages": messages,
    }
