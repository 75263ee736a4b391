"""Timers of ISO 15118-2 and DIN SPEC 70121, in seconds.

The SECC's are shorter than the EVCC's, so that its FAILED response still arrives. Source: ISO 15118-2 table 109
(V2G2-443, 714, 716, 723), DIN SPEC 70121 tables 75 and 77 as peers cite them. In DIN, PowerDelivery has 2 s, not 5.
Uncertain: the SECC's 55 s for ContractAuthentication in DIN. `CUSTOMER_SECC` and `LONG_PRE_CHARGE_SECC` are ours.
"""

from __future__ import annotations

COMMUNICATION_SETUP = 20.0  # EVCC: from the link to SessionSetupRes
COMMUNICATION_SETUP_SECC = 18.0
SEQUENCE = 60.0  # SECC: waits for the next request
ONGOING = 60.0  # EVCC: Authorization and ChargeParameterDiscovery while Ongoing
ONGOING_SECC = 55.0
CUSTOMER_SECC = 300.0  # SECC: waits for the customer's identification
CABLE_CHECK = 40.0
CABLE_CHECK_SECC = 38.0
PRE_CHARGE = 7.0
PRE_CHARGE_SECC = 5.0
LONG_PRE_CHARGE_SECC = 20.0  # for cars that wait longer
READY_TO_CHARGE = 150.0  # EVCC in DIN: from session setup to PowerDelivery
CONTACTOR = 3.0  # SECC: AC contactor after state C (V2G2-860, 862, 865)
HOLD_POLL = 0.05  # SECC: while a response waits for the hardware
CLOSE_AFTER_STOP = 5.0  # SECC: closes by itself this long after SessionStopRes

_MESSAGE = 2.0, 1.5
_SLOW = 5.0, 4.5
_LOOP = 0.25, 0.025
_DIN = {"CurrentDemandReq": _LOOP}
_ISO2 = {
    "ServiceDetailReq": _SLOW,
    "PaymentDetailsReq": _SLOW,
    "CertificateInstallationReq": _SLOW,
    "CertificateUpdateReq": _SLOW,
    "PowerDeliveryReq": _SLOW,
    **_DIN,
}


def message_timeout(request: str, *, din: bool = False) -> float:
    """Return the EVCC message timer of the request with this element name."""
    return (_DIN if din else _ISO2).get(request, _MESSAGE)[0]


def answer_within(request: str, *, din: bool = False) -> float:
    """Return the SECC performance time for the request with this element name."""
    return (_DIN if din else _ISO2).get(request, _MESSAGE)[1]
