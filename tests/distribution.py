"""Distribution of the tests to the workers of pytest-xdist: the longest ones start first, some modules stay together.

Without this order a test of a minute that starts last leaves the other workers without work. Of three or more workers
the last ones, half of them at most, run the tests that mostly wait, for a peer or a lease, while the others use the
processors with a lower priority: timers of a peer do not wait for them. The tests of a module are given out one by one
where they are long, or wait; otherwise the module stays together, since the tests are short and to give one out costs
more than many of them. So do modules whose tests share a result that takes long, such as sessions of a peer. The groups
of pytest-xdist (`xdist_group`) have no effect with pytest 9.2, and each of its other modes moves whole modules.
"""

from __future__ import annotations

import contextlib
import functools
import os
from typing import Any, ClassVar

import pytest

TOGETHER = (  # of the long and waiting ones
    "tests/docs/test_facility_quick_start.py",
    "tests/gateway/web/page/test_browser.py",
    "tests/interop/test_josev.py",
    "tests/interop/test_programs.py",
    "tests/protocols/exi/test_declarations.py",
    "tests/protocols/exi/test_exificient.py",
)
WAITING = (
    "tests/bench",  # does not wait, but compares times
    "tests/gateway/app/test_first_light.py",
    "tests/gateway/cluster",
    "tests/gateway/crash",
    "tests/interop",
    "tests/emulators/test_dut_fixtures.py",
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
    "tests/scenarios/test_invalid_input.py",
)
LOWER_PRIORITY = 5  # of the workers whose tests do not wait: `nice`
LONGEST = (  # in the order of the run
    "tests/interop/test_josev.py",
    "tests/gateway/web/page/test_browser.py",
    "tests/gateway/energy",
    "tests/emulators/faults/test_world_faults.py",
    "tests/emulators/charger/test_chaos.py",
    "tests/gateway/crash",
    "tests/fuzz/test_exi_fuzz.py",
    "tests/interop",
    "tests/emulators/world",
    "tests/scenarios",
    "tests/gateway/closed_loop",
    "tests/protocols/exi/test_exificient.py",
    "tests/emulators/test_plugin.py",
    "tests/gateway/cluster",
    "tests/gateway/drivers",
    "tests/protocols/exi",
    "tests/bench",
    "tests/test_peer_retries.py",
    "tests/interop/test_home_assistant.py",  # its install takes minutes
)


def position(nodeid: str) -> int:
    """Return the position of a test in the run: by its longest prefix in `LONGEST`, then all others."""
    return _position(_module(nodeid))


@functools.cache
def _position(module: str) -> int:
    prefix = max((one for one in LONGEST if module.startswith(one)), key=len, default=None)
    return len(LONGEST) if prefix is None else LONGEST.index(prefix)


def _module(nodeid: str) -> str:
    return nodeid.partition("::")[0]


def waits(nodeid: str) -> bool:
    """Return whether a test mostly waits."""
    return nodeid.startswith(WAITING)


def runs_waiting(worker: str, workers: int) -> bool:
    """Return whether a worker (`gw0`, ...) of so many runs the tests that mostly wait."""
    return workers > 2 and int(worker.removeprefix("gw")) >= workers - workers // 2


def lower_priority(worker: str, workers: int) -> None:
    """Give this process, a worker whose tests do not wait, a lower priority beside those whose tests do."""
    if workers > 2 and not runs_waiting(worker, workers):
        os.nice(LOWER_PRIORITY)


def scheduler(config: pytest.Config, log: Any) -> Any:
    """Return a scheduler that gives each worker the next test, or the next module that stays together."""
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):  # type: ignore[misc]
        none_left: ClassVar[set[bool]] = set()  # kinds of which no unit is left, by whether they wait

        def _split_scope(self, nodeid: str) -> str:
            return _unit(nodeid)

        def _assign_work_unit(self, node: Any) -> None:
            """Assign the first unit of the kind that the worker runs, of the other kind where none is left."""
            waiting = runs_waiting(node.gateway.id, self.numnodes)
            if waiting not in self.none_left:
                found = next((unit for unit in self.workqueue if waits(unit) is waiting), None)
                if found is None:
                    self.none_left.add(waiting)
                else:
                    self.workqueue.move_to_end(found, last=False)
            with contextlib.suppress(OSError):  # the worker has just ended; `remove_node` gives its tests out again
                super()._assign_work_unit(node)

        def _reschedule(self, node: Any) -> None:
            """Assign more: a worker runs a test once it has the next one too, or knows that there is none."""
            super()._reschedule(node)
            while not node.shutting_down and self._pending_of(self.assigned_work[node]) < 2:
                super()._reschedule(node)  # without units left it ends the worker

        def remove_node(self, node: Any) -> str | None:
            """Give out again what a worker has left, without the test in which it ended; return this test."""
            workload = self.assigned_work[node]
            left = [(tests, name) for tests in workload.values() for name, done in tests.items() if not done]
            for tests, name in left[:1]:
                tests[name] = True
            self.assigned_work[node] = {unit: tests for unit, tests in workload.items() if not all(tests.values())}
            super().remove_node(node)
            return left[0][1] if left else None

    config.option.loadscopereorder = False  # it would put modules with many tests first
    return Scheduling(config, log)


def _unit(nodeid: str) -> str:
    module = _module(nodeid)
    alone = _position(module) < len(LONGEST) or waits(nodeid)
    return nodeid if alone and module not in TOGETHER else module
