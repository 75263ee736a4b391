"""Install every foreign implementation that the tests use (`make peers`); a test waits for an install that is running.

What cannot be installed is reported and left to its test, which tries once more and then states the reason.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from gateway.bench import cluster_parts
from gateway.bench.measuring import PeerAbsent
from tests.deploy import test_compose
from tests.fuzz import autobahn, test_admin_api_fuzz, test_ocpp_port_fuzz
from tests.gateway.web.page import test_browser
from tests.interop import (
    josev,
    test_asyncapi,
    test_echonet_lite_npm,
    test_home_assistant,
    test_node_red,
    test_ocpp_rpc,
    test_ocpp_ws_cli,
    test_pychonet,
    test_pyslac,
    test_pysunspec2,
    test_vendor_dut,
)

AT_ONCE = 3  # most of the time passes in downloads
INSTALLS: tuple[Callable[[], object], ...] = (
    josev.interpreter,
    test_pyslac.interpreter,
    test_home_assistant.peer,
    test_ocpp_ws_cli.project,
    autobahn.wstest,
    test_admin_api_fuzz.peer,
    test_ocpp_port_fuzz.peer,
    test_node_red.project,
    test_ocpp_rpc.project,
    test_vendor_dut.interpreter,
    test_asyncapi.project,
    test_browser.axe,
    test_compose.parser,
    test_pysunspec2.interpreter,
    test_pychonet.interpreter,
    test_echonet_lite_npm.project,
)
OF_BENCHMARKS: tuple[Callable[[], object], ...] = (
    josev.interpreter,  # exi, iso15118
    test_ocpp_rpc.project,  # ocpp
    test_pychonet.interpreter,  # echonet
)
PROGRAMS = {  # of the distribution: command that installs each
    "java": "apt-get install default-jre-headless",
    "mosquitto": "apt-get install mosquitto",
    "node": "apt-get install nodejs npm",
    "unshare": "apt-get install util-linux",
    "ip": "apt-get install iproute2",
}


def main() -> None:
    """Install all of them, or with `--bench` those of `v2x bench`."""
    of_benchmarks = "--bench" in sys.argv[1:]
    if of_benchmarks:
        for text in absent_programs():
            sys.stderr.write(f"{text}\n")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for done in [pool.submit(_attempt, install) for install in (OF_BENCHMARKS if of_benchmarks else INSTALLS)]:
            if reason := done.result():
                sys.stderr.write(f"{reason}\n")


def absent_programs() -> Iterator[str]:
    """Yield for each program of the distribution that `v2x bench` lacks the command that installs it."""
    for program, command in PROGRAMS.items():
        if shutil.which(program) is None and shutil.which(program, path="/usr/sbin:/usr/local/sbin") is None:
            yield f"{program} is not installed; install it with: {command}"
    for find in (cluster_parts.nats_program, lambda: cluster_parts.postgres_program("initdb")):
        try:
            find()
        except PeerAbsent as absent:
            yield str(absent)


def _attempt(install: Callable[[], object]) -> str | None:
    try:
        install()
    except pytest.skip.Exception as reason:
        return str(reason)
    return None


if __name__ == "__main__":
    main()
