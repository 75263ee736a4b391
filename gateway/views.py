"""State of EVSEs and of the site as messages: what MQTT retains, the API answers and `explain` prints. Only reads."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from gateway.authority.layers import PowerRequest
from gateway.authority.site_limits import headroom, limits_of
from gateway.authority.soc_floors import Capacity, capacity_of
from gateway.control.control_state import ActiveCommand, EvseControlState, EvseRegistry, SiteControlState
from gateway.control.site_decision import SharedLimits, SiteDecision
from gateway.energy.plan_outlook import PlanOutlook, plan_outlook
from gateway.energy.service import EnergyService
from gateway.model.command import SiteMode
from gateway.model.energy_state import EnergyState
from gateway.model.event import PlugState, PowerLimits
from gateway.model.evse import Evse
from gateway.model.reason import Code, because
from gateway.model.result import Layer
from gateway.model.site import Grid, InputKind, Load, Pv, Site, Storage
from gateway.model.state import (
    CommandState,
    Connection,
    EvseState,
    Explanation,
    FailSafeState,
    Floors,
    InputState,
    LayerState,
    Limits,
    SessionState,
    SiteState,
    SiteTelemetry,
    Telemetry,
    VehicleState,
)
from gateway.readings import EvseReading, SiteReading, reading
from protocols.ports import Clock

_UNLIMITED_W = 1e9
_NOTHING = Limits(max_charge_w=0.0, max_discharge_w=0.0)
_PLUG_STATES = {
    PlugState.AVAILABLE: SessionState.AVAILABLE,
    PlugState.RESERVED: SessionState.AVAILABLE,
    PlugState.OCCUPIED: SessionState.PLUGGED,
    PlugState.UNAVAILABLE: SessionState.UNAVAILABLE,
    PlugState.FAULTED: SessionState.FAULTED,
}


@dataclass(frozen=True, slots=True)
class PowerFlow:
    """Measured powers of a site, W; None without a fresh reading. Grid: + import. Storage and vehicles: + charge."""

    grid_w: float | None
    pv_w: float | None
    load_w: float | None
    storage_w: float | None
    vehicles_w: float | None


@dataclass(frozen=True, slots=True)
class SiteSummary:
    """The part of the site's state that no decision is made for, and the EVSEs with a vehicle in session, by name."""

    mode: SiteMode
    inputs: dict[str, InputState]
    energy: EnergyState | None
    in_session: tuple[str, ...]


