"""Cases for a SECC of DIN SPEC 70121: what their files share."""

from __future__ import annotations

from emulators.conformance.iso15118.declaration import DIN70121, Declaration
from emulators.conformance.iso15118.profiles import DIN
from emulators.conformance.iso15118.secc_access import SeccAccess

SEQUENCE, SETUP, POWER, TIMERS = (
    "DIN SPEC 70121: sequence",
    "DIN SPEC 70121: session, services and parameters",
    "DIN SPEC 70121: power",
    "DIN SPEC 70121: timers",
)
CPD, CPD_RES = "ChargeParameterDiscoveryReq", "ChargeParameterDiscoveryRes"
SELECTION, SELECTION_RES = "ServicePaymentSelectionReq", "ServicePaymentSelectionRes"
AUTHENTICATION = "ContractAuthenticationReq"

din_case = Declaration[SeccAccess](prefix="SECC-DIN-", standard=DIN70121, numbered="[V2G-DC-{}]", profile=DIN)
