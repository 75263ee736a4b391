"""Cases for a SECC, ISO 15118-2: session."""

from __future__ import annotations

from emulators.conformance.iso15118.mutation import Mutant, accepts, alters, refuses
from emulators.conformance.iso15118.plain import Plain
from emulators.conformance.iso15118.profiles import DC_2
from emulators.conformance.iso15118.secc_iso2_case import SESSION, iso2_case
from emulators.conformance.iso15118.secc_older import UNKNOWN_ID, keeps_session_id, new_for_unknown
from emulators.conformance.iso15118.secc_procedures import answered, refused


def _evse_id(fields: Plain) -> str:
    given = str(fields.get("EVSEID", ""))
    return "" if 7 <= len(given) <= 37 else f"EVSEID is {given!r}"


CASES = (
    iso2_case(
        "SES-01",
        "8.4.3.2.2",
        "a session without an earlier one is opened with OK_NewSessionEstablished",
        SESSION,
        answered(DC_2, "SessionSetupReq", lambda f: "" if f["ResponseCode"] == "OK_NewSessionEstablished" else "code"),
        alters("SessionSetupRes", ResponseCode="OK"),
        before="SessionSetupReq",
        stimulus="SessionSetupReq with the session id zero",
        expectation="OK_NewSessionEstablished",
    ),
    iso2_case(
        "SES-02",
        756,
        "an unknown session id leads to a new session, never to an error",
        SESSION,
        new_for_unknown(DC_2, UNKNOWN_ID),
        refuses("SessionSetupRes", "FAILED_UnknownSession"),
        before="SessionSetupReq",
        stimulus="SessionSetupReq with the id of a session that never was",
        expectation="OK_NewSessionEstablished and another id that is not zero",
        tags=("negative",),
    ),
    iso2_case(
        "SES-03",
        460,
        "a request with another session id is FAILED_UnknownSession",
        SESSION,
        refused(
            DC_2,
            "ServiceDiscoveryReq",
            "ServiceDiscoveryReq",
            "FAILED_UnknownSession",
            session_id=lambda own: UNKNOWN_ID,
        ),
        accepts("ServiceDiscoveryRes"),
        before="ServiceDiscoveryReq",
        stimulus="ServiceDiscoveryReq with another session id",
        expectation="FAILED_UnknownSession",
        tags=("negative", "errors"),
    ),
    iso2_case(
        "SES-04",
        "8.3.3",
        "every response carries the id of its session",
        SESSION,
        keeps_session_id(DC_2),
        Mutant(
            text="another session id in a response",
            message="AuthorizationRes",
            header={"SessionID": UNKNOWN_ID},
        ),
        stimulus="a session up to the loop",
        expectation="the session id of SessionSetupRes in every response",
    ),
    iso2_case(
        "SES-05",
        "8.4.3.2.2",
        "EVSEID has 7 to 37 characters",
        SESSION,
        answered(DC_2, "SessionSetupReq", _evse_id),
        alters("SessionSetupRes", EVSEID="DE"),
        before="SessionSetupReq",
        expectation="an EVSEID of 7 to 37 characters",
    ),
)
