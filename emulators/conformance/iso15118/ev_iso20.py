"""Cases for an EV: ISO 15118-20."""

from __future__ import annotations

from emulators.conformance.case import Requirement, expect
from emulators.conformance.iso15118.ev_access import EvAccess
from emulators.conformance.iso15118.ev_procedures import (
    Changes,
    Check,
    EvCase,
    Procedure,
    ended,
    ends_after,
    ev_case,
    looping,
    reacts,
    repeated,
    requested,
    silent_response,
    until,
)
from emulators.conformance.iso15118.mutation import Mutant, alters, delays, stays_open
from emulators.conformance.iso15118.plain import ABSENT, Plain, find, number
from emulators.conformance.iso15118.profiles import AC_BPT, DC_20, DC_BPT, DC_BPT_SCHEDULED, STOP, Profile
from emulators.conformance.iso15118.requests import ZERO_20, rational
from emulators.conformance.iso15118.responses import MAX_A
from emulators.conformance.iso15118.secc_procedures import ISO2, ISO20
from emulators.conformance.iso15118.station import SESSION_ID_20
from emulators.conformance.iso15118.vehicle import total
from protocols.json_values import members

SETUP, SERVICES, PARAMETERS, LOOP, REACTIONS, TIMERS = (
    "ISO 15118-20: handshake, session, authorization",
    "ISO 15118-20: services",
    "ISO 15118-20: parameters, schedules, start of power",
    "ISO 15118-20: charge loop",
    "ISO 15118-20: notifications, errors, end",
    "ISO 15118-20: timers",
)
OTHER_ID = "0123456789ABCDEF"
BPT_DC, BPT_AC = "BPT_DC_CPDReqEnergyTransferMode", "BPT_AC_CPDReqEnergyTransferMode"
LOOP_DC, LOOP_AC = "BPT_Dynamic_DC_CLReqControlMode", "BPT_Dynamic_AC_CLReqControlMode"
SCHEDULED_DC = "BPT_Scheduled_DC_CLReqControlMode"
CPD, AC_CPD = "DC_ChargeParameterDiscoveryReq", "AC_ChargeParameterDiscoveryReq"
DYNAMIC = "Dynamic_SEReqControlMode"
ONGOING: Plain = {"EVSEProcessing": "Ongoing"}
FAILED: Plain = {"ResponseCode": "FAILED"}
LOOP_WITHIN_S, MATCHED_V = 0.5, 20.0


def _case(
    id: str,
    reference: str,
    rule: str,
    feature: str,
    procedure: Procedure,
    *mutants: Mutant,
    profile: Profile = DC_BPT,
    stimulus: str,
    expectation: str,
    tags: tuple[str, ...] = ("nominal",),
    requires: tuple[str, ...] = (),
    standard: str = ISO20,
) -> EvCase:
    return ev_case(
        f"EV-20-{id}",
        Requirement(standard, reference, rule),
        feature,
        procedure,
        *mutants,
        profile=profile,
        stimulus=stimulus,
        expectation=expectation,
        tags=tags,
        requires=requires,
    )


# handshake, session, authorization -----------------------------------------------------------------------------------


async def _unique_priorities(device: EvAccess) -> None:
    station = await device.station(DC_BPT)
    await station.handshake()
    given = [number(one.get("Priority")) for one in station.offered]
    expect(len(set(given)) == len(given) and all(1 <= one <= 20 for one in given), f"priorities are {given}")


async def _unique_schemas(device: EvAccess) -> None:
    station = await device.station(DC_BPT)
    await station.handshake()
    given = [number(one.get("SchemaID")) for one in station.offered]
    expect(len(set(given)) == len(given), f"SchemaIDs are {given}")


async def _version(device: EvAccess) -> None:
    station = await device.station(DC_BPT)
    await station.handshake()
    mine = [one for one in station.offered if one.get("ProtocolNamespace") == DC_BPT.namespace]
    expect(number(mine[0].get("VersionNumberMajor")) == 1, f"the major version is {mine[0].get('VersionNumberMajor')}")


async def _no_negotiation(device: EvAccess) -> None:
    station = await device.station(DC_BPT)
    await station.handshake("Failed_NoNegotiation")
    await ended(station)


async def _zero_id(device: EvAccess) -> None:
    station = await device.station(DC_BPT)
    request = await station.reach("SessionSetupReq")
    expect(request.session_id == ZERO_20, f"the session id is {request.session_id}")
    await station.finish()


async def _keeps_id(device: EvAccess) -> None:
    station = await looping(device, DC_BPT)
    own = station.state.session_id
    for request in station.history:
        if request.name not in ("supportedAppProtocolReq", "SessionSetupReq"):
            expect(request.session_id == own, f"{request.name} has the session id {request.session_id}, not {own}")
    await station.finish()


async def _timestamps(device: EvAccess) -> None:
    station = await device.station(DC_BPT)
    request = await station.reach("ServiceDiscoveryReq")
    stamp = number(find(request.plain, "ServiceDiscoveryReq.Header.TimeStamp"))
    expect(1.5e9 < stamp < 4.2e9, f"TimeStamp is {stamp:.0f}")
    await station.finish()


async def _other_session(device: EvAccess) -> None:
    station = await device.station(DC_BPT)
    request = await station.reach("ServiceDiscoveryReq")
    await station.answer(request, session_id=OTHER_ID)
    await ended(station)


def _first_path(fields: Plain) -> str:
    return "" if fields.get("SelectedAuthorizationService") == "EIM" else "another service than EIM is selected"


async def _refused_authorization(device: EvAccess) -> None:
    station = await device.station(DC_BPT)
    request = await station.reach("AuthorizationReq")
    await station.answer(request, {"ResponseCode": "WARNING_EIMAuthorizationFailure"})
    request_or_none = await station.receive(5.0)
    name = "" if request_or_none is None else request_or_none.name
    expect(name in ("", "AuthorizationReq", "SessionStopReq"), f"the EV goes on with {name}")