class StateViews:
    """Messages about EVSEs and the site."""

    def __init__(
        self,
        gateway_id: str,
        site: Site,
        registry: EvseRegistry,
        site_state: SiteControlState,
        decision: SiteDecision,
        clock: Clock,
        energy: EnergyService | None,
    ) -> None:
        self._gateway_id = gateway_id
        self._site = site
        self._registry = registry
        self._site_state = site_state
        self._decision = decision
        self._clock = clock
        self._energy = energy

    def available(self, state: EvseControlState, shared: SharedLimits | None = None) -> Limits:
        """Return what a command could get now, in both directions."""
        if state.idle:
            return _NOTHING
        shared = shared or self._shared()
        charge_w = self._decision.decide(state, PowerRequest(_UNLIMITED_W), shared).power_w
        discharge_w = -self._decision.decide(state, PowerRequest(-_UNLIMITED_W), shared).power_w
        return Limits(max_charge_w=_known(max(0.0, charge_w)), max_discharge_w=_known(max(0.0, discharge_w)))

    def evse_states(self, states: Iterable[EvseControlState]) -> list[EvseState]:
        """Return everything about several EVSEs; what their decisions share is found once."""
        shared = self._shared()
        return [self.evse_state(state, shared) for state in states]

    def _shared(self) -> SharedLimits | None:
        """Return what the decisions of this moment share; None where the site's connection has no limit: nothing."""
        return self._decision.shared() if self._decision.limited else None

    def evse_state(self, state: EvseControlState, shared: SharedLimits | None = None) -> EvseState:
        """Return everything about one EVSE."""
        evse, wall, shared = state.evse, self._clock.wall(), shared or self._shared()
        decision = self._decision.decide(state, self._decision.request(state), shared)
        session_state = SessionState.IN_SESSION if evse.session else _PLUG_STATES[evse.plug]
        if evse.fault is not None:
            session_state = SessionState.FAULTED
        return EvseState(
            evse=evse.name,
            gateway=self._gateway_id,
            station=evse.station,
            connection=Connection.CONNECTED if evse.connected else Connection.OFFLINE,
            protocol=evse.protocol or None,
            vendor=evse.vendor or None,
            model=evse.model or None,
            plugged=evse.session is not None or evse.plug is PlugState.OCCUPIED,
            session_state=session_state,
            session=evse.session,
            vehicle=_vehicle(evse, capacity_of(evse, self._site.policy)) if evse.session else None,
            mode=evse.mode.value if evse.mode else None,
            can_discharge=evse.can_discharge,
            why_not=evse.why_not or None,
            power_w=evse.power_w,
            setpoint_w=state.setpoint.sent_w,
            effective_w=decision.power_w,
            binding=decision.binding,
            reason=because(decision.code, decision.text),
            command=_command(state.command, wall),
            lease_until=state.command.lease_wall if state.command else None,
            soc_pct=evse.soc_pct,
            floors=self._floors(state),
            station_limits=_limits(evse.limits),
            vehicle_limits=_limits(evse.needs.limits if evse.needs else None),
            available=self.available(state, shared),
            fault=evse.fault,
            independent=evse.independent,
            fail_safe=_fail_safe(evse, state.setpoint.valid_for_s),
            ts=wall,
        )

    def ended_state(self, state: EvseControlState) -> EvseState:
        """Return the last state before the gateway stops: from then on power and set-point are unknown."""
        unknown = {"power_w": None, "setpoint_w": None, "effective_w": 0.0, "command": None, "lease_until": None}
        offline = {"connection": Connection.OFFLINE, "binding": Layer.STATION, "available": _NOTHING}
        reason = because(Code.OFFLINE, "The gateway has stopped.")
        return self.evse_state(state).model_copy(update={**unknown, **offline, "reason": reason})

    def telemetry(self, state: EvseControlState) -> Telemetry:
        """Return what the meter shows; every call increments `seq`."""
        state.telemetry_count += 1
        evse = state.evse
        return Telemetry(
            evse=evse.name,
            power_w=evse.power_w,
            energy_charged_wh=evse.charged.total_wh,
            energy_discharged_wh=evse.discharged.total_wh,
            soc_pct=evse.soc_pct,
            voltage_v=evse.voltage_v,
            current_a=evse.current_a,
            frequency_hz=evse.frequency_hz,
            measured_at=evse.metered_wall,
            ts=self._clock.wall(),
            seq=state.telemetry_count,
        )

    def site_state(self) -> SiteState:
        """Return the site as one group. What it could do is what its EVSEs could do, within the connection."""
        site, now, wall = self._site, self._clock.now(), self._clock.wall()
        command, grid = self._site_state.command, site.inputs.fresh(Grid, now)
        return SiteState(
            site=site.policy.site,
            gateway=self._gateway_id,
            mode=site.mode,
            emergency_stop=site.emergency_stop is not None,
            backup=site.backup,
            islanded=site.islanded,
            grid_present=grid.present if grid is not None else None,
            import_limit_w=site.policy.import_limit_w,
            export_limit_w=site.policy.export_limit_w,
            peak_limit_w=site.peak_limit_w,
            reserve_pct=site.reserve_pct,
            reserve_wh=site.reserve_wh,
            power_w=_total(state.evse.power_w for state in self._registry),
            effective_w=sum(state.effective_w for state in self._registry) + 0.0,
            command=_command(command, wall),
            lease_until=command.lease_wall if command else None,
            available=self._site_available(),
            evses=tuple(self._registry.names()),
            inputs=self._inputs(),
            energy=self._energy.state if self._energy is not None else None,
            ts=wall,
        )

    def site_summary(self) -> SiteSummary:
        """Return mode, inputs, energy state and the EVSEs in session."""
        names = sorted(state.name for state in self._registry if state.evse.session is not None)
        energy = self._energy.state if self._energy is not None else None
        return SiteSummary(self._site.mode, self._inputs(), energy, tuple(names))

    def _inputs(self) -> dict[str, InputState]:
        inputs, now = self._site.inputs, self._clock.now()
        return {
            kind.value: InputState(
                freshness=inputs.freshness(kind, now).value,
                ts=inputs.readings[kind].value.ts if kind in inputs.readings else None,
            )
            for kind in InputKind
        }

    def _site_available(self) -> Limits:
        shared = self._decision.shared()
        each = [self.available(state, shared) for state in self._registry]
        charge_w, discharge_w = sum(one.max_charge_w for one in each), sum(one.max_discharge_w for one in each)
        if shared.base.power_w is not None:
            left = headroom(limits_of(self._site), shared.base)
            charge_w, discharge_w = min(charge_w, max(0.0, left.high_w)), min(discharge_w, max(0.0, -left.low_w))
        return Limits(max_charge_w=charge_w, max_discharge_w=discharge_w)

    def power_flow(self) -> PowerFlow:
        """Return the measured powers of the site. Without a load meter the load follows from the others."""
        inputs, now = self._site.inputs, self._clock.now()
        grid, pv, load = inputs.fresh(Grid, now), inputs.fresh(Pv, now), inputs.fresh(Load, now)
        storage = inputs.fresh(Storage, now)
        grid_w, pv_w = grid.power_w if grid else None, pv.power_w if pv else None
        storage_w = storage.power_w if storage else None
        vehicles_w = _total(state.evse.power_w for state in self._registry)
        load_w = load.power_w if load else None
        if load_w is None and grid_w is not None:
            load_w = max(0.0, grid_w + (pv_w or 0.0) - (storage_w or 0.0) - (vehicles_w or 0.0))
        return PowerFlow(grid_w, pv_w, load_w, storage_w, vehicles_w)

    def plan_outlook(self) -> PlanOutlook | None:
        """Return the look-ahead plan with what it follows from; None without energy management."""
        if self._energy is None:
            return None
        plan, settings = self._energy.controller.on_grid.plan, self._energy.settings
        return plan_outlook(plan, self._site, self._registry, settings, self._clock.now())

    def site_telemetry(self, seq: int) -> SiteTelemetry:
        """Return all EVSEs together; energies are of those that measure."""
        evses = [state.evse for state in self._registry]
        return SiteTelemetry(
            power_w=_total(evse.power_w for evse in evses),
            energy_charged_wh=_total(evse.charged.total_wh for evse in evses),
            energy_discharged_wh=_total(evse.discharged.total_wh for evse in evses),
            evses_measured=sum(evse.power_w is not None for evse in evses),
            base_w=self._decision.base().power_w,
            ts=self._clock.wall(),
            seq=seq,
        )

    def readings(self) -> list[EvseReading]:
        """Return the power, the energy and the state of charge of each EVSE, by name."""
        return [reading(state) for state in sorted(self._registry, key=lambda one: one.name)]

    def site_reading(self) -> SiteReading:
        """Return the mode of the site and the fresh inputs of its meters."""
        site, inputs, now = self._site, self._site.inputs, self._clock.now()
        grid, pv, storage = inputs.fresh(Grid, now), inputs.fresh(Pv, now), inputs.fresh(Storage, now)
        return SiteReading(site.mode, site.islanded, site.policy.export_limit_w != 0, grid, pv, storage)

    def explain(self, state: EvseControlState) -> Explanation:
        """Return the decision layer by layer."""
        wall, decision = self._clock.wall(), self._decision.current(state)
        rows = tuple(
            LayerState(
                layer=one.bound.layer,
                low_w=_finite(one.bound.low_w),
                high_w=_finite(one.bound.high_w),
                left_low_w=_finite(one.low_w),
                left_high_w=_finite(one.high_w),
                code=one.bound.code.value,
                text=one.bound.text,
            )
            for one in decision.layers
        )
        return Explanation(
            evse=state.name,
            effective_w=decision.power_w,
            setpoint_w=state.setpoint.sent_w,
            binding=decision.binding,
            reason=because(decision.code, decision.text),
            layers=rows,
            command=_command(state.command, wall),
            lease_until=state.command.lease_wall if state.command else None,
            ts=wall,
        )

    def _floors(self, state: EvseControlState) -> Floors:
        reserve = state.reserve.pct if state.reserve else None
        return Floors(
            site_pct=self._site.policy.min_soc_pct or None,
            reserve_pct=max((pct for pct in (reserve, self._site.reserve_pct) if pct is not None), default=None),
            command_pct=state.command.body.min_soc_pct if state.command else None,
            in_force_pct=self._decision.floor(state).pct or None,
            reached=state.floor_reached,
        )


