"""Catalogue of cases for an EV."""

from __future__ import annotations

from emulators.conformance.catalogue import Catalogue
from emulators.conformance.iso15118 import (
    ev_din,
    ev_iso2,
    ev_iso20_end,
    ev_iso20_loop,
    ev_iso20_parameters,
    ev_iso20_services,
    ev_iso20_setup,
)
from emulators.conformance.iso15118.ev_access import CAPABILITIES, EvAccess
from emulators.conformance.iso15118.mutation import Mutant

EV: Catalogue[EvAccess, Mutant] = Catalogue(
    role="ev",
    title="Conformance of an EV: ISO 15118-20, ISO 15118-2, DIN SPEC 70121",
    cases=(
        *ev_iso20_setup.CASES,
        *ev_iso20_services.CASES,
        *ev_iso20_parameters.CASES,
        *ev_iso20_loop.CASES,
        *ev_iso20_end.CASES,
        *ev_iso2.CASES,
        *ev_din.CASES,
    ),
    capabilities=CAPABILITIES,
)
