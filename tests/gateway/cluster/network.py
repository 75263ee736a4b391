"""The network between the parts of a cluster, which a test cuts: it then transports nothing, without an error.

`Namespaces` gives every part a network namespace with an address of its own (Linux, root): a part is cut off by the
link of its namespace, two parts from each other by rules of nftables. `Proxies` needs no rights: all parts share the
loopback address, and each path between two parts is a forwarding port that can be closed.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import secrets
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from tests.gateway.cluster.proxy import Proxy
from tests.gateway.mqtt.facility import free_port

CLONE_NEWNET = 0x40000000
NAMESPACES = Path("/var/run/netns")
HOST = "host"  # the part of the judge, the facility and the broker: never cut


class Network(Protocol):
    """Where parts listen, how they reach each other, and what is cut."""

    def address(self, part: str) -> str:
        """Return the address at which a part listens."""

    def path(self, client: str, server: str, port: int) -> tuple[str, int]:
        """Return where a client reaches a port of a server."""

    def namespace(self, part: str) -> str | None:
        """Return the path of the network namespace in which the processes of a part run, None for that of all."""

    async def ready(self) -> None:
        """Return when all paths can be used."""

    def cut(self, part: str) -> None:
        """Cut a part off from all others."""

    def separate(self, one: str, others: list[str]) -> None:
        """Cut a part off from some others."""

    def heal(self) -> None:
        """Transport again, what was on its way included."""

    async def close(self) -> None:
        """End all paths."""


class Proxies:
    """Paths through ports of this process."""

    def __init__(self) -> None:
        self._paths: dict[tuple[str, str, int], Proxy] = {}

    def address(self, part: str) -> str:
        """See `Network`."""
        return "127.0.0.1"

    def namespace(self, part: str) -> str | None:
        """See `Network`."""
        return None

    def path(self, client: str, server: str, port: int) -> tuple[str, int]:
        """See `Network`."""
        if HOST in (client, server):
            return "127.0.0.1", port
        key = client, server, port
        if key not in self._paths:
            self._paths[key] = Proxy(free_port(), port)
        return "127.0.0.1", self._paths[key].port

    async def ready(self) -> None:
        """See `Network`."""
        for path in self._paths.values():
            await path.start()

    def cut(self, part: str) -> None:
        """See `Network`."""
        for key, path in self._paths.items():
            if part in key[:2]:
                path.cut()

    def separate(self, one: str, others: list[str]) -> None:
        """See `Network`."""
        for (client, server, _), path in self._paths.items():
            if (client == one and server in others) or (server == one and client in others):
                path.cut()

    def heal(self) -> None:
        """See `Network`."""
        for path in self._paths.values():
            path.heal()

    async def close(self) -> None:
        """See `Network`."""
        for path in self._paths.values():
            await path.stop()


def enter(namespace: str | None) -> None:
    """Move this thread into a network namespace."""
    if namespace is None:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    with open(namespace) as opened:
        if libc.setns(opened.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"cannot enter {namespace}")


@contextmanager
def within(namespace: str | None) -> Iterator[None]:
    """Run the block, and the processes that it starts, in a network namespace."""
    if namespace is None:
        yield
        return
    own = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        enter(namespace)
        yield
    finally:
        enter(f"/proc/self/fd/{own}")
        os.close(own)


def _run(*command: str, given: str | None = None) -> None:
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")


class Namespaces:
    """A bridge with one namespace for each part."""

    def __init__(self, parts: list[str]) -> None:
        """Raises OSError where this machine cannot do it."""
        self._name = f"v2x{secrets.token_hex(2)}"  # names of interfaces have at most 15 characters
        self._subnet = f"10.{secrets.randbelow(100) + 100}.{secrets.randbelow(256)}"
        self._numbers = {HOST: 1}
        self._cut: set[str] = set()
        self._separated: set[str] = set()
        self._made: list[str] = []
        try:
            self._bridge()
            for part in parts:
                self._add(part)
        except OSError:
            self.remove()
            raise

    @staticmethod
    def possible() -> bool:
        """Return whether this process may make namespaces, links and rules."""
        if os.geteuid() or not all(map(shutil.which, ("ip", "nft"))):
            return False
        try:
            Namespaces(["probe"]).remove()
        except OSError:
            return False
        return True

    def _bridge(self) -> None:
        _run("ip", "link", "add", self._name, "type", "bridge")
        _run("ip", "address", "add", f"{self._subnet}.1/24", "dev", self._name)
        _run("ip", "link", "set", self._name, "up")

    def _add(self, part: str) -> None:
        number = self._numbers[part] = len(self._numbers) + 1
        name, outer = f"{self._name}-{part}", f"{self._name}p{number}"
        _run("ip", "netns", "add", name)
        self._made.append(name)
        _run("ip", "link", "add", outer, "type", "veth", "peer", "name", "part", "netns", name)
        _run("ip", "link", "set", outer, "master", self._name, "up")
        for command in (
            "link set lo up",
            f"address add {self.address(part)}/24 dev part",
            "link set part up",
        ):
            _run("ip", "-n", name, *command.split())
        self._nft(
            part,
            "add table inet cut\n"
            "add chain inet cut in { type filter hook input priority 0; }\n"
            "add chain inet cut out { type filter hook output priority 0; }\n",
        )

    def _nft(self, part: str, rules: str) -> None:
        with within(self.namespace(part)):
            _run("nft", "-f", "-", given=rules)

    def _link(self, part: str, state: str) -> None:
        _run("ip", "link", "set", f"{self._name}p{self._numbers[part]}", state)

    def address(self, part: str) -> str:
        """See `Network`."""
        return f"{self._subnet}.{self._numbers[part]}"

    def namespace(self, part: str) -> str | None:
        """See `Network`."""
        return None if part == HOST else str(NAMESPACES / f"{self._name}-{part}")

    def path(self, client: str, server: str, port: int) -> tuple[str, int]:
        """See `Network`."""
        return self.address(server), port

    async def ready(self) -> None:
        """See `Network`."""

    def cut(self, part: str) -> None:
        """See `Network`. The link is down at the other end: the part itself sees no error."""
        self._link(part, "down")
        self._cut.add(part)

    def separate(self, one: str, others: list[str]) -> None:
        """See `Network`."""
        rules = "".join(
            f"add rule inet cut in ip saddr {self.address(other)} drop\n"
            f"add rule inet cut out ip daddr {self.address(other)} drop\n"
            for other in others
        )
        self._nft(one, rules)
        self._separated.add(one)

    def heal(self) -> None:
        """See `Network`."""
        for part in self._cut:
            self._link(part, "up")
        for part in self._separated:
            self._nft(part, "flush table inet cut\n")
        self._cut.clear()
        self._separated.clear()

    async def close(self) -> None:
        """See `Network`."""
        self.remove()

    def remove(self) -> None:
        """Remove everything; the processes of the parts have ended."""
        for name in self._made:
            with contextlib.suppress(OSError):
                _run("ip", "netns", "delete", name)
        with contextlib.suppress(OSError):
            _run("ip", "link", "delete", self._name)
        self._made.clear()


def reachable(address: str, port: int) -> bool:
    """Return whether a port accepts connections."""
    try:
        socket.create_connection((address, port), 0.2).close()
    except OSError:
        return False
    return True
