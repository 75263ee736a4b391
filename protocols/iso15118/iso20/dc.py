"""The DC messages of ISO 15118-20 (namespace DC, V2GTP payload type 0x8004).

The power converter of the EVSE imposes the DC energy within the limits of both sides. The EV closes its contactor on a
line at its own voltage (pre-charge) and verifies after the session that it has opened (welding detection). The BPT
(bidirectional) forms extend the plain ones and are used throughout once the service DC_BPT is selected. The
declarations repeat the fields of the schema, form by form, because order and occurrence differ between the forms.
"""

from __future__ import annotations

from typing import Annotated

from protocols.exi.declare import Namespace, Ref, element
from protocols.iso15118.iso20.types import (
    ChargeLoopReq,
    ChargeLoopRes,
    ChargeParameterDiscoveryReq,
    ChargeParameterDiscoveryRes,
    CLReqControlMode,
    CLResControlMode,
    Dynamic_CLReqControlMode,
    Dynamic_CLResControlMode,
    PercentValue,
    Processing,
    RationalNumber,
    Scheduled_CLReqControlMode,
    Scheduled_CLResControlMode,
    V2GRequest,
    V2GResponse,
)

DC = Namespace("urn:iso:std:iso:15118:-20:DC")


# ----------------------------------------------------------------------------------------- charge parameter discovery


@element(DC)
class DC_CPDReqEnergyTransferMode:
    """Limits of the EV."""

    EVMaximumChargePower: RationalNumber  # W
    EVMinimumChargePower: RationalNumber  # W
    EVMaximumChargeCurrent: RationalNumber  # A
    EVMinimumChargeCurrent: RationalNumber  # A
    EVMaximumVoltage: RationalNumber  # V
    EVMinimumVoltage: RationalNumber  # V
    TargetSOC: PercentValue | None = None  # %


@element(DC)
class BPT_DC_CPDReqEnergyTransferMode(DC_CPDReqEnergyTransferMode):
    """Limits of the EV in both directions; discharge limits are magnitudes."""

    EVMaximumDischargePower: RationalNumber  # W
    EVMinimumDischargePower: RationalNumber  # W
    EVMaximumDischargeCurrent: RationalNumber  # A
    EVMinimumDischargeCurrent: RationalNumber  # A


@element(DC)
class DC_ChargeParameterDiscoveryReq(ChargeParameterDiscoveryReq):
    """The EV's limits; the BPT form when the selected service is DC_BPT."""

    DC_CPDReqEnergyTransferMode: Annotated[DC_CPDReqEnergyTransferMode, Ref(DC_CPDReqEnergyTransferMode)]


@element(DC)
class DC_CPDResEnergyTransferMode:
    """Limits of the EVSE."""

    EVSEMaximumChargePower: RationalNumber  # W
    EVSEMinimumChargePower: RationalNumber  # W
    EVSEMaximumChargeCurrent: RationalNumber  # A
    EVSEMinimumChargeCurrent: RationalNumber  # A
    EVSEMaximumVoltage: RationalNumber  # V
    EVSEMinimumVoltage: RationalNumber  # V
    EVSEPowerRampLimitation: RationalNumber | None = None  # %/min


@element(DC)
class BPT_DC_CPDResEnergyTransferMode(DC_CPDResEnergyTransferMode):
    """Limits of the EVSE in both directions."""

    EVSEMaximumDischargePower: RationalNumber  # W
    EVSEMinimumDischargePower: RationalNumber  # W
    EVSEMaximumDischargeCurrent: RationalNumber  # A
    EVSEMinimumDischargeCurrent: RationalNumber  # A


@element(DC)
class DC_ChargeParameterDiscoveryRes(ChargeParameterDiscoveryRes):
    """The EVSE's limits, in the form of the request."""

    DC_CPDResEnergyTransferMode: Annotated[DC_CPDResEnergyTransferMode, Ref(DC_CPDResEnergyTransferMode)]


# ----------------------------------------------------------------------------------------- cable check and pre-charge


@element(DC)
class DC_CableCheckReq(V2GRequest):
    """Requests the insulation test; repeated while Ongoing."""


@element(DC)
class DC_CableCheckRes(V2GResponse):
    """Finished: the cable is safe."""

    EVSEProcessing: Processing


@element(DC)
class DC_PreChargeReq(V2GRequest):
    """Requests the battery voltage at the output before the contactor closes; Finished when it is reached."""

    EVProcessing: Processing
    EVPresentVoltage: RationalNumber  # V
    EVTargetVoltage: RationalNumber  # V


@element(DC)
class DC_PreChargeRes(V2GResponse):
    """The voltage at the output."""

    EVSEPresentVoltage: RationalNumber  # V


# --------------------------------------------------------------------------------------------- charge loop, scheduled


@element(DC)
class Scheduled_DC_CLReqControlMode(Scheduled_CLReqControlMode):
    """Scheduled: target current (negative to discharge) and voltage, and the limits in force."""

    EVTargetCurrent: RationalNumber  # A
    EVTargetVoltage: RationalNumber  # V
    EVMaximumChargePower: RationalNumber | None = None  # W
    EVMinimumChargePower: RationalNumber | None = None  # W
    EVMaximumChargeCurrent: RationalNumber | None = None  # A
    EVMaximumVoltage: RationalNumber | None = None  # V
    EVMinimumVoltage: RationalNumber | None = None  # V


