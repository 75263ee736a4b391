"""Emulated car at Josev's charger, Josev's car at the emulated charger: all services, control modes, transports."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.interop import josev
from tests.interop.veth_link import EV, SE, veth_link

pytestmark = [pytest.mark.peer, pytest.mark.timeout(240)]

SERVICES = ("dc_bpt", "dc", "ac_bpt", "ac")
CONTROLS = ("dynamic", "scheduled")
CONTROL_MODES = {"scheduled": 1, "dynamic": 2}
LOOPS = 6
FIXED_PORT = 61234
POWER_W = -3000

OUR_CHARGER: dict[str, Any] = {
    "interface": SE,
    "power_w": POWER_W,
    "cable_check_s": 0.2,
    "services": "dc,dc_bpt,ac,ac_bpt",
    "loop_timeout_s": 5,  # the peer's codec is slow on a busy machine
}

OUR_CAR = [(service, control, "none", "SDP") for service in SERVICES for control in CONTROLS]
OUR_CAR += [("dc_bpt", "dynamic", "TLS 1.3", "SDP"), ("ac_bpt", "scheduled", "TLS 1.3", "SDP")]
THEIR_CAR = [(service, control, "none", "SDP") for service in SERVICES for control in CONTROLS]
THEIR_CAR += [("dc_bpt", "dynamic", "none", "fixed address")]
THEIR_TLS = [("dc_bpt", "dynamic", "TLS 1.3", "SDP"), ("ac", "dynamic", "TLS 1.3", "SDP")]


def row(side: str, case: tuple[str, str, str, str]) -> str:
    service, control, tls, found = case
    security = "no TLS" if tls == "none" else tls
    return f"{side}: {service.upper()}, {control}, {security}, {found}"


OURS, THEIRS = "emulated car, Josev's charger", "Josev's car, emulated charger"
POLLED = f"{OURS}: DC_BPT, authorization polls, Terminate notification, fixed address"
NEGATIVE = f"{THEIRS}: DC_BPT, discharge limits stated as negative numbers"
ROWS = [row(OURS, one) for one in OUR_CAR] + [POLLED]
ROWS += [row(THEIRS, one) for one in (*THEIR_CAR, *THEIR_TLS)] + [NEGATIVE]


@contextmanager
def lab(directory: Path) -> Iterator[josev.Programs]:
    """A link of its own: one charger answers on it."""
    josev.interpreter()
    with veth_link() as link:
        programs = josev.Programs(link, directory)
        try:
            yield programs
        finally:
            programs.stop()


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[josev.Programs]:
    with lab(tmp_path_factory.mktemp("josev")) as programs:
        yield programs


@pytest.fixture(scope="module")
def matrix() -> Iterator[josev.Matrix]:
    matrix = josev.Matrix(ROWS)
    yield matrix
    matrix.write()


@pytest.fixture(scope="module")
def their_charger(programs: josev.Programs) -> None:
    running = programs.their_charger(power_w=POWER_W)
    josev.until(running.text, "READY", running)


def name(case: tuple[str, str, str, str]) -> str:
    return "-".join(case).replace(" ", "_")


@pytest.mark.parametrize("case", OUR_CAR, ids=name)
def test_this_ev_at_the_peers_charger(
    case: tuple[str, str, str, str], programs: josev.Programs, their_charger: None, matrix: josev.Matrix
) -> None:
    service, control, tls, _ = case
    options: dict[str, Any] = {"interface": EV, "service": service, "control": control, "loops": LOOPS}
    if tls != "none":
        options |= {"tls_version": "1.3", "tls_profile": "interop"}
    ended = programs.our_car(**options)
    assert ended["ok"], ended["events"][-3:]
    assert ended["loops"] == LOOPS
    outcome = "ended well"
    if control == "dynamic" and "bpt" in service:
        assert ended["energy_out_wh"] > 0
        outcome = "discharged"
    if control == "scheduled" and "dc" in service:  # AC: the peer states a target against its own schedule
        assert ended["energy_in_wh"] > 0
        outcome = "charged by schedule"
    matrix.passed(row(OURS, case), outcome)


def test_this_ev_follows_a_terminate_of_the_peer(programs: josev.Programs, matrix: josev.Matrix) -> None:
    running = programs.their_charger(
        power_w=POWER_W, port=FIXED_PORT, terminate_after=8, authorization_polls=3, interface=SE
    )
    text = josev.until(running.text, "READY", running)
    address = text.partition("READY [")[2].partition("%")[0]
    ended = programs.our_car(connect=f"[{address}%{EV}]:{FIXED_PORT}", trace=True)
    assert ended["ok"], ended["events"][-3:]
    assert any(one["event"] == "Notified" and one["notification"] == "Terminate" for one in ended["events"])
    polls = [
        one
        for one in ended["events"]
        if one["event"] == "MessageSent" and "SelectedAuthorizationService" in one["message"]
    ]
    assert len(polls) == 4
    matrix.passed(POLLED, "four requests, ended as requested")


@pytest.fixture(scope="module")
def their_sessions(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], dict[str, tuple[float, float]]]:
    """All sessions of their car without TLS, in one go."""
    with lab(tmp_path_factory.mktemp("theirs")) as programs:
        charger, (address, port) = programs.our_charger(**OUR_CHARGER)
        sessions = [_their(case) | ({"connect": [address, port]} if case[3] != "SDP" else {}) for case in THEIR_CAR]
        sessions.append(_their(THEIR_CAR[0]) | {"name": "negative", "discharge_sign": -1})
        running = programs.their_car(sessions)
        running.wait(210)
        return josev.results(running.text()), josev.powers(charger.text())


@pytest.fixture(scope="module")
def their_tls_sessions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    with lab(tmp_path_factory.mktemp("tls")) as programs:
        programs.our_charger(**OUR_CHARGER, tls_version="1.3", tls_profile="interop")
        running = programs.their_car([_their(case) | {"tls": True} for case in THEIR_TLS])
        running.wait(90)
        return josev.results(running.text())


def _their(case: tuple[str, str, str, str]) -> dict[str, Any]:
    service, control, _, _ = case
    return {"name": name(case), "service": service.upper(), "control": CONTROL_MODES[control], "loops": LOOPS}


@pytest.mark.parametrize("case", THEIR_CAR, ids=name)
def test_the_peers_ev_at_this_charger(
    case: tuple[str, str, str, str],
    their_sessions: tuple[dict[str, str], dict[str, tuple[float, float]]],
    matrix: josev.Matrix,
) -> None:
    ended, powers = their_sessions
    assert ended.get(name(case)) == "ok", ended
    discharges = "bpt" in case[0] and case[1] == "dynamic"
    lowest, highest = powers[name(case)]
    assert (lowest, highest) == ((POWER_W, 0) if discharges else (0, 0))
    matrix.passed(row(THEIRS, case), "discharged" if discharges else "ended well")


def test_the_peers_ev_states_negative_discharge_limits(
    their_sessions: tuple[dict[str, str], dict[str, tuple[float, float]]], matrix: josev.Matrix
) -> None:
    ended, powers = their_sessions
    assert ended.get("negative") == "ok", ended
    assert powers["negative"][0] == POWER_W
    matrix.passed(NEGATIVE, "discharged")


@pytest.mark.parametrize("case", THEIR_TLS, ids=name)
def test_the_peers_ev_at_this_charger_over_tls(
    case: tuple[str, str, str, str], their_tls_sessions: dict[str, str], matrix: josev.Matrix
) -> None:
    assert their_tls_sessions.get(name(case)) == "ok", their_tls_sessions
    matrix.passed(row(THEIRS, case), "ended well")


def test_the_certificates_the_peer_gets_are_ours(programs: josev.Programs) -> None:
    theirs: Path = programs.theirs / "iso15118_2" / "certs"
    assert (theirs / "cpoCertChain.pem").read_bytes() == (programs.ours / "p256" / "secc.pem").read_bytes()
