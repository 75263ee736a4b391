"""The AC messages of ISO 15118-20 (namespace AC, V2GTP payload type 0x8003).

AC power is regulated by the on-board charger of the EV. A power without _L2 and _L3 is the total; with them it is phase
L1. The BPT (bidirectional) forms extend the plain ones and are used throughout once the service AC_BPT is selected. The
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
    RationalNumber,
    Scheduled_CLReqControlMode,
    Scheduled_CLResControlMode,
)

AC = Namespace("urn:iso:std:iso:15118:-20:AC")


# ----------------------------------------------------------------------------------------- charge parameter discovery


@element(AC)
class AC_CPDReqEnergyTransferMode:
    """Limits of the EV."""

    EVMaximumChargePower: RationalNumber  # W
    EVMaximumChargePower_L2: RationalNumber | None = None  # W
    EVMaximumChargePower_L3: RationalNumber | None = None  # W
    EVMinimumChargePower: RationalNumber  # W
    EVMinimumChargePower_L2: RationalNumber | None = None  # W
    EVMinimumChargePower_L3: RationalNumber | None = None  # W


@element(AC)
class BPT_AC_CPDReqEnergyTransferMode(AC_CPDReqEnergyTransferMode):
    """Limits of the EV in both directions; discharge limits are magnitudes."""

    EVMaximumDischargePower: RationalNumber  # W
    EVMaximumDischargePower_L2: RationalNumber | None = None  # W
    EVMaximumDischargePower_L3: RationalNumber | None = None  # W
    EVMinimumDischargePower: RationalNumber  # W
    EVMinimumDischargePower_L2: RationalNumber | None = None  # W
    EVMinimumDischargePower_L3: RationalNumber | None = None  # W


@element(AC)
class AC_ChargeParameterDiscoveryReq(ChargeParameterDiscoveryReq):
    """The EV's limits; the BPT form when the selected service is AC_BPT."""

    AC_CPDReqEnergyTransferMode: Annotated[AC_CPDReqEnergyTransferMode, Ref(AC_CPDReqEnergyTransferMode)]


@element(AC)
class AC_CPDResEnergyTransferMode:
    """Limits of the EVSE."""

    EVSEMaximumChargePower: RationalNumber  # W
    EVSEMaximumChargePower_L2: RationalNumber | None = None  # W
    EVSEMaximumChargePower_L3: RationalNumber | None = None  # W
    EVSEMinimumChargePower: RationalNumber  # W
    EVSEMinimumChargePower_L2: RationalNumber | None = None  # W
    EVSEMinimumChargePower_L3: RationalNumber | None = None  # W
    EVSENominalFrequency: RationalNumber  # Hz
    MaximumPowerAsymmetry: RationalNumber | None = None  # W
    EVSEPowerRampLimitation: RationalNumber | None = None  # %/min
    EVSEPresentActivePower: RationalNumber | None = None  # W
    EVSEPresentActivePower_L2: RationalNumber | None = None  # W
    EVSEPresentActivePower_L3: RationalNumber | None = None  # W


@element(AC)
class BPT_AC_CPDResEnergyTransferMode(AC_CPDResEnergyTransferMode):
    """Limits of the EVSE in both directions."""

    EVSEMaximumDischargePower: RationalNumber  # W
    EVSEMaximumDischargePower_L2: RationalNumber | None = None  # W
    EVSEMaximumDischargePower_L3: RationalNumber | None = None  # W
    EVSEMinimumDischargePower: RationalNumber  # W
    EVSEMinimumDischargePower_L2: RationalNumber | None = None  # W
    EVSEMinimumDischargePower_L3: RationalNumber | None = None  # W


@element(AC)
class AC_ChargeParameterDiscoveryRes(ChargeParameterDiscoveryRes):
    """The EVSE's limits, in the form of the request."""

    AC_CPDResEnergyTransferMode: Annotated[AC_CPDResEnergyTransferMode, Ref(AC_CPDResEnergyTransferMode)]


# --------------------------------------------------------------------------------------------- charge loop, scheduled


@element(AC)
class Scheduled_AC_CLReqControlMode(Scheduled_CLReqControlMode):
    """Scheduled: present power and the limits in force."""

    EVMaximumChargePower: RationalNumber | None = None  # W
    EVMaximumChargePower_L2: RationalNumber | None = None  # W
    EVMaximumChargePower_L3: RationalNumber | None = None  # W
    EVMinimumChargePower: RationalNumber | None = None  # W
    EVMinimumChargePower_L2: RationalNumber | None = None  # W
    EVMinimumChargePower_L3: RationalNumber | None = None  # W
    EVPresentActivePower: RationalNumber  # W
    EVPresentActivePower_L2: RationalNumber | None = None  # W
    EVPresentActivePower_L3: RationalNumber | None = None  # W
    EVPresentReactivePower: RationalNumber | None = None  # var
    EVPresentReactivePower_L2: RationalNumber | None = None  # var
    EVPresentReactivePower_L3: RationalNumber | None = None  # var


