"""Power path of an EVSE whose cars use CHAdeMO: adapter between the charger engine and the station.

Events of the engine become calls of the station. The station's power is the set-point of the converter; the engine
gets the current that it needs, and its limits bound the converter. There is no message with charging needs: they are
what both sides permit, and energies follow from capacity, levels and state of charge of the frames.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from math import ceil, copysign

from emulators.battery.pack import Battery
from emulators.charger.hardware.power_stage import Bounds, PowerStage, StageSpec
from emulators.charger.station.power_path import ConnectedEv, Needs, PowerPath, Reading, Transfer
from protocols.chademo.charger import Charger
from protocols.chademo.charger_power import charge_limit_a, discharge_limit_a
from protocols.chademo.charger_session import (
    ChargerOrder,
    ChargerSession,
    ChargerSettings,
    Reset,
    SetCurrent,
    Start,
    StopSession,
)
from protocols.chademo.events import Event, ParametersAgreed, SessionEnded, StateEntered
from protocols.chademo.frames import NOT_USED
from protocols.chademo.states import ChargerState as State
from protocols.errors import LocalProtocolError
from protocols.quantities import clamp

HEADROOM = 1.02  # of the current beyond that of the set-point: the voltage of the battery moves
ISLAND_A = 15.0  # A beyond the present current that are offered in an island; vehicles tolerate 20 A
MOST_A = 255
AT_REST = frozenset({State.IDLE, State.FAULT})
_CLOSED = frozenset({State.WAIT_REQUEST, State.POWER, State.STOPPING})
_DISCHARGE_ID = 0x200


def settings_of(spec: StageSpec) -> ChargerSettings:
    """Return the properties of a charger with this converter."""
    most = min(MOST_A, int(spec.max_current_a))
    return ChargerSettings(
        v2h=spec.max_discharge_w > 0,
        max_voltage_v=int(spec.max_voltage_v),
        min_voltage_v=ceil(spec.min_voltage_v),
        max_charge_a=most,
        max_discharge_a=most,
    )


class ChademoPowerPath(PowerPath):
    """Power path with a charger engine. The runner of the engine passes its events and calls `steer` after a change."""

    def __init__(self, stage: PowerStage, observe: Callable[[Event], None] | None = None) -> None:
        self.stage = stage
        self.engine = Charger(settings_of(stage.spec))
        self.order: Callable[[ChargerOrder], None] | None = None  # passes an order to the running engine
        self.wake: Callable[[], None] = lambda: None  # called before a change, for who runs the engine
        self.requested_w: float | None = None
        self._observe = observe
        self._plugged = False

    @property
    def session(self) -> ChargerSession:
        """State of the present or last session."""
        return self.engine.session

    @property
    def plugged(self) -> bool:
        return self._plugged

    @property
    def connected(self) -> bool:
        """A session is running."""
        return self.engine.state not in AT_REST

    # PowerPath

    def set_power(self, power_w: float, now: float) -> None:
        if power_w != self.requested_w:
            self.wake()
            self.requested_w = power_w
            self.stage.set_point(power_w, now)
            self.steer(now)

    def reading(self, now: float) -> Reading:
        measured, meter = self.stage.reading(now), self.stage.meter
        power_w = meter.shows_w(measured.ac_power_w) if measured.ac_power_w else 0.0
        metered = Reading(power_w, meter.charged_wh, meter.discharged_wh, current_a=measured.current_a)
        if self.engine.state not in _CLOSED:
            return metered
        low, high = self._window_wh()
        return Reading(
            power_w=power_w,
            charged_wh=meter.charged_wh,
            discharged_wh=meter.discharged_wh,
            voltage_v=measured.voltage_v,
            current_a=measured.current_a,
            soc_pct=self.session.soc_pct,
            min_v2x_energy_wh=low,
            max_v2x_energy_wh=high,
        )

    def open(self, now: float) -> None:
        """The session closes the contactors by itself."""

    def close(self, now: float) -> None:
        if self.connected:
            self._pass(StopSession("the transaction has ended"))

    def renegotiate(self) -> bool:
        return False

    def wake_vehicle(self) -> None:
        """Begin a session of a vehicle that is plugged in."""
        if self.engine.state is State.FAULT:
            self._pass(Reset())
        if self.engine.state is State.IDLE:
            self._pass(Start())  # refused without a plug

    def plugged_in(self, battery: Battery) -> None:
        """A vehicle has been plugged in."""
        self._plugged = True
        self.stage.connect(battery)

    def unplugged(self, now: float) -> None:
        """The vehicle has been unplugged."""
        self._plugged = False
        if self.station is not None:
            self.station.unplug(self.number)
        self.stage.disconnect()

    # the engine

    def steer(self, now: float) -> None:
        """Pass the current of the set-point to the engine, and what both sides permit to the converter."""
        power = self.engine.state is State.POWER
        wanted = self.wanted_a()
        if wanted != self.session.requested_a:
            self._pass(SetCurrent(wanted))
        self.stage.limit(self._bounds(wanted) if power else Bounds(0.0, 0.0), now)

    def wanted_a(self) -> float:
        """Return the current to request of the engine: with headroom, so that the set-point of the power decides."""
        stage, settings = self.stage, self.session.settings
        if self.engine.state is not State.POWER:
            return 0.0
        if stage.island_w is None:
            amps = stage.wanted_a
            most = settings.max_charge_a if amps > 0 else settings.max_discharge_a
            return copysign(min(ceil(abs(amps) * HEADROOM), most), amps) if amps else 0.0
        if stage.island_w < 0:
            return -float(settings.max_discharge_a)
        return min(float(settings.max_charge_a), ceil(max(stage.current_a, 0.0)) + ISLAND_A)

    @property
    def settled(self) -> bool:
        """The engine orders all of the requested current that both sides permit: no ramp or change of direction."""
        session = self.session
        reached = clamp(session.requested_a, -self._discharge_limit_a(), charge_limit_a(session))
        return session.current_a == reached

    def _discharge_limit_a(self) -> float:
        session = self.session
        fresh = self.engine.age(_DISCHARGE_ID, session.advanced_at) < session.settings.frame_loss
        return discharge_limit_a(session, fresh)

    def _bounds(self, wanted: float) -> Bounds:
        """Return what both sides permit now; in the direction of the set-point, what the engine orders."""
        session = self.session
        charge, discharge = charge_limit_a(session), self._discharge_limit_a()
        if self.stage.island_w is None:
            charge = max(session.current_a, 0.0)
            discharge = max(-session.current_a, 0.0) if wanted < 0 else discharge
        return Bounds(charge, discharge)

    def _pass(self, order: ChargerOrder) -> None:
        self.wake()
        if self.order is not None:
            with suppress(LocalProtocolError):  # the state changed meanwhile
                self.order(order)

    def on_event(self, event: Event) -> None:
        """Report an event of the engine to the station."""
        if self._observe is not None:
            self._observe(event)
        station, session = self.station, self.session
        if station is None:
            return
        if isinstance(event, ParametersAgreed):
            try:
                station.plug_in(self.number, self.needs())
            except ValueError:  # the EVSE is unavailable
                self._pass(StopSession("the station accepts no vehicle"))
        elif isinstance(event, StateEntered) and event.state in (State.WAKE, State.POWER):
            if event.state is State.WAKE:
                station.arrive(self.number)
            station.wake()
        elif isinstance(event, SessionEnded):
            self.requested_w = None
            self.stage.set_point(0.0, session.advanced_at)
            station.leave(self.number, event.ok)

    # what the vehicle states

    def needs(self) -> Needs:
        """Return the charging needs within the limits of the EVSE: those of both sides. A vehicle states no plan."""
        session, vehicle = self.session, self.session.vehicle
        settings, status, limits = session.settings, vehicle.status, vehicle.limits
        volts = float(status.target_voltage_v if status is not None else settings.max_voltage_v)
        bidirectional = session.discharge_agreed and self.max_discharge_w > 0
        low, high = self._window_wh()
        return Needs(
            max_charge_w=min(self.max_charge_w, settings.max_charge_a * volts),
            max_discharge_w=min(self.max_discharge_w, settings.max_discharge_a * volts) if bidirectional else 0.0,
            energy_transfer=Transfer.dc_bpt if bidirectional else Transfer.dc,
            available=(Transfer.dc_bpt, Transfer.dc) if bidirectional else (Transfer.dc,),
            vehicle=vehicle.vehicle_id,
            max_charge_a=float(settings.max_charge_a),
            min_voltage_v=float(limits.min_voltage_v) or None if limits is not None else None,
            max_voltage_v=float(limits.max_voltage_v) or None if limits is not None else None,
            min_v2x_energy_wh=low,
            max_v2x_energy_wh=high,
            capacity_wh=None if vehicle.time is None else float(vehicle.time.capacity_wh) or None,
            connected_ev=connected_ev(session),
        )

    def _window_wh(self) -> tuple[float | None, float | None]:
        """Return the energies from the present state of charge to the levels of the vehicle, + is charging."""
        time, soc, levels = self.session.vehicle.time, self.session.soc_pct, self.session.levels
        if time is None or not time.capacity_wh or soc is None or self.engine.state not in _CLOSED:
            return None, None

        def between(level: int | None, otherwise: int) -> float:
            return ((otherwise if level is None else level) - soc) / 100 * time.capacity_wh

        return between(levels.min_pct, 0), between(levels.max_pct, 100)


def connected_ev(session: ChargerSession) -> ConnectedEv:
    """Return what the frames of a vehicle state, as the appendix of OCPP 2.1 maps them to ConnectedEV."""
    vehicle = session.vehicle
    status, limits, time, extension = vehicle.status, vehicle.limits, vehicle.time, vehicle.extension
    values: list[tuple[str, str, float]] = []
    if status is not None:
        high = extension is not None and extension.high_current
        request = extension.charge_request_a if extension is not None and high else status.charge_request_a
        values += [("DCVoltage", "Target", status.target_voltage_v), ("DCCurrent", "Target", request)]
    if limits is not None:
        values += [
            ("DCCurrent", "MinSet", limits.min_charge_a),
            ("DCVoltage", "MinSet", limits.min_voltage_v),
            ("DCVoltage", "MaxSet", limits.max_voltage_v),
            ("StateOfCharge", "MaxSet", limits.rate_constant),
        ]
    if time is not None:
        values.append(("EnergyImport", "MaxSet", time.capacity_wh))
        if time.max_time_min not in (0, NOT_USED):
            values.append(("RemainingTimeFull", "MaxSet", time.max_time_min * 60))
    supported = () if status is None else (f"CHAdeMO,{status.protocol}",)
    return ConnectedEv(f"CHAdeMO,{session.protocol}", supported, tuple(values))
