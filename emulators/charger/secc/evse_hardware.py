"""The metal behind one emulated EVSE's SECC: contactors, insulation, measuring, and the energy of AC sessions.

What a session asks of it is in `secc.py`; the converter itself is `power_stage.py`.
"""

from __future__ import annotations

from emulators.battery.pack import Battery
from emulators.charger.hardware.power_stage import Bounds, PowerStage, Reading
from emulators.charger.secc.settings import SessionBattery
from protocols.iso15118.iso20 import events, orders
from protocols.iso15118.iso20.limits import Limits
from protocols.iso15118.iso20.loop import Meter
from protocols.iso15118.iso20.secc import Secc
from protocols.iso15118.iso20.secc_session import Verdict
from protocols.ports import Clock

ANY_A = float("inf")


def is_dc(engine: Secc | None) -> bool:
    """Whether the session charges by the station's converter; before it has chosen, it is taken to."""
    return engine is None or engine.session.choice is None or engine.session.choice.is_dc


class EvseHardware:
    """`battery`: the car itself, where it lives in the same world; else what its session says of it."""

    def __init__(self, stage: PowerStage, clock: Clock, battery: Battery | None, cable_check_s: float) -> None:
        self.stage, self._clock = stage, clock
        self.battery = battery
        self.told = SessionBattery()
        self.ac_power_w = 0.0
        self._cable_check_s = cable_check_s
        self._insulation_from: float | None = None
        self._metered_at: float | None = None

    def begin(self) -> None:
        """A car is on the line."""
        self._insulation_from = None
        self.told = SessionBattery()

    def prepare(self, engine: Secc, cap: Limits, now: float) -> None:
        """Before the engine sees bytes or time: what the metal shows and allows now."""
        stage, reading = self.stage, self.stage.reading(now)
        dc = is_dc(engine)
        if not dc:
            self.meter_ac(now)
        meter = Meter(meter_id="v2x-meter", charged_wh=stage.meter.charged_wh, discharged_wh=stage.meter.discharged_wh)
        engine.command(
            orders.Measure(
                voltage_v=reading.voltage_v,
                current_a=reading.current_a,
                power_w=reading.ac_power_w if dc else self.ac_power_w,
                meter=meter,
            ),
            now,
        )
        live = Limits(
            max_charge_w=min(stage.available_charge_w, cap.max_charge_w),
            max_discharge_w=min(stage.available_discharge_w, cap.max_discharge_w),
            max_charge_a=ANY_A,
            max_discharge_a=ANY_A,
        )
        engine.command(orders.LimitOutput(dc=live, ac=live), now)
        if self._insulation_from is not None and now >= self._insulation_from + self._cable_check_s:
            self._insulation_from = None
            engine.command(orders.CableChecked(self._insulation()), now)

    def _insulation(self) -> Verdict:
        return Verdict.YES if self.stage.insulation_good else Verdict.NO

    def known_insulation(self) -> Verdict | None:
        """The verdict, where there is no test to wait for."""
        return self._insulation() if self._cable_check_s <= 0 else None

    def check_cable(self) -> None:
        """The test of the insulation begins."""
        self._insulation_from = self._clock.now()

    def precharge(self, voltage_v: float) -> None:
        """The car says what voltage it wants to meet."""
        self.stage.precharge(voltage_v)
        self.told.voltage_v = voltage_v

    def power_on(self, dc: bool) -> None:
        """Energy may flow: in DC the car is on the converter."""
        now = self._clock.now()
        if dc:
            self.stage.connect(self.battery or self.told)
            self.stage.close(now)
        self._metered_at = now

    def loop(self, event: events.CarLooped, dc: bool) -> Reading:
        """One charge loop: what the car allows and what was decided; the sensors after it."""
        now, car = self._clock.now(), event.car
        if dc:
            told, limits = self.told, car.limits
            told.limits = limits
            if car.present_voltage_v:
                told.voltage_v = car.present_voltage_v
            bounds = Bounds(limits.max_charge_a, limits.max_discharge_a, limits.max_charge_w, limits.max_discharge_w)
            self.stage.limit(bounds, now)
            self.stage.set_point(event.target.power_w, now)
        else:
            self.meter_ac(now)
            self.ac_power_w = car.present_power_w or 0.0
        return self.stage.reading(now)

    def meter_ac(self, now: float) -> None:
        """AC: the energy that the car's own converter moved since the last look."""
        if self._metered_at is not None and now > self._metered_at:
            seconds = now - self._metered_at
            self.stage.meter.add(self.ac_power_w * seconds / 3600, seconds)
        self._metered_at = now

    def cut(self, now: float) -> None:
        """No power any more, contactors open, nothing at the connector."""
        if self.ac_power_w:
            self.meter_ac(now)
        self.ac_power_w, self._metered_at = 0.0, None
        self.stage.open(now)
        self.stage.disconnect()
