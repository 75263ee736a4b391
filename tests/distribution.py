"""Distribution of the tests to the workers of pytest-xdist: the longest ones start first, some modules stay together.

Without this order a test of a minute that starts last leaves the other workers without work. Of three or more workers
the last one runs the tests that mostly wait, for a peer or a lease, while the others use the processors. Modules stay
together where their tests share a result that takes long, such as sessions of a peer. The groups of pytest-xdist
(`xdist_group`) have no effect with pytest 9.2, and each of its other modes moves whole modules.
"""

from __future__ import annotations

from typing import Any

import pytest

TOGETHER = (
    "tests/docs/test_facility_quick_start.py",
    "tests/gateway/web/page/test_browser.py",
    "tests/interop/test_josev.py",
    "tests/interop/test_programs.py",
    "tests/gateway/web/page/test_browser.py",
    "tests/protocols/exi/test_declarations.py",
    "tests/protocols/exi/test_exificient.py",
)
WAITING = (
    "tests/gateway/crash",
    "tests/interop/test_ocpp_ws_cli.py",
    "tests/interop/test_mosquitto",
    "tests/interop/test_programs.py",
    "tests/interop/test_node_red.py",
    "tests/interop/test_home_assistant.py",
    "tests/fuzz/test_admin_api_fuzz.py",
    "tests/fuzz/test_autobahn.py",
    "tests/fuzz/test_ocpp_port_fuzz.py",
    "tests/gateway/csms/test_hostile_connections.py",
    "tests/gateway/web/page/test_browser.py",
    "tests/docs/test_quick_starts.py",
    "tests/docs/test_facility_quick_start.py",
    "tests/emulators/world/test_sockets.py",
    "tests/gateway/cli/test_gateway_process.py",
    "tests/scenarios/test_discharge_end_to_end.py::test_the_demo_over_real_sockets",
    "tests/docs/test_facility_quick_start.py",
    "tests/docs/test_quick_starts.py::test_a_hardware_vendor",
)
LONGEST = (  # in the order of the run; the peer's session timers need a core, so tests of one process run beside them
    "tests/interop/test_josev.py",
    "tests/gateway/web/page/test_browser.py",
    "tests/gateway/energy",
    "tests/emulators/faults/test_world_faults.py",
    "tests/emulators/charger/test_chaos.py",
    "tests/gateway/crash",
    "tests/fuzz/test_exi_fuzz.py",
    "tests/interop",
    "tests/gateway/web/page/test_browser.py",
    "tests/emulators/world",
    "tests/scenarios",
    "tests/protocols/exi/test_exificient.py",
    "tests/emulators/test_plugin.py",
    "tests/bench",
    "tests/test_peer_retries.py",
    "tests/interop/test_home_assistant.py",  # its install takes minutes
)


def position(nodeid: str) -> int:
    """Return the position of a test in the run: by its longest prefix in `LONGEST`, then all others."""
    prefix = max((one for one in LONGEST if nodeid.startswith(one)), key=len, default=None)
    return len(LONGEST) if prefix is None else LONGEST.index(prefix)


def waits(nodeid: str) -> bool:
    """Return whether a test mostly waits."""
    return nodeid.startswith(WAITING)


def scheduler(config: pytest.Config, log: Any) -> Any:
    """Return a scheduler that gives each worker the next test, or the next module of `TOGETHER`."""
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return _unit(nodeid)

        def _assign_work_unit(self, node: Any) -> None:
            """Assign the first unit of the kind that the worker runs, of the other kind where none is left."""
            waiting = self.numnodes > 2 and node.gateway.id == f"gw{self.numnodes - 1}"
            found = next((unit for unit in self.workqueue if waits(unit) is waiting), next(iter(self.workqueue)))
            self.workqueue.move_to_end(found, last=False)
            super()._assign_work_unit(node)

    config.option.loadscopereorder = False  # it would put modules with many tests first
    return Scheduling(config, log)


def _unit(nodeid: str) -> str:
    module = nodeid.partition("::")[0]
    return module if module in TOGETHER else nodeid
