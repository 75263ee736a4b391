"""Profiles: combinations of protocol, service and control mode, with the steps of an ordinary session.

A step is named for its request; `PowerStop` is the PowerDeliveryReq that ends the charge loop.
"""

from __future__ import annotations

from dataclasses import dataclass

from protocols.iso15118.app_protocol import NAMESPACE_AC, NAMESPACE_DC, NAMESPACE_DIN, NAMESPACE_ISO2

STOP = "PowerStop"
SETUP_20 = (
    *("SessionSetupReq", "AuthorizationSetupReq", "AuthorizationReq", "ServiceDiscoveryReq"),
    *("ServiceDetailReq", "ServiceSelectionReq"),
)
SETUP_2 = ("SessionSetupReq", "ServiceDiscoveryReq", "PaymentServiceSelectionReq", "AuthorizationReq")
SETUP_DIN = ("SessionSetupReq", "ServiceDiscoveryReq", "ServicePaymentSelectionReq", "ContractAuthenticationReq")


@dataclass(frozen=True, slots=True)
class Profile:
    """One combination. `service`: id of -20, 0 in the older generations; `steps`: from SessionSetupReq to the stop."""

    name: str
    protocol: str  # iso20, iso2, din
    namespace: str
    major: int
    steps: tuple[str, ...]
    dc: bool
    service: int = 0
    bpt: bool = False
    dynamic: bool = True

    @property
    def capability(self) -> str:
        """Name of the capability that a device needs for this profile."""
        return f"{self.protocol}.{'dc' if self.dc else 'ac'}{'_bpt' if self.bpt else ''}"

    @property
    def loop(self) -> str:
        """Name of the request of the charge loop."""
        if self.protocol == "iso20":
            return "DC_ChargeLoopReq" if self.dc else "AC_ChargeLoopReq"
        return "CurrentDemandReq" if self.dc else "ChargingStatusReq"


_DC_20 = (
    *("DC_ChargeParameterDiscoveryReq", "ScheduleExchangeReq", "DC_CableCheckReq", "DC_PreChargeReq"),
    *("PowerDeliveryReq", "DC_ChargeLoopReq", STOP, "DC_WeldingDetectionReq", "SessionStopReq"),
)
_AC_20 = (
    *("AC_ChargeParameterDiscoveryReq", "ScheduleExchangeReq", "PowerDeliveryReq", "AC_ChargeLoopReq"),
    *(STOP, "SessionStopReq"),
)
_DC_2 = (
    *("ChargeParameterDiscoveryReq", "CableCheckReq", "PreChargeReq", "PowerDeliveryReq", "CurrentDemandReq"),
    *(STOP, "WeldingDetectionReq", "SessionStopReq"),
)
_AC_2 = ("ChargeParameterDiscoveryReq", "PowerDeliveryReq", "ChargingStatusReq", STOP, "SessionStopReq")


def _iso20(name: str, service: int, *, dc: bool, bpt: bool, dynamic: bool) -> Profile:
    namespace, steps = (NAMESPACE_DC, _DC_20) if dc else (NAMESPACE_AC, _AC_20)
    return Profile(name, "iso20", namespace, 1, SETUP_20 + steps, dc, service, bpt, dynamic)


DC_BPT = _iso20("ISO 15118-20 DC_BPT, dynamic", 6, dc=True, bpt=True, dynamic=True)
DC_BPT_SCHEDULED = _iso20("ISO 15118-20 DC_BPT, scheduled", 6, dc=True, bpt=True, dynamic=False)
DC_20 = _iso20("ISO 15118-20 DC, dynamic", 2, dc=True, bpt=False, dynamic=True)
AC_BPT = _iso20("ISO 15118-20 AC_BPT, dynamic", 5, dc=False, bpt=True, dynamic=True)
AC_BPT_SCHEDULED = _iso20("ISO 15118-20 AC_BPT, scheduled", 5, dc=False, bpt=True, dynamic=False)
AC_20 = _iso20("ISO 15118-20 AC, dynamic", 1, dc=False, bpt=False, dynamic=True)
DC_2 = Profile("ISO 15118-2 DC", "iso2", NAMESPACE_ISO2, 2, SETUP_2 + _DC_2, True)
AC_2 = Profile("ISO 15118-2 AC", "iso2", NAMESPACE_ISO2, 2, SETUP_2 + _AC_2, False)
DIN = Profile("DIN SPEC 70121", "din", NAMESPACE_DIN, 2, SETUP_DIN + _DC_2, True)
PROFILES = (DC_BPT, DC_BPT_SCHEDULED, DC_20, AC_BPT, AC_BPT_SCHEDULED, AC_20, DC_2, AC_2, DIN)