SETUP_CASES = (
    _case(
        "SAP-01",
        "8.2.2",
        "the priorities of the offered protocols are 1 to 20 and unique",
        SETUP,
        _unique_priorities,
        Mutant(
            text="two protocols of the same priority",
            message="supportedAppProtocolReq",
            rewrite=lambda f: {"AppProtocol": _twice(f, SchemaID=9)},
        ),
        stimulus="supportedAppProtocolReq",
        expectation="unique priorities",
        standard=ISO2,
    ),
    _case(
        "SAP-02",
        "8.2.2",
        "the SchemaIDs of the offered protocols are unique",
        SETUP,
        _unique_schemas,
        Mutant(
            text="two protocols of the same SchemaID",
            message="supportedAppProtocolReq",
            rewrite=lambda f: {"AppProtocol": _twice(f, Priority=9)},
        ),
        stimulus="supportedAppProtocolReq",
        expectation="unique SchemaIDs",
        standard=ISO2,
    ),
    _case(
        "SAP-03",
        "8.2.2",
        "ISO 15118-20 is offered with the major version 1",
        SETUP,
        _version,
        alters("supportedAppProtocolReq", {"AppProtocol.0.VersionNumberMajor": 2}),
        stimulus="supportedAppProtocolReq",
        expectation="VersionNumberMajor 1",
    ),
    _case(
        "SAP-04",
        "8.2.3",
        "after Failed_NoNegotiation the EV ends the connection",
        SETUP,
        _no_negotiation,
        stays_open(),
        stimulus="supportedAppProtocolRes with Failed_NoNegotiation",
        expectation="no further request, the connection is closed within 5 s",
        tags=("negative", "errors"),
        standard=ISO2,
    ),
    _case(
        "SES-01",
        "8.3.4.3.1.1",
        "a new session is requested with the session id zero",
        SETUP,
        _zero_id,
        Mutant(text="another id than zero", message="SessionSetupReq", header={"SessionID": OTHER_ID}),
        stimulus="SessionSetupReq",
        expectation="eight bytes of zero",
    ),
    _case(
        "SES-02",
        "8.3.3",
        "every request carries the id of the session",
        SETUP,
        _keeps_id,
        Mutant(text="another id in a request", message="ScheduleExchangeReq", header={"SessionID": OTHER_ID}),
        stimulus="a session up to the charge loop",
        expectation="the id of SessionSetupRes",
    ),
    _case(
        "SES-03",
        "8.3.4.3.1.1",
        "SessionSetupReq states the EVCCID",
        SETUP,
        requested(DC_BPT, "SessionSetupReq", lambda f: "" if str(f.get("EVCCID", "")).strip() else "EVCCID is empty"),
        alters("SessionSetupReq", EVCCID=""),
        stimulus="SessionSetupReq",
        expectation="an EVCCID",
    ),
    _case(
        "SES-04",
        "8.3.3",
        "TimeStamp is Unix time in seconds",
        SETUP,
        _timestamps,
        Mutant(text="milliseconds", message="ServiceDiscoveryReq", header={"TimeStamp": 1_770_000_000_000}),
        stimulus="ServiceDiscoveryReq",
        expectation="a time between the years 2017 and 2103",
    ),
    _case(
        "SES-05",
        "8.3.4.3.1.2",
        "a response with another session id ends the session",
        SETUP,
        _other_session,
        Mutant(
            text="the session id of responses is not verified",
            received="ServiceDiscoveryRes",
            received_rewrite=lambda f: {**f, "Header": {**members(f.get("Header")), "SessionID": SESSION_ID_20}},
        ),
        stimulus="ServiceDiscoveryRes with another session id",
        expectation="no further request, the connection is closed within 5 s",
        tags=("negative", "errors"),
    ),
    _case(
        "AUT-01",
        "8.3.4.3.3.1",
        "the EV selects an authorization service that is offered",
        SETUP,
        requested(DC_BPT, "AuthorizationReq", _first_path),
        Mutant(
            text="PnC, which is not offered",
            message="AuthorizationReq",
            rewrite=lambda f: {
                "Header": f["Header"],
                "SelectedAuthorizationService": "PnC",
                "PnC_AReqAuthorizationMode": {
                    "Id": "id1",
                    "GenChallenge": "AAAAAAAAAAAAAAAAAAAAAA==",
                    "ContractCertificateChain": {
                        "Certificate": "MAA=",
                        "SubCertificates": {"Certificate": ["MAA="]},
                    },
                },
            },
        ),
        stimulus="AuthorizationSetupRes with EIM alone",
        expectation="AuthorizationReq with EIM",
    ),
    _case(
        "AUT-02",
        "[V2G20-1582]",
        "while authorization is Ongoing, AuthorizationReq is repeated unchanged but for the TimeStamp",
        SETUP,
        repeated(DC_BPT, "AuthorizationReq", ONGOING, same=True),
        Mutant(
            text="ServiceDiscoveryReq although authorization is Ongoing",
            message="AuthorizationReq",
            first=2,
            raw_name="ServiceDiscoveryReq",
            rewrite=lambda f: {"Header": f["Header"]},
        ),
        stimulus="AuthorizationRes with Ongoing, three times",
        expectation="the same AuthorizationReq again",
    ),
    _case(
        "AUT-03",
        "8.3.4.3.3.2",
        "an EV that is refused does not go on to the services",
        SETUP,
        _refused_authorization,
        Mutant(
            text="the WARNING is not regarded",
            received="AuthorizationRes",
            received_rewrite=lambda f: {**f, "ResponseCode": "OK"},
        ),
        stimulus="AuthorizationRes with WARNING_EIMAuthorizationFailure",
        expectation="AuthorizationReq, SessionStopReq or the end of the connection",
        tags=("negative", "errors"),
    ),
    _case(
        "AUT-04",
        "8.3.4.3.3.2",
        "the EV waits while the customer interacts",
        SETUP,
        repeated(DC_BPT, "AuthorizationReq", {"EVSEProcessing": "Ongoing_WaitingForCustomerInteraction"}),
        Mutant(
            text="the EV ends the session",
            message="AuthorizationReq",
            first=2,
            close=True,
        ),
        stimulus="AuthorizationRes with Ongoing_WaitingForCustomerInteraction, three times",
        expectation="AuthorizationReq again",
    ),
)


