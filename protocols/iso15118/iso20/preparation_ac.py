"""Messages of AC services that a session will encode and decode, for `preparation`."""

from __future__ import annotations

from protocols.iso15118.iso20 import ac
from protocols.iso15118.iso20.services import ControlMode, ServiceId

Pair = tuple[type[object], type[object]]  # of a request and of a response

AC: tuple[Pair, ...] = (
    (ac.AC_ChargeParameterDiscoveryReq, ac.AC_ChargeParameterDiscoveryRes),
    (ac.AC_ChargeLoopReq, ac.AC_ChargeLoopRes),
)
LIMITS: dict[ServiceId, Pair] = {
    ServiceId.AC: (ac.AC_CPDReqEnergyTransferMode, ac.AC_CPDResEnergyTransferMode),
    ServiceId.AC_BPT: (ac.BPT_AC_CPDReqEnergyTransferMode, ac.BPT_AC_CPDResEnergyTransferMode),
}
LOOPS: dict[tuple[ServiceId, ControlMode], Pair] = {
    (ServiceId.AC, ControlMode.SCHEDULED): (ac.Scheduled_AC_CLReqControlMode, ac.Scheduled_AC_CLResControlMode),
    (ServiceId.AC, ControlMode.DYNAMIC): (ac.Dynamic_AC_CLReqControlMode, ac.Dynamic_AC_CLResControlMode),
    (ServiceId.AC_BPT, ControlMode.SCHEDULED): (
        ac.BPT_Scheduled_AC_CLReqControlMode,
        ac.BPT_Scheduled_AC_CLResControlMode,
    ),
    (ServiceId.AC_BPT, ControlMode.DYNAMIC): (ac.BPT_Dynamic_AC_CLReqControlMode, ac.BPT_Dynamic_AC_CLResControlMode),
}
