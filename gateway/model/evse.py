"""State of an EVSE, of its session and of the vehicle, as reported by stations and drivers; folded event by event.

`Evse.apply` needs no clock: every event carries its time. Set-points are not part of it. Between two reported states of
charge the metered energy changes it (`spend`): many stations report it only at the start, and floors must hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import attrgetter

from gateway.model import battery
from gateway.model.event import (
    Event,
    EvseDescribed,
    FailSafe,
    FaultCleared,
    FaultRaised,
    InterconnectionReported,
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
    VehicleDescribed,
    VehicleIdentified,
    VehicleNeeds,
)
from gateway.model.register import RESOLUTION_WH, Register
from gateway.model.soc import FROZEN_PCT, FROZEN_WH, SLOWER, SLOWER_ASSUMED, SocReports

MOST_GAIN_IN = 1.25  # the most that a metered Wh raises the level: of a battery with less capacity than known
OF_VEHICLE = ("target_energy_wh", "min_energy_wh", "min_v2x_energy_wh", "max_v2x_energy_wh")
requests_of = attrgetter(*OF_VEHICLE)  # energy requests in a meter reading
NO_REQUESTS = (None,) * len(OF_VEHICLE)
UNSTATED_W = 22_080.0  # power of an EVSE without a reported limit: three phases, 32 A
MARGIN = 1.25  # of a measured power over the rated one
MOST_W = 1e6  # of a station that states no limit; a measured power up to this counts
BETWEEN_S = 300.0  # longest time over which a power reading is integrated


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
    fail_safe: FailSafe | None = None
    independent: bool | None = None  # operates independently of the grid
    plug: PlugState = PlugState.UNAVAILABLE
    session: str | None = None
    vehicle: str | None = None
    vehicle_link: str | None = None  # chademo | iso15118-20 | iso15118-2 | din70121
    described_capacity_wh: float | None = None  # outside of its needs
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
    soc_reports: SocReports = field(default_factory=SocReports)
    counted_at: float | None = None  # up to when energy has been counted from powers
    gain_wh: float = RESOLUTION_WH  # what may still be charged, beyond the rated power and the time since `gain_at`
    gain_at: float | None = None
    metered_at: float | None = None
    metered_wall: float | None = None
    faults: dict[str, str] = field(default_factory=dict)
    assumed_capacity_wh: float = battery.ASSUMED_CAPACITY_WH
    configured_capacity_wh: Mapping[str, float] = field(default_factory=dict)  # by vehicle

    def apply(self, event: Event) -> None:
        """Apply one event of this EVSE or of its station."""
        match event:
            case Metered():
                _apply_metered(self, event)
            case StationConnected() | StationLost() | EvseDescribed() | PlugChanged():
                _apply_station(self, event)
            case VehicleDescribed():
                self.vehicle_link, self.described_capacity_wh = event.link, event.capacity_wh
            case SessionStarted() | VehicleIdentified() | NeedsStated() | SessionEnded():
                _apply_session(self, event)
            case ModeChanged():
                self.mode = event.mode
            case InterconnectionReported():
                self.independent = event.independent
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
        if self.described_capacity_wh is not None:
            return self.described_capacity_wh
        if needs is not None and needs.max_energy_wh is not None and needs.soc_pct is not None and needs.soc_pct <= 95:
            capacity_wh = needs.max_energy_wh / (1 - needs.soc_pct / 100)
            if 5_000 <= capacity_wh <= 250_000:
                return capacity_wh
        return self.configured_capacity_wh.get(self.vehicle) if self.vehicle is not None else None

    @property
    def requested_soc_pct(self) -> float | None:
        """Return the state of charge that the vehicle requests, as stated, else from the energy still missing."""
        needs, missing_wh, capacity_wh = self.needs, self.target_energy_wh, self.known_capacity_wh
        if needs is None or needs.target_soc_pct is not None or not needs.target_energy_wh:
            return None if needs is None else needs.target_soc_pct
        if self.soc_pct is None or missing_wh is None or not capacity_wh:
            return None
        return min(100.0, self.soc_pct + 100.0 * missing_wh / capacity_wh)

    def spend(self, energy_wh: float, *, corrects: bool = False) -> None:
        """Update the state of charge by energy that left the vehicle (+) or was charged (-), losses included.

        Energy charged into a battery of unknown capacity bounds what the vehicle reports, and is not counted otherwise.
        `corrects`: energy below 0 was counted too much before.
        """
        if self.soc_pct is None:
            return
        known_wh = self.known_capacity_wh
        pct = -100.0 / (known_wh or self.assumed_capacity_wh)
        moved_pct = pct * battery.counted_wh(energy_wh) if energy_wh > 0 or known_wh is not None else 0.0
        most = battery.LOSS_OUT if energy_wh > 0 or corrects else MOST_GAIN_IN
        self.soc_reports.count(moved_pct, pct * energy_wh * most)
        new_pct = self.soc_pct + moved_pct
        self.soc_pct = new_pct if 0.0 < new_pct < 100.0 else min(100.0, max(0.0, new_pct))

    def read_soc(self, soc_pct: float, at: float) -> None:
        """Apply a state of charge that the vehicle reports."""
        capacity_wh = self.known_capacity_wh
        battery_wh = capacity_wh or self.assumed_capacity_wh
        frozen_pct = FROZEN_PCT if capacity_wh else 100.0 * FROZEN_WH / battery_wh
        unmetered = self.metered_at is None or at - self.metered_at > BETWEEN_S
        unmetered_pct_per_s = 100.0 * self.most_w(1) / 3600 / battery_wh if unmetered else 0.0
        if self.soc_pct is None:
            self.soc_reports = SocReports()
        slower = SLOWER if capacity_wh else SLOWER_ASSUMED
        read = self.soc_reports.read(soc_pct, at, frozen_pct, slower, unmetered_pct_per_s)
        self.soc_pct = self.soc_pct if read is None else min(100.0, max(0.0, read))

    def most_w(self, direction: int, power_w: float | None = None) -> float:
        """Return the most power that can flow into the vehicle (1) or out of it (-1), a magnitude.

        A measured power in that direction indicates more, up to a bound.
        """
        limits = self.limits
        rated_w = 0.0 if limits is None else limits.max_charge_w if direction > 0 else limits.max_discharge_w
        new_w, known_w = direction * (power_w or 0.0), direction * (self.power_w or 0.0)
        measured_w = new_w if new_w > known_w else known_w
        least_w, most_w = (rated_w, rated_w * 2) if rated_w > 0 else (UNSTATED_W, MOST_W)
        if measured_w <= least_w:
            return least_w * MARGIN
        return max(least_w * MARGIN, min(measured_w * MARGIN, most_w))

    def update_requests(self, left_wh: float, event: Metered) -> None:
        """Update the vehicle's energy requests by the energy that left it, where the event does not state them.

        A vehicle above its minimum stays so until it reports otherwise: this is only an estimate.
        """
        if self.target_energy_wh is None and self.min_energy_wh is None:
            return
        moved_wh = battery.counted_wh(left_wh)
        if self.target_energy_wh is not None and event.target_energy_wh is None:
            self.target_energy_wh += moved_wh
        if self.min_energy_wh is not None and self.min_energy_wh > 0 and event.min_energy_wh is None:
            self.min_energy_wh += moved_wh


def _apply_station(evse: Evse, event: StationConnected | StationLost | EvseDescribed | PlugChanged) -> None:
    match event:
        case StationConnected():
            evse.connected = True
            evse.protocol = event.protocol
            evse.vendor, evse.model = event.vendor, event.model
        case StationLost():
            evse.connected, evse.independent = False, None
            evse.power_w = evse.current_a = evse.metered_at = evse.counted_at = None
        case EvseDescribed():
            evse.limits = event.limits
            evse.can_discharge, evse.why_not = event.can_discharge, event.why_not
            evse.fail_safe = event.fail_safe or evse.fail_safe
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
            if needs.soc_pct is not None:
                evse.read_soc(needs.soc_pct, event.at)
            evse.target_energy_wh, evse.min_energy_wh = needs.target_energy_wh, needs.min_energy_wh
            evse.min_v2x_energy_wh, evse.max_v2x_energy_wh = needs.min_v2x_energy_wh, needs.max_v2x_energy_wh
        case SessionEnded():
            if evse.session in (None, event.session):
                evse.session = None
                _clear_vehicle(evse)


def _apply_metered(evse: Evse, event: Metered) -> None:
    out_wh, in_wh = _moved_wh(evse, event)
    if out_wh:
        evse.spend(out_wh, corrects=True)
        evse.update_requests(out_wh, event)
    if in_wh:
        evse.spend(-in_wh)
        evse.update_requests(-in_wh, event)
    if event.power_w is not None:
        evse.power_w = event.power_w
    if event.voltage_v is not None:
        evse.voltage_v = event.voltage_v
    if event.current_a is not None:
        evse.current_a = event.current_a
    if event.frequency_hz is not None:
        evse.frequency_hz = event.frequency_hz
    known = evse.session is not None or evse.needs is not None  # otherwise its values are of the vehicle before
    if known and (requests := requests_of(event)) != NO_REQUESTS:
        for name, value in zip(OF_VEHICLE, requests, strict=True):
            if value is not None:
                setattr(evse, name, value)
    if known and event.soc_pct is not None:
        evse.read_soc(event.soc_pct, event.at)
    if event.power_w is not None:
        evse.metered_at, evse.metered_wall = event.at, event.wall


def _moved_wh(evse: Evse, event: Metered) -> tuple[float, float]:
    """Return the energy that left the vehicle, and what it was charged with, since the last reading: by power and time,
    corrected by the registers whenever they grow, which also count what was not measured."""
    most_in_w, most_out_w = evse.most_w(1, event.power_w), evse.most_w(-1, event.power_w)
    flowed_wh = 0.0 if event.late else _flowed_wh(evse, event.at, most_in_w, most_out_w)
    out_wh, in_wh = (flowed_wh, 0.0) if flowed_wh > 0.0 else (0.0, 0.0 - flowed_wh)
    if event.energy_charged_wh is not None:  # what is charged counts when the register has it
        in_wh = evse.charged.read(event.energy_charged_wh, event.at, most_in_w, late=event.late)
    else:
        evse.charged.flowed(in_wh)
    evse.discharged.flowed(out_wh)
    if event.energy_discharged_wh is not None:
        out_wh += evse.discharged.read(event.energy_discharged_wh, event.at, most_out_w, late=event.late)
    return out_wh, _within_rating(evse, event.at, in_wh, most_in_w)


def _flowed_wh(evse: Evse, at: float, most_in_w: float, most_out_w: float) -> float:
    """Return the energy that left by the last power and the time since energy was last counted."""
    since, evse.counted_at = evse.counted_at, at
    if evse.power_w is None or since is None:
        return 0.0
    power_w = min(most_in_w, max(-most_out_w, evse.power_w))
    return -power_w * min(max(0.0, at - since), BETWEEN_S) / 3600


def _within_rating(evse: Evse, at: float, in_wh: float, most_in_w: float) -> float:
    """Return what was charged bounded by rated power and time: more would open a floor."""
    if evse.gain_at is not None:
        evse.gain_wh += most_in_w * max(0.0, at - evse.gain_at) / 3600
    evse.gain_at = at
    in_wh = min(in_wh, evse.gain_wh)
    evse.gain_wh = min(RESOLUTION_WH, evse.gain_wh - max(0.0, in_wh))
    return in_wh


def _clear_vehicle(evse: Evse) -> None:
    evse.vehicle = evse.needs = evse.mode = evse.vehicle_link = evse.described_capacity_wh = None
    evse.soc_pct = evse.target_energy_wh = evse.min_energy_wh = evse.min_v2x_energy_wh = evse.max_v2x_energy_wh = None
    evse.power_w = evse.current_a = evse.metered_at = evse.counted_at = None