@element(DC)
class BPT_Scheduled_DC_CLReqControlMode(Scheduled_DC_CLReqControlMode):
    """Scheduled, both directions."""

    EVMaximumDischargePower: RationalNumber | None = None  # W
    EVMinimumDischargePower: RationalNumber | None = None  # W
    EVMaximumDischargeCurrent: RationalNumber | None = None  # A


@element(DC)
class Scheduled_DC_CLResControlMode(Scheduled_CLResControlMode):
    """Scheduled: the EVSE's limits in force."""

    EVSEMaximumChargePower: RationalNumber | None = None  # W
    EVSEMinimumChargePower: RationalNumber | None = None  # W
    EVSEMaximumChargeCurrent: RationalNumber | None = None  # A
    EVSEMaximumVoltage: RationalNumber | None = None  # V


@element(DC)
class BPT_Scheduled_DC_CLResControlMode(Scheduled_DC_CLResControlMode):
    """Scheduled, both directions."""

    EVSEMaximumDischargePower: RationalNumber | None = None  # W
    EVSEMinimumDischargePower: RationalNumber | None = None  # W
    EVSEMaximumDischargeCurrent: RationalNumber | None = None  # A
    EVSEMinimumVoltage: RationalNumber | None = None  # V


# ----------------------------------------------------------------------------------------------- charge loop, dynamic


@element(DC)
class Dynamic_DC_CLReqControlMode(Dynamic_CLReqControlMode):
    """Dynamic: the EV's limits; there is no target, the EVSE imposes the current."""

    EVMaximumChargePower: RationalNumber  # W
    EVMinimumChargePower: RationalNumber  # W
    EVMaximumChargeCurrent: RationalNumber  # A
    EVMaximumVoltage: RationalNumber  # V
    EVMinimumVoltage: RationalNumber  # V


@element(DC)
class BPT_Dynamic_DC_CLReqControlMode(Dynamic_DC_CLReqControlMode):
    """Dynamic, both directions; the V2X energies are the distance of the battery from the limits of its cycling
    window."""

    EVMaximumDischargePower: RationalNumber  # W
    EVMinimumDischargePower: RationalNumber  # W
    EVMaximumDischargeCurrent: RationalNumber  # A
    EVMaximumV2XEnergyRequest: RationalNumber | None = None  # Wh
    EVMinimumV2XEnergyRequest: RationalNumber | None = None  # Wh


@element(DC)
class Dynamic_DC_CLResControlMode(Dynamic_CLResControlMode):
    """Dynamic: the EVSE's limits in force."""

    EVSEMaximumChargePower: RationalNumber  # W
    EVSEMinimumChargePower: RationalNumber  # W
    EVSEMaximumChargeCurrent: RationalNumber  # A
    EVSEMaximumVoltage: RationalNumber  # V


@element(DC)
class BPT_Dynamic_DC_CLResControlMode(Dynamic_DC_CLResControlMode):
    """Dynamic, both directions."""

    EVSEMaximumDischargePower: RationalNumber  # W
    EVSEMinimumDischargePower: RationalNumber  # W
    EVSEMaximumDischargeCurrent: RationalNumber  # A
    EVSEMinimumVoltage: RationalNumber  # V


# -------------------------------------------------------------------------------------------------------- charge loop


@element(DC)
class DC_ChargeLoopReq(ChargeLoopReq):
    """Measurements of the EV and, in its control mode, targets or limits."""

    EVPresentVoltage: RationalNumber  # V
    CLReqControlMode: Annotated[
        Scheduled_DC_CLReqControlMode
        | BPT_Scheduled_DC_CLReqControlMode
        | Dynamic_DC_CLReqControlMode
        | BPT_Dynamic_DC_CLReqControlMode,
        Ref(CLReqControlMode),
    ]


@element(DC)
class DC_ChargeLoopRes(ChargeLoopRes):
    """Output of the EVSE, limits reached, and its control mode. Current out of the vehicle is negative."""

    EVSEPresentCurrent: RationalNumber  # A
    EVSEPresentVoltage: RationalNumber  # V
    EVSEPowerLimitAchieved: bool
    EVSECurrentLimitAchieved: bool
    EVSEVoltageLimitAchieved: bool
    CLResControlMode: Annotated[
        Scheduled_DC_CLResControlMode
        | BPT_Scheduled_DC_CLResControlMode
        | Dynamic_DC_CLResControlMode
        | BPT_Dynamic_DC_CLResControlMode,
        Ref(CLResControlMode),
    ]


# -------------------------------------------------------------------------------------------------- welding detection


@element(DC)
class DC_WeldingDetectionReq(V2GRequest):
    """Verifies after the session that the contactor has opened."""

    EVProcessing: Processing


@element(DC)
class DC_WeldingDetectionRes(V2GResponse):
    """The remaining voltage."""

    EVSEPresentVoltage: RationalNumber  # V
