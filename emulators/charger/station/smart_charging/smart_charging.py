"""Smart charging step: applies charging profiles, operation modes and DER controls to each EVSE, reports changes.

What a profile or a mode amounts to is in `profiles.py` and `operation_modes.py`, DER controls are in `der.py` and
`grid_protection.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace

from emulators.charger.station.context import StationContext
from emulators.charger.station.evse import EvseState
from emulators.charger.station.monitoring.event_streams import EventStreams
from emulators.charger.station.monitoring.monitoring import Monitoring
from emulators.charger.station.ocpp_enums import ChargingState, OperationMode, TriggerReason
from emulators.charger.station.responses import is_accepted
from emulators.charger.station.smart_charging import der, operation_modes
from emulators.charger.station.smart_charging.profiles import Profiles
from emulators.charger.station.smart_charging.schedule import Composite, EvseConditions
from emulators.charger.station.tariffs.tariffs import Tariffs
from emulators.charger.station.transaction import Transaction
from protocols.ocpp.enums import v21
from protocols.ocpp.schema import Payload

FLOW_W = 50.0  # W; less counts as no energy flow
RATE_CHANGE = 0.02  # of the rated power: a change that is reported at once
RATE_CHANGE_S = 1.0  # shortest time between two such reports
IDLE_TICK_S = 60.0  # between two steps without a transaction; events wake the station earlier


class SmartCharging:
    """Power control of all EVSEs of a station, step by step."""

    def __init__(
        self,
        context: StationContext,
        profiles: Profiles,
        controls: der.DerControls,
        monitoring: Monitoring,
        event_streams: EventStreams,
        tariffs: Tariffs,
    ) -> None:
        self._context, self._clock = context, context.clock
        self._profiles, self._controls = profiles, controls
        self._monitoring, self._event_streams, self._tariffs = monitoring, event_streams, tariffs
        self.grid = der.Grid()
        self.sample_interval_s = context.config.meter_interval_s  # of samples in a transaction, 0 for none
        self._woken = asyncio.Event()
        self._last_step: float | None = None

    def wake(self) -> None:
        """Request a step at once."""
        self._woken.set()

    def measure_grid(self, voltage_v: float | None, frequency_hz: float | None) -> None:
        """Set the grid voltage or frequency at the connection point."""
        if voltage_v is not None:
            self.grid = replace(self.grid, voltage_v=voltage_v)
        if frequency_hz is not None:
            self.grid = replace(self.grid, frequency_hz=frequency_hz)
            for evse in self._context.evses.values():
                evse.conditions.frequency_hz = frequency_hz
        self.wake()

    async def run(self) -> None:
        """Step when the station is woken and when time changes a setpoint, until cancelled."""
        while True:
            self.step()
            self._woken.clear()
            with contextlib.suppress(TimeoutError):
                async with self._clock.timeout_at(self._clock.now() + self._idle_s()):
                    await self._woken.wait()

    def _idle_s(self) -> float:
        """Return the time until something can change by itself. Profiles and DER controls change at exact times."""
        context, now = self._context, self._clock.now()
        wall = context.wall()
        changes = [self._controls.next_change_at(wall), self._monitoring.next_change_at()]
        changes.append(self._tariffs.next_change_at())
        busy = [evse for evse in context.evses.values() if evse.transaction]
        changes += [self._profiles.present(evse.number, wall, evse.profile_conditions)[1] for evse in busy]
        pulls = any(installed.profile.get("dynUpdateInterval") for installed in self._profiles)
        active = busy or pulls or self._monitoring.monitors.custom
        waits = [change - wall for change in changes if change is not None]
        protections = [evse.protection.next_change_at() for evse in context.evses.values()]
        waits += [at - now for at in protections if at is not None]
        tick_s = context.config.tick_s if active else max(IDLE_TICK_S, context.config.tick_s)
        return max(1e-3, min([tick_s, *waits]))

    def step(self) -> None:
        """Control and measure all EVSEs once."""
        context, now = self._context, self._clock.now()
        wall = context.wall()
        for transition in self._controls.tick(wall):
            context.save("controls")
            self._notify_transition(transition)
        elapsed = 0.0 if self._last_step is None else now - self._last_step
        self._last_step = now
        for evse in context.evses.values():
            self._step_evse(evse, now, wall, elapsed)
        self._pull_updates(wall)
        if len(self._monitoring.monitors):
            self._monitoring.update()
        if len(self._event_streams):
            context.later(self._event_streams.update())

    # profile in force

    def evse_conditions(self, evse: EvseState) -> EvseConditions:
        """Return what the profiles of an EVSE depend on now."""
        context, transaction = self._context, evse.transaction
        return EvseConditions(
            transaction=None if transaction is None else transaction.name,
            ready_at=None if transaction is None else transaction.ready_at,
            soc_pct=evse.reading.soc_pct if self._profiles.limits_at_soc else None,
            offline_since=context.offline_since,
            priority=evse.priority,
            setpoint_priority=context.device_model.get("SmartChargingCtrlr", "SetpointPriority") or "ExternalControl",
            max_charge_w=evse.power_path.max_charge_w,
            max_discharge_w=evse.power_path.max_discharge_w,
            sharers=sum(1 for one in context.evses.values() if one.transaction is not None) or 1,
        )

    def composite(self, evse: EvseState) -> Composite:
        """Return the composite of all profiles now; without any where the quirk `limit_lapses_s` has expired it."""
        return self._composite(evse, self._context.wall())

    def _composite(self, evse: EvseState, wall: float) -> Composite:
        evse.profile_conditions = self.evse_conditions(evse)
        composite, _ = self._profiles.present(evse.number, wall, evse.profile_conditions)
        lapse_s = self._context.quirks.limit_lapses_s
        if lapse_s is None or composite.profile is None:
            return composite
        installed = self._profiles.get(composite.profile)
        return Composite() if installed is not None and wall - installed.updated_at > lapse_s else composite

    def _step_evse(self, evse: EvseState, now: float, wall: float, elapsed: float) -> None:
        transaction = evse.transaction
        evse.composite = composite = self._composite(evse, wall)
        evse.sleeping = (
            composite.mode == OperationMode.idle
            and bool(composite.period.get("evseSleep", False))
            and self._context.device_model.truth("SmartChargingCtrlr", "SupportsEvseSleep")
        )
        if transaction is not None and composite.mode != transaction.mode:
            transaction.mode = composite.mode
            self._context.messages.updated(evse, transaction, TriggerReason.operation_mode_changed)
        may = transaction is not None and evse.open and transaction.authorized
        self._protect(evse, now)
        evse.setpoint_w = self._setpoint(evse, composite) if may else 0.0
        if not may:
            self._update_alarm(evse, None)
        evse.power_path.set_power(evse.setpoint_w, now)
        evse.reading = evse.power_path.reading(now)
        evse.thermal.update(evse.power_path.stage.loss_wh, elapsed)
        if transaction is not None:
            if self._tariffs.bills:
                self._tariffs.update(evse)
            self._report_changes(evse, transaction, now, elapsed)

    def _protect(self, evse: EvseState, now: float) -> None:
        """Block or release the converter of an EVSE by its trip and momentary cessation curves."""
        protection, rated = evse.protection, evse.power_path.max_discharge_w
        if len(self._controls) or protection.cause is not None:
            discharge_pct = 100.0 * max(-evse.reading.power_w, 0.0) / rated if rated else 0.0
            protection.update(self._controls, self.grid, discharge_pct, now)
            evse.power_path.stage.block(protection.cause is not None, now)

    def _setpoint(self, evse: EvseState, composite: Composite) -> float:
        """Return the set-point of an EVSE within the limits of hardware and DER controls, W, + into the vehicle."""
        power_path = evse.power_path
        if evse.vendor_setpoint_w is not None:
            setpoint = evse.vendor_setpoint_w
        elif self._context.quirks.accepts_and_ignores:
            setpoint = power_path.max_charge_w
        else:
            setpoint = operation_modes.power_w(composite, evse.conditions, evse.algorithm, power_path.max_charge_w)
        vehicle = evse.vehicle
        if setpoint < 0 and (vehicle is None or not vehicle.bidirectional):
            setpoint = 0.0
        setpoint = max(-power_path.max_discharge_w, min(setpoint, power_path.max_charge_w))
        if evse.protection.cause is not None:
            self._update_alarm(evse, evse.protection.cause)
            return 0.0
        bounded, control, fault = der.bound(
            self._controls, self.grid, setpoint, power_path.max_charge_w, power_path.max_discharge_w
        )
        self._update_alarm(evse, None if control is None else (control, fault))
        return bounded

    # reports

    def _update_alarm(self, evse: EvseState, cause: tuple[str, str | None] | None) -> None:
        """Notify the start and end of an alarm once each; a change of the control is no end (R05)."""
        before, evse.alarm = evse.alarm, cause
        reported = cause or before
        if reported is None or cause == before:
            return
        body: Payload = {"controlType": reported[0], "timestamp": self._context.timestamp()}
        if reported[1] is not None:
            body["gridEventFault"] = reported[1]
        if cause is None:
            body["alarmEnded"] = True
        self._context.notify(v21.Action.notify_der_alarm, body)

    def _report_changes(self, evse: EvseState, transaction: Transaction, now: float, elapsed: float) -> None:
        power, updated = evse.reading.power_w, self._context.messages.updated
        if abs(power) >= FLOW_W:
            transaction.seconds_charging += elapsed
        state = charging_state(evse, transaction)
        if state != transaction.state:
            transaction.state = state
            updated(evse, transaction, TriggerReason.charging_state_changed)
            self._reported(evse, now)
            return
        if evse.reading.soc_pct is not None and not evse.soc_reported:  # the CSMS needs the SoC to protect a floor
            evse.soc_reported, evse.sampled_at = True, float("-inf")
        rated, interval = max(evse.power_path.max_charge_w, 1.0), self.sample_interval_s
        if abs(power - evse.reported_w) > RATE_CHANGE * rated and now - evse.reported_at >= RATE_CHANGE_S:
            updated(evse, transaction, TriggerReason.charging_rate_changed)
            self._reported(evse, now)
        elif interval > 0 and now - evse.sampled_at >= interval - 1e-6:
            updated(evse, transaction, TriggerReason.meter_value_periodic)
            evse.sampled_at = now
            self._reported(evse, now)

    def _reported(self, evse: EvseState, now: float) -> None:
        evse.reported_w, evse.reported_at = evse.reading.power_w, now

    # 2.1 only: profiles and controls of other versions never reach these

    def _pull_updates(self, wall: float) -> None:
        """Request updates of dynamic profiles at their dynUpdateInterval."""
        if not self._context.online:
            return
        for installed in self._profiles:
            interval = installed.profile.get("dynUpdateInterval", 0)
            due = wall - max(installed.updated_at, installed.pulled_at) >= interval > 0
            if due and installed.dynamic and not installed.external:
                installed.pulled_at = wall
                self._context.later(self._pull(installed.id))

    async def _pull(self, number: int) -> None:
        """Request an update of one dynamic profile (K28.FR.08, .10)."""
        reply = await self._context.call(v21.Action.pull_dynamic_schedule_update, {"chargingProfileId": number})
        if is_accepted(reply):
            self._profiles.update(number, reply.payload.get("scheduleUpdate", {}), self._context.wall())
            self.wake()

    def _notify_transition(self, transition: der.ControlTransition) -> None:
        now = self._context.timestamp()
        body: Payload = {"controlId": transition.id, "started": transition.started, "timestamp": now}
        if transition.superseded:
            body["supersededIds"] = list(transition.superseded)
        self._context.notify(v21.Action.notify_der_start_stop, body)


def charging_state(evse: EvseState, transaction: Transaction) -> str:
    """Return ChargingStateEnumType of a running transaction."""
    if not evse.open:
        return ChargingState.idle if evse.vehicle is None else ChargingState.ev_connected
    if not transaction.authorized:
        return ChargingState.suspended_evse
    if abs(evse.reading.power_w) >= FLOW_W:
        return ChargingState.charging
    return ChargingState.suspended_evse if abs(evse.setpoint_w) < FLOW_W else ChargingState.suspended_ev
