"""Power path of an EVSE whose cars use ISO 15118: adapter between an `EvseSecc` and the station.

Events of the SECC become calls of the station, the station's power becomes the set-point of the SECC.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from typing import TypedDict, Unpack

from emulators.battery.pack import Battery
from emulators.charger.hardware.power_stage import PowerStage
from emulators.charger.secc.events import (
    ChargingStarted,
    Measured,
    NeedsStated,
    SeccEvent,
    SessionEnded,
    VehicleIdentified,
)
from emulators.charger.secc.secc import EvseSecc
from emulators.charger.station.power_path import Needs, PowerPath, Reading, energies
from protocols.iso15118.iso20 import events
from protocols.iso15118.iso20.secc_session import SeccSettings
from protocols.ports import Clock

# ISO 15118-20 services as OCPP 2.1 energy transfers.
TRANSFERS = {"AC": "AC_three_phase", "DC": "DC", "AC_BPT": "AC_BPT", "DC_BPT": "DC_BPT"}
SAME_W = 0.5  # W: smaller changes of the set-point are ignored


class SeccOptions(TypedDict, total=False):
    """Options of `EvseSecc`."""

    settings: SeccSettings | None
    free_vend: bool
    cable_check_s: float
    battery: Battery | None
    trace: Callable[[events.MessageSent | events.MessageReceived], None] | None


class SeccPowerPath(PowerPath):
    """Power path with an SECC, whose events it reports to the station."""

    def __init__(
        self,
        stage: PowerStage,
        clock: Clock,
        observe: Callable[[SeccEvent], None] | None = None,
        **secc: Unpack[SeccOptions],
    ) -> None:
        self.stage, self._observe = stage, observe
        self.secc = EvseSecc(stage, clock, self._on_event, **secc)
        self._vehicle: str | None = None
        self._needs: Needs | None = None
        self._measured: Measured | None = None
        self.requested_w: float | None = None

    @property
    def connected(self) -> bool:
        """A session is running."""
        return self.secc.connected

    # PowerPath

    def set_power(self, power_w: float, now: float) -> None:
        """Set the power if it has changed: in scheduled control every set-point causes a renegotiation."""
        if self.requested_w is None or abs(power_w - self.requested_w) > SAME_W:
            self.requested_w = power_w
            self.secc.set_power(power_w)

    def reading(self, now: float) -> Reading:
        meter, measured = self.stage.meter, self._measured
        if measured is None:
            return Reading(0.0, meter.charged_wh, meter.discharged_wh)
        return Reading(
            power_w=meter.shows_w(measured.power_w),
            charged_wh=meter.charged_wh,
            discharged_wh=meter.discharged_wh,
            voltage_v=measured.voltage_v,
            current_a=measured.current_a,
            soc_pct=measured.soc_pct,
            **energies(measured.needs),
        )

    def open(self, now: float) -> None:
        """The session closes the contactors by itself."""

    def close(self, now: float) -> None:
        if self.secc.connected:
            self.secc.terminate("the transaction has ended")

    def renegotiate(self) -> bool:
        self.secc.renegotiate(services=True)
        return True

    def wake_vehicle(self) -> None:
        """The vehicle begins its sessions by itself."""

    # events of the SECC

    def _on_event(self, event: SeccEvent) -> None:
        if self._observe is not None:
            self._observe(event)
        station = self.station
        if station is None:
            return
        if isinstance(event, VehicleIdentified):
            self._vehicle = event.evccid
            station.arrive(self.number)
        elif isinstance(event, NeedsStated):
            self._needs = self._combined(event)
            station.plug_in(self.number, self._needs)
        elif isinstance(event, ChargingStarted):
            station.wake()
        elif isinstance(event, Measured):
            first, self._measured = self._measured is None, event
            if first:
                station.wake()
        elif isinstance(event, SessionEnded) and not event.paused:
            self._measured, self.requested_w = None, None
            station.leave(self.number, event.ok)

    def _combined(self, event: NeedsStated) -> Needs:
        """Return the car's needs within the limits of the EVSE, as v2xChargingParameters of OCPP 2.1 require."""
        limits, transfer = event.limits, TRANSFERS.get(event.service, event.service)
        bidirectional = "BPT" in transfer
        plain = transfer.replace("_BPT", "") if bidirectional else transfer
        return Needs(
            max_charge_w=_within(limits.max_charge_w, self.max_charge_w),
            max_discharge_w=_within(limits.max_discharge_w, self.max_discharge_w) if bidirectional else 0.0,
            min_charge_w=limits.min_charge_w,
            min_discharge_w=limits.min_discharge_w if bidirectional else 0.0,
            energy_transfer=transfer,
            available=(transfer, plain) if bidirectional else (transfer,),
            dynamic=event.control == "dynamic",
            vehicle=self._vehicle,
            requested_by_station=event.requested,
            max_charge_a=limits.max_charge_a if isfinite(limits.max_charge_a) else None,
            min_voltage_v=limits.min_voltage_v or None,
            max_voltage_v=limits.max_voltage_v if isfinite(limits.max_voltage_v) else None,
            soc_pct=None if self._measured is None else self._measured.soc_pct,
            target_soc_pct=event.target_soc_pct,
            departure_in_s=event.departure_s,
            **energies(event.needs),
        )


def _within(power_w: float, rated_w: float) -> float:
    return min(abs(power_w), rated_w) if isfinite(power_w) else rated_w
