"""Messages of ISO 15118-2 or DIN SPEC 70121, as types: the engines read the fields that both have.

For annotations only. The names are those of ISO 15118-2; `dialect.py` has what differs.
"""

from __future__ import annotations

from typing import TypeAlias

from protocols.iso15118.din import messages as din
from protocols.iso15118.din import types as din_types
from protocols.iso15118.iso2 import messages as iso2
from protocols.iso15118.iso2 import types as iso2_types

Message: TypeAlias = iso2.BodyElement | din.BodyElement
SessionSetupReq: TypeAlias = iso2.SessionSetupReq | din.SessionSetupReq
SessionSetupRes: TypeAlias = iso2.SessionSetupRes | din.SessionSetupRes
ServiceDiscoveryReq: TypeAlias = iso2.ServiceDiscoveryReq | din.ServiceDiscoveryReq
ServiceDiscoveryRes: TypeAlias = iso2.ServiceDiscoveryRes | din.ServiceDiscoveryRes
ServiceDetailReq: TypeAlias = iso2.ServiceDetailReq | din.ServiceDetailReq
ServiceDetailRes: TypeAlias = iso2.ServiceDetailRes | din.ServiceDetailRes
PaymentServiceSelectionReq: TypeAlias = iso2.PaymentServiceSelectionReq | din.ServicePaymentSelectionReq
PaymentServiceSelectionRes: TypeAlias = iso2.PaymentServiceSelectionRes | din.ServicePaymentSelectionRes
AuthorizationReq: TypeAlias = iso2.AuthorizationReq | din.ContractAuthenticationReq
AuthorizationRes: TypeAlias = iso2.AuthorizationRes | din.ContractAuthenticationRes
ChargeParameterDiscoveryReq: TypeAlias = iso2.ChargeParameterDiscoveryReq | din.ChargeParameterDiscoveryReq
ChargeParameterDiscoveryRes: TypeAlias = iso2.ChargeParameterDiscoveryRes | din.ChargeParameterDiscoveryRes
PowerDeliveryReq: TypeAlias = iso2.PowerDeliveryReq | din.PowerDeliveryReq
PowerDeliveryRes: TypeAlias = iso2.PowerDeliveryRes | din.PowerDeliveryRes
SessionStopReq: TypeAlias = iso2.SessionStopReq | din.SessionStopReq
SessionStopRes: TypeAlias = iso2.SessionStopRes | din.SessionStopRes
ChargingStatusReq: TypeAlias = iso2.ChargingStatusReq | din.ChargingStatusReq
ChargingStatusRes: TypeAlias = iso2.ChargingStatusRes | din.ChargingStatusRes
CableCheckReq: TypeAlias = iso2.CableCheckReq | din.CableCheckReq
CableCheckRes: TypeAlias = iso2.CableCheckRes | din.CableCheckRes
PreChargeReq: TypeAlias = iso2.PreChargeReq | din.PreChargeReq
PreChargeRes: TypeAlias = iso2.PreChargeRes | din.PreChargeRes
CurrentDemandReq: TypeAlias = iso2.CurrentDemandReq | din.CurrentDemandReq
CurrentDemandRes: TypeAlias = iso2.CurrentDemandRes | din.CurrentDemandRes
WeldingDetectionReq: TypeAlias = iso2.WeldingDetectionReq | din.WeldingDetectionReq
WeldingDetectionRes: TypeAlias = iso2.WeldingDetectionRes | din.WeldingDetectionRes
PhysicalValue: TypeAlias = iso2_types.PhysicalValue | din_types.PhysicalValue
DC_EVSEStatus: TypeAlias = iso2_types.DC_EVSEStatus | din_types.DC_EVSEStatus
AC_EVSEStatus: TypeAlias = iso2_types.AC_EVSEStatus | din_types.AC_EVSEStatus
DC_EVStatus: TypeAlias = iso2_types.DC_EVStatus | din_types.DC_EVStatus
ResponseCode: TypeAlias = iso2_types.ResponseCode | din_types.ResponseCode
MeterInfo: TypeAlias = iso2_types.MeterInfo | din_types.MeterInfo
SAScheduleList: TypeAlias = iso2_types.SAScheduleList | din_types.SAScheduleList
DC_EVSEChargeParameter: TypeAlias = iso2_types.DC_EVSEChargeParameter | din_types.DC_EVSEChargeParameter
AC_EVSEChargeParameter: TypeAlias = iso2_types.AC_EVSEChargeParameter | din_types.AC_EVSEChargeParameter
DC_EVChargeParameter: TypeAlias = iso2_types.DC_EVChargeParameter | din_types.DC_EVChargeParameter
SAScheduleTuple: TypeAlias = iso2_types.SAScheduleTuple | din_types.SAScheduleTuple
PMaxScheduleEntry: TypeAlias = iso2_types.PMaxScheduleEntry | din_types.PMaxScheduleEntry
EVSEStatus: TypeAlias = DC_EVSEStatus | AC_EVSEStatus
EVSEChargeParameter: TypeAlias = DC_EVSEChargeParameter | AC_EVSEChargeParameter
AC_EVChargeParameter: TypeAlias = iso2_types.AC_EVChargeParameter | din_types.AC_EVChargeParameter
EVChargeParameter: TypeAlias = DC_EVChargeParameter | AC_EVChargeParameter
DC_EVPowerDeliveryParameter: TypeAlias = iso2_types.DC_EVPowerDeliveryParameter | din_types.DC_EVPowerDeliveryParameter
