"""`v2x bench iso15118`: our EV and SECC, then Josev's, each as two processes on one link, in one run.

ISO 15118-20 DC_BPT and ISO 15118-2 DC on the link (a veth pair in its own network namespace): from the first SDP
request to the first charge loop response, the round trip of a loop, CPU time and memory of both processes with their
children. CPU of a loop is the difference between a long and a short session over the loops between them. In memory: a
DC_BPT session of 1,000 loops between our two engines, every byte encoded and decoded. Where namespaces are not allowed
only this part runs. `iso15118_pairs.py` measures the pairs.
"""

from __future__ import annotations

import json as jsonlib
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

from gateway.bench.exi import peer_python
from gateway.bench.iso15118_pairs import SESSIONS
from gateway.bench.measuring import Figures, PeerAbsent, progress
from protocols.iso15118.iso20.loopback import session
from protocols.iso15118.iso20.services import ControlMode, ServiceId

LOOPS = 1_000
ROUNDS = 5
WITHIN = 480  # s, for the pairs
IMPORTS = "iso15118, aiofile"  # its car needs both
AIM_FIRST_LOOP_MS = 60
AIM_ANSWER_MS = 25
AIM_CPU_RATIO = 60
NO_JAVA = "its codec needs Java; install it with: apt-get install default-jre-headless"
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
    progress("a session in memory")
    in_memory(20)
    found: Figures = {
        "in_memory": {"loops": LOOPS, "cpu_s": round(min(in_memory() for _ in range(ROUNDS)), 4), "aim_s": 0.2}
    }
    try:
        python = str(peer_python(IMPORTS))
    except PeerAbsent as absent:
        found["absent"], python = str(absent), ""
    if python and shutil.which("java") is None:
        found["absent"], python = NO_JAVA, ""
    try:
        found |= _pairs(python)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        found["no_link"] = str(error)[-300:]
    return found


def _pairs(python: str) -> Figures:
    for name, package in (("unshare", "util-linux"), ("ip", "iproute2")):
        if shutil.which(name) is None:
            raise OSError(f"{name} is not installed; install it with: apt-get install {package}")
    apart = ["--user", "--map-root-user", "--net", "--pid", "--fork", "--mount-proc", "--kill-child"]
    argv = ["unshare", *apart, "sh", "-c", _LINK, "sh"]
    argv += [sys.executable, "-m", "gateway.bench.iso15118_pairs", python]
    pairs: Figures = {}
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        limit = threading.Timer(WITHIN, process.terminate)
        limit.start()
        for line in process.stdout:
            pairs |= _progress(jsonlib.loads(line))
        limit.cancel()
        if not pairs:
            raise OSError(process.stderr.read().strip() or "the link could not be made")
    for key in SESSIONS:
        if key in pairs:
            _compare(pairs[key])
    return pairs


def _progress(line: Figures) -> Figures:
    """Show what is measured next; return other figures."""
    step = line.pop("progress", None)
    if step is not None:
        progress(step)
    return line


def _compare(pair: Figures) -> None:
    ours, theirs = pair["ours"], pair.get("josev")
    ours |= {"aim_first_loop_ms": AIM_FIRST_LOOP_MS, "aim_slowest_ms": AIM_ANSWER_MS}
    if theirs is not None:
        pair["ratio"] = {
            key: round(theirs[key] / ours[key], 1)
            for key in ("first_loop_ms", "round_trip_ms", "slowest_ms", "cpu_ms_per_loop", "cpu_s_per_session")
            if ours.get(key) and theirs.get(key)
        }
        pair["ratio"] |= {"memory_mib": round(theirs["memory_mib"] / ours["memory_mib"], 1), "aim_cpu": AIM_CPU_RATIO}


def text(found: Figures) -> Iterator[str]:
    """Yield the figures as tables."""
    memory = found["in_memory"]
    yield f"in memory: {memory['loops']} loops in {memory['cpu_s']} s of CPU (aim {memory['aim_s']} s)"
    for name, kind in SESSIONS.items():
        pair = found.get(name, {})
        yield f"{kind.title:40}" + "".join(f"{side:>12}" for side in ("ours", "josev", "ratio"))
        for key, what in (
            ("first_loop_ms", "SDP to first charge loop, ms"),
            ("round_trip_ms", "round trip of a loop, ms (median)"),
            ("slowest_ms", "slowest round trip of a loop, ms"),
            ("cpu_ms_per_loop", "CPU of a loop, both sides, ms"),
            ("cpu_s_per_session", "CPU of a short session, start to exit, s"),
            ("memory_mib", "memory, both sides, MiB"),
        ):
            row = [pair.get(side, {}).get(key) for side in ("ours", "josev", "ratio")]
            yield f"{what:40}" + "".join(f"{'-' if value is None else value:>12}" for value in row)
        if "absent" in pair:
            yield f"not measured: {pair['absent']}"
    for key in ("absent", "no_link"):
        if key in found:
            yield f"not measured: {found[key]}"
