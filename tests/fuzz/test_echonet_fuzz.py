"""Coverage-guided fuzzing of ECHONET Lite frames, engine and emulated box: seconds here, ten minutes in the soak."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from protocols.echonet.frames import CONTROLLER, NODE_PROFILE, Eoj, Esv, Frame, Property
from tests.peers import absent
from tests.protocols.echonet.captured import BATTERY_ANSWER

HERE = Path(__file__).resolve().parent
SECONDS, SOAK_SECONDS = 2, int(os.environ.get("V2X_SOAK_SECONDS", "600"))
START_WITHIN = 60  # s, for imports under instrumentation
BOX, BATTERY = Eoj(2, 0x7E), Eoj(2, 0x7D)
OTHERS = (BATTERY, Eoj(2, 0x79), Eoj(2, 0x87), Eoj(2, 0x88), Eoj(2, 0xA5))


def seeds() -> list[bytes]:
    """Return sequences of datagrams as inputs."""
    frames = [Frame(1, CONTROLLER, BOX, esv, (Property(0xDA, b"\x43"), Property(0xE4))) for esv in Esv]
    frames += [Frame(4, CONTROLLER, eoj, Esv.GET, tuple(map(Property, range(0x80, 0xF0)))) for eoj in (*OTHERS, BOX)]
    frames += [Frame(5, CONTROLLER, BATTERY, Esv.SETC, (Property(0xDA, bytes((mode,))),)) for mode in range(0x41, 0x4A)]
    frames.append(Frame(2, NODE_PROFILE, NODE_PROFILE, Esv.INF, (Property(0xD5, b"\1\2\x7d\2"),)))
    frames.append(Frame(3, CONTROLLER, BOX, Esv.SETGET, (Property(0xEC, bytes(4)),), (Property(0xD3), Property(0x9F))))
    datagrams = [BATTERY_ANSWER, *(one.encode() for one in frames)]
    one_each = [bytes((len(one), 1)) + one + bytes(2) for one in datagrams]
    return [bytes((limited,)) + one for limited in (0, 1) for one in (*one_each, b"".join(one_each))]


def fuzz(seconds: int, home: Path) -> None:
    """Run the fuzzer in a process of its own; its corpus begins with every service."""
    if importlib.util.find_spec("atheris") is None:
        absent("atheris is not installed")
    corpus = home / "corpus"
    corpus.mkdir()
    for index, data in enumerate(seeds()):
        (corpus / f"{index:04}").write_bytes(data)
    options = [f"-max_total_time={seconds}", "-max_len=2048", "-rss_limit_mb=2048", "-timeout=20"]
    command = [sys.executable, str(HERE / "echonet_target.py"), *options, f"-artifact_prefix={home}/", str(corpus)]
    place = {**os.environ, "PYTHONPATH": str(HERE.parent.parent)}
    done = subprocess.run(
        command, env=place, capture_output=True, text=True, timeout=seconds + START_WITHIN, check=False
    )
    found = [f"{path.name}: {path.read_bytes().hex()}" for path in home.iterdir() if path.is_file()]
    assert done.returncode == 0, "\n".join([done.stderr[-3000:], *found])


@pytest.mark.timeout(120)
def test_no_datagram_breaks_a_node(tmp_path: Path) -> None:
    fuzz(SECONDS, tmp_path)


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_no_datagram_breaks_a_node_in_ten_minutes(tmp_path: Path) -> None:
    fuzz(SOAK_SECONDS, tmp_path)
