"""Responses of an ordinary charging station in JSON form, from what the vehicle has requested so far."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from emulators.conformance.iso15118.plain import Plain, number
from emulators.conformance.iso15118.profiles import Profile
from emulators.conformance.iso15118.requests import DAY_S, integer, physical, rational
from protocols.json_values import members

EVSE_ID = "DE8AAE00001"
MAX_W, MAX_A, MAX_V, MIN_V = 20_000.0, 60.0, 1_000.0, 150.0


@dataclass(slots=True)
class StationState:
    """Values of the tester's station, and what the EV has stated in this session."""

    profile: Profile
    session_id: str
    timestamp: int = 0
    voltage_v: float = 0.0
    current_a: float = 0.0
    target_w: float = 0.0

    def learn(self, name: str, fields: Plain) -> None:
        """Take over what later responses refer to."""
        if name in ("DC_PreChargeReq", "PreChargeReq"):
            self.voltage_v = number(fields.get("EVTargetVoltage"))
        elif name in ("DC_WeldingDetectionReq", "WeldingDetectionReq"):
            self.voltage_v = self.current_a = 0.0


def build(name: str, fields: Plain, state: StationState) -> Plain:
    """Return the fields of the response to a request."""
    table = _ISO20 if state.profile.protocol == "iso20" else _OLDER
    make = table.get(name)
    return {"ResponseCode": "OK", **(make(fields, state) if make is not None else {})}


# ISO 15118-20 --------------------------------------------------------------------------------------------------------


def _parameters(state: StationState) -> list[Plain]:
    profile = state.profile
    values = {"Connector": 2 if profile.dc else 3, "ControlMode": 2 if profile.dynamic else 1}
    values |= {} if profile.dc else {"EVSENominalVoltage": 230}
    values |= {"MobilityNeedsMode": 1, "Pricing": 0}
    values |= {"BPTChannel": 1, "GeneratorMode": 1} if profile.bpt else {}
    values |= {"GridCodeIslandingDetectionMethod": 2} if profile.bpt and not profile.dc else {}
    return [{"Name": name, "intValue": value} for name, value in values.items()]


def _discovery(fields: Plain, state: StationState) -> Plain:
    if not state.profile.dc:
        limits: Plain = {
            "EVSEMaximumChargePower": rational(11_000),
            "EVSEMinimumChargePower": rational(0),
            "EVSENominalFrequency": rational(50),
        }
        if state.profile.bpt:
            limits |= {"EVSEMaximumDischargePower": rational(11_000), "EVSEMinimumDischargePower": rational(0)}
        return {f"{'BPT_' if state.profile.bpt else ''}AC_CPDResEnergyTransferMode": limits}
    limits = _limits("Charge") | {"EVSEMaximumVoltage": rational(MAX_V), "EVSEMinimumVoltage": rational(MIN_V)}
    limits |= _limits("Discharge") if state.profile.bpt else {}
    return {f"{'BPT_' if state.profile.bpt else ''}DC_CPDResEnergyTransferMode": limits}


def _limits(direction: str) -> Plain:
    return {
        f"EVSEMaximum{direction}Power": rational(MAX_W),
        f"EVSEMinimum{direction}Power": rational(0),
        f"EVSEMaximum{direction}Current": rational(MAX_A),
        f"EVSEMinimum{direction}Current": rational(0),
    }


def _schedule(fields: Plain, state: StationState) -> Plain:
    if state.profile.dynamic:
        return {"EVSEProcessing": "Finished", "Dynamic_SEResControlMode": {}}
    power = {
        "TimeAnchor": state.timestamp,
        "PowerScheduleEntries": {"PowerScheduleEntry": [{"Duration": DAY_S, "Power": rational(MAX_W)}]},
    }
    levels = {
        "TimeAnchor": state.timestamp,
        "PriceScheduleID": 1,
        "NumberOfPriceLevels": 1,
        "PriceLevelScheduleEntries": {"PriceLevelScheduleEntry": [{"Duration": DAY_S, "PriceLevel": 0}]},
    }
    one = {"ScheduleTupleID": 1, "ChargingSchedule": {"PowerSchedule": power, "PriceLevelSchedule": levels}}
    return {"EVSEProcessing": "Finished", "Scheduled_SEResControlMode": {"ScheduleTuple": [one]}}


