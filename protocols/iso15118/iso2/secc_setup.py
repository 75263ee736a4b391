"""The SECC's responses from session setup to authorization, as pure functions, for ISO 15118-2 and DIN 70121.

External payment only: a contract gets FAILED_PaymentSelectionInvalid. Source: V2G2-425, 464, 465, 467, 740, 741, 756,
804, 854; V2G-DC-395, 396, 635. A resumed session is not checked for the same schedule tuple (V2G2-741).
"""

from __future__ import annotations

from dataclasses import replace

from protocols.iso15118.iso2 import both, timers
from protocols.iso15118.iso2.secc_session import Answer, Refusal, RequestContext, Session
from protocols.iso15118.iso2.services import CHARGE_SERVICE
from protocols.iso15118.iso2.states import State
from protocols.iso15118.iso20.events import (
    AuthorizationRequested,
    Authorized,
    Event,
    SessionOpened,
    ValueAddedServicesSelected,
)
from protocols.iso15118.iso20.secc_session import Verdict

SESSION_ID_SIZE = 8


def answer_session_setup(request: both.SessionSetupReq, session: Session, context: RequestContext) -> Answer:
    """Join the paused session of this id; open a new one for any other id, of any length (V2G2-756)."""
    asked = context.session_id
    kept = context.paused.get(asked) if any(asked) else None
    resumed = kept is not None and kept.namespace == session.namespace
    session_id = asked if resumed else _new_id(context)
    evccid = request.EVCCID.hex().upper()
    code = "OK_OldSessionJoined" if resumed else "OK_NewSessionEstablished"
    return Answer(
        context.dialect.session_setup_response(code, context.settings.evse_id, context.wall_s),
        State.SERVICE_DISCOVERY,
        replace(session, session_id=session_id, evccid=evccid, resumed=resumed),
        (SessionOpened(session_id, evccid, context.settings.evse_id, resumed),),
    )


def answer_service_discovery(request: both.ServiceDiscoveryReq, session: Session, context: RequestContext) -> Answer:
    settings = context.settings
    modes = settings.dc_modes if context.dialect.is_din else settings.dc_modes + settings.ac_modes
    response = context.dialect.service_discovery_response(
        "OK", modes, settings.free_service, settings.services, request
    )
    return Answer(response, State.PAYMENT_SELECTION, session)


def answer_service_detail(request: both.ServiceDetailReq, session: Session, context: RequestContext) -> Answer:
    """Respond with the parameter sets of a service; the charging service has none."""
    service = next((one for one in context.settings.services if one.service_id == request.ServiceID), None)
    if service is None and request.ServiceID != CHARGE_SERVICE:
        raise Refusal("FAILED_ServiceIDInvalid", f"service {request.ServiceID} is not offered", fatal=False)
    parameters = None if service is None else service.parameters()
    response = context.dialect.request(
        "ServiceDetailRes", ResponseCode=context.ok, ServiceID=request.ServiceID, ServiceParameterList=parameters
    )
    return Answer(response, State.PAYMENT_SELECTION, session)


def answer_selection(request: both.PaymentServiceSelectionReq, session: Session, context: RequestContext) -> Answer:
    fault = context.dialect.selection_fault(request, context.settings.services)
    if fault is not None:
        raise Refusal(*fault)
    response = context.dialect.request(f"{context.dialect.selection}Res", ResponseCode=context.ok)
    chosen = tuple((one.ServiceID, one.ParameterSetID) for one in request.SelectedServiceList.SelectedService)
    vas = tuple(one for one in chosen if one[0] != CHARGE_SERVICE)
    events = (ValueAddedServicesSelected(vas),) if vas else ()
    return Answer(response, State.AUTHORIZATION, replace(session, vas=vas), events)


def answer_authorization(request: both.AuthorizationReq, session: Session, context: RequestContext) -> Answer:
    """Respond with the operator's decision; while the customer identifies himself, ISO 15118-2 has a value of its own
    (V2G2-854) and the station's own time limit, DIN only the ongoing timer."""
    events: tuple[Event, ...] = ()
    if "authorization" not in session.requested:
        session = replace(session, requested=session.requested | {"authorization"})
        events = (AuthorizationRequested(session.evccid),)
    verdict, dialect = context.evse.authorization, context.dialect
    since = session.ongoing_since if session.ongoing_since is not None else context.now
    customer = verdict is Verdict.WAITING_FOR_CUSTOMER and not dialect.is_din
    waits = verdict in (Verdict.WAITING, Verdict.WAITING_FOR_CUSTOMER)
    if verdict is Verdict.NO:
        raise Refusal("FAILED", "authorization was refused")
    if waits and context.now - since > (context.settings.customer_timeout if customer else timers.ONGOING_SECC):
        raise Refusal("FAILED", "no authorization in time")
    processing = "Finished"
    if waits:
        processing = "Ongoing_WaitingForCustomerInteraction" if customer else "Ongoing"
    else:
        events = (*events, Authorized(context.ok))
    response = dialect.request(
        f"{dialect.authorization}Res",
        ResponseCode=context.ok,
        EVSEProcessing=dialect.types.EVSEProcessing(processing),
    )
    session = replace(session, ongoing_since=since if waits else None)
    return Answer(response, State.AUTHORIZATION if waits else State.CHARGE_PARAMETERS, session, events)


def _new_id(context: RequestContext) -> bytes:
    """Return eight bytes from a CSPRNG, never zero and never the id of a paused session."""
    while True:
        session_id = context.draw(SESSION_ID_SIZE)
        if any(session_id) and session_id not in context.paused:
            return session_id
