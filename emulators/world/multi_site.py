"""Multi-site scenario: several sites on one broker and one clock, and vehicles deployed between them (Blue Switch).

The leading site's scenario lists the neighbours and the agreements. Each site has its own gateway, stations, grid and
facility; they interact over MQTT and through the vehicles.
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
from emulators.scenario.tables import DeployedVehiclePart, NeighbourPart
from emulators.world.deployed_vehicle import DeployedVehicle
from emulators.world.network import MemoryNetwork
from emulators.world.world import World


class MultiSite:
    """Worlds of all sites. The leader's recording has the figures of all of them."""

    def __init__(self, leader: World) -> None:
        if leader.scenario.town is None or not isinstance(leader.network, MemoryNetwork):
            raise ValueError("a multi-site scenario needs its table `town` and transports in memory")
        self.leader, self.town = leader, leader.scenario.town
        self.worlds = {leader.scenario.gateway.site: leader}
        for part in self.town.neighbour:
            scenario = _scenario(leader.scenario, part)
            self.worlds[part.gateway.site] = World(
                scenario, leader.seed, keep_transcript=False, fast_forward=leader.fast_forward, leader=leader
            )
        places = self.town.agreements.get("place", [])
        charging = {one["name"]: float(one["charge_w"]) for one in places if one.get("charge_w")}
        bases = {one["vehicle"]: str(one["base"]) for one in self.town.agreements.get("car", [])}
        named = {str(one["name"]) for one in places}
        self.cars = [
            DeployedVehicle(_car(part, leader), bases[part.vehicle], leader, self.worlds, charging, named)
            for part in self.town.lent
        ]
        agreed_pct = _agreed_pct(self.town.agreements)
        for world in self.worlds.values():
            world.recording.safety.agreed_pct |= agreed_pct
        leader.recording.include(self.figures)

    async def run(self) -> None:
        """Run from the start of the scenario to its end."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "agreements.toml"
            file.write_text(_toml(self.town.agreements), encoding="utf-8")
            for world in self.worlds.values():
                assert isinstance(world.network, MemoryNetwork)
                world.network.configure_gateway("blue_switch", {"file": str(file), "leads": world is self.leader})
            async with contextlib.AsyncExitStack() as running:
                for world in self.worlds.values():
                    await running.enter_async_context(world.running())
                driving = [asyncio.get_running_loop().create_task(car.run(), name=car.car.name) for car in self.cars]
                try:
                    remaining_s = self.leader.scenario.duration - self.leader.clock.now()
                    done, _ = await asyncio.wait(driving, timeout=max(0.0, remaining_s), return_when="FIRST_EXCEPTION")
                    for task in done:
                        task.result()
                finally:
                    for world in reversed(self.worlds.values()):  # the leader, which is the first, includes the others
                        world.recording.close(world.clock.now())
                    for task in driving:
                        task.cancel()
                    await asyncio.gather(*driving, return_exceptions=True)

    def figures(self) -> dict[str, float]:
        """Return the figures of the neighbours, prefixed with their names, and those of the deployed vehicles."""
        figures: dict[str, float] = {}
        for site, world in self.worlds.items():
            if world is not self.leader:
                figures |= {f"{site}.{name}": value for name, value in world.recording.figures().items()}
        for car in self.cars:
            figures |= car.figures()
        return figures


def _scenario(leading: Scenario, part: NeighbourPart) -> Scenario:
    """Return the scenario of a neighbour: times and steps are those of the leading site."""
    own: dict[str, Any] = {"gateway": part.gateway, "site": part.site, "grid": part.grid, "charger": part.charger}
    empty: dict[str, Any] = {"car": [], "command": [], "input": [], "fault": [], "chaos": None, "town": None}
    return leading.model_copy(update=own | empty | {"expect": {}, "name": f"{leading.name}: {part.gateway.site}"})


def _agreed_pct(tables: dict[str, Any]) -> dict[str, float]:
    """Return the floor of each vehicle by the agreements that state one."""
    agreements = tables.get("agreement", [])
    return {vehicle: float(one["floor_pct"]) for one in agreements if "floor_pct" in one for vehicle in one["cars"]}


def _car(part: DeployedVehiclePart, leader: World) -> Car:
    spec = replace(profile.load(part.profile), evcc_id=part.vehicle)
    return Car(spec, part.soc_pct, name=part.vehicle, ambient_c=leader.scenario.site.ambient_c)


def _toml(tables: dict[str, Any]) -> str:
    """Return the agreement file: arrays of flat tables, with values that JSON and TOML write alike."""
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
