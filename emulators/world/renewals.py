"""Renewals of set-points that are left out: a power that nothing changes is not sent again, as if it had been.

A gateway repeats the power of an active vehicle every few seconds, because the station falls back to 0 W without. After
such an order here the station's watchdog is prolonged as the next repetitions would do, and the gateway is told when it
has to send the next one. Whatever could keep a repetition from its station, or its effect from it, ends that at once
(another order, a link that closes, a fault, a profile that changes, needs of the vehicle): then both sides are as after
the last repetition that was due, and the next one is sent.

Only an OCPP 2.1 station is prolonged, whose link is undisturbed and whose profile is dynamic. Messages and the steps of
the gateway for them are missing in the transcript; nothing else is (`tests/emulators/world/test_renewals.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

from emulators.charger.station.ocpp_enums import ProfilePurpose
from emulators.charger.station.smart_charging.schedule import InstalledProfile
from emulators.charger.station.station import Station
from emulators.faults.injection_points import InjectionPoints
from gateway.control.control_state import EvseControlState
from gateway.control.setpoint import REFRESH_SHARE
from gateway.control.setpoint_controller import METER_QUIET_S
from gateway.csms.csms import Csms
from gateway.csms.evse import Evse
from gateway.model.station import Answer, Outcome, station_of
from gateway.running import Gateway
from protocols.ocpp.enums import v21
from protocols.ocpp.schema import Version
from protocols.ports import Clock

AHEAD_S = 300.0  # longest time without a renewal
TOLERANCE_S = 1e-6
NEEDS = f'"{v21.Action.notify_ev_charging_needs.value}"'


@dataclass(slots=True)
class _LeftOut:
    """Renewals of one EVSE that are not sent."""

    began: float  # when the power was sent, monotonic
    every_s: float
    times: int
    station: Station
    held: InstalledProfile
    state: EvseControlState
    place: Evse

    def prolong(self, times: int) -> None:
        """Apply `times` renewals to what the station and the gateway hold, or take some back."""
        self.station.profiles.prolong(self.held, times * self.every_s)
        if self.place.setpoint is not None:
            power_w, until = self.place.setpoint
            self.place.setpoint = power_w, until + times * self.every_s


class Renewals:
    """Charging stations of a gateway as `gateway.model.station.Stations`, with renewals left out."""

    def __init__(self, csms: Csms, stations: Mapping[str, Station], points: InjectionPoints, clock: Clock) -> None:
        self._csms, self._stations, self._points, self._clock = csms, stations, points, clock
        self._left_out: dict[str, _LeftOut] = {}
        self._needs_at: dict[str, float] = {}  # by station: when needs of a vehicle were stated last
        self.gateway: Gateway | None = None  # once it is ready

    # `Stations` and `GridFormingStations`

    def reaches(self, evse: str) -> bool:
        return self._csms.reaches(evse)

    async def reconcile(self, evse: str) -> float | None:
        self.end(evse)
        return await self._csms.reconcile(evse)

    async def form(self, evse: str, forms: bool) -> Outcome:
        return await self._csms.form(evse, forms)

    async def set_power(self, evse: str, power_w: float, valid_for_s: float) -> Outcome:
        self.end(evse)
        began = self._clock.now()
        outcome = await self._csms.set_power(evse, power_w, valid_for_s)
        if outcome.answer is Answer.APPLIED and power_w and self._clock.now() == began:
            left_out = self._plan(evse, valid_for_s, began)
            if left_out is not None:
                self._begin(evse, left_out)
                return replace(outcome, renewed_until=began + (left_out.times + 1) * left_out.every_s)
        return outcome

    # what is left out

    def end(self, evse: str) -> None:
        """Set both sides to the last renewal that was due before now; one that is due now is sent."""
        left_out = self._left_out.pop(evse, None)
        if left_out is None:
            return
        passed = min(left_out.times, int((self._clock.now() - left_out.began - TOLERANCE_S) / left_out.every_s))
        left_out.prolong(passed - left_out.times)
        setpoint = left_out.state.setpoint
        if setpoint.sent_at == left_out.began:  # it is that order still
            setpoint.renewed(left_out.began + passed * left_out.every_s)
            left_out.state.wake.set()

    def end_all(self) -> None:
        """The same for all EVSEs: the state of the world was changed from outside."""
        for evse in list(self._left_out):
            self.end(evse)

    def written(self, station: str, text: str) -> None:
        """End it before the gateway sends a vehicle that negotiates anew the power for the rest of its validity."""
        if NEEDS in text:
            self._needs_at[station] = self._clock.now()
            self._end_station(station)

    def _end_station(self, station: str) -> None:
        for evse in [one for one in self._left_out if station_of(one) == station]:
            self.end(evse)

    def _begin(self, evse: str, left_out: _LeftOut) -> None:
        left_out.prolong(left_out.times)
        self._left_out[evse] = left_out
        name = station_of(evse)
        left_out.station.profiles.on_change = self._points.text_links[name].on_close = partial(self._end_station, name)

    def _plan(self, evse: str, valid_for_s: float, began: float) -> _LeftOut | None:
        """Return what is left out after an order that has been accepted."""
        name = station_of(evse)
        station, link, found = self._stations.get(name), self._points.text_links.get(name), self._csms.find(evse)
        state = self.gateway.control.registry.get(evse) if self.gateway is not None else None
        if station is None or link is None or found is None or state is None or self._points.clocks[name].drift_ppm:
            return None  # or the watchdog counts other seconds
        if station.config.version is not Version.V21 or station.config.vendor_profile or state.ramp is not None:
            return None
        metered_s = station.smart_charging.sample_interval_s
        if self._needs_at.get(name) == began:
            return None
        if link.tamper is not None or link.silent or link.latency_s or not 0 < metered_s < METER_QUIET_S:
            return None  # while the meter is silent, the gateway counts the energy at each renewal
        setpoint, lease_until = state.setpoint, state.command.lease_until if state.command is not None else None
        full_s = float(int(setpoint.valid_for_s))
        held = _profile_of(station, found[1].number)
        if valid_for_s != full_s or held is None or held.updated_at != station.wall():
            return None
        every_s = REFRESH_SHARE * setpoint.valid_for_s
        if station.config.tick_s >= full_s - every_s:
            return None  # the end of the watchdog wakes it
        ahead_s = AHEAD_S if lease_until is None else min(AHEAD_S, lease_until - began - full_s)
        times = int(ahead_s / every_s) - 1
        return _LeftOut(began, every_s, times, station, held, state, found[1]) if times > 0 else None


def _profile_of(station: Station, evse: int) -> InstalledProfile | None:
    """Return the dynamic profile of the transaction at an EVSE."""
    purpose = ProfilePurpose.tx_profile
    found = [one for one in station.profiles if one.dynamic and one.evse == evse and one.purpose == purpose]
    return found[0] if len(found) == 1 else None
