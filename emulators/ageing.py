"""How a cell grows old: one published semi-empirical model of calendar and cycle ageing, in increments.

Source: J. Schmalstieg, S. Käbitz, M. Ecker, D. U. Sauer, "A holistic aging model for Li(NiMnCo)O2 based 18650
lithium-ion batteries", Journal of Power Sources 257 (2014) 325-334, made for NMC on graphite in cells of 2.15 Ah:
capacity falls by α·t^0.75 (t in days) + β·√Q (Q in Ah through the cell); resistance likewise. Other chemistries use
it at the NMC voltage of the same charge: right in tendency, not in figures. Conditions that change are chained by
equivalent time. The coefficients are quoted from the paper as widely reproduced; the paper itself was not at hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, sqrt

from emulators.chemistry import NMC

CELL_AH = 2.15  # of the cell the model was made for


def calendar_capacity_rate(volts: float, celsius: float) -> float:
    """α of the capacity, per day^0.75."""
    return max(0.0, (7.543 * volts - 23.75) * 1e6 * exp(-6976 / (celsius + 273.15)))


def calendar_resistance_rate(volts: float, celsius: float) -> float:
    """α of the resistance, per day^0.75."""
    return max(0.0, (5.270 * volts - 16.32) * 1e5 * exp(-5986 / (celsius + 273.15)))


def cycle_capacity_rate(mean_volts: float, depth: float) -> float:
    """β of the capacity, per √Ah; `depth` of the cycle as a fraction."""
    return max(0.0, 7.348e-3 * (mean_volts - 3.667) ** 2 + 7.600e-4 + 4.081e-3 * depth)


def cycle_resistance_rate(mean_volts: float, depth: float) -> float:
    """β of the resistance, per Ah."""
    return max(0.0, 2.153e-4 * (mean_volts - 3.725) ** 2 - 1.521e-5 + 2.798e-4 * depth)


@dataclass(slots=True)
class Age:
    """The damage so far, as fractions of the fresh value. Fresh is all zero."""

    calendar: float = 0.0
    cycle: float = 0.0
    resistance_calendar: float = 0.0
    resistance_cycle: float = 0.0
    _turn: float | None = None  # charge fraction where the present half cycle began
    _extreme: float = 0.0

    @property
    def capacity_factor(self) -> float:
        return max(0.0, 1.0 - self.calendar - self.cycle)

    @property
    def resistance_factor(self) -> float:
        return 1.0 + self.resistance_calendar + self.resistance_cycle

    def rest(self, charge: float, celsius: float, days: float) -> None:
        """Time passes at this charge fraction and temperature."""
        volts = NMC.ocv_v(charge)
        self.calendar = _grow(self.calendar, calendar_capacity_rate(volts, celsius), days, 0.75)
        self.resistance_calendar = _grow(self.resistance_calendar, calendar_resistance_rate(volts, celsius), days, 0.75)

    def move(self, charge: float, before: float) -> bool:
        """The charge went from `before` to `charge`; True when the direction turned and a half cycle was counted."""
        if self._turn is None:
            self._turn = self._extreme = before
        rising = self._extreme >= self._turn
        if (charge >= self._extreme) == rising or self._extreme == self._turn:
            self._extreme = charge
        elif abs(charge - self._extreme) > 0.01:  # a turn, not a tremble
            self._half_cycle(self._turn, self._extreme)
            self._turn, self._extreme = self._extreme, charge
            return True
        return False

    def _half_cycle(self, start: float, end: float) -> None:
        depth = abs(end - start)
        volts = NMC.ocv_v((start + end) / 2)
        amp_hours = depth * CELL_AH
        beta = cycle_capacity_rate(volts, depth)
        self.cycle = _grow(self.cycle, beta, amp_hours, 0.5)
        self.resistance_cycle += cycle_resistance_rate(volts, depth) * amp_hours


def _grow(damage: float, rate: float, amount: float, power: float) -> float:
    """Damage of the form rate·x^power after `amount` more, whatever law brought it to where it is."""
    if rate <= 0 or amount <= 0:
        return damage
    equivalent = (damage / rate) ** (1 / power)
    return rate * (sqrt(equivalent + amount) if power == 0.5 else (equivalent + amount) ** power)
