"""Is there a grid? Several witnesses, none of them believed alone.

The facility's input says it, the voltage and frequency at the point of connection show it, and a meter that reads
nothing while the site draws proves it. A witness that contradicts two others is called wrong and is not followed.
Short dips are ridden through, longer brown-outs count as lost. After a loss the grid must be well for the whole
reconnect delay, and a grid that comes and goes has to wait longer each time.

Figures (facts from the field's standards sheet): reclose block of a Japanese power conditioner 300 s (JEAC 9701, also
5/150/200 s by the utility's order), under-voltage 0.8 pu and under- and over-frequency limits as of 50 Hz or 60 Hz
areas.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.energy.reason import Decided
from gateway.model.energy_state import GridCondition

Grid = GridCondition


@dataclass(frozen=True, slots=True)
class GridLimits:
    """When a grid is well. pu are of `nominal_v`; delays in s."""

    nominal_v: float = 200.0
    nominal_hz: float = 50.0
    dead_pu: float = 0.5
    low_pu: float = 0.85
    high_pu: float = 1.15
    band_hz: tuple[float, float] = (-1.5, 1.5)
    confirm_s: float = 1.0  # of a loss
    brown_out_s: float = 10.0  # a dip is ridden through this long
    reconnect_s: float = 300.0
    longest_reconnect_s: float = 3600.0
    flap_window_s: float = 3600.0
    meter_zero_w: float = 30.0
    meter_expected_w: float = 500.0


@dataclass(frozen=True, slots=True)
class Seen:
    """One look at the grid. None is not told or stale.

    `present` is the facility's word. `voltage_v` and `frequency_hz` are at the grid's side of the main switch.
    `power_w` flows through the connection (+ import), `expected_w` should flow by what loads, PV and cars do; both
    only tell something while the main switch is closed.
    """

    present: bool | None = None
    voltage_v: float | None = None
    frequency_hz: float | None = None
    power_w: float | None = None
    expected_w: float | None = None
    closed: bool = True


@dataclass(slots=True)
class GridWatch:
    """Folds looks into a verdict. `healthy_s` is for how long it has been well, `reconnect_s` how long it must be."""

    limits: GridLimits = field(default_factory=GridLimits)
    verdict: Grid = Grid.UNKNOWN
    why: str = "nobody has told anything about the grid yet"
    _wrong_since: float | None = None
    _well_since: float | None = None
    _losses: list[float] = field(default_factory=list)
    _doubted: str = ""

    def look(self, seen: Seen, now: float) -> list[Decided]:
        """Take in one look; answers what changed."""
        bad, why, patience_s, doubt = _judge(seen, self.limits)
        events = self._doubt(doubt, now)
        if bad is None:  # silence: the last verdict stands, but time in silence does not count as time in health
            self._well_since = None
            return events
        before = self.verdict
        if bad:
            self._well_since = None
            self._wrong_since = now if self._wrong_since is None else self._wrong_since
            self.why = why
            if before is not Grid.LOST:
                self.verdict = Grid.LOST if now - self._wrong_since >= patience_s else Grid.SUSPECT
        else:
            self._wrong_since = None
            self._well_since = now if self._well_since is None else self._well_since
            self.verdict, self.why = Grid.HEALTHY, why
        return events + self._told(before, now)

    def _told(self, before: Grid, now: float) -> list[Decided]:
        if self.verdict is before:
            return []
        if self.verdict is Grid.LOST:
            self._losses = [at for at in self._losses if now - at < self.limits.flap_window_s] + [now]
            events = [Decided(now, "grid_lost", f"The grid is lost: {self.why}.")]
            if len(self._losses) > 1:
                wait_s = self.reconnect_s(now)
                text = f"Loss number {len(self._losses)} within the hour: it must now be well for {wait_s:.0f} s."
                events.append(Decided(now, "grid_flapping", text))
            return events
        if self.verdict is Grid.SUSPECT:
            return [Decided(now, "grid_suspect", f"Something is wrong with the grid: {self.why}.")]
        if before is Grid.LOST:
            text = f"The grid is back; it must stay well for {self.reconnect_s(now):.0f} s."
            return [Decided(now, "grid_seen_again", text)]
        return [Decided(now, "grid_recovered", "The grid is well again.")] if before is Grid.SUSPECT else []

    def _doubt(self, doubt: str, now: float) -> list[Decided]:
        if doubt == self._doubted:
            return []
        self._doubted = doubt
        return [Decided(now, "grid_input_contradicted", doubt)] if doubt else []

    def reconnect_s(self, now: float) -> float:
        """How long the grid must be well before the site goes back: doubled by every further loss within the window."""
        losses = sum(1 for at in self._losses if now - at < self.limits.flap_window_s)
        return min(self.limits.reconnect_s * float(1 << max(0, losses - 1)), self.limits.longest_reconnect_s)

    def healthy_s(self, now: float) -> float:
        """For how long it has been well without a break."""
        return 0.0 if self._well_since is None or self.verdict is not Grid.HEALTHY else now - self._well_since

    def may_reconnect(self, now: float) -> bool:
        """Whether it has been well for long enough."""
        return self.verdict is Grid.HEALTHY and self.healthy_s(now) >= self.reconnect_s(now)


def _judge(seen: Seen, limits: GridLimits) -> tuple[bool | None, str, float, str]:
    """(bad?, why, how long it must last to count as lost, which witness is doubted); bad None is silence."""
    volts = None if seen.voltage_v is None else seen.voltage_v / limits.nominal_v
    hertz = None if seen.frequency_hz is None else seen.frequency_hz - limits.nominal_hz
    flows = seen.closed and seen.power_w is not None and abs(seen.power_w) > limits.meter_expected_w
    still = (
        seen.closed
        and seen.power_w is not None
        and seen.expected_w is not None
        and abs(seen.power_w) < limits.meter_zero_w
        and abs(seen.expected_w) > limits.meter_expected_w
    )
    if volts is not None and volts < limits.dead_pu:
        doubt = "The facility says that the grid is there, but the voltage is gone." if seen.present else ""
        return True, f"the voltage is {seen.voltage_v:.0f} V", limits.confirm_s, doubt
    if volts is not None and not limits.low_pu <= volts <= limits.high_pu:
        return True, f"the voltage is {seen.voltage_v:.0f} V", limits.brown_out_s, ""
    if hertz is not None and volts != 0 and not limits.band_hz[0] <= hertz <= limits.band_hz[1]:
        return True, f"the frequency is {seen.frequency_hz:.2f} Hz", limits.brown_out_s, ""
    if seen.present is False:
        if flows and volts is not None:
            doubt = "The facility says that the grid is gone, but voltage is there and power flows."
            return False, "voltage and power flow are there", 0.0, doubt
        return True, "the facility says so", limits.confirm_s, ""
    if still and volts is None:
        doubt = "The facility says that the grid is there, but the meter reads nothing while the site draws."
        return True, "the meter reads nothing while the site draws", 2 * limits.confirm_s, doubt if seen.present else ""
    if seen.present is None and volts is None and not flows:
        return None, "", 0.0, ""
    return False, "voltage and frequency are right" if volts is not None else "it is said to be there", 0.0, ""
