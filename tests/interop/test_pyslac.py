"""The PyPI package pyslac as EVSE against our vehicle: a veth pair as the line, an emulated modem at each host.

pyslac expects one modem behind its interface, which `v2x slac --role modem` emulates between two veth pairs.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.josev import until
from tests.interop.veth_link import EV, SE, Link, veth_link
from tests.peers import python_peer
from tests.rounds import some

PYSLAC = ("pyslac", "pyslac==0.8.3", "marshmallow<4", "setuptools<81")
HOST, HOST_MODEM = "v2xhost", "v2xmodem"
V2X = (sys.executable, "-m", "gateway.cli", "slac")
SCRIPT = Path(__file__).parent / "pyslac_evse.py"
WITHIN = 60.0  # s

pytestmark = [pytest.mark.peer, pytest.mark.timeout(180)]


def interpreter() -> Path:
    """Return the interpreter of the environment of pyslac."""
    return python_peer(*PYSLAC)


@pytest.fixture
def link() -> Iterator[Link]:
    """The line, and a second pair between pyslac and its modem."""
    interpreter()
    with veth_link() as link:
        for words in (
            ("link", "add", HOST, "type", "veth", "peer", "name", HOST_MODEM),
            ("link", "set", HOST, "up"),
            ("link", "set", HOST_MODEM, "up"),
        ):
            subprocess.run(link.command("ip", *words), check=True)
        yield link


def mac(link: Link, interface: str) -> str:
    shown = subprocess.run(
        link.command("ip", "-json", "link", "show", interface), check=True, capture_output=True, text=True
    )
    found: str = json.loads(shown.stdout)[0]["address"]
    return found.replace(":", "")


@pytest.mark.parametrize("profile", some(["ioniq", "standard", "tesla", "vw-meb", "big-name"], every=5))
def test_pyslac_as_evse(link: Link, profile: str, tmp_path: Path) -> None:
    modem = link.start(
        *V2X, "--role", "modem", "--interface", SE, "--host", HOST_MODEM, "--attenuation-db", "12",
        log=tmp_path / "modem.log",
    )  # fmt: skip
    until(modem.text, "modem", modem)
    evse = link.start(interpreter(), SCRIPT, HOST, log=tmp_path / "evse.log")
    try:
        until(evse.text, "READY", evse)
        ev = link.start(
            *V2X, "--role", "ev", "--interface", EV, "--modem", "emulated", "--profile", profile, "--stay-s",
            "0.2", "--json",
            log=tmp_path / "ev.log",
        )  # fmt: skip
        assert ev.wait(WITHIN) == 0, ev.text() + evse.text()
        events = {one["event"]: one for one in map(json.loads, ev.text().splitlines())}
        nid, vehicle, sounds = until(evse.text, "RESULT", evse).partition("RESULT ")[2].split()[:3]
    finally:
        for running in (evse, modem):
            running.stop()
    assert events["Matched"]["nid"] == nid.upper()
    assert vehicle == mac(link, EV)
    assert events["AttenuationReported"]["mean_db"] == pytest.approx(12.0)
    assert events["AttenuationReported"]["sounds"] == int(sounds) == 10
