"""Commands to an EVSE or to the site, as in their messages: one envelope, one model per verb.

`parse` validates MQTT payloads and API bodies by the same models of which the AsyncAPI document is generated. Powers of
`discharge` and `charge` are magnitudes; `setpoint` is signed, + into the vehicle.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, StringConstraints, ValidationError, model_validator

from gateway.model.journal import ReplyTo
from gateway.model.message import Moment, ReceivedMessage, strict_json
from gateway.model.reason import Code, Reason, because

MAX_BYTES = 65_536  # of one command as received
MAX_POWER_W = 10_000_000.0
MAX_PERIODS = 1024
SHORTEST_LEASE_S, LONGEST_LEASE_S, DEFAULT_LEASE_S = 5.0, 3600.0, 30.0
KEPT_FOR_S = 7 * 86_400.0  # an id means the same command for 7 days

Id = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[\x21-\x7e]+$")]
Source = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[\x20-\x7e]+$")]
Topic = Annotated[str, StringConstraints(min_length=1, max_length=512, pattern=r"^[^#+\x00]+$")]
Magnitude = Annotated[float, Field(ge=0, le=MAX_POWER_W, allow_inf_nan=False)]
Signed = Annotated[float, Field(ge=-MAX_POWER_W, le=MAX_POWER_W, allow_inf_nan=False)]
Percent = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
Energy = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
LeaseS = Annotated[float, Field(ge=SHORTEST_LEASE_S, le=LONGEST_LEASE_S, allow_inf_nan=False)]


class Verb(StrEnum):
    """Verbs; those of an EVSE and of the site are in `EVSE_VERBS` and `SITE_VERBS`."""

    DISCHARGE = "discharge"
    CHARGE = "charge"
    SETPOINT = "setpoint"
    STOP = "stop"
    SCHEDULE = "schedule"
    RESERVE = "reserve"
    RELEASE = "release"
    PEAK_LIMIT = "peak_limit"
    BACKUP = "backup"
    MODE = "mode"
    EMERGENCY_STOP = "emergency_stop"


class Channel(StrEnum):
    """Interface by which a command was received."""

    MQTT = "mqtt"
    API = "api"
    LOCAL = "local"


class SiteMode(StrEnum):
    """Policy of the site while no command is active."""

    SELF_CONSUMPTION = "self_consumption"
    PEAK_SHAVING = "peak_shaving"
    PRICE = "price"
    GRID_SERVICE = "grid_service"
    BACKUP = "backup"
    MANUAL = "manual"


class Envelope(ReceivedMessage):
    """Members of every command; `lease_s` and `min_soc_pct` are ignored where a verb does not use them."""

    id: Id = Field(description="idempotency key: the same id acts once and returns the stored result for 7 days")
    lease_s: LeaseS = Field(
        DEFAULT_LEASE_S, description="the power falls to 0 W this long after the command, unless renewed"
    )
    expires_at: Moment | None = Field(
        default=None, description="a command that is processed later than this is refused"
    )
    issued_at: Moment | None = Field(
        default=None, description="when the sender made the command; one older than `commands.max_age_s` is refused"
    )
    priority: Annotated[int, Field(ge=0, le=100)] = Field(
        default=50, description="a lower one cannot replace a higher one"
    )
    source: Source | None = Field(default=None, description="sender, for the journal and the rate limit")
    min_soc_pct: Percent | None = Field(
        default=None, description="SoC floor of this command; the highest floor is in force"
    )
    reply_to: Topic | None = Field(
        default=None, description="additional topic of the results, for clients without MQTT 5"
    )


class Discharge(Envelope):
    """Discharge the vehicle with `power_w`."""

    power_w: Magnitude


class Charge(Envelope):
    """Charge the vehicle with `power_w`."""

    power_w: Magnitude


class Setpoint(Envelope):
    """Set the power to `power_w`, + into the vehicle."""

    power_w: Signed


class Stop(Envelope):
    """Set the power to 0 W; the session continues."""


class Period(ReceivedMessage):
    """One step of a schedule, + into the vehicle."""

    start: Moment
    duration_s: Annotated[float, Field(gt=0, le=7 * 86_400, allow_inf_nan=False)]
    power_w: Signed


class Schedule(Envelope):
    """Follow `periods`; between and after them 0 W."""

    periods: Annotated[tuple[Period, ...], Field(min_length=1, max_length=MAX_PERIODS, strict=False)]

    @model_validator(mode="after")
    def _in_order(self) -> Schedule:
        for one, other in zip(self.periods, self.periods[1:], strict=False):
            if other.start < one.start + one.duration_s:
                raise ValueError("periods must be in order and must not overlap")
        return self

    @property
    def end(self) -> float:
        """Unix time at which the last period ends."""
        return self.periods[-1].start + self.periods[-1].duration_s

    def power_at(self, wall: float) -> float:
        """Return the power requested at a Unix time, 0 W between periods."""
        for one in self.periods:
            if one.start <= wall < one.start + one.duration_s:
                return one.power_w + 0.0
        return 0.0


class Reserve(Envelope):
    """Keep energy in the vehicle, as a state of charge (`min_soc_pct`) or in Wh; 0 ends it."""

    energy_wh: Energy | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> Reserve:
        if (self.min_soc_pct is None) == (self.energy_wh is None):
            raise ValueError("give either min_soc_pct or energy_wh")
        return self


class Release(Envelope):
    """Return to the site's own policy."""


