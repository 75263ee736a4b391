"""Vehicle lending service: reports outages and vehicles of this site to the coordinator and carries its calls out.

The coordinator decides (`coordinator.py`). Here sessions become arrivals, meter registers become the energy that a
vehicle supplied, and decisions become events and the `blue_switch` part of the site's state. Other sites' needs and
vehicles are received as their retained `site/state`, positions and payments as inputs. The state is kept in the store
(`persistence.py`); the report of an outage is written when it is over, and again when energy was returned. Without an
outage a deployed vehicle is treated like any other.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gateway.authority.soc_floors import NO_DISCHARGE_PCT
from gateway.blue_switch import neighbours, views
from gateway.blue_switch.coordinator import Coordinator
from gateway.blue_switch.handback import return_level_pct
from gateway.blue_switch.outages import report_markdown
from gateway.blue_switch.persistence import BlueSwitchPersistence
from gateway.blue_switch.registry import Status
from gateway.blue_switch.trips import SiteNeed
from gateway.blue_switch.views import Row
from gateway.control.control_state import EvseControlState, EvseRegistry
from gateway.control.publisher import EventPublisher
from gateway.control.site_input import InputHandlers
from gateway.energy.reason import Decided
from gateway.energy.resilience.phase import OFF_GRID
from gateway.energy.service import EnergyService, LendingConstraints
from gateway.model.energy_state import BlueSwitchState, SharedEnergyState, SiteNeedState
from gateway.model.journal import Kept
from gateway.model.message import rfc3339
from gateway.model.site import AnyInput, Arrival, EnergyReturns, Freshness, InputKind, Site, VehiclePositions
from protocols import private_file
from protocols.ports import Clock

STEP_S = 5.0
HORIZON_S = neighbours.HORIZON_S


@dataclass(slots=True)
class _Counted:
    """Energy of one register during a stay: from its first reading on, which may come after the vehicle."""

    before_wh: float = 0.0  # of the same deployment, in an earlier run
    begin_wh: float | None = None

    def at(self, register_wh: float | None) -> float:
        """Return the energy counted up to a reading."""
        if register_wh is None:
            return self.before_wh
        self.begin_wh = register_wh if self.begin_wh is None else self.begin_wh
        return self.before_wh + register_wh - self.begin_wh


@dataclass(slots=True)
class _Stay:
    """A session that was reported to the coordinator, with its energy."""

    session: str
    vehicle: str
    discharged: _Counted = field(default_factory=_Counted)
    charged: _Counted = field(default_factory=_Counted)
    soc_pct: float | None = None


class VehicleLendingService:
    """Vehicle lending of one site."""

    def __init__(
        self,
        site: Site,
        registry: EvseRegistry,
        publisher: EventPublisher,
        energy: EnergyService,
        coordinator: Coordinator,
        place: str,
        clock: Clock,
        reports: Path | None = None,
        persistence: BlueSwitchPersistence | None = None,
    ) -> None:
        """`place`: name of the site in the agreement file; `reports`: directory, None keeps them in memory."""
        self._site = site
        self._registry = registry
        self._publisher = publisher
        self._energy = energy
        self.coordinator = coordinator
        self.place = place
        self._clock = clock
        self._reports = reports
        self._persistence = persistence
        self._stays: dict[str, _Stay] = {}
        self._floors_pct: dict[str, float] = {}  # by EVSE
        self._recharge_pct: dict[str, float] = {}  # by EVSE
        self._need: SiteNeedState | None = None
        self._supplied_at: float | None = None
        self._writing: set[asyncio.Task[None]] = set()
        self._unwritten: dict[Path, str] = {}
        self._published: object = None  # of the state: what is published at once when it changes

    @property
    def input_handlers(self) -> InputHandlers:
        """Handlers of the inputs of which every message counts."""
        return {InputKind.LENT: self._positions, InputKind.REPAID: self._payments}

    def restore(self, kept: Sequence[Kept]) -> None:
        """Restore what an earlier run kept; before the first step."""
        if self._persistence is not None:
            self._persistence.restore(self.coordinator, kept)

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            self.step()
            await self._clock.sleep(STEP_S)

    def step(self) -> None:
        """Report what has changed to the coordinator, and carry out what it decides."""
        now, wall = self._clock.now(), self._clock.wall()
        events = self._outage(now, wall)
        for state in self._registry:
            events += self._vehicle(state, now, wall)
        events += self.coordinator.update(wall, now)
        self._publish(events)
        called, due = self.coordinator.called_away(self.place), self.coordinator.called_away(self.place, wall)
        shown = self.state()
        floors_pct, recharge_pct = dict(self._floors_pct), dict(self._recharge_pct)
        self._energy.constrain(LendingConstraints(called, due, floors_pct, recharge_pct, self._need, shown))
        if (published := _published_at_once(shown)) != self._published:
            self._published = published
            self._publisher.changed(None)
        self._expect(now, wall)
        if self._persistence is not None:
            self._persistence.keep(self.coordinator, wall)

    # other sites and providers --------------------------------------------------------------------------------------

    def receive_state(self, site: str, energy: SharedEnergyState) -> None:
        """Apply another site's published state: its grid, its need and the vehicles there."""
        if site == self.place:
            return
        now, wall = self._clock.now(), self._clock.wall()
        if energy.phase not in OFF_GRID:
            over = self.coordinator.current
            self._publish(self.coordinator.restored(site, wall, now))
            self._report(over.id if over is not None and over.ended is not None else None)
        elif energy.need is not None:
            self._publish(self.coordinator.outage(neighbours.need_of(site, energy.need, wall), wall, now))
        if energy.blue_switch is not None:
            neighbours.apply_state(self.coordinator, site, energy.blue_switch, wall)

    def sighting(self, vehicle: str, at: float, place: str | None, soc_pct: float | None, free: bool | None) -> bool:
        """Apply the position of a vehicle as its provider reports it; False for one without an agreement.

        Raises ValueError for a place that the agreement file does not name.
        """
        if place is not None and place not in self.coordinator.atlas:
            raise ValueError(f"the agreement file has no place called {place!r}")
        status = None if free is None else Status.FREE if free else Status.UNAVAILABLE
        car = self.coordinator.registry.cars.get(vehicle)
        if car is not None and car.status is Status.DEPLOYED and free:
            status = None  # it is plugged in at a site: that it is available there is no change
        return self.coordinator.seen(vehicle, at, place, soc_pct, status)

    def payment(self, vehicle: str, wh: float, soc_pct: float | None, payment: str) -> bool:
        """Apply energy returned; True where energy was to be returned (a repeated payment counts once)."""
        if payment in self.coordinator.payments:
            return True
        now, wall = self._clock.now(), self._clock.wall()
        settled = self.coordinator.energy_returned(vehicle, wh, wall, now, soc_pct, payment)
        if settled is None:
            return False
        outage, event = settled
        self._publish([event])
        self._report(outage)
        return True

    def _positions(self, message: AnyInput) -> None:
        for car in message.cars if isinstance(message, VehiclePositions) else ():
            try:
                known = self.sighting(car.vehicle, car.at or message.ts, car.place, car.soc_pct, car.available)
                trouble = "" if known else f"No agreement covers the vehicle {car.vehicle}."
            except ValueError as error:
                trouble = f"The position of {car.vehicle} is rejected: {error}."
            if trouble:
                self._publisher.decided("lent_not_taken", trouble, None, car.vehicle, {})

    def _payments(self, message: AnyInput) -> None:
        for one in message.payments if isinstance(message, EnergyReturns) else ():
            if not self.payment(one.vehicle, one.energy_wh, one.soc_pct, one.id):
                text = f"No energy is to be returned to {one.vehicle}; the payment {one.id} is rejected."
                self._publisher.decided("repaid_not_taken", text, None, one.vehicle, {})

    # this site ------------------------------------------------------------------------------------------------------

    def need(self) -> SiteNeed:
        """Return what this site needs: power of its critical tiers, energy in its storage, EVSEs that can discharge."""
        demand = self._energy.demand()
        bays = sum(state.evse.can_discharge for state in self._registry)
        return SiteNeed(
            self.place,
            demand.draw_w,
            demand.stored_wh,
            bays,
            self._clock.wall() + HORIZON_S,
            store_wh=demand.store_wh,
            store_w=demand.store_w,
        )

    def _outage(self, now: float, wall: float) -> list[Decided]:
        if self._energy.off_grid:
            return self._supply(self.need(), now, wall)
        self._supplied_at = None
        self._need = None
        over = self.coordinator.current
        events = self.coordinator.restored(self.place, wall, now)
        if events:
            self._floors_pct.clear()
            self._report(over.id if over is not None else None)
        return events

    def _supply(self, need: SiteNeed, now: float, wall: float) -> list[Decided]:
        """Count what was supplied in an outage since the last step."""
        self._need = SiteNeedState(
            draw_w=need.draw_w,
            stored_wh=need.stored_wh,
            bays=need.bays,
            store_wh=need.store_wh,
            store_w=need.store_w,
        )
        if self._supplied_at is not None:
            unsupplied, seconds = self._energy.forming is None, now - self._supplied_at
            needed_wh = need.draw_w * seconds / 3600
            unserved_wh = needed_wh if unsupplied else 0.0
            self.coordinator.supplied(self.place, seconds, needed_wh - unserved_wh, unserved_wh, unsupplied)
        self._supplied_at = now
        return self.coordinator.outage(need, wall, now)

    def _vehicle(self, state: EvseControlState, now: float, wall: float) -> list[Decided]:
        evse, stay = state.evse, self._stays.get(state.name)
        if stay is not None and (evse.session != stay.session or (evse.vehicle or stay.vehicle) != stay.vehicle):
            del self._stays[state.name]
            self._floors_pct.pop(state.name, None)
            self._recharge_pct.pop(state.name, None)
            return self.coordinator.unplugged(stay.vehicle, self.place, wall, now, stay.soc_pct)
        if evse.session is None:
            return []
        if stay is None:
            if not evse.vehicle or not self._concerns(evse.vehicle):
                return []  # not identified, or of no concern
            return self._arrive(state, _Stay(evse.session, evse.vehicle), now, wall)
        stay.soc_pct = evse.soc_pct if evse.soc_pct is not None else stay.soc_pct
        supplied_wh, received_wh = stay.discharged.at(evse.discharged.total_wh), stay.charged.at(evse.charged.total_wh)
        events = self.coordinator.metered(stay.vehicle, self.place, supplied_wh, received_wh, evse.soc_pct, wall, now)
        self._set_recharge(state.name, stay.vehicle)
        return events

    def _concerns(self, vehicle: str) -> bool:
        """Return whether a vehicle is reported to the coordinator: the site is in need, or it is called or deployed."""
        known = (self.place, vehicle) in self.coordinator.deployments
        return self.place in self.coordinator.needs or self.coordinator.is_called(vehicle) or known

    def _arrive(self, state: EvseControlState, stay: _Stay, now: float, wall: float) -> list[Decided]:
        evse, vehicle = state.evse, stay.vehicle
        self._stays[state.name] = stay
        stay.discharged.at(evse.discharged.total_wh)
        stay.charged.at(evse.charged.total_wh)
        deployment = self.coordinator.deployments.get((self.place, vehicle))
        if deployment is not None:  # deployed since an earlier run: its registers go on from there
            stay.discharged.before_wh, stay.charged.before_wh = deployment.discharged_wh, deployment.charged_wh
            self._floors_pct[state.name] = deployment.floor_pct
            self._set_recharge(state.name, vehicle)
            return []
        stay.soc_pct = evse.soc_pct
        if vehicle not in self.coordinator.registry.cars and vehicle in self._energy.own_cars:
            return []  # the site's own vehicle needs no agreement
        checked, events = self.coordinator.plugged(vehicle, self.place, wall, now, evse.soc_pct)
        self._floors_pct[state.name] = checked.floor_pct if checked.accepted else NO_DISCHARGE_PCT
        self._set_recharge(state.name, vehicle)
        return events

    def _set_recharge(self, evse: str, vehicle: str) -> None:
        """Set up to which state of charge the agreement has the vehicle filled when the grid is back."""
        deployment = self.coordinator.deployments.get((self.place, vehicle))
        car = self.coordinator.registry.cars.get(vehicle)
        if deployment is None or car is None:
            return
        level_pct = return_level_pct(deployment, car.agreement)
        self._recharge_pct[evse] = min(100.0, level_pct) if level_pct is not None else 0.0

    def _expect(self, now: float, wall: float) -> None:
        """Enter vehicles that were called as expected, unless the facility itself reports arrivals."""
        inputs = self._site.inputs
        coming = views.arrivals(self.coordinator, self.place)
        if coming and inputs.freshness(InputKind.ARRIVAL, now) is not Freshness.FRESH:
            made = Arrival.model_validate_json(json.dumps({"ts": wall, "arrivals": coming}))
            inputs.put(InputKind.ARRIVAL, made, now, wall)

    def _publish(self, events: Sequence[Decided]) -> None:
        for event in events:
            self._publisher.decided(str(event.code), event.text, None, event.subject, dict(event.figures))

    # for the admin API ----------------------------------------------------------------------------------------------

    def state(self) -> BlueSwitchState:
        """Return the `blue_switch` part of the site's state: sites in need, calls, vehicles at this site, gaps."""
        return views.state(self.coordinator, self.place)

    def agreements(self) -> list[Row]:
        """Return the agreements of the file, with the defaults of their kinds."""
        return views.agreements(self.coordinator)

    def vehicles(self) -> list[Row]:
        """Return the vehicles of all agreements."""
        return [views.car(one) for _, one in sorted(self.coordinator.registry.cars.items())]

    def arrival_checks(self, limit: int) -> list[Row]:
        """Return the checks of vehicles that were plugged in, newest first."""
        return views.checks(self.coordinator, limit)

    def deployments(self, *, open_only: bool = False) -> list[Row]:
        """Return the deployments, newest first; `open_only`: those that are not settled."""
        return views.deployments(self.coordinator, open_only=open_only)

    def outages(self) -> list[Row]:
        """Return the outages, newest first."""
        return views.outages(self.coordinator)

    def report(self, outage: str) -> Row:
        """Return the audit report of an outage so far; KeyError for an unknown one."""
        return self.coordinator.report(outage)

    def report_markdown(self, outage: str) -> str:
        """Return the audit report of an outage as Markdown; KeyError for an unknown one."""
        return report_markdown(self.report(outage))

    # reports --------------------------------------------------------------------------------------------------------

    def _report(self, outage: str | None) -> None:
        if self._reports is None or outage not in self.coordinator.outages:
            return
        made = self.coordinator.report(outage)
        files = {
            self._reports / f"{outage}.json": json.dumps(made, indent=2) + "\n",
            self._reports / f"{outage}.md": report_markdown(made),
        }
        self._unwritten |= files
        self._write_reports()

    def _write_reports(self) -> None:
        """Write one after the other, so that the last report written is the newest."""
        if self._unwritten and not self._writing:
            files, self._unwritten = self._unwritten, {}
            task = asyncio.get_running_loop().create_task(asyncio.to_thread(_write, files))
            self._writing.add(task)
            task.add_done_callback(self._written)

    def _written(self, task: asyncio.Task[None]) -> None:
        self._writing.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            text = f"The report of the outage could not be written: {error}. The admin API has it."
            self._publisher.decided("report_not_written", text, None, "", {})
        if not task.cancelled():
            self._write_reports()


def _published_at_once(shown: BlueSwitchState) -> object:
    """Return the parts of the state whose changes are published at once: calls, vehicles there, sites, gaps."""
    calls = [(one.vehicle, one.site, rfc3339(one.arrive_at)) for one in shown.calls]
    return calls, [one.vehicle for one in shown.there], [one.site for one in shown.sites], shown.gaps


def _write(files: dict[Path, str]) -> None:
    """Write the reports."""
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        with private_file.replacing(path) as opened:
            opened.write(text)
