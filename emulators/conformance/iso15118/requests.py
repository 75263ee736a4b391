"""Requests of an ordinary vehicle in JSON form, from what the session has agreed so far."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from emulators.conformance.iso15118.plain import Plain, find, number
from emulators.conformance.iso15118.profiles import STOP, Profile
from protocols.json_values import items, members

EVCCID_20, EVCCID_MAC = "WMIV1234567890ABCDEX", "02BE6259A18E"
ZERO_20, ZERO = "0000000000000000", "00"
DAY_S = 86_400
BATTERY_WH = 60_000
RENEGOTIATE = "Renegotiate"  # step of ISO 15118-2


@dataclass(slots=True)
class VehicleState:
    """Values of the tester's vehicle, and what the SECC has stated in this session."""

    profile: Profile
    voltage_v: float = 400.0
    max_charge_w: float = 20_000.0
    max_discharge_w: float = 20_000.0
    max_current_a: float = 60.0
    max_voltage_v: float = 450.0
    min_voltage_v: float = 280.0
    target_current_a: float = 10.0
    soc_pct: int = 60
    timestamp: int = 0
    session_id: str = ""
    parameter_set: int = 1
    tuple_id: int = 1
    tuple_power_w: float = 0.0
    inlet_v: float = 0.0

    def learn(self, name: str, fields: Plain) -> None:
        """Take over what later requests refer to."""
        if name == "ServiceDetailRes" and self.profile.protocol == "iso20":
            self.parameter_set = _parameter_set(fields, 2 if self.profile.dynamic else 1)
        elif name == "ScheduleExchangeRes":
            first = find(fields, "Scheduled_SEResControlMode.ScheduleTuple.0")
            self.tuple_id = integer(members(first).get("ScheduleTupleID"), 1)
            entry = find(first, "ChargingSchedule.PowerSchedule.PowerScheduleEntries.PowerScheduleEntry.0.Power")
            self.tuple_power_w = number(entry) if entry is not None else 0.0
        elif name == "ChargeParameterDiscoveryRes":
            self.tuple_id = integer(find(fields, "SAScheduleList.SAScheduleTuple.0.SAScheduleTupleID"), 1)
        elif name in ("DC_PreChargeRes", "PreChargeRes"):
            self.inlet_v = number(fields.get("EVSEPresentVoltage"))


def _parameter_set(fields: Plain, control: int) -> int:
    """Return the first set with the control mode and needs stated by the EV; else the first with the mode."""
    found: dict[int, int] = {}
    for one in items(find(fields, "ServiceParameterList.ParameterSet")):
        values = {str(members(p).get("Name")): members(p).get("intValue") for p in items(members(one).get("Parameter"))}
        if values.get("ControlMode") == control:
            found.setdefault(
                1 if values.get("MobilityNeedsMode", 1) == 1 else 2, integer(find(one, "ParameterSetID"), 1)
            )
    return (
        found[min(found)] if found else integer(find(fields, "ServiceParameterList.ParameterSet.0.ParameterSetID"), 1)
    )