def _dc_loop(fields: Plain, state: StationState) -> Plain:
    bpt = "BPT_" if state.profile.bpt else ""
    mode: Plain = {
        "EVSEMaximumChargePower": rational(MAX_W),
        "EVSEMinimumChargePower": rational(0),
        "EVSEMaximumChargeCurrent": rational(MAX_A),
        "EVSEMaximumVoltage": rational(MAX_V),
    }
    if state.profile.bpt:
        mode |= {
            "EVSEMaximumDischargePower": rational(MAX_W),
            "EVSEMinimumDischargePower": rational(0),
            "EVSEMaximumDischargeCurrent": rational(MAX_A),
            "EVSEMinimumVoltage": rational(MIN_V),
        }
    control = "Dynamic" if state.profile.dynamic else "Scheduled"
    return {
        "EVSEPresentCurrent": rational(state.current_a),
        "EVSEPresentVoltage": rational(state.voltage_v),
        "EVSEPowerLimitAchieved": False,
        "EVSECurrentLimitAchieved": False,
        "EVSEVoltageLimitAchieved": False,
        f"{bpt}{control}_DC_CLResControlMode": mode,
    }


def _ac_loop(fields: Plain, state: StationState) -> Plain:
    bpt = "BPT_" if state.profile.bpt else ""
    control = "Dynamic" if state.profile.dynamic else "Scheduled"
    target = {"EVSETargetActivePower": rational(state.target_w)}
    return {f"{bpt}{control}_AC_CLResControlMode": target if state.profile.dynamic else {}}


_FINISHED: Callable[[Plain, StationState], Plain] = lambda f, s: {"EVSEProcessing": "Finished"}  # noqa: E731
_ISO20: dict[str, Callable[[Plain, StationState], Plain]] = {
    "SessionSetupReq": lambda f, s: {"ResponseCode": "OK_NewSessionEstablished", "EVSEID": EVSE_ID},
    "AuthorizationSetupReq": lambda f, s: {
        "AuthorizationServices": ["EIM"],
        "CertificateInstallationService": False,
        "EIM_ASResAuthorizationMode": {},
    },
    "AuthorizationReq": _FINISHED,
    "ServiceDiscoveryReq": lambda f, s: {
        "ServiceRenegotiationSupported": True,
        "EnergyTransferServiceList": {"Service": [{"ServiceID": s.profile.service, "FreeService": True}]},
    },
    "ServiceDetailReq": lambda f, s: {
        "ServiceID": integer(f.get("ServiceID"), 0),
        "ServiceParameterList": {"ParameterSet": [{"ParameterSetID": 4, "Parameter": _parameters(s)}]},
    },
    "DC_ChargeParameterDiscoveryReq": _discovery,
    "AC_ChargeParameterDiscoveryReq": _discovery,
    "ScheduleExchangeReq": _schedule,
    "DC_CableCheckReq": _FINISHED,
    "DC_PreChargeReq": lambda f, s: {"EVSEPresentVoltage": rational(s.voltage_v)},
    "DC_ChargeLoopReq": _dc_loop,
    "AC_ChargeLoopReq": _ac_loop,
    "DC_WeldingDetectionReq": lambda f, s: {"EVSEPresentVoltage": rational(0)},
}


# ISO 15118-2 and DIN SPEC 70121 --------------------------------------------------------------------------------------


def _status(state: StationState, isolation: str = "Valid", code: str = "EVSE_Ready") -> Plain:
    status: Plain = {"NotificationMaxDelay": 0, "EVSENotification": "None"}
    if not state.profile.dc:
        return {"AC_EVSEStatus": {**status, "RCD": False}}
    return {"DC_EVSEStatus": {**status, "EVSEIsolationStatus": isolation, "EVSEStatusCode": code}}


