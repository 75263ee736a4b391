"""Enumerations of OCPP 2.1 for the state of a station of any version. Their members are strings of the wire."""

from __future__ import annotations

from protocols.ocpp.enums import v21

ChargingState = v21.ChargingStateEnumType
ConnectorStatus = v21.ConnectorStatusEnumType
OperationMode = v21.OperationModeEnumType
ProfileKind = v21.ChargingProfileKindEnumType
ProfilePurpose = v21.ChargingProfilePurposeEnumType
StopReason = v21.ReasonEnumType
TriggerReason = v21.TriggerReasonEnumType
