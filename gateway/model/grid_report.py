"""Reports of the grid: from the input `grid`, and from chargers that state their interconnection."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class GridReport:
    """Presence of the grid, as reported and as measured; `at` is Unix time."""

    present: bool
    at: float
    dead: bool = False  # reported as present, but measured without voltage


@dataclass(slots=True)
class Interconnections:
    """Statements of chargers about the grid, by EVSE; those that state nothing are left out."""

    reports: dict[str, GridReport] = field(default_factory=dict)
    lost_at: float | None = field(default=None, init=False)  # Unix time since when one has been without the grid

    def report(self, evse: str, present: bool | None, wall: float) -> None:
        """Apply a statement; the time of an unchanged one stays."""
        before = self.reports.pop(evse, None)
        if present is not None:
            unchanged = before is not None and before.present is present
            self.reports[evse] = before if unchanged and before is not None else GridReport(present, wall)
        self.lost_at = min((one.at for one in self.reports.values() if not one.present), default=None)

    @property
    def independent(self) -> tuple[str, ...]:
        """EVSEs whose chargers operate independently of a grid to which they would connect."""
        return tuple(sorted(name for name, one in self.reports.items() if not one.present))

    @property
    def connected(self) -> bool:
        """True where a charger is connected to the grid."""
        return any(one.present for one in self.reports.values())