def _twice(fields: Plain, **changes: object) -> list[object]:
    first = members(find(fields, "AppProtocol.0"))
    return [first, {**first, "ProtocolNamespace": "urn:example:other", **changes}]


# services ------------------------------------------------------------------------------------------------------------

SELECTED = "SelectedEnergyTransferService"


def _offered(fields: Plain) -> str:
    given = fields.get("ServiceID")
    return "" if given == DC_BPT.service else f"the service {given} is not offered"


def _selection(fields: Plain) -> str:
    service, chosen = (find(fields, f"{SELECTED}.{name}") for name in ("ServiceID", "ParameterSetID"))
    return "" if (service, chosen) == (DC_BPT.service, 4) else f"service {service} with parameter set {chosen}"


async def _without_service(device: EvAccess) -> None:
    station = await device.station(DC_BPT)
    request = await station.reach("ServiceDiscoveryReq")
    await station.answer(request, {"EnergyTransferServiceList.Service.0.ServiceID": 3})
    await ended(station, ("SessionStopReq",), 10.0)


async def _unknown_parameter(device: EvAccess) -> None:
    station = await device.station(DC_BPT)
    request = await station.reach("ServiceDetailReq")
    more = {"Name": "VendorParameter", "intValue": 7}
    await station.answer(request, {"ServiceParameterList.ParameterSet.0.Parameter.0": more})
    await station.next("ServiceSelectionReq", within_s=10.0)


SERVICE_CASES = (
    _case(
        "SRV-01",
        "8.3.4.3.5.1",
        "the EV requests details of offered services only",
        SERVICES,
        requested(DC_BPT, "ServiceDetailReq", _offered),
        alters("ServiceDetailReq", ServiceID=2),
        stimulus="ServiceDiscoveryRes with service 6 alone",
        expectation="ServiceDetailReq for service 6",
    ),
    _case(
        "SRV-02",
        "8.3.4.3.6.2",
        "the EV selects an offered service and parameter set",
        SERVICES,
        requested(DC_BPT, "ServiceSelectionReq", _selection),
        alters("ServiceSelectionReq", {f"{SELECTED}.ParameterSetID": 1}),
        stimulus="ServiceDetailRes with the parameter set 4 alone",
        expectation="service 6 with parameter set 4",
    ),
    _case(
        "SRV-03",
        "8.3.4.3.4.3",
        "an EV that finds no service of its own ends the session",
        SERVICES,
        _without_service,
        Mutant(
            text="the EV goes on with a service that is not offered",
            received="ServiceDiscoveryRes",
            received_rewrite=lambda f: {
                **f,
                "EnergyTransferServiceList": {"Service": [{"ServiceID": 6, "FreeService": True}]},
            },
        ),
        stimulus="ServiceDiscoveryRes with service 3 (WPT) alone",
        expectation="SessionStopReq or the end of the connection",
        tags=("negative",),
    ),
    _case(
        "SRV-04",
        "8.3.5.3.22",
        "unknown parameters of a service are tolerated",
        SERVICES,
        _unknown_parameter,
        Mutant(text="the EV ends the session", message="ServiceSelectionReq", close=True),
        stimulus="ServiceDetailRes with a parameter of an unknown name",
        expectation="ServiceSelectionReq",
        tags=("negative",),
    ),
)


# parameters, schedules, start of power -------------------------------------------------------------------------------


def _has(name: str) -> Check:
    return lambda f: "" if name in f else f"there is no {name}"


def _ordered(path: str, *names: str) -> Check:
    def check(fields: Plain) -> str:
        mode = members(fields.get(path))
        for name in names:
            low, high = number(mode.get(f"EVMinimum{name}")), number(mode.get(f"EVMaximum{name}"))
            if not 0 <= low <= high:
                return f"EVMinimum{name} is {low:g}, EVMaximum{name} {high:g}"
        return ""

    return check


def _v2x(fields: Plain) -> str:
    mode = members(fields.get(DYNAMIC))
    given = [name for name in ("EVMinimumV2XEnergyRequest", "EVMaximumV2XEnergyRequest") if name in mode]
    return "" if len(given) != 1 else f"{given[0]} alone"


def _energy(fields: Plain) -> str:
    mode = members(fields.get(DYNAMIC))
    low, goal, high = (number(mode.get(f"EV{name}EnergyRequest")) for name in ("Minimum", "Target", "Maximum"))
    return "" if low <= goal <= high else f"energy requests: minimum {low:g}, target {goal:g}, maximum {high:g} Wh"


def _window(fields: Plain) -> str:
    mode = members(fields.get(DYNAMIC))
    if "EVMinimumV2XEnergyRequest" not in mode:
        return ""
    low, high = (number(mode.get(f"EV{name}EnergyRequest")) for name in ("Minimum", "Maximum"))
    v2x_low, v2x_high = (number(mode.get(f"EV{name}V2XEnergyRequest")) for name in ("Minimum", "Maximum"))
    inside = low <= v2x_low <= v2x_high <= high
    return "" if inside else f"V2X window {v2x_low:g} to {v2x_high:g} Wh, outside {low:g} to {high:g} Wh"


async def _waits_for_voltage(device: EvAccess) -> None:
    station = await device.station(DC_BPT)
    request = await station.reach("DC_PreChargeReq")
    began, held = station.now, {"EVSEPresentVoltage": rational(120)}
    while station.now - began < 4.0:
        stated = request.fields.get("EVProcessing")
        expect(stated == "Ongoing", f"EVProcessing is {stated} at 120 V")
        await station.answer(request, held)
        following = await station.receive(5.0)
        if following is None or following.name == "SessionStopReq":
            return
        expect(following.name == "DC_PreChargeReq", f"{following.name} at 120 V")
        request = following
    await station.finish()


