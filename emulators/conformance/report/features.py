"""Results by feature, in the order of the run."""

from __future__ import annotations

from collections.abc import Sequence

from emulators.conformance.result import CaseResult


def by_feature(results: Sequence[CaseResult]) -> dict[str, list[CaseResult]]:
    """Return the results of each feature."""
    found: dict[str, list[CaseResult]] = {}
    for result in results:
        found.setdefault(result.feature, []).append(result)
    return found
