"""Commands to the site: how their power is shared over the EVSEs, with what each gets. Reads, never changes."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.authority.layers import PowerRequest, cannot_reach, dead_band
from gateway.authority.priority import MARGIN_W, Bound, Decision, decide, same_direction
from gateway.commands.admission import GRANTED, CommandDecision
from gateway.control.control_state import ActiveCommand, EvseControlState, EvseRegistry
from gateway.control.site_decision import SiteDecision
from gateway.energy.dispatch import share_command
from gateway.energy.resource import Resource
from gateway.model.command import Body, Verb, signed_power
from gateway.model.reason import Code, Reason, because
from gateway.model.result import Layer, Share, Status

EXCLUDING = frozenset({Code.STATION_REFUSED, Code.STATION_SILENT, Code.NOT_SEEN_ON_METER, Code.METER_SILENT})
UNLIMITED_W = 1e9  # requests everything there is


class SiteCommands:
    """Shares the power of a command to the site over the EVSEs of this gateway."""

    def __init__(self, registry: EvseRegistry, decision: SiteDecision) -> None:
        self._registry = registry
        self._decision = decision

    def decide(self, verb: Verb, body: Body) -> CommandDecision:
        """Return what each EVSE gets of a command to the site, and the sum of it."""
        total_w = signed_power(body) or 0.0
        states = [state for state in self._registry if self.may_take_part(state, verb, body)]
        if not states:
            text = "No vehicle can take part: none is in a session, or commands of a higher priority are in force."
            return CommandDecision.refusal(because(Code.NO_CARS, text), Layer.STATION, total_w)
        granted_w, site = self._within_site(total_w, states)
        alone = {state.name: self._alone(state, total_w, body) for state in states}
        powers = self._share_over(states, alone, granted_w)
        effective_w = sum(powers.values())
        shares = tuple(_share(state, powers[state.name], alone[state.name], site, total_w) for state in states)
        each = tuple(powers.items())
        if abs(effective_w - total_w) <= MARGIN_W:
            layer = Layer.COMMAND
            return CommandDecision(Status.ACCEPTED, GRANTED, total_w, effective_w, layer, True, shares, each)
        limited_by_site = abs(effective_w - granted_w) <= MARGIN_W
        binding, reason = _limiting(site if limited_by_site else None, alone.values())
        if abs(effective_w) <= MARGIN_W:
            return CommandDecision(Status.REFUSED, reason, total_w, None, binding, shares=shares)
        text = f"The vehicles together get {effective_w:.0f} W of {total_w:.0f} W. {reason.text}"
        reason = because(reason.code, text)
        return CommandDecision(Status.CLAMPED, reason, total_w, effective_w, binding, True, shares, each)

    def share(self, command: ActiveCommand, states: list[EvseControlState]) -> dict[str, float]:
        """Return the power of each EVSE that takes part in a command in force."""
        total_w = signed_power(command.body) or 0.0
        alone = {state.name: self._alone(state, total_w, command.body) for state in states}
        return self._share_over(states, alone, self._within_site(total_w, states)[0])

    def able_to_share(self, command: ActiveCommand, without: EvseControlState | None) -> list[EvseControlState]:
        """Return the EVSEs that can carry out a share of a command in force: those in it, and those that are free."""
        return [
            state
            for state in self._registry
            if state is not without
            if state.command is command or (state.command is None and not _excluded(state, command))
            if cannot_reach(state.evse, command.verb) is None
        ]

    def may_take_part(self, state: EvseControlState, verb: Verb, body: Body) -> bool:
        """Return whether a command to the site may use an EVSE now."""
        if cannot_reach(state.evse, verb) is not None:
            return False
        held = state.command
        if held is None or held.evse is None:
            return True
        return (held.verb is not Verb.STOP and held.priority <= body.priority) or held.priority < body.priority

    def _share_over(
        self, states: list[EvseControlState], alone: dict[str, Decision], granted_w: float
    ) -> dict[str, float]:
        return share_command(granted_w, [self._resource(state, alone[state.name]) for state in states])

    def _alone(self, state: EvseControlState, total_w: float, body: Body) -> Decision:
        """Return what an EVSE could carry out of the total, were it the only one."""
        power_w = UNLIMITED_W if total_w > 0 else -UNLIMITED_W if total_w < 0 else 0.0
        return self._decision.alone(state, PowerRequest(power_w, body.min_soc_pct))

    def _resource(self, state: EvseControlState, decision: Decision) -> Resource:
        band, evse = dead_band(state.evse), state.evse
        return Resource(
            state.name,
            max(0.0, decision.power_w),
            max(0.0, -decision.power_w),
            min_charge_w=band.charge_w,
            min_discharge_w=band.discharge_w,
            soc_pct=evse.soc_pct,
            capacity_wh=self._decision.capacity_wh(evse),
            floor_pct=self._decision.floor(state).pct,
        )

    def _within_site(self, total_w: float, states: list[EvseControlState]) -> tuple[float, Decision | None]:
        """Return what connection or island leave of the total, and the decision where they are what limits it."""
        bounds = self._decision.bounds_for({state.name for state in states})
        decision = decide([*bounds, Bound(Layer.COMMAND, total_w, total_w)])
        if decision.binding not in (Layer.SITE, Layer.ISLAND):
            return total_w, None
        return (decision.power_w if same_direction(decision.power_w, total_w) else 0.0), decision


def _share(state: EvseControlState, power_w: float, alone: Decision, site: Decision | None, total_w: float) -> Share:
    gets = abs(power_w) > MARGIN_W or total_w == 0
    if not gets and site is not None and same_direction(alone.power_w, total_w):
        alone = site  # the EVSE could, the connection leaves nothing
    limited = abs(abs(power_w) - abs(alone.power_w)) <= MARGIN_W and alone.binding is not Layer.COMMAND
    return Share(
        evse=state.name,
        effective_w=power_w,
        binding=alone.binding if limited or not gets else Layer.COMMAND,
        status=(Status.CLAMPED if limited else Status.ACCEPTED) if gets else Status.REFUSED,
        reason=because(alone.code, alone.text) if limited or not gets else GRANTED,
    )


def _limiting(site: Decision | None, alone: Iterable[Decision]) -> tuple[Layer, Reason]:
    """Return what limits a command to the site: the connection, else the highest layer that limits an EVSE."""
    limited = [one for one in alone if one.binding is not Layer.COMMAND]
    found = site or min(limited, key=lambda one: one.binding.rank, default=None)
    if found is None:
        return Layer.STATION, because(Code.CLAMPED, "The vehicles can do no more.")
    return found.binding, because(found.code, found.text)


def _excluded(state: EvseControlState, command: ActiveCommand) -> bool:
    """Return whether an EVSE has failed the command; a vehicle that left may return, a station that refused may not."""
    allocation = command.allocations.get(state.name)
    return allocation is not None and allocation.failure is not None and allocation.failure.code in EXCLUDING
