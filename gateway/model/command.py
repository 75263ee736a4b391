"""Commands to an EVSE or to the site, as in their messages: one envelope, one model per verb.

The same models validate MQTT payloads and API bodies, and the AsyncAPI document is generated from them. Powers of
`discharge` and `charge` are magnitudes; `setpoint` is signed, + into the vehicle.
"""

from __future__ import annotations

import hashlib
import json
from enum import StrEnum
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from gateway.model.moment import Moment

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


class SiteMode(StrEnum):
    """Policy of the site while no command is active."""

    SELF_CONSUMPTION = "self_consumption"
    PEAK_SHAVING = "peak_shaving"
    PRICE = "price"
    GRID_SERVICE = "grid_service"
    BACKUP = "backup"
    MANUAL = "manual"


class Envelope(BaseModel):
    """Members of every command; `lease_s` and `min_soc_pct` are ignored where a verb does not use them."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    id: Id = Field(description="idempotency key: the same id acts once and returns the stored result for 7 days")
    lease_s: LeaseS = Field(
        DEFAULT_LEASE_S, description="the power falls to 0 W this long after the command, unless renewed"
    )
    expires_at: Moment | None = Field(
        default=None, description="a command that is processed later than this is refused"
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


class Period(BaseModel):
    """One step of a schedule, + into the vehicle."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

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


def signed_power(verb: Verb, body: Body) -> float | None:
    """Return the set-point in W that a command requests now, + into the vehicle; None for verbs without one."""
    match body:
        case Discharge():
            return 0.0 - body.power_w
        case Charge() | Setpoint():
            return body.power_w + 0.0
        case Stop():
            return 0.0
    return None


def fingerprint(evse: str | None, verb: Verb, body: Body) -> str:
    """Return a digest that is equal for commands with the same request; the reply topic is no part of it."""
    request = body.model_dump(mode="json", exclude={"reply_to"})
    text = json.dumps([evse, verb.value, request], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def complaint(error: ValidationError) -> str:
    """Return the errors of a body in one sentence."""
    parts = []
    for detail in error.errors(include_url=False, include_context=False)[:3]:
        where = ".".join(str(part) for part in detail["loc"])[:120]
        text = detail["msg"].removeprefix("Value error, ")
        parts.append(f"{where}: {text}" if where else text)
    more = error.error_count() - len(parts)
    return "; ".join(parts) + (f"; and {more} more" if more > 0 else "")
