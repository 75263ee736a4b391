"""A received command and the decision about it, what it gets by the control hierarchy: values."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.control.control_state import ActiveCommand
from gateway.model.command import LEASED, Body, Submission, Verb
from gateway.model.journal import CommandOpened, Entry, Phase, Record, ReplyTo, ResultGiven, Step
from gateway.model.reason import Code, Reason, because
from gateway.model.result import Layer, Result, Share, Status


@dataclass(frozen=True, slots=True)
class CommandDecision:
    """Decision on a command. `acts`: granted, and in force after its answer. `powers`: for a command to the site."""

    status: Status
    reason: Reason
    requested_w: float | None = None
    effective_w: float | None = None
    binding: Layer | None = None
    acts: bool = False
    shares: tuple[Share, ...] | None = None
    powers: tuple[tuple[str, float], ...] = ()

    @classmethod
    def refusal(cls, reason: Reason, binding: Layer | None = None, requested_w: float | None = None) -> CommandDecision:
        """Return the decision that a command gets nothing."""
        return cls(Status.REFUSED, reason, requested_w, None, binding)


GRANTED = because(Code.GRANTED, "Granted as requested.")


@dataclass(frozen=True, slots=True)
class ReceivedCommand:
    """A well-formed command in intake. `received` is Unix time, `started` monotonic: its lease runs from then.

    `id` is its name in store and journal.
    """

    id: str
    submission: Submission
    verb: Verb
    body: Body
    received: float
    started: float
    fingerprint: str
    reply: ReplyTo | None

    def active(self, sequence: int, decision: CommandDecision) -> ActiveCommand:
        """Return the command as it is put in force."""
        leased = self.verb in LEASED
        return ActiveCommand(
            self.id,
            self.submission.evse,
            self.verb,
            self.body,
            self.submission.channel,
            lease_until=self.started + self.body.lease_s if leased else None,
            lease_wall=self.lease_wall(decision),
            reply=self.reply,
            sequence=sequence,
        )

    def in_force(self, decision: CommandDecision) -> bool:
        """Return whether it is active after its first result."""
        return decision.acts or (self.verb is Verb.RELEASE and decision.status is not Status.REFUSED)

    def lease_wall(self, decision: CommandDecision) -> float | None:
        """Return the Unix time at which its lease ends, None where it holds none."""
        holds = self.verb in LEASED and decision.acts
        return self.received + self.body.lease_s if holds else None

    def records(self, decision: CommandDecision, result: Result, wall: float) -> list[Record]:
        """Return what is journalled before it acts; `wall` is the Unix time of its first result."""
        body, submission, verb, code = self.body, self.submission, self.verb.value, result.reason.code.value
        evse, channel, received = submission.evse, submission.channel.value, self.received
        origin = {"channel": channel, "source": body.source, "client": submission.client, "verb": verb}
        requested = body.model_dump(mode="json", exclude={"id", "source", "reply_to"}, exclude_none=True)
        bound = {"effective_w": result.effective_w, "requested_w": result.requested_w, "text": result.reason.text}
        answer = {"status": result.status.value, "reason": result.reason.model_dump(mode="json"), "source": body.source}
        opened = CommandOpened(
            self.id,
            evse,
            verb,
            self.fingerprint,
            body.model_dump_json(),
            body.source,
            channel,
            received,
            self.in_force(decision),
            self.reply,
        )
        return [
            Entry(received, Step.RECEIVED, channel, self.id, evse, origin),
            Entry(received, Step.VALIDATED, verb, self.id, evse, requested),
            opened,
            Entry(wall, Step.JOURNALLED, verb, self.id, evse),
            Entry(wall, Step.BOUND, result.binding or code, self.id, evse, bound),
            Entry(wall, Step.RESULT, code, self.id, evse, {**answer, "effective_w": result.effective_w}),
            ResultGiven(self.id, Phase.FIRST, result.as_json, wall),
        ]
