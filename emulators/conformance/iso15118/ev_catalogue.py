"""Catalogue of cases for an EV."""

from __future__ import annotations

from emulators.conformance.catalogue import Catalogue
from emulators.conformance.iso15118 import ev_iso20, ev_older
from emulators.conformance.iso15118.ev_access import CAPABILITIES, EvAccess
from emulators.conformance.iso15118.mutation import Mutant

EV: Catalogue[EvAccess, Mutant] = Catalogue(
    role="ev",
    title="Conformance of an EV: ISO 15118-20, ISO 15118-2, DIN SPEC 70121",
    cases=(*ev_iso20.CASES, *ev_older.CASES),
    capabilities=CAPABILITIES,
)
