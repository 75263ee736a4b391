"""Content of the views: what each template shows, read from the facade. Only reads."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

from gateway import __version__
from gateway.energy.resilience.autonomy import HORIZON_H
from gateway.model.energy_state import OFF_GRID, AutonomyHours, Phase
from gateway.model.journal import Entry
from gateway.model.result import Result
from gateway.service import GatewayService
from gateway.store.store import StoreError
from gateway.web.page import plan as plan_view
from gateway.web.page import sessions as session_view
from gateway.web.page.decisions import READ, Decisions
from gateway.web.page.texts import Texts
from gateway.web.ports import ClusterView, StationAdmin
from gateway.web.ports import Row as StationRow

PER_PAGE = 50
EVENTS = 50
MESSAGES = 100
SESSIONS = 100
MOST_EVSES = 200  # whose states one view reads
KINDS = ("call", "result", "error")

Content: TypeAlias = dict[str, object]
Row = TypeVar("Row")
Query: TypeAlias = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Sources:
    """Sources of the page. `settings` are rows of key, value and origin; `checks` are those of `/health/ready`.

    `cluster` is None where the gateway is no instance of one.
    """

    service: GatewayService
    stations: StationAdmin
    checks: Callable[[], Awaitable[Mapping[str, str]]]
    settings: tuple[tuple[str, str, str], ...]
    wall: Callable[[], float]
    past: plan_view.PastFlow = field(default_factory=plan_view.PastFlow)
    decisions: Decisions = field(default_factory=Decisions)
    cluster: ClusterView | None = None

    async def follow(self) -> None:
        """Follow decisions, beginning with those in the journal, and the power flow until cancelled."""
        self.service.subscribe(self.decisions)
        with contextlib.suppress(StoreError):
            self.decisions.restore(await self.service.entries(limit=READ))
        await self.past.run(self.service, self.wall)

    async def entries(self, command: str) -> list[Entry] | None:
        """Return the journal entries of a command, oldest first; None if they cannot be read."""
        try:
            return await self.service.entries(command=command, limit=EVENTS)
        except StoreError:
            return None


@dataclass(frozen=True, slots=True)
class Tier:
    """A load tier and the hours for which it and those above it are supplied."""

    name: str
    on: bool
    hours: AutonomyHours | None


View: TypeAlias = Callable[[Sources, Query, Texts], Awaitable[Content]]


async def now(sources: Sources, query: Query, t: Texts) -> Content:
    """Site, power flow and one part of the EVSEs."""
    service = sources.service
    site = service.site_state()
    part, pages = _part(list(site.evses), query)
    return {"site": site, "flow": service.power_flow(), "evses": service.states(part), "now": sources.wall(), **pages}


async def command(sources: Sources, query: Query, t: Texts) -> Content:
    """Life of one command: its results and the steps in the journal."""
    name = query.get("id", "")
    try:
        first, final = await sources.service.result(name)
    except StoreError:
        return life(name, None, None, None, sources.wall())
    entries = await sources.entries(name) if first is not None else []
    return life(name, first, final, entries, sources.wall())


def life(name: str, first: Result | None, final: Result | None, entries: list[Entry] | None, wall: float) -> Content:
    """Return the content of a command's view; `entries` None: the journal cannot be read."""
    return {"id": name, "first": first, "final": final, "entries": entries, "now": wall}


async def outage(sources: Sources, query: Query, t: Texts) -> Content:
    """Supply of the site without the grid: hours left, load tiers, vehicles, decisions."""
    service = sources.service
    site = service.site_summary()
    energy = site.energy
    tiers = [Tier(name, on, energy.autonomy_h.get(name)) for name, on in energy.tiers.items()] if energy else []
    off_grid = energy is not None and energy.phase in OFF_GRID
    supplied = [(one.hours, one.name) for one in tiers if one.on and one.hours is not None]
    if energy is not None and not tiers:  # the whole site is supplied as one
        supplied = [(hours, t("site")) for hours in energy.autonomy_h.values()]
    supplied.sort(key=lambda one: one[0].expected)
    calls = energy.blue_switch.calls if energy is not None and energy.blue_switch is not None else ()
    return {
        "energy": energy,
        "off_grid": off_grid,
        "tiers": tiers,
        "first_off": supplied[0] if supplied else None,
        "last_off": supplied[-1] if supplied else None,
        "horizon_h": HORIZON_H,
        "calls": sorted(calls, key=lambda call: call.arrive_at),
        "vehicles": service.states(site.in_session[:PER_PAGE]),
        "todo": sources.decisions.to_do(energy is not None and energy.phase is Phase.ISLAND),
        "decisions": list(sources.decisions.recent),
        "now": sources.wall(),
    }


