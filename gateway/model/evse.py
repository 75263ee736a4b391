"""State of an EVSE, of its session and of the vehicle, as reported by stations and drivers; folded event by event.

`Evse.apply` needs no clock: every event carries its time. Set-points are not part of it. Between two reported states of
charge the metered energy changes it (`spend`): many stations report it only at the start, and floors must hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

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

LOSS_OUT = 1.1  # energy out of the battery per metered Wh
GAIN_IN = 0.85  # energy into the battery per metered Wh
ASSUMED_CAPACITY_WH = 20_000.0  # default for a battery of unknown capacity: a small one
OF_CONNECTOR = ("power_w", "voltage_v", "current_a", "frequency_hz")  # values of a meter reading
OF_VEHICLE = ("soc_pct", "target_energy_wh", "min_energy_wh", "min_v2x_energy_wh", "max_v2x_energy_wh")
BETWEEN_S = 300.0  # longest time over which a power reading is integrated


@dataclass(slots=True)
class Register:
    """Energy register that only grows, also when the meter is replaced and starts at 0."""

    total_wh: float | None = None
    last_wh: float | None = None

    def read(self, value_wh: float) -> float | None:
        """Apply a reading in Wh; return the growth, None where it is unknown."""
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
    """State of one EVSE. None is a value that was never reported."""

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
    target_energy_wh: float | None = None  # missing until departure
    min_energy_wh: float | None = None
    min_v2x_energy_wh: float | None = None
    max_v2x_energy_wh: float | None = None
    charged: Register = field(default_factory=Register)
    discharged: Register = field(default_factory=Register)
    metered_at: float | None = None
    metered_wall: float | None = None
    faults: dict[str, str] = field(default_factory=dict)
    assumed_capacity_wh: float = ASSUMED_CAPACITY_WH
    configured_capacity_wh: Mapping[str, float] = field(default_factory=dict)  # by vehicle

    def apply(self, event: Event) -> None:
        """Apply one event of this EVSE or of its station."""
        match event:
            case Metered():
                _apply_metered(self, event)
            case StationConnected() | StationLost() | EvseDescribed() | PlugChanged():
                _apply_station(self, event)
            case SessionStarted() | VehicleIdentified() | NeedsStated() | SessionEnded():
                _apply_session(self, event)
            case ModeChanged():
                self.mode = event.mode
            case FaultRaised():
                self.faults[event.code] = event.text
            case FaultCleared(code=""):
                self.faults.clear()
            case FaultCleared():
                self.faults.pop(event.code, None)

    @property
    def fault(self) -> str | None:
        """Return the faults in one sentence, None without any."""
        if not self.faults:
            return "the connector reports a fault" if self.plug is PlugState.FAULTED else None
        return "; ".join(f"{code}: {text}" if text else code for code, text in self.faults.items())

    @property
    def known_capacity_wh(self) -> float | None:
        """Return the vehicle's capacity as stated, else derived from the energy to full charge, else as configured.

        ISO 15118-20 has no capacity in its messages.
        """
        needs = self.needs
        if needs is not None and needs.battery_capacity_wh:
            return needs.battery_capacity_wh
        if needs is not None and needs.max_energy_wh is not None and needs.soc_pct is not None and needs.soc_pct <= 95:
            capacity_wh = needs.max_energy_wh / (1 - needs.soc_pct / 100)
            if 5_000 <= capacity_wh <= 250_000:
                return capacity_wh
        return self.configured_capacity_wh.get(self.vehicle) if self.vehicle is not None else None

    def spend(self, energy_wh: float) -> None:
        """Update the state of charge by energy that left the vehicle (+) or was charged (-), losses included.

        Energy charged into a battery of unknown capacity is not counted.
        """
        known_wh = self.known_capacity_wh
        if self.soc_pct is None or (energy_wh < 0 and known_wh is None):
            return
        moved_wh = energy_wh * (LOSS_OUT if energy_wh > 0 else GAIN_IN)
        capacity_wh = battery_capacity_wh(known_wh, self.assumed_capacity_wh)
        self.soc_pct = min(100.0, max(0.0, self.soc_pct - 100.0 * moved_wh / capacity_wh))

    def update_requests(self, left_wh: float, event: Metered) -> None:
        """Update the vehicle's energy requests by the energy that left it, where the event does not state them.

        A vehicle above its minimum stays so until it reports otherwise: this is only an estimate.
        """
        moved_wh = left_wh * (LOSS_OUT if left_wh > 0 else GAIN_IN)
        if self.target_energy_wh is not None and event.target_energy_wh is None:
            self.target_energy_wh += moved_wh
        if self.min_energy_wh is not None and self.min_energy_wh > 0 and event.min_energy_wh is None:
            self.min_energy_wh += moved_wh


def battery_capacity_wh(known_wh: float | None, assumed_wh: float) -> float:
    """Return the capacity to calculate with: the known one (stated before configured), else the assumed one."""
    return known_wh or assumed_wh


def _apply_station(evse: Evse, event: StationConnected | StationLost | EvseDescribed | PlugChanged) -> None:
    match event:
        case StationConnected():
            evse.connected = True
            evse.protocol = event.protocol
            evse.vendor, evse.model = event.vendor, event.model
        case StationLost():
            evse.connected = False
            evse.power_w = evse.current_a = evse.metered_at = None
        case EvseDescribed():
            evse.limits = event.limits
            evse.can_discharge, evse.why_not = event.can_discharge, event.why_not
        case PlugChanged():
            evse.plug = event.state


def _apply_session(evse: Evse, event: SessionStarted | VehicleIdentified | NeedsStated | SessionEnded) -> None:
    match event:
        case SessionStarted():
            if evse.session is not None and evse.session != event.session:  # the end before was not reported
                _clear_vehicle(evse)
            evse.session = event.session
            evse.vehicle = event.vehicle or evse.vehicle
        case VehicleIdentified():
            evse.vehicle = event.vehicle
        case NeedsStated():
            needs = evse.needs = event.needs
            evse.soc_pct = evse.soc_pct if needs.soc_pct is None else needs.soc_pct
            evse.target_energy_wh, evse.min_energy_wh = needs.target_energy_wh, needs.min_energy_wh
            evse.min_v2x_energy_wh, evse.max_v2x_energy_wh = needs.min_v2x_energy_wh, needs.max_v2x_energy_wh
        case SessionEnded():
            if evse.session in (None, event.session):
                evse.session = None
                _clear_vehicle(evse)


def _apply_metered(evse: Evse, event: Metered) -> None:
    into_wh = None if event.energy_charged_wh is None else evse.charged.read(event.energy_charged_wh)
    out_wh = None if event.energy_discharged_wh is None else evse.discharged.read(event.energy_discharged_wh)
    left_wh = _left_wh(evse, event, into_wh, out_wh)
    if event.soc_pct is None:
        evse.spend(left_wh)
    evse.update_requests(left_wh, event)
    of_vehicle = OF_VEHICLE if evse.session is not None or evse.needs is not None else ()  # else of the one before
    for name in (*OF_CONNECTOR, *of_vehicle):
        if (value := getattr(event, name)) is not None:
            setattr(evse, name, value)
    if event.power_w is not None:
        evse.metered_at, evse.metered_wall = event.at, event.wall


def _left_wh(evse: Evse, event: Metered, into_wh: float | None, out_wh: float | None) -> float:
    """Return the energy that left the vehicle since the last reading: by the registers, else by power and time."""
    if into_wh is not None or out_wh is not None:
        return (out_wh or 0.0) - (into_wh or 0.0)
    if evse.power_w is None or evse.metered_at is None:
        return 0.0
    passed_s = max(0.0, event.at - evse.metered_at)
    return -evse.power_w * min(passed_s, BETWEEN_S) / 3600


def _clear_vehicle(evse: Evse) -> None:
    evse.vehicle = evse.needs = evse.mode = None
    evse.soc_pct = evse.target_energy_wh = evse.min_energy_wh = evse.min_v2x_energy_wh = evse.max_v2x_energy_wh = None
    evse.power_w = evse.current_a = evse.metered_at = None
