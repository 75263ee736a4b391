"""Console of the demos: one line per event, wrapped to the width of the terminal, and a closing text."""

from __future__ import annotations

import logging
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.text import Text

WIDEST = 100  # characters of a line, in terminals that are wider
TIME, SOURCE = 9, 18  # widths of the columns before the text


@dataclass(slots=True)
class Timeline:
    """Prints events in the order of their time."""

    console: Console
    _last: dict[str, str] = field(default_factory=dict)  # by source

    @property
    def width(self) -> int:
        """Characters of a line."""
        return min(self.console.width, WIDEST)

    def line(self, at: str, source: str, text: str) -> None:
        """Print an event; the same one again from a source is printed once."""
        if self._last.get(source) == text:
            return
        self._last[source] = text
        before = Text.assemble((f"{at:>{TIME}} ", "dim"), (f"{source:<{SOURCE}} ", "cyan"))
        first, *more = textwrap.wrap(text, max(20, self.width - before.cell_len)) or [""]
        self._print(before + Text(first))
        for one in more:
            self._print(Text(" " * before.cell_len + one))

    def skip(self, source: str, text: str) -> None:
        """Take an event as printed: the next different one from its source is printed, whatever came before."""
        self._last[source] = text

    def heading(self, text: str) -> None:
        """Print a heading."""
        self._print(Text())
        for one in textwrap.wrap(text, self.width):
            self._print(Text(one, "bold"))

    def page(self, port: int | None) -> None:
        """Print the address of the gateway's page."""
        self.paragraph(f"Page of the gateway, while this runs: {address(port)}")

    def paragraph(self, text: str, indent: str = "  ") -> None:
        """Print sentences."""
        for one in textwrap.wrap(text, self.width, initial_indent=indent, subsequent_indent=indent):
            self._print(Text(one))

    def table(self, rows: Sequence[tuple[str, str]]) -> None:
        """Print rows of a name and a text."""
        names = max(len(name) for name, _ in rows)
        for name, text in rows:
            first, *more = textwrap.wrap(text, max(20, self.width - names - 4))
            self._print(Text.assemble("  ", (f"{name:<{names}}", "dim"), "  ", first))
            for one in more:
                self._print(Text(" " * (names + 4) + one))

    def commands(self, rows: Sequence[tuple[str, str]]) -> None:
        """Print commands to try, each above what it does; `v2x` is printed as it was called."""
        called = Path(sys.argv[0])
        program = str(called) if called.name == "v2x" else "v2x"
        for command, text in rows:
            self._print(
                Text(f"  {command.replace('v2x', program, 1) if command.startswith('v2x') else command}", "bold")
            )
            self.paragraph(text, "      ")

    def _print(self, text: Text) -> None:
        self.console.print(text, soft_wrap=True)


def address(port: int | None) -> str:
    """Return the address of the gateway's page."""
    return f"http://127.0.0.1:{port}/"


def make_timeline(json_output: bool) -> Timeline:
    """Return the console of a demo, which is quiet beside JSON; it prints the events that the gateway would log."""
    logging.getLogger("v2x.event").addHandler(logging.NullHandler())
    return Timeline(Console(stderr=json_output, quiet=json_output, highlight=False))


def in_words(power_w: float | None) -> str:
    """Return a power with its direction: + is charge."""
    if power_w is None:
        return "unknown power"
    if abs(power_w) < 0.5:
        return "0 W"
    return f"{'charge' if power_w > 0 else 'discharge'} {abs(power_w):.0f} W"
