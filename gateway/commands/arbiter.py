"""Decision about a command, and putting it in force: what it gets, and what is newer or of higher priority."""

from __future__ import annotations

from gateway.authority.layers import Asked
from gateway.authority.priority import Layer
from gateway.authority.refusal import cannot_reach, nothing_left
from gateway.commands.decision import GRANTED, CommandDecision
from gateway.commands.lifecycle import CommandLifecycle
from gateway.commands.site_command import SiteCommands
from gateway.commands.standing import STANDING, StandingCommands
from gateway.control.control_state import ActiveCommand, EvseControlState, EvseRegistry, SiteControlState
from gateway.control.site_decision import SiteDecision
from gateway.model.command import LEASED, POWER_VERBS, Body, Channel, Schedule, Verb, signed_power
from gateway.model.reason import Code, Reason, because
from gateway.model.result import Status
from protocols.ports import Clock


class CommandArbiter:
    """Decides about commands and puts them in force."""

    def __init__(
        self,
        registry: EvseRegistry,
        site: SiteControlState,
        decision: SiteDecision,
        sites: SiteCommands,
        lifecycle: CommandLifecycle,
        standing: StandingCommands,
        clock: Clock,
    ) -> None:
        self._registry = registry
        self._site = site
        self._decision = decision
        self._sites = sites
        self._lifecycle = lifecycle
        self._standing = standing
        self._clock = clock
        self._settle_next: list[tuple[ActiveCommand, Status, Reason, bool]] = []
        self.closed: Reason | None = None
        self._sequence = 0

    def close(self, reason: Reason) -> None:
        """Accept no command from now on except those that take power away."""
        self.closed = reason

    def next_sequence(self) -> int:
        """Return the sequence number of a command that is decided now."""
        self._sequence += 1
        return self._sequence

    # the decision ---------------------------------------------------------------------------------------------------

    def decide(self, evse: str | None, verb: Verb, body: Body, wall: float) -> CommandDecision:
        """Return what the control hierarchy leaves for a command now."""
        if evse is None:
            return self._decide_site(verb, body)
        state = self._registry.find(evse)
        if state is None:
            return CommandDecision.refusal(because(Code.UNKNOWN_EVSE, f"Unknown EVSE {evse[:64]}."))
        blocked = cannot_reach(state.evse, verb)
        if blocked is not None:
            return CommandDecision.refusal(blocked, Layer.STATION.value, signed_power(verb, body))
        outranked = _outranked(state, verb, body.priority)
        if outranked is not None:
            return CommandDecision.refusal(outranked, Layer.COMMAND.value, signed_power(verb, body))
        if verb in POWER_VERBS:
            return self._decide_power(state, verb, body, wall)
        if verb is Verb.RELEASE:
            idle = self._decision.decide(state, None)
            return CommandDecision(Status.ACCEPTED, GRANTED, None, idle.power_w, idle.binding.value)
        return CommandDecision(Status.ACCEPTED, GRANTED, acts=True)

    def _decide_power(self, state: EvseControlState, verb: Verb, body: Body, wall: float) -> CommandDecision:
        command = ActiveCommand(body.id, state.name, verb, body, Channel.LOCAL)
        asked_w = command.requested_w(wall)
        decision = self._decision.decide(state, Asked(asked_w, body.id, body.min_soc_pct))
        nothing = nothing_left(asked_w, decision)
        if nothing is not None:
            return CommandDecision.refusal(nothing, decision.binding.value, asked_w)
        status, reason = Status.ACCEPTED, GRANTED
        if abs(decision.power_w - asked_w) > 1e-9:
            status = Status.CLAMPED
            reason = because(Code.CLAMPED if decision.code is Code.GRANTED else decision.code, decision.text)
        return CommandDecision(status, reason, asked_w, decision.power_w, decision.binding.value, acts=True)

    def _decide_site(self, verb: Verb, body: Body) -> CommandDecision:
        outranked = self._site_outranked(verb, body.priority)
        if outranked is not None:
            return CommandDecision.refusal(outranked, Layer.COMMAND.value, signed_power(verb, body))
        if verb in LEASED:
            return self._sites.decide(verb, body)
        if verb is Verb.STOP:
            powers = tuple((state.name, 0.0) for state in self._registry if state.evse.connected)
            return CommandDecision(Status.ACCEPTED, GRANTED, 0.0, 0.0, Layer.COMMAND.value, acts=True, powers=powers)
        if verb is Verb.EMERGENCY_STOP:
            return CommandDecision(Status.ACCEPTED, GRANTED, 0.0, 0.0, Layer.EMERGENCY_STOP.value, acts=True)
        return CommandDecision(Status.ACCEPTED, GRANTED, acts=verb in STANDING)

    def _site_outranked(self, verb: Verb, priority: int) -> Reason | None:
        """Return why a command to the site cannot replace the one in force; a `stop` of the site yields to any."""
        held = self._site.command
        if verb not in LEASED | {Verb.RELEASE} or held is None or held.verb is Verb.STOP:
            return None
        return _higher(held, priority)

    # in force -------------------------------------------------------------------------------------------------------

    def put_in_force(self, command: ActiveCommand, decision: CommandDecision) -> None:
        """Let a granted command act. Its final result, where nothing is to be verified, waits for `after_answer`.

        A decided command may have waited for the journal since: what is in force now, and newer or higher, stays.
        """
        verb = command.verb
        if self.closed is not None and verb in LEASED:  # received before the gateway was closed
            self._settle_next.append((command, Status.FAILED, self.closed, True))
            return
        powers = dict(decision.powers)
        overtaken = self._overtaken(command, powers)
        if overtaken is not None:
            self._settle_next.append((command, Status.SUPERSEDED, overtaken, True))
            return
        if command.evse is not None and verb in POWER_VERBS:
            self._lifecycle.allocate(command, self._registry.ensure(command.evse), decision.requested_w or 0.0)
        elif command.evse is None and verb in LEASED | {Verb.STOP}:
            self._site.sequence = command.sequence
            self._lifecycle.allocate_site(command, powers)
            if len(powers) < len(decision.powers):
                self._lifecycle.reallocate()
        else:
            self._standing.apply(command)
        if not command.settled and not any(one.unconfirmed for one in command.allocations.values()):
            acts = verb in STANDING | {Verb.STOP}
            reason = because(Code.IN_FORCE, "In force." if acts else "Done.")
            self._settle_next.append((command, Status.ACHIEVED, reason, not acts))

    def after_answer(self, command_id: str) -> None:
        """Give the final result of a command that needs nothing more, now that its first result is published."""
        ready, self._settle_next = self._settle_next, []
        for command, status, reason, ended in ready:
            if command.id == command_id:
                self._lifecycle.settle(command, status, reason, ended=ended)
            else:
                self._settle_next.append((command, status, reason, ended))

    def restore(self, command: ActiveCommand) -> None:
        """Put a lasting command of an earlier run in force again; nothing is published."""
        if command.evse is not None and (isinstance(command.body, Schedule) or command.verb is Verb.STOP):
            power_w = command.requested_w(self._clock.wall())
            self._lifecycle.allocate(command, self._registry.ensure(command.evse), power_w)
        elif command.verb is Verb.STOP:
            self._site.command = command
        else:
            self._standing.apply(command)

    def _overtaken(self, command: ActiveCommand, powers: dict[str, float]) -> Reason | None:
        """Return why a command that waited for the journal must not act any more; EVSEs it has lost leave `powers`."""
        verb = command.verb
        if command.evse is not None:
            state = self._registry.ensure(command.evse)
            if verb in POWER_VERBS and state.sequence > command.sequence:
                return because(Code.SUPERSEDED, f"A newer command already acts at {state.name}.")
            return _outranked(state, verb, command.priority)
        outranked = self._site_outranked(verb, command.priority)
        if outranked is not None or verb not in LEASED:
            return outranked
        for name in list(powers):
            lost = self._registry.get(name)
            newer = lost is None or lost.sequence > command.sequence
            if newer or lost is None or not self._sites.may_take_part(lost, verb, command.body):
                del powers[name]
        if self._site.sequence > command.sequence or not powers:
            return because(Code.SUPERSEDED, "Newer or higher commands already act at the site.")
        return None


def _outranked(state: EvseControlState, verb: Verb, priority: int) -> Reason | None:
    """Return why a command cannot replace the one in force at an EVSE; a `stop` is accepted from any source."""
    if verb is Verb.STOP or verb not in POWER_VERBS | {Verb.RELEASE}:
        return None
    return _higher(state.command, priority)


def _higher(held: ActiveCommand | None, priority: int) -> Reason | None:
    if held is None or held.priority <= priority:
        return None
    what = f"{held.verb.value} {held.id}{held.by_source}"
    text = f"The {what} is in force with priority {held.priority}; this one has {priority}."
    return because(Code.OUTRANKED, text)
