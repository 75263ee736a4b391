"""A command as received, and the checks that need nothing but its message. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass

from pydantic import ValidationError

from gateway.control.active_command import Channel as Channel
from gateway.model.command import EVSE_VERBS, MAX_BYTES, SITE_VERBS, Body, Verb, complaint
from gateway.model.journal import ReplyTo
from gateway.model.reason import Code, Reason, because


@dataclass(frozen=True, slots=True)
class Submission:
    """A command as received: `evse` None is the site; `payload` is JSON text; `client` as the transport states it."""

    evse: str | None
    verb: str
    payload: bytes
    channel: Channel = Channel.API
    retained: bool = False
    reply: ReplyTo | None = None
    client: str | None = None

    def reply_to(self, topic: str | None) -> ReplyTo | None:
        """Return where the results go besides the result topic; `topic` is that of the command's body."""
        return self.reply or (ReplyTo(topic) if topic else None)


@dataclass(frozen=True, slots=True)
class Parsed:
    """A well-formed command."""

    verb: Verb
    body: Body


@dataclass(frozen=True, slots=True)
class Malformed:
    """Reason why a message is no command, and the members that could be read."""

    reason: Reason
    id: str | None = None
    source: str | None = None
    reply_to: str | None = None


def parse(submission: Submission) -> Parsed | Malformed:
    """Return the command, or the reason why it is malformed: size, retain flag, verb and body are checked."""
    payload = submission.payload
    if len(payload) > MAX_BYTES:
        text = f"The message has {len(payload)} bytes; {MAX_BYTES} are allowed."
        return Malformed(because(Code.TOO_LARGE, text), _id_of_huge(payload))
    if submission.retained:
        text = "A retained command would act again on every reconnection; publish it without the retain flag."
        return _malformed(payload, because(Code.RETAINED, text))
    verbs = SITE_VERBS if submission.evse is None else EVSE_VERBS
    if submission.verb not in verbs:
        whom = "the site" if submission.evse is None else "an EVSE"
        known = ", ".join(verb.value for verb in verbs)
        text = f"{submission.verb[:64]!r} is not a verb of {whom}; known are {known}."
        return _malformed(payload, because(Code.UNKNOWN_VERB, text))
    verb = Verb(submission.verb)
    try:
        return Parsed(verb, verbs[verb].model_validate_json(payload))
    except ValidationError as error:
        if error.errors(include_url=False, include_context=False, include_input=False)[0]["type"] == "json_invalid":
            return _malformed(payload, because(Code.BAD_JSON, f"The message is not JSON: {complaint(error)}."))
        return _malformed(payload, because(Code.BAD_COMMAND, f"{complaint(error)}."))


def _malformed(payload: bytes, reason: Reason) -> Malformed:
    read = _members(payload)
    return Malformed(
        reason, _text(read.get("id"), 128), _text(read.get("source"), 64), _text(read.get("reply_to"), 512)
    )


def _members(payload: bytes) -> dict[str, object]:
    try:
        read = json.loads(payload)
    except (ValueError, RecursionError):
        return {}
    return read if isinstance(read, dict) else {}


def _text(value: object, longest: int) -> str | None:
    if isinstance(value, str) and 0 < len(value) <= longest and value.isprintable():
        return value
    return None


def _id_of_huge(payload: bytes) -> str | None:
    """Return the id of a message too large to be read, if it stands near its beginning."""
    head = payload[:4096]
    mark = head.find(b'"id"')
    if mark < 0:
        return None
    try:
        value, _ = json.JSONDecoder().raw_decode(
            head[mark + 4 :].decode("utf-8", "replace").lstrip().lstrip(":").lstrip()
        )
    except ValueError:
        return None
    return _text(value, 128)
