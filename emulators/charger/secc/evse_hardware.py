"""Hardware behind one emulated EVSE's SECC: contactors, insulation monitoring, sensors, metering of AC sessions.

Commands come from `secc.py`; the converter is `hardware/power_stage.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from emulators.battery.pack import Battery
from emulators.charger.hardware.power_stage import Bounds, PowerStage, Reading
from emulators.charger.hardware.power_stage import Fault as StageFault
from protocols.iso15118.iso20 import events, orders
from protocols.iso15118.iso20.limits import Limits
from protocols.iso15118.iso20.loop import Meter
from protocols.iso15118.iso20.secc_session import Evse, Fault, SeccSettings, Verdict
from protocols.iso15118.iso20.services import ControlMode, ServiceId, offer
from protocols.iso15118.secc import Engine
from protocols.latest import Latest
from protocols.ports import Clock

ANY_A = float("inf")


def is_dc(engine: Engine | None) -> bool:
    """Return True for a DC session, and before the service is selected."""
    return engine is None or engine.session.choice is None or engine.session.choice.is_dc


class SessionBattery:
    """Battery of a car behind a real connection: voltage and limits of its last request."""

    def __init__(self) -> None:
        self.soc_pct = 50.0
        self.voltage_v = 0.0
        self.limits = Limits()

    def max_charge_a(self) -> float:
        """Maximum charging current."""
        return self.limits.max_charge_a

    def max_discharge_a(self) -> float:
        """Maximum discharging current."""
        return self.limits.max_discharge_a

    def current_for(self, power_w: float) -> float:
        """Return the current of a power."""
        return power_w / self.voltage_v if self.voltage_v > 0 else 0.0

    def flow(self, current_a: float, seconds: float) -> float:
        """Return the energy of a current over a time, Wh."""
        return current_a * self.voltage_v * seconds / 3600


class EvseHardware:
    """EVSE hardware. `battery`: the battery of an emulated car; None uses the values of the session."""

    def __init__(self, stage: PowerStage, clock: Clock, battery: Battery | None, cable_check_s: float) -> None:
        self.stage, self._clock = stage, clock
        self.battery = battery
        self.session_battery = SessionBattery()
        self.ac_power_w = 0.0
        self._cable_check_s = cable_check_s
        self._insulation_from: float | None = None
        self._metered_at: float | None = None
        self._measure = Latest(_measure)
        self._limit_output = Latest(_limit_output)
        self._known: tuple[Evse, orders.Measure, orders.LimitOutput] | None = None  # what the engine knows, and where

    def begin(self) -> None:
        """Start a session."""
        self._insulation_from = None
        self.session_battery = SessionBattery()

    def prepare(self, engine: Engine, now: float) -> None:
        """Update the engine with measurements and limits, before it processes bytes or time."""
        stage, reading = self.stage, self.stage.reading(now)
        dc = is_dc(engine)
        if not dc:
            self.meter_ac(now)
        power_w = reading.ac_power_w if dc else self.ac_power_w
        output = self._measure(
            reading.voltage_v, reading.current_a, power_w, stage.meter.charged_wh, stage.meter.discharged_wh
        )
        limits = self._limit_output(stage.available_charge_w, stage.available_discharge_w)
        known = self._known
        if known is None or known[0] is not engine.evse or known[1] is not output or known[2] is not limits:
            engine.command(output, now)
            engine.command(limits, now)
            self._known = engine.evse, output, limits
        if engine.states_faults:
            self._report_faults(engine, now)
        if self._insulation_from is not None and now >= self._insulation_from + self._cable_check_s:
            self._insulation_from = None
            engine.command(orders.CableChecked(self._insulation()), now)

    def _report_faults(self, engine: Engine, now: float) -> None:
        """Report the faults of the stage; an interrupted grid only limits its power."""
        faults = self.stage.faults
        present = {
            Fault.CONTACTOR: StageFault.WELD in faults,
            Fault.OUTPUT: bool(faults - {StageFault.WELD, StageFault.GRID}),
        }
        for fault, exists in present.items():
            if exists is not (fault in engine.evse.faults):
                engine.command(orders.ReportFault(fault, exists), now)

    def _insulation(self) -> Verdict:
        return Verdict.YES if self.stage.insulation_good else Verdict.NO

    def immediate_insulation(self) -> Verdict | None:
        """Return the insulation result if there is no cable check to wait for."""
        return self._insulation() if self._cable_check_s <= 0 else None

    def check_cable(self) -> None:
        """Start the cable check."""
        self._insulation_from = self._clock.now()

    def precharge(self, voltage_v: float) -> None:
        """Set the output to the voltage that the car requests."""
        self.stage.precharge(voltage_v)
        self.session_battery.voltage_v = voltage_v

    def power_on(self, dc: bool) -> None:
        """Allow energy flow: in DC the contactors close."""
        now = self._clock.now()
        if dc:
            self.stage.connect(self.battery or self.session_battery)
            self.stage.close(now)
        self._metered_at = now

    def loop(self, event: events.ChargeLoopRequested, dc: bool) -> Reading:
        """Apply limits and target of one charge loop; return the measurements after it."""
        now, car = self._clock.now(), event.car
        if dc:
            battery, limits = self.session_battery, car.limits
            battery.limits = limits
            if car.present_voltage_v:
                battery.voltage_v = car.present_voltage_v
            bounds = Bounds(limits.max_charge_a, limits.max_discharge_a, limits.max_charge_w, limits.max_discharge_w)
            self.stage.limit(bounds, now)
            self.stage.set_point(event.target.power_w, now)
        else:
            self.meter_ac(now)
            # in ISO 15118-2 the car does not report its power: it is assumed to take what it may
            self.ac_power_w = event.target.power_w if car.present_power_w is None else car.present_power_w
        return self.stage.reading(now)

    def meter_ac(self, now: float) -> None:
        """AC: meter the energy of the car's own converter since the last call."""
        if self._metered_at is not None and now > self._metered_at:
            seconds = now - self._metered_at
            self.stage.meter.add(self.ac_power_w * seconds / 3600, seconds)
        self._metered_at = now

    def cut(self, now: float) -> None:
        """Switch the power off, open the contactors, disconnect the car."""
        if self.ac_power_w:
            self.meter_ac(now)
        self.ac_power_w, self._metered_at = 0.0, None
        self.stage.open(now)
        self.stage.disconnect()


