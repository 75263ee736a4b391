"""Several sites on one broker, in one time, and cars lent from one to another: Blue Switch as a town lives it.

The first world leads: its scenario names the neighbours and the agreements. Each site has its own gateway, stations,
grid and controller; what joins them is MQTT and the cars.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from emulators.ev import profile
from emulators.ev.car import Car
from emulators.scenario.scenario import Scenario
from emulators.scenario.tables import LentPart, NeighbourPart
from emulators.world.deployed_vehicle import DeployedVehicle
from emulators.world.network import MemoryNetwork
from emulators.world.world import World


class MultiSite:
    """`run` lives it; the leader's record has the figures of all."""

    def __init__(self, leader: World) -> None:
        if leader.scenario.town is None or not isinstance(leader.network, MemoryNetwork):
            raise ValueError("a town needs its part of the scenario, and is joined in memory")
        self.leader, self.plan = leader, leader.scenario.town
        self.worlds = {leader.scenario.gateway.site: leader}
        for part in self.plan.neighbour:
            plan = _scenario(leader.scenario, part)
            self.worlds[part.gateway.site] = World(plan, leader.seed, False, leader.fast_forward, beside=leader)
        places = self.plan.agreements.get("place", [])
        charging = {one["name"]: float(one["charge_w"]) for one in places if one.get("charge_w")}
        bases = {one["vehicle"]: str(one["base"]) for one in self.plan.agreements.get("car", [])}
        known = {str(one["name"]): str(one["name"]) for one in places}
        self.cars = [
            DeployedVehicle(_car(part, leader), bases[part.vehicle], leader, self.worlds, charging, known)
            for part in self.plan.lent
        ]
        leader.record.more = self.figures

    async def run(self) -> None:
        """From the start of the scenario to its end."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "agreements.toml"
            file.write_text(_toml(self.plan.agreements), encoding="utf-8")
            for world in self.worlds.values():
                assert isinstance(world.network, MemoryNetwork)
                world.network.said = {"blue_switch": {"file": str(file), "leads": world is self.leader}}
            async with contextlib.AsyncExitStack() as life:
                for world in self.worlds.values():
                    await life.enter_async_context(world.living())
                driving = [asyncio.get_running_loop().create_task(car.live(), name=car.car.name) for car in self.cars]
                try:
                    left_s = self.leader.scenario.duration - self.leader.clock.now()
                    done, _ = await asyncio.wait(driving, timeout=max(0.0, left_s), return_when="FIRST_EXCEPTION")
                    for task in done:
                        task.result()
                finally:
                    for task in driving:
                        task.cancel()
                    await asyncio.gather(*driving, return_exceptions=True)

    def figures(self) -> dict[str, float]:
        """Those of the neighbours under their names, and of the lent cars."""
        found: dict[str, float] = {}
        for site, world in self.worlds.items():
            if world is not self.leader:
                found |= {f"{site}.{name}": value for name, value in world.record.figures().items()}
        for car in self.cars:
            found |= car.figures()
        return found


def _scenario(of: Scenario, part: NeighbourPart) -> Scenario:
    """The neighbour's own scenario: the same time and steps, its own everything else."""
    own: dict[str, Any] = {"gateway": part.gateway, "site": part.site, "grid": part.grid, "charger": part.charger}
    empty: dict[str, Any] = {"car": [], "command": [], "input": [], "fault": [], "chaos": None, "town": None}
    return of.model_copy(update=own | empty | {"expect": {}, "name": f"{of.name}: {part.gateway.site}"})


def _car(part: LentPart, leader: World) -> Car:
    spec = replace(profile.load(part.profile), evcc_id=part.vehicle)
    return Car(spec, part.soc_pct, name=part.vehicle, ambient_c=leader.scenario.site.ambient_c)


def _toml(tables: dict[str, Any]) -> str:
    """The agreement file: arrays of flat tables, whose values JSON writes as TOML does."""
    lines = [f"{key} = {json.dumps(value)}" for key, value in tables.items() if not isinstance(value, list)]
    for key, rows in tables.items():
        for row in rows if isinstance(rows, list) else ():
            lines += ["", f"[[{key}]]", *(f"{name} = {_value(value)}" for name, value in row.items())]
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {_value(one)}" for name, one in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_value(one) for one in value) + "]"
    return json.dumps(value)
