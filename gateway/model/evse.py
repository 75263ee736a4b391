"""An EVSE, the session at it and the vehicle in it: what the edge has told us, folded event by event.

`Evse.apply` changes it, and needs no clock: every event carries its time. What is wanted of the EVSE is not here.
Between two states of charge that a car tells, the energy that leaves it counts it down (`spend`): many stations tell it
once, at the start, and a floor must hold all the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from gateway.model.event import (
    Event,
    EvseDescribed,
    FaultCleared,
    FaultRaised,
    Metered,
    ModeChanged,
    NeedsStated,
    OperationMode,
    PlugChanged,
    PlugState,
    PowerLimits,
    SessionEnded,
    SessionStarted,
    StationConnected,
    StationLost,
    VehicleIdentified,
    VehicleNeeds,
)

LOSS_OUT = 1.1  # the battery gives this much for each Wh that the meter shows
GAIN_IN = 0.85  # and takes this much of one
ASSUMED_CAPACITY_WH = 20_000.0  # default for a battery of unknown capacity: a small one
BETWEEN_S = 300.0  # a power says nothing about energy over a longer time


@dataclass(slots=True)
class Register:
    """An energy register that only grows, whatever the meter behind it does (a new meter starts again at 0)."""

    total_wh: float | None = None
    last_wh: float | None = None

    def read(self, value_wh: float) -> float | None:
        """Take the meter's reading in Wh; what it grew by, None where that cannot be told."""
        grown: float | None = None
        if self.last_wh is None or self.total_wh is None:
            self.total_wh = value_wh if self.total_wh is None else self.total_wh
        elif value_wh >= self.last_wh:
            grown = value_wh - self.last_wh
            self.total_wh += grown
        self.last_wh = value_wh
        return grown


@dataclass(slots=True)
class Evse:
    """What we know of one EVSE. None is what nobody has said."""

    name: str
    station: str
    connected: bool = False
    protocol: str = ""
    vendor: str = ""
    model: str = ""
    limits: PowerLimits | None = None
    can_discharge: bool = False
    why_not: str = ""
    plug: PlugState = PlugState.UNAVAILABLE
    session: str | None = None
    vehicle: str | None = None
    needs: VehicleNeeds | None = None
    mode: OperationMode | None = None
    power_w: float | None = None
    soc_pct: float | None = None
    voltage_v: float | None = None
    current_a: float | None = None
    frequency_hz: float | None = None
    target_energy_wh: float | None = None  # what is missing until the car leaves
    min_energy_wh: float | None = None
    min_v2x_energy_wh: float | None = None
    max_v2x_energy_wh: float | None = None
    charged: Register = field(default_factory=Register)
    discharged: Register = field(default_factory=Register)
    metered_at: float | None = None
    metered_wall: float | None = None
    faults: dict[str, str] = field(default_factory=dict)
    assumed_capacity_wh: float = ASSUMED_CAPACITY_WH

    def apply(self, event: Event) -> None:
        """Take in one event of this EVSE or of its station."""
        _APPLY[type(event)](self, event)

    @property
    def fault(self) -> str | None:
        """The faults in one sentence, None without any."""
        if not self.faults:
            return "the connector reports a fault" if self.plug is PlugState.FAULTED else None
        return "; ".join(f"{code}: {text}" if text else code for code, text in self.faults.items())

    @property
    def known_capacity_wh(self) -> float | None:
        """Return the vehicle's capacity as stated, else derived from the energy to full charge.

        ISO 15118-20 has no capacity in its messages. For an unknown one see `gateway.authority.capacity`.
        """
        needs = self.needs
        if needs is None or needs.battery_capacity_wh:
            return needs.battery_capacity_wh if needs is not None else None
        if needs.max_energy_wh is None or needs.soc_pct is None or needs.soc_pct > 95:
            return None
        capacity_wh = needs.max_energy_wh / (1 - needs.soc_pct / 100)
        return capacity_wh if 5_000 <= capacity_wh <= 250_000 else None

    def spend(self, energy_wh: float) -> None:
        """Energy left the car (+) or came in (-) since it last told its state of charge; losses are counted against it.

        What came into a battery of unknown size says nothing.
        """
        capacity_wh = self.known_capacity_wh
        if self.soc_pct is None or (energy_wh < 0 and capacity_wh is None):
            return
        moved_wh = energy_wh * (LOSS_OUT if energy_wh > 0 else GAIN_IN)
        self.soc_pct = min(100.0, max(0.0, self.soc_pct - 100.0 * moved_wh / (capacity_wh or self.assumed_capacity_wh)))

    def want(self, left_wh: float, event: Metered) -> None:
        """What the car asked for grows by what left it and shrinks by what came in, while it does not tell anew.

        A car above its minimum stays so until it says otherwise: it knows its minimum, and this is an estimate.
        """
        moved_wh = left_wh * (LOSS_OUT if left_wh > 0 else GAIN_IN)
        if self.target_energy_wh is not None and event.target_energy_wh is None:
            self.target_energy_wh += moved_wh
        if self.min_energy_wh is not None and self.min_energy_wh > 0 and event.min_energy_wh is None:
            self.min_energy_wh += moved_wh


