"""Console of the demos: nothing is cut, whatever the width."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from emulators.demo.timeline import Timeline, in_words

TEXT = "The grid is lost: the facility reports that it is gone, so that [brackets] and a-very-long-name-of-a-load stay."


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_every_word_is_printed_within_the_width(width: int) -> None:
    out = io.StringIO()
    timeline = Timeline(Console(file=out, width=width, highlight=False))
    timeline.line("17:38:00", "site", TEXT)
    timeline.heading(TEXT)
    timeline.paragraph(TEXT)
    timeline.table([("shed", TEXT), ("restored", "nothing")])
    timeline.commands([("v2x demo outage", TEXT)])
    text = out.getvalue()
    if width >= 60:  # the columns before the text need 29
        assert max(len(line) for line in text.splitlines()) <= min(width, 100)
    joined = re.sub(r"\s+", "", text)
    assert joined.count(re.sub(r"\s+", "", TEXT)) == 5
    assert "…" not in text


def test_a_repeated_event_is_printed_once() -> None:
    out = io.StringIO()
    timeline = Timeline(Console(file=out, width=80))
    for text in ("a", "a", "b", "a"):
        timeline.line("0 s", "site", text)
    assert [line[-1] for line in out.getvalue().splitlines()] == ["a", "b", "a"]


@pytest.mark.parametrize(
    ("power_w", "words"),
    [(None, "unknown power"), (-0.2, "0 W"), (-5000, "discharge 5000 W"), (6000.4, "charge 6000 W")],
)
def test_the_direction_of_a_power_is_a_word(power_w: float | None, words: str) -> None:
    assert in_words(power_w) == words
