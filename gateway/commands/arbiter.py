"""What a command gets, and how it is put in force: for one EVSE here, for the site with the help of `group.py`."""

from __future__ import annotations

from gateway.authority import soc_floors
from gateway.authority.layers import Asked
from gateway.authority.priority import Layer
from gateway.authority.refusal import cannot_reach, nothing_left
from gateway.commands.active_command import ActiveCommand, Allocation, Stage
from gateway.commands.decision import GRANTED, CommandDecision
from gateway.commands.lifecycle import CommandLifecycle
from gateway.commands.site_command import SiteCommands
from gateway.commands.submission import Channel, Parsed, Submission
from gateway.control.board import Board
from gateway.control.control_state import EvseControlState
from gateway.model.command import LEASED, POWER_VERBS, Backup, Mode, PeakLimit, Reserve, Schedule, Verb, signed_power
from gateway.model.journal import CommandEnded, ReplyTo
from gateway.model.reason import Code, Reason, because
from gateway.model.result import Status
from gateway.model.state import Happened

STANDING = frozenset({Verb.RESERVE, Verb.PEAK_LIMIT, Verb.BACKUP, Verb.MODE, Verb.EMERGENCY_STOP})


class CommandArbiter:
    """Binds commands and puts them in force."""

    def __init__(self, board: Board, endings: CommandLifecycle) -> None:
        self._board = board
        self._endings = endings
        self._group = SiteCommands(board, endings)
        self._settle_next: list[tuple[ActiveCommand, Status, Reason, bool]] = []
        self.closed: Reason | None = None  # why only what takes power away is still taken
        self._turn = self._site_turn = self._emergency_turn = 0

    def next_turn(self) -> int:
        """The number of a command that is bound now."""
        self._turn += 1
        return self._turn

    # binding --------------------------------------------------------------------------------------------------------

    def bind(self, evse: str | None, parsed: Parsed, wall: float) -> CommandDecision:
        """What the order of authority leaves for a command now."""
        if evse is None:
            return self._bind_site(parsed)
        place = self._board.known(evse)
        if place is None:
            return CommandDecision.refusal(because(Code.UNKNOWN_EVSE, f"This gateway knows no EVSE {evse[:64]}."))
        verb, body = parsed.verb, parsed.body
        blocked = cannot_reach(place.evse, verb)
        if blocked is not None:
            return CommandDecision.refusal(blocked, Layer.STATION.value, signed_power(verb, body))
        outranked = self.outranked(place, verb, body.priority)
        if outranked is not None:
            return CommandDecision.refusal(outranked, Layer.COMMAND.value, signed_power(verb, body))
        if verb in POWER_VERBS:
            return self._bind_power(place, parsed, wall)
        if verb is Verb.RELEASE:
            idle = self._board.decide(place, None)
            return CommandDecision(Status.ACCEPTED, GRANTED, None, idle.power_w, idle.binding.value)
        return CommandDecision(Status.ACCEPTED, GRANTED, acts=True)

    def outranked(self, place: EvseControlState, verb: Verb, priority: int) -> Reason | None:
        """Whether a command in force has a higher priority. `stop` is taken from anybody."""
        if verb is Verb.STOP or verb not in POWER_VERBS | {Verb.RELEASE}:
            return None
        return _higher(place.holding, priority)

    def _site_outranked(self, verb: Verb, priority: int) -> Reason | None:
        """The same between commands to the site; a `stop` of the site yields to anybody."""
        held = self._board.site_holding
        if verb not in LEASED | {Verb.RELEASE} or held is None or held.verb is Verb.STOP:
            return None
        return _higher(held, priority)

    def _overtaken(self, holding: ActiveCommand, powers: dict[str, float]) -> Reason | None:
        """Why a command that waited for the journal must not act any more; takes EVSEs it has lost out of `powers`."""
        board, verb = self._board, holding.verb
        if holding.evse is not None:
            place = board.place(holding.evse)
            if verb in POWER_VERBS and place.turn > holding.turn:
                return because(Code.SUPERSEDED, f"A newer command already acts at {place.name}.")
            return self.outranked(place, verb, holding.priority)
        outranked = self._site_outranked(verb, holding.priority)
        if outranked is not None or verb not in LEASED:
            return outranked
        for name in list(powers):
            lost = board.places.get(name)
            if lost is None or lost.turn > holding.turn or not self._group.may_take(lost, verb, holding.body):
                del powers[name]
        if self._site_turn > holding.turn or not powers:
            return because(Code.SUPERSEDED, "Newer or higher commands already act at the site.")
        return None

    def _bind_power(self, place: EvseControlState, parsed: Parsed, wall: float) -> CommandDecision:
        holding = ActiveCommand(parsed.body.id, place.name, parsed.verb, parsed.body, Channel.LOCAL, 0.0)
        asked_w = holding.asks(wall)
        decision = self._board.decide(place, Asked(asked_w, parsed.body.id, parsed.body.min_soc_pct))
        nothing = nothing_left(asked_w, decision)
        if nothing is not None:
            return CommandDecision.refusal(nothing, decision.binding.value, asked_w)
        if abs(decision.power_w - asked_w) > 1e-9:
            reason = because(Code.CLAMPED if decision.code is Code.GRANTED else decision.code, decision.text)
            return CommandDecision(Status.CLAMPED, reason, asked_w, decision.power_w, decision.binding.value, acts=True)
        return CommandDecision(Status.ACCEPTED, GRANTED, asked_w, decision.power_w, decision.binding.value, acts=True)

    def _bind_site(self, parsed: Parsed) -> CommandDecision:
        outranked = self._site_outranked(parsed.verb, parsed.body.priority)
        if outranked is not None:
            return CommandDecision.refusal(outranked, Layer.COMMAND.value, signed_power(parsed.verb, parsed.body))
        if parsed.verb in LEASED:
            return self._group.bind(parsed)
        if parsed.verb is Verb.STOP:
            powers = tuple((place.name, 0.0) for place in self._board.places.values() if place.evse.connected)
            return CommandDecision(Status.ACCEPTED, GRANTED, 0.0, 0.0, Layer.COMMAND.value, acts=True, powers=powers)
        if parsed.verb is Verb.EMERGENCY_STOP:
            return CommandDecision(Status.ACCEPTED, GRANTED, 0.0, 0.0, Layer.EMERGENCY_STOP.value, acts=True)
        return CommandDecision(Status.ACCEPTED, GRANTED, acts=parsed.verb in STANDING)

    # in force -------------------------------------------------------------------------------------------------------

    def put_in_force(
        self,
        submission: Submission,
        parsed: Parsed,
        grant: CommandDecision,
        lease_wall: float | None,
        reply: ReplyTo | None,
        turn: int,
        begun: float,
    ) -> ActiveCommand:
        """Let a granted command act. Its final result, where nothing has to be seen first, waits for `after_answer`.

        What was bound may have waited for the journal since: what acts meanwhile, and is newer or higher, stays.
        A lease runs from `begun`, when the command was received, as its answer says.
        """
        board, now = self._board, self._board.clock.now()
        holding = ActiveCommand(
            parsed.body.id,
            submission.evse,
            parsed.verb,
            parsed.body,
            submission.channel,
            started=now,
            lease_until=begun + parsed.body.lease_s if parsed.verb in LEASED else None,
            lease_wall=lease_wall,
            reply=reply,
            turn=turn,
        )
        if self.closed is not None and parsed.verb in LEASED:  # it was past the door already
            self._settle_next.append((holding, Status.FAILED, self.closed, True))
            return holding
        powers = dict(grant.powers)
        overtaken = self._overtaken(holding, powers)
        if overtaken is not None:
            self._settle_next.append((holding, Status.SUPERSEDED, overtaken, True))
            return holding
        if submission.evse is not None and parsed.verb in POWER_VERBS:
            place = board.place(submission.evse)
            self._take_over(place, holding, grant.requested_w or 0.0)
        elif submission.evse is None and parsed.verb in LEASED | {Verb.STOP}:
            self._site_turn = turn
            self._group.put_in_force(holding, powers)
            if len(powers) < len(grant.powers):
                self._group.share_again()
        else:
            self.set_standing(holding)
        if not any(part.stage is Stage.BOUND for part in holding.parts.values()) and not holding.settled:
            acts = parsed.verb in STANDING | {Verb.STOP}
            text = "In force." if acts else "Done."
            self._settle_next.append((holding, Status.ACHIEVED, because(Code.IN_FORCE, text), not acts))
        return holding

    def fail(self, submission: Submission, parsed: Parsed, reply: ReplyTo | None, reason: Reason) -> None:
        """The final result of a command that was journalled and must never act."""
        body, now = parsed.body, self._board.clock.now()
        holding = ActiveCommand(body.id, submission.evse, parsed.verb, body, submission.channel, now, reply=reply)
        self._endings.settle(holding, Status.FAILED, reason, ended=True)

    def after_answer(self, command_id: str) -> None:
        """The first result has been told: now the final one of commands that needed nothing more."""
        ready, self._settle_next = self._settle_next, []
        for holding, status, reason, ended in ready:
            if holding.id == command_id:
                self._endings.settle(holding, status, reason, ended=ended)
            else:
                self._settle_next.append((holding, status, reason, ended))

    def _take_over(self, place: EvseControlState, holding: ActiveCommand, power_w: float) -> None:
        """One EVSE's command in force is now this one."""
        before, renewed = place.holding, place.part
        if before is not None:
            who = f" from {holding.body.source}" if holding.body.source else ""
            reason = because(Code.SUPERSEDED, f"Replaced by the {holding.verb.value} {holding.id}{who}.")
            self._group.give_way(place, before, reason, ramp=False)
        place.holding, place.ramp, place.turn = holding, None, holding.turn
        part = Allocation(place.name, power_w, self._board.clock.now())
        if renewed is not None:
            settings = self._board.settings
            part.renew(renewed, settings.tolerance(power_w), settings.tolerance(0.0))
        holding.parts[place.name] = part
        if place.evse.session is None and holding.verb is Verb.STOP:
            part.stage = Stage.SEEN  # nothing runs
        place.wake.set()
        self._board.changed(place.name)

    def set_standing(self, holding: ActiveCommand) -> None:
        """Reserves, modes, limits, backup, emergency stop, release: what lasts until changed, or ends something."""
        board, site, body = self._board, self._board.site, holding.body
        place = board.place(holding.evse) if holding.evse is not None else None
        if holding.verb in STANDING:
            key = (holding.evse, holding.verb.value)
            before = board.standing.get(key)
            board.standing[key] = holding.id
            if before is not None and before != holding.id:
                board.journal.later(CommandEnded(before, board.clock.wall()))
        match body:
            case Reserve() if place is not None:
                pct, energy_wh = body.min_soc_pct or None, body.energy_wh or None
                place.reserve = soc_floors.Reserve(pct, energy_wh) if pct or energy_wh else None
            case Reserve():
                site.reserve_pct, site.reserve_wh = body.min_soc_pct or None, body.energy_wh or None
            case PeakLimit():
                site.peak_limit_w = body.import_w
            case Mode():
                site.mode = body.mode
            case Backup():
                site.backup = body.action == "enter"
            case _ if holding.verb is Verb.EMERGENCY_STOP:
                self._emergency(holding)
            case _ if holding.verb is Verb.RELEASE:
                self._release(holding, place)
            case _:
                raise AssertionError(f"{holding.verb} does not stand")
        board.changed(holding.evse)
        board.wake_all()

    def _emergency(self, holding: ActiveCommand) -> None:
        board = self._board
        board.site.emergency_stop = holding.id
        self._emergency_turn = self._site_turn = holding.turn
        for place in board.places.values():
            place.turn = holding.turn
        who = f" by {holding.body.source}" if holding.body.source else ""
        reason = because(Code.EMERGENCY_STOP, f"The site was stopped{who}.")
        board.happened(Happened.EMERGENCY_STOP, None, reason, command=holding.id)
        for held in self.all_in_force():
            self._endings.end(held, Status.SUPERSEDED, reason, ramp=False)

    def _release(self, holding: ActiveCommand, place: EvseControlState | None) -> None:
        """End what was there when the release was taken; what came after it stays."""
        board = self._board
        who = f" by {holding.body.source}" if holding.body.source else ""
        reason = because(Code.RELEASED, f"Released{who}.")
        if place is not None:
            held = place.holding
            if (
                held is not None and held.evse is not None and held.turn < holding.turn
            ):  # the site's is the site's to end
                self._endings.end(held, Status.SUPERSEDED, reason)
            return
        if self._emergency_turn < holding.turn:
            board.site.emergency_stop = None
            stopped = board.standing.pop((None, Verb.EMERGENCY_STOP.value), None)
        else:
            stopped = None
        if stopped is not None:
            board.journal.later(CommandEnded(stopped, board.clock.wall()))
            board.happened(Happened.RELEASED, None, reason, "The emergency stop is over.", holding.id)
        if board.site_holding is not None and board.site_holding.turn < holding.turn:
            self._endings.end(board.site_holding, Status.SUPERSEDED, reason)

    def share_again(self) -> None:
        """A car has come, gone, failed, or can do more or less: share the site's command anew."""
        self._group.share_again()

    def all_in_force(self) -> list[ActiveCommand]:
        """Every command that holds a power somewhere, once."""
        held = {place.holding.id: place.holding for place in self._board.places.values() if place.holding is not None}
        if self._board.site_holding is not None:
            held[self._board.site_holding.id] = self._board.site_holding
        return list(held.values())

    def restore(self, holding: ActiveCommand) -> None:
        """Put a standing command of an earlier life of this gateway in force again, without a word to anybody."""
        if (holding.evse is not None and isinstance(holding.body, Schedule)) or holding.verb is Verb.STOP:
            if holding.evse is not None:
                self._take_over(self._board.place(holding.evse), holding, holding.asks(self._board.clock.wall()))
            else:
                self._board.site_holding = holding
        else:
            self.set_standing(holding)


def _higher(held: ActiveCommand | None, priority: int) -> Reason | None:
    """Why a command of this priority cannot replace what is in force."""
    if held is None or held.priority <= priority:
        return None
    who = f" from {held.body.source}" if held.body.source else ""
    text = f"The {held.verb.value} {held.id}{who} is in force with priority {held.priority}; this one has {priority}."
    return because(Code.OUTRANKED, text)
