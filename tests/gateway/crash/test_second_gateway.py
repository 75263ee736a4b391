"""A second gateway on one database or with one id stays out and states why; what a killed one left blocks nothing."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway.mqtt.facility import Mosquitto, mosquitto

READY_WITHIN_S = 40.0


def configuration(folder: Path, broker: Mosquitto, database: str) -> Path:
    path = folder / f"{database}.toml"
    path.write_text(
        f"""
[site]
id = "home"
[mqtt]
url = "{broker.url}"
gateway_id = "gw1"
[ocpp]
listen = "127.0.0.1:0"
[store]
url = "sqlite:///{folder / database}.db"
"""
    )
    return path


@contextlib.contextmanager
def started(config: Path) -> Iterator[subprocess.Popen[str]]:
    """Run `v2x gateway`; its standard error goes to a file beside the configuration."""
    log = config.with_suffix(f".{time.monotonic_ns()}.log")
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "gateway.cli", "gateway", "-c", str(config)], stderr=output, text=True
        )
    process.log = log  # type: ignore[attr-defined]
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)


def text(process: subprocess.Popen[str]) -> str:
    log: Path = process.log  # type: ignore[attr-defined]
    return log.read_text()


def wait_for(process: subprocess.Popen[str], what: str) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while what not in text(process):
        assert process.poll() is None, text(process)
        assert time.monotonic() < deadline, text(process)
        time.sleep(0.05)


@pytest.mark.peer
@pytest.mark.timeout(120)
def test_a_second_gateway_stays_out_and_states_why(tmp_path: Path) -> None:
    with mosquitto(tmp_path) as broker:
        one, other = configuration(tmp_path, broker, "one"), configuration(tmp_path, broker, "other")
        with started(one) as first:
            wait_for(first, "connected to the broker")
            with started(one) as same_database, started(other) as same_id:
                assert same_database.wait(READY_WITHIN_S) == same_id.wait(READY_WITHIN_S) == 2
            assert f"store.url: another gateway (process {first.pid}) uses this database" in text(same_database)
            assert "mqtt.gateway_id: another gateway with this gateway_id is connected" in text(same_id)
            assert "Traceback" not in text(same_database) + text(same_id)
            assert "no link to the broker" not in text(first)
            first.send_signal(signal.SIGKILL)
            first.wait(10)
        with started(one) as again:
            wait_for(again, "connected to the broker")


@pytest.mark.peer
@pytest.mark.timeout(120)
def test_the_status_of_a_gateway_that_was_killed_with_its_broker_blocks_nothing(tmp_path: Path) -> None:
    with mosquitto(tmp_path, f"allow_anonymous true\npersistence true\npersistence_location {tmp_path}/\n") as broker:
        one = configuration(tmp_path, broker, "one")
        with started(one) as first:
            wait_for(first, "connected to the broker")
            time.sleep(0.5)
            assert broker.process is not None
            broker.process.terminate()  # it stores the status: online
            broker.process.wait(10)
            first.send_signal(signal.SIGKILL)
            first.wait(10)
        broker.start()
        with started(one) as again:
            wait_for(again, "connected to the broker")
