"""Declaration of cases, and the properties that those of a standard share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Required, TypedDict, Unpack

from emulators.conformance.case import WITHIN_S, Case, Device, Requirement
from emulators.conformance.iso15118.ev_access import EvAccess
from emulators.conformance.iso15118.mutation import Mutant
from emulators.conformance.iso15118.profiles import Profile
from emulators.conformance.iso15118.secc_access import SeccAccess

SeccCase = Case[SeccAccess, Mutant]
EvCase = Case[EvAccess, Mutant]
ISO20, ISO2, DIN70121 = "ISO 15118-20", "ISO 15118-2", "DIN SPEC 70121"
EV_WITHIN_S = 240.0


class Stated(TypedDict, total=False):
    """Statements of a case besides its requirement, procedure and mutants.

    `before`: the request that is due, which is also the stimulus where none is stated. See `Case` for the others.
    """

    profile: Profile
    before: str
    stimulus: str
    expectation: Required[str]
    tags: Sequence[str]
    requires: Sequence[str]
    lacks: Sequence[str]
    within_s: float


@dataclass(frozen=True, kw_only=True)  # with slots, Declaration[X](...) fails in 3.11
class Declaration(Generic[Device]):
    """Cases of one standard for one kind of device.

    `prefix`: of their ids. `numbered`: form of a requirement id that is stated as a number. `profile`, `tags`: of cases
    that state none. `in_loop`: the request of the charge loop is due where no other is stated.
    """

    prefix: str
    standard: str
    numbered: str = "{}"
    profile: Profile | None = None
    tags: tuple[str, ...] = ("nominal",)
    in_loop: bool = False

    def __call__(
        self,
        id: str,
        reference: int | str,
        rule: str,
        feature: str,
        procedure: Callable[[Device], Awaitable[None]],
        *mutants: Mutant,
        **stated: Unpack[Stated],
    ) -> Case[Device, Mutant]:
        """Return a case; capability, preconditions and tags follow from the profile."""
        profile = stated.get("profile", self.profile)
        before = stated.get("before", profile.loop if self.in_loop and profile is not None else "")
        clause = self.numbered.format(reference) if isinstance(reference, int) else reference
        device = self.prefix.partition("-")[0]
        tags, requires = {device.lower(), *stated.get("tags", self.tags)}, tuple(stated.get("requires", ()))
        preconditions = ""
        if profile is not None:
            tags |= {profile.protocol, "dc" if profile.dc else "ac", *(("bpt",) if profile.bpt else ())}
            control = f"iso20.{'dynamic' if profile.dynamic else 'scheduled'}"
            requires = (profile.capability, *((control,) if profile.service else ()), *requires)
            due = f": the next request is {before}" if before else ""
            preconditions = f"an EV that offers {profile.name} connects" if device == "EV" else f"{profile.name}{due}"
        return Case(
            id=f"{self.prefix}{id}",
            requirement=Requirement(self.standard, clause, rule),
            feature=feature,
            stimulus=stated.get("stimulus", before),
            expectation=stated["expectation"],
            procedure=procedure,
            mutants=mutants,
            preconditions=preconditions,
            tags=frozenset(tags),
            requires=requires,
            lacks=tuple(stated.get("lacks", ())),
            within_s=stated.get("within_s", EV_WITHIN_S if device == "EV" else WITHIN_S),
        )
