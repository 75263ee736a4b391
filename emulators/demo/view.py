"""Display of the demo: messages of vehicle, charger and facility, and the limiting constraint of the set-point.

A live display on a terminal, otherwise one line per event.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

LINES = 9  # of each protocol
REFRESH_PER_S = 8
TITLES = {
    "iso15118": "car ⇄ charger · ISO 15118-20",
    "ocpp": "charger ⇄ gateway · OCPP 2.1",
    "mqtt": "gateway ⇄ facility · MQTT",
}


@dataclass(slots=True)
class Values:
    """Present values; + is charge."""

    phase: str = "starting"
    current_a: float = 0.0
    voltage_v: float = 0.0
    soc_pct: float = 0.0
    meter_w: float | None = None
    requested_w: float | None = None
    effective_w: float | None = None
    binding: str = ""
    reason: str = ""


@dataclass(slots=True)
class DemoView:
    """Displays messages and values."""

    console: Console
    values: Values = field(default_factory=Values)
    _lines: dict[str, deque[str]] = field(default_factory=lambda: {name: deque(maxlen=LINES) for name in TITLES})
    _live: Live | None = None

    def __enter__(self) -> DemoView:
        if self.console.is_terminal:
            self._live = Live(get_renderable=self._display, console=self.console, refresh_per_second=REFRESH_PER_S)
            self._live.start(refresh=True)
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def line(self, protocol: str, text: str) -> None:
        """Display a message; a repetition is displayed once."""
        lines = self._lines[protocol]
        if lines and lines[-1] == text:
            return
        lines.append(text)
        if self._live is None:
            self.console.print(f"[dim]{protocol:>8}[/] {text}", highlight=False, soft_wrap=True)

    def phase(self, text: str) -> None:
        """Display the present phase of the demo."""
        self.values.phase = text
        if self._live is None:
            self.console.print(f"[bold]{'·':>8} {text}[/]", highlight=False)

    def _display(self) -> RenderableType:
        width = max(30, self.console.width // 3 - 1)
        panels = [
            Panel(Text("\n".join(self._lines[name]), no_wrap=True, overflow="ellipsis"), title=title, width=width)
            for name, title in TITLES.items()
        ]
        return Group(Panel(self._table(), title=f"v2x-gateway · {self.values.phase}"), Columns(panels))

    def _table(self) -> Table:
        values, table = self.values, Table.grid(padding=(0, 3))
        table.add_row(
            "battery", f"{values.soc_pct:.3f} %", "plug", f"{values.voltage_v:.0f} V  {values.current_a:+.1f} A"
        )
        table.add_row("meter", watts(values.meter_w), "requested", watts(values.requested_w))
        table.add_row("effective", watts(values.effective_w), "constraint", values.binding or "-", values.reason)
        return table


def summary(figures: dict[str, object], losses_wh: float) -> Table:
    """Return the table of the result."""
    table = Table.grid(padding=(0, 3))
    rows = [
        ("requested", f"{figures['requested_w']:.0f} W discharge"),
        ("effective", f"{figures['effective_w']:.0f} W, limited by {figures['binding']}"),
        ("discharged from the battery", f"{figures['energy_from_battery_wh']:.2f} Wh"),
        ("at the meter", f"{figures['energy_at_meter_wh']:.2f} Wh"),
        ("losses", f"{losses_wh:.2f} Wh"),
        ("state of charge", f"{figures['soc_start_pct']:.3f} % → {figures['soc_end_pct']:.3f} %"),
        ("command → result", f"{figures['accepted_ms']} ms"),
        ("command → set-point accepted by the station", f"{figures['setpoint_ms']} ms"),
        ("command → discharge current", f"{figures['first_negative_current_ms']} ms"),
        ("messages", ", ".join(f"{name} {count}" for name, count in dict(figures["messages"]).items())),  # type: ignore[call-overload]
        ("discharge", "achieved" if figures["achieved"] else "NOT achieved"),
    ]
    for name, text in rows:
        table.add_row(f"[dim]{name}[/]", text)
    return table


def watts(value: float | None) -> str:
    """Return a signed power as text, a dash for None."""
    return "-" if value is None else f"{value:+.0f} W"
