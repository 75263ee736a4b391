"""The charging profiles a station holds, and what they come to at a moment: the composite of all purposes.

Pure: times are Unix times handed in. Purposes, stack levels, recurrency, validity, the dead-man of dynamic profiles and
the life of a profile while offline are as OCPP 2.1 part 2 K01, K08, K28, Q11 and Q12 say; 1.6 and 2.0.1 are subsets.
What one profile says at a moment is in `schedule.py`, what a mode does with its values in `modes.py`.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from emulators.charger.station.smart_charging import profile_rules
from emulators.charger.station.smart_charging.profile_rules import Abilities, Offer, Profile
from emulators.charger.station.smart_charging.schedule import (
    EXTERNAL,
    Active,
    Circumstances,
    Composite,
    Held,
    active_period,
    least,
    read,
    turns,
)
from protocols.ocpp.times import parse, stamp

UPDATABLE = frozenset(
    name + phase for name in ("limit", "dischargeLimit", "setpoint", "setpointReactive") for phase in ("", "_L2", "_L3")
)
COMPOSITE_PERIODS = 1024


class Profiles:
    """The stack of all profiles of one station."""

    def __init__(self, abilities: Abilities, seed: int = 0) -> None:
        self.abilities = abilities
        self._held: list[Held] = []
        self._random = random.Random(f"profiles-{seed}")

    def __iter__(self) -> Iterator[Held]:
        return iter(list(self._held))

    def get(self, number: int) -> Held | None:
        """The profile of that id."""
        return next((held for held in self._held if held.id == number), None)

    # changes

    def install(
        self, evse: int, profile: Profile, now: float, transaction: str | None, *, external: bool = False
    ) -> tuple[str, str] | None:
        """Take a profile, or say why not: reason code and requirement id. The same id replaces (K01.FR.05)."""
        installed = tuple((held.evse, held.profile) for held in self._held)
        found = profile_rules.refusal(Offer(evse, profile, self.abilities, transaction, external, installed))
        if found is not None:
            return found
        others = [held for held in self._held if held.id != profile["id"] and not self._twin(held, evse, profile)]
        if len(others) >= self.abilities.entries:
            return "TooManyProfiles", "K01.FR.05"
        updated = parse(profile.get("dynUpdateTime")) if profile["chargingProfileKind"] == "Dynamic" else None
        copy = {**profile, "chargingSchedule": [dict(schedule) for schedule in profile["chargingSchedule"]]}
        held = Held(evse, copy, now, now if updated is None else min(now, updated), external)
        held.delays = tuple(self._delays(copy["chargingSchedule"][0]))
        self._held = [*others, held]
        return None

    def _twin(self, held: Held, evse: int, profile: Profile) -> bool:
        return (
            self.abilities.replaces_twins
            and held.evse == evse
            and held.purpose == profile["chargingProfilePurpose"]
            and held.level == profile["stackLevel"]
        )

    def _delays(self, schedule: Mapping[str, Any]) -> Iterator[float]:
        """K01.FR.92-94: every period but the first is put off by a random time."""
        widest = schedule.get("randomizedDelay", 0)
        for index, _ in enumerate(schedule["chargingSchedulePeriod"]):
            yield 0.0 if index == 0 or widest <= 0 else float(self._random.randint(0, widest))

    def update(self, number: int, values: Mapping[str, Any], now: float) -> tuple[str, str] | None:
        """New values for a dynamic profile (K28.FR.06, .09); None when they were taken."""
        held = self.get(number)
        if held is None or not held.dynamic:
            return "InvalidProfile", "K28.FR.11"
        schedule = held.profile["chargingSchedule"][0]
        period = dict(schedule["chargingSchedulePeriod"][0])
        period.update({name: value for name, value in values.items() if name in UPDATABLE})
        changed = {**held.profile, "chargingSchedule": [{**schedule, "chargingSchedulePeriod": [period]}]}
        changed.pop("dynUpdateTime", None)
        offer = Offer(held.evse, changed, self.abilities, held.profile.get("transactionId"), held.external)
        if changed == held.profile:  # said again to show that somebody is there
            held.updated_at = now
            return None
        found = profile_rules.refusal(offer)
        if found is not None:
            return found
        held.profile, held.updated_at = changed, now
        return None

    def clear(
        self,
        number: int | None = None,
        evse: int | None = None,
        purpose: str | None = None,
        level: int | None = None,
    ) -> list[int]:
        """Remove what matches; the ids of what went (K10). External constraints are not the CSMS's to clear."""

        def matches(held: Held) -> bool:
            if held.purpose == EXTERNAL:
                return False
            if number is not None:
                return held.id == number
            return (
                (evse is None or held.evse == evse)
                and (purpose is None or held.purpose == purpose)
                and (level is None or held.level == level)
            )

        gone = [held for held in self._held if matches(held)]
        self._held = [held for held in self._held if held not in gone]
        return [held.id for held in gone]

    def put_back(self, held: Held) -> None:
        """One that was kept over a restart."""
        self._held.append(held)

    def drop_external(self, evse: int) -> bool:
        """The external system lets go; whether it held anything."""
        kept = [held for held in self._held if not (held.purpose == EXTERNAL and held.evse == evse)]
        changed = len(kept) != len(self._held)
        self._held = kept
        return changed

    def forget(self, held: Held) -> None:
        """Lose a profile, as in a reboot."""
        self._held = [one for one in self._held if one is not held]

    def rename_transaction(self, old: str, new: str) -> None:
        """1.6: the CSMS has given the transaction its id."""
        for held in self._held:
            if held.profile.get("transactionId") == old:
                held.profile = {**held.profile, "transactionId": new}

    def end_transaction(self, transaction: str) -> None:
        """A TxProfile ends with its transaction (K01.FR.04)."""
        self._held = [
            h for h in self._held if not (h.purpose == "TxProfile" and h.profile.get("transactionId") == transaction)
        ]

    def leap(self, seconds: float) -> None:
        """The station's clock was set: what has passed since something was noted stays what it was."""
        for held in self._held:
            held.installed_at += seconds
            held.updated_at += seconds
            held.pulled_at += seconds

    def back_online(self, now: float, offline_since: float) -> None:
        """K01.FR.102: what was only suspended rules again; what was to be gone for good is gone."""
        for held in self._held:
            longest = held.profile.get("maxOfflineDuration")
            if (
                longest is not None
                and now - offline_since > longest
                and held.profile.get("invalidAfterOfflineDuration")
            ):
                held.spent = True

    # what rules

    def composite(self, evse: int, now: float, at: Circumstances) -> Composite:
        """What the EVSE shall do now."""
        tx = self._transaction_profile(evse, now, at)
        bounds = [
            active
            for purpose in ("ChargingStationMaxProfile", EXTERNAL)
            if (active := self._ruling(purpose, evse, now, at)) is not None
        ]
        generation = self._ruling("LocalGeneration", evse, now, at)
        own = Composite() if tx is None else read(tx, at)
        limit, floor = own.limit_w, own.discharge_limit_w
        mode, setpoint = own.mode, own.setpoint_w
        for active in bounds:
            other = read(active, at)
            limit = least(limit, other.limit_w)
            floor = other.discharge_limit_w if floor is None else max(floor, _or(other.discharge_limit_w, floor))
            if active.held.purpose == EXTERNAL and other.setpoint_w is not None and self._external_rules(own, at):
                setpoint, mode = other.setpoint_w, "ExternalSetpoint"
        if generation is not None and limit is not None:
            limit += read(generation, at).limit_w or 0.0  # K08.FR.04
        if setpoint is not None:
            if limit is not None and setpoint > limit:
                setpoint = max(limit, 0.0)  # V2X.03
            if floor is not None and setpoint < floor:
                setpoint = min(floor, 0.0)  # V2X.04
        return replace(own, mode=mode, limit_w=limit, discharge_limit_w=floor, setpoint_w=setpoint)

    @staticmethod
    def _external_rules(own: Composite, at: Circumstances) -> bool:
        """Q06.FR.20-22. Discharging needs a Tx profile that is for V2X."""
        return own.setpoint_w is None or at.setpoint_priority != "CSMS"

    def _transaction_profile(self, evse: int, now: float, at: Circumstances) -> Active | None:
        if at.priority and (active := self._ruling("PriorityCharging", evse, now, at)) is not None:
            return active
        return self._ruling("TxProfile", evse, now, at) or self._ruling("TxDefaultProfile", evse, now, at)

    def _ruling(self, purpose: str, evse: int, now: float, at: Circumstances) -> Active | None:
        """The period of the highest level that is valid now; a specific EVSE before EVSE 0."""
        candidates = [held for held in self._held if held.purpose == purpose and held.evse in (0, evse)]
        for held in sorted(candidates, key=lambda one: (one.level, one.evse != 0), reverse=True):
            active = active_period(held, now, at)
            if active is not None:
                return active
        return None

    # what will rule

    def next_change(self, now: float, at: Circumstances) -> float | None:
        """When something may rule differently by the passing of time alone."""
        return min((t for held in self._held for t in turns(held, now, now + 7 * 86_400, at)), default=None)

    def schedule(self, evse: int, now: float, seconds: float, at: Circumstances) -> list[tuple[float, Composite]]:
        """The composite from now on: (seconds from now, what rules), equal neighbours merged (K08)."""
        ready = at if at.ready_at is not None else replace(at, ready_at=now)
        moments = sorted({t for held in self._held for t in turns(held, now, now + seconds, ready)})
        found: list[tuple[float, Composite]] = []
        for moment in [now, *moments]:
            composite = self.composite(evse, moment, ready)
            if not found or _shown(found[-1][1]) != _shown(composite):
                found.append((moment - now, composite))
        return found[:COMPOSITE_PERIODS]

    def report(
        self,
        evse: int | None = None,
        purpose: str | None = None,
        level: int | None = None,
        ids: Iterable[int] | None = None,
    ) -> list[Held]:
        """The profiles that GetChargingProfiles asks for (K09)."""
        wanted = None if ids is None else set(ids)
        return [
            held
            for held in self._held
            if (evse is None or held.evse == evse)
            and (purpose is None or held.purpose == purpose)
            and (level is None or held.level == level)
            and (wanted is None or held.id in wanted)
        ]


def as_reported(held: Held) -> Profile:
    """A profile with the time of its last update."""
    return {**held.profile, "dynUpdateTime": stamp(held.updated_at)} if held.dynamic else held.profile


def _or(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value


def _shown(composite: Composite) -> tuple[object, ...]:
    return composite.mode, composite.limit_w, composite.discharge_limit_w, composite.setpoint_w
