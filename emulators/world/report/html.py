"""HTML report of a run, a single file without external resources, and the result as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from emulators.scenario.scenario import Scenario
from emulators.scenario.tables import Bound
from emulators.world.recording import Recording
from emulators.world.report import svg
from gateway.model.foreign_text import html as escape
from protocols import private_file

MAX_CARS = 20  # in the plots
MAX_POINTS = 1500
MAX_EVENTS = 400

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
    ("import_wh", "imported from the grid"),
    ("export_wh", "exported to the grid"),
    ("pv_wh", "photovoltaic generation"),
    ("pv_curtailed_wh", "photovoltaic generation curtailed"),
    ("served_wh", "loads served"),
    ("unserved_wh", "loads not served"),
    ("unserved_critical_wh", "critical loads not served"),
    ("unserved_transfer_wh", "critical loads not served during transfers"),
    ("cars_charged_wh", "charged into the cars"),
    ("cars_discharged_wh", "discharged from the cars"),
)


def write(summary: dict[str, Any], recording: Recording, scenario: Scenario, folder: Path) -> Path:
    """Write `report.html` and `result.json`; return the path of the first."""
    folder.mkdir(parents=True, exist_ok=True)
    with private_file.replacing(folder / "result.json") as out:
        out.write(json.dumps(summary, indent=2, ensure_ascii=False) + "\n")
    path = folder / "report.html"
    with private_file.replacing(path) as out:
        out.write(page(summary, recording, scenario))
    return path


def page(summary: dict[str, Any], recording: Recording, scenario: Scenario) -> str:
    """Return the HTML text."""
    start_h = scenario.start.hour + scenario.start.minute / 60
    step = max(1, len(recording.times) // MAX_POINTS)
    times = recording.times[::step]
    power = {
        name: [value / 1000 for value in recording.power.get(name, [])[::step]]
        for name in ("load", "grid", "pv", "cars", "storage", "unserved")
        if any(recording.power.get(name, []))
    }
    soc: dict[str, Sequence[float | None]] = {n: s[::step] for n, s in list(recording.soc.items())[:MAX_CARS]}
    if recording.storage_soc:
        soc["storage"] = recording.storage_soc[::step]
    setpoints = {n: [v / 1000 for v in s[::step]] for n, s in list(recording.setpoints.items())[:MAX_CARS]}
    bindings = {n: s[::step] for n, s in list(recording.bindings.items())[:MAX_CARS]}
    figures = summary["figures"]
    verdict = (
        '<p class="good">Every expectation held.</p>'
        if summary["passed"]
        else '<ul class="bad">' + "".join(f"<li>{escape(one)}</li>" for one in summary["broken"]) + "</ul>"
    )
    plots: list[tuple[str, Mapping[str, svg.Series], str]] = [
        ("Power by source, kW", power, "kW"),
        ("State of charge of each car, %", soc, "%"),
        ("Effective set-points, kW (+ is charging)", setpoints, "kW"),
    ]
    constraints = "Limiting constraint of each set-point"
    parts = [
        f"<h1>{escape(scenario.name)}</h1><p>{escape(scenario.description)}</p>",
        f"<p>{_span(scenario.duration)} from {scenario.start:%Y-%m-%d %H:%M} in {summary['real_s']:.1f} s, ",
        f"seed {summary['seed']}, transcript {summary['transcript'][:16]}.</p>",
        verdict,
        *(f"<h2>{escape(title)}</h2>{svg.lines(times, series, unit, start_h, title)}" for title, series, unit in plots),
        f"<h2>{constraints}</h2>{svg.bands(times, bindings, start_h, constraints)}",
        _omission(len(recording.soc), len(recording.setpoints)),
        "<h2>Energy and autonomy</h2>",
        _table(
            ("quantity", "value"),
            [(text, f"{figures[name] / 1000:,.2f} kWh") for name, text in ENERGY]
            + [("autonomy at the present load", f"{figures['autonomy_h']:,.1f} h")],
        ),
        "<h2>Expectations</h2>",
        _table(
            ("figure", "expected", "actual", ""),
            [_judgement(name, bound, figures, summary["broken"]) for name, bound in scenario.expect.items()],
        ),
        "<h2>Events</h2>",
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


def _omission(cars: int, evses: int) -> str:
    """Return a note on cars and EVSEs that the plots omit."""
    if max(cars, evses) <= MAX_CARS:
        return ""
    return (
        f"<p>The plots show the first {MAX_CARS} of {cars} cars and {evses} EVSEs; the figures cover all of them.</p>"
    )


def _judgement(name: str, bound: Bound, figures: Mapping[str, float], broken: Sequence[str]) -> tuple[str, ...]:
    held = not any(name in text.split() for text in broken)
    actual = f"{figures.get(name, 0.0):,.3f}"
    return name, _bound(bound.min, bound.max), actual, "held" if held else "NOT held"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return an HTML table whose first column is the header of its row."""
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
    for event in events[:MAX_EVENTS]:
        seconds = start_h * 3600 + event["at"]
        day, rest = divmod(int(seconds), 86_400)
        clock = f"{'+' + str(day) + 'd ' if day else ''}{rest // 3600}:{rest % 3600 // 60:02d}:{rest % 60:02d}"
        rows.append(f"<tr><td>{clock}</td><td>{escape(event['what'])}</td><td>{escape(event['text'])}</td></tr>")
    more = len(events) - MAX_EVENTS
    tail = f"<p>and {more} more in result.json.</p>" if more > 0 else ""
    top = '<tr><th scope="col">time</th><th scope="col">kind</th><th scope="col">event</th></tr>'
    return f"<table>{top}{''.join(rows)}</table>{tail}" if rows else "<p>None.</p>"


def _bound(low: float | None, high: float | None) -> str:
    if low is None:
        return f"at most {high:g}" if high is not None else "anything"
    return f"at least {low:g}" if high is None else f"{low:g} to {high:g}"


def _span(seconds: float) -> str:
    hours, rest = divmod(int(seconds), 3600)
    return f"{hours} h {rest // 60:02d} min"
