"""HTML report of a run, a single file without external resources, and the result as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from emulators.runtime import svg
from emulators.scenario.scenario import Scenario
from emulators.world.recording import Recording
from emulators.world.report import figure_names
from gateway.model.foreign_text import html as escape
from protocols import private_file

LINES = 10  # cars or EVSEs of one plot
MAX_POINTS = 1500  # of one line
MAX_VALUES = 200_000  # of all lines of one kind: with many cars each has fewer points
MAX_EVENTS = 400

STYLE = """
body{font:16px/1.5 system-ui,sans-serif;margin:1rem auto;max-width:48rem;padding:0 1rem;color:#222;background:#fff}
h1{font-size:1.5rem}h2{font-size:1.25rem;margin-top:2.5rem}h3{font-size:1rem;margin:1.5rem 0 .3rem}
.wide{overflow-x:auto}svg{display:block;width:100%;min-width:34rem;font-size:13px}
table{border-collapse:collapse}td,th{padding:.2rem .8rem .2rem 0;text-align:left;vertical-align:top}
th{font-weight:normal}tr:first-child th{color:#555;border-bottom:1px solid #ccc}small{color:#666}
td.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.legend{margin:.2rem 0}.legend span{display:inline-block;margin-right:1.2rem}
.legend i{display:inline-block;width:.9em;height:.9em;margin-right:.4em;vertical-align:-.1em}
.bad{color:#a11}.good{color:#176b2c}
"""

ENERGY = (
    *("import_wh", "export_wh", "pv_wh", "pv_curtailed_wh", "served_wh", "unserved_wh", "unserved_critical_wh"),
    *("unserved_transfer_wh", "cars_charged_wh", "cars_discharged_wh", "autonomy_h"),
)
SITE_POWERS = {"load": "load", "unserved": "load not served", "grid": "grid", "pv": "photovoltaic generation"}
BATTERY_POWERS = {"cars": "all cars", "storage": "storage"}


def write(summary: dict[str, Any], recordings: Mapping[str, Recording], scenario: Scenario, folder: Path) -> Path:
    """Write `report.html` and `result.json`; return the path of the first.

    `recordings`: by site, the leading one first.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with private_file.replacing(folder / "result.json") as out:
        out.write(json.dumps(summary, indent=2, ensure_ascii=False) + "\n")
    path = folder / "report.html"
    with private_file.replacing(path) as out:
        out.write(page(summary, recordings, scenario))
    return path


def page(summary: dict[str, Any], recordings: Mapping[str, Recording], scenario: Scenario) -> str:
    """Return the HTML text."""
    figures, title = summary["figures"], escape(scenario.name)
    neighbours = frozenset(recordings) - {scenario.gateway.site}
    verdict = (
        '<p class="good">Every expectation is met.</p>'
        if summary["passed"]
        else '<ul class="bad">' + "".join(f"<li>{escape(one)}</li>" for one in summary["broken"]) + "</ul>"
    )
    parts = [
        f"<h1>{title}</h1><p>{escape(scenario.description)}</p>",
        f"<p>{_span(scenario.duration)} from {scenario.start:%Y-%m-%d %H:%M}, simulated in {summary['real_s']:.1f} s. ",
        f"<small>Seed {summary['seed']}, transcript {summary['transcript'][:16]}</small></p>",
        verdict,
        *(part for site, one in recordings.items() for part in _site(one, scenario, site if neighbours else "")),
        "<h2>Energy and autonomy</h2>",
        _figures({name: figures[name] for name in ENERGY}, neighbours),
        "<h2>Expectations</h2>",
        _table(
            ("figure", "expected", "actual", ""),
            [_judgement(name, summary, scenario, neighbours) for name in scenario.expect],
        ),
        *(part for site, one in recordings.items() for part in _events(one, scenario, site if neighbours else "")),
        "<h2>All figures</h2>",
        _figures(figures, neighbours),
    ]
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><style>{STYLE}</style>'
        + "".join(parts)
        + "</html>\n"
    )


def _site(recording: Recording, scenario: Scenario, site: str) -> Iterator[str]:
    """Yield the plots of one site; its name where there are several."""
    start_h = _start_h(scenario)
    step = max(1, len(recording.times) // MAX_POINTS)
    times, of_site = recording.times[::step], f" at {site}" if site else ""
    shaded = [(one.at, one.at + one.duration_s, one.kind) for one in recording.site.grid.events]
    plain, signed = svg.Axes("kW", start_h, "import", "export", shaded), svg.Axes("kW", start_h, *svg.CHARGING, shaded)
    if site:
        yield f"<h2>Site {escape(site)}</h2>"
    yield _plot(f"Grid, loads and generation{of_site}, kW", times, _powers(recording, SITE_POWERS, step), plain)
    yield _plot(f"Power of the batteries{of_site}, kW", times, _powers(recording, BATTERY_POWERS, step), signed)
    if recording.energy_cost.periods:
        axes = svg.Axes("", start_h, shaded=shaded)
        yield _plot(f"Energy price{of_site}, per kWh", times, _prices(recording, times), axes)
    cars: dict[str, svg.Series] = dict(recording.soc)
    cars |= {"storage": recording.storage_soc} if recording.storage_soc else {}
    axes = svg.Axes("%", start_h, shaded=shaded)
    yield from _groups(f"State of charge{of_site}, %", recording.times, cars, axes)
    set_points: dict[str, svg.Series] = {n: [v / 1000 for v in one] for n, one in recording.setpoints.items()}
    yield from _groups(f"Set-points granted{of_site}, kW", recording.times, set_points, signed)
    for names, part, every in _batches(list(recording.bindings), f"Limiting constraint of each set-point{of_site}"):
        rows = {name: recording.bindings[name][::every] for name in names}
        body = svg.bands(recording.times[::every], rows, signed, part)
        yield f'<h3>{escape(part)}</h3><div class="wide">{body}</div>'


def _plot(title: str, times: Sequence[float], series: Mapping[str, svg.Series], axes: svg.Axes) -> str:
    return f'<h3>{escape(title)}</h3><div class="wide">{svg.lines(times, series, axes, title)}</div>'


def _groups(title: str, times: Sequence[float], series: Mapping[str, svg.Series], axes: svg.Axes) -> Iterator[str]:
    """Yield plots of all series, a few in each."""
    for names, part, every in _batches(list(series), title):
        yield _plot(part, times[::every], {name: series[name][::every] for name in names}, axes)


def _batches(names: Sequence[str], title: str) -> Iterator[tuple[Sequence[str], str, int]]:
    """Yield the names of each plot, its title, and the step between two of its points."""
    every = max(1, len(names) * MAX_POINTS // MAX_VALUES)
    groups = [names[first : first + LINES] for first in range(0, len(names), LINES)]
    for number, group in enumerate(groups, 1):
        yield group, title if len(groups) == 1 else f"{title} ({number} of {len(groups)})", every


def _powers(recording: Recording, names: Mapping[str, str], step: int) -> dict[str, list[float]]:
    return {
        text: [value / 1000 for value in recording.power[name][::step]]
        for name, text in names.items()
        if any(recording.power.get(name, ()))
    }


def _prices(recording: Recording, times: Sequence[float]) -> dict[str, list[float | None]]:
    """Return the prices of import and, where there are some, of export at each time."""
    found = [recording.energy_cost.at(recording.start + t) for t in times]
    imports = [None if one is None else one.import_price for one in found]
    exports = [None if one is None else one.export_price for one in found]
    return {"import": imports} | ({"export": exports} if any(exports) else {})


def _judgement(name: str, summary: dict[str, Any], scenario: Scenario, sites: frozenset[str]) -> tuple[str, ...]:
    held = not any(name in text.split() for text in summary["broken"])
    bound = scenario.expect[name]
    actual = figure_names.value_of(name, summary["figures"].get(name, 0.0))
    expected = figure_names.bounds_of(name, bound.min, bound.max)
    return f"{figure_names.name_of(name, sites)}\n{name}", expected, actual, "met" if held else "NOT met"


def _figures(figures: Mapping[str, float], sites: frozenset[str]) -> str:
    rows = [
        (f"{figure_names.name_of(name, sites)}\n{name}", figure_names.value_of(name, value))
        for name, value in figures.items()
    ]
    return _table(("figure", "value"), rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return an HTML table whose first column is the header of its row: a name, and its key in a second line."""
    if not rows:
        return "<p>None.</p>"
    top = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
    body = ""
    for name, *cells in rows:
        text, _, key = name.partition("\n")
        small = f" <small>{escape(key)}</small>" if key and key != text else ""
        values = "".join(f'<td class="n">{escape(cell)}</td>' for cell in cells)
        body += f'<tr><th scope="row">{escape(text)}{small}</th>{values}</tr>'
    return f'<div class="wide"><table><tr>{top}</tr>{body}</table></div>'


def _events(recording: Recording, scenario: Scenario, site: str) -> Iterator[str]:
    """Yield the events of one site."""
    start_h, rows = _start_h(scenario), []
    for event in recording.events[:MAX_EVENTS]:
        at = moment(event.at, start_h)
        rows.append(f"<tr><td>{at}</td><td>{escape(event.kind)}</td><td>{escape(event.text)}</td></tr>")
    more = len(recording.events) - MAX_EVENTS
    tail = f"<p>and {more} more in result.json.</p>" if more > 0 else ""
    top = '<tr><th scope="col">time</th><th scope="col">kind</th><th scope="col">event</th></tr>'
    yield f"<h2>Events{f' at {escape(site)}' if site else ''}</h2>"
    yield f'<div class="wide"><table>{top}{"".join(rows)}</table></div>{tail}' if rows else "<p>None.</p>"


def moment(seconds: float, start_h: float) -> str:
    """Return the local time of an event, to the second; `start_h` is that of the start."""
    return f"{svg.clock(seconds, start_h)}:{round(start_h * 3600 + seconds) % 60:02d}"


def _start_h(scenario: Scenario) -> float:
    return scenario.start.hour + scenario.start.minute / 60


def _span(seconds: float) -> str:
    hours, rest = divmod(int(seconds), 3600)
    return f"{hours} h {rest // 60:02d} min" if hours else f"{rest // 60} min"
