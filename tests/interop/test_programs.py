"""`v2x secc` and `v2x ev` as programs of their own: SDP on a link, TLS in both profiles, fixed addresses, Ctrl-C."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway.cli.main import app
from protocols.iso15118 import pki
from tests.interop.josev import until
from tests.interop.veth_link import EV, SE, Link, Running, veth_link
from tests.peers import ROOT

V2X = [sys.executable, "-m", "gateway.cli"]
WITHIN = 40.0  # s, on a busy machine


@pytest.fixture(scope="module")
def link() -> Iterator[Link]:
    with veth_link() as link:
        yield link


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("pki")
    assert len(pki.create(directory)) == 60
    return directory


def events(running: Running) -> list[dict[str, Any]]:
    return [json.loads(line) for line in running.text().splitlines() if line.startswith("{")]


@pytest.mark.parametrize(
    "security", [[], ["--tls", "1.3", "--tls-profile", "strict"], ["--tls", "1.3", "--tls-profile", "interop"]]
)
def test_a_car_finds_its_charger_and_discharges(
    security: list[str], link: Link, certificates: Path, tmp_path: Path
) -> None:
    if security:
        security = [*security, "--pki", str(certificates)]
    options = ["--interface", SE, "--power-w", "-3000", "--sessions", "1", "--json", *security]
    secc = link.start(*V2X, "secc", *options, log=tmp_path / "secc")
    try:
        until(secc.text, "Listening", secc)
        ev = link.start(*V2X, "ev", "--interface", EV, "--loops", "5", "--json", *security, log=tmp_path / "ev")
        assert ev.wait(WITHIN) == 0, ev.text()[-2000:]
        assert secc.wait(WITHIN) == 0, secc.text()[-2000:]
    finally:
        secc.stop()
    summary = events(ev)[-1]
    assert summary["event"] == "Summary"
    assert summary["loops"] == 5
    assert summary["energy_out_wh"] > 0
    measured = [event for event in events(secc) if event["event"] == "Measured"]
    assert measured[-1]["target_w"] == -3000


def test_a_car_with_the_wrong_certificates_is_rejected(link: Link, certificates: Path, tmp_path: Path) -> None:
    strangers = tmp_path / "pki"
    pki.create(strangers)
    tls = ["--tls", "1.3", "--tls-profile", "strict", "--json"]
    secc = link.start(*V2X, "secc", "--interface", SE, *tls, "--pki", certificates, log=tmp_path / "secc")
    try:
        until(secc.text, "Listening", secc)
        ev = link.start(*V2X, "ev", "--interface", EV, *tls, "--pki", strangers, log=tmp_path / "ev")
        assert ev.wait(WITHIN) == 1
        assert "TLS" in ev.text()
        assert "Traceback" not in ev.text() + secc.text()
    finally:
        secc.stop()


def test_no_response(link: Link, tmp_path: Path) -> None:
    ev = link.start(*V2X, "ev", "--interface", EV, log=tmp_path / "ev")
    assert ev.wait(WITHIN) == 1
    assert "no charger responds" in ev.text()


def test_ctrl_c_ends_both_in_order(tmp_path: Path) -> None:
    secc = _program(["secc", "--listen", "[::1]:0", "--power-w", "-3000", "--json"], tmp_path / "secc")
    ev: Running | None = None
    try:
        port = json.loads(until(secc.text, "Listening", secc).splitlines()[0])["port"]
        ev = _program(["ev", "--connect", f"[::1]:{port}", "--json"], tmp_path / "ev")
        until(ev.text, "ChargeLoopAnswered", ev)
        ev.process.send_signal(signal.SIGINT)
        assert ev.wait(WITHIN) == 0, ev.text()[-2000:]
        until(secc.text, "SessionEnded", secc)
        secc.process.send_signal(signal.SIGINT)
        assert secc.wait(WITHIN) == 0, secc.text()[-2000:]
    finally:
        for running in (ev, secc):
            if running is not None:
                running.stop()
    assert events(ev)[-1]["ok"]
    ended = [event for event in events(secc) if event["event"] == "SessionEnded"]
    assert [event["ok"] for event in ended] == [True]


def test_ctrl_c_at_the_charger_requests_the_end_of_the_session(tmp_path: Path) -> None:
    secc = _program(["secc", "--listen", "[::1]:0", "--json"], tmp_path / "secc")
    ev: Running | None = None
    try:
        port = json.loads(until(secc.text, "Listening", secc).splitlines()[0])["port"]
        ev = _program(["ev", "--connect", f"[::1]:{port}", "--json"], tmp_path / "ev")
        until(ev.text, "ChargeLoopAnswered", ev)
        secc.process.send_signal(signal.SIGINT)
        assert ev.wait(WITHIN) == 0, ev.text()[-2000:]
        assert secc.wait(WITHIN) == 0, secc.text()[-2000:]
    finally:
        for running in (ev, secc):
            if running is not None:
                running.stop()
    assert any(event["event"] == "Notified" for event in events(ev))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["ev"], "the address of a charger or the interface"),
        (["ev", "--connect", "nowhere"], "not [ADDRESS]:PORT"),
        (["ev", "--connect", "[::1]:9", "--service", "petrol"], "unknown service"),
        (["ev", "--connect", "[::1]:9", "--control", "remote"], "unknown control mode"),
        (["ev", "--connect", "[::1]:9", "--tls", "1.3"], "certificates"),
        (["ev", "--connect", "[::1]:9", "--tls", "1.3", "--pki", "nowhere"], "nowhere"),
        (["ev", "--connect", "[::1]:9", "--tls", "1.2"], "needs --tls 1.3"),
        (["secc", "--listen", "[::1]:0", "--tls", "1.2"], "needs --tls 1.3"),
        (["secc"], "an address to listen on or an interface"),
        (["secc", "--interface", "nosuchlink"], "nosuchlink"),
        (["secc", "--listen", "[::1]:99999"], "not [ADDRESS]:PORT"),
    ],
)
def test_wrong_options_are_named(options: list[str], message: str) -> None:
    if "--tls" in options:  # the program starts itself again, with a configuration of OpenSSL
        ended = subprocess.run([*V2X, *options], capture_output=True, text=True, cwd=ROOT, timeout=WITHIN, check=False)
        assert ended.returncode == 2, ended.stderr
        assert message in ended.stderr
        assert "Traceback" not in ended.stderr
        return
    done = CliRunner().invoke(app, options)
    assert done.exit_code == 2, done.output
    assert message in done.output
    assert isinstance(done.exception, SystemExit)


def test_a_charger_that_is_not_there() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
        port = server.getsockname()[1]
    argv = [*V2X, "ev", "--connect", f"[::1]:{port}", "--json"]
    done = subprocess.run(argv, capture_output=True, text=True, cwd=ROOT, timeout=WITHIN, check=False)
    assert done.returncode == 1
    assert "cannot connect" in done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["ok"] is False


def _program(options: list[str], log: Path) -> Running:
    with log.open("w") as file:
        process = subprocess.Popen(
            [*V2X, *options], stdout=file, stderr=subprocess.STDOUT, cwd=ROOT, start_new_session=True
        )
    return Running(process, log)
