"""A Postgres of our own for a test: a fresh cluster in a temporary folder, on a socket port of its own."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.gateway.cluster.network import within
from tests.gateway.mqtt.facility import free_port
from tests.peers import absent


def server_program(name: str) -> str:
    """Return the path of a program of Postgres."""
    found = shutil.which(name)
    if found is None:
        folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
        found = next((str(folder / name) for folder in folders if (folder / name).exists()), None)
    if found is None:
        absent(f"{name} is not installed (Debian: apt-get install postgresql)")
    return found


@dataclass
class Cluster:
    """A running Postgres."""

    port: int
    data: Path
    who: dict[str, Any]
    running: subprocess.Popen[bytes]
    made: int = 0
    host: str = "127.0.0.1"
    namespace: str | None = None  # of the network

    def restart(self) -> None:
        """Kill it and start it again on its port."""
        self.running.send_signal(signal.SIGQUIT)  # immediate shutdown: nothing is flushed
        self.running.wait(30)
        self.start()

    def start(self) -> None:
        """Start it again on its port."""
        self.running, _ = _started(self.data, self.who, self.port, self.host, self.namespace)

    def signal(self, number: int) -> None:
        """Send a signal to all of its processes; of SIGKILL none is left afterwards."""
        self.running.send_signal(number)  # first, so that it starts no others
        children = Path(f"/proc/{self.running.pid}/task/{self.running.pid}/children").read_text().split()
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(child), number)
        if number == signal.SIGKILL:
            self.running.wait(30)
            while any(Path(f"/proc/{child}").exists() for child in children):
                time.sleep(0.02)

    def database(self, like: str | None = None, encoding: str | None = None) -> str:
        """The URL of a new database: empty, or a copy of another, which has no connection meanwhile."""
        self.made += 1
        name = f"v2x{self.made}"
        createdb = [server_program("createdb"), "-h", self.host, "-p", str(self.port), "-U", "v2x", name]
        if like is not None:
            createdb += ["-T", like.rpartition("/")[2]]
        if encoding is not None:
            createdb += ["-T", "template0", "-E", encoding]
        subprocess.run(createdb, check=True, capture_output=True)
        return f"postgresql://v2x@{self.host}:{self.port}/{name}"


@contextmanager
def postgres(folder: Path, host: str = "127.0.0.1", namespace: str | None = None) -> Iterator[Cluster]:
    """A running Postgres."""
    initdb = server_program("initdb")
    data = folder / "pgdata"
    data.mkdir(mode=0o700)
    who: dict[str, Any] = {}
    if os.getuid() == 0:  # Postgres refuses to run as root
        try:
            nobody = pwd.getpwnam("postgres")
        except KeyError:
            nobody = pwd.getpwnam("nobody")
        who = {"user": nobody.pw_uid, "group": nobody.pw_gid}
        os.chown(data, nobody.pw_uid, nobody.pw_gid)
        _reachable(data)
    made = subprocess.run(
        [initdb, "-D", str(data), "-U", "v2x", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C"],
        capture_output=True, text=True, check=False, **who,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    with (data / "pg_hba.conf").open("a") as rules:
        rules.write("host all all samenet trust\n")
    running, port = _started(data, who, None, host, namespace)
    cluster = Cluster(port, data, who, running, host=host, namespace=namespace)
    try:
        yield cluster
    finally:
        cluster.running.send_signal(signal.SIGINT)  # fast shutdown: does not wait for clients
        cluster.running.wait(30)


def _reachable(data: Path) -> None:
    """Let another user reach a folder: each start of pytest closes the folder of all its runs to others."""
    for parent in data.parents:
        if str(parent).startswith("/tmp/") and parent.stat().st_uid == 0:
            parent.chmod(parent.stat().st_mode | 0o755)


def _started(
    data: Path, who: dict[str, Any], again: int | None, host: str, namespace: str | None
) -> tuple[subprocess.Popen[bytes], int]:
    """A server that answers; another port if somebody else was quicker to take this one.

    Without fsync, which only matters where the machine itself fails, a killed server recovers at once.
    """
    ready, server = server_program("pg_isready"), server_program("postgres")
    if who:
        _reachable(data)
    log = data.parent / "postgres.log"
    for _ in range(3):
        port = again or free_port()
        with log.open("ab") as out, within(namespace):
            running = subprocess.Popen(
                [server, "-D", str(data), "-p", str(port), "-h", host, "-k", str(data), "-c", "fsync=off"],
                stdout=out, stderr=out, **who,
            )  # fmt: skip
        deadline = time.monotonic() + 180
        while running.poll() is None and time.monotonic() < deadline:
            answer = subprocess.run([ready, "-h", host, "-p", str(port), "-q"], check=False)
            if answer.returncode == 0 and running.poll() is None:
                return running, port
            time.sleep(0.1)
        running.kill()
        running.wait(30)
    raise AssertionError(f"postgres does not start: {log.read_text()[-1000:]}")
