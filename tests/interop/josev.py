"""Josev beside ours on one link: start of the four programs, the certificates it requires, passed cases."""

from __future__ import annotations

import json
import re
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from protocols.iso15118 import pki
from tests.interop.josev_deviations import DEVIATIONS
from tests.interop.sections import write_section
from tests.interop.veth_link import EV, SE, Link, Running
from tests.peers import JOSEV, ROOT, program, python_peer

VERSION = JOSEV[1].partition("==")[2]
READY_WITHIN = 180.0  # s; a JVM and two hundred modules on a busy machine
SESSION_WITHIN = 120.0  # s, of one session, with its repetitions: three of 30 s (`josev_ev.py`), and their ends
HERE = Path(__file__).parent
BRIEF_JVM = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xshare:auto"  # compiles once: half of the processor time
DOCUMENT = ROOT / "docs" / "interop.md"


def interpreter() -> Path:
    program("java", "default-jre-headless")
    return python_peer(*JOSEV)


def environment(certificates: Path, interface: str = SE) -> dict[str, str]:
    """Environment of the peer."""
    return {
        "PROTOCOLS": "ISO_15118_20_AC,ISO_15118_20_DC",
        "AUTH_MODES": "EIM",
        "NETWORK_INTERFACE": interface,
        "MESSAGE_LOG_JSON": "False",
        "PYTHONPATH": str(HERE),
        "PKI_PATH": f"{certificates}/",
        "JAVA_TOOL_OPTIONS": BRIEF_JVM,
    }


def certificates(directory: Path) -> tuple[Path, Path]:
    """Create test certificates; return their folder, and that of the same ones (P-256) under the peer's names."""
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
    """Return the text when `wanted` is in it."""
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

    def our_cars_at_their_charger(self, sessions: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """Run sessions of the emulated car; return their records by name."""
        options = self.directory / "charger.json"
        options.write_text("{}")
        charger = self.start_charger(SE, options)
        records = self.our_cars(sessions, options)
        charger.stop()
        return records

    def start_charger(self, interface: str, options: Path) -> Running:
        """Start Josev's charger, which reads `options` with every SDP request; it is ready."""
        charger = self._start(
            "charger", interpreter(), [HERE / "josev_secc.py", interface, options], environment(self.theirs)
        )
        until(charger.text, "READY", charger)
        return charger

    def start_tester(self, python: str, argv: Sequence[Path | str]) -> Running:
        """Start a program of this project."""
        return self._start("tester", python, argv, {})

    def our_cars(self, sessions: Sequence[dict[str, Any]], options: Path | None = None) -> dict[str, dict[str, Any]]:
        """Run sessions of the emulated car at the charger on the link; see `our_cars.py`."""
        file = options or self.directory / "unread.json"
        work = {"interface": EV, "pki": str(self.ours), "charger": str(file), "sessions": sessions}
        cars = self._start("cars", sys.executable, ["-m", "tests.interop.our_cars", json.dumps(work)], {})
        cars.wait(SESSION_WITHIN * len(sessions))
        lines = [json.loads(line) for line in cars.text().splitlines() if line.startswith("{")]
        assert len(lines) == len(sessions), cars.text()[-3000:]
        return {one["name"]: one for one in lines}

    def their_cars(self) -> TheirCars:
        """Start Josev's car, which then runs sessions one after the other."""
        environ = environment(self.theirs, EV)
        return TheirCars(self._start("cars", interpreter(), [HERE / "josev_ev.py"], environ, orders=True))

    def our_charger(self, **options: Any) -> Running:
        """Start the emulated charger; it has printed where it listens."""
        options = {"interface": SE, "pki_directory": str(self.ours), **options}
        work = ["-m", "tests.interop.our_charger", json.dumps(options)]
        running = self._start("charger", sys.executable, work, {})
        until(running.text, "Listening", running)
        return running

    def stop(self) -> None:
        for running in reversed(self._running):
            running.stop()

    def _start(
        self, name: str, python: Path | str, argv: Sequence[Path | str], env: dict[str, str], *, orders: bool = False
    ) -> Running:
        self._count += 1
        log = self.directory / f"{self._count:02}_{name}.log"
        running = self.link.start(python, *argv, log=log, env=env, orders=orders)
        self._running.append(running)
        return running


def listening(charger: Running) -> list[Any]:
    """Return the address and the port of an emulated charger."""
    ready = json.loads(charger.text().splitlines()[0])
    return [ready["address"].partition("%")[0], ready["port"]]


class TheirCars:
    """Josev's car. Its results are (protocol, "ok" or why it failed) by name."""

    def __init__(self, running: Running) -> None:
        self._running = running
        until(running.text, "READY", running)

    def run(self, sessions: Sequence[dict[str, Any]]) -> dict[str, tuple[str, str]]:
        """Run sessions; return the results."""
        for one in sessions:
            self._running.order(json.dumps({"interface": EV, **one}))
            until(self._running.text, f"RESULT {one['name']} ", self._running, SESSION_WITHIN)
        found = re.findall(r"^RESULT (\S+) (\S+) (.*)$", self._running.text(), re.MULTILINE)
        return {name: (protocol, result) for name, protocol, result in found}


@dataclass
class Served:
    """The last session of a car at the emulated charger. Power and energy at the grid side, + into the car."""

    targets_w: list[float] = field(default_factory=list)
    powers_w: list[float] = field(default_factory=list)
    energy_wh: float = 0.0
    exchanges: int = 0  # of needs and schedules
    refused: int = 0  # set-points
    ok: bool = False


def served(text: str) -> dict[str, Served]:
    """Return the sessions in the JSON lines of the emulated charger, by EVCCID."""
    sessions: dict[str, Served] = {}
    here, before = Served(), 0.0
    for line in text.splitlines():
        event: dict[str, Any] = json.loads(line) if line.startswith("{") else {"event": ""}
        match event["event"]:
            case "VehicleIdentified":
                here = sessions[event["evccid"]] = Served()
            case "NeedsStated":
                here.exchanges += 1
            case "SetpointRefused":
                here.refused += 1
            case "Measured":
                here.energy_wh += here.powers_w[-1] * (event["at"] - before) / 3600 if here.powers_w else 0.0
                here.targets_w.append(event["target_w"])
                here.powers_w.append(event["power_w"])
                before = event["at"]
            case "SessionEnded":
                here.ok = event["ok"]
    return sessions


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
        deviations = "\n".join(f"| {' | '.join(one)} |" for one in DEVIATIONS)
        write_section(DOCUMENT, TITLE, TEXT.format(version=VERSION, table=table, deviations=deviations))


TITLE = "ISO 15118-20, ISO 15118-2 and DIN 70121 with Josev (PyPI `iso15118`)"
TEXT = """Written by `tests/interop/test_josev.py` when all of its sessions have passed (`V2X_SOAK=1`); not by hand.

Version {version}, its own EXI codec (Java), over a veth pair; programs of their own on both sides. In each role one
charger serves all sessions on one port: three protocols, without TLS, with TLS 1.2 and with TLS 1.3. Figures in the
simulator of the peer that no car or charger has (20,000 V, 10 V) are replaced; its engine is as it comes. Other peers
(EVerest, hardware) were not at hand.

| session | passed |
|---|---|
{table}

### Where the peer deviates

| of the peer | why it is wrong | here |
|---|---|---|
{deviations}
"""
