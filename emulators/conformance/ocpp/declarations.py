"""Declarations of OCPP cases: requirement, versions, stimulus, expectation, procedure, and a mutant that must fail."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from emulators.conformance.capabilities import Capability
from emulators.conformance.case import Case, Requirement
from emulators.conformance.ocpp.mutants import Mutant
from protocols.ocpp.schema import Version

Device = TypeVar("Device")
Procedure = Callable[[Device], Awaitable[None]]

# versions that a case applies to: name in its id, capability, standard
V16 = ("16", "ocpp.1.6", "OCPP 1.6")
V2 = ("2", "ocpp.2.x", "OCPP 2.x")
V21 = ("21", "ocpp.2.1", "OCPP 2.1")
Versions = tuple[str, str, str]

VERSION_CAPABILITIES = {
    "ocpp.1.6": Capability("the connection uses OCPP 1.6", False),
    "ocpp.2.x": Capability("the connection uses OCPP 2.0.1 or 2.1", False),
    "ocpp.2.1": Capability("the connection uses OCPP 2.1", False),
}
FEATURES = {
    "A": "Security",
    "B": "Provisioning",
    "C": "Authorization",
    "D": "Local authorization list",
    "E": "Transactions",
    "F": "Remote control",
    "G": "Availability",
    "H": "Reservation",
    "I": "Tariff and cost",
    "J": "Meter values",
    "K": "Smart charging",
    "L": "Firmware management",
    "M": "Certificate management",
    "N": "Diagnostics",
    "O": "Display messages",
    "P": "Data transfer",
    "Q": "Bidirectional charging",
    "R": "DER control",
    "V2X": "Bidirectional charging",
    "RPC": "RPC framework",
}


def versions_of(version: Version) -> dict[str, bool]:
    """Return the version capabilities of a connection."""
    return {
        "ocpp.1.6": version is Version.V16,
        "ocpp.2.x": version is not Version.V16,
        "ocpp.2.1": version is Version.V21,
    }


class Declared(Generic[Device]):
    """Cases of one role in the order of their declaration. `role` is CS or CSMS in the ids."""

    def __init__(self, role: str, feature: str = "") -> None:
        self.role, self.feature = role, feature  # without a feature it is that of the block letter of the requirement
        self.cases: list[Case[Device, Mutant]] = []

    def case(
        self, versions: Versions, reference: str, stimulus: str, expectation: str, mutant: Mutant, *needs: str
    ) -> Callable[[Procedure[Device]], Procedure[Device]]:
        """Declare the decorated procedure as a case."""

        def declare(procedure: Procedure[Device]) -> Procedure[Device]:
            self.add(versions, reference, stimulus, expectation, mutant, procedure, *needs)
            return procedure

        return declare

    def add(
        self,
        versions: Versions,
        reference: str,
        stimulus: str,
        expectation: str,
        mutant: Mutant,
        procedure: Procedure[Device],
        *needs: str,
        within_s: float = 600.0,
    ) -> None:
        """Declare a case."""
        number, capability, standard = versions
        letters = "".join(c if c.isalnum() else "-" for c in reference.upper())
        name = "-".join(part for part in letters.split("-") if part)
        found = self.feature or FEATURES[reference.split(".")[0].split()[0].rstrip("0123456789")]
        self.cases.append(
            Case(
                id=f"OCPP{number}-{self.role}-{name}",
                requirement=Requirement(standard, reference, expectation),
                feature=found,
                stimulus=stimulus,
                expectation=expectation,
                procedure=procedure,
                mutants=(mutant,),
                tags=frozenset({f"ocpp{number}", found.lower().replace(" ", "-")}),
                requires=(capability, *needs),
                within_s=within_s,
            )
        )
