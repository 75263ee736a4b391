"""A command as it arrives, and what can be said about it without knowing anything else. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic import ValidationError

from gateway.model.command import EVSE_VERBS, MAX_BYTES, SITE_VERBS, Body, Verb, complaint
from gateway.model.journal import ReplyTo
from gateway.model.reason import Code, Reason, because


class Channel(StrEnum):
    """Which door a command came through."""

    MQTT = "mqtt"
    API = "api"
    LOCAL = "local"


@dataclass(frozen=True, slots=True)
class Submission:
    """A command as received: `evse` None is the site; `payload` is JSON text."""

    evse: str | None
    verb: str
    payload: bytes
    channel: Channel = Channel.API
    retained: bool = False
    reply: ReplyTo | None = None
    client: str | None = None  # who the transport says it is, where it says


@dataclass(frozen=True, slots=True)
class Parsed:
    """A well-formed command."""

    verb: Verb
    body: Body


@dataclass(frozen=True, slots=True)
class Malformed:
    """Why it is none, and the id where one could be read."""

    reason: Reason
    id: str | None = None
    source: str | None = None
    reply_to: str | None = None


def parse(submission: Submission) -> Parsed | Malformed:
    """Check size, retain flag, verb and body."""
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


def _members(payload: bytes) -> dict[str, Any]:
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
    """The id of a message too large to be read, if it stands near its beginning."""
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
