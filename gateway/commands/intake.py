"""Intake of commands: checked, decided, journalled, answered and put in force.

The first result is given here, within a second, and does not wait for the station: the answers of station and meter
are part of the final result. No command acts before it is journalled, except those that only take power away (`stop`,
`emergency_stop`): they act even if the journal fails.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from gateway.commands.admission import ClientRights, CommandDecision, ReceivedCommand
from gateway.commands.arbiter import CommandArbiter
from gateway.commands.background import BackgroundTasks
from gateway.commands.lifecycle import CommandLifecycle
from gateway.control.control_state import EvseRegistry
from gateway.control.publisher import EventPublisher
from gateway.control.settings import ServiceSettings
from gateway.model.command import (
    ALWAYS_ACT,
    Body,
    Malformed,
    Schedule,
    Submission,
    Verb,
    command_key,
    fingerprint,
    parse,
)
from gateway.model.journal import Entry, Phase, Step
from gateway.model.reason import Code, Reason, because
from gateway.model.result import Result, Status
from gateway.model.state import Happened
from gateway.store.journal import IdempotencyCache, Journal, Unfinished
from gateway.store.store import RecordRefused, StoreError
from protocols.ports import Clock

MOST_AT_ONCE = 2000  # commands in intake at the same moment
MOST_OF_NAME = 100  # characters of the name of a stop whose id was used; the time of receipt follows
STOP_FOUND_WITHIN_S = 0.3  # a stop does not wait longer for the store to state whether it is a repetition


class CommandIntake:
    """Receives commands of all channels."""

    def __init__(
        self,
        arbiter: CommandArbiter,
        lifecycle: CommandLifecycle,
        registry: EvseRegistry,
        publisher: EventPublisher,
        journal: Journal,
        known: IdempotencyCache,
        background: BackgroundTasks,
        clock: Clock,
        settings: ServiceSettings,
    ) -> None:
        self._arbiter = arbiter
        self._lifecycle = lifecycle
        self._registry = registry
        self._publisher = publisher
        self._journal = journal
        self._known = known
        self._background = background
        self._clock = clock
        self._rights = ClientRights(settings, registry)
        self._max_age_s = settings.max_age_s
        self._in_intake: dict[str, asyncio.Future[Result]] = {}
        self._unfinished: set[str] = set()  # those of `_in_intake` that were refused, and that may still be written
        self.counts: Counter[tuple[str, str]] = Counter()  # first results by status and reason code

    async def submit(self, submission: Submission) -> Result:
        """Return the first result of a command; a duplicate gets the stored one. Never raises for what was sent."""
        parsed = parse(submission)
        if isinstance(parsed, Malformed):
            submission, reply_to = self._checked_reply(submission, parsed.id, parsed.reply_to)
            return self._refuse_malformed(submission, replace(parsed, reply_to=reply_to))
        verb, body = parsed
        submission, reply_to = self._checked_reply(submission, body.id, body.reply_to)
        if reply_to != body.reply_to:
            body = body.model_copy(update={"reply_to": reply_to})
        if (fault := self._rights.key_fault(submission, body)) is not None:
            return self._refuse_malformed(submission, Malformed(fault, body.id, body.source, reply_to))
        not_now = self._not_now(submission, verb, body)
        if not_now is not None:
            return self._refuse(submission, body, not_now)
        key, body = command_key(submission.client, body.id), self._rights.limited(submission, body)
        if key in self._in_intake:
            return await self._copy_in_intake(submission, verb, body)
        if len(self._in_intake) >= MOST_AT_ONCE and verb not in ALWAYS_ACT:
            reason = because(Code.OVERLOADED, "Too many commands at once; send it again.")
            return self._refuse(submission, body, reason)
        self._in_intake[key] = future = asyncio.get_running_loop().create_future()
        try:
            result = await self._receive(submission, verb, body)
            future.set_result(result)
            return result
        finally:
            future.cancel()  # without effect on a result
            if key not in self._unfinished:
                del self._in_intake[key]

    def _checked_reply(
        self, submission: Submission, command: str | None, reply_to: str | None
    ) -> tuple[Submission, str | None]:
        """Return a submission and the `reply_to` of its body without reply topics that cannot be used."""
        submission, reply_to = submission.with_checked_reply(reply_to, self._rights.reply_fault(submission))
        if submission.reply_fault is not None:
            text = f"The reply topic of a command is not used: {submission.reply_fault}."
            reason, key = because(Code.UNDELIVERABLE, text), submission.readable_key(command)
            self.report_undeliverable(submission.evse, reason, key)
        return submission, reply_to

    def report_undeliverable(self, evse: str | None, reason: Reason, command: str | None = None) -> None:
        """Publish and journal that a message cannot be delivered; beyond the rate it is only counted."""
        self.counts["undeliverable", reason.code.value] += 1
        if self._rights.allow_report("undeliverable", self._clock.now()):
            known = evse if evse in self._registry else None
            self._publisher.happened(Happened.UNDELIVERABLE, known, reason, command=command)

    # a well-formed command ------------------------------------------------------------------------------------------

    async def _receive(self, submission: Submission, verb: Verb, body: Body) -> Result:
        received, started = self._clock.wall(), self._clock.now()
        print_, reply = fingerprint(submission.evse, verb, body), submission.reply_to(body.reply_to)
        name, always = command_key(submission.client, body.id), verb in ALWAYS_ACT
        try:
            stored = await (self._find_soon(name, started) if always else self._known.find(name))
        except (StoreError, TimeoutError) as error:
            if not always:
                return self._refuse(submission, body, _unwritten(error))
            stored = None
        if stored is not None and not _acts_with_used_id(verb, stored, print_):
            return self._answer_known(submission, body, stored, print_)
        if stored is not None or name in self._unfinished:
            name = f"{name[:MOST_OF_NAME]}~{received * 1000:.0f}"
        command = ReceivedCommand(name, submission, verb, body, received, started, print_, reply)
        sequence = self._arbiter.next_sequence()
        decision = self._decide(command)
        result = self._result(command, decision)
        if always and decision.status is not Status.REFUSED:
            await self._act_then_journal(command, sequence, decision, result)
            return result
        return await self._journal_then_act(command, sequence, decision, result)

    async def _find_soon(self, name: str, started: float) -> tuple[str, str] | None:
        async with self._clock.timeout_at(started + STOP_FOUND_WITHIN_S):
            return await self._known.find(name)

    async def _act_then_journal(
        self, command: ReceivedCommand, sequence: int, decision: CommandDecision, result: Result
    ) -> None:
        """Carry out a command that only takes power away, whatever the journal does."""
        records = command.records(decision, result, self._clock.wall())
        self._arbiter.put_in_force(command.active(sequence, decision), decision)
        try:
            await self._journal.keep_or_later(*records)
        except RecordRefused:  # the store has this id already, and the line in it is not of this command
            self._journal.later(*(one for one in records if isinstance(one, Entry)))
        self._answer(command, result)
        self._arbiter.after_answer(command.id)

    async def _journal_then_act(
        self, command: ReceivedCommand, sequence: int, decision: CommandDecision, result: Result
    ) -> Result:
        """Journal a command before it acts; what cannot be journalled is refused."""
        submission, body = command.submission, command.body
        try:
            await self._journal.keep(*command.records(decision, result, self._clock.wall()))
        except Unfinished as slow:
            refusal = self._refuse(submission, body, _unwritten(slow))
            self._unfinished.add(command.id)
            self._background.start(self._fail_if_written(slow, command, decision, result, refusal))
            return refusal
        except StoreError as error:
            return self._refuse(submission, body, await self._why_unwritten(error, command.id))
        refused = decision.status is Status.REFUSED
        if not refused:
            self._arbiter.put_in_force(command.active(sequence, decision), decision)
        self._answer(command, result)
        if refused:
            self._publisher.happened(Happened.REFUSED, result.evse, decision.reason, command=command.id)
        self._arbiter.after_answer(command.id)
        return result

    async def _fail_if_written(
        self, slow: Unfinished, command: ReceivedCommand, decision: CommandDecision, result: Result, refusal: Result
    ) -> None:
        """End a refused command that is in the journal after all as failed. Its copies get the refusal until then."""
        try:
            await slow.completed
        except StoreError:
            return
        finally:
            self._unfinished.discard(command.id)
            self._in_intake.pop(command.id, None)
        ends = command.in_force(decision)
        self._known.put(command.id, command.fingerprint, (refusal if ends else result).as_json)
        if ends:
            failed = replace(command.active(0, decision), lease_until=None, lease_wall=None)
            self._lifecycle.settle(failed, Status.FAILED, refusal.reason, ended=True)

    def _decide(self, command: ReceivedCommand) -> CommandDecision:
        """Decide by the control hierarchy, or return why the command cannot be granted at all."""
        body, wall, fault = command.body, command.received, command.expiry_fault(self._max_age_s)
        if fault is not None:
            return CommandDecision.refusal(because(Code.EXPIRED, fault))
        if isinstance(body, Schedule) and body.end <= wall:
            return CommandDecision.refusal(because(Code.EXPIRED, "The last period of the schedule has already ended."))
        return self._arbiter.decide(command.submission.evse, command.verb, body, wall)

    def _answer(self, command: ReceivedCommand, result: Result) -> None:
        self._known.put(command.id, command.fingerprint, result.as_json)
        self.counts[result.status.value, result.reason.code.value] += 1
        self._publisher.result(result, command.reply, Phase.FIRST)

    # duplicates -----------------------------------------------------------------------------------------------------

    async def _why_unwritten(self, error: StoreError, command_id: str) -> Reason:
        """The store may have an id that this gateway has not: of another gateway, or of a write reported as failed."""
        if isinstance(error, RecordRefused):
            with contextlib.suppress(StoreError):
                if await self._journal.store.find_command(command_id) is not None:
                    text = f"The id {command_id} is in the journal already; take a new one."
                    return because(Code.ID_CONFLICT, text)
        return _unwritten(error)

    def _answer_known(self, submission: Submission, body: Body, stored: tuple[str, str], print_: str) -> Result:
        if stored[0] != print_:
            text = f"The id {body.id} was used with another command in the last 7 days; take a new one."
            return self._refuse(submission, body, because(Code.ID_CONFLICT, text))
        result = Result.model_validate_json(stored[1])
        key, channel = command_key(submission.client, body.id), submission.channel.value
        self._publisher.note(Step.RECEIVED, "duplicate", key, submission.evse, channel=channel)
        self.counts["duplicate", result.reason.code.value] += 1
        self._publisher.result(result, submission.reply_to(body.reply_to), None)
        return result

    async def _copy_in_intake(self, submission: Submission, verb: Verb, body: Body) -> Result:
        """Answer a copy of a command whose first copy is still in intake."""
        key = command_key(submission.client, body.id)
        try:
            result = await asyncio.shield(self._in_intake[key])
        except asyncio.CancelledError:
            reason = because(Code.BUSY, "The command could not be accepted; send it again.")
            return self._refuse(submission, body, reason)
        stored, print_ = self._known.recent(key), fingerprint(submission.evse, verb, body)
        if verb in ALWAYS_ACT and (stored is None or _acts_with_used_id(verb, stored, print_)):
            return await self._receive(submission, verb, body)
        if stored is not None:
            return self._answer_known(submission, body, stored, print_)
        self._publisher.result(result, submission.reply_to(body.reply_to), None)  # refused
        return result

    # refusals that leave the id free --------------------------------------------------------------------------------

    def _not_now(self, submission: Submission, verb: Verb, body: Body) -> Reason | None:
        """Return why no command, or not one so soon, is accepted; a stop that ends something always is."""
        if verb in ALWAYS_ACT and not self._arbiter.stopped(submission.evse, verb, body.priority):
            return None
        if not self._rights.allow(submission, body, self._clock.now()):
            text = "Commands come faster than this EVSE or this source may send them; slow down and send it again."
            return because(Code.RATE_LIMITED, text)
        return None if verb in ALWAYS_ACT else self._rights.fault(submission, verb, body) or self._arbiter.closed

    def allow_input_refusal(self, kind: str, reason: Reason) -> bool:
        """Return whether one more refused input may be published; the rest are only counted."""
        self.counts["input_refused", reason.code.value] += 1
        return self._rights.allow_report(f"input/{kind[:64]}", self._clock.now())

    def _refuse_malformed(self, submission: Submission, bad: Malformed) -> Result:
        reason = bad.reason
        if not self._rights.allow_malformed(submission, self._clock.now()):
            text = "Messages come faster than this EVSE may be sent them, and this one is malformed."
            reason = because(Code.RATE_LIMITED, text)
        return self._refuse(submission, bad, reason)

    def _refuse(self, submission: Submission, read: Body | Malformed, reason: Reason) -> Result:
        """Publish a refusal that is not stored; `read` is what could be read of the command."""
        code, evse, wall = reason.code, submission.evse, self._clock.wall()
        result = Result(
            id=read.id or "",
            verb=submission.verb[:64],
            evse=evse,
            status=Status.REFUSED,
            reason=submission.with_reply_fault(reason),
            source=read.source,
            client=submission.client,
            gateway=self._publisher.gateway_id,
            ts=wall,
        )
        self.counts[result.status.value, code.value] += 1
        counted_only = code in (Code.RATE_LIMITED, Code.OVERLOADED)  # so that they do not fill the journal
        if not counted_only:
            key = submission.readable_key(read.id)
            data = {"verb": result.verb, "text": reason.text, "channel": submission.channel.value}
            self._journal.later(Entry(wall, Step.RECEIVED, code.value, key, evse, data))
        self._publisher.result(result, submission.reply_to(read.reply_to), None)
        if not counted_only:
            self._publisher.happened(Happened.REFUSED, evse, reason, command=key)
        return result

    def refuse_overloaded(self, number: int, submissions: Sequence[Submission]) -> None:
        """Answer commands that could not be queued, of `number` messages; an event states their number."""
        text = "Messages come faster than the gateway processes them; slow down, use QoS 1 and send it again."
        for submission in submissions:
            parsed = parse(submission)
            read = parsed if isinstance(parsed, Malformed) else parsed[1]
            checked, reply_to = self._checked_reply(submission, read.id, read.reply_to)
            malformed = Malformed(because(Code.OVERLOADED, text), read.id, read.source, reply_to)
            self._refuse(checked, malformed, malformed.reason)
        self.counts["dropped", Code.OVERLOADED.value] += number
        reason = because(Code.OVERLOADED, f"{number} messages of QoS 0 could not be queued and had no effect.")
        self._publisher.happened(Happened.OVERLOADED, None, reason)

    # records --------------------------------------------------------------------------------------------------------

    def _result(self, command: ReceivedCommand, decision: CommandDecision) -> Result:
        state = self._registry.get(command.submission.evse)
        return Result(
            id=command.body.id,
            verb=command.verb.value,
            evse=command.submission.evse,
            status=decision.status,
            reason=command.submission.with_reply_fault(decision.reason),
            requested_w=decision.requested_w,
            effective_w=decision.effective_w,
            binding=decision.binding,
            lease_until=command.lease_wall(decision),
            shares=decision.shares,
            source=command.body.source,
            client=command.submission.client,
            session=state.evse.session if state else None,
            gateway=self._publisher.gateway_id,
            ts=self._clock.wall(),
        )


def _acts_with_used_id(verb: Verb, stored: tuple[str, str], print_: str) -> bool:
    """Return whether a stop acts although another command has used its id, so that no use of an id prevents a stop."""
    return verb in ALWAYS_ACT and stored[0] != print_


def _unwritten(error: Exception) -> Reason:
    text = f"The command could not be journalled, so it was not carried out: {error}."
    return because(Code.JOURNAL_UNAVAILABLE, f"{text} Only stops act without the journal.")
