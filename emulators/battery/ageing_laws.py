"""Published laws of calendar and cycle ageing, one for each chemistry.

| chemistry | source | cell |
|---|---|---|
| NMC | Schmalstieg, Käbitz, Ecker, Sauer, J. Power Sources 257 (2014) 325-334 | Sanyo UR18650E, 2.15 Ah, NMC111 |
| LFP | Naumann, Schimpe, Keil, Hesse, Jossen, J. Energy Storage 17 (2018) 153-169 (calendar); Naumann, Spingler, \
Jossen, J. Power Sources 451 (2020) 227666 (cycle) | Sony US26650FTC1, 3 Ah |
| LMO | data of Braco et al., J. Energy Storage 32 (2020) 101695 and IEEE EEEIC 2022, 9854784, as fitted by NREL in \
BLAST-Lite | used modules of the first Nissan Leaf, at 70 % at the start of the test |

The coefficients were compared with independent transcriptions: NMC and the resistance of LFP with BLAST-Lite (NREL) and
SimSES (TU Munich), the capacity of LFP with SimSES, LMO with BLAST-Lite. The papers themselves were not available.
Limitations:

* NMC: tested at 35-50 °C and 1C; cycle ageing depends on neither temperature nor current. The voltage in the cycle law
  is the quadratic mean of the terminal voltage; here it is that of the cell at rest. Optimistic at high cycle depths.
* LFP: no cycles below 25 °C; the current is assumed to be C/3. One source quotes the law of resistance over charge with
  a square, the other with a cube; both agree at 50 % charge, here it is the square.
* LMO: aged cells, cycled at 25 °C, full depth and 1C only; no resistance was published, the NMC law replaces it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import exp, sqrt

from emulators.battery.chemistry import Curve

GAS = 8.3144598  # J/(mol·K)
DAY_S = 86_400.0
REFERENCE_K = 298.15
CELL_AH = 2.15  # of the NMC cell: its law counts ampere-hours both ways
MODERATE_C = 1 / 3  # 1/h, of a 10 to 20 kW wallbox with a 40 to 60 kWh pack
PARTS = 10  # of a half cycle, for its mean voltage

# Rest voltage of the NMC cell over its charge, as read from figure 1 of the paper by NREL
_REST_V = Curve(
    zip(
        (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
        (3.331, 3.490, 3.580, 3.621, 3.651, 3.697, 3.775, 3.863, 3.947, 4.054, 4.162),
        strict=True,
    )
)


@dataclass(frozen=True, slots=True)
class Law:
    """Losses as fractions of the fresh value: rate·x^power, x in days or in full equivalent cycles.

    Calendar rates take (charge fraction, °C), cycle rates the (lower, upper) charge of a half cycle.
    """

    calendar_capacity: Callable[[float, float], float]
    calendar_power: float
    calendar_resistance: Callable[[float, float], float]
    calendar_resistance_power: float
    cycle_capacity: Callable[[float, float], float]
    cycle_power: float
    cycle_resistance: Callable[[float, float], float]  # per full equivalent cycle


# NMC -----------------------------------------------------------------------------------------------------------------


def nmc_calendar_capacity(charge: float, celsius: float) -> float:
    """Return the capacity loss per day^0.75."""
    return max(0.0, (7.543 * _REST_V(charge) - 23.75) * 1e6 * exp(-6976 / (celsius + 273.15)))


def nmc_calendar_resistance(charge: float, celsius: float) -> float:
    """Return the resistance rise per day^0.75."""
    return max(0.0, (5.270 * _REST_V(charge) - 16.32) * 1e5 * exp(-5986 / (celsius + 273.15)))


def nmc_cycle_capacity(low: float, high: float) -> float:
    """Return the capacity loss per root of a full equivalent cycle; in the paper per root of an ampere-hour."""
    volts = _mean_v(low, high)
    beta = 7.348e-3 * (volts - 3.667) ** 2 + 7.600e-4 + 4.081e-3 * (high - low)
    return max(0.0, beta) * sqrt(2 * CELL_AH)


def nmc_cycle_resistance(low: float, high: float) -> float:
    """Return the resistance rise per full equivalent cycle, at least 0; in the paper per ampere-hour."""
    volts = _mean_v(low, high)
    return max(0.0, 2.153e-4 * (volts - 3.725) ** 2 - 1.521e-5 + 2.798e-4 * (high - low)) * 2 * CELL_AH


def _mean_v(low: float, high: float) -> float:
    """Return the quadratic mean of the rest voltage over a half cycle."""
    points = [low + (high - low) * (n + 0.5) / PARTS for n in range(PARTS)]
    return sqrt(sum(_REST_V(point) ** 2 for point in points) / PARTS)


# LFP -----------------------------------------------------------------------------------------------------------------


def lfp_calendar_capacity(charge: float, celsius: float) -> float:
    """Return the capacity loss per root of a day."""
    return 1.2571e-5 * sqrt(DAY_S) * _arrhenius(17_126.0, celsius) * (2.8575 * (charge - 0.5) ** 3 + 0.60225)


def lfp_calendar_resistance(charge: float, celsius: float) -> float:
    """Return the resistance rise per day."""
    return 3.4194e-10 * DAY_S * _arrhenius(71_827.0, celsius) * max(0.0, -3.3903 * (charge - 0.5) ** 2 + 1.5604)


def lfp_cycle_capacity(low: float, high: float) -> float:
    """Return the capacity loss per root of a full equivalent cycle."""
    return (0.0630 * MODERATE_C + 0.0971) * (4.0253 * (high - low - 0.6) ** 3 + 1.0923) / 100


def lfp_cycle_resistance(low: float, high: float) -> float:
    """Return the resistance rise per full equivalent cycle."""
    return max(0.0, (-0.0020 * MODERATE_C + 0.0021) * (6.8477 * (high - low - 0.5) ** 3 + 0.9182) / 100)


def _arrhenius(activation_j_mol: float, celsius: float) -> float:
    return exp(-activation_j_mol / GAS * (1 / (celsius + 273.15) - 1 / REFERENCE_K))


# LMO -----------------------------------------------------------------------------------------------------------------


def lmo_calendar_capacity(charge: float, celsius: float) -> float:
    """Return the capacity loss per day^0.464."""
    kelvin = celsius + 273.15
    return 3.25e8 * exp(-7_580.0 / kelvin) * exp(162.0 * charge / kelvin)


def lmo_cycle_capacity(low: float, high: float) -> float:
    """Return the capacity loss per (full equivalent cycle)^1.08."""
    return 7.58e-5


LAWS = {
    "NMC": Law(
        nmc_calendar_capacity, 0.75, nmc_calendar_resistance, 0.75, nmc_cycle_capacity, 0.5, nmc_cycle_resistance
    ),
    "LFP": Law(lfp_calendar_capacity, 0.5, lfp_calendar_resistance, 1.0, lfp_cycle_capacity, 0.5, lfp_cycle_resistance),
    "LMO": Law(
        lmo_calendar_capacity, 0.464, nmc_calendar_resistance, 0.75, lmo_cycle_capacity, 1.08, nmc_cycle_resistance
    ),
}
