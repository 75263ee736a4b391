"""`v2x bench ocpp`: one server process and one load process, ours beside the `ocpp` package (and Node's `ocpp-rpc`).

Read the ratios: machines differ. Each server receives TransactionEvents of about 1.2 kB from 100 and from 1,000
stations, each with one call outstanding, with schema validation of requests and responses. CPU is the server's own.
The cost of the CSMS and of the service with its store beside the RPC layer is shown as shares of the CPU per message.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from gateway.bench import ocpp_load
from gateway.bench.measuring import Figures, JsonProcess, progress

SECONDS = 4.0
STATIONS = (100, 1000)
NODE_SCRIPT = Path(__file__).with_name("ocpp_rpc_server.js")
AIMS = {"rate_over_package": 15.0, "rate_per_cpu_over_node": 0.8, "idle_kb_per_station": 35.0, "half_load_p99_ms": 50.0}


def _ours(kind: str) -> list[str]:
    return [sys.executable, "-m", "gateway.bench.ocpp_servers", kind]


def _node() -> tuple[list[str], dict[str, str]] | str:
    """Return the command line of Node's server, or the reason why it cannot run."""
    program = shutil.which("node")
    places = [os.environ.get("V2X_OCPP_RPC", ""), str(Path.cwd() / ".peers" / "ocpp-rpc" / "node_modules")]
    home = next((place for place in places if place and (Path(place) / "ocpp-rpc").is_dir()), None)
    if program is None:
        return "node is not installed; install it with: apt-get install nodejs npm"
    if home is None:
        return (
            "ocpp-rpc is not installed; install it with: npm install --prefix .peers/ocpp-rpc ocpp-rpc"
            " (or set V2X_OCPP_RPC to a node_modules folder that holds it)"
        )
    return [program, str(NODE_SCRIPT)], {"NODE_PATH": home}


async def figures(seconds: float = SECONDS, stations: tuple[int, ...] = STATIONS) -> Figures:
    """Return all figures of one run."""
    kinds: dict[str, tuple[list[str], dict[str, str] | None]] = {
        "rpc": (_ours("rpc"), None),
        "gateway": (_ours("gateway"), None),
        "core": (_ours("core"), None),
        "ocpp package": (_ours("package"), None),
    }
    found: Figures = {"benchmark": "ocpp", "seconds": seconds, "servers": {}}
    node = _node()
    if isinstance(node, str):
        found["node_absent"] = node
    else:
        kinds["ocpp-rpc (node)"] = node
    for name, (command, environment) in kinds.items():
        rows = []
        for count in stations:
            progress(f"{name}, {count} stations")
            server = await asyncio.to_thread(JsonProcess, command, environment)
            try:
                rows.append(await ocpp_load.measure(server, count, seconds))
            finally:
                await asyncio.to_thread(server.close)
        found["servers"][name] = rows
    found["ratios"] = _ratios(found["servers"])
    return found


def _ratios(servers: dict[str, list[Figures]]) -> Figures:
    rate, cpu = "messages_per_s", "cpu_us_per_message"
    ours, theirs, whole, core = (servers[name] for name in ("rpc", "ocpp package", "gateway", "core"))
    ratios: Figures = {
        "rate_over_package": [_over(a[rate], b[rate]) for a, b in zip(ours, theirs, strict=True)],
        "rate_per_cpu_over_package": [_over(b[cpu], a[cpu]) for a, b in zip(ours, theirs, strict=True)],
        "share_of_cpu": [
            {
                "rpc": _over(a[cpu], c[cpu]),
                "csms": _over(b[cpu] - a[cpu], c[cpu]),
                "core and store": _over(c[cpu] - b[cpu], c[cpu]),
            }
            for a, b, c in zip(ours, whole, core, strict=True)
        ],
    }
    node = servers.get("ocpp-rpc (node)")
    if node is not None:
        ratios["rate_per_cpu_over_node"] = [_over(b[cpu], a[cpu]) for a, b in zip(ours, node, strict=True)]
    return ratios


def _over(a: float, b: float) -> float | None:
    return round(a / b, 2) if b else None


def text(found: Figures) -> Iterator[str]:
    """Yield the figures as a table."""
    yield (
        f"{'server':18}{'stations':>9}{'msg/s':>9}{'p50 ms':>9}{'p99 ms':>9}{'p99 half':>9}{'CPU us':>9}{'kB idle':>9}"
    )
    for name, rows in found["servers"].items():
        for row in rows:
            yield (
                f"{name:18}{row['stations']:9}{row['messages_per_s']:9}{row['p50_ms']:9}{row['p99_ms']:9}"
                f"{row['half_load_p99_ms']:9}{row['cpu_us_per_message']:9}{row['idle_kb_per_station']:9}"
            )
    for name, value in found["ratios"].items():
        yield f"{name}: {value}" + (f" (aim {AIMS[name]:g})" if name in AIMS else "")
    if "node_absent" in found:
        yield f"ocpp-rpc is left out: {found['node_absent']}"
