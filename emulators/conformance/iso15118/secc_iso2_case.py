"""Cases for a SECC of ISO 15118-2: what their files share."""

from __future__ import annotations

from emulators.conformance.iso15118.declaration import ISO2, Declaration
from emulators.conformance.iso15118.profiles import DC_2
from emulators.conformance.iso15118.secc_access import SeccAccess

SESSION, SERVICES, PARAMETERS, POWER, PAUSE, TIMERS = (
    "ISO 15118-2: session",
    "ISO 15118-2: services and payment",
    "ISO 15118-2: charge parameters and schedules",
    "ISO 15118-2: power",
    "ISO 15118-2: pause",
    "ISO 15118-2: timers",
)
CPD, CPD_RES = "ChargeParameterDiscoveryReq", "ChargeParameterDiscoveryRes"
DELIVERY_RES = "PowerDeliveryRes"

iso2_case = Declaration[SeccAccess](prefix="SECC-2-", standard=ISO2, numbered="[V2G2-{}]", profile=DC_2)
