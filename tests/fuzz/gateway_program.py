"""The gateway as a program of its own, which a fuzzer attacks from outside, and what must hold of it afterwards."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from protocols.ocpp.schema import Version
from tests.forked import Program

TOKEN = "0123456789abcdef0123456789abcdef"
START_WITHIN_S, STOP_WITHIN_S = 120.0, 60.0
GROWTH_BYTES = 100_000_000
CONFIGURATION = """
[site]
id = "home"
[mqtt]
url = "{broker}"
[ocpp]
listen = "127.0.0.1:0"
security_profile = 0
max_handshakes_per_s = 100000
max_calls_per_s = 100000
max_burst = 1000000
[[stations]]
id = "CP1"
[[stations]]
id = "CP2"
[admin]
listen = "127.0.0.1:0"
token_file = "token"
raw_calls = true
[log]
level = "info"
"""


@dataclass(frozen=True)
class GatewayProgram:
    """A running gateway with the stations CP1 and CP2 and a token."""

    process: Program
    ocpp: int
    admin: int
    log: Path
    memory_at_start: int

    @property
    def url(self) -> str:
        """Return the address of the admin API."""
        return f"http://127.0.0.1:{self.admin}"

    def memory(self) -> int:
        """Return the resident memory in bytes."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * 4096

    def check(self) -> None:
        """Assert that it runs, logged no traceback, bounds its memory, and serves another station and an operator."""
        assert self.process.poll() is None, self.log.read_text()[-3000:]
        log = self.log.read_text()
        assert "Traceback" not in log, log[log.index("Traceback") - 500 :][:4000]
        assert self.memory() - self.memory_at_start < GROWTH_BYTES
        asyncio.run(asyncio.wait_for(boot(self.ocpp, "CP2"), 10))
        assert json.loads(self.get("/admin/v1/health"))["status"] == "ok"

    def get(self, path: str) -> bytes:
        """Return the answer of the admin API."""
        request = urllib.request.Request(self.url + path, headers={"Authorization": f"Bearer {TOKEN}"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            content: bytes = answer.read()
        return content


async def boot(port: int, name: str, version: Version = Version.V21) -> None:
    """Connect as a station and send a BootNotification, which is accepted."""
    url = f"ws://127.0.0.1:{port}/ocpp/{name}"
    async with connect(url, subprotocols=[Subprotocol(version.value)], proxy=None) as socket:
        body = {"reason": "PowerUp", "chargingStation": {"model": "m", "vendorName": "v"}}
        await socket.send(json.dumps([2, "boot", "BootNotification", body]))
        while True:
            message = json.loads(await socket.recv())
            if message[1] == "boot":
                assert message[2]["status"] == "Accepted", message
                return


@contextmanager
def gateway_program(folder: Path, broker: str = "mqtt://127.0.0.1:9") -> Iterator[GatewayProgram]:
    """Run the gateway; it is checked before and after what is done to it, and stopped by SIGTERM."""
    (folder / "token").write_text(TOKEN)
    (folder / "token").chmod(0o600)
    (folder / "gateway.toml").write_text(CONFIGURATION.format(broker=broker))
    log = folder / "gateway.log"
    process = Program("gateway", "-c", "gateway.toml", folder=folder, errors=log)
    try:
        ready = _ready(process, log)
        program = GatewayProgram(process, ready["ocpp_port"], ready["admin_port"], log, 1 << 40)
        program.check()
        program = GatewayProgram(process, program.ocpp, program.admin, log, program.memory())
        yield program
        program.check()
        process.terminate()
        process.wait(STOP_WITHIN_S)
        assert "Traceback" not in log.read_text()
    finally:
        process.kill()


def _ready(process: Program, log: Path) -> dict[str, int]:
    until = time.monotonic() + START_WITHIN_S
    while process.poll() is None and time.monotonic() < until:
        for line in log.read_text().splitlines():
            if line.startswith('{"event": "ready"'):
                found: dict[str, int] = json.loads(line)
                return found
        time.sleep(0.1)
    raise AssertionError(log.read_text())
