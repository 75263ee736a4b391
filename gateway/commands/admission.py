"""Admission of a command: as it was received, with its age, the rights and rates of its client, and the decision on it.

A client is identified by its command topic, which the broker's access list binds to one user. Senders on a shared
topic are one client; `source` then is a label that any of them can state. The arbiter decides what a
command gets.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from gateway.control.control_state import ActiveCommand, EvseRegistry
from gateway.control.settings import ServiceSettings
from gateway.model.command import ALWAYS_ACT, LEASED, Body, Channel, Submission, Verb, command_key
from gateway.model.journal import CommandOpened, Entry, Phase, Record, ReplyTo, ResultGiven, Step
from gateway.model.message import rfc3339
from gateway.model.reason import Code, Reason, because
from gateway.model.result import Layer, Result, Share, Status
from gateway.rate_limit import RateLimiter

ALL_CLIENTS = 10  # clients together may send an EVSE this many times the commands of one
MAX_KEY = 128  # characters of client and id


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

    def expiry_fault(self, max_age_s: float) -> str | None:
        """Return why it is too old to act, None where it is not.

        What its sender states decides: `expires_at`, the message expiry of MQTT 5, `issued_at`. Without any of them it
        is as old as its delivery, or as the link that it may have waited for. `stop` and `emergency_stop` act at any
        age.
        """
        submission, body, wall = self.submission, self.body, self.received
        if self.verb in ALWAYS_ACT:
            return None
        if body.expires_at is not None and body.expires_at <= wall:
            late_s = wall - body.expires_at
            return f"It expired {late_s:.1f} s ago by the gateway's clock, which says {rfc3339(wall)}."
        if body.issued_at is not None:
            age_s = wall - body.issued_at
            if age_s > max_age_s:
                return f"It was issued {age_s:.1f} s ago by the gateway's clock; {max_age_s:g} s are allowed."
        waited_s = self.started - submission.delivered if submission.delivered is not None else 0.0
        if submission.expiry_s is not None and waited_s > submission.expiry_s:
            return f"Its message expiry of {submission.expiry_s} s ended while it waited for {waited_s:.1f} s."
        if body.issued_at is None and body.expires_at is None and submission.expiry_s is None:
            if submission.older_s is None:
                return "It waited at the broker for an unknown time; state issued_at, expires_at or a message expiry."
            if submission.older_s + waited_s > max_age_s:
                return (
                    f"It may be {submission.older_s + waited_s:.0f} s old, and {max_age_s:g} s are allowed; "
                    "state issued_at, expires_at or a message expiry."
                )
        elif waited_s > max_age_s:
            return f"It waited {waited_s:.0f} s in the gateway; {max_age_s:g} s are allowed."
        return None

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


# rights of clients ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Sender:
    """Sender whose rates count: the client, else all senders of the channel, apart by `source` where it is stated."""

    name: str
    source: str | None

    @classmethod
    def of(cls, submission: Submission, source: str | None) -> _Sender:
        """Return the sender of a submission; `source` is that of the command's body."""
        if submission.client is not None:
            return cls(f"client/{submission.client}", f"client/{submission.client}")
        channel = submission.channel.value
        return cls(channel, f"{channel}/{source}" if source else None)


class ClientRights:
    """Checks commands against the rights of their clients."""

    def __init__(self, settings: ServiceSettings, registry: EvseRegistry) -> None:
        self._registry = registry
        self._shared = settings.shared_commands
        self._max_priority = settings.max_priority
        self._reply_fault = settings.reply_fault
        self._evse_rates = RateLimiter(settings.evse_rate_per_s, settings.burst_s)
        self._source_rates = RateLimiter(settings.source_rate_per_s, settings.burst_s)
        self._total_rates = RateLimiter(settings.evse_rate_per_s * ALL_CLIENTS, settings.burst_s)

    def reply_fault(self, submission: Submission) -> Callable[[str], str | None]:
        """Return a function that returns why results are not sent to a topic, None where they are."""
        return partial(self._reply_fault, client=submission.client)

    def key_fault(self, submission: Submission, body: Body) -> Reason | None:
        """Return why an id cannot be stored."""
        if len(command_key(submission.client, body.id)) <= MAX_KEY:
            return None
        text = f"The name of the client and the id have more than {MAX_KEY - 1} characters together."
        return because(Code.BAD_COMMAND, text)

    def fault(self, submission: Submission, verb: Verb, body: Body) -> Reason | None:
        """Return why a client may not send a command; one that takes power away always may be sent."""
        if verb in ALWAYS_ACT:
            return None
        if submission.client is None and submission.channel is Channel.MQTT and not self._shared:
            text = "Commands on this topic are not accepted; append the name of the client as the last level."
            return because(Code.CLIENT_REQUIRED, text)
        most = self._most(submission)
        if body.priority > most:
            text = f"The client {submission.client} may use priorities up to {most}; this command has {body.priority}."
            return because(Code.OUTRANKED, text)
        return None

    def limited(self, submission: Submission, body: Body) -> Body:
        """Return a command with no higher priority than its client may use."""
        most = self._most(submission)
        return body if body.priority <= most else body.model_copy(update={"priority": most})

    def _most(self, submission: Submission) -> int:
        return 100 if submission.client is None else self._max_priority.get(submission.client, 100)

    # rates ----------------------------------------------------------------------------------------------------------

    def allow(self, submission: Submission, body: Body, now: float) -> bool:
        """Count a command; False if it comes too soon. What one client sends takes nothing from another."""
        sender, target = _Sender.of(submission, body.source), self._target(submission.evse)
        allowed = self._evse_rates.allow(f"{sender.name}/{target}", now)
        if sender.source is not None:
            allowed = self._source_rates.allow(sender.source, now) and allowed
        return allowed and self._total_rates.allow(target, now)

    def allow_malformed(self, submission: Submission, now: float) -> bool:
        """Count a message that is no command."""
        name = _Sender.of(submission, None).name
        return self._evse_rates.allow(f"{name}/{self._target(submission.evse)}", now)

    def allow_report(self, of: str, now: float) -> bool:
        """Return whether one more report of a kind may be published."""
        return self._evse_rates.allow(f"report/{of}", now)

    def _target(self, evse: str | None) -> str:
        """Return what a rate is of: unknown EVSEs share one, or each name would be a new one."""
        return "site" if evse is None else f"evse/{evse}" if evse in self._registry else "unknown"
