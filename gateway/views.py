"""The core's state as messages: what MQTT retains, the API answers and `explain` prints. Reads, never changes."""

from __future__ import annotations

import math

from gateway.authority.capacity import capacity_of
from gateway.authority.layers import Asked, layers
from gateway.authority.priority import Decision, decide
from gateway.authority.site_limits import headroom, limits_of
from gateway.commands.active_command import ActiveCommand
from gateway.control.board import Board, Shared
from gateway.control.control_state import EvseControlState
from gateway.model.event import PlugState, PowerLimits
from gateway.model.reason import because
from gateway.model.site import Grid, InputKind
from gateway.model.state import (
    CommandState,
    Connection,
    EvseState,
    Explanation,
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
from gateway.store.ports import Sample

_FAR_W = 1e9
_NOTHING = Limits(max_charge_w=0.0, max_discharge_w=0.0)
_PLUG_STATES = {
    PlugState.AVAILABLE: SessionState.AVAILABLE,
    PlugState.RESERVED: SessionState.AVAILABLE,
    PlugState.OCCUPIED: SessionState.PLUGGED,
    PlugState.UNAVAILABLE: SessionState.UNAVAILABLE,
    PlugState.FAULTED: SessionState.FAULTED,
}


def current(board: Board, place: EvseControlState) -> Decision:
    """The decision now; the governor's last one is the same unless something changed this instant."""
    return board.decide(place, board.asked(place))


def available(board: Board, place: EvseControlState, shared: Shared | None = None) -> Limits:
    """What a command could get now, both ways."""
    if place.idle:
        return _NOTHING
    shared = shared or board.shared()
    charge, discharge = (board.decide(place, Asked(far_w, ""), shared).power_w for far_w in (_FAR_W, -_FAR_W))
    return Limits(max_charge_w=_sane(max(0.0, charge)), max_discharge_w=_sane(max(0.0, -discharge)))


def evse_state(board: Board, place: EvseControlState) -> EvseState:
    """Everything about one EVSE."""
    evse, decision, wall = place.evse, current(board, place), board.clock.wall()
    session_state = SessionState.IN_SESSION if evse.session else _PLUG_STATES[evse.plug]
    if evse.fault is not None:
        session_state = SessionState.FAULTED
    needs, capacity = evse.needs, capacity_of(evse, board.site.policy)
    return EvseState(
        evse=evse.name,
        gateway=board.settings.gateway_id,
        station=evse.station,
        connection=Connection.CONNECTED if evse.connected else Connection.OFFLINE,
        protocol=evse.protocol or None,
        vendor=evse.vendor or None,
        model=evse.model or None,
        plugged=evse.session is not None or evse.plug is PlugState.OCCUPIED,
        session_state=session_state,
        session=evse.session,
        vehicle=VehicleState(
            id=evse.vehicle,
            bidirectional=needs.bidirectional if needs else None,
            energy_transfer=needs.energy_transfer if needs else None,
            control_mode=needs.control_mode if needs else None,
            capacity_wh=capacity.energy_wh,
            capacity_assumed=capacity.assumed,
            departure=needs.departure if needs else None,
            target_soc_pct=needs.target_soc_pct if needs else None,
        )
        if evse.session
        else None,
        mode=evse.mode.value if evse.mode else None,
        can_discharge=evse.can_discharge,
        why_not=evse.why_not or None,
        power_w=evse.power_w,
        setpoint_w=place.sent_w,
        effective_w=decision.power_w,
        binding=decision.binding.value,
        reason=because(decision.code, decision.text),
        command=command_state(place.holding, wall),
        lease_until=place.holding.lease_wall if place.holding else None,
        soc_pct=evse.soc_pct,
        floors=_floors(board, place),
        station_limits=_limits(evse.limits),
        vehicle_limits=_limits(needs.limits if needs else None),
        available=available(board, place),
        fault=evse.fault,
        ts=wall,
    )


def telemetry(board: Board, place: EvseControlState) -> Telemetry:
    """What the meter shows."""
    place.seq += 1
    evse = place.evse
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
        ts=board.clock.wall(),
        seq=place.seq,
    )


def samples(board: Board) -> list[Sample]:
    """What the store keeps of the meters, one row per EVSE that measures."""
    wall = board.clock.wall()
    return [
        Sample(evse.name, wall, evse.power_w, evse.soc_pct, evse.charged.total_wh, evse.discharged.total_wh)
        for evse in (place.evse for place in board.places.values())
        if evse.power_w is not None
    ]


