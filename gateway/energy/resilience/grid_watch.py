"""Loss-of-mains detection from several sources: the facility's report, voltage, frequency and power of the grid meter.

A value that a meter does not measure (`model/grid_meter.py`) is reported and not followed; measured voltage and
frequency outvote the facility's report. Short dips are ridden through, longer brown-outs count as a loss. After a loss
the grid must be healthy for the whole reconnect delay, which doubles with every further loss within the hour.

Figures: reclose block of a Japanese power conditioner 300 s (JEAC 9701; by the utility's order also 5, 150 or 200 s),
under-voltage 0.8 pu, under- and over-frequency limits of the 50 Hz and 60 Hz areas.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from gateway.energy.reason import Decided
from gateway.model.energy_state import GridStatus
from gateway.model.grid_meter import CERTAIN_FLOW_W, DEAD_PU, GridMeter, measured_frequency


@dataclass(frozen=True, slots=True)
class GridLimits:
    """Limits of a healthy grid. pu are of `nominal_v`; delays in s."""

    nominal_v: float = 200.0
    nominal_hz: float = 50.0
    low_pu: float = 0.85
    high_pu: float = 1.15
    band_hz: tuple[float, float] = (-1.5, 1.5)
    confirm_s: float = 1.0  # of a loss
    brown_out_s: float = 10.0  # a dip shorter than this is ridden through
    reconnect_s: float = 300.0
    longest_reconnect_s: float = 3600.0
    flap_window_s: float = 3600.0
    unreported_s: float = 5.0  # behind an open main switch


@dataclass(frozen=True, slots=True)
class GridReading:
    """Readings of all detection sources. None is not reported or stale.

    `present`: reported by the facility. `voltage_v`, `frequency_hz`: at the grid's side of the main switch. `power_w`:
    through the connection (+ import), of meaning while the main switch is closed only. `open`: the main switch is
    reported as open now. `independent`: chargers that operate independently of a grid to which they would connect;
    `interconnected`: a charger states that it is connected to the grid.
    """

    present: bool | None = None
    voltage_v: float | None = None
    frequency_hz: float | None = None
    power_w: float | None = None
    closed: bool = True
    open: bool = False
    independent: str = ""
    interconnected: bool = False


@dataclass(slots=True)
class GridWatch:
    """State machine of loss-of-mains detection; `update` each step."""

    limits: GridLimits = field(default_factory=GridLimits)
    status: GridStatus = GridStatus.UNKNOWN
    why: str = "no detection source has reported yet"
    meter: GridMeter = field(init=False)
    _wrong_since: float | None = None
    _healthy_since: float | None = None
    _losses: list[float] = field(default_factory=list)
    _contradiction: str = ""

    def __post_init__(self) -> None:
        self.meter = GridMeter(self.limits.nominal_v)

    def update(self, reading: GridReading, now: float) -> list[Decided]:
        """Apply one reading; return what has changed."""
        self.meter.learn(reading.voltage_v, _through_w(reading))
        judgement = judge(reading, self.limits, self.meter)
        events = self._contradicted(judgement.contradiction, now)
        if judgement.bad is None:  # no source reports: the status stays, but this time does not count as healthy
            self._healthy_since = None
            return events
        before = self.status
        if judgement.bad:
            self._healthy_since = None
            self._wrong_since = now if self._wrong_since is None else self._wrong_since
            self.why = judgement.why
            if before is not GridStatus.LOST:
                confirmed = now - self._wrong_since >= judgement.confirm_s
                self.status = GridStatus.LOST if confirmed else GridStatus.SUSPECT
        else:
            self._wrong_since = None
            self._healthy_since = now if self._healthy_since is None else self._healthy_since
            self.status, self.why = GridStatus.HEALTHY, judgement.why
        return events + self._changes(before, now)

    def restore_loss(self) -> None:
        """Continue a loss from before a restart: it lasts until the grid is reported as healthy."""
        self.status = GridStatus.LOST
        self.why = "it was lost before the gateway was restarted, and has not been reported since"

    def _changes(self, before: GridStatus, now: float) -> list[Decided]:
        if self.status is before:
            return []
        if self.status is GridStatus.LOST:
            self._losses = [at for at in self._losses if now - at < self.limits.flap_window_s] + [now]
            events = [Decided(now, "grid_lost", f"The grid is lost: {self.why}.")]
            if len(self._losses) > 1:
                wait_s = self.reconnect_s(now)
                text = f"Loss number {len(self._losses)} within the hour: the grid must be healthy for {wait_s:.0f} s."
                events.append(Decided(now, "grid_flapping", text))
            return events
        if self.status is GridStatus.SUSPECT:
            return [Decided(now, "grid_suspect", f"The grid is not healthy: {self.why}.")]
        if before is GridStatus.LOST:
            text = f"The grid has returned; it must stay healthy for {self.reconnect_s(now):.0f} s."
            return [Decided(now, "grid_seen_again", text)]
        recovered = before is GridStatus.SUSPECT
        return [Decided(now, "grid_recovered", "The grid is healthy again.")] if recovered else []

    def _contradicted(self, contradiction: str, now: float) -> list[Decided]:
        if contradiction == self._contradiction:
            return []
        self._contradiction = contradiction
        return [Decided(now, "grid_input_contradicted", contradiction)] if contradiction else []

    def reconnect_s(self, now: float) -> float:
        """Return how long the grid must be healthy before reconnection: doubled by every further loss in the window."""
        losses = sum(1 for at in self._losses if now - at < self.limits.flap_window_s)
        return min(self.limits.reconnect_s * float(1 << max(0, losses - 1)), self.limits.longest_reconnect_s)

    def healthy_s(self, now: float) -> float:
        """Return for how long the grid has been healthy without interruption."""
        if self._healthy_since is None or self.status is not GridStatus.HEALTHY:
            return 0.0
        return now - self._healthy_since

    def may_reconnect(self, now: float) -> bool:
        """Return whether the grid has been healthy for long enough."""
        return self.status is GridStatus.HEALTHY and self.healthy_s(now) >= self.reconnect_s(now)


# rules ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Judgement:
    """Result of one reading: `bad` None is no report; lost after `confirm_s`; `contradiction` of a source, or ""."""

    bad: bool | None
    why: str = ""
    confirm_s: float = 0.0
    contradiction: str = ""


Rule = Callable[[GridReading, GridLimits], Judgement | None]


def judge(reading: GridReading, limits: GridLimits, meter: GridMeter | None = None) -> Judgement:
    """Return the judgement of the first rule that applies to what is measured; `meter`: what is known of the meter."""
    meter = meter or GridMeter(limits.nominal_v)
    voltage_v = meter.measured(reading.voltage_v, reading.frequency_hz, _through_w(reading))
    hertz = measured_frequency(reading.frequency_hz, limits.nominal_hz)
    doubted = []
    if reading.voltage_v is not None and voltage_v is None:
        doubted.append(f"voltage ({reading.voltage_v:.0f} V)")
    if reading.frequency_hz is not None and hertz is None:
        doubted.append(f"frequency ({reading.frequency_hz:.0f} Hz)")
    doubt = f"The grid's {' and '.join(doubted)} cannot be measured values and are not used." if doubted else ""
    measured = replace(reading, voltage_v=voltage_v, frequency_hz=hertz) if doubted else reading
    judged = (judgement for rule in RULES if (judgement := rule(measured, limits)) is not None)
    return _doubting(next(judged, None) or _healthy(measured), doubt)


def _healthy(measured: GridReading) -> Judgement:
    """Return the judgement of a reading that no rule objects to: by what it measures, else by what it reports."""
    values = [measured.voltage_v is not None and "voltage", measured.frequency_hz is not None and "frequency"]
    named = " and ".join(one for one in values if one)
    if not named:
        return Judgement(False, "the facility reports it")
    return Judgement(False, f"{named} {'are' if ' and ' in named else 'is'} right")


def _doubting(judgement: Judgement, doubt: str) -> Judgement:
    """Return a judgement with the values that are not used, where it contradicts no source itself."""
    return judgement if judgement.contradiction or not doubt else replace(judgement, contradiction=doubt)


def _pu(reading: GridReading, limits: GridLimits) -> float | None:
    return None if reading.voltage_v is None else reading.voltage_v / limits.nominal_v


def _through_w(reading: GridReading) -> float | None:
    """Return the power through the connection, None where the main switch is open."""
    return reading.power_w if reading.closed else None


def _power_flows(reading: GridReading) -> bool:
    return abs(_through_w(reading) or 0.0) > CERTAIN_FLOW_W


def _no_voltage(reading: GridReading, limits: GridLimits) -> Judgement | None:
    pu = _pu(reading, limits)
    if pu is None or pu >= DEAD_PU:
        return None
    contradiction = "The facility reports the grid as present, but the voltage is gone." if reading.present else ""
    return Judgement(True, f"the voltage is {reading.voltage_v:.0f} V", limits.confirm_s, contradiction)


def _voltage_off_limits(reading: GridReading, limits: GridLimits) -> Judgement | None:
    pu = _pu(reading, limits)
    if pu is None or limits.low_pu <= pu <= limits.high_pu:
        return None
    return Judgement(True, f"the voltage is {reading.voltage_v:.0f} V", limits.brown_out_s)


def _frequency_off_limits(reading: GridReading, limits: GridLimits) -> Judgement | None:
    if reading.frequency_hz is None:
        return None
    low_hz, high_hz = limits.band_hz
    if low_hz <= reading.frequency_hz - limits.nominal_hz <= high_hz:
        return None
    return Judgement(True, f"the frequency is {reading.frequency_hz:.2f} Hz", limits.brown_out_s)


def _reported_absent(reading: GridReading, limits: GridLimits) -> Judgement | None:
    if reading.present is not False:
        return None
    if _power_flows(reading) and reading.voltage_v is not None:
        contradiction = "The facility reports the grid as lost, but there is voltage and power flows."
        return Judgement(False, "there is voltage and power flows", 0.0, contradiction)
    return Judgement(True, "the facility reports it", limits.confirm_s)


def _independent(reading: GridReading, limits: GridLimits) -> Judgement | None:
    if not reading.independent:
        return None
    why = f"{reading.independent} operates independently of it"
    if _power_flows(reading) and reading.voltage_v is not None:
        contradiction = f"The grid is missing for {reading.independent}, but there is voltage and power flows."
        return Judgement(False, "there is voltage and power flows", 0.0, contradiction)
    contradiction = f"The facility reports the grid as present, but {why}." if reading.present else ""
    return Judgement(True, why, limits.confirm_s, contradiction)


def _interconnected(reading: GridReading, limits: GridLimits) -> Judgement | None:
    reported = reading.present is not None or reading.voltage_v is not None
    if not reading.interconnected or reported or reading.open:
        return None
    return Judgement(False, "a charger is connected to it")


def _no_report(reading: GridReading, limits: GridLimits) -> Judgement | None:
    if reading.present is not None or reading.voltage_v is not None or _power_flows(reading):
        return None
    if reading.open:  # nothing supplies the site
        return Judgement(True, "the main switch is open, and nothing reports the grid", limits.unreported_s)
    return Judgement(None)


RULES: tuple[Rule, ...] = (
    _no_voltage,
    _voltage_off_limits,
    _frequency_off_limits,
    _reported_absent,
    _independent,
    _interconnected,
    _no_report,
)
