"""The PyPI package pyslac as EVSE against our vehicle on a veth pair, with emulated modems.

pyslac expects a modem behind its interface: either the one that `v2x slac --modem emulated` gives to a foreign host at
the other end, or `v2x slac --role modem` between two veth pairs.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.interop.josev import until
from tests.interop.veth_link import EV, SE, Link, Running, veth_link
from tests.peers import python_peer
from tests.rounds import some

PYSLAC = ("pyslac", "pyslac==0.8.3", "marshmallow<4", "setuptools<81")
HOST, HOST_MODEM = "v2xhost", "v2xmodem"
V2X = (sys.executable, "-m", "gateway.cli", "slac")
SCRIPT = Path(__file__).parent / "pyslac_evse.py"
WITHIN = 60.0  # s
PROFILES = ["ioniq", "standard", "tesla", "vw-meb", "big-name"]

pytestmark = [pytest.mark.peer, pytest.mark.timeout(180)]


def interpreter() -> Path:
    """Return the interpreter of the environment of pyslac."""
    return python_peer(*PYSLAC)


def mac(link: Link, interface: str) -> str:
    """Return the address of an interface."""
    shown = subprocess.run(
        link.command("ip", "-json", "link", "show", interface), check=True, capture_output=True, text=True
    )
    found: str = json.loads(shown.stdout)[0]["address"]
    return found.replace(":", "")


def our_vehicle(link: Link, profile: str, log: Path) -> Running:
    """Start our vehicle."""
    options = ("--modem", "emulated", "--profile", profile, "--attenuation-db", "12", "--stay-s", "0.2", "--json")
    return link.start(*V2X, "--role", "ev", "--interface", EV, *options, log=log)


def verify(link: Link, ev: Running, evse: Running) -> None:
    """Assert that both sides report the same matching."""
    assert ev.wait(WITHIN) == 0, ev.text() + evse.text()
    events = {one["event"]: one for one in map(json.loads, ev.text().splitlines())}
    nid, vehicle, sounds = until(evse.text, "RESULT", evse).partition("RESULT ")[2].split()[:3]
    assert events["Matched"]["nid"] == nid.upper()
    assert vehicle == mac(link, EV)
    assert events["AttenuationReported"]["mean_db"] == pytest.approx(12.0)
    assert events["AttenuationReported"]["sounds"] == int(sounds) == 10


@pytest.mark.parametrize("profile", some(PROFILES, every=5))
def test_pyslac_as_evse(profile: str, tmp_path: Path) -> None:
    """The vehicle begins before pyslac has its key, and tries until there is an answer."""
    interpreter()
    with veth_link() as link:
        ev = our_vehicle(link, profile, tmp_path / "ev.log")
        until(ev.text, "Listening", ev)
        evse = link.start(interpreter(), SCRIPT, SE, log=tmp_path / "evse.log")
        try:
            verify(link, ev, evse)
        finally:
            for running in (ev, evse):
                running.stop()


@pytest.mark.soak
def test_pyslac_behind_a_modem_of_its_own(tmp_path: Path) -> None:
    interpreter()
    with veth_link() as link:
        for words in (("add", HOST, "type", "veth", "peer", "name", HOST_MODEM), ("set", HOST, "up")):
            subprocess.run(link.command("ip", "link", *words), check=True)
        subprocess.run(link.command("ip", "link", "set", HOST_MODEM, "up"), check=True)
        between = ("--interface", SE, "--host", HOST_MODEM, "--attenuation-db", "12")
        modem = link.start(*V2X, "--role", "modem", *between, log=tmp_path / "modem.log")
        until(modem.text, "modem", modem)
        evse = link.start(interpreter(), SCRIPT, HOST, log=tmp_path / "evse.log")
        try:
            until(evse.text, "READY", evse)
            verify(link, our_vehicle(link, "standard", tmp_path / "ev.log"), evse)
        finally:
            for running in (evse, modem):
                running.stop()
