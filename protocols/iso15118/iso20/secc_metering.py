"""The SECC's response to MeteringConfirmation: the EV signs a meter reading.

A verifier given by the host checks the signature; without one no confirmation is valid, because an unchecked signature
must not pass. Source: ISO 15118-20, MeteringConfirmation; V2G20-1081 to 1083, 1919.
"""

from __future__ import annotations

from protocols.iso15118.iso20.common import MeteringConfirmationReq, MeteringConfirmationRes
from protocols.iso15118.iso20.events import MeterConfirmed
from protocols.iso15118.iso20.secc_session import Answer, Refusal, RequestContext, Session
from protocols.iso15118.iso20.types import EVSENotification, ResponseCode

_METERING = frozenset({EVSENotification.MeteringConfirmation})


def answer_metering_confirmation(request: MeteringConfirmationReq, session: Session, context: RequestContext) -> Answer:
    """Respond to MeteringConfirmationReq. FAILED_MeteringSignatureNotValid for another session, another reading or an
    invalid signature."""
    data, meter = request.SignedMeteringData, context.evse.meter
    verifier = context.settings.metering_verifier
    if data.SessionID != session.session_id:
        raise Refusal(ResponseCode.FAILED_MeteringSignatureNotValid, "the meter data belong to another session")
    if (
        meter is None
        or data.MeterInfo.MeterID != meter.meter_id
        or data.MeterInfo.ChargedEnergyReadingWh > meter.charged_wh
    ):
        raise Refusal(ResponseCode.FAILED_MeteringSignatureNotValid, "the reading is not from this meter")
    if verifier is None or not verifier(request):
        raise Refusal(ResponseCode.FAILED_MeteringSignatureNotValid, "the signature of the meter data is invalid")
    response = MeteringConfirmationRes(Header=context.header, ResponseCode=ResponseCode.OK)
    return Answer(response, context.state, session, (MeterConfirmed(ResponseCode.OK),), _METERING)
