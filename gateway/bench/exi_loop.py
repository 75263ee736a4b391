"""Charge loop pair of `v2x bench exi`; a separate module because its cold start is measured, too."""

from __future__ import annotations

import random

from protocols.iso15118.iso20 import dc
from protocols.iso15118.iso20.types import (
    DisplayParameters,
    EVSENotification,
    EVSEStatus,
    MessageHeader,
    MeterInfo,
    RationalNumber,
    ResponseCode,
)

HEADER = MessageHeader(SessionID=bytes(range(1, 9)), TimeStamp=1_725_456_333)
RANDOM = random.Random(15118)


def number(exponent: int, value: int) -> RationalNumber:
    """Return the value as mantissa and exponent."""
    return RationalNumber(Exponent=exponent, Value=value)


def any_number() -> RationalNumber:
    """Return a new number."""
    return number(RANDOM.randint(-3, 3), RANDOM.randint(-32_768, 32_767))


def loop_request(vary: bool = False) -> dc.DC_ChargeLoopReq:
    """Return a dynamic bidirectional charge loop request with display parameters; `vary` changes all its numbers."""

    def n(exponent: int, value: int) -> RationalNumber:
        return any_number() if vary else number(exponent, value)

    mode = dc.BPT_Dynamic_DC_CLReqControlMode(
        DepartureTime=7200,
        EVTargetEnergyRequest=n(1, 2500),
        EVMaximumEnergyRequest=n(1, 4500),
        EVMinimumEnergyRequest=n(1, -1500),
        EVMaximumChargePower=n(1, 1100),
        EVMinimumChargePower=n(0, 100),
        EVMaximumChargeCurrent=n(0, 125),
        EVMaximumVoltage=n(0, 460),
        EVMinimumVoltage=n(0, 250),
        EVMaximumDischargePower=n(1, 1100),
        EVMinimumDischargePower=n(0, 100),
        EVMaximumDischargeCurrent=n(0, 125),
        EVMaximumV2XEnergyRequest=n(1, 3500),
        EVMinimumV2XEnergyRequest=n(1, -1000),
    )
    return dc.DC_ChargeLoopReq(
        Header=HEADER,
        DisplayParameters=DisplayParameters(PresentSOC=55, TargetSOC=80, ChargingComplete=False),
        MeterInfoRequested=True,
        EVPresentVoltage=n(-1, 4023),
        CLReqControlMode=mode,
    )


def loop_response() -> dc.DC_ChargeLoopRes:
    """Return the response, with a notification and a meter reading."""
    mode = dc.BPT_Dynamic_DC_CLResControlMode(
        DepartureTime=7200,
        MinimumSOC=30,
        TargetSOC=80,
        AckMaxDelay=30,
        EVSEMaximumChargePower=number(1, 1100),
        EVSEMinimumChargePower=number(0, 100),
        EVSEMaximumChargeCurrent=number(0, 125),
        EVSEMaximumVoltage=number(0, 920),
        EVSEMaximumDischargePower=number(1, 1100),
        EVSEMinimumDischargePower=number(0, 100),
        EVSEMaximumDischargeCurrent=number(0, 125),
        EVSEMinimumVoltage=number(0, 150),
    )
    meter = MeterInfo(MeterID="METER-0042", ChargedEnergyReadingWh=123_456, BPT_DischargedEnergyReadingWh=7890)
    return dc.DC_ChargeLoopRes(
        Header=HEADER,
        ResponseCode=ResponseCode.OK,
        EVSEStatus=EVSEStatus(NotificationMaxDelay=0, EVSENotification=EVSENotification.ScheduleRenegotiation),
        MeterInfo=meter,
        EVSEPresentCurrent=number(-1, -253),
        EVSEPresentVoltage=number(-1, 4023),
        EVSEPowerLimitAchieved=False,
        EVSECurrentLimitAchieved=True,
        EVSEVoltageLimitAchieved=False,
        CLResControlMode=mode,
    )
