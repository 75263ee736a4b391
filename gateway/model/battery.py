"""Battery of a vehicle between two reports: its assumed capacity, and what flows in it for each Wh at the meter. Pure.

The rule for the capacity is `gateway.authority.soc_floors.capacity_of`.
"""

from __future__ import annotations

ASSUMED_CAPACITY_WH = 20_000.0  # default for a battery of unknown capacity: a small one
METER_EFFICIENCY = 0.94  # between battery and meter, in either direction: the usual one, for plans and estimates
# Worst cases of the same, for counting the state of charge while the vehicle does not report it: a count that is too
# high would discharge a battery below its floor, so each direction has the factor that leaves less in the battery.
# Plans and commands both begin with the state of charge counted in this way.
LOSS_OUT = 1.1  # energy out of the battery per Wh discharged at the meter
GAIN_IN = 0.85  # energy into the battery per Wh charged at the meter


def counted_wh(left_wh: float) -> float:
    """Return the energy that leaves the battery (+) for what left the vehicle at the meter, in the worst case."""
    return left_wh * (LOSS_OUT if left_wh > 0 else GAIN_IN)
