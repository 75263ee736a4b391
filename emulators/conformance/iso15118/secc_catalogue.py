"""Catalogue of cases for a SECC."""

from __future__ import annotations

from emulators.conformance.catalogue import Catalogue
from emulators.conformance.iso15118 import (
    secc_din_power,
    secc_din_sequence,
    secc_din_setup,
    secc_handshake,
    secc_iso2_parameters,
    secc_iso2_pause,
    secc_iso2_power,
    secc_iso2_sequence,
    secc_iso2_services,
    secc_iso2_session,
    secc_iso2_timers,
    secc_iso20_authorization,
    secc_iso20_end,
    secc_iso20_limits,
    secc_iso20_loop,
    secc_iso20_parameters,
    secc_iso20_pause,
    secc_iso20_renegotiation,
    secc_iso20_schedules,
    secc_iso20_sequence,
    secc_iso20_services,
    secc_iso20_session,
    secc_iso20_start,
    secc_transport,
)
from emulators.conformance.iso15118.mutation import Mutant
from emulators.conformance.iso15118.secc_access import SeccAccess
from emulators.conformance.iso15118.secc_discovery import CAPABILITIES

SECC: Catalogue[SeccAccess, Mutant] = Catalogue(
    role="secc",
    title="Conformance of a SECC: ISO 15118-20, ISO 15118-2, DIN SPEC 70121",
    cases=(
        *secc_handshake.CASES,
        *secc_transport.CASES,
        *secc_iso20_session.CASES,
        *secc_iso20_authorization.CASES,
        *secc_iso20_services.CASES,
        *secc_iso20_sequence.CASES,
        *secc_iso20_parameters.CASES,
        *secc_iso20_schedules.CASES,
        *secc_iso20_start.CASES,
        *secc_iso20_loop.CASES,
        *secc_iso20_limits.CASES,
        *secc_iso20_renegotiation.CASES,
        *secc_iso20_pause.CASES,
        *secc_iso20_end.CASES,
        *secc_iso2_sequence.CASES,
        *secc_iso2_session.CASES,
        *secc_iso2_services.CASES,
        *secc_iso2_parameters.CASES,
        *secc_iso2_power.CASES,
        *secc_iso2_pause.CASES,
        *secc_iso2_timers.CASES,
        *secc_din_sequence.CASES,
        *secc_din_setup.CASES,
        *secc_din_power.CASES,
    ),
    capabilities=CAPABILITIES,
)
