"""Each benchmark states on its error output what it measures, so that minutes without figures are not silence."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import sys
from pathlib import Path

import pytest

from gateway.bench import chademo, iso15118, measuring, plan
from gateway.cli.main import Bench
from tests import install_peers


@pytest.mark.parametrize("name", list(Bench))
def test_every_benchmark_states_its_steps(name: Bench) -> None:
    module = importlib.import_module(f"gateway.bench.{name.name.lower()}")
    calls = [node.func for node in ast.walk(ast.parse(inspect.getsource(module))) if isinstance(node, ast.Call)]
    assert any(isinstance(called, ast.Name) and called.id == "progress" for called in calls)


def test_progress_stands_on_the_error_output(capsys: pytest.CaptureFixture[str]) -> None:
    plan.measure(1)
    chademo.figures(1.0)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines() == [
        "measuring 1 vehicles",
        "measuring both engines, then a pair with its converter",
    ]


def test_an_absent_peer_is_named_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))  # in which there is no place for an environment
    with pytest.raises(measuring.PeerAbsent) as caught:
        measuring.python_with("no_such_peer", "V2X_NO_PYTHON", "peer", "no-such-peer==1", "other")
    place = tmp_path / "file" / "v2x-gateway" / "peer"
    assert str(caught.value).endswith(
        f"; install it with: python3 -m venv {place} && {place}/bin/pip install no-such-peer==1 other"
    )
    assert "Not a directory" in str(caught.value)
    monkeypatch.setenv("V2X_NO_PYTHON", sys.executable)
    with pytest.raises(measuring.PeerAbsent, match=re.escape(f"install it with: {sys.executable} -m pip install no-s")):
        measuring.python_with("no_such_peer", "V2X_NO_PYTHON", "peer", "no-such-peer==1")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(OSError, match="unshare is not installed; install it with: apt-get install util-linux"):
        iso15118._pairs("")


def test_the_installation_of_peers_names_the_programs_that_are_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert {*install_peers.PROGRAMS} >= {"java", "mosquitto", "node", "ip", "unshare"}
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(Path, "glob", lambda *_: iter(()))  # no Postgres at its usual place either
    named = list(install_peers.absent_programs())
    assert "initdb is not installed; install it with: apt-get install postgresql" in named
    assert "node is not installed; install it with: apt-get install nodejs npm" in named
