"""DER controls of an emulated station: grid code functions of its inverters (OCPP 2.1 block R).

Pure: Unix times are arguments. `DerControls` selects the control in force of each type, `bound` applies it to a power.
Curves that stop the inverter are in `grid_protection.py`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from emulators.charger.station.smart_charging.operation_modes import interpolate
from emulators.charger.station.store import Saved
from protocols.ocpp.enums import v21
from protocols.ocpp.schema import Payload
from protocols.ocpp.times import parse

# Each control type has one body (errata 2.59); several curves share `curve`.
BODIES: dict[str, str] = dict.fromkeys(v21.DERControlEnumType, "curve") | {
    "EnterService": "enterService",
    "FixedPFAbsorb": "fixedPFAbsorb",
    "FixedPFInject": "fixedPFInject",
    "FixedVar": "fixedVar",
    "FreqDroop": "freqDroop",
    "Gradients": "gradient",
    "LimitMaxDischarge": "limitMaxDischarge",
}
CURVES = frozenset(kind for kind, body in BODIES.items() if body == "curve")
BODY_NAMES = frozenset(BODIES.values())
DEFAULT_ONLY = frozenset({"EnterService", "Gradients"})


@dataclass(slots=True)
class DerControl:
    """One DER control. Its fields are a stored format."""

    id: str
    type: str
    default: bool
    body: Payload
    start: float | None = None  # Unix time
    duration: float | None = None
    superseded: bool = False
    running: bool = False  # a scheduled one whose start was reported

    @property
    def priority(self) -> int:
        """Priority; the lowest number has precedence."""
        return int(self.body.get("priority", 0))

    @property
    def end(self) -> float | None:
        """End of a scheduled control, Unix time."""
        return None if self.start is None or self.duration is None else self.start + self.duration


@dataclass(frozen=True, slots=True)
class ControlTransition:
    """Start or end of a scheduled control (R04.FR.20-22)."""

    id: str
    started: bool
    superseded: tuple[str, ...] = ()


class DerControls:
    """Installed DER controls of one station."""

    def __init__(self, supported: frozenset[str]) -> None:
        self.supported = supported
        self._all: list[DerControl] = []

    def __len__(self) -> int:
        return len(self._all)

    def set(self, request: Payload, now: float) -> tuple[str, list[str]]:
        """Apply SetDERControl; return status and superseded ids (R04.FR.01-08)."""
        kind, default = request["controlType"], request["isDefault"]
        if kind not in self.supported:
            return v21.DERControlStatusEnumType.not_supported, []
        bodies = BODY_NAMES & request.keys()
        if bodies != {BODIES[kind]} or (default is False and kind in DEFAULT_ONLY):
            return v21.DERControlStatusEnumType.rejected, []
        body = request[BODIES[kind]]
        start = parse(body.get("startTime"))
        duration = body.get("duration")
        if default and (start is not None or duration is not None):
            return v21.DERControlStatusEnumType.rejected, []  # R04.FR.12, .13
        if not default and (start is None or duration is None):
            return v21.DERControlStatusEnumType.rejected, []
        new = DerControl(request["controlId"], kind, default, body, start, duration)
        rivals = [
            c for c in self._all if c.type == kind and c.default is default and not c.superseded and c.id != new.id
        ]
        self._all = [c for c in self._all if c.id != new.id]
        self._all.append(new)
        if any(rival.priority < new.priority for rival in rivals):
            new.superseded = True
            return v21.DERControlStatusEnumType.accepted, [new.id]  # R04.FR.08
        removed = [rival for rival in rivals if not self._runs(rival, now)]
        for rival in removed:
            rival.superseded = True
        return v21.DERControlStatusEnumType.accepted, [rival.id for rival in removed]

    @staticmethod
    def _runs(control: DerControl, now: float) -> bool:
        """Return True for a started control: it remains until the new one starts (R04.FR.07)."""
        return not control.default and control.start is not None and control.start <= now

    def tick(self, now: float) -> list[ControlTransition]:
        """Start and end scheduled controls; ended ones are deleted (R04.FR.10)."""
        transitions: list[ControlTransition] = []
        for control in list(self._all):
            if control.default or control.start is None:
                continue
            if not control.running and not control.superseded and control.start <= now:
                control.running = True
                replaced = [
                    c
                    for c in self._all
                    if c is not control and c.type == control.type and not c.default and c.running and not c.superseded
                ]
                for other in replaced:
                    other.superseded, other.running = True, False
                transitions.append(ControlTransition(control.id, True, tuple(c.id for c in replaced)))
            if control.end is not None and control.end <= now:
                self._all.remove(control)
                if control.running:
                    transitions.append(ControlTransition(control.id, False))
        return transitions

    def next_change_at(self, now: float) -> float | None:
        """Return when the next scheduled control starts or ends."""
        times = [t for c in self._all if not c.default for t in (c.start, c.end) if t is not None and t > now]
        return min(times, default=None)

    def in_force(self, kind: str) -> DerControl | None:
        """Return the control of a type that is executed (R04.FR.09, .11)."""
        mine = [c for c in self._all if c.type == kind and not c.superseded]
        running = [c for c in mine if not c.default and c.running]
        defaults = [c for c in mine if c.default]
        return min(running or defaults, key=lambda c: c.priority, default=None)

    def select(self, default: bool | None, kind: str | None, number: str | None) -> list[DerControl]:
        """Return the controls that match a Get or Clear request; None matches anything (R04.FR.30)."""
        return [
            c
            for c in self._all
            if (default is None or c.default is default)
            and (kind is None or c.type == kind)
            and (number is None or c.id == number)
        ]

    def saved(self) -> list[Saved]:
        """Return the stored form (R01.FR.03)."""
        return [asdict(control) for control in self._all]

    def restore(self, saved: list[Saved]) -> None:
        """Restore the stored form; the next `tick` deletes what has ended since."""
        self._all = [DerControl(**entry) for entry in saved]

    def remove(self, removed: list[DerControl]) -> None:
        """Delete controls."""
        self._all = [c for c in self._all if c not in removed]


@dataclass(frozen=True, slots=True)
class Grid:
    """Grid voltage and frequency at the connection point."""

    voltage_v: float = 230.0
    nominal_v: float = 230.0
    frequency_hz: float = 50.0
    nominal_hz: float = 50.0


def bound(
    controls: DerControls, grid: Grid, power_w: float, max_charge_w: float, max_discharge_w: float
) -> tuple[float, str | None, str | None]:
    """Return `power_w` within the controls, and the type and grid fault that limited it, if any.

    Of several controls that limit the discharge the strictest applies.
    """
    if not controls:
        return power_w, None, None
    caps: list[tuple[float, str | None, str | None]] = []
    limit = controls.in_force("LimitMaxDischarge")
    if limit is not None and power_w < 0:
        share = limit.body.get("pctMaxDischargePower")
        floor = -max_discharge_w * (100.0 if share is None else share) / 100.0
        if power_w < floor:
            caps.append((floor, "LimitMaxDischarge", None))
    found = _curve(controls, "VoltWatt", grid.voltage_v / grid.nominal_v * 100.0, power_w, max_discharge_w)
    if found is not None:
        caps.append((found, "VoltWatt", "OverVoltage" if grid.voltage_v > grid.nominal_v else "UnderVoltage"))
    found = _curve(controls, "FreqWatt", grid.frequency_hz, power_w, max_discharge_w)
    if found is not None:
        fault = "OverFrequency" if grid.frequency_hz > grid.nominal_hz else "UnderFrequency"
        caps.append((found, "FreqWatt", fault))
    if caps:
        return max(caps, key=lambda cap: cap[0])
    droop = controls.in_force("FreqDroop")
    if droop is not None:
        return _droop(droop.body, grid, power_w, max_charge_w, max_discharge_w)
    return power_w, None, None


def _curve(controls: DerControls, kind: str, x: float, power_w: float, rated_w: float) -> float | None:
    """Return the limit of feed-in by a curve of rated power (%) over voltage (%) or frequency (Hz)."""
    control = controls.in_force(kind)
    if control is None or power_w >= 0:
        return None
    points = [(float(point["x"]), float(point["y"])) for point in control.body["curveData"]]
    ceiling = -rated_w * max(0.0, interpolate(points, x)) / 100.0
    return ceiling if power_w < ceiling else None


def _droop(
    body: Payload, grid: Grid, power_w: float, max_charge_w: float, max_discharge_w: float
) -> tuple[float, str | None, str | None]:
    """Apply frequency droop: less feed-in at over-frequency, more at under-frequency.

    A droop is per unit (IEEE 1547-2018, 6.5.2.7): the deviation beyond the start, as a fraction of the nominal
    frequency, that changes the power by the whole rating.
    """
    over, under = grid.frequency_hz - body["overFreq"], body["underFreq"] - grid.frequency_hz
    delta, fault = 0.0, None
    if over > 0 and body["overDroop"] > 0:
        delta, fault = over / (grid.nominal_hz * body["overDroop"]) * max_charge_w, "OverFrequency"
    elif under > 0 and body["underDroop"] > 0:
        delta, fault = -under / (grid.nominal_hz * body["underDroop"]) * max_discharge_w, "UnderFrequency"
    if fault is None:
        return power_w, None, None
    return min(max(power_w + delta, -max_discharge_w), max_charge_w), "FreqDroop", fault
