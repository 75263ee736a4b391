"""Set-point of an EVSE in a session: live in dynamic control, a new schedule by renegotiation in scheduled control."""

from __future__ import annotations

from protocols.iso15118.iso20 import orders
from protocols.iso15118.iso20.schedules import ScheduleOffer, flat_offer
from protocols.iso15118.iso20.types import EVSENotification
from protocols.iso15118.secc import Engine
from protocols.ports import Clock

NOTICE_S = 10  # s for a car to follow a notification
RENEGOTIATED_W = 100.0  # scheduled control: smaller changes only limit the power, without renegotiation


class SeccSetpoint:
    """Set-point of one EVSE, over all sessions; None: what the car requests. The ratings are magnitudes in W."""

    def __init__(self, max_charge_w: float, max_discharge_w: float, clock: Clock) -> None:
        self.max_charge_w, self.max_discharge_w = max_charge_w, max_discharge_w
        self.power_w: float | None = 0.0
        self._requested = False  # the next exchange follows a request of the SECC
        self._clock = clock
        self._offered_w: float | None = None
        self._exchanged = False  # the car has requested schedules
        self._outdated = False  # the last offer came after the car had received its schedule

    def begin(self) -> None:
        """Start a session."""
        self._offered_w, self._requested = None, False
        self._exchanged = self._outdated = False

    def of(self, engine: Engine | None) -> float | None:
        """Return the set-point; without one a dynamic session charges at rated power within the limits."""
        choice = None if engine is None else engine.session.choice
        if self.power_w is None and choice is not None and choice.is_dynamic:
            return self.max_charge_w
        return self.power_w

    def send(self, engine: Engine, *, notify: bool = True) -> None:
        """Send the set-point (dynamic control), or a new schedule and a limit (scheduled control)."""
        now, setpoint = self._clock.now(), self.power_w
        engine.command(orders.SetPower(self.of(engine)), now)
        choice = engine.session.choice
        if choice is None:
            return
        if choice.is_dynamic or engine.limits_live:
            engine.command(orders.OfferSchedules(()), now)
            return
        changed = self._offered_w is None or setpoint is None or abs(setpoint - self._offered_w) >= RENEGOTIATED_W
        if changed or setpoint == 0:
            self._offered_w = setpoint
            engine.command(orders.OfferSchedules(self._schedules(choice.is_bpt)), now)
            if notify and engine.session.power_on:
                self.notify(engine, EVSENotification.ScheduleRenegotiation, NOTICE_S)
            else:
                self._outdated = self._exchanged

    def exchange_done(self) -> bool:
        """Note that the car has stated its needs; return True if the SECC had requested it."""
        requested, self._requested, self._exchanged = self._requested, False, True
        return requested

    def started(self, engine: Engine) -> None:
        """Renegotiate if the set-point has changed between schedule exchange and power-on."""
        if self._outdated:
            self._outdated = False
            self.notify(engine, EVSENotification.ScheduleRenegotiation, NOTICE_S)

    def notify(self, engine: Engine, notification: EVSENotification, within_s: int) -> None:
        """Send a notification to the car."""
        again = (EVSENotification.ScheduleRenegotiation, EVSENotification.ServiceRenegotiation)
        self._requested = self._requested or notification in again
        engine.command(orders.Notify(notification, within_s), self._clock.now())

    def _schedules(self, bidirectional: bool) -> tuple[ScheduleOffer, ...]:
        setpoint = self.power_w
        discharge: float | None = None
        if bidirectional:
            discharge = self.max_discharge_w if setpoint is None else min(max(-setpoint, 0.0), self.max_discharge_w)
        charge = self.max_charge_w if setpoint is None else min(max(setpoint, 0.0), self.max_charge_w)
        return (flat_offer(int(self._clock.wall()), charge, discharge),)
