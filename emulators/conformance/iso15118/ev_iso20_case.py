"""Cases for an EV of ISO 15118-20: what their files share."""

from __future__ import annotations

from emulators.conformance.iso15118.declaration import ISO20, Declaration
from emulators.conformance.iso15118.ev_access import EvAccess
from emulators.conformance.iso15118.ev_procedures import Check
from emulators.conformance.iso15118.plain import Plain
from emulators.conformance.iso15118.profiles import DC_BPT

SETUP, SERVICES, PARAMETERS, LOOP, REACTIONS, TIMERS = (
    "ISO 15118-20: handshake, session, authorization",
    "ISO 15118-20: services",
    "ISO 15118-20: parameters, schedules, start of power",
    "ISO 15118-20: charge loop",
    "ISO 15118-20: notifications, errors, end",
    "ISO 15118-20: timers",
)
BPT_DC, BPT_AC = "BPT_DC_CPDReqEnergyTransferMode", "BPT_AC_CPDReqEnergyTransferMode"
CPD, AC_CPD = "DC_ChargeParameterDiscoveryReq", "AC_ChargeParameterDiscoveryReq"
ONGOING: Plain = {"EVSEProcessing": "Ongoing"}

iso20_case = Declaration[EvAccess](prefix="EV-20-", standard=ISO20, profile=DC_BPT)


def has(name: str) -> Check:
    return lambda f: "" if name in f else f"there is no {name}"
