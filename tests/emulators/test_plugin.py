"""pytest plugin: the sample repository, output of failing tests, errors in marks and fixtures, virtual time."""

from __future__ import annotations

import os
import stat
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from emulators.ev.profile import load as load_profile
from tests.inner_pytest import PYTEST
from tests.rounds import some

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
    assert "gw1" in v2x_broker.clients() and v2x_gateway.service.evses()

@pytest.mark.v2x(planet="mars")
def test_mark(v2x_clock):
    pass
"""


RIGHT = """
import pytest

@pytest.mark.v2x(toml='[[charger]]\\nid = "CP1"\\nmax_discharge_w = 2000\\n[gateway]\\nmin_soc_pct = 33')
def test_tables_of_a_scenario(v2x_ev, v2x_facility, v2x_clock):
    result = v2x_clock.run(v2x_facility.command("CP1-1", "discharge", power_w=5000, lease_s=60))
    assert (result["status"], result["effective_w"]) == ("clamped", -2000)

@pytest.mark.v2x(cars={"leaf": "leaf-40"}, vehicle_link="chademo")
def test_a_leaf_discharges(v2x_ev, v2x_facility, v2x_clock):
    v2x_clock.run(v2x_facility.command("CP1-1", "discharge", power_w=4000, lease_s=60))
    v2x_clock.advance(20)
    assert v2x_ev.power_w == pytest.approx(-4000, rel=0.01)

async def test_a_fault_in_a_coroutine(v2x_charger, v2x_clock, v2x_fault):
    v2x_fault("cut", "ocpp:CP1")
    await v2x_clock.sleep(1)
    assert not v2x_charger.online

async def test_a_coroutine_with_the_world_alone(v2x_world):
    assert v2x_world.gateway is not None

def test_grid_disturbances(v2x_grid, v2x_site, v2x_clock):
    v2x_grid.brown_out(0.7, 2)
    v2x_clock.advance(1)
    assert v2x_site.balance.voltage_v == pytest.approx(140)
    v2x_clock.advance(5)
    v2x_grid.frequency_step(-2, 60)
    v2x_clock.advance(1)
    assert v2x_site.balance.frequency_hz == pytest.approx(48, abs=0.2)

@pytest.mark.v2x(site="store", chargers=2)
class TestMarks:
    @pytest.mark.v2x(seed=9)
    def test_add_up(self, v2x_world):
        assert (v2x_world.seed, len(v2x_world.stations)) == (9, 2)
"""

MISTAKES = """
import pytest

@pytest.mark.v2x("peak-cut")
def test_positional(v2x_world): ...

@pytest.mark.v2x(cars={})
def test_no_cars(v2x_ev): ...

@pytest.mark.v2x(toml="[site")
def test_no_toml(v2x_world): ...

def test_leaf(v2x_ev_factory):
    v2x_ev_factory("leaf-40")

def test_evse(v2x_ev_factory):
    v2x_ev_factory(evse="CP9-1")

async def test_advance(v2x_clock):
    v2x_clock.advance(3)

async def test_factory(v2x_ev_factory):
    v2x_ev_factory()

async def test_a_late_response(v2x_fault, v2x_clock):
    v2x_fault("cut", "ocpp:CP9")
    await v2x_clock.sleep(1)

@pytest.fixture
def slow(v2x_ev, v2x_clock):
    v2x_clock.until(lambda: v2x_ev.soc_pct < 3, 30, what="an empty car")

def test_setup(slow): ...
"""

MESSAGES = (
    "the mark v2x takes names, such as scenario='peak-cut'",
    "the mark v2x of this test has no cars: set cars=",
    "the mark v2x: its toml is not TOML",
    "leaf-40 supports chademo but not ISO 15118-20, which CP1-1 needs: mark the test v2x with vehicle_link =",
    "unknown EVSE CP9-1; known: CP1-1",
    "v2x_clock.sleep(seconds) instead of advance()",
    "create the car with plugged=False, then await its plug()",
    "cut: unknown link 'ocpp:CP9'; known links:",
    "timeout after 30 s of virtual time",
    "seed 1; repeat with: pytest --v2x-seed 1 'test_it.py::test_setup'",
)


VIRTUAL = """
import asyncio, time
import pytest

@pytest.fixture
async def began():
    await asyncio.sleep(60)
    return asyncio.get_running_loop().time()

@pytest.mark.virtual_time
async def test_ten_hours_in_no_time(began):
    real = time.monotonic()
    await asyncio.sleep(36_000)
    assert asyncio.get_running_loop().time() == began + 36_000 == 36_060
    assert time.monotonic() - real < 60

async def test_real_time():
    real = time.monotonic()
    await asyncio.sleep(0.05)
    assert time.monotonic() - real > 0.04
    assert asyncio.get_running_loop().time() > 1

@pytest.mark.virtual_time(speed=100.0)
async def test_a_pace():
    real = time.monotonic()
    await asyncio.sleep(5.0)
    assert asyncio.get_running_loop().time() == pytest.approx(5.0)
    assert time.monotonic() - real > 0.045

@pytest.mark.virtual_time
class TestMarkedClass:
    @pytest.mark.parametrize("hours", [1, 2])
    async def test_each_on_a_loop_of_its_own(self, hours):
        assert asyncio.get_running_loop().time() == 0
        await asyncio.sleep(hours * 3600)

    def test_an_ordinary_function(self):
        with pytest.raises(RuntimeError):
            asyncio.get_running_loop()

