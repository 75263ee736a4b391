"""`v2x gateway` as a process: what it prints and answers from outside."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

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


def v2x(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gateway.cli", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


@contextmanager
def gateway_process(folder: Path, config: str) -> Iterator[tuple[dict[str, Any], subprocess.Popen[str]]]:
    (folder / "gateway.toml").write_text(config)
    command = [sys.executable, "-m", "gateway.cli", "gateway", "-c", "gateway.toml"]
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            ready = next(line for line in process.stderr if line.startswith('{"event": "ready"'))
            yield json.loads(ready), process
        finally:
            process.terminate()
            process.stderr.read()
            process.wait(20)


def test_the_token_is_made_printed_and_used_by_the_command_line(tmp_path: Path) -> None:
    with gateway_process(tmp_path, CONFIG) as (ready, _):
        file = Path(ready["admin_token_file"])
        assert file.parent == tmp_path
        url = f"http://127.0.0.1:{ready['admin_port']}/admin/v1/stations"
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(url, timeout=10)
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {file.read_text().strip()}"})
        assert json.load(urllib.request.urlopen(request, timeout=10))[0]["id"] == "CP1"
        here = CONFIG.replace('[admin]\nlisten = "127.0.0.1:0"', f'[admin]\nlisten = "127.0.0.1:{ready["admin_port"]}"')
        (tmp_path / "gateway.toml").write_text(here)
        shown = v2x("explain", "CP1-1", "-c", "gateway.toml", folder=tmp_path)
        assert shown.returncode == 0, shown.stderr
        file.unlink()
        missing = v2x("explain", "CP1-1", "-c", "gateway.toml", folder=tmp_path)
        assert (missing.returncode, "Traceback" in missing.stderr) == (1, False)
        assert "admin-token does not exist" in missing.stderr


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ('[[stations]]\nid = "CP2"\npassword_file = "nowhere"\n', "stations.1.password_file"),
        ('[blue_switch]\nfile = "nowhere"\n', "blue_switch.file"),
    ],
)
def test_a_missing_file_is_an_error_without_traceback(table: str, key: str, tmp_path: Path) -> None:
    (tmp_path / "gateway.toml").write_text(CONFIG + table)
    for command in ("gateway", "check-config"):
        done = v2x(command, "-c", "gateway.toml", folder=tmp_path)
        assert done.returncode == 2
        assert key in done.stderr
        assert "Traceback" not in done.stderr


def test_check_config_warns_about_an_open_admin_api(tmp_path: Path) -> None:
    (tmp_path / "gateway.toml").write_text(CONFIG.replace("[admin]", "[admin]\ntoken = false"))
    done = v2x("check-config", "-c", "gateway.toml", folder=tmp_path)
    assert done.returncode == 0
    assert "note: admin.token: off" in done.stderr


def test_the_database_and_the_token_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    with gateway_process(tmp_path, CONFIG):
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
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
