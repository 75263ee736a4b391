"""AutobahnTestSuite, which needs a Python 2.7: one from the path or from pyenv. Without one its tests skip, always."""

from __future__ import annotations

import fcntl
import functools
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.peers import INSTALL_WITHIN, NO_PYTHON_2, PEERS, absent

RELEASE = "autobahntestsuite==25.10.1"
# its dependency zope.interface is found by the .pth file of the folder only
START = "import site, sys; site.addsitedir(sys.argv.pop(1)); from autobahntestsuite.wstest import run; run()"


def python2() -> str:
    """Return an interpreter that works; skip where there is none. A shim of pyenv may refuse to start."""
    found = [shutil.which("python2.7"), *sorted(Path.home().glob(".pyenv/versions/2.7*/bin/python2.7"))]
    for one in filter(None, found):
        if subprocess.run([str(one), "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0:
            return str(one)
    pytest.skip(f"AutobahnTestSuite cannot run: {NO_PYTHON_2}")


@functools.cache
def wstest() -> list[str]:
    """Return the command of the test suite, which is installed once into `.peers`."""
    python, home = python2(), PEERS / "autobahn"
    stamp = home / ".installed"
    PEERS.mkdir(exist_ok=True)
    with (PEERS / "autobahn.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (stamp.exists() and stamp.read_text() == RELEASE):
            shutil.rmtree(home, ignore_errors=True)
            install = [python, "-m", "pip", "install", "--quiet", "--target", str(home), RELEASE]
            done = subprocess.run(install, capture_output=True, text=True, timeout=INSTALL_WITHIN, check=False)
            if done.returncode:
                absent(f"the peer autobahn could not be installed: {done.stderr.strip()[-500:]}")
            stamp.write_text(RELEASE)
    return [python, "-W", "ignore", "-c", START, str(home)]
