"""DC side of a CHAdeMO connection: cable voltage, contactors of the vehicle, current, insulation test, lock.

Time is an argument. In `DcSide` the current follows the set-point of the charger at the slew rate of its stage and is
limited by its voltage limits (constant voltage); the battery moves in steps of a second. With the converter of a
station it is `StageSide` (`stage_side.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from protocols.chademo.charger_session import ChargerOutputs
from protocols.quantities import clamp

UP_A_PER_S, DOWN_A_PER_S = 100.0, 200.0
DECAY = 0.7  # of the voltage of an open cable in 0.1 s: below 25 % after 1 s and below 10 V after 2 s
RISE_V_PER_S = 1000.0  # of the output without load
TEST_S = 1.4  # s of an insulation test
LOCK_S = 0.5  # s that the lock needs
BATTERY_STEP_S = 1.0


class Source(Protocol):
    """Battery behind the contactors of the vehicle."""

    @property
    def rest_v(self) -> float: ...
    @property
    def resistance_ohm(self) -> float: ...
    def flow(self, current_a: float, seconds: float) -> float: ...


S = TypeVar("S", bound=Source)


@dataclass(slots=True, kw_only=True)
class Cable:
    """Cable with its lock and insulation monitor. Fault: a `stuck_lock` does not lock."""

    insulation_ohm: float = 1e6
    stuck_lock: bool = False
    closed: bool = False  # contactors of the vehicle
    voltage_v: float = 0.0
    current_a: float = 0.0
    _tested_s: float = 0.0
    _locking_s: float = 0.0

    @property
    def locked(self) -> bool:
        """Feedback of the lock."""
        return self._locking_s >= LOCK_S and not self.stuck_lock

    @property
    def measured_insulation_ohm(self) -> float | None:
        """Result of the insulation test; None before it."""
        return self.insulation_ohm if self._tested_s >= TEST_S else None

    def operate(self, outputs: ChargerOutputs, seconds: float) -> None:
        """Operate lock and insulation monitor for some time."""
        self._tested_s = self._tested_s + seconds if outputs.test_v else (self._tested_s if outputs.d1 else 0.0)
        self._locking_s = self._locking_s + seconds if outputs.lock else 0.0

    def stay_open(self, outputs: ChargerOutputs, seconds: float) -> None:
        """Charge or discharge the cable without a battery for some time."""
        self.current_a = 0.0
        charged = max(outputs.test_v, outputs.max_v if outputs.current_a > 0 else 0.0)
        decayed = self.voltage_v * DECAY ** (seconds / 0.1)
        self.voltage_v = min(self.voltage_v + RISE_V_PER_S * seconds, charged) if charged else decayed


@dataclass(slots=True)
class DcSide(Cable, Generic[S]):
    """Cable with the battery behind it. Fault: `welded` contactors stay closed."""

    pack: S
    welded: bool = False
    open_path: bool = False  # contactors report closed, but nothing is connected
    stuck_current: bool = False  # the stage keeps its current
    energy_in_wh: float = 0.0
    energy_out_wh: float = 0.0
    _unmoved_s: float = 0.0

    def advance(self, outputs: ChargerOutputs, contactors: bool, seconds: float) -> None:
        """Simulate some time with constant orders of both sides."""
        self.operate(outputs, seconds)
        self.closed = contactors or (self.welded and self.closed)
        if self.closed and not self.open_path:
            self._conduct(outputs, seconds)
        else:
            self._move(force=True)
            self.stay_open(outputs, seconds)

    def _conduct(self, outputs: ChargerOutputs, seconds: float) -> None:
        pack = self.pack
        rest, ohm = pack.rest_v, pack.resistance_ohm
        wanted = outputs.current_a
        if wanted > 0:
            wanted = clamp((outputs.max_v - rest) / ohm, 0.0, wanted)
        elif wanted < 0:
            wanted = clamp((outputs.min_v - rest) / ohm, wanted, 0.0)
        if not self.stuck_current and wanted != self.current_a:
            self._move(force=True)
            self.current_a = _slew(self.current_a, wanted, seconds)
        self.voltage_v = rest + self.current_a * ohm
        self._unmoved_s += seconds
        self._move(force=False)

    def _move(self, *, force: bool) -> None:
        """Let the battery take up what flowed since the last step."""
        seconds = self._unmoved_s
        if seconds and (force or seconds >= BATTERY_STEP_S):
            self._unmoved_s = 0.0
            energy = self.pack.flow(self.current_a, seconds)
            if self.current_a > 0:
                self.energy_in_wh += energy
            elif self.current_a < 0:
                self.energy_out_wh -= energy


def _slew(current: float, wanted: float, seconds: float) -> float:
    """Return the current after some time: towards zero at the fast rate, away from it at the slow one."""
    if current * wanted < 0:
        wanted = 0.0
    step = (DOWN_A_PER_S if abs(wanted) < abs(current) else UP_A_PER_S) * seconds
    return clamp(wanted, current - step, current + step)
