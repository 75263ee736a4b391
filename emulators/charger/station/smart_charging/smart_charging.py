"""The step that turns profiles, modes and DER controls into power at each EVSE, and tells what changed.

What a profile or a mode comes to is in `profiles.py` and `modes.py`, what a DER control leaves of it in `der.py`.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from emulators.charger.station.evse import EvseState
from emulators.charger.station.smart_charging import der, operation_modes
from emulators.charger.station.smart_charging.schedule import Circumstances, Composite
from emulators.charger.station.transaction import Transaction
from protocols.ocpp.link import Answered
from protocols.ocpp.schema import Payload

if TYPE_CHECKING:
    from emulators.charger.station.station import Station

FLOWS_W = 50.0  # W; below it nothing is said to flow
CHANGED = 0.02  # of the rated power: a change that is told at once
CHANGED_EVERY_S = 1.0
IDLE_S = 60.0  # between two looks without a transaction: whatever happens wakes the station


class Steering:
    """Decides and measures, step by step, for all EVSEs of a station."""

    def __init__(self, station: Station) -> None:
        self.station, self.clock = station, station.clock
        self._last_step: float | None = None

    async def run(self) -> None:
        """Step whenever something wakes the station or time changes what rules."""
        woken = self.station.woken
        while True:
            self.step()
            woken.clear()
            with contextlib.suppress(TimeoutError):
                async with self.clock.timeout_at(self.clock.now() + self._rest()):
                    await woken.wait()

    def _rest(self) -> float:
        """Seconds until something can change by itself: profiles and DER controls turn on time, not on the tick."""
        station = self.station
        wall = station.wall()
        turns = [station.controls.next_turn(wall), station.monitoring.next_turn(), station.tariffs.next_turn()]
        busy = [evse for evse in station.evses.values() if evse.transaction]
        turns += [station.profiles.next_change(wall, self.circumstances(evse)) for evse in busy]
        pulls = any(held.profile.get("dynUpdateInterval") for held in station.profiles)
        looks = busy or pulls or station.monitoring.monitors.custom
        tick_s = station.config.tick_s if looks else max(IDLE_S, station.config.tick_s)
        return max(1e-3, min([tick_s, *(turn - wall for turn in turns if turn is not None)]))

    def step(self) -> None:
        """Decide and measure once."""
        station, now = self.station, self.clock.now()
        wall = station.wall()
        for turned in station.controls.tick(wall):
            station.save("controls")
            self._tell_turned(turned)
        passed = 0.0 if self._last_step is None else now - self._last_step
        self._last_step = now
        for evse in station.evses.values():
            self._step_evse(evse, now, passed)
        self._pull_updates(wall)
        if len(station.monitoring.monitors):
            station.monitoring.look()
        if len(station.streams):
            station.later(station.streams.look())

    # what rules

    def circumstances(self, evse: EvseState) -> Circumstances:
        """What the profiles of an EVSE depend on now."""
        station, transaction = self.station, evse.transaction
        return Circumstances(
            transaction=None if transaction is None else transaction.name,
            ready_at=None if transaction is None else transaction.ready_at,
            soc_pct=evse.reading.soc_pct,
            offline_since=station.line.offline_since,
            priority=evse.priority,
            setpoint_priority=station.device.get("SmartChargingCtrlr", "SetpointPriority") or "ExternalControl",
            max_charge_w=evse.outlet.max_charge_w,
            max_discharge_w=evse.outlet.max_discharge_w,
            sharers=sum(1 for one in station.evses.values() if one.transaction is not None) or 1,
        )

    def composite(self, evse: EvseState) -> Composite:
        """What all profiles come to now, or what a station that lets limits lapse makes of it."""
        station = self.station
        composite = station.profiles.composite(evse.number, station.wall(), self.circumstances(evse))
        lapses = station.quirks.limit_lapses_s
        held = None if composite.profile is None else station.profiles.get(composite.profile)
        if lapses is not None and held is not None and station.wall() - held.updated_at > lapses:
            return Composite()
        return composite

    def _step_evse(self, evse: EvseState, now: float, passed: float) -> None:
        transaction = evse.transaction
        composite = self.composite(evse)
        if transaction is not None and composite.mode != transaction.mode:
            transaction.mode = composite.mode
            evse.composite = composite
            evse.sleeping = self._sleeps(composite)
            self.station.dialect.updated(evse, transaction, "OperationModeChanged")
        evse.composite = composite
        evse.sleeping = self._sleeps(composite)
        may = transaction is not None and evse.open and transaction.authorized
        evse.wish_w = self._wish(evse, composite) if may else 0.0
        evse.outlet.set_power(evse.wish_w, now)
        evse.reading = evse.outlet.reading(now)
        evse.warmth.follow(evse.outlet.stage.loss_wh, passed)
        if transaction is not None:
            if self.station.tariffs.bills:
                self.station.tariffs.look(evse)
            self._tell_changes(evse, transaction, now, passed)

    def _sleeps(self, composite: Composite) -> bool:
        return (
            composite.mode == "Idle"
            and bool(composite.period.get("evseSleep", False))
            and self.station.device.truth("SmartChargingCtrlr", "SupportsEvseSleep")
        )

    def _wish(self, evse: EvseState, composite: Composite) -> float:
        station, outlet = self.station, evse.outlet
        if evse.held_power_w is not None:
            wish = evse.held_power_w
        elif station.quirks.accepts_and_ignores:
            wish = outlet.max_charge_w
        else:
            wish = operation_modes.power_w(composite, evse.surroundings, evse.memory, outlet.max_charge_w)
        vehicle = evse.vehicle
        if wish < 0 and (vehicle is None or not vehicle.bidirectional):
            wish = 0.0
        wish = max(-outlet.max_discharge_w, min(wish, outlet.max_charge_w))
        bounded, control, fault = der.bound(
            station.controls, station.grid, wish, outlet.max_charge_w, outlet.max_discharge_w
        )
        self._alarm(evse, None if control is None else (control, fault))
        return bounded

    # what is told

    def _alarm(self, evse: EvseState, cause: tuple[str, str | None] | None) -> None:
        """R05: told once when a control takes over, once when it lets go; a change of control is no end."""
        before, evse.alarm = evse.alarm, cause
        if cause is not None and cause != before:
            self._tell_alarm(cause, False)
        elif cause is None and before is not None:
            self._tell_alarm(before, True)

    def _tell_changes(self, evse: EvseState, transaction: Transaction, now: float, passed: float) -> None:
        power, tell = evse.reading.power_w, self.station.dialect.updated
        flows = abs(power) >= FLOWS_W
        if flows:
            transaction.seconds_charging += passed
        state = "Charging" if flows else "SuspendedEVSE" if abs(evse.wish_w) < FLOWS_W else "SuspendedEV"
        if not evse.open:
            state = "Idle" if evse.vehicle is None else "EVConnected"
        elif not transaction.authorized:
            state = "SuspendedEVSE"
        if state != transaction.state:
            transaction.state = state
            tell(evse, transaction, "ChargingStateChanged")
            self._told(evse, now)
            return
        if evse.reading.soc_pct is not None and not evse.soc_told:  # a floor can't be kept by who does not know it
            evse.soc_told, evse.sampled_at = True, float("-inf")
        rated, every = max(evse.outlet.max_charge_w, 1.0), self.station.meter_interval_s
        if abs(power - evse.told_w) > CHANGED * rated and now - evse.told_at >= CHANGED_EVERY_S:
            tell(evse, transaction, "ChargingRateChanged")
            self._told(evse, now)
        elif every > 0 and now - evse.sampled_at >= every - 1e-6:
            tell(evse, transaction, "MeterValuePeriodic")
            evse.sampled_at = now
            self._told(evse, now)

    def _told(self, evse: EvseState, now: float) -> None:
        evse.told_w, evse.told_at = evse.reading.power_w, now

    # 2.1 only; the dialect of other versions never lets it come so far

    def _pull_updates(self, wall: float) -> None:
        if not self.station.online:
            return
        for held in self.station.profiles:
            every = held.profile.get("dynUpdateInterval", 0)
            if (
                held.dynamic
                and not held.external
                and every > 0
                and wall - max(held.updated_at, held.pulled_at) >= every
            ):
                held.pulled_at = wall
                self.station.later(self._pull(held.id))

    async def _pull(self, number: int) -> None:
        """K28.FR.08, .10."""
        reply = await self.station.call("PullDynamicScheduleUpdate", {"chargingProfileId": number})
        if isinstance(reply, Answered) and reply.violation is None and reply.payload["status"] == "Accepted":
            self.station.profiles.update(number, reply.payload.get("scheduleUpdate", {}), self.station.wall())
            self.station.wake()

    def _tell_turned(self, turned: der.Turned) -> None:
        body: Payload = {"controlId": turned.id, "started": turned.started, "timestamp": self.station.timestamp()}
        if turned.superseded:
            body["supersededIds"] = list(turned.superseded)
        self.station.tell("NotifyDERStartStop", body)

    def _tell_alarm(self, cause: tuple[str, str | None], ended: bool) -> None:
        body: Payload = {"controlType": cause[0], "timestamp": self.station.timestamp()}
        if cause[1] is not None:
            body["gridEventFault"] = cause[1]
        if ended:
            body["alarmEnded"] = True
        self.station.tell("NotifyDERAlarm", body)
