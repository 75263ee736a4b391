"""Conditions for a command to act: its age, and the rate, priorities and reply topics of its client.

A client is identified by its command topic, which the broker's access list binds to one user. Senders on a shared
topic are one client; `source` then is a label that any of them can state.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from gateway.control.control_state import EvseRegistry
from gateway.control.settings import ServiceSettings
from gateway.model.command import ALWAYS_ACT, Body, Channel, Submission, Verb, command_key
from gateway.model.message import rfc3339
from gateway.model.reason import Code, Reason, because
from gateway.rate_limit import RateLimiter

ALL_CLIENTS = 10  # clients together may send an EVSE this many times the commands of one
MAX_KEY = 128  # characters of client and id


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


def expiry_fault(
    submission: Submission, verb: Verb, body: Body, now: float, wall: float, max_age_s: float
) -> str | None:
    """Return why a command is too old to act, None where it is not; `now` is monotonic, `wall` Unix time.

    What its sender states decides: `expires_at`, the message expiry of MQTT 5, `issued_at`. Without any of them it is
    as old as its delivery, or as the link that it may have waited for. `stop` and `emergency_stop` act at any age.
    """
    if verb in ALWAYS_ACT:
        return None
    if body.expires_at is not None and body.expires_at <= wall:
        late_s = wall - body.expires_at
        return f"It expired {late_s:.1f} s ago by the gateway's clock, which says {rfc3339(wall)}."
    if body.issued_at is not None:
        age_s = wall - body.issued_at
        if age_s > max_age_s:
            return f"It was issued {age_s:.1f} s ago by the gateway's clock; {max_age_s:g} s are allowed."
    waited_s = now - submission.delivered if submission.delivered is not None else 0.0
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
