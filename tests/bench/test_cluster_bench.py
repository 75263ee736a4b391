"""The cluster's benchmark: its stations are served and come back, and absent servers are named with their remedy."""

from __future__ import annotations

import asyncio
import os
import sys
import time

import pytest
from typer.testing import CliRunner

from gateway.bench import cluster, cluster_load
from gateway.bench.cluster_load import Stations
from gateway.bench.cluster_parts import free_port, postgres_program, usage
from gateway.bench.measuring import Figures, JsonProcess, PeerAbsent
from gateway.bench.ocpp_load import Client, Rejected
from gateway.cli.main import app


async def test_light_stations_begin_sessions_send_messages_and_come_back_after_a_storm() -> None:
    server = await asyncio.to_thread(JsonProcess, [sys.executable, "-m", "gateway.bench.ocpp_servers", "gateway"])
    try:
        stations = Stations(0, 20, 5, [server.started["port"]])
        assert (await stations.connect())["connected"] == 20
        assert (await stations.load(0.3, 10))["messages"] >= 10
        paced = await stations.load(0.5, per_s=100)
        assert 10 <= paced["messages"] <= 50
        storm = await stations.storm()
        assert (storm["served"], storm["missing"]) == (15, 0)
        assert len(stations.connected) == 20
        await stations.close()
    finally:
        await asyncio.to_thread(server.close)


async def test_a_rejected_station_comes_back_when_the_gateway_states() -> None:
    async def reject(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 10\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(reject, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        transport, client = await asyncio.get_running_loop().create_connection(
            lambda: Client(1, lambda *_: None), "127.0.0.1", port
        )
        with pytest.raises(Rejected, match="503") as raised:
            await client.upgraded
        assert raised.value.retry_after_s == 10.0
        transport.close()
    assert Rejected("HTTP/1.1 503 Service Unavailable").retry_after_s is None


def test_an_absent_server_is_named_with_the_command_that_installs_it() -> None:
    with pytest.raises(PeerAbsent, match="apt-get install postgresql"):
        postgres_program("no-such-program")


def test_the_growth_of_the_processor_time_is_that_over_one_gateway() -> None:
    rows: list[Figures] = [
        {"gateways": number, "sites": 1, "stations": 10, "cpu_us_per_message": 100.0 + number} for number in (1, 2)
    ]
    assert cluster.growth(rows) == [{"stations": 10, "gateways": 2, "sites": 1, "ratio": 1.01}]
    for row in rows:
        number = row["gateways"]
        loads = {cluster.LOAD_PER_S: 100.0 * number, number * cluster.GATEWAY_LOAD_PER_S: 200.0 * number - 50.0}
        row["paced"] = [{"per_s": per_s, "cpu_us_per_message": cpu} for per_s, cpu in loads.items()]
    [found] = cluster.growth(rows)
    assert (found["same_load"], found["same_load_per_gateway"]) == (3.5, 2.33)  # of two gateways they are one load


async def test_a_process_that_sleeps_waits_and_one_that_computes_takes_processor_time() -> None:
    before = usage(os.getpid())
    for _ in range(20):
        await asyncio.sleep(0.001)
    until = time.process_time() + 0.05
    while time.process_time() < until:
        pass
    spent = cluster._difference(before, usage(os.getpid()))
    assert (spent["waits"] >= 10, spent["cpu_s"] >= 0.03, spent["cpu_s"]) == (
        True,
        True,
        pytest.approx(spent["user_s"] + spent["system_s"]),
    )


async def test_stations_that_are_never_served_end_their_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_load, "SERVED_WITHIN_S", 0.05)
    stations = Stations(0, 3, 1, [free_port()])
    assert (await stations.connect())["connected"] == 0
    assert (await stations.storm())["missing"] == 2
    await stations.close()


def test_a_row_that_failed_has_its_reason_and_the_others_their_figures() -> None:
    measured: Figures = {
        "gateways": 1, "sites": 1, "stations": 10, "commands_per_s": 1.0, "p50_ms": 1.0, "p99_ms": 2.0,
        "messages_per_s": 3, "message_p99_ms": 4.0, "cpu_us_per_message": 5.0, "nats_us_per_message": 6.0,
        "idle_kb_per_station": 7.0, "connect_s": 8.0,
    }  # fmt: skip
    rows: list[Figures] = [
        measured,
        {"gateways": 4, "sites": 4, "stations": 10, "failed": "3 of 10 stations were served"},
    ]
    lines = list(cluster.text({"rows": rows, "cpu_growth": cluster.growth(rows)}))
    assert (len(lines), lines[2].endswith("3 of 10 stations were served")) == (3, True)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["dispatch", "--gateways", "1"], "dispatch has no option --gateways"),
        (["cluster", "--gateways", "1,x"], "numbers such as 1,2 are expected"),
        (["cluster", "--stations", "0"], "numbers such as 1,2 are expected"),
    ],
)
def test_sizes_are_those_of_the_cluster(arguments: list[str], error: str) -> None:
    done = CliRunner().invoke(app, ["bench", *arguments])
    assert (done.exit_code, error in done.output) == (2, True)


@pytest.mark.soak
@pytest.mark.timeout(600)
async def test_the_whole_benchmark_at_a_small_size() -> None:
    found = await cluster.figures((1, 2), (60,))
    rows = [(row["gateways"], row["sites"], row["commands_per_s"] > 0, row["p99_ms"] > 0) for row in found["rows"]]
    assert rows == [(1, 1, True, True), (2, 2, True, True), (2, 1, True, True)]
    assert found["rows"][1]["storm"]["stations"] == 30
    assert found["cpu_growth"][0]["ratio"] > 0