async def plan(sources: Sources, query: Query, t: Texts) -> Content:
    """The look-ahead plan: charts, departures."""
    service, now = sources.service, sources.wall()
    outlook, site = service.plan_outlook(), service.site_summary()
    if outlook is None:
        return {"outlook": None, "site": site, "charts": [], "departures": [], "readable": True}
    charts, readable = await plan_view.charts(service, outlook, sources.past, now, t)
    names = list(outlook.departures)[:MOST_EVSES]
    vehicles = {one.evse: one.vehicle.id if one.vehicle is not None else None for one in service.states(names)}
    departures = plan_view.departures(outlook, vehicles, now)
    return {"outlook": outlook, "site": site, "charts": charts, "departures": departures, "readable": readable}


async def stations(sources: Sources, query: Query, t: Texts) -> Content:
    """One part of the charging stations, filtered by their ids, with the vehicles at them."""
    wanted = query.get("q", "")[:64].casefold()
    rows = [row for row in sources.stations.stations() if wanted in str(row["id"]).casefold()]
    part, pages = _part(rows, query)
    names = [evse["name"] for row in part for evse in row["evses"]]
    vehicles = {one.evse: one for one in sources.service.states(names[:MOST_EVSES]) if one.plugged}
    return {"stations": part, "vehicles": vehicles, "q": query.get("q", "")[:64], **pages}


async def sessions(sources: Sources, query: Query, t: Texts) -> Content:
    """Latest transactions of all stations, or one of them."""
    ref = query.get("ref")
    if ref is None:
        return {"sessions": sources.stations.transactions(None, None, None, SESSIONS), "detail": None, "charts": []}
    found = await session_view.detail(sources.service, sources.stations, ref[:200], sources.wall())
    charts = found.charts(t) if found is not None else []
    return {"sessions": None, "detail": found, "charts": charts, "ref": ref}


async def messages(sources: Sources, query: Query, t: Texts) -> Content:
    """Latest OCPP messages, filtered by station, action and kind."""
    station, action, kind = (query.get(name, "")[:64] for name in ("station", "action", "kind"))
    kind = kind if kind in KINDS else ""
    rows: list[StationRow] = sources.stations.messages(station or None, action or None, MESSAGES, None, kind or None)
    return {"messages": rows, "station": station, "action": action, "kind": kind, "kinds": KINDS, "most": MESSAGES}


async def health(sources: Sources, query: Query, t: Texts) -> Content:
    """Condition of the gateway's parts, and of the cluster that it belongs to."""
    service = sources.service
    connected, known = len(service.connected_evses()), len(service.evses())
    return {
        "version": __version__,
        "checks": await sources.checks(),
        "dropped": service.journal_dropped(),
        "connected": connected,
        "known": known,
        "commands": service.commands_in_force(),
        "inputs": service.site_summary().inputs,
        "cluster": sources.cluster() if sources.cluster is not None else None,
        "now": sources.wall(),
    }


async def settings(sources: Sources, query: Query, t: Texts) -> Content:
    """Settings in force and where each comes from."""
    return {"rows": sources.settings}


VIEWS: dict[str, View] = {
    "now": now,
    "outage": outage,
    "plan": plan,
    "stations": stations,
    "sessions": sessions,
    "messages": messages,
    "health": health,
    "settings": settings,
}
LIVE: dict[str, View] = {"now": now, "outage": outage, "health": health, "messages": messages, "command": command}


def _part(rows: list[Row], query: Query) -> tuple[list[Row], Content]:
    """Return one part of a list, and what the links to the others need."""
    asked = query.get("part", "1")
    parts = max(1, -(-len(rows) // PER_PAGE))
    part = min(max(1, int(asked) if asked.isdecimal() and len(asked) < 7 else 1), parts)
    return rows[(part - 1) * PER_PAGE : part * PER_PAGE], {"part": part, "parts": parts, "total": len(rows)}
