"""Languages of the page: one table each in `languages/`, with the same keys; numbers, times and durations.

Sections of a table: `page` (words of the views), `reason` (a sentence for every reason code), `layer`, `status`,
`phase`, `mode`, `grid`, `state` and `verb` (a word for every value of an enumeration).
"""

from __future__ import annotations

import json
from datetime import datetime
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).with_name("languages")
NAMES = {"en": "English", "ja": "日本語", "de": "Deutsch"}
DATES = {"en": "%Y-%m-%d %H:%M", "ja": "%Y年%m月%d日 %H:%M", "de": "%d.%m.%Y %H:%M"}
ZERO_W = 50.0  # below it a power is shown as none


@cache
def table(language: str) -> dict[str, dict[str, str]]:
    """Return the table of a language."""
    found: dict[str, dict[str, str]] = json.loads((FOLDER / f"{language}.json").read_text("utf-8"))
    return found


class Texts:
    """Texts and formats of one language."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._table = table(language)

    def __call__(self, key: str, **values: object) -> str:
        """Return a text of the views."""
        text = self._table["page"][key]
        return text.format(**values) if values else text

    def word(self, section: str, value: str | None) -> str:
        """Return the word for a value; the value itself where the table has none, as for a newer gateway."""
        return self("unknown") if value is None else self._table[section].get(value, value)

    def number(self, value: float, digits: int) -> str:
        """Return a number with the decimal sign of the language."""
        text = f"{value:.{digits}f}"
        return text.replace(".", ",") if self.language == "de" else text

    def kw(self, power_w: float | None) -> str:
        """Return a magnitude of power."""
        return self("unknown") if power_w is None else f"{self.number(abs(power_w) / 1000, 1)} kW"

    def power(self, power_w: float | None) -> str:
        """Return a power in words, without a sign: charging, discharging or none."""
        if power_w is None:
            return self("unknown")
        if abs(power_w) < ZERO_W:
            return self("no_power")
        return self("charging" if power_w > 0 else "discharging", power=self.kw(power_w))

    def percent(self, value: float | None) -> str:
        """Return a state of charge."""
        return self("unknown") if value is None else f"{self.number(value, 0)} %"

    def kwh(self, energy_wh: float | None) -> str:
        """Return an energy."""
        return self("unknown") if energy_wh is None else f"{self.number(energy_wh / 1000, 1)} kWh"

    def time(self, wall: float | None) -> str:
        """Return a moment in the time zone of the gateway."""
        return self("unknown") if wall is None else datetime.fromtimestamp(wall).strftime(DATES[self.language])

    def second(self, wall: float | None) -> str:
        """Return a moment to the second."""
        return self("unknown") if wall is None else f"{self.time(wall)}:{datetime.fromtimestamp(wall):%S}"

    def hour(self, wall: float) -> str:
        """Return the time of day of a moment."""
        return datetime.fromtimestamp(wall).strftime("%H:%M")

    def stamp(self, text: str | None) -> str:
        """Return a moment that is given as RFC 3339."""
        return self("unknown") if text is None else self.time(datetime.fromisoformat(text).timestamp())

    def hours_left(self, hours: float, horizon_h: float) -> str:
        """Return expected hours, of which no more than `horizon_h` are calculated."""
        return self("more_than" if hours >= horizon_h else "about", time=self.duration(hours * 3600))

    def duration(self, seconds: float) -> str:
        """Return a duration: seconds, minutes and seconds, hours and minutes, or from ten hours on whole hours."""
        whole = max(0, round(seconds))
        if whole < 60:
            return self("seconds", s=whole)
        if whole < 3600:
            return self("minutes", min=whole // 60, s=whole % 60)
        if whole >= 10 * 3600:
            return self("whole_hours", h=round(whole / 3600))
        return self("hours", h=whole // 3600, min=whole % 3600 // 60)


def choose(accepted: str, cookie: str | None, offered: list[str]) -> str:
    """Return the language for a browser: its cookie's, else the first of `Accept-Language` that is offered."""
    if cookie in offered:
        return str(cookie)
    for part in accepted.split(","):
        name = part.split(";")[0].strip().lower().partition("-")[0]
        if name in offered:
            return name
    return offered[0]