def integer(value: object, default: int) -> int:
    """Return a value of the device as an integer; the default for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def rational(value: float) -> Plain:
    """Return a RationalNumber."""
    for exponent in range(-1, 6):
        scaled = round(value / 10.0**exponent)
        if abs(scaled) <= 32767:
            return {"Exponent": exponent, "Value": scaled}
    raise ValueError(f"{value} is too large")


def physical(value: float, unit: str) -> Plain:
    """Return a PhysicalValue."""
    for multiplier in range(-1, 4):
        scaled = round(value / 10.0**multiplier)
        if abs(scaled) <= 32767:
            return {"Multiplier": multiplier, "Unit": unit, "Value": scaled}
    raise ValueError(f"{value} is too large")


def build(step: str, state: VehicleState) -> tuple[str, Plain]:
    """Return name and fields of the request of a step."""
    name = "PowerDeliveryReq" if step in (STOP, RENEGOTIATE) else step
    table = _ISO20 if state.profile.protocol == "iso20" else _OLDER
    make = table.get(step)
    return name, make(state) if make is not None else {}


# ISO 15118-20 --------------------------------------------------------------------------------------------------------


def _needs(state: VehicleState, v2x: bool = True) -> Plain:
    def to(goal: float) -> Plain:
        return rational((goal - state.soc_pct) / 100 * BATTERY_WH)

    needs: Plain = {
        "EVTargetEnergyRequest": to(80),
        "EVMaximumEnergyRequest": to(100),
        "EVMinimumEnergyRequest": to(20),
    }
    if v2x:
        needs |= {"EVMaximumV2XEnergyRequest": to(95), "EVMinimumV2XEnergyRequest": to(25)}
    return needs


def _dc_limits(state: VehicleState, *, loop: bool) -> Plain:
    limits: Plain = {
        "EVMaximumChargePower": rational(state.max_charge_w),
        "EVMinimumChargePower": rational(0),
        "EVMaximumChargeCurrent": rational(state.max_current_a),
        "EVMinimumChargeCurrent": rational(0),
        "EVMaximumVoltage": rational(state.max_voltage_v),
        "EVMinimumVoltage": rational(state.min_voltage_v),
    }
    if loop:
        del limits["EVMinimumChargeCurrent"]
    if state.profile.bpt:
        limits |= {
            "EVMaximumDischargePower": rational(state.max_discharge_w),
            "EVMinimumDischargePower": rational(0),
            "EVMaximumDischargeCurrent": rational(state.max_current_a),
        }
        if not loop:
            limits["EVMinimumDischargeCurrent"] = rational(0)
    return limits


def _ac_limits(state: VehicleState) -> Plain:
    limits: Plain = {
        "EVMaximumChargePower": rational(min(state.max_charge_w, 11_000)),
        "EVMinimumChargePower": rational(1_400),
    }
    if state.profile.bpt:
        limits |= {
            "EVMaximumDischargePower": rational(min(state.max_discharge_w, 11_000)),
            "EVMinimumDischargePower": rational(1_400),
        }
    return limits


def _discovery(state: VehicleState) -> Plain:
    bpt = "BPT_" if state.profile.bpt else ""
    if state.profile.dc:
        return {f"{bpt}DC_CPDReqEnergyTransferMode": _dc_limits(state, loop=False)}
    return {f"{bpt}AC_CPDReqEnergyTransferMode": _ac_limits(state)}


def _schedule(state: VehicleState) -> Plain:
    if not state.profile.dynamic:
        return {"MaximumSupportingPoints": 1024, "Scheduled_SEReqControlMode": _needs(state, v2x=False)}
    mode = {"DepartureTime": DAY_S, "MinimumSOC": 20, "TargetSOC": 80, **_needs(state, state.profile.bpt)}
    return {"MaximumSupportingPoints": 1024, "Dynamic_SEReqControlMode": mode}


def _power_start(state: VehicleState) -> Plain:
    mode: Plain = {"Dynamic_EVPPTControlMode": {}}
    power = min(state.max_charge_w, 11_000)
    if not state.profile.dynamic:
        accepted = "PowerToleranceConfirmed"  # some stations require the optional field
        selected = {"SelectedScheduleTupleID": state.tuple_id, "PowerToleranceAcceptance": accepted}
        mode = {"Scheduled_EVPPTControlMode": selected}
        power = min(power, max(state.tuple_power_w, 0.0))
    entries = {"EVPowerProfileEntry": [{"Duration": DAY_S, "Power": rational(power)}]}
    channel: Plain = {"BPT_ChannelSelection": "Charge"} if state.profile.bpt else {}
    profile = {"TimeAnchor": state.timestamp, **mode, "EVPowerProfileEntries": entries}
    return {"EVProcessing": "Finished", "ChargeProgress": "Start", "EVPowerProfile": profile, **channel}


def _loop(state: VehicleState) -> Plain:
    kind = "DC" if state.profile.dc else "AC"
    bpt = "BPT_" if state.profile.bpt else ""
    control = "Dynamic" if state.profile.dynamic else "Scheduled"
    mode: Plain = {}
    if state.profile.dynamic:
        mode |= _needs(state, v2x=False)
    if state.profile.dc:
        if not state.profile.dynamic:
            offered_a = max(state.tuple_power_w, 0.0) / state.voltage_v
            mode |= {
                "EVTargetCurrent": rational(min(state.target_current_a, offered_a)),
                "EVTargetVoltage": rational(state.max_voltage_v),
            }
        mode |= _dc_limits(state, loop=True)
    else:
        mode |= _ac_limits(state) | {"EVPresentActivePower": rational(0)}
        mode |= {"EVPresentReactivePower": rational(0)} if state.profile.dynamic else {}
    if state.profile.dynamic and state.profile.bpt:
        needs = _needs(state)
        mode |= {name: needs[name] for name in ("EVMaximumV2XEnergyRequest", "EVMinimumV2XEnergyRequest")}
    voltage: Plain = {"EVPresentVoltage": rational(state.voltage_v)} if state.profile.dc else {}
    return {"MeterInfoRequested": True, **voltage, f"{bpt}{control}_{kind}_CLReqControlMode": mode}


_ISO20: dict[str, Callable[[VehicleState], Plain]] = {
    "SessionSetupReq": lambda s: {"EVCCID": EVCCID_20},
    "AuthorizationReq": lambda s: {"SelectedAuthorizationService": "EIM", "EIM_AReqAuthorizationMode": {}},
    "ServiceDetailReq": lambda s: {"ServiceID": s.profile.service},
    "ServiceSelectionReq": lambda s: {
        "SelectedEnergyTransferService": {"ServiceID": s.profile.service, "ParameterSetID": s.parameter_set}
    },
    "DC_ChargeParameterDiscoveryReq": _discovery,
    "AC_ChargeParameterDiscoveryReq": _discovery,
    "ScheduleExchangeReq": _schedule,
    "DC_PreChargeReq": lambda s: {
        "EVProcessing": "Finished" if abs(s.inlet_v - s.voltage_v) <= 20 else "Ongoing",
        "EVPresentVoltage": rational(s.inlet_v),
        "EVTargetVoltage": rational(s.voltage_v),
    },
    "PowerDeliveryReq": _power_start,
    "DC_ChargeLoopReq": _loop,
    "AC_ChargeLoopReq": _loop,
    STOP: lambda s: {"EVProcessing": "Finished", "ChargeProgress": "Stop"},
    "DC_WeldingDetectionReq": lambda s: {"EVProcessing": "Finished"},
    "SessionStopReq": lambda s: {"ChargingSession": "Terminate"},
}


# ISO 15118-2 and DIN SPEC 70121 --------------------------------------------------------------------------------------


def _status(state: VehicleState) -> Plain:
    return {"EVReady": True, "EVErrorCode": "NO_ERROR", "EVRESSSOC": state.soc_pct}


def _selection(state: VehicleState) -> Plain:
    return {
        "SelectedPaymentOption": "ExternalPayment",
        "SelectedServiceList": {"SelectedService": [{"ServiceID": 1}]},
    }


def _parameters(state: VehicleState) -> Plain:
    din = state.profile.protocol == "din"
    mode = "EVRequestedEnergyTransferType" if din else "RequestedEnergyTransferMode"
    if not state.profile.dc:
        ac = {
            "DepartureTime": DAY_S,
            "EAmount": physical(20_000, "Wh"),
            "EVMaxVoltage": physical(400, "V"),
            "EVMaxCurrent": physical(16, "A"),
            "EVMinCurrent": physical(6, "A"),
        }
        return {mode: "AC_three_phase_core", "AC_EVChargeParameter": ac}
    return {
        mode: "DC_extended",
        "DC_EVChargeParameter": {
            "DC_EVStatus": _status(state),
            "EVMaximumCurrentLimit": physical(state.max_current_a, "A"),
            "EVMaximumPowerLimit": physical(state.max_charge_w, "W"),
            "EVMaximumVoltageLimit": physical(state.max_voltage_v, "V"),
            "EVEnergyCapacity": physical(BATTERY_WH, "Wh"),
            "EVEnergyRequest": physical(12_000, "Wh"),
            "FullSOC": 100,
            "BulkSOC": 80,
        },
    }


def _delivery(progress: str) -> Callable[[VehicleState], Plain]:
    def build_delivery(state: VehicleState) -> Plain:
        parameter: Plain = {"DC_EVStatus": _status(state), "ChargingComplete": progress == "Stop"}
        dc: Plain = {"DC_EVPowerDeliveryParameter": parameter} if state.profile.dc else {}
        if state.profile.protocol == "din":
            return {"ReadyToChargeState": progress == "Start", **dc}
        return {"ChargeProgress": progress, "SAScheduleTupleID": state.tuple_id, **dc}

    return build_delivery


def _demand(state: VehicleState) -> Plain:
    return {
        "DC_EVStatus": _status(state),
        "EVTargetCurrent": physical(state.target_current_a, "A"),
        "EVMaximumVoltageLimit": physical(state.max_voltage_v, "V"),
        "EVMaximumCurrentLimit": physical(state.max_current_a, "A"),
        "EVMaximumPowerLimit": physical(state.max_charge_w, "W"),
        "ChargingComplete": False,
        "EVTargetVoltage": physical(state.max_voltage_v, "V"),
    }


_OLDER: dict[str, Callable[[VehicleState], Plain]] = {
    "SessionSetupReq": lambda s: {"EVCCID": EVCCID_MAC},
    "PaymentServiceSelectionReq": _selection,
    "ServicePaymentSelectionReq": _selection,
    "ServiceDetailReq": lambda s: {"ServiceID": 1},
    "ChargeParameterDiscoveryReq": _parameters,
    "CableCheckReq": lambda s: {"DC_EVStatus": _status(s)},
    "PreChargeReq": lambda s: {
        "DC_EVStatus": _status(s),
        "EVTargetVoltage": physical(s.voltage_v, "V"),
        "EVTargetCurrent": physical(1, "A"),
    },
    "PowerDeliveryReq": _delivery("Start"),
    "CurrentDemandReq": _demand,
    STOP: _delivery("Stop"),
    RENEGOTIATE: _delivery("Renegotiate"),
    "WeldingDetectionReq": lambda s: {"DC_EVStatus": _status(s)},
    "SessionStopReq": lambda s: {} if s.profile.protocol == "din" else {"ChargingSession": "Terminate"},
}
