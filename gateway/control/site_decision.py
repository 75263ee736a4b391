"""Decision for an EVSE: everything known is assembled into one `Situation`, which `authority` decides.

The answer to a command and the set-point that is sent later come from the same function.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from gateway.authority.island_limits import SUPPLIES_ISLAND_W, island_total_bound
from gateway.authority.layers import PowerRequest, Situation, layers
from gateway.authority.meter_model import STORAGE, MeterModel
from gateway.authority.priority import Bound, Decision, decide, still_holds
from gateway.authority.site_limits import Base, allowed_grid_w, base_power, connection_w, limits_of, site_bounds
from gateway.authority.soc_floors import Floor, ReserveInForce, capacity_of, floor_in_force, floor_reached, floors_of
from gateway.control.control_state import EvseControlState, EvseRegistry
from gateway.model.evse import Evse
from gateway.model.site import Grid, InputKind, Site, Switch
from protocols.ports import Clock


@dataclass(frozen=True, slots=True)
class SharedLimits:
    """The site without its EVSEs, and the least and the most that each EVSE may be taking, W, at one moment."""

    base: Base
    spans: dict[str, tuple[float, float]]
    low_w: float = field(init=False)
    high_w: float = field(init=False)

    def __post_init__(self) -> None:
        low_w = high_w = 0.0
        for low, high in self.spans.values():
            low_w, high_w = low_w + low, high_w + high
        object.__setattr__(self, "low_w", low_w)
        object.__setattr__(self, "high_w", high_w)

    def others(self, evse: str) -> tuple[float, float]:
        """Return (least, most) of all other EVSEs together."""
        own = self.spans.get(evse)
        if own is None:
            return self.low_w, self.high_w
        if len(self.spans) == 1:
            return 0.0, 0.0
        return self.low_w - own[0], self.high_w - own[1]


class SiteDecision:
    """Decides about EVSEs from the site, the facility's inputs and the other EVSEs. Reads, never changes."""

    def __init__(self, site: Site, registry: EvseRegistry, meter: MeterModel, clock: Clock) -> None:
        self._site = site
        self._registry = registry
        self._meter = meter
        self._clock = clock

    @property
    def limited(self) -> bool:
        """True where the site's connection has any limit, so that the power of one EVSE matters to the others."""
        policy = self._site.policy
        return not (policy.import_limit_w is policy.export_limit_w is self._site.peak_limit_w is None)

    @property
    def ramp_w_per_s(self) -> float:
        """Rate at which power goes to 0 W when a command ends."""
        return self._site.policy.ramp_w_per_s

    def next_input_change(self, now: float) -> float | None:
        """Return when the next input of the facility becomes stale."""
        return self._site.inputs.next_change(now)

    def record(self, state: EvseControlState) -> None:
        """Record the power of an EVSE: its order, its reading or its session has changed."""
        now = self._clock.now()
        self._meter.history.record(state.name, now, state.flowing_w(now))

    def forget(self, state: EvseControlState) -> None:
        """Record that an EVSE that is removed takes no power any more."""
        self._meter.history.record(state.name, self._clock.now(), (0.0,))

    def grid_metered(self) -> None:
        """Apply the reading of the grid meter that has been received."""
        reading = self._site.inputs.readings.get(InputKind.GRID)
        if reading is None or not isinstance(grid := reading.value, Grid) or grid.power_w is None:
            return
        for state in self._registry:
            self.record(state)
        age_s = self._clock.wall() - grid.ts
        site = self._site
        allowed = allowed_grid_w(limits_of(site))
        self._meter.metered(self._clock.now(), grid.ts, age_s, grid.power_w, connection_w(site), allowed)

    def base(self) -> Base:
        """Return the site's power without its EVSEs."""
        return base_power(self._site, self._meter.base_load((STORAGE,)), self._clock.now())

    def shared(self) -> SharedLimits:
        """Return what all decisions of one moment share: one pass over the EVSEs serves them all."""
        return SharedLimits(self.base(), {state.name: self.span(state) for state in self._registry if state.counts})

    def span(self, state: EvseControlState) -> tuple[float, float]:
        """Return the least and the most an EVSE may be taking now, by an order that a newer one has overtaken, too."""
        return state.span(*self._meter.history.present(state.name))

    def bounds_for(self, taking_part: set[str]) -> list[Bound]:
        """Return what the connection or the island leaves for some EVSEs together, without their own power."""
        if (island_w := self._site.island_w) is not None:
            return [island_total_bound(island_w)]
        spans = [self.span(state) for state in self._registry if state.counts and state.name not in taking_part]
        high_w, low_w = sum(high for _, high in spans), sum(low for low, _ in spans)
        return site_bounds(self._site, self.base(), high_w, low_w)

    def _situation(
        self,
        state: EvseControlState,
        request: PowerRequest | None,
        site_bounds: tuple[Bound, ...],
        floor: Floor,
        reached: bool,
    ) -> Situation:
        """Return everything that decides about an EVSE now, if `request` were in force."""
        return Situation(
            evse=state.evse,
            site=self._site,
            now=self._clock.now(),
            wall=self._clock.wall(),
            site_bounds=site_bounds,
            request=request,
            floor=floor,
            floor_reached=reached,
            optimiser=state.optimiser,
            extra=state.extra,
        )

    def decide(
        self, state: EvseControlState, request: PowerRequest | None, shared: SharedLimits | None = None
    ) -> Decision:
        """Return the power, the limiting layer and the reason. `shared`: of this moment, where many are decided."""
        return self._decide(state, request, self._site_bounds(state, shared))

    def alone(self, state: EvseControlState, request: PowerRequest) -> Decision:
        """Return the decision as if the site's connection had no limit."""
        return self._decide(state, request, ())

    def _decide(
        self,
        state: EvseControlState,
        request: PowerRequest | None,
        site_bounds: tuple[Bound, ...],
        floor: tuple[Floor, bool] | None = None,
    ) -> Decision:
        if floor is None:
            in_force = self._floor(state, request)
            floor = in_force, self._reached(state, in_force)
        found, dead_band = layers(self._situation(state, request, site_bounds, *floor))
        return decide(found, None if state.forms_grid else dead_band)

    def current(self, state: EvseControlState, floor: tuple[Floor, bool] | None = None) -> Decision:
        """Return the decision for what is in force now. `floor`: as `floor_now` has returned it, where it is known."""
        return self._decide(state, self.request(state), self._site_bounds(state, None), floor)

    def outdated(self) -> Iterator[EvseControlState]:
        """Yield the EVSEs whose decision the site's connection may have changed."""
        shared = self.shared()
        for state in self._registry:
            if state.idle:
                continue
            if state.decision is None or not still_holds(state.decision, self._site_bounds(state, shared)):
                yield state

    def request(self, state: EvseControlState) -> PowerRequest | None:
        """Return what the command in force requests of an EVSE."""
        allocation, command = state.allocation, state.command
        if allocation is None or command is None:
            return None
        return PowerRequest(allocation.power_w, command.body.min_soc_pct)

    def may_supply_island(self, state: EvseControlState, supplied: bool = False) -> bool:
        """Return whether the charger may be supplying an island by itself: without a grid, behind no closed switch.

        Such a charger forms the voltage, or shares it with another one, whatever set-point it has accepted. Of one that
        cannot be discharged by order the meter has to show it, now or (`supplied`) since the grid was lost.
        """
        site, last = self._site, self._site.last_grid
        switch, by_order = site.inputs.fresh(Switch, self._clock.now()), state.evse.can_discharge
        if switch is not None and not switch.open:
            return False
        power_w = state.evse.power_w or 0.0
        takes_surplus = switch is not None and power_w > SUPPLIES_ISLAND_W
        shown = power_w < -SUPPLIES_ISLAND_W or takes_surplus
        if not by_order and not supplied and not shown:
            return False
        if site.islanded:
            return not by_order or state.name in site.policy.grid_forming
        if switch is not None:  # open: the grid may be back before the site is connected to it again
            return True
        return last is not None and not last.present

    def capacity_wh(self, evse: Evse) -> float:
        """Return the capacity of the vehicle's battery to calculate with."""
        return capacity_of(evse, self._site.policy).energy_wh

    def floor(self, state: EvseControlState) -> Floor:
        """Return the SoC floor in force."""
        return self._floor(state, self.request(state))

    def floor_now(self, state: EvseControlState) -> tuple[Floor, bool]:
        """Return the SoC floor in force, and whether it counts as reached now, with hysteresis."""
        floor = self.floor(state)
        return floor, self._reached(state, floor)

    def _floor(self, state: EvseControlState, request: PowerRequest | None) -> Floor:
        # energy management hands a grid-forming source over before the vehicle's own floors are reached
        found = floors_of(state.evse, self._site, state.reserve, state.agreed_pct, of_vehicle=not state.forms_grid)
        schedule = state.schedule or ReserveInForce(off_grid=self._site.islanded)
        # a command's own floor does not end the supply of an island
        commanded_pct = request.min_soc_pct if request is not None and not state.forms_grid else None
        return floor_in_force(found, schedule, commanded_pct)

    def _reached(self, state: EvseControlState, floor: Floor) -> bool:
        hysteresis_pct = self._site.policy.floor_hysteresis_pct
        return floor_reached(state.floor_reached, state.evse.soc_pct, floor.pct, hysteresis_pct)

    def _site_bounds(self, state: EvseControlState, shared: SharedLimits | None) -> tuple[Bound, ...]:
        if not self.limited:
            return ()
        shared = shared or self.shared()
        low_w, high_w = shared.others(state.name)
        return tuple(site_bounds(self._site, shared.base, high_w, low_w))