async def _gives_up_check(device: EvAccess) -> None:
    station = await device.station(DC_BPT)
    request = await station.reach("DC_CableCheckReq")
    began = station.now
    while station.now - began < 50.0:
        await station.answer(request, ONGOING)
        following = await station.receive(5.0)
        if following is None or following.name == "SessionStopReq":
            passed = station.now - began
            expect(passed >= 35.0, f"the EV gives up after {passed:.1f} s")
            return
        expect(following.name == "DC_CableCheckReq", f"{following.name} during the cable check")
        request = following
    expect(False, "the EV still repeats DC_CableCheckReq after 50 s")


def _start(check: Check) -> Procedure:
    """Expect `check` of the request that starts power, once the EV is ready."""

    async def procedure(device: EvAccess) -> None:
        station = await device.station(DC_BPT_SCHEDULED)
        request = await station.reach("PowerDeliveryReq")
        while request.fields.get("EVProcessing") == "Ongoing":
            await station.answer(request)
            request = await station.next("PowerDeliveryReq", within_s=10.0)
        wrong = check(request.fields)
        expect(not wrong, f"{request.name}: {wrong}")
        await station.finish()

    return procedure


def _profile(fields: Plain) -> str:
    profile = members(fields.get("EVPowerProfile"))
    return "" if "EVPowerProfileEntries" in profile else "there is no EVPowerProfile"


def _tuple(fields: Plain) -> str:
    given = find(fields, "EVPowerProfile.Scheduled_EVPPTControlMode.SelectedScheduleTupleID")
    return "" if given == 1 else f"the selected schedule tuple is {given}"


PARAMETER_CASES = (
    _case(
        "CPD-01",
        "8.3.5.5.7.1",
        "DC_BPT: the EV states limits of charging and discharging",
        PARAMETERS,
        requested(DC_BPT, CPD, _has(BPT_DC)),
        Mutant(
            text="limits of charging only",
            message=CPD,
            rewrite=lambda f: {"Header": f["Header"], "DC_CPDReqEnergyTransferMode": _charging(f, BPT_DC)},
        ),
        stimulus="ServiceSelectionRes for DC_BPT",
        expectation=BPT_DC,
        tags=("nominal", "energy-direction"),
    ),
    _case(
        "CPD-02",
        "8.3.5.4.7.1",
        "AC_BPT: the EV states limits of charging and discharging",
        PARAMETERS,
        requested(AC_BPT, AC_CPD, _has(BPT_AC)),
        Mutant(
            text="limits of charging only",
            message=AC_CPD,
            rewrite=lambda f: {"Header": f["Header"], "AC_CPDReqEnergyTransferMode": _charging(f, BPT_AC)},
        ),
        profile=AC_BPT,
        stimulus="ServiceSelectionRes for AC_BPT",
        expectation=BPT_AC,
        tags=("nominal", "energy-direction"),
    ),
    _case(
        "CPD-03",
        "8.3.5.5.7.1",
        "DC_BPT: limits are magnitudes, the minimum not above the maximum",
        PARAMETERS,
        requested(
            DC_BPT,
            CPD,
            _ordered(BPT_DC, "ChargePower", "ChargeCurrent", "DischargePower", "DischargeCurrent", "Voltage"),
        ),
        alters(CPD, {f"{BPT_DC}.EVMaximumDischargePower": rational(-20_000)}),
        alters(CPD, {f"{BPT_DC}.EVMinimumVoltage": rational(900)}),
        stimulus="ServiceSelectionRes for DC_BPT",
        expectation="0 ≤ minimum ≤ maximum, of power, current and voltage",
        tags=("nominal", "limits", "energy-direction"),
    ),
    _case(
        "CPD-04",
        "8.3.5.4.7.1",
        "AC_BPT: limits are magnitudes, the minimum not above the maximum",
        PARAMETERS,
        requested(AC_BPT, AC_CPD, _ordered(BPT_AC, "ChargePower", "DischargePower")),
        alters(AC_CPD, {f"{BPT_AC}.EVMaximumDischargePower": rational(-3_000)}),
        profile=AC_BPT,
        stimulus="ServiceSelectionRes for AC_BPT",
        expectation="0 ≤ minimum ≤ maximum",
        tags=("nominal", "limits", "energy-direction"),
    ),
    _case(
        "SCH-01",
        "[V2G20-2681]",
        "both V2X energy requests are stated, or none",
        PARAMETERS,
        requested(DC_BPT, "ScheduleExchangeReq", _v2x),
        alters("ScheduleExchangeReq", {f"{DYNAMIC}.EVMinimumV2XEnergyRequest": ABSENT}),
        stimulus="ScheduleExchangeReq",
        expectation="EVMinimumV2XEnergyRequest and EVMaximumV2XEnergyRequest, or neither",
        tags=("nominal", "energy-direction"),
    ),
    _case(
        "SCH-02",
        "8.3.5.3.13",
        "the minimum energy request is not above the target, nor this above the maximum",
        PARAMETERS,
        requested(DC_BPT, "ScheduleExchangeReq", _energy),
        alters("ScheduleExchangeReq", {f"{DYNAMIC}.EVMinimumEnergyRequest": rational(60_000)}),
        stimulus="ScheduleExchangeReq",
        expectation="minimum ≤ target ≤ maximum",
        tags=("nominal", "limits"),
    ),
    _case(
        "SCH-03",
        "8.3.5.3.13",
        "the V2X window lies within the minimum and maximum energy requests",
        PARAMETERS,
        requested(DC_BPT, "ScheduleExchangeReq", _window),
        alters("ScheduleExchangeReq", {f"{DYNAMIC}.EVMaximumV2XEnergyRequest": rational(90_000)}),
        stimulus="ScheduleExchangeReq",
        expectation="EVMinimumEnergyRequest ≤ V2X window ≤ EVMaximumEnergyRequest",
        tags=("nominal", "limits", "energy-direction"),
    ),
    _case(
        "SCH-04",
        "8.3.4.3.7.2",
        "the schedule exchange has the control mode of the selected parameter set",
        PARAMETERS,
        requested(DC_BPT_SCHEDULED, "ScheduleExchangeReq", _has("Scheduled_SEReqControlMode")),
        Mutant(
            text="dynamic instead of scheduled",
            message="ScheduleExchangeReq",
            rewrite=lambda f: {
                "Header": f["Header"],
                "MaximumSupportingPoints": 12,
                DYNAMIC: {
                    "DepartureTime": 3_600,
                    "EVTargetEnergyRequest": rational(1),
                    "EVMaximumEnergyRequest": rational(1),
                    "EVMinimumEnergyRequest": rational(1),
                },
            },
        ),
        profile=DC_BPT_SCHEDULED,
        stimulus="ServiceDetailRes with scheduled control alone",
        expectation="Scheduled_SEReqControlMode",
        tags=("nominal", "schedules"),
    ),
    _case(
        "SCH-05",
        "8.3.4.3.7.3",
        "while the schedule exchange is Ongoing, ScheduleExchangeReq is repeated",
        PARAMETERS,
        repeated(DC_BPT, "ScheduleExchangeReq", ONGOING),
        Mutant(text="the EV ends the session", message="ScheduleExchangeReq", first=2, close=True),
        stimulus="ScheduleExchangeRes with Ongoing, three times",
        expectation="ScheduleExchangeReq again",
        tags=("nominal", "schedules"),
    ),
    _case(
        "CC-01",
        "8.3.4.5.3.3",
        "while the cable check is Ongoing, DC_CableCheckReq is repeated",
        PARAMETERS,
        repeated(DC_BPT, "DC_CableCheckReq", ONGOING),
        Mutant(
            text="pre-charge during the cable check",
            received="DC_CableCheckRes",
            received_rewrite=lambda f: {**f, "EVSEProcessing": "Finished"},
        ),
        stimulus="DC_CableCheckRes with Ongoing, three times",
        expectation="DC_CableCheckReq again",
    ),
    _case(
        "CC-02",
        "Table 215, EVCC cable check time-out",
        "the EV gives up a cable check after 40 s",
        PARAMETERS,
        _gives_up_check,
        Mutant(
            text="the EV gives up after some seconds",
            message="DC_CableCheckReq",
            first=20,
            close=True,
        ),
        stimulus="DC_CableCheckRes with Ongoing for 50 s",
        expectation="SessionStopReq or the end of the connection after 35 to 50 s",
        tags=("negative", "timers", "long"),
    ),
    _case(
        "PC-01",
        "8.3.4.5.4.1",
        "EVProcessing is Finished only when the voltage of the output matches",
        PARAMETERS,
        _waits_for_voltage,
        alters("DC_PreChargeReq", EVProcessing="Finished"),
        stimulus="DC_PreChargeRes with 120 V for 4 s",
        expectation="EVProcessing Ongoing, no PowerDeliveryReq",
        tags=("negative", "limits"),
    ),
    _case(
        "PD-01",
        "8.3.4.3.8.2",
        "PowerDelivery(Start) carries a power profile",
        PARAMETERS,
        _start(_profile),
        alters("PowerDeliveryReq", EVPowerProfile=ABSENT),
        profile=DC_BPT_SCHEDULED,
        stimulus="PowerDeliveryReq",
        expectation="EVPowerProfile",
        tags=("nominal", "schedules"),
    ),
    _case(
        "PD-02",
        "8.3.5.3.45",
        "the power profile refers to an offered schedule tuple",
        PARAMETERS,
        _start(_tuple),
        alters("PowerDeliveryReq", {"EVPowerProfile.Scheduled_EVPPTControlMode.SelectedScheduleTupleID": 9}),
        profile=DC_BPT_SCHEDULED,
        stimulus="ScheduleExchangeRes with the schedule tuple 1 alone",
        expectation="SelectedScheduleTupleID 1",
        tags=("nominal", "schedules"),
    ),
)


