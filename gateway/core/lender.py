"""Runs the Blue Switch desk of this site: tells it of outages and cars, and carries its calls and checks out.

The desk decides (`gateway/blue_switch`). Here the board's sessions become arrivals, its registers become what a car
gave, and what the desk says becomes events and the `blue_switch` part of the site's state. Other sites' needs come in
as their retained `site/state` (`heard`). The report of an outage is written when it is over. On a normal day a lent car
is a car like any other.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.blue_switch.audit import report_markdown
from gateway.blue_switch.callout import SiteNeed
from gateway.blue_switch.desk import Desk
from gateway.core.board import Board
from gateway.core.place import Place
from gateway.core.steward import Steward
from gateway.energy.gathering import STORAGE
from gateway.energy.reason import Decided
from gateway.energy.resilience.island import OFF_GRID
from gateway.energy.resource import usable_wh
from gateway.model.site import Arrival, Freshness, InputKind

STEP_S = 5.0
AHEAD_S = 72 * 3600.0  # how long a site should be supplied
NEVER = 100.0


@dataclass(slots=True)
class _Stay:
    """A session as the desk knows it, with the registers at its beginning."""

    session: str
    vehicle: str
    taken_wh: float
    charged_wh: float
    soc_pct: float | None = None


class Lender:
    """One site's. `place` is its name in the agreement file; reports go to `reports`, None keeps them in memory."""

    def __init__(self, board: Board, steward: Steward, desk: Desk, place: str, reports: Path | None = None) -> None:
        self._board = board
        self._steward = steward
        self.desk = desk
        self._place = place
        self._reports = reports
        self._stays: dict[str, _Stay] = {}
        self.last_report: dict[str, Any] | None = None
        self._supplied_at: float | None = None
        self._writing: set[asyncio.Task[None]] = set()

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
        self._steward.called = self.desk.called_away(self._place)
        self._steward.extra_state["blue_switch"] = self.desk.state()
        self._expect(now, wall)

    def heard(self, site: str, state: dict[str, Any]) -> None:
        """Another site's retained state: whether it is without a grid, and what it needs. Nonsense is nothing."""
        energy = state.get("energy")
        if site == self._place or not isinstance(energy, dict):
            return
        now, wall = self._board.clock.now(), self._board.clock.wall()
        need = energy.get("need")
        if energy.get("phase") in OFF_GRID and isinstance(need, dict):
            try:
                figures = [float(need[key]) for key in ("draw_w", "stored_wh", "bays")]
            except (KeyError, TypeError, ValueError):
                return
            if all(math.isfinite(one) and one >= 0 for one in figures):
                made = SiteNeed(site, figures[0], figures[1], int(min(figures[2], 1000)), wall + AHEAD_S)
                self._tell(self.desk.outage(made, wall, now))
        else:
            self._tell(self.desk.restored(site, wall, now))

    # its own site ---------------------------------------------------------------------------------------------------

    def need(self) -> SiteNeed:
        """What this site needs: its critical tiers, what its own storage has, how many cars it can hold."""
        controller = self._steward.controller
        tiers = controller.off_grid.tiers.tiers
        draw_w = (
            sum(tier.expected_w for tier in tiers if tier.critical) or sum(tier.expected_w for tier in tiers) or 1000.0
        )
        storage = controller.gathering.storage(self._steward.view())
        stored_wh = usable_wh(storage) if storage is not None and storage.name == STORAGE else 0.0
        bays = sum(place.evse.can_discharge for place in self._board.places.values())
        return SiteNeed(self._place, draw_w, stored_wh, bays, self._board.clock.wall() + AHEAD_S)

    def _outage(self, now: float, wall: float) -> list[Decided]:
        off = self._steward.controller.island.phase in OFF_GRID
        if off:
            need = self.need()
            self._steward.extra_state["need"] = {"draw_w": need.draw_w, "stored_wh": need.stored_wh, "bays": need.bays}
            if self._supplied_at is not None:
                dark = self._steward.controller.island.forming is None
                seconds = now - self._supplied_at
                lost_wh = need.draw_w * seconds / 3600 if dark else 0.0
                self.desk.supplied(self._place, seconds, need.draw_w * seconds / 3600 - lost_wh, lost_wh, dark)
            self._supplied_at = now
            return self.desk.outage(need, wall, now)
        self._supplied_at = None
        self._steward.extra_state.pop("need", None)
        events = self.desk.restored(self._place, wall, now)
        if events:
            self._steward.agreed_floors.clear()
            self._report(wall)
        return events

    def _car(self, place: Place, now: float, wall: float) -> list[Decided]:
        evse, stay = place.evse, self._stays.get(place.name)
        taken, charged = evse.discharged.total_wh or 0.0, evse.charged.total_wh or 0.0
        if stay is not None and evse.session != stay.session:
            del self._stays[place.name]
            self._steward.agreed_floors.pop(place.name, None)
            return self.desk.unplugged(stay.vehicle, self._place, wall, now, stay.soc_pct)
        if evse.session is None:
            return []
        if stay is None:
            if not evse.vehicle or not (self._place in self.desk.needs or self.desk.is_called(evse.vehicle)):
                return []  # it has not told who it is, or nobody needs to know
            self._stays[place.name] = _Stay(evse.session, evse.vehicle, taken, charged, evse.soc_pct)
            if evse.vehicle not in self.desk.registry.cars and evse.vehicle in self._steward.own_cars:
                return []  # the site's own car needs no agreement
            checked, events = self.desk.plugged(evse.vehicle, self._place, wall, now, evse.soc_pct)
            self._steward.agreed_floors[place.name] = checked.floor_pct if checked.welcome else NEVER
            return events
        stay.soc_pct = evse.soc_pct if evse.soc_pct is not None else stay.soc_pct
        return self.desk.metered(
            stay.vehicle, self._place, taken - stay.taken_wh, charged - stay.charged_wh, evse.soc_pct, wall, now
        )

    def _expect(self, now: float, wall: float) -> None:
        """Cars that were called count as expected, unless the facility itself says who comes."""
        inputs = self._board.site.inputs
        coming = self.desk.arrivals(self._place)
        if coming and inputs.freshness(InputKind.ARRIVAL, now) is not Freshness.FRESH:
            made = Arrival.model_validate_json(json.dumps({"ts": wall, "arrivals": coming}))
            inputs.take(InputKind.ARRIVAL, made, now, wall)

    def _tell(self, events: Sequence[Decided]) -> None:
        for event in events:
            self._board.decided(event.code, event.text, None, event.subject, dict(event.figures))

    def _report(self, wall: float) -> None:
        self.last_report = self.desk.report()
        if self._reports is None:
            return
        stem = f"outage-{int(wall)}"
        files = {
            self._reports / f"{stem}.json": json.dumps(self.last_report, indent=2) + "\n",
            self._reports / f"{stem}.md": report_markdown(self.last_report),
        }
        task = asyncio.get_running_loop().create_task(asyncio.to_thread(_write, files))
        self._writing.add(task)
        task.add_done_callback(self._written)

    def _written(self, task: asyncio.Task[None]) -> None:
        self._writing.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            text = f"The report of the outage could not be written: {error}. It is kept in memory."
            self._board.decided("report_not_written", text, None, "", {})


def _write(files: dict[Path, str]) -> None:
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
