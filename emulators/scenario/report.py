"""The report of a run: one HTML file that needs nothing else, and the same as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from emulators.scenario import svg
from emulators.scenario.scenario import Scenario
from emulators.scenario.tables import Bound
from emulators.world.recording import Recording

MOST_CARS = 20  # drawn one by one
MOST_POINTS = 1500
MOST_EVENTS = 400

STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:62rem;padding:0 1rem;color:#222}
h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}svg{width:100%;font-size:11px;background:#fff}
table{border-collapse:collapse}td,th{padding:.15rem .8rem .15rem 0;text-align:left;vertical-align:top}
th{font-weight:normal;color:#333}tr:first-child th{color:#555;border-bottom:1px solid #ccc}
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


def write(summary: dict[str, Any], record: Recording, scenario: Scenario, folder: Path) -> Path:
    """Write `report.html` and `result.json`; the path of the first."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "result.json").write_text(json.dumps(summary, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    path = folder / "report.html"
    path.write_text(page(summary, record, scenario), encoding="utf-8")
    return path


def page(summary: dict[str, Any], record: Recording, scenario: Scenario) -> str:
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
        _drawn("Power by source, kW", lambda title: svg.lines(times, power, "kW", start_h, title)),
        _drawn("Charge of each car, %", lambda title: svg.lines(times, soc, "%", start_h, title)),
        _drawn(
            "Set-points in force, kW (+ is into the car)",
            lambda title: svg.lines(times, setpoints, "kW", start_h, title),
        ),
        _drawn("What bound each set-point", lambda title: svg.bands(times, bindings, start_h, title)),
        _left_out(len(record.soc), len(record.setpoints)),
        "<h2>Energy and autonomy</h2>",
        _table(
            ("what", "how much"),
            [(text, f"{figures[name] / 1000:,.2f} kWh") for name, text in ENERGY]
            + [("the present load could be carried for", f"{figures['autonomy_h']:,.1f} h")],
        ),
        "<h2>Expected</h2>",
        _table(
            ("figure", "expected", "was", ""),
            [_judged(name, bound, figures, summary["broken"]) for name, bound in scenario.expect.items()],
        ),
        "<h2>What happened</h2>",
        _events(summary["events"], start_h),
        "<h2>All figures</h2>",
        _table(("figure", "value"), [(name, f"{value:,.3f}") for name, value in figures.items()]),
    ]
    title = escape(scenario.name)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>'
        + "".join(parts)
        + "</html>\n"
    )


def _drawn(title: str, plot: Callable[[str], str]) -> str:
    return f"<h2>{escape(title)}</h2>{plot(title)}"


def _left_out(cars: int, evses: int) -> str:
    """What is not drawn is said."""
    if max(cars, evses) <= MOST_CARS:
        return ""
    return f"<p>Drawn are the first {MOST_CARS} of {cars} cars and {evses} EVSEs; all are in the figures.</p>"


def _judged(name: str, bound: Bound, figures: Mapping[str, float], broken: Sequence[str]) -> tuple[str, ...]:
    held = not any(name in text.split() for text in broken)
    was = f"{figures.get(name, 0.0):,.3f}"
    return name, _bound(bound.min, bound.max), was, "held" if held else "NOT held"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The first column names its row; the others are figures and words."""
    if not rows:
        return "<p>None.</p>"
    top = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
    body = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>'
        + "".join(f'<td class="n">{escape(cell)}</td>' for cell in row[1:])
        + "</tr>"
        for row in rows
    )
    return f"<table><tr>{top}</tr>{body}</table>"


def _events(events: Sequence[dict[str, Any]], start_h: float) -> str:
    rows = []
    for event in events[:MOST_EVENTS]:
        seconds = start_h * 3600 + event["at"]
        day, rest = divmod(int(seconds), 86_400)
        clock = f"{'+' + str(day) + 'd ' if day else ''}{rest // 3600}:{rest % 3600 // 60:02d}:{rest % 60:02d}"
        rows.append(f"<tr><td>{clock}</td><td>{escape(event['what'])}</td><td>{escape(event['text'])}</td></tr>")
    more = len(events) - MOST_EVENTS
    tail = f"<p>and {more} more in result.json.</p>" if more > 0 else ""
    top = '<tr><th scope="col">when</th><th scope="col">what</th><th scope="col">told</th></tr>'
    return f"<table>{top}{''.join(rows)}</table>{tail}" if rows else "<p>Nothing.</p>"


def _bound(low: float | None, high: float | None) -> str:
    if low is None:
        return f"at most {high:g}" if high is not None else "anything"
    return f"at least {low:g}" if high is None else f"{low:g} to {high:g}"


def _span(seconds: float) -> str:
    hours, rest = divmod(int(seconds), 3600)
    return f"{hours} h {rest // 60:02d} min"