def _charging(fields: Plain, name: str) -> Plain:
    return {key: value for key, value in members(fields[name]).items() if "Discharge" not in key}


# charge loop ---------------------------------------------------------------------------------------------------------


async def _paced(device: EvAccess) -> None:
    station = await looping(device, DC_BPT)
    for _ in range(10):
        began = station.now
        request = station.due or await station.next(DC_BPT.loop, within_s=2.0)
        gap = station.now - began
        expect(gap <= LOOP_WITHIN_S, f"the next DC_ChargeLoopReq comes after {gap:.2f} s")
        await station.answer(request)
    await station.finish()


def _loop_form(profile: Profile, name: str) -> Procedure:
    return requested(profile, profile.loop, _has(name))


async def _tightens(device: EvAccess) -> None:
    station = await device.station(DC_BPT)
    await station.reach(DC_BPT.loop)
    stated = members(station.sent(CPD)[0].fields.get(BPT_DC))
    for request in await station.loops(5):
        mode = members(request.fields.get(LOOP_DC))
        for name in ("ChargePower", "ChargeCurrent", "DischargePower", "DischargeCurrent", "Voltage"):
            before, now = (number(one.get(f"EVMaximum{name}")) for one in (stated, mode))
            expect(now <= before * 1.001, f"EVMaximum{name} is {now:g} in the loop, {before:g} before")
    await station.finish()


async def _within_station(device: EvAccess) -> None:
    station = await device.station(DC_BPT_SCHEDULED)
    await station.reach(DC_BPT_SCHEDULED.loop)
    for request in await station.loops(5):
        amperes = number(find(request.fields, f"{SCHEDULED_DC}.EVTargetCurrent"))
        expect(abs(amperes) <= MAX_A, f"EVTargetCurrent is {amperes:g} A, the limit of the EVSE {MAX_A:g} A")
    await station.finish()


