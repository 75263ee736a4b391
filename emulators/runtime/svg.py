"""Plots as SVG text: lines over time, and bands of labels, without a library or script.

A plot with a title has a text description for screen readers. Words stand beside both sides of zero, and periods such
as an outage are shaded and named.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import ceil, floor, log10

from gateway.model.foreign_text import html as escape

COLOURS = ("#1b6ca8", "#e08a1e", "#3a8a3f", "#b03a48", "#6b4fa0", "#7a6a58", "#0f8b8d", "#c05a9c", "#8a8d0f", "#555f6e")
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 260, 56, 12, 16, 28
ROW, LABEL = 34, 14  # heights of a row of bands and of its name

Series = Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Axes:
    """Axes of a plot: unit, local time (h) at time 0, words for values above and below zero, shaded periods (s)."""

    unit: str = ""
    start_h: float = 0.0
    above: str = ""
    below: str = ""
    shaded: Sequence[tuple[float, float, str]] = ()  # start, end, name
    seconds: bool = False  # times in seconds at the axis, not of the day


CHARGING = ("charging", "discharging")  # above and below zero, of every battery in every plot


def lines(times: Sequence[float], series: Mapping[str, Series], axes: Axes, title: str = "") -> str:
    """Return a plot with one line per name over the same times (s); None is a gap."""
    values = [value for one in series.values() for value in one if value is not None]
    if not times or not values:
        return "<p>No data.</p>"
    unit = axes.unit
    low, high, step = _range(min(*values, 0.0), max(*values, 0.0))
    body = [
        *_shades(times, axes),
        *_grid(low, high, step, unit),
        *_ticks(times, axes),
        *_signs(low, high, axes),
    ]
    for n, one in enumerate(series.values()):
        colour = COLOURS[n % len(COLOURS)]
        dash = f' stroke-dasharray="{4 * (n // len(COLOURS))} 3"' if n >= len(COLOURS) else ""
        for run in _runs(times, one):
            points = " ".join(f"{_x(t, times):.1f},{_y(v, low, high):.1f}" for t, v in run)
            body.append(f'<polyline fill="none" stroke="{colour}" stroke-width="1.6"{dash} points="{points}"/>')
    words = [_describe_range(name, one, unit) for name, one in series.items()]
    words += [f"above zero: {axes.above}"] if axes.above else []
    words += [f"below zero: {axes.below}"] if axes.below else []
    return _frame(body, title, "; ".join([*words, *_describe_shades(axes)])) + _legend(list(series))


def bands(times: Sequence[float], rows: Mapping[str, Sequence[str]], axes: Axes, title: str = "") -> str:
    """Return a plot with one row per name and a coloured band per label, such as the constraint of a set-point."""
    if not times or not rows:
        return "<p>No data.</p>"
    labels = sorted({label for one in rows.values() for label in one if label})
    height = TOP + BOTTOM + ROW * len(rows)
    body = [*_shades(times, axes, height), *_ticks(times, axes, height)]
    for n, (name, one) in enumerate(rows.items()):
        y = TOP + ROW * n
        body.append(f'<text x="{LEFT}" y="{y + LABEL - 3}">{escape(name)}</text>')
        begin = 0
        for label, run in groupby(one):
            end = begin + len(list(run))
            if label:
                x0, x1 = _x(times[begin], times), _x(times[min(end, len(times) - 1)], times)
                colour = COLOURS[labels.index(label) % len(COLOURS)]
                shape = f'x="{x0:.1f}" y="{y + LABEL}" width="{max(x1 - x0, 0.8):.1f}" height="14" fill="{colour}"'
                body.append(f"<rect {shape}><title>{escape(label)}</title></rect>")
            begin = end
    words = [f"{name}: {_describe_shares(one)}" for name, one in rows.items()]
    return _frame(body, title, "; ".join([*words, *_describe_shades(axes)]), height) + _legend(labels)


def _shades(times: Sequence[float], axes: Axes, height: float = HEIGHT) -> list[str]:
    """Return the shaded periods, each with its name above."""
    body = []
    for start, end, name in axes.shaded:
        x0, x1 = (_x(min(max(t, times[0]), times[-1]), times) for t in (start, end))
        if x1 <= x0:
            continue
        shape = f'x="{x0:.1f}" y="{TOP}" width="{x1 - x0:.1f}" height="{height - BOTTOM - TOP:.0f}"'
        body.append(f'<rect {shape} fill="#e9e6df"/><text x="{x0:.1f}" y="{TOP - 4}">{escape(name)}</text>')
    return body


def _describe_shades(axes: Axes) -> list[str]:
    return [
        f"{name} from {clock(start, axes.start_h)} to {clock(end, axes.start_h)}" for start, end, name in axes.shaded
    ]


def _signs(low: float, high: float, axes: Axes) -> list[str]:
    """Return the words above and below the line of zero, at the left edge."""
    at = f'x="{LEFT + 4}" fill="#444" stroke="#fff" stroke-width="3" paint-order="stroke"'
    zero = _y(0.0, low, high)
    body = [f'<text {at} y="{zero - 5:.1f}">{escape(axes.above)} ↑</text>'] if axes.above and high > 0 else []
    return body + ([f'<text {at} y="{zero + 14:.1f}">{escape(axes.below)} ↓</text>'] if axes.below and low < 0 else [])


def clock(seconds: float, start_h: float) -> str:
    """Return the local time of a time of the run, with the day where it is not the first."""
    day, rest = divmod(round(start_h * 3600 + seconds), 86_400)
    return f"{f'+{day}d ' if day else ''}{rest // 3600}:{rest % 3600 // 60:02d}"


def _describe_range(name: str, one: Series, unit: str) -> str:
    values = [value for value in one if value is not None]
    if not values:
        return f"{name}: no values"
    return f"{name}: from {min(values):.4g} to {max(values):.4g} {unit}, at the end {values[-1]:.4g} {unit}"


def _describe_shares(one: Sequence[str]) -> str:
    """Return the share of time of each label, the largest first."""
    shares = Counter(label or "none" for label in one).most_common()
    return ", ".join(f"{label} {100 * count / len(one):.0f} % of the time" for label, count in shares) or "none"


def _x(t: float, times: Sequence[float]) -> float:
    span = max(times[-1] - times[0], 1e-9)
    return LEFT + (t - times[0]) / span * (WIDTH - LEFT - RIGHT)


def _y(value: float, low: float, high: float) -> float:
    return TOP + (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM)


def _range(low: float, high: float) -> tuple[float, float, float]:
    """Return a range that contains the values, and the step of its ticks: 1, 2 or 5 times a power of ten."""
    if high - low < 1e-9:
        high = low + 1.0
    raw = (high - low) / 5
    power = 10 ** floor(log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw)
    return floor(low / step) * step, ceil(high / step) * step, step


def _grid(low: float, high: float, step: float, unit: str) -> list[str]:
    body = []
    for n in range(round((high - low) / step) + 1):
        value = low + n * step
        y = _y(value, low, high)
        colour = "#888" if abs(value) < step / 1000 else "#ddd"
        body.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" stroke="{colour}"/>')
        body.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>')
    body.append(f'<text x="4" y="{TOP - 4}">{escape(unit)}</text>')
    return body


def _ticks(times: Sequence[float], axes: Axes, height: float = HEIGHT) -> list[str]:
    if not axes.seconds:
        return _hours(times, axes.start_h, height)
    _, _, step = _range(times[0], times[-1])
    first, last = ceil(times[0] / step), floor(times[-1] / step)
    return [part for n in range(first, last + 1) for part in _tick(_x(n * step, times), f"{n * step:g} s", height)]


def _tick(x: float, label: str, height: float) -> tuple[str, str]:
    """Return the line and the label of a time."""
    return (
        f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{height - BOTTOM}" stroke="#eee"/>',
        f'<text x="{x:.1f}" y="{height - 10}" text-anchor="middle">{label}</text>',
    )


def _hours(times: Sequence[float], start_h: float, height: float = HEIGHT) -> list[str]:
    span_h = max((times[-1] - times[0]) / 3600, 1e-6)
    step = next((step for step in (1 / 12, 0.25, 0.5, 1, 2, 3, 6, 12, 24) if span_h / step <= 13), 48)
    body: list[str] = []
    n = ceil((start_h + times[0] / 3600) / step - 1e-9)
    while n * step <= start_h + times[-1] / 3600 + 1e-9:
        x = _x((n * step - start_h) * 3600, times)
        minutes = round(n * step * 60) % 1440
        body.extend(_tick(x, f"{minutes // 60}:{minutes % 60:02d}", height))
        n += 1
    return body


def _runs(times: Sequence[float], one: Series) -> list[list[tuple[float, float]]]:
    """Return the points of each stretch without gaps."""
    points = groupby(zip(times, one, strict=False), key=lambda point: point[1] is not None)
    return [[(t, value) for t, value in run if value is not None] for present, run in points if present]


def _legend(names: Sequence[str]) -> str:
    items = "".join(
        f'<span><i style="background:{COLOURS[n % len(COLOURS)]}"></i>{escape(name)}</span>'
        for n, name in enumerate(names)
    )
    return f'<p class="legend">{items}</p>'


def _frame(body: list[str], title: str, text: str, height: float = HEIGHT) -> str:
    named, words = "", ""
    if title:
        name = "plot-" + "".join(letter if letter.isalnum() else "-" for letter in title.lower())
        named = f' aria-labelledby="{name} {name}-text"'
        words = f'<title id="{name}">{escape(title)}</title><desc id="{name}-text">{escape(text)}</desc>'
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img"{named} xmlns="http://www.w3.org/2000/svg">{words}'
        + "".join(body)
        + "</svg>"
    )
