"""Agreements with vehicle providers: which vehicles, for which sites, when, and under which conditions.

Three kinds are common in Japan's municipalities: the municipality's own vehicles, those of a car-share operator, and
the test-drive vehicles of a dealer. They differ in hours, notice, floors and the way the energy is returned. The kind
only sets the defaults of an agreement.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from gateway.model.message import Moment

Name = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^/#+\x00-\x1f]+$")]
Percent = Annotated[float, Field(ge=0, le=100)]
Hour = Annotated[float, Field(ge=0, le=24)]
DAY_S = 86_400.0
OBSOLETE_KEYS = frozenset({"storms"})  # accepted without effect; the agreement file warns of them


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, serialize_by_alias=True)


class Kind(StrEnum):
    """Kind of vehicle provider."""

    MUNICIPAL = "municipal"
    CAR_SHARE = "car_share"
    DEALER = "dealer"


class GiveBack(StrEnum):
    """Rule for returning the energy discharged from a vehicle."""

    AS_ARRIVED = "as_arrived"  # charged to the state of charge on arrival, and the way to the site
    TO_LEVEL = "to_level"  # charged to `return_pct`
    BILLED = "billed"  # paid, not charged
    GIFT = "gift"  # not returned


class Hours(_Table):
    """Hours in which vehicles may be called and kept, local time. Days: 0 (Monday) to 6; `end` may precede `start`."""

    days: tuple[Annotated[int, Field(ge=0, le=6)], ...] = (0, 1, 2, 3, 4, 5, 6)
    start: Hour = 0.0
    end: Hour = 24.0


DEFAULTS: dict[Kind, dict[str, object]] = {
    Kind.MUNICIPAL: {"notice_s": 1800.0, "floor_pct": 20.0, "give_back": GiveBack.GIFT, "priority": 0},
    Kind.CAR_SHARE: {"notice_s": 3600.0, "floor_pct": 30.0, "give_back": GiveBack.TO_LEVEL, "return_pct": 80.0,
    "priority": 1}, Kind.DEALER: {
        "notice_s": 7200.0, "floor_pct": 30.0, "give_back": GiveBack.AS_ARRIVED, "priority": 2,
        "hours": ({"days": (0, 1, 2, 3, 4, 5, 6), "start": 10.0, "end": 19.0},),
    },
}  # fmt: skip


class Agreement(_Table):
    """One agreement. Empty `sites` means every site of the municipality; a lower `priority` is called first."""

    id: Name
    kind: Kind
    provider: Name = Field(validation_alias="lender", serialization_alias="lender")
    cars: tuple[Name, ...] = Field(min_length=1, max_length=2000, description="identities, such as EVCCIDs")
    sites: tuple[Name, ...] = Field(default=(), max_length=500)
    valid_from: Moment = 946_684_800.0
    valid_until: Moment = 4_102_444_800.0
    hours: tuple[Hours, ...] = Field(default=(Hours(),), min_length=1, max_length=14)
    utc_offset_s: Annotated[float, Field(ge=-50_400, le=50_400)] = 9 * 3600.0
    notice_s: Annotated[float, Field(ge=0, le=7 * DAY_S)] = Field(
        default=3600.0, description="between call and departure"
    )
    floor_pct: Percent = Field(default=20.0, description="never discharged below this")
    longest_stay_s: Annotated[float, Field(gt=0, le=31 * DAY_S)] = 7 * DAY_S
    give_back: GiveBack = GiveBack.AS_ARRIVED
    return_pct: Percent = 80.0
    priority: Annotated[int, Field(ge=0, le=99)] = 1

    @model_validator(mode="before")
    @classmethod
    def _of_its_kind(cls, given: object) -> object:
        if not isinstance(given, dict):
            return given
        given = {key: value for key, value in given.items() if key not in OBSOLETE_KEYS}
        if given.get("kind") in {kind.value for kind in Kind}:
            return {**DEFAULTS[Kind(given["kind"])], **given}
        return given

    def provides_to(self, site: str) -> bool:
        """Return whether the agreement covers this site."""
        return not self.sites or site in self.sites

    def valid_at(self, wall: float) -> bool:
        """Return whether the agreement is in force."""
        return self.valid_from <= wall < self.valid_until

    def open_at(self, wall: float) -> bool:
        """Return whether vehicles may be called and kept at that time (Unix time)."""
        return self.valid_at(wall) and any(_within(one, wall, self.utc_offset_s) for one in self.hours)

    def open_until(self, wall: float) -> float:
        """Return until when vehicles at a site at `wall` may be kept; `wall` itself if they may not."""
        if not self.open_at(wall):
            return wall
        if all(one.start == 0.0 and one.end == 24.0 and len(one.days) == 7 for one in self.hours[:1]):
            return self.valid_until
        moment = wall
        while moment < min(wall + 14 * DAY_S, self.valid_until):
            ends = [
                _end(one, moment, self.utc_offset_s) for one in self.hours if _within(one, moment, self.utc_offset_s)
            ]
            if not ends:
                return moment
            moment = max(ends)
            if not self.open_at(moment):
                return min(moment, self.valid_until)
        return min(moment, self.valid_until)

    def opens_after(self, wall: float) -> float | None:
        """Return the next time at or after `wall` at which vehicles may be called; None if not within two weeks."""
        if self.open_at(wall):
            return wall
        local = wall + self.utc_offset_s
        midnight = local - local % DAY_S
        starts = sorted(
            midnight + day * DAY_S + one.start * 3600 - self.utc_offset_s for day in range(15) for one in self.hours
        )
        return next((start for start in starts if start >= wall and self.open_at(start)), None)


def _local(wall: float, offset_s: float) -> tuple[int, float]:
    """Return (weekday, hour of the day) of a time."""
    local = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=wall + offset_s)
    return local.weekday(), local.hour + local.minute / 60 + (local.second + local.microsecond / 1e6) / 3600


def _within(hours: Hours, wall: float, offset_s: float) -> bool:
    day, hour = _local(wall, offset_s)
    if hours.start <= hours.end:
        return day in hours.days and hours.start <= hour < hours.end
    return (day in hours.days and hour >= hours.start) or ((day - 1) % 7 in hours.days and hour < hours.end)


def _end(hours: Hours, wall: float, offset_s: float) -> float:
    _, hour = _local(wall, offset_s)
    left = hours.end - hour if hour < hours.end else hours.end + 24 - hour
    return wall + left * 3600