def _services(fields: Plain, state: StationState) -> Plain:
    if state.profile.protocol == "din":
        tag = {"ServiceID": 1, "ServiceCategory": "EVCharging"}
        service = {"ServiceTag": tag, "FreeService": True, "EnergyTransferType": "DC_extended"}
        return {"PaymentOptions": {"PaymentOption": ["ExternalPayment"]}, "ChargeService": service}
    modes = ["DC_extended", "DC_core"] if state.profile.dc else ["AC_three_phase_core", "AC_single_phase_core"]
    return {
        "PaymentOptionList": {"PaymentOption": ["ExternalPayment"]},
        "ChargeService": {
            "ServiceID": 1,
            "ServiceCategory": "EVCharging",
            "FreeService": True,
            "SupportedEnergyTransferMode": {"EnergyTransferMode": modes},
        },
    }


def _charge_parameters(fields: Plain, state: StationState) -> Plain:
    din = state.profile.protocol == "din"
    entry = {
        "RelativeTimeInterval": {"start": 0, "duration": DAY_S},
        "PMax": int(MAX_W) if din else physical(MAX_W, "W"),
    }
    schedule: Plain = {"PMaxScheduleID": 1} if din else {}
    one = {"SAScheduleTupleID": 1, "PMaxSchedule": {**schedule, "PMaxScheduleEntry": [entry]}}
    common: Plain = {"EVSEProcessing": "Finished", "SAScheduleList": {"SAScheduleTuple": [one]}}
    if not state.profile.dc:
        ac = {**_status(state), "EVSENominalVoltage": physical(230, "V"), "EVSEMaxCurrent": physical(32, "A")}
        return {**common, "AC_EVSEChargeParameter": ac}
    return {
        **common,
        "DC_EVSEChargeParameter": {
            **_status(state, "Invalid"),
            "EVSEMaximumCurrentLimit": physical(MAX_A, "A"),
            "EVSEMaximumPowerLimit": physical(MAX_W, "W"),
            "EVSEMaximumVoltageLimit": physical(MAX_V, "V"),
            "EVSEMinimumCurrentLimit": physical(0, "A"),
            "EVSEMinimumVoltageLimit": physical(MIN_V, "V"),
            "EVSEPeakCurrentRipple": physical(1, "A"),
        },
    }


def _demand(fields: Plain, state: StationState) -> Plain:
    response: Plain = {
        **_status(state),
        "EVSEPresentVoltage": physical(state.voltage_v, "V"),
        "EVSEPresentCurrent": physical(state.current_a, "A"),
        "EVSECurrentLimitAchieved": False,
        "EVSEVoltageLimitAchieved": False,
        "EVSEPowerLimitAchieved": False,
        "EVSEMaximumVoltageLimit": physical(MAX_V, "V"),
        "EVSEMaximumCurrentLimit": physical(MAX_A, "A"),
        "EVSEMaximumPowerLimit": physical(MAX_W, "W"),
    }
    if state.profile.protocol == "iso2":
        response |= {"EVSEID": EVSE_ID, "SAScheduleTupleID": 1, "ReceiptRequired": False}
    return response


def _setup(fields: Plain, state: StationState) -> Plain:
    evse = "00" if state.profile.protocol == "din" else EVSE_ID
    return {"ResponseCode": "OK_NewSessionEstablished", "EVSEID": evse}


_OLDER: dict[str, Callable[[Plain, StationState], Plain]] = {
    "SessionSetupReq": _setup,
    "ServiceDiscoveryReq": _services,
    "ServiceDetailReq": lambda f, s: {"ServiceID": integer(members(f).get("ServiceID"), 1)},
    "AuthorizationReq": _FINISHED,
    "ContractAuthenticationReq": _FINISHED,
    "ChargeParameterDiscoveryReq": _charge_parameters,
    "CableCheckReq": lambda f, s: {**_status(s), "EVSEProcessing": "Finished"},
    "PreChargeReq": lambda f, s: {**_status(s), "EVSEPresentVoltage": physical(s.voltage_v, "V")},
    "PowerDeliveryReq": lambda f, s: _status(s),
    "CurrentDemandReq": _demand,
    "ChargingStatusReq": lambda f, s: {
        "EVSEID": EVSE_ID,
        "SAScheduleTupleID": 1,
        "ReceiptRequired": False,
        **_status(s),
    },
    "WeldingDetectionReq": lambda f, s: {**_status(s), "EVSEPresentVoltage": physical(0, "V")},
}
