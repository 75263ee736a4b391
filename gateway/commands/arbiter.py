"""Decision about a command, and putting it in force: what it gets, and what is newer or of higher priority.

Standing commands (reserves, limits, modes, backup, emergency stop) are in force until changed.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.authority import soc_floors
from gateway.authority.layers import HELD, PowerRequest, cannot_reach, nothing_left
from gateway.authority.priority import MARGIN_W, Bound, decide
from gateway.commands.admission import GRANTED, CommandDecision
from gateway.commands.lifecycle import CommandLifecycle
from gateway.commands.site_command import SiteCommands
from gateway.control.control_state import (
    ActiveCommand,
    EvseControlState,
    EvseRegistry,
    SiteControlState,
    Stage,
    commands_in_force,
)
from gateway.control.publisher import EventPublisher
from gateway.control.site_decision import SiteDecision
from gateway.control.supply_hold import end_hold, hold_supply, restore_hold
from gateway.model.command import (
    LEASED,
    POWER_VERBS,
    Backup,
    Body,
    Channel,
    Mode,
    PeakLimit,
    Reserve,
    Schedule,
    SiteMode,
    Verb,
    signed_power,
)
from gateway.model.journal import AT_REST, CommandEnded, Forgotten, Kept
from gateway.model.reason import Code, Reason, because
from gateway.model.result import Layer, Status
from gateway.model.site import Site
from gateway.model.state import Happened
from gateway.store.journal import Journal
from protocols.ports import Clock

STANDING = frozenset({Verb.RESERVE, Verb.PEAK_LIMIT, Verb.BACKUP, Verb.MODE, Verb.EMERGENCY_STOP})


class CommandArbiter:
    """Decides about commands and puts them in force."""

    def __init__(
        self,
        site: Site,
        registry: EvseRegistry,
        site_state: SiteControlState,
        decision: SiteDecision,
        sites: SiteCommands,
        lifecycle: CommandLifecycle,
        publisher: EventPublisher,
        journal: Journal,
        clock: Clock,
    ) -> None:
        self._site = site
        self._registry = registry
        self._site_state = site_state
        self._decision = decision
        self._sites = sites
        self._lifecycle = lifecycle
        self._publisher = publisher
        self._journal = journal
        self._clock = clock
        self._settle_next: list[tuple[ActiveCommand, Status, Reason, bool]] = []
        self.closed: Reason | None = None
        self._sequence = self._emergency_sequence = 0
        self._standing: dict[tuple[str | None, Verb], str] = {}  # ids in force, by EVSE (None: site) and verb

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
        if blocked is not None and not (verb is Verb.STOP and state.waits_until is not None):
            return CommandDecision.refusal(blocked, Layer.STATION, signed_power(body))
        outranked = _outranked(state, verb, body.priority)
        if outranked is not None:
            return CommandDecision.refusal(outranked, Layer.COMMAND, signed_power(body))
        if verb in POWER_VERBS:
            return self._decide_power(state, verb, body, wall)
        if verb is Verb.RELEASE:
            idle = self._decision.decide(state, None)
            return CommandDecision(Status.ACCEPTED, GRANTED, None, idle.power_w, idle.binding)
        text = (
            "In an outage the reserve of an EVSE is used where no other source can supply the site, and by the source"
        )
        return self._in_outage(verb, f"{text} that forms the island.") or CommandDecision(
            Status.ACCEPTED, GRANTED, acts=True
        )

    def _in_outage(self, verb: Verb, text: str) -> CommandDecision | None:
        """Return the decision about a reserve in an outage, which an island may use; None for anything else."""
        last = self._site.last_grid
        if verb is not Verb.RESERVE or not (self._site.islanded or (last is not None and not last.present)):
            return None
        return CommandDecision(Status.CLAMPED, because(Code.ISLAND, text), binding=Layer.ISLAND, acts=True)

    def _decide_power(self, state: EvseControlState, verb: Verb, body: Body, wall: float) -> CommandDecision:
        command = ActiveCommand(body.id, state.name, verb, body, Channel.LOCAL)
        requested_w = command.requested_w(wall)
        decision = self._decision.decide(state, PowerRequest(requested_w, body.min_soc_pct))
        nothing = nothing_left(requested_w, decision)
        if nothing is not None:
            return CommandDecision.refusal(nothing, decision.binding, requested_w)
        status, reason = Status.ACCEPTED, GRANTED
        if abs(decision.power_w - requested_w) > 1e-9:
            status = Status.CLAMPED
            reason = because(Code.CLAMPED if decision.code is Code.GRANTED else decision.code, decision.text)
        return CommandDecision(status, reason, requested_w, decision.power_w, decision.binding, acts=True)

    def _decide_site(self, verb: Verb, body: Body) -> CommandDecision:
        outranked = self._site_outranked(verb, body.priority)
        if outranked is not None:
            return CommandDecision.refusal(outranked, Layer.COMMAND, signed_power(body))
        if verb in LEASED:
            return self._sites.decide(verb, body)
        if verb is Verb.STOP:
            return self._decide_site_stop(body)
        if verb is Verb.EMERGENCY_STOP:
            return CommandDecision(Status.ACCEPTED, GRANTED, 0.0, 0.0, Layer.EMERGENCY_STOP, acts=True)
        undone = self._undone_by_release(body)
        if undone is not None:
            return CommandDecision.refusal(undone, Layer.EMERGENCY_STOP)
        text = "The reserve of the site is used in an outage; it applies when the grid is back."
        return self._in_outage(verb, text) or CommandDecision(Status.ACCEPTED, GRANTED, acts=verb in STANDING)

    def _decide_site_stop(self, body: Body) -> CommandDecision:
        """Return the stop of the site, with what an island needs all the same."""
        states = [state for state in self._registry if state.evse.connected or state.waits_until is not None]
        powers = tuple((state.name, 0.0) for state in states)
        decision = decide([*self._decision.bounds_for({one.name for one in states}), Bound(Layer.COMMAND, 0.0, 0.0)])
        if decision.binding is not Layer.ISLAND or abs(decision.power_w) <= MARGIN_W:
            return CommandDecision(Status.ACCEPTED, GRANTED, 0.0, 0.0, Layer.COMMAND, acts=True, powers=powers)
        reason, binding = because(decision.code, decision.text), decision.binding
        return CommandDecision(Status.CLAMPED, reason, 0.0, decision.power_w, binding, acts=True, powers=powers)

    def _site_outranked(self, verb: Verb, priority: int) -> Reason | None:
        """Return why a command to the site cannot replace the one in force; a `stop` of the site yields to any."""
        held = self._site_state.command
        if verb not in LEASED | {Verb.RELEASE} or held is None or held.verb is Verb.STOP:
            return None
        return _higher(held, priority)

    def _undone_by_release(self, body: Body) -> Reason | None:
        """Return why a mode or island operation cannot be in force: the release of the emergency stop would end it."""
        resumes = (isinstance(body, Mode) and body.mode is not SiteMode.MANUAL) or (
            isinstance(body, Backup) and body.action == "enter"
        )
        if not resumes or self._site.emergency_stop is None:
            return None
        text = "The emergency stop is active, and its release sets the mode `manual`. Send this after `release`."
        return because(Code.EMERGENCY_STOP, text)

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
            self._site_state.sequence = command.sequence
            self._lifecycle.allocate_site(command, powers)
            if len(powers) < len(decision.powers):
                self._lifecycle.reallocate()
        else:
            self.apply_standing(command)
        if not command.settled and not any(one.stage is Stage.GRANTED for one in command.allocations.values()):
            acts = verb in STANDING | {Verb.STOP}
            reason = because(Code.IN_FORCE, "In force." if acts else "Done.")
            self._settle_next.append((command, Status.ACHIEVED, reason, not acts))

    def stopped(self, evse: str | None, verb: Verb, priority: int) -> bool:
        """Return whether a stop would end nothing: one of its priority is in force, or there is no such EVSE."""
        if verb is Verb.EMERGENCY_STOP:
            return self._site.emergency_stop is not None
        if evse is not None and evse not in self._registry:
            return True
        state = self._registry.get(evse)
        held = state.command if state is not None else self._site_state.command if evse is None else None
        return held is not None and held.verb is Verb.STOP and held.priority >= priority

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
            self._site_state.command = command
        else:
            self.apply_standing(command)

    def resume(self, command: ActiveCommand) -> None:
        """Put a leased command in force again that another process has carried out so far; nothing is published."""
        if command.evse is not None:
            power_w = command.requested_w(self._clock.wall())
            state = self._registry.ensure(command.evse)
            self._lifecycle.allocate(command, state, power_w)
            if not state.evse.connected:
                command.allocations[state.name].waits_until = command.lease_until
        else:  # its EVSEs are allocated as they report
            self._site_state.command, self._site_state.sequence = command, command.sequence

    def _overtaken(self, command: ActiveCommand, powers: dict[str, float]) -> Reason | None:
        """Return why a command that waited for the journal must not act any more; EVSEs it has lost leave `powers`."""
        verb = command.verb
        if command.evse is not None:
            state = self._registry.ensure(command.evse)
            if verb in POWER_VERBS and state.sequence > command.sequence:
                return because(Code.SUPERSEDED, f"A newer command already acts at {state.name}.")
            return _outranked(state, verb, command.priority)
        outranked = self._site_outranked(verb, command.priority) or self._undone_by_release(command.body)
        if outranked is not None or verb not in LEASED:
            return outranked
        for name in list(powers):
            lost = self._registry.get(name)
            newer = lost is None or lost.sequence > command.sequence
            if newer or lost is None or not self._sites.may_take_part(lost, verb, command.body):
                del powers[name]
        if self._site_state.sequence > command.sequence or not powers:
            return because(Code.SUPERSEDED, "Newer or higher commands already act at the site.")
        return None

    # standing commands -----------------------------------------------------------------------------------------------

    def apply_standing(self, command: ActiveCommand) -> None:
        """Put a standing command in force in the place of the one before it, or carry out a release."""
        site, body = self._site, command.body
        state = self._registry.ensure(command.evse) if command.evse is not None else None
        if command.verb in STANDING:
            self._replace_standing((command.evse, command.verb), command.id)
        match body:
            case Reserve() if state is not None:
                pct, energy_wh = body.min_soc_pct or None, body.energy_wh or None
                state.reserve = soc_floors.Reserve(pct, energy_wh) if pct or energy_wh else None
            case Reserve():
                site.reserve_pct, site.reserve_wh = body.min_soc_pct or None, body.energy_wh or None
            case PeakLimit():
                site.peak_limit_w = body.import_w
            case Mode():
                site.mode = body.mode
                self._rest(False)
                if body.mode is not SiteMode.MANUAL:
                    end_hold(site, self._journal)
            case Backup():
                site.backup = body.action == "enter"
                if site.backup:
                    end_hold(site, self._journal)
            case _ if command.verb is Verb.EMERGENCY_STOP:
                self._emergency_stop(command)
            case _ if command.verb is Verb.RELEASE:
                self._release(command, state)
            case _:
                raise AssertionError(f"{command.verb} is no standing command")
        self._publisher.changed(command.evse)
        self._registry.wake_all()

    def _replace_standing(self, key: tuple[str | None, Verb], command: str) -> None:
        before = self._standing.get(key)
        self._standing[key] = command
        if before is not None and before != command:
            self._journal.later(CommandEnded(before, self._clock.wall()))

    def restore_rest(self, kept: Sequence[Kept]) -> None:
        """Restore that the site waits for a command after an emergency stop; before the commands in force."""
        if any((one.kind, one.key) == AT_REST for one in kept):
            self._site.at_rest, self._site.mode = True, SiteMode.MANUAL
        restore_hold(self._site, kept)

    def _rest(self, at_rest: bool) -> None:
        """After an emergency stop the site stays in manual mode, also beyond a restart, until a mode is commanded.

        Commanded island operation is over, too.
        """
        if at_rest:
            self._site.mode = SiteMode.MANUAL
            self._site.backup = False
            for verb in (Verb.MODE, Verb.BACKUP):
                if (standing := self._standing.pop((None, verb), None)) is not None:
                    self._journal.later(CommandEnded(standing, self._clock.wall()))
            self._journal.later(Kept(*AT_REST, "{}", self._clock.wall()))
        elif self._site.at_rest:
            self._journal.later(Forgotten(*AT_REST))
        self._site.at_rest = at_rest

    def _without_grid(self) -> bool:
        last = self._site.last_grid
        return self._site.off_grid or (last is not None and not last.present)

    def _emergency_stop(self, command: ActiveCommand) -> None:
        self._site.emergency_stop = command.id
        self._emergency_sequence = self._site_state.sequence = command.sequence
        for state in self._registry:
            state.sequence = command.sequence
        by = f" by {sender}" if (sender := command.client or command.body.source) else ""
        reason = because(Code.EMERGENCY_STOP, f"The site was stopped{by}.")
        self._publisher.happened(Happened.EMERGENCY_STOP, None, reason, command=command.id)
        for held in commands_in_force(self._registry, self._site_state):
            self._lifecycle.end(held, Status.SUPERSEDED, reason, ramp=False)

    def _release(self, command: ActiveCommand, state: EvseControlState | None) -> None:
        """End what was in force when the release was decided; what came after it stays."""
        by = f" by {sender}" if (sender := command.client or command.body.source) else ""
        reason = because(Code.RELEASED, f"Released{by}.")
        held = state.command if state is not None else self._site_state.command
        if state is not None and held is not None and held.evse is None:
            return  # a command to the site is ended by a release of the site
        if state is None and self._emergency_sequence < command.sequence:
            self._site.emergency_stop = None
            stopped = self._standing.pop((None, Verb.EMERGENCY_STOP), None)
            if stopped is not None:
                self._journal.later(CommandEnded(stopped, self._clock.wall()))
                text = (
                    "The emergency stop is over. The site is in manual mode: power flows after the next command only."
                )
                self._rest(True)
                if self._without_grid():
                    hold_supply(self._site, self._journal, self._clock.wall())
                    text += f" {HELD}"
                self._publisher.happened(Happened.RELEASED, None, reason, text, command.id)
        if held is not None and held.sequence < command.sequence:
            self._lifecycle.end(held, Status.SUPERSEDED, reason)


def _outranked(state: EvseControlState, verb: Verb, priority: int) -> Reason | None:
    """Return why a command cannot replace the one in force at an EVSE; a `stop` is accepted from any source."""
    if verb is Verb.STOP or verb not in POWER_VERBS | {Verb.RELEASE}:
        return None
    return _higher(state.command, priority)


def _higher(held: ActiveCommand | None, priority: int) -> Reason | None:
    if held is None or held.priority <= priority:
        return None
    text = f"The {held.named} is in force with priority {held.priority}; this one has {priority}."
    return because(Code.OUTRANKED, text)
