"""Installed charging profiles of a station and their composite at a time.

Pure: Unix times are arguments. Purposes, stack levels, recurrence, validity, the duration of dynamic profiles and
validity while offline follow OCPP 2.1 part 2 K01, K08, K28, Q11 and Q12; 1.6 and 2.0.1 are subsets. A single profile
is evaluated in `schedule.py`, an operation mode in `operation_modes.py`.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace

from emulators.charger.station.ocpp_enums import OperationMode, ProfileKind, ProfilePurpose
from emulators.charger.station.smart_charging import profile_rules
from emulators.charger.station.smart_charging.profile_rules import (
    Period,
    Profile,
    ProfileRequest,
    Schedule,
    StationCapabilities,
)
from emulators.charger.station.smart_charging.schedule import (
    AFTER_S,
    EXTERNAL,
    Active,
    Composite,
    EvseConditions,
    InstalledProfile,
    active_period,
    change_times,
    least,
    read,
)
from emulators.charger.station.store import Saved
from protocols.ocpp.times import parse, stamp

COMPOSITE_PERIODS = 1024
HORIZON_S = 7 * 86_400.0  # within which changes are sought
# purposes that do not persist (K01.FR.27)
VOLATILE = frozenset({ProfilePurpose.tx_profile, ProfilePurpose.local_generation, EXTERNAL})


@dataclass(frozen=True, slots=True)
class _LastComposite:
    """Composite of one EVSE from `since` until it may change, for one version of the profiles."""

    version: int
    signs_of_life: int
    at: EvseConditions
    since: float
    until: float
    composite: Composite
    change: float | None  # time to wake at for the change, None where there is none


class Profiles:
    """All installed profiles of one station."""

    def __init__(self, capabilities: StationCapabilities, seed: int = 0) -> None:
        self.capabilities = capabilities
        self._held: list[InstalledProfile] = []
        self._version = 0  # of everything in them that a composite follows from
        self._signs_of_life = 0  # which prolong a dynamic profile
        self._limits_at_soc = (-1, False)  # version, any limit from a SoC on
        self._last: dict[int, _LastComposite] = {}  # by EVSE
        self._random = random.Random(f"profiles-{seed}")

    def __iter__(self) -> Iterator[InstalledProfile]:
        return iter(list(self._held))

    def get(self, number: int) -> InstalledProfile | None:
        """Return the profile of an id."""
        return next((held for held in self._held if held.id == number), None)

    # changes

    def use_thresholds(self, thresholds: Mapping[str, float]) -> None:
        """Check later profiles against these thresholds of local load balancing."""
        self.capabilities.thresholds = thresholds

    def install(
        self, evse: int, profile: Profile, now: float, transaction: str | None, *, external: bool = False
    ) -> tuple[str, str] | None:
        """Install a profile; return reason code and requirement id of a rejection. The same id replaces (K01.FR.05)."""
        installed = tuple((held.evse, held.profile) for held in self._held)
        found = profile_rules.rejection(
            ProfileRequest(evse, profile, self.capabilities, transaction, external, installed)
        )
        if found is not None:
            return found
        others = [held for held in self._held if held.id != profile["id"] and not self._replaces(held, evse, profile)]
        if len(others) >= self.capabilities.entries:
            return "TooManyProfiles", "K01.FR.05"
        updated = parse(profile.get("dynUpdateTime")) if profile["chargingProfileKind"] == ProfileKind.dynamic else None
        copy = {**profile, "chargingSchedule": [dict(schedule) for schedule in profile["chargingSchedule"]]}
        held = InstalledProfile(evse, copy, now, now if updated is None else min(now, updated), external)
        held.delays = tuple(self._delays(copy["chargingSchedule"][0]))
        self._held = [*others, held]
        self._version += 1
        return None

    def _replaces(self, held: InstalledProfile, evse: int, profile: Profile) -> bool:
        return (
            self.capabilities.replaces_same_level
            and held.evse == evse
            and held.purpose == profile["chargingProfilePurpose"]
            and held.level == profile["stackLevel"]
        )

    def _delays(self, schedule: Schedule) -> Iterator[float]:
        """Return a random delay for each period but the first (K01.FR.92-94)."""
        widest = schedule.get("randomizedDelay", 0)
        for index, _ in enumerate(schedule["chargingSchedulePeriod"]):
            yield 0.0 if index == 0 or widest <= 0 else float(self._random.randint(0, widest))

    def update(self, number: int, values: Period, now: float) -> tuple[str, str] | None:
        """Update a dynamic profile (K28.FR.06, .09); return reason code and requirement id of a rejection."""
        held = self.get(number)
        if held is None or not held.dynamic:
            return "InvalidProfile", "K28.FR.11"
        schedule = held.profile["chargingSchedule"][0]
        period = dict(schedule["chargingSchedulePeriod"][0])
        period.update({name: value for name, value in values.items() if name in profile_rules.POWER_FIELDS})
        changed = {**held.profile, "chargingSchedule": [{**schedule, "chargingSchedulePeriod": [period]}]}
        changed.pop("dynUpdateTime", None)
        request = ProfileRequest(
            held.evse, changed, self.capabilities, held.profile.get("transactionId"), held.external
        )
        if changed == held.profile:  # repeated as a sign of life
            if held.lasts(now):
                self._signs_of_life += 1
            else:
                self._version += 1
            held.updated_at = now
            return None
        found = profile_rules.rejection(request)
        if found is not None:
            return found
        held.profile, held.updated_at = changed, now
        self._version += 1
        return None

    def clear(
        self, number: int | None = None, evse: int | None = None, purpose: str | None = None, level: int | None = None
    ) -> list[int]:
        """Remove the matching profiles, external constraints excepted; return their ids (K10)."""
        found = self.report(evse, purpose, level) if number is None else self.report(ids=[number])
        removed = [held for held in found if held.purpose != EXTERNAL]
        self._held = [held for held in self._held if held not in removed]
        self._version += 1
        return [held.id for held in removed]

    def saved(self) -> list[Saved]:
        """Return the stored form of the profiles that persist."""
        return [asdict(held) for held in self._held if held.purpose not in VOLATILE]

    def restore(self, saved: list[Saved]) -> None:
        """Restore the stored form."""
        for entry in saved:
            self._held.append(InstalledProfile(**{**entry, "delays": tuple(entry["delays"])}))
        self._version += 1

    def drop_external(self, evse: int) -> bool:
        """Remove the profile of the external system at an EVSE; return False if there is none."""
        remaining = [held for held in self._held if not (held.purpose == EXTERNAL and held.evse == evse)]
        changed = len(remaining) != len(self._held)
        self._held = remaining
        self._version += 1
        return changed

    def drop_volatile(self) -> None:
        """Remove the profiles that do not persist over a reboot."""
        self._held = [held for held in self._held if held.purpose not in VOLATILE]
        self._version += 1

    def rename_transaction(self, old: str, new: str) -> None:
        """Replace a transaction id by the one that the CSMS assigned (1.6)."""
        for held in self._held:
            if held.profile.get("transactionId") == old:
                held.profile = {**held.profile, "transactionId": new}
        self._version += 1

    def end_transaction(self, transaction: str) -> None:
        """Remove the TxProfiles of an ended transaction (K01.FR.04)."""
        self._held = [
            h
            for h in self._held
            if not (h.purpose == ProfilePurpose.tx_profile and h.profile.get("transactionId") == transaction)
        ]
        self._version += 1

    def shift_times(self, seconds: float) -> None:
        """Move stored times by a step of the wall clock: elapsed times stay the same."""
        for held in self._held:
            held.installed_at += seconds
            held.updated_at += seconds
            held.pulled_at += seconds
        self._version += 1

    def back_online(self, now: float, offline_since: float) -> None:
        """End the validity of profiles with invalidAfterOfflineDuration; others become valid again (K01.FR.102)."""
        for held in self._held:
            longest = held.profile.get("maxOfflineDuration", float("inf"))
            held.spent |= now - offline_since > longest and held.profile.get("invalidAfterOfflineDuration", False)
        self._version += 1

    # composite

    def present(self, evse: int, now: float, at: EvseConditions) -> tuple[Composite, float | None]:
        """Return the composite now, and when it may change next by itself.

        Both are those of the call before as long as profiles and conditions are the same and that time has not come.
        """
        last, change = self._last.get(evse), None
        if last is None or last.version != self._version or not last.since <= now < last.until or last.at != at:
            composite, change = self.composite(evse, now, at), self.next_change(now, at)
        elif last.signs_of_life != self._signs_of_life:
            composite, change = last.composite, self.next_change(now, at)
        else:
            return last.composite, last.change
        # what ends after a time has ended before `change`: the margin is twice that, for sums that are rounded
        until = (now + HORIZON_S if change is None else change) - 2 * AFTER_S
        self._last[evse] = _LastComposite(self._version, self._signs_of_life, at, now, until, composite, change)
        return composite, change

    @property
    def limits_at_soc(self) -> bool:
        """True where the SoC of a vehicle matters to a composite (limitAtSoC)."""
        version, found = self._limits_at_soc
        if version != self._version:
            found = any("limitAtSoC" in held.profile["chargingSchedule"][0] for held in self._held)
            self._limits_at_soc = self._version, found
        return found

    def composite(self, evse: int, now: float, at: EvseConditions) -> Composite:
        """Return the composite of all profiles for an EVSE."""
        held = self._held_for(evse)
        tx = _transaction_profile(held, now, at)
        bounds = [
            active
            for purpose in (ProfilePurpose.charging_station_max_profile, EXTERNAL)
            if (active := _valid(held, purpose, now, at)) is not None
        ]
        generation = _valid(held, ProfilePurpose.local_generation, now, at)
        own = Composite() if tx is None else read(tx, at)
        limit, floor = own.limit_w, own.discharge_limit_w
        mode, setpoint = own.mode, own.setpoint_w
        for active in bounds:
            other = read(active, at)
            limit = least(limit, other.limit_w)
            floors = [one for one in (floor, other.discharge_limit_w) if one is not None]
            floor = max(floors, default=None)
            # Q06.FR.20-22: priority of an external set-point
            prior = active.held.purpose == EXTERNAL and (own.setpoint_w is None or at.setpoint_priority != "CSMS")
            if prior and other.setpoint_w is not None:
                setpoint, mode = other.setpoint_w, OperationMode.external_setpoint
        if generation is not None and limit is not None:
            limit += read(generation, at).limit_w or 0.0  # K08.FR.04
        if setpoint is not None:
            if limit is not None and setpoint > limit:
                setpoint = max(limit, 0.0)  # V2X.03
            if floor is not None and setpoint < floor:
                setpoint = min(floor, 0.0)  # V2X.04
        return replace(own, mode=mode, limit_w=limit, discharge_limit_w=floor, setpoint_w=setpoint)

    def _held_for(self, evse: int) -> dict[str, list[InstalledProfile]]:
        """Return the profiles that may apply to an EVSE by purpose; EVSE 0 is the whole station."""
        found: dict[str, list[InstalledProfile]] = {}
        for held in self._held:
            if held.evse in (0, evse):
                found.setdefault(held.purpose, []).append(held)
        return found

    # future

    def next_change(self, now: float, at: EvseConditions) -> float | None:
        """Return when the composite may change next by itself."""
        return min((t for held in self._held for t in change_times(held, now, now + HORIZON_S, at)), default=None)

    def schedule(self, evse: int, now: float, seconds: float, at: EvseConditions) -> list[tuple[float, Composite]]:
        """Return the composites from now on as (seconds from now, composite), equal neighbours merged (K08)."""
        ready = at if at.ready_at is not None else replace(at, ready_at=now)
        moments = sorted({t for held in self._held for t in change_times(held, now, now + seconds, ready)})
        found: list[tuple[float, Composite]] = []
        for moment in [now, *moments]:
            composite = self.composite(evse, moment, ready)
            if not found or _values(found[-1][1]) != _values(composite):
                found.append((moment - now, composite))
        return found[:COMPOSITE_PERIODS]

    def report(
        self,
        evse: int | None = None,
        purpose: str | None = None,
        level: int | None = None,
        ids: Iterable[int] | None = None,
    ) -> list[InstalledProfile]:
        """Return the profiles that match a GetChargingProfiles request (K09)."""
        requested = None if ids is None else set(ids)
        return [
            held
            for held in self._held
            if (evse is None or held.evse == evse)
            and (purpose is None or held.purpose == purpose)
            and (level is None or held.level == level)
            and (requested is None or held.id in requested)
        ]


def _transaction_profile(held: Mapping[str, list[InstalledProfile]], now: float, at: EvseConditions) -> Active | None:
    priority = _valid(held, ProfilePurpose.priority_charging, now, at) if at.priority else None
    return (
        priority
        or _valid(held, ProfilePurpose.tx_profile, now, at)
        or _valid(held, ProfilePurpose.tx_default_profile, now, at)
    )


def _valid(held: Mapping[str, list[InstalledProfile]], purpose: str, now: float, at: EvseConditions) -> Active | None:
    """Return the valid period of the highest stack level; a specific EVSE has priority over EVSE 0."""
    candidates = held.get(purpose)
    if candidates is None:
        return None
    for one in sorted(candidates, key=lambda one: (one.level, one.evse != 0), reverse=True):
        active = active_period(one, now, at)
        if active is not None:
            return active
    return None


def with_update_time(held: InstalledProfile) -> Profile:
    """Return a profile with the time of its last update."""
    return {**held.profile, "dynUpdateTime": stamp(held.updated_at)} if held.dynamic else held.profile


def _values(composite: Composite) -> tuple[object, ...]:
    return composite.mode, composite.limit_w, composite.discharge_limit_w, composite.setpoint_w
