"""The SECC's responses from session setup to service selection, as pure functions.

Plug & Charge is not offered: a request for it gets WARNING_AuthorizationSelectionInvalid, and certificate installation
is a sequence error. Source: ISO 15118-20, session setup, authorization and services; V2G20-1032, 1248, 1249, 1582,
2219, 2230, 2545, 2613-2617.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace

from protocols.iso15118.app_protocol import NAMESPACE_AC, NAMESPACE_DC
from protocols.iso15118.iso20 import timers
from protocols.iso15118.iso20.common import (
    Authorization,
    AuthorizationReq,
    AuthorizationRes,
    AuthorizationSetupReq,
    AuthorizationSetupRes,
    EIM_ASResAuthorizationMode,
    Service,
    ServiceDetailReq,
    ServiceDetailRes,
    ServiceDiscoveryReq,
    ServiceDiscoveryRes,
    ServiceList,
    ServiceParameterList,
    ServiceSelectionReq,
    ServiceSelectionRes,
    SessionSetupReq,
    SessionSetupRes,
)
from protocols.iso15118.iso20.events import AuthorizationRequested, Authorized, Event, ServiceAgreed, SessionOpened
from protocols.iso15118.iso20.messages import NO_SESSION
from protocols.iso15118.iso20.secc_session import Answer, Refusal, RequestContext, Session, VehicleCertificate, Verdict
from protocols.iso15118.iso20.services import DC_SERVICES, Choice, Offer, to_message
from protocols.iso15118.iso20.states import State
from protocols.iso15118.iso20.types import MessageHeader, Processing, ResponseCode

SESSION_ID_SIZE = 8


def session_binding(session_id: bytes, vehicle: VehicleCertificate | None) -> bytes | None:
    """Return the binding of a paused session to its EV: SHA-512(session id ‖ SHA-512(vehicle certificate)); None
    without TLS."""
    if vehicle is None:
        return None
    return hashlib.sha512(session_id + hashlib.sha512(vehicle.der).digest()).digest()


def answer_session_setup(request: SessionSetupReq, session: Session, context: RequestContext) -> Answer:
    vehicle = context.certificate
    if context.settings.identity_required and (vehicle is None or vehicle.common_name != request.EVCCID):
        raise Refusal(ResponseCode.FAILED, f"the vehicle certificate is not that of {request.EVCCID}")
    asked_for = request.Header.SessionID
    kept = context.paused.get(asked_for) if asked_for != NO_SESSION else None
    binding = session_binding(asked_for, vehicle)
    same_car = (
        kept is not None
        and kept.choice is not None
        and kept.evccid == request.EVCCID
        and kept.namespace in ("", session.namespace)
        and (hmac.compare_digest(kept.binding, binding) if kept.binding and binding else kept.binding is binding)
        and _fits(session.namespace, kept.choice)
    )
    if kept is not None and same_car:
        session_id, code, state = asked_for, ResponseCode.OK_OldSessionJoined, State.CHARGE_PARAMETERS
        opened = replace(session, session_id=session_id, evccid=request.EVCCID, resumed=True, choice=kept.choice)
    else:
        session_id, code, state = _new_id(context), ResponseCode.OK_NewSessionEstablished, State.AUTHORIZATION_SETUP
        opened = replace(session, session_id=session_id, evccid=request.EVCCID)
    response = SessionSetupRes(
        Header=MessageHeader(SessionID=session_id, TimeStamp=context.header.TimeStamp),
        ResponseCode=code,
        EVSEID=context.settings.evse_id,
    )
    event = SessionOpened(session_id, request.EVCCID, context.settings.evse_id, opened.resumed)
    return Answer(response, state, opened, (event,))


def answer_authorization_setup(request: AuthorizationSetupReq, session: Session, context: RequestContext) -> Answer:
    response = AuthorizationSetupRes(
        Header=context.header,
        ResponseCode=ResponseCode.OK,
        AuthorizationServices=(Authorization.EIM,),
        CertificateInstallationService=False,
        EIM_ASResAuthorizationMode=EIM_ASResAuthorizationMode(),
    )
    return Answer(response, State.AUTHORIZATION, session)


def answer_authorization(request: AuthorizationReq, session: Session, context: RequestContext) -> Answer:
    if request.SelectedAuthorizationService is not Authorization.EIM or request.EIM_AReqAuthorizationMode is None:
        raise Refusal(ResponseCode.WARNING_AuthorizationSelectionInvalid, "only external identification is offered")
    events: tuple[Event, ...] = ()
    if "authorization" not in session.requested:
        session = replace(session, requested=session.requested | {"authorization"})
        events = (AuthorizationRequested(session.evccid),)
    verdict = context.evse.authorization
    code, processing, state = ResponseCode.OK, Processing.Finished, State.SERVICE_DISCOVERY
    since = session.ongoing_since if session.ongoing_since is not None else context.now
    if verdict is Verdict.WAITING and context.now - since > timers.ONGOING_SECC:
        verdict = Verdict.NO
    if verdict is Verdict.NO:
        code, state = ResponseCode.WARNING_EIMAuthorizationFailure, State.AUTHORIZATION
        session = replace(session, ongoing_since=None, requested=session.requested - {"authorization"})
    elif verdict is Verdict.YES:
        session = replace(session, ongoing_since=None)
    else:
        waits_for_customer = verdict is Verdict.WAITING_FOR_CUSTOMER
        processing = Processing.Ongoing_WaitingForCustomerInteraction if waits_for_customer else Processing.Ongoing
        state = State.AUTHORIZATION
        session = replace(session, ongoing_since=None if waits_for_customer else since)
    if processing is Processing.Finished and context.evse.authorization_code is not None:
        code = context.evse.authorization_code
        state = State.AUTHORIZATION if code.startswith("WARNING") else state
    if processing is Processing.Finished:
        events = (*events, Authorized(code))
    return Answer(
        AuthorizationRes(Header=context.header, ResponseCode=code, EVSEProcessing=processing), state, session, events
    )


def answer_service_discovery(request: ServiceDiscoveryReq, session: Session, context: RequestContext) -> Answer:
    """Respond with the services; the filter applies to value-added services only, of which there are none
    (V2G20-1248/1249)."""
    offered = offers_for(session.namespace, context.settings.offers)
    if not offered:
        raise Refusal(ResponseCode.FAILED, "no energy service fits the agreed protocol")
    response = ServiceDiscoveryRes(
        Header=context.header,
        ResponseCode=ResponseCode.OK,
        ServiceRenegotiationSupported=context.settings.service_renegotiation,
        EnergyTransferServiceList=ServiceList(
            Service=tuple(
                Service(ServiceID=int(one.service), FreeService=context.settings.free_service) for one in offered
            )
        ),
    )
    return Answer(response, State.SERVICE_DETAIL, replace(session, offered=offered))


def answer_service_detail(request: ServiceDetailReq, session: Session, context: RequestContext) -> Answer:
    offer = _offer(session, request.ServiceID)
    if offer is None:
        raise Refusal(ResponseCode.FAILED_ServiceIDInvalid, f"service {request.ServiceID} is not offered")
    response = ServiceDetailRes(
        Header=context.header,
        ResponseCode=ResponseCode.OK,
        ServiceID=request.ServiceID,
        ServiceParameterList=ServiceParameterList(ParameterSet=tuple(to_message(one) for one in offer.sets)),
    )
    return Answer(response, State.SERVICE_SELECTION, session)


def answer_service_selection(request: ServiceSelectionReq, session: Session, context: RequestContext) -> Answer:
    selected = request.SelectedEnergyTransferService
    offer = _offer(session, selected.ServiceID)
    if offer is None:
        raise Refusal(
            ResponseCode.FAILED_NoEnergyTransferServiceSelected,
            f"service {selected.ServiceID} is not an offered energy service",
        )
    parameters = offer.with_id(selected.ParameterSetID)
    if parameters is None:
        raise Refusal(
            ResponseCode.FAILED_ServiceSelectionInvalid, f"service {offer.service} has no set {selected.ParameterSetID}"
        )
    if request.SelectedVASList is not None:
        raise Refusal(ResponseCode.FAILED_ServiceSelectionInvalid, "no value-added service is offered")
    choice = Choice(offer.service, parameters)
    return Answer(
        ServiceSelectionRes(Header=context.header, ResponseCode=ResponseCode.OK),
        State.CHARGE_PARAMETERS,
        replace(session, choice=choice),
        (ServiceAgreed(choice),),
    )


def offers_for(namespace: str, offers: tuple[Offer, ...]) -> tuple[Offer, ...]:
    """Return the offers whose services fit the handshake's namespace."""
    wants_dc = namespace == NAMESPACE_DC
    return tuple(one for one in offers if (one.service in DC_SERVICES) is wants_dc)


def _fits(namespace: str, choice: Choice) -> bool:
    return namespace == (NAMESPACE_DC if choice.is_dc else NAMESPACE_AC)


def _offer(session: Session, service_id: int) -> Offer | None:
    return next((one for one in session.offered if one.service == service_id), None)


def _new_id(context: RequestContext) -> bytes:
    """Return eight bytes from a CSPRNG, never zero and never the id of a paused session."""
    while True:
        session_id = context.draw(SESSION_ID_SIZE)
        if session_id != NO_SESSION and session_id not in context.paused:
            return session_id
