"""A case: requirement, stimulus, expectation, procedure, and the ways in which a procedure ends.

    async def procedure(device: SeccAccess) -> None:
        with precondition("the charge loop runs"):
            await device.reach(...)
        expect(response.code == "FAILED_SequenceError", f"ResponseCode {response.code}")

A procedure that returns has passed. `Failed`, `Inconclusive` and `NotApplicable` are the other verdicts, each with its
reason. A `Mutant` is a device that breaks exactly the rule of the case; its type belongs to the catalogue.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

Device = TypeVar("Device")
Mutant = TypeVar("Mutant")

WITHIN_S = 120.0  # time limit of a case that states none
_ID = re.compile(r"[A-Z0-9]+(-[A-Z0-9]+)+")


class Verdict(StrEnum):
    """Verdict of one case."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    NOT_APPLICABLE = "not applicable"


class CaseEnd(Exception):
    """End of a procedure with another verdict than pass; the text is its reason."""

    verdict = Verdict.INCONCLUSIVE


class Failed(CaseEnd):
    """The device broke the requirement."""

    verdict = Verdict.FAIL


class Inconclusive(CaseEnd):
    """The case could not be judged: a precondition was not met, or the device could not be reached."""


class NotApplicable(CaseEnd):
    """The device does not claim what the case tests, as its dialogue shows."""

    verdict = Verdict.NOT_APPLICABLE


@dataclass(frozen=True, slots=True)
class Requirement:
    """Requirement of a standard: its id or clause, and the rule in own words."""

    standard: str
    reference: str
    rule: str

    def __str__(self) -> str:
        return f"{self.standard} {self.reference}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case(Generic[Device, Mutant]):
    """One case. `mutants`: devices that must fail it.

    `requires`, `lacks`: names of capabilities that the device must have, and must not have.
    """

    id: str
    requirement: Requirement
    feature: str
    stimulus: str
    expectation: str
    procedure: Callable[[Device], Awaitable[None]]
    mutants: tuple[Mutant, ...] = ()
    preconditions: str = ""
    tags: frozenset[str] = frozenset()
    requires: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    within_s: float = WITHIN_S

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.id):
            raise ValueError(f"id of a case: {self.id!r} has other characters than A-Z, 0-9 and single hyphens")


def expect(condition: bool, observed: str) -> None:
    """Fail the case with what was observed, unless `condition`."""
    if not condition:
        raise Failed(observed)


@contextmanager
def precondition(what: str) -> Iterator[None]:
    """Make a failure inside the block inconclusive: the case did not reach its stimulus."""
    try:
        yield
    except Failed as failure:
        raise Inconclusive(f"precondition not met: {what}: {failure}") from failure