class PeakLimit(Envelope):
    """Limit the site's import from the grid; null ends it."""

    import_w: Annotated[float, Field(ge=0, le=1e8, allow_inf_nan=False)] | None


class Backup(Envelope):
    """Enter or leave island operation."""

    action: Literal["enter", "leave"]


class Mode(Envelope):
    """Set the policy of the site while no command is active."""

    mode: Annotated[SiteMode, Field(strict=False)]


class EmergencyStop(Envelope):
    """Set 0 W everywhere, also in an island; only the site's `release` ends it."""


Body: TypeAlias = (
    Discharge | Charge | Setpoint | Stop | Schedule | Reserve | Release | PeakLimit | Backup | Mode | EmergencyStop
)

EVSE_VERBS: dict[Verb, type[Body]] = {
    Verb.DISCHARGE: Discharge,
    Verb.CHARGE: Charge,
    Verb.SETPOINT: Setpoint,
    Verb.STOP: Stop,
    Verb.SCHEDULE: Schedule,
    Verb.RESERVE: Reserve,
    Verb.RELEASE: Release,
}
SITE_VERBS: dict[Verb, type[Body]] = {
    Verb.DISCHARGE: Discharge,
    Verb.CHARGE: Charge,
    Verb.SETPOINT: Setpoint,
    Verb.STOP: Stop,
    Verb.PEAK_LIMIT: PeakLimit,
    Verb.RESERVE: Reserve,
    Verb.BACKUP: Backup,
    Verb.MODE: Mode,
    Verb.EMERGENCY_STOP: EmergencyStop,
    Verb.RELEASE: Release,
}
LEASED = frozenset({Verb.DISCHARGE, Verb.CHARGE, Verb.SETPOINT})
POWER_VERBS = LEASED | {Verb.STOP, Verb.SCHEDULE}
ALWAYS_ACT = frozenset({Verb.STOP, Verb.EMERGENCY_STOP})  # also when the journal cannot be written


def signed_power(body: Body) -> float | None:
    """Return the set-point in W that a command requests now, + into the vehicle; None for verbs without one."""
    match body:
        case Discharge():
            return 0.0 - body.power_w
        case Charge() | Setpoint():
            return body.power_w + 0.0
        case Stop():
            return 0.0
    return None


_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


def fingerprint(evse: str | None, verb: Verb, body: Body) -> str:
    """Return a digest that is equal for commands with the same request; reply topic and time of issue are no part."""
    request = body.model_dump(mode="json", exclude={"reply_to", "issued_at"})
    text = _canonical([evse, verb.value, request])
    return hashlib.sha256(text.encode()).hexdigest()


