"""Runs the Blue Switch desk of this site: tells it of outages and cars, and carries its calls and checks out.

The desk decides (`gateway/blue_switch`). Here the board's sessions become arrivals, its registers become what a car
gave, and what the desk says becomes events and the `blue_switch` part of the site's state. Other sites' needs and cars
come in as their retained `site/state` (`heard`); lenders' car positions and payments as inputs. The books are kept in
the store (`keeper.py`), the report of an outage is written when it is over, and again when something was given back.
On a normal day a lent car is a car like any other.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.blue_switch import neighbours, views
from gateway.blue_switch.agreement import GiveBack
from gateway.blue_switch.audit import report_markdown
from gateway.blue_switch.callout import SiteNeed
from gateway.blue_switch.coordinator import Coordinator
from gateway.blue_switch.persistence import BlueSwitchPersistence
from gateway.blue_switch.registry import Status
from gateway.control.board import Board
from gateway.control.control_state import EvseControlState
from gateway.energy.reason import Decided
from gateway.energy.resilience.phase import OFF_GRID
from gateway.energy.resource import usable_wh
from gateway.energy.service import EnergyService
from gateway.model.journal import Kept
from gateway.model.site import AnyInput, Arrival, Freshness, InputKind, Lent, Repaid

STEP_S = 5.0
NEVER = 100.0
AHEAD_S = neighbours.AHEAD_S


@dataclass(slots=True)
class _Stay:
    """A session as the desk knows it, with the registers at its beginning."""

    session: str
    vehicle: str
    taken_wh: float
    charged_wh: float
    soc_pct: float | None = None


class VehicleLendingService:
    """One site's. `place` is its name in the agreement file; reports go to `reports`, None keeps them in memory."""

    def __init__(
        self,
        board: Board,
        energy_service: EnergyService,
        desk: Coordinator,
        place: str,
        reports: Path | None = None,
        keeper: BlueSwitchPersistence | None = None,
    ) -> None:
        self._board = board
        self._energy_service = energy_service
        self.desk = desk
        self.place = place
        self._reports = reports
        self._keeper = keeper
        self._stays: dict[str, _Stay] = {}
        self._supplied_at: float | None = None
        self._writing: set[asyncio.Task[None]] = set()
        self._unwritten: dict[Path, str] = {}
        self._said: object = None  # of the state: what is told at once when it changes
        board.hears |= {InputKind.LENT: self._lent, InputKind.REPAID: self._repaid}

    def restore(self, kept: Sequence[Kept]) -> None:
        """Take up the books of an earlier life of the gateway; before anybody comes in."""
        if self._keeper is not None:
            self._keeper.restore(self.desk, kept)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self.step()
            await self._board.clock.sleep(STEP_S)

    def step(self) -> None:
        """One look."""
        now, wall = self._board.clock.now(), self._board.clock.wall()
        events = self._outage(now, wall)
        for place in self._board.places.values():
            events += self._car(place, now, wall)
        events += self.desk.look(wall, now)
        self._tell(events)
        self._energy_service.called = self.desk.called_away(self.place)
        shown = views.state(self.desk, self.place)
        self._energy_service.extra_state["blue_switch"] = shown
        if (said := _said(shown)) != self._said:
            self._said = said
            self._board.changed(None)
        self._expect(now, wall)
        if self._keeper is not None:
            self._keeper.keep(self.desk, wall)

    # what it hears --------------------------------------------------------------------------------------------------

    def heard(self, site: str, state: dict[str, Any]) -> None:
        """Another site's retained state: whether it is without a grid, what it needs, which cars are there."""
        energy = state.get("energy")
        if site == self.place or not isinstance(energy, dict):
            return
        now, wall = self._board.clock.now(), self._board.clock.wall()
        need = neighbours.need_of(site, energy, wall) if energy.get("phase") in OFF_GRID else None
        if need is not None:
            self._tell(self.desk.outage(need, wall, now))
        elif energy.get("phase") not in OFF_GRID:
            over = self.desk.current
            self._tell(self.desk.restored(site, wall, now))
            self._report(over.id if over is not None and over.ended is not None else None)
        neighbours.take(self.desk, site, energy.get("blue_switch"), wall)

    def sighting(self, vehicle: str, at: float, place: str | None, soc_pct: float | None, free: bool | None) -> bool:
        """Where a lent car is, as its operator knows it; False for a car that nobody lends.

        ValueError for a place that the agreement file does not name.
        """
        if place is not None and not self.desk.atlas.knows(place):
            raise ValueError(f"the agreement file has no place called {place!r}")
        status = None if free is None else Status.FREE if free else Status.UNAVAILABLE
        car = self.desk.registry.cars.get(vehicle)
        if car is not None and car.status is Status.THERE and free:
            status = None  # it is plugged in at a site: that its operator would lend it is no news
        return self.desk.seen(vehicle, at, place, soc_pct, status)

    def payment(self, vehicle: str, wh: float, soc_pct: float | None, payment: str) -> bool:
        """Energy given back; True where something was owed (the same payment counts once, and is True again)."""
        if payment in self.desk.payments:
            return True
        events = self.desk.paid(vehicle, wh, self._board.clock.wall(), self._board.clock.now(), soc_pct, payment)
        self._tell(events)
        if events:
            self._report(str(self.desk.audit.entries[-1].data.get("outage", "")))
        return bool(events)

    def _lent(self, told: AnyInput) -> None:
        for car in told.cars if isinstance(told, Lent) else ():
            try:
                known = self.sighting(car.vehicle, car.at or told.ts, car.place, car.soc_pct, car.available)
                trouble = "" if known else f"No agreement knows the car {car.vehicle}."
            except ValueError as error:
                trouble = f"The position of {car.vehicle} is not taken: {error}."
            if trouble:
                self._board.decided("lent_not_taken", trouble, None, car.vehicle, {})

    def _repaid(self, told: AnyInput) -> None:
        for one in told.payments if isinstance(told, Repaid) else ():
            if not self.payment(one.vehicle, one.energy_wh, one.soc_pct, one.id):
                text = f"Nothing is owed to {one.vehicle}; the payment {one.id} is not taken."
                self._board.decided("repaid_not_taken", text, None, one.vehicle, {})

    # its own site ---------------------------------------------------------------------------------------------------

    def need(self) -> SiteNeed:
        """What this site needs: its critical tiers, what its own storage has, how many cars it can hold."""
        controller = self._energy_service.controller
        tiers = controller.off_grid.tiers.tiers
        critical_w = sum(tier.expected_w for tier in tiers if tier.critical)
        draw_w = critical_w or sum(tier.expected_w for tier in tiers) or 1000.0
        storage = controller.resource_builder.storage(self._energy_service.view())
        stored_wh = usable_wh(storage) if storage is not None else 0.0
        bays = sum(place.evse.can_discharge for place in self._board.places.values())
        return SiteNeed(self.place, draw_w, stored_wh, bays, self._board.clock.wall() + AHEAD_S)

    def _outage(self, now: float, wall: float) -> list[Decided]:
        off = self._energy_service.controller.island.phase in OFF_GRID
        if off:
            need = self.need()
            self._energy_service.extra_state["need"] = {
                "draw_w": need.draw_w,
                "stored_wh": need.stored_wh,
                "bays": need.bays,
            }
            if self._supplied_at is not None:
                dark = self._energy_service.controller.island.forming is None
                seconds = now - self._supplied_at
                lost_wh = need.draw_w * seconds / 3600 if dark else 0.0
                self.desk.supplied(self.place, seconds, need.draw_w * seconds / 3600 - lost_wh, lost_wh, dark)
            self._supplied_at = now
            return self.desk.outage(need, wall, now)
        self._supplied_at = None
        self._energy_service.extra_state.pop("need", None)
        over = self.desk.current
        events = self.desk.restored(self.place, wall, now)
        if events:
            self._energy_service.agreed_floors.clear()
            self._report(over.id if over is not None else None)
        return events

    def _car(self, place: EvseControlState, now: float, wall: float) -> list[Decided]:
        evse, stay = place.evse, self._stays.get(place.name)
        taken, charged = evse.discharged.total_wh or 0.0, evse.charged.total_wh or 0.0
        if stay is not None and (evse.session != stay.session or (evse.vehicle or stay.vehicle) != stay.vehicle):
            del self._stays[place.name]
            self._energy_service.agreed_floors.pop(place.name, None)
            self._energy_service.owed_pct.pop(place.name, None)
            return self.desk.unplugged(stay.vehicle, self.place, wall, now, stay.soc_pct)
        if evse.session is None:
            return []
        if stay is None:
            if not evse.vehicle or not self._concerns(evse.vehicle):
                return []  # it has not told who it is, or nobody needs to know
            return self._arrive(place, evse.vehicle, evse.session, taken, charged, now, wall)
        stay.soc_pct = evse.soc_pct if evse.soc_pct is not None else stay.soc_pct
        events = self.desk.metered(
            stay.vehicle, self.place, taken - stay.taken_wh, charged - stay.charged_wh, evse.soc_pct, wall, now
        )
        self._owe(place.name, stay.vehicle)
        return events

    def _concerns(self, vehicle: str) -> bool:
        """Whether the desk must know of this car: the site is in need, or the car was called or is in the books."""
        known = (self.place, vehicle) in self.desk.loans
        return self.place in self.desk.needs or self.desk.is_called(vehicle) or known

    def _arrive(
        self, place: EvseControlState, vehicle: str, session: str, taken: float, charged: float, now: float, wall: float
    ) -> list[Decided]:
        evse = place.evse
        loan = self.desk.loans.get((self.place, vehicle))
        if loan is not None:  # in the books of an earlier life of this gateway: its registers go on from there
            self._stays[place.name] = _Stay(session, vehicle, taken - loan.taken_wh, charged - loan.charged_wh)
            self._energy_service.agreed_floors[place.name] = loan.floor_pct
            self._owe(place.name, vehicle)
            return []
        self._stays[place.name] = _Stay(session, vehicle, taken, charged, evse.soc_pct)
        if vehicle not in self.desk.registry.cars and vehicle in self._energy_service.own_cars:
            return []  # the site's own car needs no agreement
        checked, events = self.desk.plugged(vehicle, self.place, wall, now, evse.soc_pct)
        self._energy_service.agreed_floors[place.name] = checked.floor_pct if checked.welcome else NEVER
        self._owe(place.name, vehicle)
        return events

    def _owe(self, evse: str, vehicle: str) -> None:
        """Up to where its agreement has it filled when the grid is back."""
        loan, car = self.desk.loans.get((self.place, vehicle)), self.desk.registry.cars.get(vehicle)
        if loan is None or car is None:
            return
        how, owed = car.agreement.give_back, 0.0  # given or billed: nothing is filled
        if how is GiveBack.TO_LEVEL:
            owed = car.agreement.return_pct
        elif how is GiveBack.AS_ARRIVED:
            owed = min(100.0, (loan.arrived_pct or 0.0) + 100 * loan.way_wh / car.capacity_wh)
        self._energy_service.owed_pct[evse] = owed

    def _expect(self, now: float, wall: float) -> None:
        """Cars that were called count as expected, unless the facility itself says who comes."""
        inputs = self._board.site.inputs
        coming = views.arrivals(self.desk, self.place)
        if coming and inputs.freshness(InputKind.ARRIVAL, now) is not Freshness.FRESH:
            made = Arrival.model_validate_json(json.dumps({"ts": wall, "arrivals": coming}))
            inputs.take(InputKind.ARRIVAL, made, now, wall)

    def _tell(self, events: Sequence[Decided]) -> None:
        for event in events:
            self._board.decided(event.code, event.text, None, event.subject, dict(event.figures))

    # reports --------------------------------------------------------------------------------------------------------

    def _report(self, outage: str | None) -> None:
        if self._reports is None or outage not in self.desk.outages:
            return
        made = self.desk.report(outage)
        files = {
            self._reports / f"{outage}.json": json.dumps(made, indent=2) + "\n",
            self._reports / f"{outage}.md": report_markdown(made),
        }
        self._unwritten |= files
        self._write_reports()

    def _write_reports(self) -> None:
        """One after the other: what is written last is what was said last."""
        if self._unwritten and not self._writing:
            files, self._unwritten = self._unwritten, {}
            task = asyncio.get_running_loop().create_task(asyncio.to_thread(_write, files))
            self._writing.add(task)
            task.add_done_callback(self._written)

    def _written(self, task: asyncio.Task[None]) -> None:
        self._writing.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            text = f"The report of the outage could not be written: {error}. The admin API has it."
            self._board.decided("report_not_written", text, None, "", {})
        if not task.cancelled():
            self._write_reports()


def _said(shown: dict[str, Any]) -> object:
    """Who is called to where, who is there, who is in need: not how much each has given so far."""
    calls = [(one["vehicle"], one["site"], one["arrive_at"]) for one in shown["calls"]]
    return calls, [one["vehicle"] for one in shown["there"]], [one["site"] for one in shown["sites"]], shown["gaps"]


def _write(files: dict[Path, str]) -> None:
    """Whole or not at all: whoever reads meanwhile sees the report before."""
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.new")
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
