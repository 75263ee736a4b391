"""Messages that a session will encode and decode, for compiling their codecs before the first session.

Codecs compile a message on first use, about a millisecond each: some tens of milliseconds in a first session. A program
calls `prepare_car` or `prepare_charger` while it starts. An EVCC encodes requests and decodes responses, a SECC the
reverse, so each compiles half of the messages, and only those that its services and control modes need. Rare parts
(signatures, receipts, absolute prices) are compiled on first use.
"""

from __future__ import annotations

from collections.abc import Iterable

from protocols.exi.codec import Codec
from protocols.iso15118.app_protocol_messages import supportedAppProtocolReq, supportedAppProtocolRes
from protocols.iso15118.codecs import ISO20_AC, ISO20_COMMON, ISO20_DC, SAP
from protocols.iso15118.iso20 import common, dc
from protocols.iso15118.iso20.services import DC_SERVICES, ControlMode, ServiceId
from protocols.iso15118.iso20.types import DisplayParameters, EVSEStatus, MeterInfo

# Classes in pairs: of requests, and of responses. The two of a pair need not belong to one exchange.
Pair = tuple[type[object], type[object]]

SETUP: tuple[Pair, ...] = (
    (common.SessionSetupReq, common.SessionSetupRes),
    (common.AuthorizationSetupReq, common.AuthorizationSetupRes),
    (common.AuthorizationReq, common.AuthorizationRes),
    (common.EIM_AReqAuthorizationMode, common.EIM_ASResAuthorizationMode),
    (common.ServiceDiscoveryReq, common.ServiceDiscoveryRes),
    (common.ServiceDetailReq, common.ServiceDetailRes),
    (common.ServiceSelectionReq, common.ServiceSelectionRes),
    (common.ScheduleExchangeReq, common.ScheduleExchangeRes),
    (common.PowerDeliveryReq, common.PowerDeliveryRes),
    (common.EVPowerProfile, EVSEStatus),
    (common.SessionStopReq, common.SessionStopRes),
)
CONTROL: dict[ControlMode, tuple[Pair, ...]] = {
    ControlMode.DYNAMIC: (
        (common.Dynamic_SEReqControlMode, common.Dynamic_SEResControlMode),
        (common.Dynamic_EVPPTControlMode, common.Dynamic_SEResControlMode),
    ),
    ControlMode.SCHEDULED: (
        (common.Scheduled_SEReqControlMode, common.Scheduled_SEResControlMode),
        (common.Scheduled_EVPPTControlMode, common.PriceLevelSchedule),
    ),
}
DC: tuple[Pair, ...] = (
    (dc.DC_ChargeParameterDiscoveryReq, dc.DC_ChargeParameterDiscoveryRes),
    (dc.DC_CableCheckReq, dc.DC_CableCheckRes),
    (dc.DC_PreChargeReq, dc.DC_PreChargeRes),
    (dc.DC_ChargeLoopReq, dc.DC_ChargeLoopRes),
    (dc.DC_WeldingDetectionReq, dc.DC_WeldingDetectionRes),
)
LOOP_PARTS: tuple[Pair, ...] = ((DisplayParameters, MeterInfo), (DisplayParameters, EVSEStatus))
LIMITS: dict[ServiceId, Pair] = {
    ServiceId.DC: (dc.DC_CPDReqEnergyTransferMode, dc.DC_CPDResEnergyTransferMode),
    ServiceId.DC_BPT: (dc.BPT_DC_CPDReqEnergyTransferMode, dc.BPT_DC_CPDResEnergyTransferMode),
}
LOOPS: dict[tuple[ServiceId, ControlMode], Pair] = {
    (ServiceId.DC, ControlMode.SCHEDULED): (dc.Scheduled_DC_CLReqControlMode, dc.Scheduled_DC_CLResControlMode),
    (ServiceId.DC, ControlMode.DYNAMIC): (dc.Dynamic_DC_CLReqControlMode, dc.Dynamic_DC_CLResControlMode),
    (ServiceId.DC_BPT, ControlMode.SCHEDULED): (
        dc.BPT_Scheduled_DC_CLReqControlMode,
        dc.BPT_Scheduled_DC_CLResControlMode,
    ),
    (ServiceId.DC_BPT, ControlMode.DYNAMIC): (dc.BPT_Dynamic_DC_CLReqControlMode, dc.BPT_Dynamic_DC_CLResControlMode),
}


def prepare_car(services: Iterable[ServiceId], controls: Iterable[ControlMode]) -> None:
    """Compile the messages that an EVCC with these settings encodes (requests) and decodes (responses)."""
    for codec, pairs in needed(services, controls).items():
        codec.prepare(writes=[request for request, _ in pairs], reads=[response for _, response in pairs])


def prepare_charger(services: Iterable[ServiceId], controls: Iterable[ControlMode]) -> None:
    """Compile the messages that a SECC with this offer decodes (requests) and encodes (responses)."""
    for codec, pairs in needed(services, controls).items():
        codec.prepare(writes=[response for _, response in pairs], reads=[request for request, _ in pairs])


def needed(services: Iterable[ServiceId], controls: Iterable[ControlMode]) -> dict[Codec, list[Pair]]:
    """Return the messages of sessions with any of the services in any of the control modes, by codec."""
    modes = tuple(controls)
    found: dict[Codec, list[Pair]] = {
        SAP: [(supportedAppProtocolReq, supportedAppProtocolRes)],
        ISO20_COMMON: [*SETUP, *(pair for mode in modes for pair in CONTROL[mode])],
    }
    for service in services:
        if service in DC_SERVICES:
            codec, messages, limits, loops = ISO20_DC, DC, LIMITS, LOOPS
        else:
            from protocols.iso15118.iso20 import preparation_ac as ac  # with its messages only for these services

            codec, messages, limits, loops = ISO20_AC, ac.AC, ac.LIMITS, ac.LOOPS
        found.setdefault(codec, [*messages, *LOOP_PARTS])
        found[codec] += [limits[service], *(loops[service, mode] for mode in modes)]
    return found
