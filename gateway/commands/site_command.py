"""Commands to the site: one power shared over the cars, with what each got; cars come, go and fail while it lasts."""

from __future__ import annotations

from gateway.authority.capacity import capacity_of
from gateway.authority.hardware_limits import dead_band
from gateway.authority.layers import Asked, layers
from gateway.authority.priority import MARGIN_W, RANK, Bound, Decision, Layer, decide
from gateway.authority.refusal import cannot_reach
from gateway.authority.site_limits import site_bounds
from gateway.commands.active_command import ActiveCommand, Allocation, Stage
from gateway.commands.decision import GRANTED, CommandDecision
from gateway.commands.lifecycle import CommandLifecycle
from gateway.commands.submission import Parsed
from gateway.control.board import Board
from gateway.control.control_state import EvseControlState
from gateway.energy.resource import Resource
from gateway.energy.share import share_command
from gateway.model.command import LEASED, Body, Verb, signed_power
from gateway.model.reason import Code, Reason, because
from gateway.model.result import Share, Status

LET_DOWN = frozenset({Code.STATION_REFUSED, Code.STATION_SILENT, Code.NOT_SEEN_ON_METER, Code.METER_SILENT})
FAR_W = 1e9  # asks for everything there is


class SiteCommands:
    """Shares a power over the EVSEs of this gateway."""

    def __init__(self, board: Board, endings: CommandLifecycle) -> None:
        self._board = board
        self._endings = endings
        endings.shared_again = self.share_again

    def bind(self, parsed: Parsed) -> CommandDecision:
        """What each EVSE gets of a command to the site, and what that makes together."""
        total_w = signed_power(parsed.verb, parsed.body) or 0.0
        places = [place for place in self._board.places.values() if self.may_take(place, parsed.verb, parsed.body)]
        if not places:
            text = (
                "No car of this site can take part: none is in a session, or commands of a higher priority hold them."
            )
            return CommandDecision.refusal(because(Code.NO_CARS, text), Layer.STATION.value, total_w)
        granted_w, site_bound = self._within_site(total_w, places)
        decisions = {place.name: self._alone(place, total_w, parsed.body) for place in places}
        parts = share_command(granted_w, [self._capacity(place, decisions[place.name]) for place in places])
        effective_w = sum(parts.values()) + 0.0
        shares = tuple(self._share(place, parts[place.name], decisions[place.name], total_w) for place in places)
        powers = tuple(parts.items())
        if abs(effective_w - total_w) <= MARGIN_W:
            return CommandDecision(
                Status.ACCEPTED, GRANTED, total_w, effective_w, Layer.COMMAND.value, True, shares, powers
            )
        limited = site_bound is not None and abs(effective_w - granted_w) <= MARGIN_W
        bound = site_bound if limited and site_bound is not None else None
        hardest = min((d for d in decisions.values() if d.binding is not Layer.COMMAND), key=_rank, default=None)
        binding = bound.layer if bound is not None else hardest.binding if hardest is not None else Layer.STATION
        code = bound.code if bound is not None else hardest.code if hardest is not None else Code.CLAMPED
        text = bound.text if bound is not None else hardest.text if hardest is not None else "The cars can do no more."
        if abs(effective_w) <= MARGIN_W:
            return CommandDecision(Status.REFUSED, because(code, text), total_w, None, binding.value, shares=shares)
        reason = because(code, f"The cars together get {effective_w:.0f} W of {total_w:.0f} W. {text}")
        return CommandDecision(Status.CLAMPED, reason, total_w, effective_w, binding.value, True, shares, powers)

    def put_in_force(self, holding: ActiveCommand, powers: dict[str, float]) -> None:
        """Take over the EVSEs that share in it."""
        board, now = self._board, self._board.clock.now()
        reason = because(Code.SUPERSEDED, f"Replaced by the site's {holding.verb.value} {holding.id}.")
        before, settings = board.site_holding, board.settings
        renewed = {name: board.places[name].part for name in powers}
        board.site_holding = None
        for name in powers:
            place = board.places[name]
            if place.holding is not None and place.holding is not before:
                self.give_way(place, place.holding, reason, ramp=False)
        if before is not None:
            self._endings.end(before, Status.SUPERSEDED, reason)
        board.site_holding = holding
        for name, power_w in powers.items():
            place = board.places[name]
            place.holding, place.ramp, place.turn = holding, None, holding.turn
            part = holding.parts[name] = Allocation(name, power_w, now)
            if (earlier := renewed[name]) is not None:
                part.renew(earlier, settings.tolerance(power_w), settings.tolerance(0.0))
            if place.evse.session is None:
                part.stage = Stage.SEEN
            place.wake.set()
            board.changed(name)
        board.changed(None)

    def give_way(self, place: EvseControlState, before: ActiveCommand, reason: Reason, *, ramp: bool) -> None:
        """A command in force loses this EVSE; the site's command shares what is left over the others."""
        if before.evse is not None:
            self._endings.end(before, Status.SUPERSEDED, reason, ramp=ramp)
            return
        self._endings.leave(place, reason, failed=False)
        if not ramp:
            place.ramp = None

    def share_again(self, without: EvseControlState | None = None) -> None:
        """Share anew what the site's command asks for: a car has come, gone, failed, or can do more or less."""
        board, holding = self._board, self._board.site_holding
        if holding is None or holding.verb not in LEASED:
            return
        now = board.clock.now()
        total_w = signed_power(holding.verb, holding.body) or 0.0
        places = [
            place
            for place in board.places.values()
            if place is not without
            if place.holding is holding
            or (
                self.may_take(place, holding.verb, holding.body)
                and place.holding is None
                and not _failed(place, holding)
            )
        ]
        able = [place for place in places if cannot_reach(place.evse, holding.verb) is None]
        if not able:
            return
        granted_w, _ = self._within_site(total_w, able)
        parts = share_command(granted_w, [self._capacity(p, self._alone(p, total_w, holding.body)) for p in able])
        for place in able:
            power_w = parts[place.name]
            part = holding.parts.get(place.name)
            if part is None or part.stage is Stage.FAILED:
                place.holding, place.ramp = holding, None
                holding.parts[place.name] = Allocation(place.name, power_w, now)
            elif abs(part.power_w - power_w) > MARGIN_W:
                part.ask(power_w, now)
            else:
                continue
            place.wake.set()
            board.changed(place.name)

    # capacities -----------------------------------------------------------------------------------------------------

    def may_take(self, place: EvseControlState, verb: Verb, body: Body) -> bool:
        """Whether a command to the site may use this EVSE now."""
        if cannot_reach(place.evse, verb) is not None:
            return False
        held = place.holding
        if held is None or held.evse is None:
            return True
        return (held.verb is not Verb.STOP and held.priority <= body.priority) or held.priority < body.priority

    def _alone(self, place: EvseControlState, total_w: float, body: Body) -> Decision:
        """What this EVSE could do of the total, were it the only one."""
        far_w = FAR_W if total_w > 0 else -FAR_W if total_w < 0 else 0.0
        asked = Asked(far_w, body.id, body.min_soc_pct)
        return decide(*layers(self._board.situation(place, asked, with_site=False)))

    def _capacity(self, place: EvseControlState, decision: Decision) -> Resource:
        band, evse = dead_band(place.evse), place.evse
        return Resource(
            place.name,
            max(0.0, decision.power_w),
            max(0.0, -decision.power_w),
            min_charge_w=band.charge_w,
            min_discharge_w=band.discharge_w,
            soc_pct=evse.soc_pct,
            capacity_wh=capacity_of(evse, self._board.site.policy).energy_wh,
            floor_pct=self._board.floor_pct(place),
        )

    def _within_site(self, total_w: float, places: list[EvseControlState]) -> tuple[float, Bound | None]:
        """What the site's connection leaves of the total, the EVSEs that take part counted as nothing yet."""
        board = self._board
        taking = {place.name for place in places}
        spans = [place.span() for place in board.places.values() if place.counts and place.name not in taking]
        bounds = site_bounds(board.site, board.base(), sum(high for _, high in spans), sum(low for low, _ in spans))
        decision = decide([*bounds, Bound(Layer.COMMAND, total_w, total_w)])
        if decision.binding is not Layer.SITE:
            return total_w, None
        held = next(one for one in bounds if (one.code, one.text) == (decision.code, decision.text))
        return (0.0 if decision.power_w * total_w < 0 else decision.power_w), held

    def _share(self, place: EvseControlState, power_w: float, decision: Decision, total_w: float) -> Share:
        gets = abs(power_w) > MARGIN_W or total_w == 0
        limited = abs(abs(power_w) - abs(decision.power_w)) <= MARGIN_W and decision.binding is not Layer.COMMAND
        return Share(
            evse=place.name,
            effective_w=power_w,
            binding=decision.binding.value if limited or not gets else Layer.COMMAND.value,
            status=(Status.CLAMPED if limited else Status.ACCEPTED) if gets else Status.REFUSED,
            reason=because(decision.code, decision.text) if limited or not gets else GRANTED,
        )


def _failed(place: EvseControlState, holding: ActiveCommand) -> bool:
    """Whether this EVSE has let the command down; a car that left may come back, a station that refused may not."""
    part = holding.parts.get(place.name)
    return part is not None and part.failure is not None and part.failure.code in LET_DOWN


def _rank(decision: Decision) -> int:
    return RANK[decision.binding]
