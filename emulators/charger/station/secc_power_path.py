"""An EVSE whose cars come over ISO 15118: an `EvseSecc` as the station's outlet.

Translates only: the SECC's events become what happens at a plug, the station's power becomes the SECC's set-point.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import isfinite
from typing import Any

from emulators.charger.hardware.power_stage import PowerStage
from emulators.charger.secc.secc import (
    ChargingStarted,
    EvseSecc,
    Measured,
    NeedsStated,
    SeccEvent,
    SessionEnded,
    VehicleIdentified,
)
from emulators.charger.station.power_path import Needs, Reading
from emulators.charger.station.station import Station
from protocols.ports import Clock

# Services of ISO 15118-20 as OCPP 2.1 names energy transfers (facts: ISO 15118-20 -> OCPP).
TRANSFERS = {"AC": "AC_three_phase", "DC": "DC", "AC_BPT": "AC_BPT", "DC_BPT": "DC_BPT"}
SAME_W = 0.5  # W: a set-point that differs by less is the same


class SeccPowerPath:
    """One EVSE with an SECC. `bind` tells it which station and EVSE it belongs to."""

    def __init__(
        self, stage: PowerStage, clock: Clock, observe: Callable[[SeccEvent], None] | None = None, **secc: Any
    ) -> None:
        self.stage, self._clock, self._observe = stage, clock, observe
        self.secc = EvseSecc(stage, clock, self._seen, **secc)
        self._station: Station | None = None
        self._number = 0
        self._vehicle: str | None = None
        self._needs: Needs | None = None
        self._measured: Measured | None = None
        self._asked_w: float | None = None

    def bind(self, station: Station, number: int) -> None:
        """Whose EVSE this is."""
        self._station, self._number = station, number

    # the station's `Outlet`

    @property
    def max_charge_w(self) -> float:
        return self.stage.spec.max_charge_w

    @property
    def max_discharge_w(self) -> float:
        return self.stage.spec.max_discharge_w

    def set_power(self, power_w: float, now: float) -> None:
        """Said only when it changes: in scheduled control every word is a renegotiation."""
        if self._asked_w is None or abs(power_w - self._asked_w) > SAME_W:
            self._asked_w = power_w
            self.secc.set_power(power_w)

    def reading(self, now: float) -> Reading:
        meter, seen = self.stage.meter, self._measured
        needs = None if seen is None else seen.needs
        return Reading(
            power_w=0.0 if seen is None else meter.shows_w(seen.power_w),
            charged_wh=meter.charged_wh,
            discharged_wh=meter.discharged_wh,
            voltage_v=None if seen is None else seen.voltage_v,
            current_a=None if seen is None else seen.current_a,
            soc_pct=None if seen is None else seen.soc_pct,
            min_energy_wh=None if needs is None else needs.minimum_wh,
            target_energy_wh=None if needs is None else needs.target_wh,
            max_energy_wh=None if needs is None else needs.maximum_wh,
            min_v2x_energy_wh=None if needs is None else needs.minimum_v2x_wh,
            max_v2x_energy_wh=None if needs is None else needs.maximum_v2x_wh,
        )

    def open(self, now: float) -> None:
        """The session closes the contactors by itself."""

    def close(self, now: float) -> None:
        if self.secc.connected:
            self.secc.terminate("the transaction has ended")

    def renegotiate(self) -> bool:
        self.secc.renegotiate(services=True)
        return True

    # what the SECC tells

    def _seen(self, event: SeccEvent) -> None:
        if self._observe is not None:
            self._observe(event)
        station = self._station
        if station is None:
            return
        if isinstance(event, VehicleIdentified):
            self._vehicle = event.evccid
            station.arrive(self._number)
        elif isinstance(event, NeedsStated):
            self._needs = self._combined(event)
            station.plug_in(self._number, self._needs)
        elif isinstance(event, ChargingStarted):
            station.wake()
        elif isinstance(event, Measured):
            first, self._measured = self._measured is None, event
            if first:
                station.wake()
        elif isinstance(event, SessionEnded) and not event.paused:
            self._measured, self._asked_w = None, None
            station.leave(self._number, event.ok)

    def _combined(self, event: NeedsStated) -> Needs:
        """What the car can and what this EVSE can (OCPP 2.1 v2xChargingParameters want both counted in)."""
        limits, transfer = event.limits, TRANSFERS.get(event.service, event.service)
        bidirectional = "BPT" in transfer
        plain = transfer.replace("_BPT", "") if bidirectional else transfer
        needs = Needs(
            max_charge_w=_within(limits.max_charge_w, self.max_charge_w),
            max_discharge_w=_within(limits.max_discharge_w, self.max_discharge_w) if bidirectional else 0.0,
            min_charge_w=limits.min_charge_w,
            min_discharge_w=limits.min_discharge_w if bidirectional else 0.0,
            energy_transfer=transfer,
            available=(transfer, plain) if bidirectional else (transfer,),
            dynamic=event.control == "dynamic",
            vehicle=self._vehicle,
            asked=event.asked,
            max_charge_a=limits.max_charge_a if isfinite(limits.max_charge_a) else None,
            min_voltage_v=limits.min_voltage_v or None,
            max_voltage_v=limits.max_voltage_v if isfinite(limits.max_voltage_v) else None,
            soc_pct=None if self._measured is None else self._measured.soc_pct,
            target_soc_pct=event.target_soc_pct,
            departure_in_s=event.departure_s,
        )
        wishes = event.needs
        if wishes is None:
            return needs
        return replace(
            needs,
            target_energy_wh=wishes.target_wh,
            min_energy_wh=wishes.minimum_wh,
            max_energy_wh=wishes.maximum_wh,
            min_v2x_energy_wh=wishes.minimum_v2x_wh,
            max_v2x_energy_wh=wishes.maximum_v2x_wh,
        )


def _within(power_w: float, rated_w: float) -> float:
    return min(abs(power_w), rated_w) if isfinite(power_w) else rated_w
