"""Sessions with Josev in both roles, and what is asserted of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.rounds import SOAK

LOOPS = 6
SHORT = 4  # of sessions that only have to charge
LONG = 30  # of sessions that the charger ends
DISCHARGE_W, CHARGE_W = -3000, 6000
THREE_PHASES_W, ONE_PHASE_W = 11_040, 3_680  # 16 A at 230 V
DC, AC = "ISO_15118_20_DC", "ISO_15118_20_AC"
ISO2, DIN = "ISO_15118_2", "DIN_SPEC_70121"
NAMESPACES = {
    DC: "urn:iso:std:iso:15118:-20:DC",
    AC: "urn:iso:std:iso:15118:-20:AC",
    ISO2: "urn:iso:15118:2:2013:MsgDef",
    DIN: "urn:din:70121:2012:MsgDef",
}
TLS = {"none": None, "1.2": "TLSv1.2", "1.3": "TLSv1.3"}
CONTROLS = {"scheduled": 1, "dynamic": 2}
OURS, THEIRS = "emulated car, Josev's charger", "Josev's car, emulated charger"
MODES = ("DC_extended", "DC_core", "DC_combo_core", "AC_three_phase_core", "AC_single_phase_core")


@dataclass(frozen=True)
class Case:
    """One session. `flow`: direction of energy, "in", "out", "none", or "" if it is not asserted."""

    title: str
    options: dict[str, Any]
    outcome: str
    protocol: str
    side: str
    flow: str = ""
    power_w: float | None = None  # mean power of our car, or target at our charger
    expects: dict[str, Any] = field(default_factory=dict)

    @property
    def row(self) -> str:
        return f"{self.side}: {self.title}"

    @property
    def name(self) -> str:
        """Name of the session, without spaces."""
        return self.title.replace(" ", "_").replace(",", "")


def security(tls: str) -> str:
    return "no TLS" if tls == "none" else f"TLS {tls}"


def _modern(service: str, control: str, tls: str) -> Case:
    bpt, dc = "bpt" in service, service.startswith("dc")
    flow, outcome = "", "ended well"
    if control == "dynamic" and bpt:
        flow, outcome = "out", "discharged"
    elif control == "scheduled" and dc:  # AC: the peer states a target against its own schedule
        flow, outcome = "in", "charged by schedule"
    options = {"service": service, "control": control, "loops": LOOPS, "tls": tls}
    options["peer"] = {"power_w": DISCHARGE_W, "tls_1_3": tls == "1.3"}
    title = f"{service.upper()}, {control}, {security(tls)}, SDP"
    return Case(title, options, outcome, DC if dc else AC, OURS, flow, expects={"loops": LOOPS})


def _older(
    title: str,
    protocol: str,
    mode: str,
    tls: str = "none",
    *,
    outcome: str = "charged",
    expects: dict[str, Any] | None = None,
    peer: dict[str, Any] | None = None,
    **options: Any,
) -> Case:
    service = "dc" if mode.startswith("DC") else "ac"
    power_w = {"AC_three_phase_core": THREE_PHASES_W, "AC_single_phase_core": ONE_PHASE_W}.get(mode)
    options = {"loops": SHORT, "protocols": "din" if protocol == DIN else "iso2", **options}
    options |= {"service": service, "tls": tls, "peer": {"modes": [mode], **(peer or {})}}
    return Case(title, options, outcome, protocol, OURS, "in", power_w, expects or {"loops": SHORT})


def _combined(protocols: str, agreed: str, tls: str, supported: Sequence[str] = ()) -> Case:
    title = f"offers {protocols.replace(',', ', ')}, {security(tls)}"
    peer: dict[str, Any] = {"protocols": list(supported)} if supported else {}
    title += f", the charger supports {', '.join(supported)}" if supported else ""
    options = {"service": "dc", "control": "scheduled", "protocols": protocols, "loops": SHORT, "tls": tls}
    options["peer"] = {"power_w": CHARGE_W, "tls_1_3": tls == "1.3", **peer}
    return Case(title, options, f"agreed on {agreed}, charged", agreed, OURS, "in")


SERVICES = ("dc_bpt", "dc", "ac_bpt", "ac")
OUR_CARS = [_modern(service, control, "none") for service in SERVICES for control in CONTROLS]
OUR_CARS += [_modern("dc_bpt", "dynamic", "1.3"), _modern("ac_bpt", "scheduled", "1.3")]
OUR_CARS += [
    Case(
        "DC_BPT, authorization polls, Terminate notification",
        {
            "service": "dc_bpt",
            "loops": LONG,
            "peer": {"power_w": DISCHARGE_W, "terminate_after": 8, "authorization_polls": 3},
        },
        "four requests, ended as requested",
        DC,
        OURS,
        "out",
        expects={"authorizations": 4, "notified": ["Terminate"]},
    ),
    _older("DIN 70121, DC_extended, no TLS", DIN, "DC_extended"),
    _older("DIN 70121, DC_core, no TLS", DIN, "DC_core"),
    *(_older(f"ISO 15118-2, {mode}, no TLS", ISO2, mode) for mode in MODES),
    _older("ISO 15118-2, DC_extended, TLS 1.2", ISO2, "DC_extended", "1.2"),
    _older("ISO 15118-2, AC_three_phase_core, TLS 1.2", ISO2, "AC_three_phase_core", "1.2"),
    _older(
        "ISO 15118-2, DC_extended, three authorization polls, StopCharging",
        ISO2,
        "DC_extended",
        outcome="four requests, ended as requested",
        loops=LONG,
        peer={"terminate_after": 4, "authorization_polls": 3},
        expects={"authorizations": 4, "notified": ["Terminate"]},
    ),
    _older(
        "ISO 15118-2, AC_three_phase_core, StopCharging",
        ISO2,
        "AC_three_phase_core",
        outcome="ended as requested",
        loops=LONG,
        peer={"terminate_after": 6},
        expects={"notified": ["Terminate"]},
    ),
    _older(
        "DIN 70121, DC_extended, EVSE_Shutdown",
        DIN,
        "DC_extended",
        outcome="ended as requested",
        loops=LONG,
        peer={"terminate_after": 4},
        expects={"notified": ["Terminate"]},
    ),
    *(
        _older(
            f"ISO 15118-2, {mode}, the car renegotiates",
            ISO2,
            mode,
            outcome="charged, renegotiated, charged",
            at_loop={"2": "renegotiate"},
            expects={"renegotiated": 1, "loops": SHORT},
        )
        for mode in ("DC_extended", "AC_three_phase_core")
    ),
    *(
        _older(
            f"ISO 15118-2, {mode}, the charger requests renegotiation",
            ISO2,
            mode,
            outcome="charged, renegotiated, charged",
            loops=LOOPS,
            peer={"renegotiate_after": after},
            expects={"renegotiated": 1, "notified": ["ScheduleRenegotiation"], "loops": LOOPS},
        )
        for mode, after in (("DC_extended", 2), ("AC_three_phase_core", 4))
    ),
    *(
        case
        for mode in ("DC_extended", "AC_three_phase_core")
        for case in (
            _older(
                f"ISO 15118-2, {mode}, pause",
                ISO2,
                mode,
                outcome="charged, paused",
                at_loop={"2": "pause"},
                expects={"reason": "paused", "resumed": False},
            ),
            _older(
                f"ISO 15118-2, {mode}, resumes the paused session",
                ISO2,
                mode,
                outcome="old session joined, charged",
                resumes=True,
                expects={"resumed": True, "loops": SHORT},
            ),
        )
    ),
    _combined("iso20,iso2,din", DC, "none"),
    _combined("din,iso20,iso2", DIN, "none"),
    _combined("iso20,iso2,din", ISO2, "none", [ISO2, DIN]),
    _combined("iso20,iso2", DC, "1.3"),
    _combined("iso2,iso20", ISO2, "1.3"),
]


# ---------------------------------------------------------------------------------------------------- Josev's cars


def _their(service: str, control: str, tls: str = "none", found: str = "SDP", **options: Any) -> Case:
    bpt = "bpt" in service
    discharges = bpt and control == "dynamic"
    options = {"service": service.upper(), "control": CONTROLS[control], "loops": LOOPS, **options}
    if tls != "none":
        options["tls"] = tls
    outcome = "discharged" if discharges else "ended well"
    title = f"{service.upper()}, {control}, {security(tls)}, {found}"
    flow = "out" if discharges else "none"
    return Case(title, options, outcome, DC if service.startswith("dc") else AC, THEIRS, flow)


def _their_older(
    title: str, protocol: str, mode: str, tls: str = "none", *, outcome: str = "charged", flow: str = "in", **more: Any
) -> Case:
    expects = more.pop("expects", {})
    options = {"protocols": [protocol], "mode": mode, "loops": SHORT, **more}
    if tls != "none":
        options["tls"] = tls
    return Case(title, options, outcome, protocol, THEIRS, flow, CHARGE_W if flow == "in" else 0.0, expects)


def _their_combined(offered: list[str], agreed: str, tls: str) -> Case:
    title = f"offers {', '.join(offered)}, {security(tls)}"
    case = _their_older(title, agreed, "DC_extended", tls, outcome=f"agreed on {agreed}, charged")
    case.options["protocols"] = offered
    return case


DISCHARGING = [_their(service, control) for service in SERVICES for control in CONTROLS]
DISCHARGING += [
    _their("dc_bpt", "dynamic", found="fixed address"),
    _their("dc_bpt", "dynamic", "1.3"),
    _their("ac", "dynamic", "1.3"),
    Case(
        "DC_BPT, discharge limits stated as negative numbers",
        {"service": "DC_BPT", "control": CONTROLS["dynamic"], "loops": LOOPS, "discharge_sign": -1},
        "discharged",
        DC,
        THEIRS,
        "out",
    ),
    *(
        _their_older(f"{title}, negative set-point", protocol, "DC_extended", outcome="refused, no energy", flow="none")
        for title, protocol in (("ISO 15118-2", ISO2), ("DIN 70121", DIN))
    ),
]
CHARGING = [
    _their_older("DIN 70121, DC_extended, no TLS", DIN, "DC_extended"),
    *(_their_older(f"ISO 15118-2, {mode}, no TLS", ISO2, mode) for mode in MODES),
    _their_older("ISO 15118-2, DC_extended, TLS 1.2", ISO2, "DC_extended", "1.2"),
    _their_older("ISO 15118-2, AC_three_phase_core, TLS 1.2", ISO2, "AC_three_phase_core", "1.2"),
    _their_older(
        "ISO 15118-2, DC_extended, id of an unknown session",
        ISO2,
        "DC_extended",
        outcome="new session, charged",
        session_id="00112233445566AA",
    ),
    _their_combined([DIN, ISO2, DC], DIN, "none"),
    _their_combined([DC, ISO2, DIN], DC, "none"),
    _their_combined([ISO2, DC], ISO2, "1.3"),
    _their_combined([DC, ISO2], DC, "1.3"),
    _their_combined([DC, ISO2], ISO2, "1.2"),
]
STOPPED = [
    _their_older(f"{title}, the charger ends the session", protocol, mode, outcome="ended as requested", loops=LONG)
    for title, protocol, mode in (
        ("ISO 15118-2, DC_extended", ISO2, "DC_extended"),
        ("ISO 15118-2, AC_three_phase_core", ISO2, "AC_three_phase_core"),
        ("DIN 70121, DC_extended", DIN, "DC_extended"),
    )
]
RENEGOTIATED = [
    _their_older(
        "ISO 15118-2, AC_three_phase_core, the charger requests renegotiation",
        ISO2,
        "AC_three_phase_core",
        outcome="charged, renegotiated, charged",
        loops=8,
        expects={"exchanges": 2},
    ),
    _their_older(
        "ISO 15118-2, DC_extended, the charger requests renegotiation",
        ISO2,
        "DC_extended",
        outcome="charged; the peer does not react",
        loops=8,
        expects={"exchanges": 1},
    ),
]
THEIR_CARS = [*DISCHARGING, *CHARGING, *STOPPED, *RENEGOTIATED]
ROWS = [case.row for case in (*OUR_CARS, *THEIR_CARS)]
IN_EACH_RUN = frozenset(
    {
        f"{OURS}: {title}"
        for title in (
            "DC_BPT, dynamic, no TLS, SDP",
            "DC, scheduled, no TLS, SDP",
            "AC_BPT, dynamic, no TLS, SDP",
            "DC_BPT, dynamic, TLS 1.3, SDP",
            "DC_BPT, authorization polls, Terminate notification",
            "DIN 70121, DC_extended, no TLS",
            "ISO 15118-2, AC_three_phase_core, no TLS",
            "ISO 15118-2, DC_extended, TLS 1.2",
            "ISO 15118-2, AC_three_phase_core, the car renegotiates",
            "ISO 15118-2, DC_extended, pause",
            "ISO 15118-2, DC_extended, resumes the paused session",
            "offers din, iso20, iso2, no TLS",
        )
    }
    | {
        f"{THEIRS}: {title}"
        for title in (
            "DC_BPT, dynamic, no TLS, SDP",
            "AC_BPT, dynamic, no TLS, SDP",
            "DC_BPT, dynamic, no TLS, fixed address",
            "DC_BPT, dynamic, TLS 1.3, SDP",
            "ISO 15118-2, negative set-point",
            "DIN 70121, DC_extended, no TLS",
            "ISO 15118-2, AC_three_phase_core, no TLS",
            "ISO 15118-2, DC_extended, TLS 1.2",
            "ISO 15118-2, DC_extended, id of an unknown session",
            f"offers {DC}, {ISO2}, {DIN}, no TLS",
            "ISO 15118-2, DC_extended, the charger ends the session",
            "ISO 15118-2, AC_three_phase_core, the charger requests renegotiation",
        )
    }
)
for number, case in enumerate(THEIR_CARS):
    case.options["name"] = case.name
    case.options["evccid"] = f"02{number:010X}"


def of_this_run(cases: Sequence[Case]) -> list[Case]:
    """Return the sessions that run; `make soak` runs all."""
    return [case for case in cases if SOAK or case.row in IN_EACH_RUN]


def params(cases: Sequence[Case]) -> list[Any]:
    """Return the parameters of a test, the other sessions marked `soak`."""
    return [
        pytest.param(case, id=case.name, marks=() if case.row in IN_EACH_RUN else pytest.mark.soak) for case in cases
    ]
