"""Two engines in memory with one clock: an EVCC and a SECC whose bytes are passed to each other.

The charger behind the SECC is ideal: voltage follows at once, the current is the SECC's target. The EV's battery
integrates it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from protocols.iso15118.iso20 import events, orders
from protocols.iso15118.iso20.evcc import Evcc
from protocols.iso15118.iso20.evcc_session import EvccSettings
from protocols.iso15118.iso20.limits import Limits
from protocols.iso15118.iso20.loop import Meter
from protocols.iso15118.iso20.secc import Secc
from protocols.iso15118.iso20.secc_session import Evse, SeccSettings, Verdict
from protocols.iso15118.iso20.services import ServiceId, offer
from protocols.iso15118.iso20.setpoint import EnergyRequests
from protocols.iso15118.iso20.states import State, Step

EVCCID = "WMIV1234567890ABCDEX"
EPOCH = 1_770_000_000.0
BATTERY_WH = 63_000.0
DC_LIMITS = Limits(
    max_charge_w=20_000,
    max_discharge_w=10_000,
    max_charge_a=50,
    max_discharge_a=25,
    max_voltage_v=500,
    min_voltage_v=150,
)
AC_LIMITS = Limits(max_charge_w=11_000, max_discharge_w=11_000)
EV_DC = Limits(
    max_charge_w=100_000,
    max_discharge_w=20_000,
    max_charge_a=250,
    max_discharge_a=60,
    max_voltage_v=420,
    min_voltage_v=270,
)
EV_AC = Limits(max_charge_w=11_000, max_discharge_w=7_000, min_charge_w=1_380, min_discharge_w=1_000, phases=3)
ALL = (ServiceId.DC_BPT, ServiceId.DC, ServiceId.AC_BPT, ServiceId.AC)


def secc_settings(**changes: Any) -> SeccSettings:
    base: dict[str, Any] = {
        "offers": tuple(offer(one) for one in ALL),
        "dc": DC_LIMITS,
        "ac": AC_LIMITS,
        "evse_id": "DE8AAE00001",
    }
    return SeccSettings(**(base | changes))


def evcc_settings(**changes: Any) -> EvccSettings:
    return EvccSettings(**({"evccid": EVCCID, "services": (ServiceId.DC_BPT,)} | changes))


def needs(soc_pct: float) -> EnergyRequests:
    """Return the needs of an EV with a minimum of 20 %, a V2X window of 25..95 % and a target of 80 %."""

    def to(goal: float) -> float:
        return (goal - soc_pct) / 100 * BATTERY_WH

    return EnergyRequests(
        target_wh=to(80), maximum_wh=to(100), minimum_wh=to(20), maximum_v2x_wh=to(95), minimum_v2x_wh=to(25)
    )


def car_state(soc_pct: float = 80.0, **changes: Any) -> orders.CarState:
    state = orders.CarState(limits=EV_DC, needs=needs(soc_pct), soc_pct=soc_pct, voltage_v=400.0, departure_s=36_000)
    return replace(state, **changes)


@dataclass
class Pair:
    """A pair of engines, advanced by `run`; results are in `secc_events`, `ev_events` and `wire` (bytes sent by
    each)."""

    ev: Evcc
    secc: Secc
    now: float = 0.0
    soc_pct: float = 80.0
    secc_events: list[events.Event] = field(default_factory=list)
    ev_events: list[events.Event] = field(default_factory=list)
    ideal: bool = True  # the charger behind the SECC answers everything at once
    target_w: float = 0.0
    current_a: float = 0.0
    voltage_v: float = 0.0
    charged_wh: float = 0.0
    discharged_wh: float = 0.0
    steps: int = 0
    to_secc: Callable[[bytes], bytes] = bytes
    to_ev: Callable[[bytes], bytes] = bytes

    def run(self, until: Callable[[Pair], bool] | None = None, *, chunk: int = 0, most_steps: int = 100_000) -> None:
        """Run until both ended, or `until(pair)`; bytes travel in pieces of `chunk` (0: whole)."""
        while not (self.ev.ended and self.secc.ended):
            if until is not None and until(self):
                return
            self.steps += 1
            assert self.steps < most_steps, f"no end in sight: {self.ev.step} / {self.secc.state}"
            if self._exchange(chunk):
                continue
            deadlines = [one for one in (self.ev.deadline(), self.secc.deadline()) if one is not None]
            assert deadlines, "both engines wait for ever"
            self.pass_time(max(min(deadlines) - self.now, 0.0))
            self._hear(self.ev.expire(self.now), self.secc.expire(self.now))
        self._exchange(chunk)

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        energy = self.current_a * self.voltage_v * seconds / 3600
        self.charged_wh += max(energy, 0.0)
        self.discharged_wh += max(-energy, 0.0)
        self.soc_pct += energy / BATTERY_WH * 100
        self.tell()

    def tell(self) -> None:
        """Pass the measurements of both hosts to their engines."""
        if not self.ev.ended:
            self.ev.command(
                replace(self.ev.car, soc_pct=self.soc_pct, needs=needs(self.soc_pct), current_a=self.current_a),
                self.now,
            )
        meter = Meter(meter_id="M1", charged_wh=self.charged_wh, discharged_wh=self.discharged_wh)
        power = self.target_w if not self.voltage_v else self.current_a * self.voltage_v
        self.secc.command(
            orders.Measure(voltage_v=self.voltage_v, current_a=self.current_a, power_w=power, meter=meter), self.now
        )

    def _exchange(self, chunk: int) -> bool:
        moved = False
        outgoing = self.to_secc(self.ev.data_to_send())
        for piece in _pieces(outgoing, chunk):
            moved = True
            self._hear([], self.secc.receive(piece, self.now))
        incoming = self.to_ev(self.secc.data_to_send())
        for piece in _pieces(incoming, chunk):
            moved = True
            self._hear(self.ev.receive(piece, self.now), [])
        if self.ev.ended and not self.secc.ended:
            self._hear([], self.secc.receive(b"", self.now))
            moved = True
        if self.secc.ended and not self.ev.ended and not moved:
            self._hear(self.ev.receive(b"", self.now), [])
            moved = True
        return moved

    def _hear(self, ev: list[events.Event], secc: list[events.Event]) -> None:
        self.ev_events += ev
        self.secc_events += secc
        if not self.ideal:
            return
        for event in secc:
            self._be_a_charger(event)
        for event in ev:
            if isinstance(event, events.ChargeLoopAnswered) and event.station.target_power_w is not None:
                self.ev.command(replace(self.ev.car, power_w=event.station.target_power_w), self.now)

    def _be_a_charger(self, event: events.Event) -> None:
        if isinstance(event, events.AuthorizationRequested):
            self.secc.command(orders.Authorize(Verdict.YES), self.now)
        elif isinstance(event, events.NeedsStated):
            self.secc.command(orders.OfferSchedules(()), self.now)
        elif isinstance(event, events.CableCheckRequested):
            self.secc.command(orders.CableChecked(Verdict.YES), self.now)
        elif isinstance(event, events.PreChargeRequested):
            self.voltage_v = event.target_voltage_v
        elif isinstance(event, events.ChargeLoopRequested):
            self.target_w = event.target.power_w
            if event.car.present_voltage_v:
                self.voltage_v = event.car.present_voltage_v
                self.current_a = self.target_w / self.voltage_v
        elif isinstance(event, events.PowerStopped | events.SessionEnded):
            self.current_a = self.voltage_v = self.target_w = 0.0
        self.tell()

    def seen(self, kind: type[Any]) -> list[Any]:
        """Return the SECC's events of a kind."""
        return [event for event in self.secc_events if isinstance(event, kind)]

    def ev_seen(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.ev_events if isinstance(event, kind)]


def pair(
    *,
    car: orders.CarState | None = None,
    setpoint_w: float | None = 0.0,
    secc: dict[str, Any] | None = None,
    ev: dict[str, Any] | None = None,
    secc_arguments: dict[str, Any] | None = None,
) -> Pair:
    state = car or car_state()
    evse = Evse(setpoint_w=setpoint_w)
    charger = Secc(secc_settings(**(secc or {})), 0.0, epoch=EPOCH, evse=evse, **(secc_arguments or {}))
    return Pair(Evcc(evcc_settings(**(ev or {})), state, 0.0, epoch=EPOCH), charger, soc_pct=state.soc_pct)


def looping(pair: Pair) -> bool:
    return pair.secc.state is State.CHARGE_LOOP and pair.ev.step is Step.CHARGE_LOOP


def loops(count: int) -> Callable[[Pair], bool]:
    return lambda pair: pair.ev.session.loops >= count


def _pieces(data: bytes, chunk: int) -> list[bytes]:
    if not data:
        return []
    return [data] if chunk <= 0 else [data[i : i + chunk] for i in range(0, len(data), chunk)]