async def _follows(device: EvAccess) -> None:
    station = await looping(device, AC_BPT)
    station.state.target_w = -3_000.0
    requests = await station.loops(16)
    power = total(members(requests[-1].fields.get(LOOP_AC)), "EVPresentActivePower")
    expect(-3_600 <= power <= -2_400, f"EVPresentActivePower is {power:g} W at a target of −3,000 W")
    await station.finish()


async def _beyond(device: EvAccess) -> None:
    station = await looping(device, AC_BPT)
    most = total(members(station.sent(AC_CPD)[0].fields.get(BPT_AC)), "EVMaximumDischargePower")
    station.state.target_w = -60_000.0
    requests = await station.loops(16)
    power = total(members(requests[-1].fields.get(LOOP_AC)), "EVPresentActivePower")
    expect(power >= -most * 1.05, f"EVPresentActivePower is {power:g} W, EVMaximumDischargePower {most:g} W")
    await station.finish()


async def _idle(device: EvAccess) -> None:
    station = await looping(device, AC_BPT)
    station.state.target_w = 0.0
    requests = await station.loops(10)
    power = total(members(requests[-1].fields.get(LOOP_AC)), "EVPresentActivePower")
    expect(abs(power) <= 300, f"EVPresentActivePower is {power:g} W at a target of 0")
    await station.finish()


def _present(watts: float) -> Mutant:
    values = {f"{LOOP_AC}.EVPresentActivePower{phase}": rational(watts / 3) for phase in ("", "_L2", "_L3")}
    return alters("AC_ChargeLoopReq", values)


def _refuses(profile: Profile, changes: Changes) -> Procedure:
    """Expect the EV to leave the loop, regularly or at once."""

    async def procedure(device: EvAccess) -> None:
        station = await looping(device, profile)
        for _ in range(60):
            request = station.due or await station.receive(5.0)
            if request is None:
                expect(station.connection.closed, "the EV sends nothing and stays connected")
                return
            if station.step_of(request) in (STOP, "SessionStopReq"):
                return
            await station.answer(request, changes)
        expect(False, "the EV is still in the charge loop after 60 responses")

    return procedure


_IGNORES_CURRENT = Mutant(
    text="the reverse current is not regarded",
    received="DC_ChargeLoopRes",
    received_rewrite=lambda f: {**f, "EVSEPresentCurrent": rational(0)},
)
_IGNORES_VOLTAGE = Mutant(
    text="the voltage is not regarded",
    received="DC_ChargeLoopRes",
    received_rewrite=lambda f: {**f, "EVSEPresentVoltage": rational(363)},
)

LOOP_CASES = (
    _case(
        "LOOP-01",
        "[V2G20-1502]",
        "DC: the next request of the loop comes within 0.5 s, the sequence time-out of the SECC",
        LOOP,
        _paced,
        delays("DC_ChargeLoopReq", 0.6),
        stimulus="ten DC_ChargeLoopRes",
        expectation="each DC_ChargeLoopReq within 0.5 s",
        tags=("nominal", "timers"),
    ),
    _case(
        "LOOP-02",
        "8.3.5.5.7.3",
        "DC_BPT, dynamic: the loop request states both directions",
        LOOP,
        _loop_form(DC_BPT, LOOP_DC),
        Mutant(
            text="the control mode without discharging",
            message="DC_ChargeLoopReq",
            rewrite=lambda f: {
                **{key: value for key, value in f.items() if key != LOOP_DC},
                "Dynamic_DC_CLReqControlMode": {
                    key: value
                    for key, value in members(f[LOOP_DC]).items()
                    if "Discharge" not in key and "V2X" not in key
                },
            },
        ),
        stimulus="PowerDeliveryRes",
        expectation=LOOP_DC,
        tags=("nominal", "energy-direction"),
    ),
    _case(
        "LOOP-03",
        "8.3.5.4.7.3",
        "AC_BPT, dynamic: the loop request states both directions",
        LOOP,
        _loop_form(AC_BPT, LOOP_AC),
        Mutant(
            text="the control mode without discharging",
            message="AC_ChargeLoopReq",
            rewrite=lambda f: {
                **{key: value for key, value in f.items() if key != LOOP_AC},
                "Dynamic_AC_CLReqControlMode": {
                    key: value
                    for key, value in members(f[LOOP_AC]).items()
                    if "Discharge" not in key and "V2X" not in key
                },
            },
        ),
        profile=AC_BPT,
        stimulus="PowerDeliveryRes",
        expectation=LOOP_AC,
        tags=("nominal", "energy-direction"),
    ),
    _case(
        "LOOP-04",
        "[V2G20-2655]",
        "limits of the loop are never above those of charge parameter discovery",
        LOOP,
        _tightens,
        alters("DC_ChargeLoopReq", {f"{LOOP_DC}.EVMaximumDischargePower": rational(300_000)}),
        stimulus="five DC_ChargeLoopRes",
        expectation="no EVMaximum… above that of DC_ChargeParameterDiscoveryReq",
        tags=("nominal", "limits", "energy-direction"),
    ),
    _case(
        "LOOP-05",
        "8.3.5.5.4",
        "DC, scheduled: EVTargetCurrent is within the limits of the EVSE",
        LOOP,
        _within_station,
        alters("DC_ChargeLoopReq", {f"{SCHEDULED_DC}.EVTargetCurrent": rational(400)}),
        profile=DC_BPT_SCHEDULED,
        stimulus=f"limits of {MAX_A:g} A",
        expectation=f"EVTargetCurrent up to {MAX_A:g} A",
        tags=("nominal", "limits"),
    ),
    _case(
        "LOOP-06",
        "8.3.5.4.5",
        "AC, dynamic: the EV follows a negative target power: it discharges",
        LOOP,
        _follows,
        _present(3_000),
        _present(0),
        profile=AC_BPT,
        stimulus="AC_ChargeLoopRes with EVSETargetActivePower −3,000 W",
        expectation="EVPresentActivePower −3,000 W (20 % tolerance) in the last of 16 requests",
        tags=("nominal", "energy-direction"),
    ),
    _case(
        "LOOP-07",
        "8.3.5.4.7.3",
        "AC, dynamic: the EV never exceeds its own limits",
        LOOP,
        _beyond,
        _present(-60_000),
        profile=AC_BPT,
        stimulus="AC_ChargeLoopRes with EVSETargetActivePower −60,000 W",
        expectation="EVPresentActivePower within EVMaximumDischargePower",
        tags=("negative", "limits", "energy-direction"),
    ),
    _case(
        "LOOP-08",
        "8.3.5.4.5",
        "AC, dynamic: at a target of 0 no power flows",
        LOOP,
        _idle,
        _present(3_000),
        profile=AC_BPT,
        stimulus="AC_ChargeLoopRes with EVSETargetActivePower 0",
        expectation="EVPresentActivePower 0 (300 W tolerance)",
        tags=("nominal", "energy-direction"),
    ),
    _case(
        "LOOP-09",
        "8.3.5.5.5",
        "a current out of the EV ends a session whose service only charges",
        LOOP,
        _refuses(DC_20, {"EVSEPresentCurrent": rational(-30)}),
        _IGNORES_CURRENT,
        profile=DC_20,
        stimulus="DC_ChargeLoopRes with EVSEPresentCurrent −30 A on the service DC",
        expectation="PowerDelivery(Stop), SessionStopReq or the end of the connection within 60 responses",
        tags=("negative", "energy-direction", "errors"),
    ),
    _case(
        "LOOP-10",
        "8.3.4.5.5.3",
        "a voltage above EVMaximumVoltage ends the session",
        LOOP,
        _refuses(DC_BPT, {"EVSEPresentVoltage": rational(700), "EVSEPresentCurrent": rational(5)}),
        _IGNORES_VOLTAGE,
        stimulus="DC_ChargeLoopRes with EVSEPresentVoltage 700 V and EVSEPresentCurrent 5 A",
        expectation="PowerDelivery(Stop), SessionStopReq or the end of the connection within 60 responses",
        tags=("negative", "limits", "errors"),
    ),
)