def _measure(
    voltage_v: float, current_a: float, power_w: float, charged_wh: float, discharged_wh: float
) -> orders.Measure:
    meter = Meter(meter_id="v2x-meter", charged_wh=charged_wh, discharged_wh=discharged_wh)
    return orders.Measure(voltage_v=voltage_v, current_a=current_a, power_w=power_w, meter=meter)


def _limit_output(max_charge_w: float, max_discharge_w: float) -> orders.LimitOutput:
    live = Limits(max_charge_w=max_charge_w, max_discharge_w=max_discharge_w, max_charge_a=ANY_A, max_discharge_a=ANY_A)
    return orders.LimitOutput(dc=live, ac=live)


def stage_settings(
    stage: PowerStage,
    *,
    evse_id: str = "ZZ00000",
    services: Sequence[ServiceId] = (ServiceId.DC_BPT, ServiceId.DC),
    controls: Sequence[ControlMode] = (ControlMode.DYNAMIC, ControlMode.SCHEDULED),
    loop_timeout: float | None = None,
) -> SeccSettings:
    """Return engine settings with the ratings of a power stage."""
    spec = stage.spec
    dc, limits = _ratings(stage)
    settings = SeccSettings(
        offers=tuple(offer(one, controls) for one in services),
        dc=dc,
        ac=limits,
        evse_id=evse_id,
        ramp_pct_per_min=100 * 60 * spec.ramp_w_per_s / max(spec.max_charge_w, spec.max_discharge_w, 1.0),
    )
    return settings if loop_timeout is None else replace(settings, loop_timeout=loop_timeout)


def _ratings(stage: PowerStage) -> tuple[Limits, Limits]:
    """Return the limits of a stage for DC and for AC."""
    spec = stage.spec
    ac = Limits(max_charge_w=spec.max_charge_w, max_discharge_w=spec.max_discharge_w)
    dc = replace(
        ac,
        max_charge_a=spec.max_current_a,
        max_discharge_a=spec.max_current_a,
        max_voltage_v=spec.max_voltage_v,
        min_voltage_v=spec.min_voltage_v,
    )
    return dc, ac
