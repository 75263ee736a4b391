"""The station's set-point as an ISO 15118-20 session takes it: live in dynamic control, a new schedule in scheduled.

The session itself is `secc.py`; what the metal makes of it is `secc_metal.py`.
"""

from __future__ import annotations

from emulators.charger.hardware.power_stage import PowerStage
from protocols.iso15118.iso20 import orders
from protocols.iso15118.iso20.schedules import ScheduleOffer, flat_offer
from protocols.iso15118.iso20.secc import Secc
from protocols.iso15118.iso20.types import EVSENotification
from protocols.ports import Clock

NOTICE_S = 10  # s that a car gets to follow a notification
RENEGOTIATED_W = 100.0  # scheduled control: a smaller change of the set-point only caps the car


class SeccSetpoint:
    """What the station wants of one EVSE, also of cars to come. `power_w` at the grid side; None: all the car wants."""

    def __init__(self, stage: PowerStage, clock: Clock, hold_schedules: bool) -> None:
        self.power_w: float | None = 0.0
        self._asked_anew = False  # the next exchange of needs is one that we asked for
        self._stage, self._clock = stage, clock
        self._hold_schedules = hold_schedules  # until somebody offers some
        self._offered_w: float | None = None
        self._exchanged = False  # the car has asked for schedules
        self._unheard = False  # and the last offer came after it had its own

    def begin(self) -> None:
        """Another session."""
        self._offered_w, self._asked_anew = None, False
        self._exchanged = self._unheard = False

    def of(self, engine: Secc | None) -> float | None:
        """The set-point now: without one a dynamic session charges with what the limits give."""
        choice = None if engine is None else engine.session.choice
        if self.power_w is None and choice is not None and choice.is_dynamic:
            return self._stage.spec.max_charge_w
        return self.power_w

    def tell(self, engine: Secc, *, notify: bool = True) -> None:
        """The set-point for dynamic control; a new schedule and a cap for scheduled control."""
        now, wish = self._clock.now(), self.power_w
        engine.command(orders.SetPower(self.of(engine)), now)
        choice = engine.session.choice
        if choice is None or (self._hold_schedules and engine.evse.schedules is None):
            return
        if choice.is_dynamic:
            engine.command(orders.OfferSchedules(()), now)
            return
        worth_it = self._offered_w is None or wish is None or abs(wish - self._offered_w) >= RENEGOTIATED_W
        if worth_it or wish == 0:
            self._offered_w = wish
            engine.command(orders.OfferSchedules(self._schedules(choice.is_bpt)), now)
            if notify and engine.session.power_on:
                self.notify(engine, EVSENotification.ScheduleRenegotiation, NOTICE_S)
            else:
                self._unheard = self._exchanged

    def exchanged(self) -> bool:
        """The car has stated its needs and gets schedules; whether it does so because we asked."""
        asked, self._asked_anew, self._exchanged = self._asked_anew, False, True
        return asked

    def started(self, engine: Secc) -> None:
        """Power is on: a set-point of between the exchange and now is not in the schedule that the car has."""
        if self._unheard:
            self._unheard = False
            self.notify(engine, EVSENotification.ScheduleRenegotiation, NOTICE_S)

    def notify(self, engine: Secc, notification: EVSENotification, within_s: int) -> None:
        """Ask the car for something."""
        again = (EVSENotification.ScheduleRenegotiation, EVSENotification.ServiceRenegotiation)
        self._asked_anew = self._asked_anew or notification in again
        engine.command(orders.Notify(notification, within_s), self._clock.now())

    def _schedules(self, bidirectional: bool) -> tuple[ScheduleOffer, ...]:
        spec, wish = self._stage.spec, self.power_w
        discharge: float | None = None
        if bidirectional:
            discharge = spec.max_discharge_w if wish is None else min(max(-wish, 0.0), spec.max_discharge_w)
        charge = spec.max_charge_w if wish is None else min(max(wish, 0.0), spec.max_charge_w)
        return (flat_offer(int(self._clock.wall()), charge, discharge),)
