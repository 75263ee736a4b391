"""The suites of `ocpp-ws-cli` (npm) against our CSMS, in all three versions. Needs Node 20.

Its demands beyond the specification are named here with the reason; everything else must pass.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from protocols.ocpp.schema import Version
from tests.interop.ocpp_sockets import csms
from tests.peers import node_peer, program

PACKAGE = "ocpp-ws-cli@1.1.12"
LIMIT = 120.0  # s for the whole suite
CHECKS = 21

# Check -> why another outcome is right.
NOT_NORMATIVE = {
    "Server requires subprotocol": "part 4, 3.3: the handshake is completed without a subprotocol, then closed",
    "Server rejects oversized frames (>128KB)": "it wants a closed connection; we refuse with a code and go on",
    "Server enforces MessageId is a string": "it wants FormatViolation; part 4, table 9 has RpcFrameworkError",
}
_THREE = {"Server rejects missing payload in CALL": "it wants FormatViolation; three elements are no RPC request"}
BY_VERSION = {
    Version.V16: {
        "Server rejects non-object payload in CALL": "it wants FormatViolation; 1.6-J has FormationViolation"
    },
    Version.V201: _THREE,
    Version.V21: _THREE,
}


def read_results(folder: Path, output: str) -> list[dict[str, Any]]:
    """Results in the JSON report that the peer has written."""
    reports = list(folder.glob("*.json"))
    assert reports, output[-2000:]
    results: list[dict[str, Any]] = json.loads(reports[0].read_text("utf-8"))["testResults"]
    return results


def project() -> Path:
    """Return the folder of the npm project."""
    return node_peer("ocpp-ws-cli", PACKAGE)


@pytest.mark.peer
@pytest.mark.parametrize("version", list(Version))
async def test_every_check_that_is_normative(version: Version, tmp_path: Path) -> None:
    node = program("node", "nodejs")
    script = project() / "node_modules" / "ocpp-ws-cli" / "dist" / "index.js"

    async with csms() as (_, url):
        process = await asyncio.create_subprocess_exec(
            node, str(script), "test", "-e", url, "-i", "CLI1", "-p", version.value,
            "--suite", "all", "--report", "json", "--report-dir", str(tmp_path),
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        async with asyncio.timeout(LIMIT):
            out, _ = await process.communicate()
        console = out.decode(errors="replace")
    results = read_results(tmp_path, console)
    assert len(results) == CHECKS
    failed = {one["name"]: one.get("issue", "") for one in results if not one["passed"]}
    assert failed.keys() == NOT_NORMATIVE.keys() | BY_VERSION[version].keys(), failed
