"""Conditions that count only when they last."""

from __future__ import annotations

ROUNDING_S = 1e-9


class Durations:
    """Times since when conditions hold, by name, in s of the engine's clock."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def lasts(self, name: str, condition: bool, now: float, seconds: float) -> bool:
        """Return whether a condition has lasted for so long."""
        if not condition:
            self._since.pop(name, None)
            return False
        return now - self._since.setdefault(name, now) >= seconds - ROUNDING_S
