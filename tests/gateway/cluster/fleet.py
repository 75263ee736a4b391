"""Groups of light stations, each group in a process of its own, which reports every set-point at once.

So nothing that a station received is lost where its process is killed or paused.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from tests.forked import processes
from tests.gateway.cluster.judge import Setpoint
from tests.gateway.cluster.light_station import LightStation, Times
from tests.gateway.cluster.network import Network, enter

CONNECTS_PER_S = 100.0  # of one group when it starts


@dataclass(frozen=True)
class Group:
    """Orders to the process of a group."""

    names: list[str]
    sessions: frozenset[str]
    urls: list[str]
    seed: str
    times: Times
    namespace: str | None


class Reports:
    """Reports of one group to the judge, one line each."""

    def __init__(self, out: Connection) -> None:
        self._out = out

    def setpoint(self, station: str, one: Setpoint) -> None:
        """Report a set-point."""
        self._write(["setpoint", station, one.at, one.power_w, one.valid_for_s, one.call])

    def ready(self, station: str, ready: bool) -> None:
        """Report that a station is served, or no longer."""
        self._write(["ready", station, ready])

    def _write(self, line: Sequence[object]) -> None:
        os.write(self._out.fileno(), json.dumps(line).encode() + b"\n")  # shorter than PIPE_BUF: all or nothing


async def _serve(group: Group, out: Connection) -> None:
    reports = Reports(out)
    async with asyncio.TaskGroup() as tasks:
        for name in group.names:
            one = LightStation(
                name,
                group.urls,
                seed=group.seed,
                session=name in group.sessions,
                times=group.times,
                received=reports.setpoint,
                ready=reports.ready,
            )
            tasks.create_task(one.run())
            await asyncio.sleep(1.0 / CONNECTS_PER_S)


def main(group: Group, out: Connection) -> None:
    """The entry of the process of a group."""
    enter(group.namespace)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asyncio.run(_serve(group, out))


@dataclass
class Fleet:
    """All stations, as the judge sees them."""

    network: Network
    names: list[str]
    sessions: frozenset[str]
    groups: int
    seed: int
    times: Times
    setpoints: dict[str, list[Setpoint]] = field(default_factory=dict)
    ready: set[str] = field(default_factory=set)
    _processes: dict[str, BaseProcess] = field(default_factory=dict)
    _lives: dict[str, int] = field(default_factory=dict)
    _reading: dict[str, Connection] = field(default_factory=dict)
    _unread: dict[str, bytearray] = field(default_factory=dict)

    @property
    def parts(self) -> list[str]:
        """Names of the groups."""
        return parts_of(self.groups)

    def stations(self, part: str) -> list[str]:
        """Return the stations of a group."""
        return self.names[self.parts.index(part) :: self.groups]

    def start(self, part: str, urls: list[str]) -> None:
        """Start a group; stations that lived before boot anew."""
        self._lives[part] = self._lives.get(part, 0) + 1
        namespace = self.network.namespace(part)
        seed = f"{self.seed}-{self._lives[part]}"
        group = Group(self.stations(part), self.sessions, urls, seed, self.times, namespace)
        context = processes()
        incoming, outgoing = context.Pipe(duplex=False)
        process = context.Process(target=main, args=(group, outgoing), daemon=True)
        process.start()
        outgoing.close()
        self._processes[part], self._reading[part], self._unread[part] = process, incoming, bytearray()
        os.set_blocking(incoming.fileno(), False)
        asyncio.get_running_loop().add_reader(incoming.fileno(), self._read, part)

    def signal(self, part: str, number: int) -> None:
        """Send a signal to a group."""
        pid = self._processes[part].pid
        assert pid is not None
        os.kill(pid, number)

    def kill(self, part: str) -> None:
        """Kill a group, when all that it reported has been read."""
        self.signal(part, signal.SIGKILL)
        self._processes[part].join(10)
        self._drop(part)

    def stop(self) -> None:
        """Kill all groups."""
        for part in list(self._reading):
            self.kill(part)

    def _drop(self, part: str) -> None:
        connection = self._reading.pop(part, None)
        if connection is not None:
            asyncio.get_running_loop().remove_reader(connection.fileno())
            self._take(connection, self._unread[part])
            connection.close()
        self.ready -= set(self.stations(part))

    def _read(self, part: str) -> None:
        connection = self._reading.get(part)
        if connection is not None and not self._take(connection, self._unread[part]):
            asyncio.get_running_loop().remove_reader(connection.fileno())

    def _take(self, connection: Connection, unread: bytearray) -> bool:
        """Take what has arrived; False at the end."""
        try:
            while data := os.read(connection.fileno(), 65536):
                unread += data
                *lines, rest = bytes(unread).split(b"\n")
                unread[:] = rest
                for line in lines:
                    self._note(*json.loads(line))
        except BlockingIOError:
            return True
        return False

    def _note(self, what: str, station: str, *rest: Any) -> None:
        if what == "setpoint":
            self.setpoints.setdefault(station, []).append(Setpoint(*rest))
        elif rest == (True,):
            self.ready.add(station)
        else:
            self.ready.discard(station)


def parts_of(groups: int) -> list[str]:
    """Return the names of the groups as parts of the network."""
    return [f"stations{number}" for number in range(1, groups + 1)]
