"""Deployed vehicle: drives to the sites it is called out to, supplies them, recharges and returns to its base.

Its driver acts on the published call-out of the leading site, on the published state of the site (`may_drive`) and on
the vehicle's SoC. Its provider reports the vehicle's position over MQTT.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from datetime import datetime

from emulators.ev.car import Car
from emulators.site.facility import Body
from emulators.world.emulated_site import EmulatedSite
from emulators.world.parking_bay import ParkingBay

UPDATE_S = 10.0
REPORT_S = 900.0  # between two position reports
FULL_PCT = 90.0
RETURN_S = 1200.0  # duration of the return trip
STAY_S = 600.0  # after the return of a site's grid, before the vehicle leaves


@dataclass(slots=True)
class DeployedVehicle:
    """One vehicle. `worlds` by site; `charging` is the charging power of places that have one, W."""

    car: Car
    base: str
    leader: EmulatedSite
    worlds: Mapping[str, EmulatedSite]
    charging: Mapping[str, float]
    places: Set[str]  # of the agreements, where the provider can report the vehicle
    place: str = ""
    trips: int = 0
    visited: set[str] = field(default_factory=set)
    driven_wh: float = 0.0
    lowest_pct: float = 100.0
    supplied_wh: float = 0.0  # in stays that have ended
    _stay_from_wh: float | None = None  # counter of the vehicle when the present stay began
    _reported_at: float = -1e9

    async def run(self) -> None:
        """Follow call-outs until cancelled."""
        self.place = self.base
        clock = self.leader.clock
        while True:
            await clock.sleep(UPDATE_S)
            call = self._call()
            if call is not None and clock.wall() >= _unix(call["leave_at"]):
                await self._deploy(call)
            elif self.place in self.charging and self.car.soc_pct < FULL_PCT:
                self.car.pack.flow(self.car.pack.current_for(self.charging[self.place]), UPDATE_S)
            await self._report_position()

    def _call(self) -> Body | None:
        energy = self.leader.facility.states.get("site", {}).get("energy") or {}
        calls = (energy.get("blue_switch") or {}).get("calls", [])
        return next((one for one in calls if one["vehicle"] == self.car.name), None)

    async def _deploy(self, call: Body) -> None:
        """Drive to the site of a call-out, stay while needed, and drive back."""
        site = str(call["site"])
        await self._drive(site, _unix(call["arrive_at"]) - _unix(call["leave_at"]), float(call["way_wh"]))
        world = self.worlds[site]
        bay = await self._free_bay(world)
        self.trips += 1
        self.visited.add(site)
        await bay.plug(self.car)
        world.record_event("car", f"{self.car.name} arrives at {bay.evse} of {site} with {self.car.soc_pct:.0f} %")
        self._stay_from_wh = self.car.energy_out_wh
        await self._stay(world, bay)
        self.supplied_wh, self._stay_from_wh = self._given_wh(), None
        world.record_event("car", f"{self.car.name} leaves {site} with {self.car.soc_pct:.0f} %")
        await bay.unplug(self.car)
        onward = self._call()
        if onward is None or onward["site"] == site:  # else it goes on from here
            back = str(call.get("then") or self.base)
            await self._drive(back, RETURN_S, float(call["way_wh"]))

    async def _free_bay(self, world: EmulatedSite) -> ParkingBay:
        while True:
            free = next((bay for bay in world.bays.values() if bay.car is None), None)
            if free is not None:
                return free
            await world.clock.sleep(UPDATE_S)

    async def _stay(self, world: EmulatedSite, bay: ParkingBay) -> None:
        """Wait until the site reports that the vehicle may drive, or the grid is back and its energy is returned."""
        on_grid_s = 0.0
        while True:
            await world.clock.sleep(UPDATE_S)
            self.lowest_pct = min(self.lowest_pct, self.car.soc_pct)
            energy = world.facility.states.get("site", {}).get("energy") or {}
            if bay.evse in (energy.get("may_drive") or ()):
                return
            to_return = {row["name"] for row in (energy.get("recharge") or {}).get("owed", ())}
            returned = energy.get("phase") == "on_grid" and bay.evse not in to_return
            on_grid_s = on_grid_s + UPDATE_S if returned else 0.0
            if on_grid_s > STAY_S:
                return

    async def _drive(self, to: str, seconds: float, way_wh: float) -> None:
        self.place = "on the way"
        self.car.drive(way_wh, max(seconds, 60.0))
        self.driven_wh += way_wh
        await self.leader.clock.sleep(max(0.0, seconds))
        self.place = to
        self._reported_at = -1e9

    async def _report_position(self) -> None:
        """Publish the provider's report of the vehicle if one is due."""
        now = self.leader.clock.now()
        if now - self._reported_at < REPORT_S or self.place not in self.places:
            return
        self._reported_at = now
        row = {"vehicle": self.car.name, "place": self.place, "soc_pct": round(self.car.soc_pct, 1), "available": True}
        try:
            await self.leader.facility.publish_input("lent", {"cars": [row]}, self.leader.clock.wall())
        except (OSError, TimeoutError):
            self._reported_at = now - REPORT_S + UPDATE_S  # no broker: try again at the next update

    def _given_wh(self) -> float:
        """Return the energy supplied to sites, that of the present stay included."""
        begun = self._stay_from_wh
        return self.supplied_wh + (0.0 if begun is None else self.car.energy_out_wh - begun)

    def figures(self) -> dict[str, float]:
        """Return the figures of this vehicle."""
        name = f"lent.{self.car.name}"
        return {
            f"{name}.soc_pct": self.car.soc_pct,
            f"{name}.lowest_pct": self.lowest_pct,
            f"{name}.trips": float(self.trips),
            f"{name}.sites": float(len(self.visited)),
            f"{name}.given_wh": self._given_wh(),
            f"{name}.way_wh": self.driven_wh,
        }


def _unix(text: object) -> float:
    return datetime.fromisoformat(str(text).replace("Z", "+00:00")).timestamp()
