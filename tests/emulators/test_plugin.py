"""The pytest plugin as its users have it: a sample repository, and what a failing test prints."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SAMPLE = Path(__file__).parents[2] / "examples" / "vendor-ci"

FAILING = """
import pytest

def test_wrong(v2x_ev, v2x_clock):
    v2x_clock.advance(5)
    assert v2x_ev.soc_pct == 12

@pytest.mark.v2x(seed=77, cars={"a": "id-77", "b": "lfp-50"}, chargers=2, ocpp="2.1", site="store")
async def test_right(v2x_site, v2x_clock, v2x_broker, v2x_gateway, v2x_charger, v2x_world):
    await v2x_clock.sleep(3)
    assert v2x_clock.now() >= 3 and v2x_site.balance.load_w > 5000
    assert list(v2x_world.cars) == ["a", "b"] and v2x_charger.online
    assert "gw1" in v2x_broker.clients() and v2x_gateway.core.evses()

@pytest.mark.v2x(planet="mars")
def test_mark(v2x_clock):
    pass
"""


def run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """pytest in a process of its own, with nothing of this repository's settings."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, env=env, check=False)


@pytest.mark.timeout(300)
def test_a_hardware_vendors_repository_passes(tmp_path: Path) -> None:
    done = run(SAMPLE, "-q", "--v2x-artifacts", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "v2x_seed" in (tmp_path / "junit.xml").read_text()
    kept = {path.suffix for path in tmp_path.iterdir()}
    assert {".jsonl", ".json", ".pcap", ".xml"} <= kept


def test_a_failure_prints_its_seed_and_a_wrong_mark_is_named(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(FAILING)
    done = run(tmp_path, "-q", "--v2x-seed", "5", "--v2x-artifacts", str(tmp_path / "kept"))
    assert done.returncode == 1
    assert "1 failed, 1 passed, 1 error" in done.stdout
    assert "seed 5; repeat with: pytest --v2x-seed 5 'test_it.py::test_wrong'" in done.stdout
    assert "the mark v2x knows no planet" in done.stdout
    assert list((tmp_path / "kept").glob("*.pcap"))


def test_a_capture_can_be_read_back(tmp_path: Path) -> None:
    from emulators.pcap import Capture

    capture = Capture()
    capture.add(1.5, "ev", b"\x01\xfe\x80\x01")
    capture.add(2.25, "secc", b"answer" * 20_000)
    path = tmp_path / "x.pcap"
    capture.write(path)
    data = path.read_bytes()
    assert data[:4] == b"\xd4\xc3\xb2\xa1"
    assert len(capture) == 3
    assert data.count(b"answer") == 20_000 - 1 or data.count(b"answer") == 20_000
    first = data[24 + 16 :]
    assert first[0] >> 4 == 6
    assert first[60:64] == b"\x01\xfe\x80\x01"
