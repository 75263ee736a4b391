"""Josev beside ours on one link: start of the four programs, the certificates it requires, passed cases."""

from __future__ import annotations

import json
import re
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from protocols.iso15118 import pki
from tests.interop.veth_link import EV, SE, Link, Running
from tests.peers import JOSEV, ROOT, program, python_peer

VERSION = JOSEV[1].partition("==")[2]
READY_WITHIN = 60.0  # s; a JVM and two hundred modules on a busy machine
HERE = Path(__file__).parent
DOCUMENT = ROOT / "docs" / "interop.md"


def interpreter() -> Path:
    program("java", "default-jre-headless")
    return python_peer(*JOSEV)


def environment(certificates: Path | None = None, interface: str = SE) -> dict[str, str]:
    """Environment of the peer."""
    values = {
        "PROTOCOLS": "ISO_15118_20_AC,ISO_15118_20_DC",
        "AUTH_MODES": "EIM",
        "NETWORK_INTERFACE": interface,
        "MESSAGE_LOG_JSON": "False",
        "PYTHONPATH": str(HERE),
    }
    if certificates is not None:
        values |= {"PKI_PATH": str(certificates) + "/", "ENABLE_TLS_1_3": "True"}
    return values


def certificates(directory: Path) -> tuple[Path, Path]:
    """Our test certificates, and the same ones under the names the peer looks for (P-256)."""
    ours, theirs = directory / "pki", directory / "josev"
    pki.create(ours)
    home = ours / "p256"
    public, private = theirs / "iso15118_2" / "certs", theirs / "iso15118_2" / "private_keys"
    public.mkdir(parents=True)
    private.mkdir(parents=True)
    for source, name in {
        "secc.pem": "cpoCertChain.pem",
        "v2g_root.pem": "v2gRootCACert.pem",
        "oem_root.pem": "oemRootCACert.pem",
        "vehicle.pem": "oemCertChain.pem",
    }.items():
        shutil.copy(home / source, public / name)
    for source, name in {"secc.key": "seccLeaf", "vehicle.key": "oemLeaf"}.items():
        shutil.copy(home / source, private / f"{name}.key")
        (private / f"{name}Password.txt").write_text("none")
    return ours, theirs


def until(text: Callable[[], str], wanted: str, running: Running, within: float = READY_WITHIN) -> str:
    """The text, once `wanted` is in it."""
    give_up = time.monotonic() + within
    while wanted not in text():
        assert running.process.poll() is None, f"ended early:\n{text()[-2000:]}"
        assert time.monotonic() < give_up, f"{wanted!r} did not come:\n{text()[-2000:]}"
        time.sleep(0.02)
    return text()


class Programs:
    """The four programs: their charger and car, the emulated charger and car, each in the namespace of `link`."""

    def __init__(self, link: Link, directory: Path) -> None:
        self.link = link
        self.directory = directory
        self.ours, self.theirs = certificates(directory)
        self._running: list[Running] = []
        self._count = 0

    def their_charger(self, **options: Any) -> Running:
        options = {"interface": SE, **options}
        return self._start(interpreter(), HERE / "josev_secc.py", options, environment(self.theirs))

    def their_car(self, sessions: list[dict[str, Any]]) -> Running:
        sessions = [{"interface": EV, **one} for one in sessions]
        return self._start(interpreter(), HERE / "josev_ev.py", sessions, environment(self.theirs, EV))

    def our_charger(self, **options: Any) -> tuple[Running, tuple[str, int]]:
        """And where it listens."""
        running = self._start(
            sys.executable, ["-m", "tests.interop.iso15118_program", "secc"], self._with_pki(options), {}
        )
        first = until(running.text, "Listening", running).splitlines()[0]
        ready = json.loads(first)
        return running, (ready["address"].partition("%")[0], ready["port"])

    def our_car(self, **options: Any) -> dict[str, Any]:
        """One session; its summary, and all its events under "events". The peer's codec is slow on a busy machine."""
        options = {"timeout_factor": 6.0, **options}
        running = self._start(
            sys.executable, ["-m", "tests.interop.iso15118_program", "ev"], self._with_pki(options), {}
        )
        running.wait(READY_WITHIN)
        lines = [json.loads(line) for line in running.text().splitlines() if line.startswith("{")]
        assert lines, running.text()
        assert lines[-1]["event"] == "Summary", running.text()[-2000:]
        return {**lines[-1], "events": lines}

    def stop(self) -> None:
        for running in reversed(self._running):
            running.stop()

    def _with_pki(self, options: dict[str, Any]) -> dict[str, Any]:
        return options | ({"pki_directory": str(self.ours)} if "tls_version" in options else {})

    def _start(self, python: Path | str, what: Any, options: Any, env: dict[str, str]) -> Running:
        self._count += 1
        argv = what if isinstance(what, list) else [what]
        log = self.directory / f"{self._count:02}.log"
        running = self.link.start(python, *argv, json.dumps(options), log=log, env=env)
        self._running.append(running)
        return running


def powers(text: str) -> dict[str, tuple[float, float]]:
    """Lowest and highest target power of each car's last session in the emulated charger's JSON lines, by EVCCID."""
    sessions: dict[str, list[float]] = {}
    here: list[float] = []
    for line in text.splitlines():
        event = json.loads(line) if line.startswith("{") else {}
        if event.get("event") == "VehicleIdentified":
            here = sessions[event["evccid"]] = [0.0]
        elif event.get("event") == "Measured":
            here.append(event["target_w"])
    return {evccid: (min(one), max(one)) for evccid, one in sessions.items()}


def results(text: str) -> dict[str, str]:
    """Return the results that `josev_ev.py` reported of its sessions, by name."""
    return dict(re.findall(r"^RESULT (\S+) (.*)$", text, re.MULTILINE))


class Matrix:
    """Passed combinations, written to `docs/interop.md` when every row of it was run."""

    def __init__(self, rows: list[str]) -> None:
        self._rows = rows
        self._passed: dict[str, str] = {}

    def passed(self, row: str, what: str) -> None:
        self._passed[row] = what

    def write(self) -> None:
        if set(self._passed) != set(self._rows):
            return
        table = "\n".join(f"| {row} | {self._passed[row]} |" for row in self._rows)
        text = (
            "# Interoperability\n\n"
            "Written by `tests/interop/test_josev.py` when all of its sessions have passed; not by hand.\n\n"
            "## ISO 15118-20 with Josev (PyPI `iso15118`)\n\n"
            f"Version {VERSION}, its own EXI codec (Java), over a veth pair; programs of their own on both sides.\n"
            "Figures in its simulator that no car or charger has (20,000 V, 10 V) are replaced; its engine is as it\n"
            "comes. Other peers (EVerest, hardware) were not at hand.\n\n"
            "| session | passed |\n|---|---|\n"
            f"{table}\n"
        )
        DOCUMENT.parent.mkdir(exist_ok=True)
        if not DOCUMENT.exists() or DOCUMENT.read_text() != text:
            DOCUMENT.write_text(text)
