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
from protocols.iso15118.iso20 import ac, common, dc
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
AC: tuple[Pair, ...] = (
    (ac.AC_ChargeParameterDiscoveryReq, ac.AC_ChargeParameterDiscoveryRes),
    (ac.AC_ChargeLoopReq, ac.AC_ChargeLoopRes),
)
LOOP_PARTS: tuple[Pair, ...] = ((DisplayParameters, MeterInfo), (DisplayParameters, EVSEStatus))
LIMITS: dict[ServiceId, Pair] = {
    ServiceId.AC: (ac.AC_CPDReqEnergyTransferMode, ac.AC_CPDResEnergyTransferMode),
    ServiceId.DC: (dc.DC_CPDReqEnergyTransferMode, dc.DC_CPDResEnergyTransferMode),
    ServiceId.AC_BPT: (ac.BPT_AC_CPDReqEnergyTransferMode, ac.BPT_AC_CPDResEnergyTransferMode),
    ServiceId.DC_BPT: (dc.BPT_DC_CPDReqEnergyTransferMode, dc.BPT_DC_CPDResEnergyTransferMode),
}
LOOPS: dict[tuple[ServiceId, ControlMode], Pair] = {
    (ServiceId.AC, ControlMode.SCHEDULED): (ac.Scheduled_AC_CLReqControlMode, ac.Scheduled_AC_CLResControlMode),
    (ServiceId.AC, ControlMode.DYNAMIC): (ac.Dynamic_AC_CLReqControlMode, ac.Dynamic_AC_CLResControlMode),
    (ServiceId.DC, ControlMode.SCHEDULED): (dc.Scheduled_DC_CLReqControlMode, dc.Scheduled_DC_CLResControlMode),
    (ServiceId.DC, ControlMode.DYNAMIC): (dc.Dynamic_DC_CLReqControlMode, dc.Dynamic_DC_CLResControlMode),
    (ServiceId.AC_BPT, ControlMode.SCHEDULED): (
        ac.BPT_Scheduled_AC_CLReqControlMode,
        ac.BPT_Scheduled_AC_CLResControlMode,
    ),
    (ServiceId.AC_BPT, ControlMode.DYNAMIC): (ac.BPT_Dynamic_AC_CLReqControlMode, ac.BPT_Dynamic_AC_CLResControlMode),
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
        codec, messages = (ISO20_DC, DC) if service in DC_SERVICES else (ISO20_AC, AC)
        found.setdefault(codec, [*messages, *LOOP_PARTS])
        found[codec] += [LIMITS[service], *(LOOPS[service, mode] for mode in modes)]
    return found