def _command(command: ActiveCommand | None, wall: float) -> CommandState | None:
    if command is None:
        return None
    return CommandState(
        id=command.body.id,
        verb=command.verb.value,
        source=command.body.source,
        client=command.client,
        priority=command.priority,
        requested_w=command.requested_w(wall),
    )


def _vehicle(evse: Evse, capacity: Capacity) -> VehicleState:
    needs = evse.needs
    names = ("bidirectional", "energy_transfer", "control_mode", "departure", "target_soc_pct")
    return VehicleState(
        id=evse.vehicle,
        link=evse.vehicle_link,
        capacity_wh=capacity.energy_wh,
        capacity_assumed=capacity.assumed,
        **{name: getattr(needs, name) for name in names if needs is not None},
    )


def _total(values: Iterable[float | None]) -> float | None:
    """Return the sum of the known values, None without any."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _fail_safe(evse: Evse, valid_for_s: float) -> FailSafeState | None:
    one = evse.fail_safe
    if one is None:
        return None
    within_s = one.within_s if not one.expires else min(valid_for_s, one.within_s or valid_for_s)
    return FailSafeState(within_s=within_s, text=one.text)


def _limits(limits: PowerLimits | None) -> Limits | None:
    if limits is None:
        return None
    return Limits(max_charge_w=limits.max_charge_w, max_discharge_w=limits.max_discharge_w)


def _finite(value: float) -> float | None:
    return value + 0.0 if math.isfinite(value) else None


def _known(value: float) -> float:
    """Return 0 W where nothing known limits the power."""
    return 0.0 if value >= _UNLIMITED_W else value