def site_state(board: Board) -> SiteState:
    """The site as one group. What it could do is what its EVSEs could do, within the connection."""
    site, now, wall = board.site, board.clock.now(), board.clock.wall()
    places = list(board.places.values())
    powers = [place.evse.power_w for place in places if place.evse.power_w is not None]
    shared = board.shared()
    each = [available(board, place, shared) for place in places]
    charge_w, discharge_w = sum(one.max_charge_w for one in each), sum(one.max_discharge_w for one in each)
    base = shared.base.power_w
    if base is not None:
        left = headroom(limits_of(site), base)
        charge_w, discharge_w = min(charge_w, max(0.0, left.high_w)), min(discharge_w, max(0.0, -left.low_w))
    holding = board.site_holding
    grid = site.inputs.fresh(Grid, now)
    return SiteState(
        site=site.policy.site,
        gateway=board.settings.gateway_id,
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
        power_w=sum(powers) if powers else None,
        effective_w=sum(place.effective_w for place in places) + 0.0,
        command=command_state(holding, wall),
        lease_until=holding.lease_wall if holding else None,
        available=Limits(max_charge_w=charge_w, max_discharge_w=discharge_w),
        evses=tuple(sorted(board.places)),
        inputs={
            kind.value: InputState(
                freshness=site.inputs.freshness(kind, now).value,
                ts=site.inputs.readings[kind].value.ts if kind in site.inputs.readings else None,
            )
            for kind in InputKind
        },
        energy=board.energy() if board.energy is not None else None,
        ts=wall,
    )


def site_telemetry(board: Board, seq: int) -> SiteTelemetry:
    """All EVSEs together; energies are of those that measure."""
    evses = [place.evse for place in board.places.values()]
    powers = [evse.power_w for evse in evses if evse.power_w is not None]
    charged = [evse.charged.total_wh for evse in evses if evse.charged.total_wh is not None]
    discharged = [evse.discharged.total_wh for evse in evses if evse.discharged.total_wh is not None]
    return SiteTelemetry(
        power_w=sum(powers) if powers else None,
        energy_charged_wh=sum(charged) if charged else None,
        energy_discharged_wh=sum(discharged) if discharged else None,
        evses_measured=len(powers),
        base_w=board.base().power_w,
        ts=board.clock.wall(),
        seq=seq,
    )


def command_state(holding: ActiveCommand | None, wall: float) -> CommandState | None:
    """The command in force."""
    if holding is None:
        return None
    return CommandState(
        id=holding.id,
        verb=holding.verb.value,
        source=holding.body.source,
        priority=holding.priority,
        requested_w=holding.asks(wall),
    )


def explain(board: Board, place: EvseControlState) -> Explanation:
    """Layer by layer."""
    wall = board.clock.wall()
    decision = decide(*layers(board.situation(place, board.asked(place))))
    rows = tuple(
        LayerState(
            layer=one.bound.layer.value,
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
        evse=place.name,
        effective_w=decision.power_w,
        setpoint_w=place.sent_w,
        binding=decision.binding.value,
        reason=because(decision.code, decision.text),
        layers=rows,
        command=command_state(place.holding, wall),
        lease_until=place.holding.lease_wall if place.holding else None,
        ts=wall,
    )


def _floors(board: Board, place: EvseControlState) -> Floors:
    holding = place.holding
    reserve = place.reserve.pct if place.reserve else None
    in_force = board.floor_pct(place)
    return Floors(
        site_pct=board.site.policy.min_soc_pct or None,
        reserve_pct=max((pct for pct in (reserve, board.site.reserve_pct) if pct is not None), default=None),
        command_pct=holding.body.min_soc_pct if holding else None,
        in_force_pct=in_force or None,
        reached=place.floor_reached,
    )


def _limits(limits: PowerLimits | None) -> Limits | None:
    if limits is None:
        return None
    return Limits(max_charge_w=limits.max_charge_w, max_discharge_w=limits.max_discharge_w)


def _finite(value: float) -> float | None:
    return value + 0.0 if math.isfinite(value) else None


def _sane(value: float) -> float:
    """Nothing known limits it: say 0 rather than a billion."""
    return 0.0 if value >= _FAR_W else value