@element(AC)
class BPT_Scheduled_AC_CLReqControlMode(Scheduled_AC_CLReqControlMode):
    """Scheduled, both directions."""

    EVMaximumDischargePower: RationalNumber | None = None  # W
    EVMaximumDischargePower_L2: RationalNumber | None = None  # W
    EVMaximumDischargePower_L3: RationalNumber | None = None  # W
    EVMinimumDischargePower: RationalNumber | None = None  # W
    EVMinimumDischargePower_L2: RationalNumber | None = None  # W
    EVMinimumDischargePower_L3: RationalNumber | None = None  # W


@element(AC)
class Scheduled_AC_CLResControlMode(Scheduled_CLResControlMode):
    """Scheduled: a target within the profile, if the EVSE has one."""

    EVSETargetActivePower: RationalNumber | None = None  # W
    EVSETargetActivePower_L2: RationalNumber | None = None  # W
    EVSETargetActivePower_L3: RationalNumber | None = None  # W
    EVSETargetReactivePower: RationalNumber | None = None  # var
    EVSETargetReactivePower_L2: RationalNumber | None = None  # var
    EVSETargetReactivePower_L3: RationalNumber | None = None  # var
    EVSEPresentActivePower: RationalNumber | None = None  # W
    EVSEPresentActivePower_L2: RationalNumber | None = None  # W
    EVSEPresentActivePower_L3: RationalNumber | None = None  # W


@element(AC)
class BPT_Scheduled_AC_CLResControlMode(Scheduled_AC_CLResControlMode):
    """Scheduled, both directions: the targets may be negative."""


# ----------------------------------------------------------------------------------------------- charge loop, dynamic


@element(AC)
class Dynamic_AC_CLReqControlMode(Dynamic_CLReqControlMode):
    """Dynamic: present power and the limits in force."""

    EVMaximumChargePower: RationalNumber  # W
    EVMaximumChargePower_L2: RationalNumber | None = None  # W
    EVMaximumChargePower_L3: RationalNumber | None = None  # W
    EVMinimumChargePower: RationalNumber  # W
    EVMinimumChargePower_L2: RationalNumber | None = None  # W
    EVMinimumChargePower_L3: RationalNumber | None = None  # W
    EVPresentActivePower: RationalNumber  # W
    EVPresentActivePower_L2: RationalNumber | None = None  # W
    EVPresentActivePower_L3: RationalNumber | None = None  # W
    EVPresentReactivePower: RationalNumber  # var
    EVPresentReactivePower_L2: RationalNumber | None = None  # var
    EVPresentReactivePower_L3: RationalNumber | None = None  # var


@element(AC)
class BPT_Dynamic_AC_CLReqControlMode(Dynamic_AC_CLReqControlMode):
    """Dynamic, both directions; the V2X energies are the distance of the battery from the limits of its cycling
    window."""

    EVMaximumDischargePower: RationalNumber  # W
    EVMaximumDischargePower_L2: RationalNumber | None = None  # W
    EVMaximumDischargePower_L3: RationalNumber | None = None  # W
    EVMinimumDischargePower: RationalNumber  # W
    EVMinimumDischargePower_L2: RationalNumber | None = None  # W
    EVMinimumDischargePower_L3: RationalNumber | None = None  # W
    EVMaximumV2XEnergyRequest: RationalNumber | None = None  # Wh
    EVMinimumV2XEnergyRequest: RationalNumber | None = None  # Wh


@element(AC)
class Dynamic_AC_CLResControlMode(Dynamic_CLResControlMode):
    """Dynamic: the target power of the EV."""

    EVSETargetActivePower: RationalNumber  # W
    EVSETargetActivePower_L2: RationalNumber | None = None  # W
    EVSETargetActivePower_L3: RationalNumber | None = None  # W
    EVSETargetReactivePower: RationalNumber | None = None  # var
    EVSETargetReactivePower_L2: RationalNumber | None = None  # var
    EVSETargetReactivePower_L3: RationalNumber | None = None  # var
    EVSEPresentActivePower: RationalNumber | None = None  # W
    EVSEPresentActivePower_L2: RationalNumber | None = None  # W
    EVSEPresentActivePower_L3: RationalNumber | None = None  # W


@element(AC)
class BPT_Dynamic_AC_CLResControlMode(Dynamic_AC_CLResControlMode):
    """Dynamic, both directions: a negative target discharges."""


# -------------------------------------------------------------------------------------------------------- charge loop


@element(AC)
class AC_ChargeLoopReq(ChargeLoopReq):
    """Present power of the EV and, in its control mode, needs or limits."""

    CLReqControlMode: Annotated[
        Scheduled_AC_CLReqControlMode
        | BPT_Scheduled_AC_CLReqControlMode
        | Dynamic_AC_CLReqControlMode
        | BPT_Dynamic_AC_CLReqControlMode,
        Ref(CLReqControlMode),
    ]


@element(AC)
class AC_ChargeLoopRes(ChargeLoopRes):
    """Target power of the EVSE (negative to discharge), in its control mode; a frequency if the EV is grid-forming."""

    EVSETargetFrequency: RationalNumber | None = None  # Hz
    CLResControlMode: Annotated[
        Scheduled_AC_CLResControlMode
        | BPT_Scheduled_AC_CLResControlMode
        | Dynamic_AC_CLResControlMode
        | BPT_Dynamic_AC_CLResControlMode,
        Ref(CLResControlMode),
    ]
