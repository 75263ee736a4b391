"""Ageing state of a cell: calendar ageing and half cycles, accumulated in increments.

The published ageing laws are in `ageing_laws.py`. Each has the form rate·x^power; changing conditions are chained by
equivalent time: the present loss counts as if the present conditions had caused it.
"""

from __future__ import annotations

from dataclasses import dataclass

from emulators.battery.ageing_laws import LAWS, Law


@dataclass(slots=True)
class Age:
    """Accumulated losses, as fractions of the fresh value; zero for a fresh cell."""

    calendar: float = 0.0
    cycle: float = 0.0
    resistance_calendar: float = 0.0
    resistance_cycle: float = 0.0
    law: Law = LAWS["NMC"]
    _turn: float | None = None  # charge fraction where the present half cycle began
    _extreme: float = 0.0

    @property
    def capacity_factor(self) -> float:
        return max(0.0, 1.0 - self.calendar - self.cycle)

    @property
    def resistance_factor(self) -> float:
        return 1.0 + self.resistance_calendar + self.resistance_cycle

    def rest(self, charge: float, celsius: float, days: float) -> None:
        """Add calendar ageing at a charge fraction and a temperature."""
        law = self.law
        self.calendar = _accumulate(self.calendar, law.calendar_capacity(charge, celsius), days, law.calendar_power)
        rate = law.calendar_resistance(charge, celsius)
        self.resistance_calendar = _accumulate(self.resistance_calendar, rate, days, law.calendar_resistance_power)

    def move(self, charge: float, before: float) -> bool:
        """Track a change of the charge; return True if its direction turned and a half cycle was counted."""
        if self._turn is None:
            self._turn = self._extreme = before
        rising = self._extreme >= self._turn
        if (charge >= self._extreme) == rising or self._extreme == self._turn:
            self._extreme = charge
        elif abs(charge - self._extreme) > 0.01:  # ignore smaller fluctuations
            self._half_cycle(self._turn, self._extreme)
            self._turn, self._extreme = self._extreme, charge
            return True
        return False

    def _half_cycle(self, start: float, end: float) -> None:
        low, high, law = min(start, end), max(start, end), self.law
        full_cycles = (high - low) / 2
        self.cycle = _accumulate(self.cycle, law.cycle_capacity(low, high), full_cycles, law.cycle_power)
        self.resistance_cycle += law.cycle_resistance(low, high) * full_cycles


def _accumulate(loss: float, rate: float, amount: float, power: float) -> float:
    """Return a loss of the form rate·x^power after a further `amount` of x, by equivalent time."""
    if rate <= 0 or amount <= 0:
        return loss
    equivalent = (loss / rate) ** (1 / power)
    return float(rate * (equivalent + amount) ** power)
