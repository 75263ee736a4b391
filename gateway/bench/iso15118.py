"""`v2x bench iso20`: our EV and SECC, then Josev's, each as two processes on one link, in one run.

In memory: a DC_BPT session of 1,000 loops between our two engines, every byte encoded and decoded. On the link (a veth
pair in its own network namespace): from the first SDP request to the first charge loop response, the round trip of a
loop, CPU time and memory of both processes with their children. CPU of a loop is the difference between a long and a
short session over the loops between them. Where namespaces are not allowed only the first part runs. `iso20_pairs.py`
measures the pairs.
"""

from __future__ import annotations

import json as jsonlib
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator

from gateway.bench.exi import PeerAbsent, peer_python
from gateway.bench.measuring import Figures
from protocols.iso15118.iso20.loopback import session
from protocols.iso15118.iso20.services import ControlMode, ServiceId

LOOPS = 1_000
ROUNDS = 5
WITHIN = 240  # s, for the pairs
IMPORTS = "iso15118, aiofile"  # its car needs both
AIM_FIRST_LOOP_MS = 60
AIM_CPU_RATIO = 30
_LINK = """
set -e
echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad
ip link set lo up
ip link add v2xev type veth peer name v2xse
for end in v2xev v2xse; do echo 0 > /proc/sys/net/ipv6/conf/$end/accept_dad; ip link set $end up; done
exec "$@"
"""


def in_memory(loops: int = LOOPS) -> float:
    """Return the CPU seconds of one DC_BPT session between our engines."""
    began = time.process_time()
    session(ServiceId.DC_BPT, ControlMode.DYNAMIC, loops)
    return time.process_time() - began


def figures() -> Figures:
    """Return all figures; those of the peer are absent, with the reason, if it is not available."""
    in_memory(20)
    found: Figures = {
        "in_memory": {"loops": LOOPS, "cpu_s": round(min(in_memory() for _ in range(ROUNDS)), 4), "aim_s": 0.2}
    }
    try:
        python = str(peer_python(IMPORTS))
    except PeerAbsent as absent:
        found["absent"], python = str(absent), ""
    try:
        found |= _pairs(python)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        found["no_link"] = str(error)[-300:]
    return found


def _pairs(python: str) -> Figures:
    for name in ("unshare", "ip"):
        if shutil.which(name) is None:
            raise OSError(f"{name} is not installed")
    apart = ["--user", "--map-root-user", "--net", "--pid", "--fork", "--mount-proc", "--kill-child"]
    argv = ["unshare", *apart, "sh", "-c", _LINK, "sh"]
    argv += [sys.executable, "-m", "gateway.bench.iso20_pairs", python]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            out, err = process.communicate(timeout=WITHIN)
        except subprocess.TimeoutExpired:
            process.terminate()
            out, err = process.communicate()
    lines = [line for line in out.splitlines() if line.startswith("{")]
    if not lines:
        raise OSError(err.strip() or "the link could not be made")
    pairs: Figures = jsonlib.loads(lines[-1])
    ours, theirs = pairs["ours"], pairs.get("josev")
    ours["aim_first_loop_ms"] = AIM_FIRST_LOOP_MS
    if theirs is not None:
        pairs["ratio"] = {
            key: round(theirs[key] / ours[key], 1)
            for key in ("first_loop_ms", "round_trip_ms", "cpu_ms_per_loop", "cpu_s_per_session", "memory_mib")
            if ours.get(key) and theirs.get(key)
        }
        pairs["ratio"]["aim_cpu"] = AIM_CPU_RATIO
    return pairs


def text(found: Figures) -> Iterator[str]:
    """Yield the figures as a table."""
    memory = found["in_memory"]
    yield f"in memory: {memory['loops']} loops in {memory['cpu_s']} s of CPU (aim {memory['aim_s']} s)"
    for key, what in (
        ("first_loop_ms", "SDP to first charge loop, ms"),
        ("round_trip_ms", "round trip of a loop, ms (median)"),
        ("cpu_ms_per_loop", "CPU of a loop, both sides, ms"),
        ("cpu_s_per_session", "CPU of a short session, start to exit, s"),
        ("memory_mib", "memory, both sides, MiB"),
    ):
        row = [found.get(side, {}).get(key) for side in ("ours", "josev", "ratio")]
        yield f"{what:40}" + "".join(f"{'-' if value is None else value:>12}" for value in row)
    for key in ("absent", "no_link"):
        if key in found:
            yield f"not measured: {found[key]}"
