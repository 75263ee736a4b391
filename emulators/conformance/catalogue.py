"""Catalogue: the cases of one kind of device, with unique ids in a fixed order, and selections of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Generic

from emulators.conformance.capabilities import Capability
from emulators.conformance.case import Case, Device, Mutant


class CatalogueError(ValueError):
    """Selection of unknown cases or tags."""


@dataclass(frozen=True, slots=True)
class Catalogue(Generic[Device, Mutant]):
    """Cases of one kind of device, in the order of a run. `role` is its command: secc, ev, charger, csms."""

    role: str
    title: str
    cases: tuple[Case[Device, Mutant], ...]
    capabilities: Mapping[str, Capability]

    def __post_init__(self) -> None:
        equal = [name for name, count in Counter(one.id for one in self.cases).items() if count > 1]
        if equal:
            raise AssertionError(f"catalogue {self.role}: several cases have the id {', '.join(equal)}")
        for case in self.cases:
            for name in (*case.requires, *case.lacks):
                if name not in self.capabilities:
                    raise AssertionError(f"case {case.id}: unknown capability {name!r}")

    @property
    def tags(self) -> tuple[str, ...]:
        """Tags of all cases, sorted."""
        return tuple(sorted({tag for case in self.cases for tag in case.tags}))

    def select(self, ids: Sequence[str] = (), tags: Sequence[str] = ()) -> tuple[Case[Device, Mutant], ...]:
        """Return the cases with one of the ids and all of the tags, in order; all without either.

        Raises CatalogueError for an unknown id or tag, and where no case has them all.
        """
        _check("case", ids, [case.id for case in self.cases])
        _check("tag", tags, self.tags)
        chosen = frozenset(tags)
        cases = tuple(case for case in self.cases if (not ids or case.id in ids) and chosen <= case.tags)
        if not cases:
            raise CatalogueError(f"no case is of all that is selected: {', '.join([*ids, *tags])}; see --list")
        return cases


def _check(what: str, given: Sequence[str], known: Sequence[str]) -> None:
    for name in given:
        if name not in known:
            near = get_close_matches(name, known, 3)
            hint = f"did you mean {', '.join(near)}?" if near else "list them with --list"
            raise CatalogueError(f"unknown {what} {name!r}; {hint}")
