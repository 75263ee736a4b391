"""Sources that supply an island by themselves: recognised by what is measured, whatever capability is declared.

A charger may form an island by its own hardware although no capability is reported: OCPP 1.6 and 2.0.1 have no
discharge, and of a station of 2.1 the capability may be undeclared. While the main switch is confirmed open and the
site has a voltage, a discharge that was not ordered shows it, or a lasting charge that was not: only the source of an
island takes its surplus of PV without an order. It is remembered until the site is on the grid again.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

from gateway.authority.island_limits import SUPPLIES_ISLAND_W
from gateway.energy.view import Car, View
from gateway.model.site import Load, Switch

ABSORBS_AFTER_S = 10.0  # after the main switch opened: a charge of before has ended
LIVE_W = 50.0  # a load above this behind an open main switch shows that the site has a voltage


@dataclass(slots=True)
class IslandSupply:
    """The sources that were recognised in this outage, with the most that each was seen to supply or to take, W."""

    seen_w: dict[str, float] = field(default_factory=dict)

    def update(self, view: View, opened: float | None, forming: str | None, able: Collection[str]) -> View:
        """Return the view with the discharge power of these sources.

        `opened`: when the main switch opened (Unix time), None while it is not open. `able`: EVSEs that are configured
        to form an island; one of them is recognised only where it cannot be discharged by order. Beside such a source
        `forming`, a discharge of another EVSE proves nothing.
        """
        if opened is None:
            self.seen_w.clear()
            return view
        here = {car.evse for car in view.cars}
        self.seen_w = {name: power_w for name, power_w in self.seen_w.items() if name in here}
        for car in view.cars:
            unknown = not (car.evse in able and car.max_discharge_w > 0)
            alone = forming is None or forming == car.evse or forming in self.seen_w
            if car.evse in self.seen_w or (unknown and alone and _supplies(view, car, opened)):
                self.seen_w[car.evse] = max(self.seen_w.get(car.evse, 0.0), abs(car.power_w or 0.0))
        return replace(view, cars=self._recognised(view.cars)) if self.seen_w else view

    def _recognised(self, cars: Sequence[Car]) -> list[Car]:
        """Return the vehicles; the power of a recognised source is what its charger states, or was seen to supply."""
        return [
            replace(car, supplies_island=True, max_discharge_w=max(car.max_discharge_w, car.stated_discharge_w, seen_w))
            if (seen_w := self.seen_w.get(car.evse)) is not None
            else car
            for car in cars
        ]


def _supplies(view: View, car: Car, opened: float) -> bool:
    """Return whether a vehicle is measured to supply the site, or to take its surplus, without an order, since the main
    switch opened."""
    switch, load = view.inputs.fresh(Switch, view.now), view.inputs.fresh(Load, view.now)
    if switch is None or not switch.open or (load is not None and load.power_w <= LIVE_W):
        return False
    if car.power_w is None or car.metered_at is None:
        return False
    since_s = view.wall - (view.now - car.metered_at) - opened
    if car.power_w > SUPPLIES_ISLAND_W:
        return car.setpoint_w <= 0 and load is not None and since_s >= ABSORBS_AFTER_S
    return car.setpoint_w >= 0 and car.power_w < -SUPPLIES_ISLAND_W and since_s >= 0
