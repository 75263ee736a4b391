"""Where commands are taken: checked, journalled, bound by the order of authority, answered, put in force.

The first result is given here, within a second, and does not wait for the station: what the station and the meter say
is the final result's matter. Nothing acts before the journal has it, except what only takes power away (`stop`,
`emergency_stop`), which acts even if the journal fails.
"""

from __future__ import annotations

import asyncio
import contextlib

from gateway.commands.active_command import ActiveCommand, schedule_end
from gateway.commands.arbiter import CommandArbiter
from gateway.commands.decision import CommandDecision
from gateway.commands.rate_limit import RateLimiter
from gateway.commands.submission import Malformed, Parsed, Submission, parse
from gateway.control.board import Board
from gateway.model.command import ALWAYS_ACT, LEASED, Schedule, Verb, fingerprint
from gateway.model.journal import CommandOpened, Entry, Phase, ReplyTo, ResultGiven, Step, StoredCommand
from gateway.model.moment import rfc3339
from gateway.model.reason import Code, Reason, because
from gateway.model.result import Result, Status
from gateway.model.state import Happened
from gateway.store.ports import RecordRefused, StoreError, Unfinished

MOST_AT_ONCE = 2000  # commands being taken at the same moment


class CommandIntake:
    """Takes commands, from whatever channel, one way for all."""

    def __init__(self, board: Board, orders: CommandArbiter) -> None:
        self._board = board
        self._orders = orders
        settings = board.settings
        self._evse_rates = RateLimiter(settings.evse_rate_per_s, settings.burst_s)
        self._source_rates = RateLimiter(settings.source_rate_per_s, settings.burst_s)
        self.known = board.ids
        self._taking: dict[str, asyncio.Future[Result]] = {}
        self.counts: dict[str, int] = {}

    async def submit(self, submission: Submission) -> Result:
        """Take a command and give its first result; a duplicate gets the stored one. Never raises for what was sent."""
        parsed = parse(submission)
        if isinstance(parsed, Malformed):
            return self._refuse_malformed(submission, parsed)
        if not self._within_rates(submission, parsed):
            text = "Commands come faster than this EVSE or this source may send them; slow down and send it again."
            return self._refuse_unstored(submission, parsed, because(Code.RATE_LIMITED, text))
        if self._orders.closed is not None and parsed.verb not in ALWAYS_ACT:
            return self._refuse_unstored(submission, parsed, self._orders.closed)
        if parsed.body.id in self._taking:
            return await self._same_again(submission, parsed)
        if len(self._taking) >= MOST_AT_ONCE:
            return self._refuse_unstored(
                submission, parsed, because(Code.BUSY, "Too many commands at once; send it again.")
            )
        taken: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._taking[parsed.body.id] = taken
        try:
            result = await self._take(submission, parsed)
            taken.set_result(result)
            return result
        finally:
            del self._taking[parsed.body.id]
            if not taken.done():
                taken.cancel()

    # the way of a well-formed command -------------------------------------------------------------------------------

    async def _take(self, submission: Submission, parsed: Parsed) -> Result:
        board, body = self._board, parsed.body
        received, begun = board.clock.wall(), board.clock.now()
        print_ = fingerprint(submission.evse, parsed.verb, body)
        reply = submission.reply or (ReplyTo(body.reply_to) if body.reply_to else None)
        try:
            stored = await self._find(body.id)
        except StoreError as error:
            if parsed.verb not in ALWAYS_ACT:
                return self._refuse_unstored(submission, parsed, _unwritten(error))
            stored = None
        if stored is not None:
            return self._answer_known(submission, parsed, stored, print_, reply)
        turn = self._orders.next_turn()
        grant = self._check(submission, parsed, received)
        holds = grant.status is not Status.REFUSED and grant.acts
        lease_wall = received + body.lease_s if parsed.verb in LEASED and holds else None
        result = self._result(submission, parsed, grant, lease_wall)
        text = result.model_dump_json()
        records = self._records(submission, parsed, received, print_, reply, result, text, holds)
        holding: ActiveCommand | None = None
        if parsed.verb in ALWAYS_ACT and grant.status is not Status.REFUSED:
            holding = self._orders.put_in_force(submission, parsed, grant, lease_wall, reply, turn, begun)
            try:
                await board.journal.keep_or_later(*records)
            except RecordRefused:  # the store has this id already, and the line in it is not ours
                board.journal.later(*(one for one in records if isinstance(one, Entry)))
        else:
            try:
                await board.journal.keep(*records)
            except Unfinished as slow:
                board.background(self._if_it_lands(slow, submission, parsed, print_, text, holds, reply))
                return self._refuse_unstored(submission, parsed, _unwritten(slow))
            except StoreError as error:
                return self._refuse_unstored(submission, parsed, await self._why_unwritten(error, body.id))
        self.known.put(body.id, print_, text)
        self._count(result)
        board.tell(result, reply, Phase.FIRST)
        if grant.status is Status.REFUSED:
            board.happened(Happened.REFUSED, submission.evse, grant.reason, command=body.id)
        elif holding is None:
            self._orders.put_in_force(submission, parsed, grant, lease_wall, reply, turn, begun)
        self._orders.after_answer(body.id)
        return result

    async def _if_it_lands(
        self,
        slow: Unfinished,
        submission: Submission,
        parsed: Parsed,
        print_: str,
        text: str,
        holds: bool,
        reply: ReplyTo | None,
    ) -> None:
        """A command told as refused stands in the journal after all: it ends there as failed, and never acts."""
        with contextlib.suppress(StoreError):
            await slow.landed
            self.known.put(parsed.body.id, print_, text)
            if holds or parsed.verb is Verb.RELEASE:
                self._orders.fail(submission, parsed, reply, _unwritten(slow))

    def _check(self, submission: Submission, parsed: Parsed, wall: float) -> CommandDecision:
        """Bind the command by the order of authority, or say why it cannot be granted at all."""
        body = parsed.body
        if body.expires_at is not None and body.expires_at <= wall:
            late_s = wall - body.expires_at
            text = f"It expired {late_s:.1f} s ago by the gateway's clock, which says {rfc3339(wall)}."
            return CommandDecision.refusal(because(Code.EXPIRED, text))
        if isinstance(body, Schedule) and schedule_end(body) <= wall:
            return CommandDecision.refusal(because(Code.EXPIRED, "The last period of the schedule has already ended."))
        return self._orders.bind(submission.evse, parsed, wall)

    async def _find(self, command_id: str) -> tuple[str, str] | None:
        held = self.known.get(command_id)
        if held is not None or self.known.complete:
            return held
        stored = await self._board.journal.store.find_command(command_id)
        return (stored.fingerprint, latest(stored)) if stored is not None else None

    async def _why_unwritten(self, error: StoreError, command_id: str) -> Reason:
        """The store may know an id that this gateway does not: another gateway's, or of a write told as failed."""
        if isinstance(error, RecordRefused):
            with contextlib.suppress(StoreError):
                if await self._board.journal.store.find_command(command_id) is not None:
                    text = f"The id {command_id} is in the journal already; take a new one."
                    return because(Code.ID_CONFLICT, text)
        return _unwritten(error)

    def _answer_known(
        self, submission: Submission, parsed: Parsed, stored: tuple[str, str], print_: str, reply: ReplyTo | None
    ) -> Result:
        if stored[0] != print_:
            text = f"The id {parsed.body.id} was used with another command in the last 7 days; take a new one."
            return self._refuse_unstored(submission, parsed, because(Code.ID_CONFLICT, text))
        result = Result.model_validate_json(stored[1])
        self._board.note(Step.RECEIVED, "duplicate", parsed.body.id, submission.evse, channel=submission.channel.value)
        self.counts["duplicate"] = self.counts.get("duplicate", 0) + 1
        self._board.tell(result, reply, None)
        return result

    async def _same_again(self, submission: Submission, parsed: Parsed) -> Result:
        """The same id while the first copy is still being taken."""
        try:
            result = await asyncio.shield(self._taking[parsed.body.id])
        except asyncio.CancelledError:
            return self._refuse_unstored(
                submission, parsed, because(Code.BUSY, "The command could not be taken; send it again.")
            )
        stored = self.known.get(parsed.body.id)
        reply = submission.reply or (ReplyTo(parsed.body.reply_to) if parsed.body.reply_to else None)
        if stored is None:  # refused, and its id is free again: whoever sent the copy hears it too
            self._board.tell(result, reply, None)
            return result
        print_ = fingerprint(submission.evse, parsed.verb, parsed.body)
        return self._answer_known(submission, parsed, stored, print_, reply)

    # refusals that leave the id free --------------------------------------------------------------------------------

    def _within_rates(self, submission: Submission, parsed: Parsed) -> bool:
        if parsed.verb in ALWAYS_ACT:
            return True
        now = self._board.clock.now()
        of_evse = self._evse_rates.allow(self._bucket(submission.evse), now)
        source = parsed.body.source or submission.client
        return self._source_rates.allow(source, now) and of_evse if source else of_evse

    def _bucket(self, evse: str | None) -> str:
        """Whose rate counts: all EVSEs that nobody has heard of share one, or each name were a new one."""
        return "site" if evse is None else f"evse/{evse}" if evse in self._board.places else "unknown"

    def allow_input(self, kind: str) -> bool:
        """Whether one more bad input may be told; the rest are only counted."""
        self.counts["input_refused"] = self.counts.get("input_refused", 0) + 1
        return self._evse_rates.allow(f"input/{kind[:64]}", self._board.clock.now())

    def _refuse_malformed(self, submission: Submission, bad: Malformed) -> Result:
        if not self._evse_rates.allow(self._bucket(submission.evse), self._board.clock.now()):
            text = "Messages come faster than this EVSE may be sent them, and this one is malformed."
            bad = Malformed(because(Code.RATE_LIMITED, text), bad.id, bad.source, bad.reply_to)
        result = self._plain(submission, bad.id or "", bad.reason, bad.source)
        reply = submission.reply or (ReplyTo(bad.reply_to) if bad.reply_to else None)
        return self._tell_refusal(submission, result, reply)

    def _refuse_unstored(self, submission: Submission, parsed: Parsed, reason: Reason) -> Result:
        result = self._plain(submission, parsed.body.id, reason, parsed.body.source)
        reply = submission.reply or (ReplyTo(parsed.body.reply_to) if parsed.body.reply_to else None)
        return self._tell_refusal(submission, result, reply)

    def _tell_refusal(self, submission: Submission, result: Result, reply: ReplyTo | None) -> Result:
        board = self._board
        self._count(result)
        if result.code is not Code.RATE_LIMITED:  # those are counted, and do not fill the journal
            data = {"verb": result.verb, "text": result.reason.text, "channel": submission.channel.value}
            evse = submission.evse
            board.journal.later(Entry(result.ts, Step.RECEIVED, result.code.value, result.id or None, evse, data))
        board.tell(result, reply, None)
        if result.code is not Code.RATE_LIMITED:
            board.happened(Happened.REFUSED, submission.evse, result.reason, command=result.id or None)
        return result

    def _plain(self, submission: Submission, command_id: str, reason: Reason, source: str | None) -> Result:
        return Result(
            id=command_id,
            verb=submission.verb[:64],
            evse=submission.evse,
            status=Status.REFUSED,
            reason=reason,
            source=source,
            gateway=self._board.settings.gateway_id,
            ts=self._board.clock.wall(),
        )

    # what is written ------------------------------------------------------------------------------------------------

    def _result(
        self, submission: Submission, parsed: Parsed, grant: CommandDecision, lease_wall: float | None
    ) -> Result:
        board = self._board
        place = board.places.get(submission.evse) if submission.evse else None
        return Result(
            id=parsed.body.id,
            verb=parsed.verb.value,
            evse=submission.evse,
            status=grant.status,
            reason=grant.reason,
            requested_w=grant.requested_w,
            effective_w=grant.effective_w,
            binding=grant.binding,
            lease_until=lease_wall,
            shares=grant.shares,
            source=parsed.body.source,
            session=place.evse.session if place else None,
            gateway=board.settings.gateway_id,
            ts=board.clock.wall(),
        )

    def _records(
        self,
        submission: Submission,
        parsed: Parsed,
        received: float,
        print_: str,
        reply: ReplyTo | None,
        result: Result,
        text: str,
        holds: bool,
    ) -> list[Entry | CommandOpened | ResultGiven]:
        body, evse, wall = parsed.body, submission.evse, self._board.clock.wall()
        who = {"channel": submission.channel.value, "source": body.source, "client": submission.client}
        asked = body.model_dump(mode="json", exclude={"id", "source", "reply_to"}, exclude_none=True)
        bound = {"effective_w": result.effective_w, "requested_w": result.requested_w, "text": result.reason.text}
        answer = {"status": result.status.value, "reason": result.reason.model_dump(mode="json"), "source": body.source}
        return [
            Entry(received, Step.RECEIVED, submission.channel.value, body.id, evse, {**who, "verb": parsed.verb.value}),
            Entry(received, Step.VALIDATED, parsed.verb.value, body.id, evse, asked),
            CommandOpened(
                body.id,
                evse,
                parsed.verb.value,
                print_,
                body.model_dump_json(),
                body.source,
                submission.channel.value,
                received,
                holds or (parsed.verb is Verb.RELEASE and result.status is not Status.REFUSED),
                reply,
            ),
            Entry(wall, Step.JOURNALLED, parsed.verb.value, body.id, evse),
            Entry(wall, Step.BOUND, result.binding or result.code.value, body.id, evse, bound),
            Entry(wall, Step.RESULT, result.code.value, body.id, evse, {**answer, "effective_w": result.effective_w}),
            ResultGiven(body.id, Phase.FIRST, text, wall),
        ]

    def _count(self, result: Result) -> None:
        for name in (result.status.value, result.code.value):
            self.counts[name] = self.counts.get(name, 0) + 1


def latest(stored: StoredCommand) -> str:
    """The newest result a store knows of a command, as JSON."""
    return stored.final or stored.first or ""


def _unwritten(error: StoreError) -> Reason:
    return because(
        Code.JOURNAL_UNAVAILABLE, f"The command could not be journalled, so it was not carried out: {error}."
    )
