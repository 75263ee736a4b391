"""A lent car and whoever drives it: it goes where it is called, gives there, charges where there is power, goes home.

The driver knows what a driver would: the call (over MQTT, as the leading site tells it), what the screen of the site
says (may this car drive?), and the car's own gauge. Its operator tells the gateway by MQTT where it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from emulators.ev.car import Car
from emulators.world.parking_bay import ParkingBay

if TYPE_CHECKING:
    from emulators.world.world import World

LOOK_S = 10.0
TELL_S = 900.0
FULL_PCT = 90.0
HOME_S = 1200.0  # of the way home, where no call says otherwise
STAYS_S = 600.0  # after a site's grid came back, before anybody thinks of driving home


@dataclass(slots=True)
class DeployedVehicle:
    """`live` until cancelled. `worlds` by site; `charging` is the power of places that have one."""

    car: Car
    base: str
    leader: World
    worlds: Mapping[str, World]
    charging: Mapping[str, float]
    bases: Mapping[str, str]
    place: str = ""
    trips: int = 0
    visited: set[str] = field(default_factory=set)
    way_wh: float = 0.0
    lowest_pct: float = 100.0
    given_wh: float = 0.0
    _told_at: float = -1e9

    async def live(self) -> None:
        """Its days."""
        self.place = self.base
        clock = self.leader.clock
        while True:
            await clock.sleep(LOOK_S)
            call = self._call()
            if call is not None and clock.wall() >= _unix(call["leave_at"]):
                await self._go(call)
            elif self.place in self.charging and self.car.soc_pct < FULL_PCT:
                self.car.pack.flow(self.car.pack.current_for(self.charging[self.place]), LOOK_S)
            await self._tell()

    def _call(self) -> dict[str, Any] | None:
        return next((one for one in self._rows("calls") if one["vehicle"] == self.car.name), None)

    def _rows(self, name: str) -> Iterator[dict[str, Any]]:
        energy = self.leader.facility.states.get("site", {}).get("energy") or {}
        yield from (energy.get("blue_switch") or {}).get(name, [])

    async def _go(self, call: dict[str, Any]) -> None:
        """There, while it is needed, and away again."""
        site = str(call["site"])
        await self._drive(site, _unix(call["arrive_at"]) - _unix(call["leave_at"]), float(call["way_wh"]))
        world = self.worlds[site]
        bay = await self._free_bay(world)
        self.trips += 1
        self.visited.add(site)
        await bay.plug(self.car)
        world.happened("car", f"{self.car.name} arrives at {bay.evse} of {site} with {self.car.soc_pct:.0f} %")
        before = self.car.energy_out_wh
        await self._stay(world, bay)
        self.given_wh += self.car.energy_out_wh - before
        world.happened("car", f"{self.car.name} leaves {site} with {self.car.soc_pct:.0f} %")
        await bay.unplug(self.car)
        back = str(call.get("then") or self.base)
        await self._drive(back, HOME_S, float(call["way_wh"]))

    async def _free_bay(self, world: World) -> ParkingBay:
        while True:
            free = next((bay for bay in world.bays.values() if bay.car is None), None)
            if free is not None:
                return free
            await world.clock.sleep(LOOK_S)

    async def _stay(self, world: World, bay: ParkingBay) -> None:
        """Until the site's screen says that it may drive, or the grid is back and nothing is owed to it any more."""
        well = 0.0
        while True:
            await world.clock.sleep(LOOK_S)
            self.lowest_pct = min(self.lowest_pct, self.car.soc_pct)
            energy = world.facility.states.get("site", {}).get("energy") or {}
            if bay.evse in (energy.get("may_drive") or ()):
                return
            owed = {row["name"] for row in (energy.get("recharge") or {}).get("owed", ())}
            well = well + LOOK_S if energy.get("phase") == "on_grid" and bay.evse not in owed else 0.0
            if well > STAYS_S:
                return

    async def _drive(self, to: str, seconds: float, way_wh: float) -> None:
        self.place = "on the way"
        self.car.drive(way_wh, max(seconds, 60.0))
        self.way_wh += way_wh
        await self.leader.clock.sleep(max(0.0, seconds))
        self.place = to
        self._told_at = -1e9

    async def _tell(self) -> None:
        """Its operator's word about it, now and then."""
        now = self.leader.clock.now()
        if now - self._told_at < TELL_S or self.place not in self.bases:
            return
        self._told_at = now
        row = {"vehicle": self.car.name, "place": self.place, "soc_pct": round(self.car.soc_pct, 1), "available": True}
        try:
            await self.leader.facility.tell("lent", {"cars": [row]}, self.leader.clock.wall())
        except (OSError, TimeoutError):
            self._told_at = now - TELL_S + LOOK_S  # the broker is away: again soon

    def figures(self) -> dict[str, float]:
        """What became of it."""
        name = f"lent.{self.car.name}"
        return {
            f"{name}.soc_pct": self.car.soc_pct,
            f"{name}.lowest_pct": self.lowest_pct,
            f"{name}.trips": float(self.trips),
            f"{name}.sites": float(len(self.visited)),
            f"{name}.given_wh": self.given_wh,
            f"{name}.way_wh": self.way_wh,
        }


def _unix(text: object) -> float:
    return datetime.fromisoformat(str(text).replace("Z", "+00:00")).timestamp()
