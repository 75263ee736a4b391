"""A link of its own: a network namespace with a veth pair, where SDP's multicast and link-local addresses work.

No root needed where unprivileged user namespaces are allowed; a test skips with the reason where they are not. Both
ends are in the same namespace; `ev` and `se` are their names."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.peers import ROOT, absent, program

EV, SE = "v2xev", "v2xse"
_SET_UP = f"""
set -e
echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad
ip link set lo up
ip link add {EV} type veth peer name {SE}
for end in {EV} {SE}; do
  echo 0 > /proc/sys/net/ipv6/conf/$end/accept_dad
  ip link set $end up
done
echo ready
exec sleep 7200
"""


@dataclass
class Link:
    """Run programs in the namespace with `command`."""

    holder: subprocess.Popen[str]

    def command(self, *argv: str | Path) -> list[str]:
        return [
            "nsenter",
            f"--target={self.holder.pid}",
            "--user",
            "--net",
            "--preserve-credentials",
            *(str(one) for one in argv),
        ]

    def start(
        self, *argv: str | Path, log: Path, env: dict[str, str] | None = None, cwd: Path = ROOT, orders: bool = False
    ) -> Running:
        """Start a program; `orders`: its standard input is a pipe."""
        file = log.open("w")
        process = subprocess.Popen(
            self.command(*argv),
            stdout=file,
            stderr=subprocess.STDOUT,
            stdin=subprocess.PIPE if orders else subprocess.DEVNULL,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            start_new_session=True,
        )
        file.close()
        return Running(process, log)


@dataclass
class Running:
    """A program in the namespace; its output goes to `log`."""

    process: subprocess.Popen[bytes]
    log: Path

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def order(self, line: str) -> None:
        """Write a line to the standard input of the program."""
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def wait(self, within: float) -> int:
        return self.process.wait(within)

    def stop(self) -> None:
        """SIGINT, then SIGKILL, to what was started here only."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        for number, patience in ((2, 5.0), (9, 5.0)):
            if self.process.poll() is not None:
                return
            os.killpg(self.process.pid, number)
            try:
                self.process.wait(patience)
            except subprocess.TimeoutExpired:
                continue


@contextmanager
def veth_link() -> Iterator[Link]:
    """The namespace, for as long as the block lasts."""
    for name, package in (("unshare", "util-linux"), ("nsenter", "util-linux"), ("ip", "iproute2")):
        program(name, package)
    holder = subprocess.Popen(
        ["unshare", "--user", "--map-root-user", "--net", "sh", "-c", _SET_UP],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert holder.stdout is not None
        assert holder.stderr is not None
        if holder.stdout.readline().strip() != "ready":
            reason = holder.stderr.read().strip()[-300:]
            absent(f"no network namespace with a veth pair: {reason}")
        yield Link(holder)
    finally:
        holder.kill()
        holder.wait()
        for pipe in (holder.stdout, holder.stderr):
            if pipe is not None:
                pipe.close()
