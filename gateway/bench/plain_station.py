"""Stations without a protocol: they apply a set-point, meter it, and fall back to 0 W when it expires.

The smallest implementation of `gateway.model.station.Stations`, for benchmarks and tests without OCPP.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.model.event import (
    EvseDescribed,
    Metered,
    NeedsStated,
    PlugChanged,
    PlugState,
    PowerLimits,
    Report,
    SessionEnded,
    SessionStarted,
    StationConnected,
    StationLost,
    VehicleNeeds,
)
from gateway.model.station import Answer, Outcome, OutcomeCode
from protocols.ports import Clock


@dataclass(slots=True)
class PlainEvse:
    """State of one of these EVSEs."""

    power_w: float = 0.0
    until: float = 0.0
    session: str | None = None
    soc_pct: float | None = 80.0
    charged_wh: float = 0.0
    discharged_wh: float = 0.0
    advanced: float = 0.0
    answers: list[Outcome] = field(default_factory=list)  # next answers instead of `applied`
    orders: list[tuple[float, float, float]] = field(default_factory=list)  # (time, power_w, valid_for_s)
    calls: list[str] = field(default_factory=list)
    ignores_setpoints: bool = False  # accepts them without effect
    hides_setpoint: bool = False  # does not report its set-point
    metered_on_call: bool = False  # reports its meter only when `meter` is called


class PlainStations:
    """Implements `Stations`; `report` receives the events."""

    def __init__(self, clock: Clock, report: Report, capacity_wh: float = 63_000.0) -> None:
        self._clock = clock
        self._report = report
        self._capacity_wh = capacity_wh
        self.evses: dict[str, PlainEvse] = {}

    # events of the station and its vehicles --------------------------------------------------------------------------

    def connect(self, station: str, *evses: str, limits: PowerLimits | None = None, can_discharge: bool = True) -> None:
        """Connect a station with these EVSEs."""
        now = self._clock.now()
        self._report(StationConnected(station, now, "plain"))
        for evse in evses:
            held = self.evses.setdefault(evse, PlainEvse())
            held.advanced = now
            hardware = limits or PowerLimits(11_000.0, 10_000.0)
            why = "" if can_discharge else "The station has no inverter."
            self._report(EvseDescribed(evse, station, now, hardware, can_discharge, why))

    def disconnect(self, station: str, reason: str = "") -> None:
        """Break the link."""
        self._report(StationLost(station, self._clock.now(), reason))

    def plug(
        self,
        evse: str,
        session: str = "tx1",
        needs: VehicleNeeds | None = None,
        soc_pct: float | None = 80.0,
        vehicle: str = "CAR1",
    ) -> None:
        """Plug in a vehicle and begin a session."""
        now, held = self._clock.now(), self.evses[evse]
        held.session, held.soc_pct = session, soc_pct
        held.advanced = now
        self._report(PlugChanged(evse, now, PlugState.OCCUPIED))
        self._report(SessionStarted(evse, now, session, vehicle))
        stated = needs or VehicleNeeds(
            PowerLimits(11_000.0, 10_000.0),
            True,
            "DC_BPT",
            "dynamic",
            soc_pct=soc_pct,
            battery_capacity_wh=self._capacity_wh,
        )
        self._report(NeedsStated(evse, now, stated))

    def unplug(self, evse: str) -> None:
        """Unplug the vehicle."""
        now, held = self._clock.now(), self.evses[evse]
        session, held.session, held.power_w = held.session, None, 0.0
        self._report(SessionEnded(evse, now, session or "", "EVDisconnected"))
        self._report(PlugChanged(evse, now, PlugState.AVAILABLE))

    def meter(self, evse: str) -> None:
        """Report one meter reading."""
        now, held = self._clock.now(), self.evses[evse]
        self._advance(held, now)
        self._report(
            Metered(
                evse,
                now,
                self._clock.wall(),
                held.power_w,
                held.charged_wh,
                held.discharged_wh,
                held.soc_pct,
                400.0,
                held.power_w / 400.0,
                50.0,
            )
        )

    async def run(self, every_s: float = 1.0) -> None:
        """Report all meters periodically."""
        while True:
            for evse, held in self.evses.items():
                if held.session is not None and not held.metered_on_call:
                    self.meter(evse)
            await self._clock.sleep(every_s)

    # port `Stations` --------------------------------------------------------------------------------------------------

    def reaches(self, evse: str) -> bool:
        """Return True for one of these EVSEs."""
        return evse in self.evses

    async def set_power(self, evse: str, power_w: float, valid_for_s: float) -> Outcome:
        """Apply the set-point, or answer as `answers` holds."""
        held = self.evses.get(evse)
        if held is None:
            return Outcome(Answer.REFUSED, OutcomeCode.UNKNOWN_EVSE)
        now = self._clock.now()
        held.calls.append("set_power")
        held.orders.append((now, power_w, valid_for_s))
        outcome = held.answers.pop(0) if held.answers else Outcome(Answer.APPLIED)
        if outcome.answer is Answer.APPLIED and not held.ignores_setpoints:
            self._advance(held, now)
            held.power_w, held.until = power_w, now + valid_for_s
        return outcome

    async def reconcile(self, evse: str) -> float | None:
        """Return the set-point."""
        held = self.evses[evse]
        held.calls.append("reconcile")
        if held.hides_setpoint:
            await self._clock.sleep(3600.0)
            return None
        self._advance(held, self._clock.now())
        return held.power_w

    def _advance(self, held: PlainEvse, now: float) -> None:
        """Advance to the present time, validity of the set-point included."""
        ran_s = max(0.0, min(now, held.until) - held.advanced) if held.power_w else 0.0
        energy_wh = held.power_w * ran_s / 3600
        held.charged_wh += max(0.0, energy_wh)
        held.discharged_wh += max(0.0, -energy_wh)
        if held.soc_pct is not None:
            held.soc_pct += 100 * energy_wh / self._capacity_wh
        held.advanced = now
        if now >= held.until:
            held.power_w = 0.0
