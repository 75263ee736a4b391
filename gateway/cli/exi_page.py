"""Page of `v2x exi decode --pcap FILE --html PAGE`: sequence diagram, findings, plots of voltage, current and SoC.

One file without scripts and without references to other files.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from gateway.cli.exi_capture import Entry
from gateway.model.foreign_text import html
from protocols.iso15118.dialogue import short
from protocols.iso15118.measurements import CURRENTS, STATES_OF_CHARGE, VOLTAGES, values

WIDTH, LEFT, RIGHT, ROW = 900, 190, 710, 22
PLOT_HEIGHT, MARGIN = 150, 60
SHOWN_OF_A_RUN = 2  # exchanges at either end of a run of equal ones, such as charge loops
STYLE = """
body{font:14px/1.45 system-ui,sans-serif;margin:2em auto;max-width:960px;color:#1b1f24}
h1{font-size:1.4em}h2{font-size:1.1em;margin-top:2em}svg{width:100%;height:auto;background:#fff}
text{font:12px system-ui,sans-serif;fill:#1b1f24}.line{stroke:#57606a}.req{stroke:#0b5cad}.res{stroke:#1a7f37}
.bad{stroke:#b42318}.badtext{fill:#b42318;color:#b42318}.grid{stroke:#d0d7de}.time,.muted{fill:#57606a;color:#57606a}
polyline{fill:none;stroke:#0b5cad;stroke-width:1.5}table{border-collapse:collapse}td{padding:.1em .8em .1em 0}
"""
QUANTITIES = (
    ("Voltage, V", VOLTAGES),
    ("Current, A (+ into the vehicle)", CURRENTS),
    ("State of charge, %", STATES_OF_CHARGE),
)
Point = tuple[float, float]


def page(title: str, entries: Sequence[Entry]) -> str:
    """Return the page of a capture."""
    plots = "".join(_plot(name, points) for name, names in QUANTITIES if len(points := _points(entries, names)) > 1)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{html(title)}</title>'
        f"<style>{STYLE}</style></head><body><h1>{html(title)}</h1>{_summary(entries)}"
        f"{f'<h2>Measurements</h2>{plots}' if plots else ''}<h2>Messages</h2>{_sequence(entries)}</body></html>\n"
    )


def _summary(entries: Sequence[Entry]) -> str:
    sessions = sorted({entry.seen.session_id for entry in entries if entry.seen.session_id.strip("0")})
    schemas = list(dict.fromkeys(entry.seen.schema for entry in entries if entry.seen.schema))
    rows = [
        ("Frames", str(len(entries))),
        ("Duration", f"{entries[-1].at - entries[0].at:.3f} s" if entries else "-"),
        ("Schemas", ", ".join(schemas)),
        ("Sessions", ", ".join(sessions)),
    ]
    table = "".join(f"<tr><td>{html(name)}</td><td>{html(value)}</td></tr>" for name, value in rows)
    problems = [(entry, one) for entry in entries for one in (*entry.seen.findings, entry.seen.error) if one]
    items = "".join(f"<li>{e.at:.3f} s, {html(e.seen.name or 'frame')}: {html(one)}</li>" for e, one in problems)
    found = f'<h2>Findings</h2><ul class="badtext">{items}</ul>' if items else "<p>No findings.</p>"
    return f"<table>{table}</table>{found}"


# ------------------------------------------------------------------------------------------------------------ sequence


def _sequence(entries: Sequence[Entry]) -> str:
    """Return the sequence diagram: the side that sends requests is on the left."""
    left = next((e.source for e in entries if e.seen.name.endswith("Req")), "")
    right = next((e.target for e in entries if e.source == left and e.seen.name), "")
    rows = list(_rows(entries))
    height = ROW * (len(rows) + 3)
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="Sequence diagram">',
        f'<text x="{LEFT}" y="16" text-anchor="middle">EV {html(left)}</text>',
        f'<text x="{RIGHT}" y="16" text-anchor="middle">SECC {html(right)}</text>',
        *(f'<line class="line" x1="{x}" x2="{x}" y1="24" y2="{height}"/>' for x in (LEFT, RIGHT)),
    ]
    for number, row in enumerate(rows):
        parts.append(_row(row, ROW * (number + 2)))
    return "".join([*parts, "</svg>"])


def _rows(entries: Sequence[Entry]) -> Iterable[Entry | str]:
    """Yield the entries, runs of equal exchanges without their middle."""
    for name, run in groupby(entries, key=lambda e: e.seen.name.removesuffix("Req").removesuffix("Res")):
        same = list(run)
        edge = 2 * SHOWN_OF_A_RUN
        quiet = not any(e.seen.findings or e.seen.error for e in same)
        if name and quiet and len(same) > 2 * edge + 1:
            yield from same[:edge]
            yield f"{(len(same) - 2 * edge) // 2} more exchanges of {name}"
            yield from same[-edge:]
        else:
            yield from same


def _row(row: Entry | str, y: int) -> str:
    middle = (LEFT + RIGHT) // 2
    if isinstance(row, str):
        return f'<text class="muted" x="{middle}" y="{y}" text-anchor="middle">... {html(row)}</text>'
    seen = row.seen
    time = f'<text class="time" x="4" y="{y}">{row.at:.3f} s</text>'
    if not seen.name:
        label = html(f"{seen.error or seen.note}"[:110])
        return f'{time}<text class="{"badtext" if seen.error else "muted"}" x="{LEFT + 8}" y="{y}">{label}</text>'
    response = seen.name.endswith("Res")
    start, end = (RIGHT, LEFT) if response else (LEFT, RIGHT)
    tip = end + (8 if response else -8)
    kind = "bad" if seen.findings else "res" if response else "req"
    since = "" if seen.since_request_s is None else f"{seen.since_request_s * 1e3:.1f} ms"
    code = str(seen.body.get("ResponseCode", ""))
    label = " ".join(filter(None, (seen.name, code if code != "OK" else "", since)))
    return (
        f"<g>{time}<title>{html(short(seen.body))}</title>"
        f'<line class="{kind}" x1="{start}" x2="{end}" y1="{y + 4}" y2="{y + 4}"/>'
        f'<polyline class="{kind}" points="{tip},{y} {end},{y + 4} {tip},{y + 8}"/>'
        f'<text x="{middle}" y="{y}" text-anchor="middle">{html(label)}</text></g>'
    )


# --------------------------------------------------------------------------------------------------------------- plots


def _points(entries: Sequence[Entry], names: Sequence[str]) -> list[Point]:
    """Return time and value of a quantity; of several names the first that occurs in the capture."""
    series: dict[str, list[Point]] = {}
    for entry in entries:
        found = values(entry.seen.body) if entry.seen.plain else {}
        for name in names:
            if name in found:
                series.setdefault(name, []).append((entry.at, found[name]))
    return next((series[name] for name in names if name in series), [])


def _plot(name: str, points: Sequence[Point]) -> str:
    first, last = points[0][0], points[-1][0]
    low, high = min(v for _, v in points), max(v for _, v in points)
    margin = max((high - low) * 0.05, 0.5)
    low, high = low - margin, high + margin
    across, down = WIDTH - MARGIN - 10, PLOT_HEIGHT - 34

    def place(point: Point) -> str:
        x = MARGIN + across * (point[0] - first) / max(last - first, 1e-9)
        return f"{x:.1f},{10 + down * (high - point[1]) / (high - low):.1f}"

    lines = "".join(
        f'<line class="grid" x1="{MARGIN}" x2="{MARGIN + across}" y1="{y}" y2="{y}"/>'
        f'<text x="{MARGIN - 6}" y="{y + 4}" text-anchor="end">{value:.1f}</text>'
        for y, value in ((10, high), (10 + down / 2, (low + high) / 2), (10 + down, low))
    )
    return (
        f'<figure><figcaption>{html(name)}</figcaption><svg viewBox="0 0 {WIDTH} {PLOT_HEIGHT}" role="img" '
        f'aria-label="{html(name)}">{lines}<text x="{MARGIN}" y="{PLOT_HEIGHT - 6}">{first:.1f} s</text>'
        f'<text x="{MARGIN + across}" y="{PLOT_HEIGHT - 6}" text-anchor="end">{last:.1f} s</text>'
        f'<polyline points="{" ".join(map(place, points))}"/></svg></figure>'
    )
