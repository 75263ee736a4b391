"""Content of the views: what each template shows, read from the facade. Only reads."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from gateway import __version__
from gateway.model.energy_state import OFF_GRID, AutonomyHours
from gateway.model.journal import Step
from gateway.service import GatewayService
from gateway.web.ports import StationAdmin

PER_PAGE = 50
EVENTS = 50
MESSAGES = 100
SESSIONS = 100

Content: TypeAlias = dict[str, object]
Row = TypeVar("Row")
Query: TypeAlias = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Sources:
    """What the page reads. `settings` are rows of key, value and origin; `broker` reports whether it is connected."""

    service: GatewayService
    stations: StationAdmin
    broker: Callable[[], bool]
    settings: tuple[tuple[str, str, str], ...]
    wall: Callable[[], float]


@dataclass(frozen=True, slots=True)
class Tier:
    """A load tier and the hours for which it and those above it are supplied."""

    name: str
    on: bool
    hours: AutonomyHours | None


View: TypeAlias = Callable[[Sources, Query], Awaitable[Content]]


async def now(sources: Sources, query: Query) -> Content:
    """Site, power flow and one part of the EVSEs."""
    service = sources.service
    site = service.site_state()
    part, pages = _part(list(site.evses), query)
    return {"site": site, "flow": service.power_flow(), "evses": service.states(part), "now": sources.wall(), **pages}


async def command(sources: Sources, query: Query) -> Content:
    """Life of one command: its results and the steps in the journal."""
    name = query.get("id", "")
    first, final = await sources.service.result(name)
    entries = await sources.service.entries(command=name, limit=EVENTS) if first is not None else []
    return {"id": name, "first": first, "final": final, "entries": entries, "now": sources.wall()}


async def outage(sources: Sources, query: Query) -> Content:
    """Supply of the site without the grid: hours left, load tiers, vehicles, decisions."""
    site = sources.service.site_state()
    energy = site.energy
    tiers = [Tier(name, on, energy.autonomy_h.get(name)) for name, on in energy.tiers.items()] if energy else []
    off_grid = energy is not None and energy.phase in OFF_GRID
    supplied = [(one.hours.expected, one.name) for one in tiers if one.on and one.hours is not None]
    entries = await sources.service.entries(limit=EVENTS * 4)
    events = [one for one in reversed(entries) if one.step is Step.EVENT and one.cause == "decided"][:EVENTS]
    calls = energy.blue_switch.calls if energy is not None and energy.blue_switch is not None else ()
    return {
        "site": site,
        "energy": energy,
        "off_grid": off_grid,
        "tiers": tiers,
        "next_off": min(supplied) if off_grid and supplied else None,
        "calls": sorted(calls, key=lambda call: call.arrive_at),
        "events": events,
        "now": sources.wall(),
    }


async def stations(sources: Sources, query: Query) -> Content:
    """One part of the charging stations, filtered by their ids."""
    wanted = query.get("q", "")[:64].casefold()
    rows = [row for row in sources.stations.stations() if wanted in str(row["id"]).casefold()]
    part, pages = _part(rows, query)
    return {"stations": part, "q": query.get("q", "")[:64], **pages}


async def sessions(sources: Sources, query: Query) -> Content:
    """Latest transactions of all stations."""
    return {"sessions": sources.stations.transactions(None, None, None, SESSIONS)}


async def messages(sources: Sources, query: Query) -> Content:
    """Latest OCPP messages, filtered by station and action."""
    station, action = query.get("station", "")[:64], query.get("action", "")[:64]
    try:
        rows = sources.stations.messages(station or None, action or None, MESSAGES, None, None)
    except LookupError:
        rows = []
    return {"messages": rows, "station": station, "action": action}


async def health(sources: Sources, query: Query) -> Content:
    """Condition of the gateway's parts."""
    service = sources.service
    connected, known = len(service.connected_evses()), len(service.evses())
    return {
        "version": __version__,
        "broker": sources.broker(),
        "journal": service.journal_trouble(),
        "dropped": service.journal_dropped(),
        "connected": connected,
        "known": known,
        "commands": service.commands_in_force(),
        "inputs": service.site_state().inputs,
        "now": sources.wall(),
    }


async def settings(sources: Sources, query: Query) -> Content:
    """Settings in force and where each comes from."""
    return {"rows": sources.settings}


VIEWS: dict[str, View] = {
    "now": now,
    "outage": outage,
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
