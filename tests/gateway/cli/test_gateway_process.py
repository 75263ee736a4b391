"""`v2x gateway` as a process: what it prints and answers from outside."""

from __future__ import annotations

import json
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
        if command == "check-config" and "blue_switch" in key:
            continue
        done = v2x(command, "-c", "gateway.toml", folder=tmp_path)
        assert done.returncode == 2
        assert key in done.stderr
        assert "Traceback" not in done.stderr


def test_check_config_warns_about_an_open_admin_api(tmp_path: Path) -> None:
    (tmp_path / "gateway.toml").write_text(CONFIG.replace("[admin]", "[admin]\ntoken = false"))
    done = v2x("check-config", "-c", "gateway.toml", folder=tmp_path)
    assert done.returncode == 0
    assert "note: admin.token: off" in done.stderr