def command_key(client: str | None, command_id: str) -> str:
    """Return the name of a command in store and journal: ids of one client are none of another's.

    Neither a client nor an id has a space.
    """
    return command_id if client is None else f"{client} {command_id}"


def client_and_id(key: str) -> tuple[str | None, str]:
    """Return the client and the id of a command by its name in store and journal."""
    client, _, command_id = key.rpartition(" ")
    return client or None, command_id


@dataclass(frozen=True, slots=True)
class Submission:
    """A command as received: `evse` None is the site; `payload` is JSON text; `client` is the one that the
    topic names and the broker's access list binds to a user, None on a shared topic.

    `delivered`: when the transport received it, in monotonic time; `older_s`: how much earlier it may have been sent,
    None is unknown; `expiry_s`: the message expiry of MQTT 5 that was left then.
    """

    evse: str | None
    verb: str
    payload: bytes
    channel: Channel = Channel.API
    retained: bool = False
    reply: ReplyTo | None = None
    client: str | None = None
    reply_fault: str | None = None  # why its reply topic is not used
    delivered: float | None = None
    older_s: float | None = 0.0
    expiry_s: int | None = None

    def reply_to(self, topic: str | None) -> ReplyTo | None:
        """Return where the results go besides the result topic; `topic` is that of the command's body."""
        return self.reply or (ReplyTo(topic) if topic else None)

    def readable_key(self, command_id: str | None) -> str | None:
        """Return the key of a command that may be malformed; with a space in its id it could be another client's."""
        return None if not command_id or " " in command_id else command_key(self.client, command_id)

    def with_checked_reply(
        self, reply_to: str | None, fault_of: Callable[[str], str | None]
    ) -> tuple[Submission, str | None]:
        """Return the submission, and `reply_to` of its body, without topics that cannot be used."""
        checked = self
        if self.reply is not None and (fault := fault_of(self.reply.topic)) is not None:
            checked = replace(checked, reply=None, reply_fault=fault)
        if reply_to is not None and (fault := fault_of(reply_to)) is not None:
            checked, reply_to = replace(checked, reply_fault=fault), None
        return checked, reply_to

    def with_reply_fault(self, reason: Reason) -> Reason:
        """Return a reason that names why the reply topic is not used."""
        if self.reply_fault is None:
            return reason
        return because(reason.code, f"{reason.text} Its reply topic is not used: {self.reply_fault}.")


@dataclass(frozen=True, slots=True)
class Malformed:
    """Reason why a message is no command, and the members that could be read."""

    reason: Reason
    id: str | None = None
    source: str | None = None
    reply_to: str | None = None


def parse(submission: Submission) -> tuple[Verb, Body] | Malformed:
    """Return verb and body, or the reason why it is malformed: size, retain flag, verb and body are checked."""
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
        body = verbs[verb].model_validate_json(payload)
        strict_json(payload)
        return verb, body
    except ValidationError as error:
        if error.errors(include_url=False, include_context=False, include_input=False)[0]["type"] == "json_invalid":
            return _malformed(payload, because(Code.BAD_JSON, f"The message is not JSON: {complaint(error)}."))
        return _malformed(payload, because(Code.BAD_COMMAND, f"{complaint(error)}."))
    except ValueError as error:
        return _malformed(payload, because(Code.BAD_JSON, f"The message is ambiguous: {error}."))


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


def complaint(error: ValidationError) -> str:
    """Return the errors of a body in one sentence."""
    parts = []
    for detail in error.errors(include_url=False, include_context=False)[:3]:
        where = ".".join(str(part) for part in detail["loc"])[:120]
        text = detail["msg"].removeprefix("Value error, ")
        parts.append(f"{where}: {text}" if where else text)
    more = error.error_count() - len(parts)
    return "; ".join(parts) + (f"; and {more} more" if more > 0 else "")