def _connected(evse: Evse, event: StationConnected) -> None:
    evse.connected = True
    evse.protocol = event.protocol
    evse.vendor, evse.model = event.vendor, event.model


def _lost(evse: Evse, event: StationLost) -> None:
    evse.connected = False
    evse.power_w = evse.current_a = evse.metered_at = None


def _described(evse: Evse, event: EvseDescribed) -> None:
    evse.limits = event.limits
    evse.can_discharge, evse.why_not = event.can_discharge, event.why_not


def _plug(evse: Evse, event: PlugChanged) -> None:
    evse.plug = event.state


def _started(evse: Evse, event: SessionStarted) -> None:
    if evse.session is not None and evse.session != event.session:  # the end of the one before was never told
        _forget_vehicle(evse)
    evse.session = event.session
    evse.vehicle = event.vehicle or evse.vehicle


def _identified(evse: Evse, event: VehicleIdentified) -> None:
    evse.vehicle = event.vehicle


def _needs(evse: Evse, event: NeedsStated) -> None:
    needs = evse.needs = event.needs
    evse.soc_pct = needs.soc_pct if needs.soc_pct is not None else evse.soc_pct
    evse.target_energy_wh, evse.min_energy_wh = needs.target_energy_wh, needs.min_energy_wh
    evse.min_v2x_energy_wh, evse.max_v2x_energy_wh = needs.min_v2x_energy_wh, needs.max_v2x_energy_wh


def _ended(evse: Evse, event: SessionEnded) -> None:
    if evse.session in (None, event.session):
        evse.session = None
        _forget_vehicle(evse)


_OF_THE_METER = ("power_w", "voltage_v", "current_a", "frequency_hz")
# told without a session these are of the car before
_OF_THE_CAR = ("soc_pct", "target_energy_wh", "min_energy_wh", "min_v2x_energy_wh", "max_v2x_energy_wh")


def _metered(evse: Evse, event: Metered) -> None:
    into_wh = None if event.energy_charged_wh is None else evse.charged.read(event.energy_charged_wh)
    out_wh = None if event.energy_discharged_wh is None else evse.discharged.read(event.energy_discharged_wh)
    left_wh = _left_wh(evse, event, into_wh, out_wh)
    if event.soc_pct is None:
        evse.spend(left_wh)
    evse.want(left_wh, event)
    for name in _OF_THE_METER if evse.session is None and evse.needs is None else (*_OF_THE_METER, *_OF_THE_CAR):
        value = getattr(event, name)
        if value is not None:
            setattr(evse, name, value)
    if event.power_w is not None:
        evse.metered_at, evse.metered_wall = event.at, event.wall


def _left_wh(evse: Evse, event: Metered, into_wh: float | None, out_wh: float | None) -> float:
    """What left the car since the reading before: by the registers, else by the power over that time."""
    if into_wh is not None or out_wh is not None:
        return (out_wh or 0.0) - (into_wh or 0.0)
    if evse.power_w is None or evse.metered_at is None:
        return 0.0
    passed_s = max(0.0, event.at - evse.metered_at)
    return -evse.power_w * min(passed_s, BETWEEN_S) / 3600


def _mode(evse: Evse, event: ModeChanged) -> None:
    evse.mode = event.mode


def _fault(evse: Evse, event: FaultRaised) -> None:
    evse.faults[event.code] = event.text


def _cleared(evse: Evse, event: FaultCleared) -> None:
    if event.code:
        evse.faults.pop(event.code, None)
    else:
        evse.faults.clear()


def _forget_vehicle(evse: Evse) -> None:
    evse.vehicle = evse.needs = evse.mode = None
    evse.soc_pct = evse.target_energy_wh = evse.min_energy_wh = evse.min_v2x_energy_wh = evse.max_v2x_energy_wh = None
    evse.power_w = evse.current_a = evse.metered_at = None


_APPLY: dict[type, Callable[[Evse, Any], None]] = {
    StationConnected: _connected,
    StationLost: _lost,
    EvseDescribed: _described,
    PlugChanged: _plug,
    SessionStarted: _started,
    VehicleIdentified: _identified,
    NeedsStated: _needs,
    SessionEnded: _ended,
    Metered: _metered,
    ModeChanged: _mode,
    FaultRaised: _fault,
    FaultCleared: _cleared,
}
