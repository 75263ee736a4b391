"""The judge is judged: a case has to pass on a sound device and to fail on the mutant that is declared beside it."""

from __future__ import annotations

from typing import TypeVar

from emulators.conformance import runner
from emulators.conformance.bench import Bench
from emulators.conformance.capabilities import Capabilities
from emulators.conformance.case import Case, Verdict
from emulators.conformance.catalogue import Catalogue
from emulators.conformance.ocpp.mutants import Mutant
from emulators.conformance.result import CaseResult
from emulators.runtime.clock import VirtualClock
from protocols.ocpp.schema import Version

D = TypeVar("D")
VERSIONS = {
    "ocpp.1.6": (Version.V16,),
    "ocpp.2.x": (Version.V201, Version.V21),
    "ocpp.2.1": (Version.V21,),
}


def versions(case: Case[D, Mutant]) -> tuple[Version, ...]:
    """Return the OCPP versions that a case applies to."""
    return next(found for name, found in VERSIONS.items() if name in case.requires)


async def verdict(bench: Bench[D], catalogue: Catalogue[D, Mutant], case: Case[D, Mutant]) -> CaseResult:
    """Return the result of one case on a device with every capability."""
    capabilities = Capabilities(catalogue.capabilities, dict.fromkeys(catalogue.capabilities, True))
    return await runner.run_case(case, bench, capabilities, VirtualClock())


def check(result: CaseResult, expected: Verdict) -> None:
    """Fail with the reason of another verdict."""
    assert result.verdict is expected, f"{result.id}: {result.verdict}: {result.reason}"
