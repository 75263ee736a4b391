"""The EVCC's reactions to responses from session setup to service selection, as pure functions.

Source: ISO 15118-20, session setup, authorization, services; V2G20-1032, 2219, 2230, 2613-2617, 2626, 2627.
"""

from __future__ import annotations

from dataclasses import replace

from protocols.iso15118.iso20.common import (
    Authorization,
    AuthorizationRes,
    AuthorizationSetupRes,
    ChargingSession,
    ServiceDetailRes,
    ServiceDiscoveryRes,
    ServiceSelectionRes,
    SessionSetupRes,
)
from protocols.iso15118.iso20.evcc_session import EvccContext, EvSession, Reaction
from protocols.iso15118.iso20.events import Authorized, ServiceAgreed, SessionOpened
from protocols.iso15118.iso20.messages import NO_SESSION
from protocols.iso15118.iso20.orders import Stop
from protocols.iso15118.iso20.services import Choice, Parameters, ServiceId, choose, from_message
from protocols.iso15118.iso20.states import Step
from protocols.iso15118.iso20.types import Processing, ResponseCode
from protocols.iso15118.session.evcc_engine import EndConnection


def terminate(session: EvSession, code: str, explanation: str) -> EvSession:
    """Return the session with a request to stop, unless it already has one."""
    if session.stop is not None:
        return session
    return replace(session, stop=Stop(ChargingSession.Terminate, code, explanation))


def on_session_setup(response: SessionSetupRes, session: EvSession, context: EvccContext) -> Reaction:
    session_id = response.Header.SessionID
    resume = context.settings.resume
    if session_id == NO_SESSION:
        raise EndConnection("the charger assigned no session id")
    resumed = response.ResponseCode is ResponseCode.OK_OldSessionJoined
    if resumed and (resume is None or session_id != resume.session_id):
        raise EndConnection("the charger joined another session")
    choice = resume.choice if resumed and resume is not None else None
    if resumed and choice is None:
        raise EndConnection("the charger joined a session whose service is unknown")
    fresh = replace(session, session_id=session_id, resumed=resumed, evse_id=response.EVSEID, choice=choice)
    event = SessionOpened(session_id, context.settings.evccid, response.EVSEID, resumed)
    return Reaction(Step.CHARGE_PARAMETERS if resumed else Step.AUTHORIZATION_SETUP, fresh, (event,))


def on_authorization_setup(response: AuthorizationSetupRes, session: EvSession, context: EvccContext) -> Reaction:
    if Authorization.EIM not in response.AuthorizationServices:
        return Reaction(
            Step.SESSION_STOP, terminate(session, "no authorization", "the charger offers no external identification")
        )
    return Reaction(Step.AUTHORIZATION, session)


def on_authorization(response: AuthorizationRes, session: EvSession, context: EvccContext) -> Reaction:
    code, processing = response.ResponseCode, response.EVSEProcessing
    if processing is not Processing.Finished:
        waits = processing is Processing.Ongoing_WaitingForCustomerInteraction
        return Reaction(Step.AUTHORIZATION, replace(session, waits_for_customer=waits), poll=True)
    session = replace(session, waits_for_customer=False)
    if code.startswith("WARNING"):
        refused = terminate(session, "not authorized", f"authorization was refused: {code}")
        return Reaction(Step.SESSION_STOP, refused, (Authorized(code),))
    return Reaction(Step.SERVICE_DISCOVERY, session, (Authorized(code),))


def on_service_discovery(response: ServiceDiscoveryRes, session: EvSession, context: EvccContext) -> Reaction:
    offered = {one.ServiceID for one in response.EnergyTransferServiceList.Service}
    candidates = tuple(one for one in context.settings.services if one in offered)
    session = replace(
        session, candidates=candidates, service_renegotiation=response.ServiceRenegotiationSupported, choice=None
    )
    if not candidates:
        return Reaction(Step.SESSION_STOP, terminate(session, "no service", "the charger offers no usable service"))
    return Reaction(Step.SERVICE_DETAIL, session)


def on_service_detail(response: ServiceDetailRes, session: EvSession, context: EvccContext) -> Reaction:
    requested = session.candidates[0]
    if response.ServiceID != requested:
        raise EndConnection(
            f"the charger described service {response.ServiceID}, service {int(requested)} was requested"
        )
    read = (from_message(one) for one in response.ServiceParameterList.ParameterSet)
    sets: tuple[Parameters, ...] = tuple(one for one in read if one is not None)
    chosen = choose(sets, context.settings.controls, context.settings.needs_modes)
    if chosen is not None:
        return Reaction(Step.SERVICE_SELECTION, replace(session, choice=Choice(ServiceId(requested), chosen)))
    session = replace(session, candidates=session.candidates[1:])
    if session.candidates:
        return Reaction(Step.SERVICE_DETAIL, session)
    return Reaction(Step.SESSION_STOP, terminate(session, "no service", "no offered parameter set is usable"))


def on_service_selection(response: ServiceSelectionRes, session: EvSession, context: EvccContext) -> Reaction:
    return Reaction(Step.CHARGE_PARAMETERS, session, (ServiceAgreed(session.agreed),))
