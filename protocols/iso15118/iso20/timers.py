"""Timers of ISO 15118-20, in seconds. The SECC's are shorter than the EVCC's, so that its response still arrives.

Four kinds: the EVCC's wait for a response (`message_timeout`), the SECC's performance time (`answer_within`), the
EVCC's time to its next request (`REQUEST_WITHIN`, a quality criterion), and the SECC's wait for it (`SEQUENCE`).
Engines turn these values into deadlines. Source: ISO 15118-20, timing tables (message, sequence and ongoing timers).
`PRE_CHARGE` is the value of a peer, not verified against the standard.
"""

from __future__ import annotations

COMMUNICATION_SETUP = 20.0  # EVCC: from the link to SessionSetupRes
COMMUNICATION_SETUP_SECC = 18.0
SEQUENCE = 60.0  # SECC: waits for the next request (V2G20-443)
SEQUENCE_LOOP = 0.5  # SECC: the same after a charge loop response (V2G20-1500 AC, V2G20-1502 DC)
REQUEST_WITHIN = 40.0
REQUEST_WITHIN_LOOP = 0.25
ONGOING = 60.0  # EVCC: Authorization, ScheduleExchange, CertificateInstallation while Ongoing
ONGOING_SECC = 55.0
CABLE_CHECK = 40.0
CABLE_CHECK_SECC = 38.0
PRE_CHARGE = 10.0
CLOSE_AFTER_STOP = 5.0  # SECC: closes by itself this long after SessionStopRes

_MESSAGE = 2.0, 1.5
_SLOW = 5.0, 4.5
_LOOP = 0.5, 0.25
_TIMES = {
    "ServiceDetailReq": _SLOW,
    "CertificateInstallationReq": _SLOW,
    "AC_ChargeLoopReq": _LOOP,
    "DC_ChargeLoopReq": _LOOP,
}


def message_timeout(request: str) -> float:
    """Return the EVCC message timer of the request with this element name."""
    return _TIMES.get(request, _MESSAGE)[0]


def answer_within(request: str) -> float:
    """Return the SECC performance time for the request with this element name."""
    return _TIMES.get(request, _MESSAGE)[1]
