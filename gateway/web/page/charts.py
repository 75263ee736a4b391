"""Charts of the page: data that `page.js` draws with uPlot, and the same values as a table and in a sentence."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from gateway.web.page.texts import Texts

DIGITS = 3


@dataclass(frozen=True, slots=True)
class Line:
    """Values of a chart at its times, None where there is none; `stepped`: each holds until the next."""

    name: str
    values: Sequence[float | None]
    stepped: bool = False


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart over `start` to `end`. Times are Unix time, in order; `marks` are times with a vertical line."""

    title: str
    unit: str
    start: float
    end: float
    times: Sequence[float]
    lines: Sequence[Line]
    marks: Sequence[float] = field(default=())

    @property
    def empty(self) -> bool:
        """Return whether it has no value."""
        return all(value is None for line in self.lines for value in line.values)

    def data(self) -> str:
        """Return what `page.js` draws, as JSON. `offset_s`: the gateway's time zone, in which times are shown."""
        offset = datetime.fromtimestamp(self.end).astimezone().utcoffset()
        lines = [{"values": [_rounded(one) for one in line.values], "stepped": line.stepped} for line in self.lines]
        return json.dumps(
            {
                "times": [round(one) for one in self.times],
                "lines": lines,
                "marks": [round(one) for one in self.marks],
                "range": [round(self.start), round(self.end)],
                "offset_s": offset.total_seconds() if offset is not None else 0.0,
            },
            separators=(",", ":"),
        )

    def sentences(self, t: Texts) -> list[str]:
        """Return the lowest and the highest value of each line, with their times, in words."""
        found = []
        for line in self.lines:
            known = [(value, at) for value, at in zip(line.values, self.times, strict=True) if value is not None]
            if known:
                (low, low_at), (high, high_at) = min(known), max(known)
                values = {"low": t.number(low, 1), "high": t.number(high, 1), "unit": self.unit}
                times = {"low_at": t.hour(low_at), "high_at": t.hour(high_at)}
                found.append(t("chart_line", name=line.name, **values, **times))
        return found

    def rows(self) -> Iterable[tuple[float, list[float | None]]]:
        """Yield each time with the values of all lines; times without any are left out."""
        for at, *values in zip(self.times, *(line.values for line in self.lines), strict=True):
            if any(value is not None for value in values):
                yield at, values


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, DIGITS)