# notifications, errors, end ------------------------------------------------------------------------------------------


def _notified(notification: str) -> Plain:
    return {"EVSEStatus": {"NotificationMaxDelay": 5, "EVSENotification": notification}}


def _kind(kind: str) -> Check:
    return lambda f: "" if f.get("ChargingSession") == kind else f"ChargingSession is {f.get('ChargingSession')}"


def _unnotified(kind: str) -> Mutant:
    """Return a mutant that does not receive the notification."""
    return Mutant(
        text=f"{kind} is not regarded",
        received="DC_ChargeLoopRes",
        received_rewrite=lambda f: {key: value for key, value in f.items() if key != "EVSEStatus"},
    )


async def _renegotiates(device: EvAccess) -> None:
    station = await looping(device, DC_BPT_SCHEDULED)
    changes = _notified("ScheduleRenegotiation")
    for _ in range(40):
        request = station.due or await station.next(within_s=5.0)
        if request.name == "ScheduleExchangeReq":
            return
        progress = request.fields.get("ChargeProgress")
        if request.name == "PowerDeliveryReq":
            expect(progress == "ScheduleRenegotiation", f"PowerDeliveryReq with {progress}")
            return
        await station.answer(request, changes)
    expect(False, "no schedule exchange within 40 responses")


async def _services_again(device: EvAccess) -> None:
    station = await looping(device, DC_BPT)
    request = await until(station, STOP, _notified("ServiceRenegotiation"))
    while request.name != "SessionStopReq":
        await station.answer(request)
        request = await station.next(within_s=10.0)
    kind = request.fields.get("ChargingSession")
    expect(kind == "ServiceRenegotiation", f"ChargingSession is {kind}")
    await station.answer(request)
    await station.next("ServiceDiscoveryReq", within_s=10.0)


async def _undecodable(device: EvAccess) -> None:
    station = await device.station(DC_BPT)
    await station.reach("ServiceDiscoveryReq")
    await station.connection.send_bytes(bytes.fromhex("01fe80020000000480ffffff"), "a payload that is no EXI document")
    await ended(station)


async def _closes_after_stop(device: EvAccess) -> None:
    station = await looping(device, DC_BPT)
    request = await until(station, STOP, _notified("Terminate"))
    while request.name != "SessionStopReq":
        await station.answer(request)
        request = await station.next(within_s=10.0)
    await station.answer(request)
    await ended(station)


def _failure_ignored(response: str) -> Mutant:
    return Mutant(
        text=f"FAILED in {response} is not regarded",
        received=response,
        received_rewrite=lambda f: {**f, "ResponseCode": "OK"},
    )


