"""Age of a command: an old one, or one of unknown age from a backlog, does not act. Pure."""

from __future__ import annotations

from gateway.model.command import ALWAYS_ACT, Body, Submission, Verb
from gateway.model.moment import rfc3339


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
