"""The view of the plan: 4 hours back and 20 hours ahead, with prices, departures and expected states of charge."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from gateway.energy.plan_outlook import PlanOutlook
from gateway.energy.planning.problem import Plan
from gateway.energy.resource import STORAGE
from gateway.service import GatewayService
from gateway.store.store import Sample, StoreError
from gateway.views import PowerFlow
from gateway.web.page.charts import Chart, Line
from gateway.web.page.texts import Texts

BACK_S, AHEAD_S = 4 * 3600.0, 20 * 3600.0
PAST_EVERY_S = 300.0
MOST_LINES = 8  # vehicles in the chart of charge; all departures are in the table
MOST_DEPARTURES = 100


@dataclass(slots=True)
class PastFlow:
    """Power flow of the last hours, in memory: one reading each `PAST_EVERY_S`."""

    readings: deque[tuple[float, PowerFlow]] = field(
        default_factory=lambda: deque(maxlen=int(BACK_S / PAST_EVERY_S) + 1)
    )

    async def run(self, service: GatewayService, wall: Callable[[], float]) -> None:
        """Read until cancelled."""
        while True:
            self.readings.append((wall(), service.power_flow()))
            await asyncio.sleep(PAST_EVERY_S)


@dataclass(frozen=True, slots=True)
class Departure:
    """A departure: of a vehicle here, or (`evse` None) of one that is expected. `soc_pct`: expected at that time."""

    evse: str | None
    vehicle: str | None
    arrives: float | None
    leaves: float | None
    soc_pct: float | None


async def charts(
    service: GatewayService, outlook: PlanOutlook, past: PastFlow, now: float, t: Texts
) -> tuple[list[Chart], bool]:
    """Return the charts that have values, and whether the past could be read from the store."""
    start, end = now - BACK_S, now + AHEAD_S
    names = [one.evse for one in service.readings() if one.soc_pct is not None][:MOST_LINES]
    try:
        samples = {name: await service.samples(name, start, now, PAST_EVERY_S) for name in names}
        stored = True
    except StoreError:
        samples, stored = {}, False
    marks = [now, *(at for at in outlook.departures.values() if now < at < end)]
    found = (
        _power(outlook.plan, past, start, end, now, t),
        _charge(outlook, names, samples, start, end, marks, t),
        _prices(outlook, start, end, now, t),
    )
    return [one for one in found if not one.empty], stored


def departures(outlook: PlanOutlook, vehicles: dict[str, str | None], now: float) -> list[Departure]:
    """Return departures in their order, and expected vehicles; `vehicles` by EVSE."""
    found = [
        Departure(evse, vehicles.get(evse), None, leaves, _soc_at(outlook, evse, leaves))
        for evse, leaves in outlook.departures.items()
    ]
    found += [Departure(None, one.vehicle, one.at, one.departure, None) for one in outlook.arrivals if one.at > now]
    return sorted(found, key=lambda one: one.arrives or one.leaves or 0.0)[:MOST_DEPARTURES]


def _soc_at(outlook: PlanOutlook, evse: str, at: float) -> float | None:
    """Return the expected state of charge at the end of the last step before a departure."""
    plan, series = outlook.plan, outlook.soc_pct.get(evse)
    if plan is None or series is None:
        return None
    known = [one for number, one in enumerate(series) if plan.start + number * plan.step_s < at and one is not None]
    return known[-1] if known else None


def _power(plan: Plan | None, past: PastFlow, start: float, end: float, now: float, t: Texts) -> Chart:
    readings = [(at, flow) for at, flow in past.readings if start <= at <= now]
    steps = _steps(plan, now, end)
    before, after = [at for at, _ in readings], [at for at, _ in steps]
    empty: tuple[list[None], list[None]] = [None] * len(before), [None] * len(after)
    grid = [*(_kw(flow.grid_w) for _, flow in readings), *empty[1]]
    batteries = [*(_kw(_batteries(flow)) for _, flow in readings), *empty[1]]
    planned_grid = [*empty[0], *(_kw(plan.grid_w[step]) for _, step in steps if plan is not None)]
    planned = [*empty[0], *(_kw(plan.power_w[step]) for _, step in steps if plan is not None)]
    lines = (
        Line(t("line_grid"), grid),
        Line(t("line_batteries"), batteries),
        Line(t("line_grid_planned"), planned_grid, stepped=True),
        Line(t("line_batteries_planned"), planned, stepped=True),
    )
    return Chart(t("chart_power"), "kW", start, end, [*before, *after], lines, [now])


def _charge(
    outlook: PlanOutlook,
    names: Sequence[str],
    samples: dict[str, list[Sample]],
    start: float,
    end: float,
    marks: Sequence[float],
    t: Texts,
) -> Chart:
    plan = outlook.plan
    shown = [*names, *([STORAGE] if STORAGE in outlook.soc_pct else [])]
    points: dict[str, dict[float, float | None]] = {name: {} for name in shown}
    for name, rows in samples.items():
        points[name] |= {round(one.wall / PAST_EVERY_S) * PAST_EVERY_S: one.soc_pct for one in rows}
    if plan is not None:
        for name in shown:
            ends = (plan.start + (number + 1) * plan.step_s for number in range(len(plan.power_w)))
            expected = zip(ends, outlook.soc_pct.get(name, ()), strict=False)
            points[name] |= {at: one for at, one in expected if at <= end}
    times = sorted({at for one in points.values() for at in one})
    lines = [
        Line(t.word("input", "storage") if name == STORAGE else name, [points[name].get(at) for at in times])
        for name in shown
    ]
    return Chart(t("chart_soc"), "%", start, end, times, lines, marks)


def _prices(outlook: PlanOutlook, start: float, end: float, now: float, t: Texts) -> Chart:
    prices = outlook.prices
    unit = t("per_kwh") if outlook.currency is None else f"{outlook.currency}/kWh"
    steps = [
        (max(begin, start), buy, sell)
        for begin, finish, buy, sell in zip(prices.starts, prices.ends, prices.imports, prices.exports, strict=True)
        if begin < end and finish > start
    ]
    if steps:
        last = max(finish for begin, finish in zip(prices.starts, prices.ends, strict=True) if begin < end)
        steps.append((min(last, end), *steps[-1][1:]))
    lines = [Line(t("line_buy"), [one[1] for one in steps], stepped=True)]
    if any(one[2] for one in steps):
        lines.append(Line(t("line_sell"), [one[2] for one in steps], stepped=True))
    return Chart(t("chart_price"), unit, start, end, [one[0] for one in steps], lines, [now])


def _steps(plan: Plan | None, now: float, end: float) -> list[tuple[float, int]]:
    """Return start and number of the plan's steps from now on; the first one begins now."""
    if plan is None:
        return []
    starts = ((plan.start + number * plan.step_s, number) for number in range(len(plan.power_w)))
    return [(max(at, now), number) for at, number in starts if at + plan.step_s > now and at < end]


def _batteries(flow: PowerFlow) -> float | None:
    known = [one for one in (flow.vehicles_w, flow.storage_w) if one is not None]
    return sum(known) if known else None


def _kw(power_w: float | None) -> float | None:
    return None if power_w is None else power_w / 1000
