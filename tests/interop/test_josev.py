"""Emulated car at Josev's charger, Josev's car at the emulated charger: protocols, services, control modes, TLS."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.interop import josev
from tests.interop.josev_cases import (
    AC,
    CHARGE_W,
    CHARGING,
    DISCHARGE_W,
    DISCHARGING,
    NAMESPACES,
    OUR_CARS,
    RENEGOTIATED,
    ROWS,
    STOPPED,
    THEIR_CARS,
    TLS,
    Case,
    of_this_run,
    params,
)
from tests.interop.veth_link import veth_link
from tests.rounds import SOAK

pytestmark = [pytest.mark.peer, pytest.mark.timeout(1800 if SOAK else 300)]

CHARGER: dict[str, Any] = {
    "tls_version": "allow",
    "cable_check_s": 0.2,
    "services": "dc,dc_bpt,ac,ac_bpt",
    "loop_timeout_s": 5,  # the peer's codec is slow on a busy machine
}
STOPS_AFTER = 3  # loops
Ended = tuple[dict[str, tuple[str, str]], dict[str, josev.Served]]


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
def matrix() -> Iterator[josev.Matrix]:
    matrix = josev.Matrix(ROWS)
    yield matrix
    matrix.write()


@pytest.fixture(scope="module")
def our_sessions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """All sessions of the emulated car at one charger of the peer."""
    with lab(tmp_path_factory.mktemp("ours")) as programs:
        return programs.our_cars_at_their_charger(
            [{"name": case.name, **case.options} for case in of_this_run(OUR_CARS)]
        )


@pytest.fixture(scope="module")
def their_sessions(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """All sessions of the peer's car, at emulated chargers with different set-points and notifications."""
    with lab(tmp_path_factory.mktemp("theirs")) as programs:
        cars = programs.their_cars()
        ended: dict[str, tuple[str, str]] = {}
        served: dict[str, josev.Served] = {}
        for options, cases in (
            ({"power_w": DISCHARGE_W}, DISCHARGING),
            ({"power_w": CHARGE_W}, CHARGING),
            ({"power_w": CHARGE_W, "terminate_after_loops": STOPS_AFTER}, STOPPED),
            ({"power_w": CHARGE_W, "renegotiate_after_loops": STOPS_AFTER}, RENEGOTIATED),
        ):
            charger = programs.our_charger(**CHARGER, **options)
            address = {"connect": josev.listening(charger)}
            ended |= cars.run(
                [case.options | (address if "fixed" in case.title else {}) for case in of_this_run(cases)]
            )
            charger.stop()
            served |= josev.served(charger.text())
        return ended, served


@pytest.mark.parametrize("case", params(OUR_CARS))
def test_this_ev_at_the_peers_charger(
    case: Case, our_sessions: dict[str, dict[str, Any]], matrix: josev.Matrix
) -> None:
    ended = our_sessions[case.name]
    assert ended["ok"], ended
    assert ended["protocol"] == NAMESPACES[case.protocol]
    assert ended["tls"] == TLS[case.options.get("tls", "none")]
    assert {name: ended[name] for name in case.expects} == case.expects
    assert ended["violations"] == []
    if case.flow == "in":
        assert ended["energy_in_wh"] > 0.1
        assert ended["energy_out_wh"] == 0.0
    if case.flow == "out":
        assert ended["energy_out_wh"] > 0.1
    if case.power_w is not None:
        assert ended["mean_w"] == pytest.approx(case.power_w, rel=0.3)
    matrix.passed(case.row, case.outcome)


@pytest.mark.parametrize("case", params(THEIR_CARS))
def test_the_peers_ev_at_this_charger(case: Case, their_sessions: Ended, matrix: josev.Matrix) -> None:
    ended, served = their_sessions
    assert ended[case.name] == (case.protocol, "ok")
    modern = case.protocol.startswith("ISO_15118_20")
    session = served[case.name if modern else case.options["evccid"]]
    lowest, highest = min(session.targets_w), max(session.targets_w)
    if case.flow == "out":
        assert (lowest, highest) == (DISCHARGE_W, DISCHARGE_W)
        assert session.energy_wh < 0.0 or case.protocol == AC  # see the deviations of the peer
        assert min(session.powers_w) >= 1.05 * DISCHARGE_W
    elif case.flow == "in":
        assert lowest >= 0.0
        assert highest == pytest.approx(CHARGE_W, rel=0.02)
        assert session.energy_wh > 0.0 or len(session.powers_w) <= 4  # power flows in the fourth loop, energy follows
        assert 0.0 <= min(session.powers_w) <= max(session.powers_w) <= 1.05 * CHARGE_W
    else:
        assert (lowest, highest) == (0.0, 0.0)
        assert session.energy_wh == 0.0
        assert (session.refused > 0) is not modern
    if case in STOPPED:
        assert STOPS_AFTER <= len(session.targets_w) < case.options["loops"] / 2
    assert {name: getattr(session, name) for name in case.expects} == case.expects
    matrix.passed(case.row, case.outcome)
