"""schemathesis at the admin API of a gateway with a connected station: documented answers only, no traceback.

501 is the documented answer for what an OCPP version does not have.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.fuzz.gateway_program import TOKEN, gateway_program
from tests.peers import python_peer

SCHEMATHESIS = "schemathesis==4.32.5"
SECONDS, SOAK_SECONDS = 2, int(os.environ.get("V2X_SOAK_SECONDS", "600"))
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "ignored_auth",
)
SETTINGS = """
[parameters]
station = "CP1"
evse = 1
[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", 501]
"""


def peer() -> Path:
    """Return the interpreter of the environment of schemathesis."""
    return python_peer("schemathesis", SCHEMATHESIS)


def run(folder: Path, seconds: int, *options: str) -> None:
    python = peer()
    (folder / "schemathesis.toml").write_text(SETTINGS)
    with gateway_program(folder) as gateway:
        csms = f"ws://127.0.0.1:{gateway.ocpp}/ocpp"
        station = subprocess.Popen(
            [sys.executable, "-m", "gateway.cli", "charger", "--csms", csms, "--id", "CP1", "--json"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            while b'"connected":true' not in gateway.get("/admin/v1/stations/CP1"):
                time.sleep(0.1)
            program = [python, "-m", "schemathesis.cli", "--config-file", folder / "schemathesis.toml", "run"]
            done = subprocess.run(
                [
                    *map(str, program),
                    *(f"{gateway.url}/openapi.json", "-H", f"Authorization: Bearer {TOKEN}"),
                    *("--checks", ",".join(CHECKS), "--max-time", str(seconds), "--request-timeout", "40"),
                    *("--exclude-operation-id", "delete_station_admin_v1_stations__station__delete"),
                    *("--no-shrink", *options),
                ],
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=seconds + 100,
                check=False,
            )
            assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
        finally:
            station.terminate()
            station.wait()


@pytest.mark.peer
def test_the_admin_api_answers_as_documented(tmp_path: Path) -> None:
    run(tmp_path, SECONDS, "--phases", "coverage", "--seed", "1")


@pytest.mark.peer
@pytest.mark.soak
def test_the_admin_api_answers_as_documented_for_long(tmp_path: Path) -> None:
    run(tmp_path, SOAK_SECONDS, "--phases", "examples,coverage,fuzzing,stateful")
