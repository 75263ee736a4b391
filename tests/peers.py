"""Foreign implementations for the tests, each in an environment of its own.

A peer is installed once under `.peers/` and kept; what can't be had makes the test skip with the reason, or fail where
`V2X_REQUIRE_PEERS=1` requires every part (CI; see `conftest.py`).
"""

from __future__ import annotations

import fcntl
import functools
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / ".peers"
JOSEV = ("josev-sessions", "iso15118==0.31.2", "aiofile==3.9.0")  # its engine needs aiofile and does not name it
INSTALL_WITHIN = 600  # s, for one peer with everything it needs
NO_PYTHON_2 = "there is no Python 2.7, such as `pyenv install 2.7` provides"


def absent(reason: str) -> NoReturn:
    """Skip with the reason, which is a failure where every part is required."""
    pytest.skip(reason)


def program(name: str, package: str) -> str:
    """The path of a program from the distribution, such as mosquitto."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin:/sbin")
    if path is None:
        absent(f"{name} is not installed (Debian: apt-get install {package})")
    return path


@functools.cache
def python_peer(name: str, *requirements: str, base: str = sys.executable) -> Path:
    """The interpreter of an environment, made by `base`, that holds `requirements` (pinned, as pip reads them)."""
    home = PEERS / name
    python, stamp = home / "bin" / "python", home / ".installed"
    wanted = "\n".join(requirements)
    with alone(name):
        if not (stamp.exists() and stamp.read_text() == wanted):
            shutil.rmtree(home, ignore_errors=True)
            own = base != sys.executable  # the pip that we have may not support another version of Python
            _install(name, [base, "-m", "venv", *(() if own else ("--without-pip",)), str(home)])
            pip = [python, "-m", "pip"] if own else [sys.executable, "-m", "pip", "--python", python]
            options = ["--quiet", "--disable-pip-version-check"]
            if not sys.dont_write_bytecode:  # then each module is compiled when it is first imported
                options.append("--no-compile")
            _install(name, [*map(str, pip), "install", *options, *requirements])
            stamp.write_text(wanted)
    return python


@functools.cache
def node_peer(name: str, *packages: str) -> Path:
    """The folder of an npm project that holds `packages` (`name@version`)."""
    npm = program("npm", "npm")
    home = PEERS / name
    stamp, wanted = home / ".installed", "\n".join(packages)
    with alone(name):
        if not (stamp.exists() and stamp.read_text() == wanted):
            shutil.rmtree(home, ignore_errors=True)
            home.mkdir(parents=True)
            (home / "package.json").write_text('{"name": "peer", "version": "1.0.0", "private": true}\n')
            _install(name, [npm, "install", "--silent", "--no-package-lock", *packages], cwd=home)
            stamp.write_text(wanted)
    return home


@contextmanager
def alone(name: str) -> Iterator[None]:
    """One test process does this (installs a peer, uses a port of the machine), the others wait for it."""
    PEERS.mkdir(exist_ok=True)
    with (PEERS / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _install(name: str, command: list[str], cwd: Path | None = None) -> None:
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=INSTALL_WITHIN, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        absent(f"the peer {name} could not be installed: {error}")
    if done.returncode:
        absent(f"the peer {name} could not be installed: {done.stderr.strip()[-500:]}")
