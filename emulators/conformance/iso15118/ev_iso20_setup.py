"""Cases for an EV, ISO 15118-20: handshake, session, authorization."""

from __future__ import annotations

from dataclasses import replace

from emulators.conformance.case import expect
from emulators.conformance.iso15118.declaration import ISO2
from emulators.conformance.iso15118.ev_access import EvAccess
from emulators.conformance.iso15118.ev_iso20_case import ONGOING, SETUP, iso20_case
from emulators.conformance.iso15118.ev_procedures import ended, looping, repeated, requested
from emulators.conformance.iso15118.mutation import Mutant, alters, stays_open
from emulators.conformance.iso15118.plain import Plain, find, number
from emulators.conformance.iso15118.profiles import DC_BPT
from emulators.conformance.iso15118.requests import ZERO_20
from emulators.conformance.iso15118.station import SESSION_ID_20
from protocols.json_values import members

OTHER_ID = "0123456789ABCDEF"


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


sap_case = replace(iso20_case, standard=ISO2)

CASES = (
    sap_case(
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
    ),
    sap_case(
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
    ),
    iso20_case(
        "SAP-03",
        "8.2.2",
        "ISO 15118-20 is offered with the major version 1",
        SETUP,
        _version,
        alters("supportedAppProtocolReq", {"AppProtocol.0.VersionNumberMajor": 2}),
        stimulus="supportedAppProtocolReq",
        expectation="VersionNumberMajor 1",
    ),
    sap_case(
        "SAP-04",
        "8.2.3",
        "after Failed_NoNegotiation the EV ends the connection",
        SETUP,
        _no_negotiation,
        stays_open(),
        stimulus="supportedAppProtocolRes with Failed_NoNegotiation",
        expectation="no further request, the connection is closed within 5 s",
        tags=("negative", "errors"),
    ),
    iso20_case(
        "SES-01",
        "8.3.4.3.1.1",
        "a new session is requested with the session id zero",
        SETUP,
        _zero_id,
        Mutant(text="another id than zero", message="SessionSetupReq", header={"SessionID": OTHER_ID}),
        stimulus="SessionSetupReq",
        expectation="eight bytes of zero",
    ),
    iso20_case(
        "SES-02",
        "8.3.3",
        "every request carries the id of the session",
        SETUP,
        _keeps_id,
        Mutant(text="another id in a request", message="ScheduleExchangeReq", header={"SessionID": OTHER_ID}),
        stimulus="a session up to the charge loop",
        expectation="the id of SessionSetupRes",
    ),
    iso20_case(
        "SES-03",
        "8.3.4.3.1.1",
        "SessionSetupReq states the EVCCID",
        SETUP,
        requested(DC_BPT, "SessionSetupReq", lambda f: "" if str(f.get("EVCCID", "")).strip() else "EVCCID is empty"),
        alters("SessionSetupReq", EVCCID=""),
        stimulus="SessionSetupReq",
        expectation="an EVCCID",
    ),
    iso20_case(
        "SES-04",
        "8.3.3",
        "TimeStamp is Unix time in seconds",
        SETUP,
        _timestamps,
        Mutant(text="milliseconds", message="ServiceDiscoveryReq", header={"TimeStamp": 1_770_000_000_000}),
        stimulus="ServiceDiscoveryReq",
        expectation="a time between the years 2017 and 2103",
    ),
    iso20_case(
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
    iso20_case(
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
    iso20_case(
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
    iso20_case(
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
    iso20_case(
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
