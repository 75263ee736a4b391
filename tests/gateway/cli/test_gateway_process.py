"""`v2x gateway` as a process: what it prints and answers from outside."""

from __future__ import annotations

import json
import logging
import os
import signal
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway.cli.main import app

CONFIG = """
[mqtt]
url = "mqtt://127.0.0.1:9"
[ocpp]
listen = "127.0.0.1:0"
security_profile = 0
[admin]
listen = "127.0.0.1:0"
[[stations]]
id = "CP1"
"""


@contextmanager
def gateway_process(folder: Path, config: str) -> Iterator[tuple[dict[str, Any], subprocess.Popen[str]]]:
    (folder / "gateway.toml").write_text(config)
    command = [sys.executable, "-m", "gateway.cli", "gateway", "-c", "gateway.toml"]
    default = partial(signal.signal, signal.SIGHUP, signal.SIG_DFL)  # it may be ignored, under `nohup`
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True, preexec_fn=default) as process:
        assert process.stderr is not None
        try:
            ready = next(line for line in process.stderr if line.startswith('{"event": "ready"'))
            yield json.loads(ready), process
        finally:
            process.terminate()
            process.stderr.read()
            assert process.wait(20) == 0


class Invocations:
    """Commands in this process beside a running gateway, with its ports."""

    def __init__(self, folder: Path, ready: dict[str, Any]) -> None:
        self._folder, self._ready = folder, ready

    def of(self, words: list[str], store: str = "sqlite:///v2x.db") -> tuple[int, str]:
        """Return exit status and output of a command."""
        text = CONFIG.replace("127.0.0.1:0", f"127.0.0.1:{self._ready['ocpp_port']}", 1)
        text = text.replace("127.0.0.1:0", f"127.0.0.1:{self._ready['admin_port']}", 1)
        (self._folder / "beside.toml").write_text(f'{text}[store]\nurl = "{store}"\n')
        root, handlers, level = logging.getLogger(), logging.getLogger().handlers[:], logging.getLogger().level
        try:
            done = CliRunner().invoke(app, [*words, "-c", str(self._folder / "beside.toml")])
        finally:
            root.handlers[:] = handlers
            root.setLevel(level)
        assert isinstance(done.exception, SystemExit | None), done.exception
        return done.exit_code, done.output


def test_token_and_page_are_printed_and_the_command_line_uses_the_token(tmp_path: Path) -> None:
    with gateway_process(tmp_path, f'{CONFIG}[web]\nlisten = "127.0.0.1:0"\n') as (ready, _):
        assert b"<title>Now" in urllib.request.urlopen(ready["page"], timeout=10).read()
        file = Path(ready["admin_token_file"])
        assert file.parent == tmp_path
        url = f"http://127.0.0.1:{ready['admin_port']}/admin/v1/stations"
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(url, timeout=10)
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {file.read_text().strip()}"})
        assert json.load(urllib.request.urlopen(request, timeout=10))[0]["id"] == "CP1"
        beside = Invocations(tmp_path, ready)
        assert beside.of(["explain", "CP1-1"])[0] == 0
        status, text = beside.of(["doctor"])
        assert (status, "accepts the token" in text, "in use by the gateway that runs" in text) == (1, True, True)
        file.rename(tmp_path / "aside")
        status, text = beside.of(["explain", "CP1-1"])
        assert (status, "admin-token does not exist" in text) == (1, True)
        file.write_text("another token\n")
        assert "rejects the token" in beside.of(["doctor"])[1]


def test_check_config_warns_about_an_open_admin_api(tmp_path: Path) -> None:
    (tmp_path / "gateway.toml").write_text(CONFIG.replace("[admin]", "[admin]\ntoken = false"))
    done = CliRunner().invoke(app, ["check-config", "-c", str(tmp_path / "gateway.toml")])
    assert done.exit_code == 0
    assert "note: admin.token: off" in done.stderr


def test_the_database_and_the_token_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    with gateway_process(tmp_path, CONFIG) as (ready, process):
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
        state = Invocations(tmp_path, ready)
        assert state.of(["health", "--live"]) == (0, '{"status":"live"}\n')
        status, text = state.of(["health"])
        assert (status, json.loads(text)["failing"]) == (1, ["broker"])
        assert state.of(["gateway"])[0] == 2  # another gateway uses the database
        status, text = state.of(["gateway"], store="memory:")
        assert (status, "another process uses this port" in text) == (1, True)
        process.send_signal(signal.SIGHUP)
        assert process.wait(20) == 0
    del modes["gateway.toml"]
    assert {"v2x.db", "v2x.db-wal", "admin-token"} <= set(modes)
    assert set(modes.values()) == {0o600}


def test_openssl_is_not_configured_by_a_file_of_another_user(tmp_path: Path) -> None:
    """No file of the shared temporary directory is read, whatever its name: OpenSSL can load code by it."""
    program = (
        "import os, sys, tempfile; from pathlib import Path; from protocols.iso15118 import tls;"
        "tls.ensure_configuration(tls.TlsProfile.STRICT); path = os.environ['OPENSSL_CONF'];"
        "assert 'v2x_tls' in Path(path).read_text(); import ssl; ssl.create_default_context();"
        "print(path, sorted(os.listdir(tempfile.gettempdir())))"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.startswith("/proc/self/fd/") or "v2x-openssl-" in done.stdout
    for made in tmp_path.iterdir():
        assert stat.S_IMODE(made.stat().st_mode) == 0o700
