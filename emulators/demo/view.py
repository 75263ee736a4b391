"""What a person sees of the demo: the wires of car, charger and facility, and what bound the set-point.

On a terminal a live picture, elsewhere one line for each thing that happens. Nothing of the demo is decided here.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from types import TracebackType

from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

LINES = 9  # of each wire
REFRESH_PER_S = 8
TITLES = {
    "iso15118": "car ⇄ charger · ISO 15118-20",
    "ocpp": "charger ⇄ gateway · OCPP 2.1",
    "mqtt": "gateway ⇄ facility · MQTT",
}


@dataclass(slots=True)
class Dials:
    """The figures of the moment; + is into the vehicle."""

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
    """Takes lines and figures, shows them."""

    console: Console
    dials: Dials = field(default_factory=Dials)
    _lines: dict[str, deque[str]] = field(default_factory=lambda: {name: deque(maxlen=LINES) for name in TITLES})
    _live: Live | None = None

    def __enter__(self) -> DemoView:
        if self.console.is_terminal:
            self._live = Live(get_renderable=self._picture, console=self.console, refresh_per_second=REFRESH_PER_S)
            self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.__exit__(kind, error, trace)

    def line(self, wire: str, text: str) -> None:
        """Something went over a wire. What repeats is shown once."""
        lines = self._lines[wire]
        if lines and lines[-1] == text:
            return
        lines.append(text)
        if self._live is None:
            self.console.print(f"[dim]{wire:>8}[/] {text}", highlight=False, soft_wrap=True)

    def phase(self, text: str) -> None:
        """What the demo is doing now."""
        self.dials.phase = text
        if self._live is None:
            self.console.print(f"[bold]{'·':>8} {text}[/]", highlight=False)

    def _picture(self) -> RenderableType:
        width = max(30, self.console.width // 3 - 1)
        wires = [
            Panel(Text("\n".join(self._lines[name]), no_wrap=True, overflow="ellipsis"), title=title, width=width)
            for name, title in TITLES.items()
        ]
        return Group(Panel(self._dials(), title=f"v2x-gateway · {self.dials.phase}"), Columns(wires))

    def _dials(self) -> Table:
        dials, table = self.dials, Table.grid(padding=(0, 3))
        table.add_row("battery", f"{dials.soc_pct:.3f} %", "plug", f"{dials.voltage_v:.0f} V  {dials.current_a:+.1f} A")
        table.add_row("meter", watts(dials.meter_w), "asked for", watts(dials.requested_w))
        table.add_row("in force", watts(dials.effective_w), "bound by", dials.binding or "-", dials.reason)
        return table


def summary(figures: dict[str, object], losses_wh: float) -> Table:
    """The result, for people."""
    table = Table.grid(padding=(0, 3))
    rows = [
        ("asked for", f"{figures['requested_w']:.0f} W out of the car"),
        ("granted", f"{figures['effective_w']:.0f} W, bound by {figures['binding']}"),
        ("out of the battery", f"{figures['energy_from_battery_wh']:.2f} Wh"),
        ("at the meter", f"{figures['energy_at_meter_wh']:.2f} Wh"),
        ("losses", f"{losses_wh:.2f} Wh"),
        ("state of charge", f"{figures['soc_start_pct']:.3f} % → {figures['soc_end_pct']:.3f} %"),
        ("command → answer", f"{figures['accepted_ms']} ms"),
        ("command → set-point at the station", f"{figures['setpoint_ms']} ms"),
        ("command → current out of the car", f"{figures['first_negative_current_ms']} ms"),
        ("messages", ", ".join(f"{name} {count}" for name, count in dict(figures["messages"]).items())),  # type: ignore[call-overload]
        ("discharge", "achieved" if figures["achieved"] else "NOT achieved"),
    ]
    for name, text in rows:
        table.add_row(f"[dim]{name}[/]", text)
    return table


def watts(value: float | None) -> str:
    """A signed power for people, a dash where there is none."""
    return "-" if value is None else f"{value:+.0f} W"
