"""Results of a run: verdict of each case with its evidence, and the circumstances of the run; as JSON and back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TypeVar

from emulators.conformance.case import Case, Verdict
from emulators.conformance.evidence import Evidence, Message, Sample
from protocols.json_values import items, members

D = TypeVar("D")
M = TypeVar("M")


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseResult:
    """Verdict of one case; declarations are copied, so that a report needs no catalogue."""

    id: str
    standard: str
    reference: str
    rule: str
    feature: str
    tags: tuple[str, ...]
    preconditions: str
    stimulus: str
    expectation: str
    verdict: Verdict
    reason: str = ""
    duration_s: float = 0.0
    messages: tuple[Message, ...] = ()
    samples: tuple[Sample, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    """Circumstances of a run, for the heading of its reports. `command` runs the selection again without a report."""

    title: str
    role: str
    target: str
    command: str
    started: str  # RFC 3339
    vendor: str = ""
    device: str = ""
    serial: str = ""
    firmware: str = ""
    software: Mapping[str, str] = field(default_factory=dict)
    capabilities: Mapping[str, str] = field(default_factory=dict)  # "yes (declared)" by name
    selection: str = "all cases"


def result_of(case: Case[D, M], verdict: Verdict, reason: str, evidence: Evidence | None = None) -> CaseResult:
    """Return the result of a case."""
    return CaseResult(
        id=case.id,
        standard=case.requirement.standard,
        reference=case.requirement.reference,
        rule=case.requirement.rule,
        feature=case.feature,
        tags=tuple(sorted(case.tags)),
        preconditions=case.preconditions,
        stimulus=case.stimulus,
        expectation=case.expectation,
        verdict=verdict,
        reason=reason,
        duration_s=round(evidence.elapsed, 3) if evidence is not None else 0.0,
        messages=tuple(evidence.messages) if evidence is not None else (),
        samples=tuple(evidence.samples) if evidence is not None else (),
    )


def counts(results: Iterable[CaseResult]) -> dict[Verdict, int]:
    """Return the number of results of each verdict, in the order of the verdicts."""
    found = Counter(one.verdict for one in results)
    return {verdict: found[verdict] for verdict in Verdict}


def to_json(result: CaseResult) -> dict[str, object]:
    """Return a result as JSON."""
    return asdict(result)


def from_json(value: object) -> CaseResult:
    """Return the result of `to_json`."""
    table = members(value)
    texts = {
        name: str(table.get(name, ""))
        for name in (
            *("id", "standard", "reference", "rule", "feature"),
            *("preconditions", "stimulus", "expectation", "reason"),
        )
    }
    return CaseResult(
        **texts,
        tags=tuple(map(str, items(table.get("tags")))),
        verdict=Verdict(str(table.get("verdict"))),
        duration_s=_number(table.get("duration_s")),
        messages=tuple(_message(members(one)) for one in items(table.get("messages"))),
        samples=tuple(_sample(members(one)) for one in items(table.get("samples"))),
    )


def _message(table: dict[str, object]) -> Message:
    sender, name, text, raw = (str(table.get(key, "")) for key in ("sender", "name", "text", "raw"))
    return Message(_number(table.get("at")), sender, name, text, raw)


def _sample(table: dict[str, object]) -> Sample:
    values = {name: _number(value) for name, value in members(table.get("values")).items()}
    return Sample(_number(table.get("at")), values)


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
