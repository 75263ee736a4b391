"""A second gateway on one database or with one id stays out and states why; what a killed one left blocks nothing."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.forked import Program
from tests.gateway.mqtt.facility import mosquitto
from tests.gateway.store.postgres import postgres

READY_WITHIN_S = 40.0


def configuration(
    folder: Path, broker: str, name: str, *, store: str = "", gateway: str = "gw1", mqtt: str = "auto"
) -> Path:
    path = folder / f"{name}.toml"
    path.write_text(
        f"""
[site]
id = "home"
[mqtt]
url = "{broker}"
gateway_id = "{gateway}"
version = "{mqtt}"
[ocpp]
listen = "127.0.0.1:0"
[store]
url = "{store or f"sqlite:///{folder / name}.db"}"
"""
    )
    return path


@contextlib.contextmanager
def started(config: Path) -> Iterator[Program]:
    """Run `v2x gateway`; its standard error goes to a file beside the configuration."""
    log = config.with_suffix(f".{time.monotonic_ns()}.log")
    process = Program("gateway", "-c", str(config), folder=config.parent, errors=log)
    try:
        yield process
    finally:
        process.kill()


def text(process: Program) -> str:
    return process.errors.read_text()


def wait_for(process: Program, what: str) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while what not in text(process):
        assert process.poll() is None, text(process)
        assert time.monotonic() < deadline, text(process)
        time.sleep(0.05)


@pytest.mark.peer
@pytest.mark.timeout(120)
def test_a_second_gateway_stays_out_and_states_why(tmp_path: Path) -> None:
    with mosquitto(tmp_path) as broker:
        one, other = configuration(tmp_path, broker.url, "one"), configuration(tmp_path, broker.url, "other")
        with started(one) as first:
            wait_for(first, "connected to the broker")
            with started(one) as same_database, started(other) as same_id:
                assert same_database.wait(READY_WITHIN_S) == same_id.wait(READY_WITHIN_S) == 2
            assert f"store.url: another gateway (process {first.pid}) uses this database" in text(same_database)
            assert "mqtt.gateway_id: another gateway with this gateway_id is connected" in text(same_id)
            assert "Traceback" not in text(same_database) + text(same_id)
            time.sleep(0.5)
            assert "no link to the broker" not in text(first)
            assert "no stop link" not in text(first)
            assert "no emergency link" not in text(first)
            first.send_signal(signal.SIGKILL)
            first.wait(10)
        with started(one) as again:
            wait_for(again, "connected to the broker")


@pytest.mark.peer
@pytest.mark.timeout(120)
def test_the_status_of_a_gateway_that_was_killed_with_its_broker_blocks_nothing(tmp_path: Path) -> None:
    with mosquitto(tmp_path, f"allow_anonymous true\npersistence true\npersistence_location {tmp_path}/\n") as broker:
        one = configuration(tmp_path, broker.url, "one")
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


@pytest.mark.peer
@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("3.1.1", "3.1.1"),
        pytest.param("3.1.1", "5", marks=pytest.mark.soak),
        pytest.param("5", "3.1.1", marks=pytest.mark.soak),
    ],
)
def test_a_second_gateway_stays_out_with_each_version_of_mqtt(first: str, second: str, tmp_path: Path) -> None:
    with mosquitto(tmp_path) as broker:
        one = configuration(tmp_path, broker.url, "one", mqtt=first)
        other = configuration(tmp_path, broker.url, "other", mqtt=second)
        with started(one) as running:
            wait_for(running, "connected to the broker")
            time.sleep(1)  # until its status is at the broker
            with started(other) as refused:
                assert refused.wait(READY_WITHIN_S) == 2
            assert "mqtt.gateway_id: another gateway with this gateway_id is connected" in text(refused)
            assert "no link to the broker" not in text(running)
            running.send_signal(signal.SIGKILL)
            running.wait(10)
        with started(other) as again:  # the will of the killed one is `offline`, or nobody answers
            wait_for(again, "connected to the broker")


@pytest.mark.peer
@pytest.mark.timeout(180)
def test_a_second_gateway_with_only_postgres_in_common_stays_out(tmp_path: Path) -> None:
    """Each has a broker of its own. Another `gateway_id` may share the database."""
    nowhere = "mqtt://127.0.0.1:9"
    with postgres(tmp_path) as cluster:
        store = cluster.database()
        one, same = (configuration(tmp_path, nowhere, name, store=store) for name in ("one", "same"))
        other = configuration(tmp_path, nowhere, "other", store=store, gateway="gw2")
        with started(one) as first:
            wait_for(first, '"event": "ready"')
            with started(same) as refused, started(other) as beside:
                wait_for(beside, '"event": "ready"')
                assert refused.wait(READY_WITHIN_S) == 2
            assert "store.url: another gateway (connected from 127.0.0.1) with this mqtt.gateway_id" in text(refused)
            assert "Traceback" not in text(refused) + text(first)
            first.send_signal(signal.SIGKILL)
            first.wait(10)
            with started(same) as successor:  # what the killed one held is free
                wait_for(successor, '"event": "ready"')


@pytest.mark.soak
@pytest.mark.peer
@pytest.mark.timeout(240)
def test_a_gateway_takes_its_lock_again_after_a_restart_of_postgres_and_ends_where_another_has_it(
    tmp_path: Path,
) -> None:
    nowhere = "mqtt://127.0.0.1:9"
    with postgres(tmp_path) as cluster:
        store = cluster.database()
        one, same = (configuration(tmp_path, nowhere, name, store=store) for name in ("one", "same"))
        with started(one) as first:
            wait_for(first, '"event": "ready"')
            cluster.restart()
            time.sleep(12)  # it verifies its lock every 5 s
            with started(same) as refused:
                assert refused.wait(READY_WITHIN_S) == 2
            first.send_signal(signal.SIGSTOP)
            cluster.restart()
            with started(same) as second:  # while the first one cannot know
                wait_for(second, '"event": "ready"')
                first.send_signal(signal.SIGCONT)
                assert first.wait(READY_WITHIN_S) == 2
                assert "store.url: another gateway" in text(first)
                assert second.poll() is None
