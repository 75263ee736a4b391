"""Catalogue of cases for a SECC."""

from __future__ import annotations

from emulators.conformance.catalogue import Catalogue
from emulators.conformance.iso15118 import (
    secc_din,
    secc_iso2,
    secc_iso2_sequence,
    secc_iso20_energy,
    secc_iso20_power,
    secc_iso20_sequence,
    secc_iso20_setup,
    secc_iso20_stop,
    secc_transport,
)
from emulators.conformance.iso15118.mutation import Mutant
from emulators.conformance.iso15118.secc_access import SeccAccess
from emulators.conformance.iso15118.secc_discovery import CAPABILITIES

SECC: Catalogue[SeccAccess, Mutant] = Catalogue(
    role="secc",
    title="Conformance of a SECC: ISO 15118-20, ISO 15118-2, DIN SPEC 70121",
    cases=(
        *secc_transport.CASES,
        *secc_iso20_setup.CASES,
        *secc_iso20_sequence.CASES,
        *secc_iso20_energy.CASES,
        *secc_iso20_power.CASES,
        *secc_iso20_stop.CASES,
        *secc_iso2_sequence.CASES,
        *secc_iso2.CASES,
        *secc_din.CASES,
    ),
    capabilities=CAPABILITIES,
)