REACTION_CASES = (
    _case(
        "NOT-01",
        "8.3.5.3.61",
        "Terminate: PowerDelivery(Stop), then SessionStop(Terminate)",
        REACTIONS,
        reacts(DC_BPT, _notified("Terminate"), STOP, "SessionStopReq", check=_kind("Terminate")),
        _unnotified("Terminate"),
        alters("SessionStopReq", ChargingSession="Pause"),
        stimulus="DC_ChargeLoopRes with the notification Terminate",
        expectation="PowerDelivery(Stop) within 20 s, SessionStop(Terminate)",
        tags=("nominal", "stop"),
    ),
    _case(
        "NOT-02",
        "8.3.5.3.61",
        "Pause: PowerDelivery(Stop), then SessionStop(Pause)",
        REACTIONS,
        reacts(DC_BPT, _notified("Pause"), STOP, "SessionStopReq", check=_kind("Pause")),
        _unnotified("Pause"),
        alters("SessionStopReq", ChargingSession="Terminate"),
        stimulus="DC_ChargeLoopRes with the notification Pause",
        expectation="PowerDelivery(Stop) within 20 s, SessionStop(Pause)",
        tags=("nominal", "pause"),
        requires=("iso20.pause",),
    ),
    _case(
        "NOT-03",
        "8.3.5.3.61",
        "ScheduleRenegotiation: a schedule exchange beside the loop, or PowerDelivery(ScheduleRenegotiation)",
        REACTIONS,
        _renegotiates,
        _unnotified("ScheduleRenegotiation"),
        profile=DC_BPT_SCHEDULED,
        stimulus="DC_ChargeLoopRes with the notification ScheduleRenegotiation",
        expectation="ScheduleExchangeReq or PowerDeliveryReq within 40 responses",
        tags=("nominal", "renegotiation"),
        requires=("iso20.renegotiation",),
    ),
    _case(
        "NOT-04",
        "[V2G20-1477]",
        "ServiceRenegotiation: SessionStop(ServiceRenegotiation), then ServiceDiscoveryReq on the same connection",
        REACTIONS,
        _services_again,
        _unnotified("ServiceRenegotiation"),
        alters("SessionStopReq", ChargingSession="Terminate"),
        stimulus="DC_ChargeLoopRes with the notification ServiceRenegotiation",
        expectation="PowerDelivery(Stop), SessionStop(ServiceRenegotiation), ServiceDiscoveryReq",
        tags=("nominal", "renegotiation"),
        requires=("iso20.renegotiation",),
    ),
    _case(
        "ERR-01",
        "8.6",
        "a FAILED response before power ends session and connection",
        REACTIONS,
        ends_after(DC_BPT, "ServiceDiscoveryReq", FAILED),
        _failure_ignored("ServiceDiscoveryRes"),
        stimulus="ServiceDiscoveryRes with FAILED",
        expectation="no further request, the connection is closed within 5 s",
        tags=("negative", "errors"),
    ),
    _case(
        "ERR-02",
        "8.3.4.5.5.3",
        "a FAILED response in the loop ends session and connection",
        REACTIONS,
        ends_after(DC_BPT, "DC_ChargeLoopReq", FAILED),
        _failure_ignored("DC_ChargeLoopRes"),
        stimulus="DC_ChargeLoopRes with FAILED",
        expectation="no further request, the connection is closed within 5 s",
        tags=("negative", "errors"),
    ),
    _case(
        "ERR-03",
        "8.3.4.3.8.3",
        "no loop begins after a FAILED response to PowerDelivery(Start)",
        REACTIONS,
        ends_after(DC_BPT, "PowerDeliveryReq", {"ResponseCode": "FAILED_PowerDeliveryNotApplied"}),
        _failure_ignored("PowerDeliveryRes"),
        stimulus="PowerDeliveryRes with FAILED_PowerDeliveryNotApplied",
        expectation="no further request, the connection is closed within 5 s",
        tags=("negative", "errors"),
    ),
    _case(
        "ERR-04",
        "8.3.4.5.3.3",
        "a failed cable check ends the session",
        REACTIONS,
        ends_after(DC_BPT, "DC_CableCheckReq", FAILED),
        _failure_ignored("DC_CableCheckRes"),
        stimulus="DC_CableCheckRes with FAILED",
        expectation="no further request, the connection is closed within 5 s",
        tags=("negative", "errors"),
    ),
    _case(
        "ERR-05",
        "7.9.1",
        "a response that is no EXI document of the schema ends the session",
        REACTIONS,
        _undecodable,
        stays_open(),
        stimulus="a payload that is no message, in place of ServiceDiscoveryRes",
        expectation="no further request, the connection is closed within 5 s",
        tags=("negative", "errors"),
    ),
    _case(
        "END-01",
        "[V2G20-1633]",
        "the EV closes the connection after SessionStopRes",
        REACTIONS,
        _closes_after_stop,
        stays_open(),
        stimulus="the notification Terminate, then OK responses",
        expectation="the connection is closed within 5 s of SessionStopRes",
        tags=("nominal", "stop"),
    ),
    _case(
        "TIM-01",
        "Table 215, EVCC message time-out",
        "the EV ends a session without a response after 2 s",
        TIMERS,
        silent_response(DC_BPT, "AuthorizationSetupReq", 1.5, 5.0),
        Mutant(text="the EV ends at once", message="AuthorizationSetupReq", close_after=True),
        stays_open(),
        stimulus="no AuthorizationSetupRes",
        expectation="the connection is closed after 1.5 to 5 s",
        tags=("negative", "timers"),
    ),
    _case(
        "TIM-02",
        "Table 215, EVCC message time-out, ServiceDetail",
        "the EV waits 5 s for ServiceDetailRes",
        TIMERS,
        silent_response(DC_BPT, "ServiceDetailReq", 4.5, 9.0),
        Mutant(text="the EV ends at once", message="ServiceDetailReq", close_after=True),
        stays_open(),
        stimulus="no ServiceDetailRes",
        expectation="the connection is closed after 4.5 to 9 s",
        tags=("negative", "timers"),
    ),
    _case(
        "TIM-03",
        "Table 217, EVCC message time-out, DC charge loop",
        "the EV ends a charge loop without a response after 0.5 s",
        TIMERS,
        silent_response(DC_BPT, "DC_ChargeLoopReq", 0.25, 3.0),
        Mutant(text="the EV ends at once", message="DC_ChargeLoopReq", close_after=True),
        stays_open(),
        stimulus="no DC_ChargeLoopRes",
        expectation="the connection is closed after 0.25 to 3 s",
        tags=("negative", "timers"),
    ),
    _case(
        "TIM-04",
        "Table 216, EVCC message time-out, AC charge loop",
        "the EV ends an AC charge loop without a response after 0.5 s",
        TIMERS,
        silent_response(AC_BPT, "AC_ChargeLoopReq", 0.25, 3.0),
        Mutant(text="the EV ends at once", message="AC_ChargeLoopReq", close_after=True),
        stays_open(),
        profile=AC_BPT,
        stimulus="no AC_ChargeLoopRes",
        expectation="the connection is closed after 0.25 to 3 s",
        tags=("negative", "timers"),
    ),
)

CASES: tuple[EvCase, ...] = (*SETUP_CASES, *SERVICE_CASES, *PARAMETER_CASES, *LOOP_CASES, *REACTION_CASES)