async def test_the_world_has_its_own_loop(v2x_world, v2x_clock):
    await v2x_clock.sleep(60)
    assert asyncio.get_running_loop().time() == v2x_clock.now() >= 60
"""

DEADLOCK = """
import asyncio
import pytest

@pytest.mark.virtual_time
async def test_deadlock():
    await asyncio.Event().wait()

@pytest.mark.virtual_time
async def test_after_the_lease():
    await asyncio.sleep(3600)
"""


def run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run pytest in a separate process, without the settings of this repository."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    command = [*PYTEST, *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, env=env, check=False)


@pytest.mark.timeout(300)
def test_the_sample_repository_passes(tmp_path: Path) -> None:
    done = run(SAMPLE, "-q", "--v2x-artifacts", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "v2x_seed" in (tmp_path / "junit.xml").read_text()
    kept = {path.suffix for path in tmp_path.iterdir()}
    assert {".jsonl", ".json", ".pcap", ".xml"} <= kept
    modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir() if path.suffix != ".xml"}  # pytest's own
    assert modes == {0o600}


def test_a_failure_prints_its_seed_and_an_invalid_mark_is_named(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(FAILING)
    done = run(tmp_path, "-q", "--v2x-seed", "5", "--v2x-artifacts", str(tmp_path / "kept"))
    assert done.returncode == 1
    assert "1 failed, 1 passed, 1 error" in done.stdout
    assert "seed 5; repeat with: pytest --v2x-seed 5 'test_it.py::test_wrong'" in done.stdout
    assert "the mark v2x has no argument planet" in done.stdout
    assert list((tmp_path / "kept").glob("*.pcap"))


def test_features_of_the_fixtures(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(RIGHT)
    done = run(tmp_path, "-q")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 passed" in done.stdout


def test_mistakes_are_reported(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(MISTAKES)
    done = run(tmp_path, "-q", "--tb=short")
    assert "5 failed, 4 errors" in done.stdout
    assert [one for one in MESSAGES if one not in done.stdout] == []
    assert "no connection to the broker" not in done.stdout  # the end of a world is not an error


@pytest.mark.parametrize("own_loops", some([True, False], 2))
def test_virtual_time_for_coroutines_beside_real_time(tmp_path: Path, own_loops: bool) -> None:
    (tmp_path / "test_it.py").write_text(VIRTUAL)
    if own_loops:  # of the user, by the same hook
        hook = "def pytest_asyncio_loop_factories(): return {'own': asyncio.SelectorEventLoop}"
        (tmp_path / "conftest.py").write_text(f"import asyncio\n\n{hook}\n")
    done = run(
        tmp_path,
        "-v",
        "--strict-markers",
        "-oasyncio_mode=auto",
        "-oasyncio_default_fixture_loop_scope=function",
        "-Werror",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "7 passed" in done.stdout
    assert "test_it.py::test_ten_hours_in_no_time PASSED" in done.stdout


def test_a_deadlock_in_virtual_time_fails_and_names_the_waiting_tasks(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(DEADLOCK)
    done = run(tmp_path, "-q", "--asyncio-mode=auto")
    assert "1 failed, 1 passed" in done.stdout
    assert "deadlock in virtual time: no timer is set, and every task waits: Task-1 at" in done.stdout
    assert "test_it.py:7" in done.stdout
    (tmp_path / "test_it.py").write_text(DEADLOCK.replace("virtual_time", "virtual_time(pace=3)"))
    done = run(tmp_path, "-q", "--asyncio-mode=auto")
    assert "test_deadlock: the only argument of the mark virtual_time is speed=..." in done.stdout


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--asyncio-mode=strict", "the mark virtual_time needs asyncio_mode = auto, or the mark asyncio beside it"),
        ("-pno:asyncio", "the mark virtual_time needs pytest-asyncio 1.4 or newer"),
    ],
)
def test_virtual_time_never_turns_into_real_time(tmp_path: Path, option: str, message: str) -> None:
    (tmp_path / "test_it.py").write_text(DEADLOCK)
    done = run(tmp_path, "-q", option)
    assert "2 errors" in done.stdout
    assert done.stdout.count(f"{message}\n") >= 2


def test_a_capture_can_be_read_back(tmp_path: Path) -> None:
    from emulators.runtime.pcap import Capture

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


@pytest.mark.v2x(inject=[{"message": "DC_PreChargeRes", "occurrence": 1, "response_code": "FAILED"}], cars={})
def test_an_injection_into_each_session(v2x_charger: Any, v2x_ev_factory: Any) -> None:
    with pytest.raises(TimeoutError, match="the car closed the connection"):
        v2x_ev_factory("ccs-63")
    assert len(v2x_charger.bay().session_ends) > 3


@pytest.mark.parametrize("protocol", ["iso2", "din"])
@pytest.mark.v2x(inject=[{"message": "PreChargeRes", "response_code": "FAILED"}], cars={})
def test_an_injection_into_sessions_of_older_generations(protocol: str, v2x_charger: Any, v2x_ev_factory: Any) -> None:
    car = replace(load_profile("ccs-63"), protocols=(protocol,), services=("dc",))
    with pytest.raises(TimeoutError, match="the car closed the connection"):
        v2x_ev_factory(car)
    assert len(v2x_charger.bay().session_ends) > 3
