"""The report of a run: one HTML file that needs nothing else, and the same as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from emulators.record import Record
from emulators.scenarios import svg
from emulators.scenarios.scenario import Scenario

MOST_CARS = 20  # drawn one by one
MOST_POINTS = 1500
MOST_EVENTS = 400

STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:62rem;padding:0 1rem;color:#222}
h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}svg{width:100%;font-size:11px;background:#fff}
table{border-collapse:collapse}td,th{padding:.15rem .8rem .15rem 0;text-align:left;vertical-align:top}
td.n{text-align:right;font-variant-numeric:tabular-nums}.legend span{margin-right:1.2rem;white-space:nowrap}
.legend i{display:inline-block;width:.9em;height:.9em;margin-right:.4em;vertical-align:-.1em}
.bad{color:#a11}.good{color:#176b2c}
"""

ENERGY = (
    ("import_wh", "from the grid"),
    ("export_wh", "into the grid"),
    ("pv_wh", "from the sun"),
    ("pv_curtailed_wh", "sun not used"),
    ("served_wh", "loads served"),
    ("unserved_wh", "loads not served"),
    ("unserved_critical_wh", "of these critical"),
    ("unserved_transfer_wh", "critical, in the gaps of transfers"),
    ("cars_charged_wh", "into the cars"),
    ("cars_discharged_wh", "out of the cars"),
)


def write(summary: dict[str, Any], record: Record, scenario: Scenario, folder: Path) -> Path:
    """Write `report.html` and `result.json`; the path of the first."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "result.json").write_text(json.dumps(summary, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    path = folder / "report.html"
    path.write_text(page(summary, record, scenario), encoding="utf-8")
    return path


def page(summary: dict[str, Any], record: Record, scenario: Scenario) -> str:
    """The whole HTML text."""
    start_h = scenario.start.hour + scenario.start.minute / 60
    step = max(1, len(record.times) // MOST_POINTS)
    times = record.times[::step]
    power = {
        name: [value / 1000 for value in record.power.get(name, [])[::step]]
        for name in ("load", "grid", "pv", "cars", "storage", "unserved")
        if any(record.power.get(name, []))
    }
    soc: dict[str, Sequence[float | None]] = {n: s[::step] for n, s in list(record.soc.items())[:MOST_CARS]}
    if record.storage_soc:
        soc["storage"] = record.storage_soc[::step]
    setpoints = {n: [v / 1000 for v in s[::step]] for n, s in list(record.setpoints.items())[:MOST_CARS]}
    bindings = {n: s[::step] for n, s in list(record.bindings.items())[:MOST_CARS]}
    figures = summary["figures"]
    verdict = (
        '<p class="good">Every expectation held.</p>'
        if summary["passed"]
        else '<ul class="bad">' + "".join(f"<li>{escape(one)}</li>" for one in summary["broken"]) + "</ul>"
    )
    parts = [
        f"<h1>{escape(scenario.name)}</h1><p>{escape(scenario.description)}</p>",
        f"<p>{_span(scenario.duration)} from {scenario.start:%Y-%m-%d %H:%M} in {summary['real_s']:.1f} s, ",
        f"seed {summary['seed']}, transcript {summary['transcript'][:16]}.</p>",
        verdict,
        "<h2>Power by source, kW</h2>",
        svg.lines(times, power, "kW", start_h),
        "<h2>Charge of each car, %</h2>",
        svg.lines(times, soc, "%", start_h),
        "<h2>Set-points in force, kW (+ is into the car)</h2>",
        svg.lines(times, setpoints, "kW", start_h),
        "<h2>What bound each set-point</h2>",
        svg.bands(times, bindings, start_h),
        "<h2>Energy</h2>",
        _table([(text, f"{figures[name] / 1000:,.2f} kWh") for name, text in ENERGY]),
        "<h2>Figures</h2>",
        _table([(name, f"{value:,.3f}") for name, value in figures.items() if not name.startswith("car.")]),
        "<h2>Expected</h2>",
        _table([(name, _bound(bound.min, bound.max)) for name, bound in scenario.expect.items()]),
        "<h2>What happened</h2>",
        _events(summary["events"], start_h),
    ]
    title = escape(scenario.name)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>'
        + "".join(parts)
        + "</html>\n"
    )


def _table(rows: Sequence[tuple[str, str]]) -> str:
    body = "".join(f'<tr><td>{escape(a)}</td><td class="n">{escape(b)}</td></tr>' for a, b in rows)
    return f"<table>{body}</table>" if rows else "<p>None.</p>"


def _events(events: Sequence[dict[str, Any]], start_h: float) -> str:
    rows = []
    for event in events[:MOST_EVENTS]:
        seconds = start_h * 3600 + event["at"]
        day, rest = divmod(int(seconds), 86_400)
        clock = f"{'+' + str(day) + 'd ' if day else ''}{rest // 3600}:{rest % 3600 // 60:02d}:{rest % 60:02d}"
        rows.append(f"<tr><td>{clock}</td><td>{escape(event['what'])}</td><td>{escape(event['text'])}</td></tr>")
    more = len(events) - MOST_EVENTS
    tail = f"<p>and {more} more in result.json.</p>" if more > 0 else ""
    return f"<table>{''.join(rows)}</table>{tail}" if rows else "<p>Nothing.</p>"


def _bound(low: float | None, high: float | None) -> str:
    if low is None:
        return f"at most {high:g}" if high is not None else "anything"
    return f"at least {low:g}" if high is None else f"{low:g} to {high:g}"


def _span(seconds: float) -> str:
    hours, rest = divmod(int(seconds), 3600)
    return f"{hours} h {rest // 60:02d} min"
