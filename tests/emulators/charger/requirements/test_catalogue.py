"""The catalogue and the tests agree, and a requirement is verified from outside only."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.requirement_catalogue import NOT_COVERED, REQUIREMENTS

HERE = Path(__file__).parent
CSMS_TESTS = HERE.parents[2] / "gateway" / "csms"
OF_THE_STATION = {  # what happens to it from outside, its end of the link, and the kinds of DER controls that it has
    "call", "der_controls", "external_control", "fault", "link", "measure_grid", "measure_load", "online", "plug_in",
    "run", "unplug", "wall",
}  # fmt: skip


def verifying_tests() -> Iterator[tuple[ast.AsyncFunctionDef | ast.FunctionDef, set[str]]]:
    """The tests that carry requirements, with the ids of these."""
    for path in [*HERE.glob("test_*.py"), *HERE.parent.glob("test_*.py"), *CSMS_TESTS.glob("test_*.py")]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef):
                continue
            ids: set[str] = set()
            for mark in node.decorator_list:
                if isinstance(mark, ast.Call) and isinstance(mark.func, ast.Name) and mark.func.id == "requirement":
                    ids |= {str(arg.value) for arg in mark.args if isinstance(arg, ast.Constant)}
            if ids:
                yield node, ids


def test_every_requirement_is_verified_or_listed_as_not_covered() -> None:
    verified = {name for _, ids in verifying_tests() for name in ids}
    assert verified - set(REQUIREMENTS) == set()
    assert set(REQUIREMENTS) - verified == set(NOT_COVERED)


def test_no_requirement_is_verified_through_internals() -> None:
    """The CSMS is driven over OCPP, by the admin API, or with the set-point interface of commands (`set_power`).

    Variables, charging profiles and controls of the station are set and read over OCPP, or set in its configuration.
    """
    for test, _ in verifying_tests():
        for node in ast.walk(test):
            if isinstance(node, ast.Attribute):
                used = ast.unparse(node)
                if ast.unparse(node.value) in ("rig.csms", "raw.csms", "rig.known"):
                    assert node.attr == "set_power", f"{test.name} uses {used}"
                assert not used.endswith((".device_model.put", "station.profiles")), f"{test.name} uses {used}"
                if ast.unparse(node.value) in ("rig.station", "csms.station"):
                    assert node.attr in OF_THE_STATION, f"{test.name} uses {used}"
                assert not used.endswith(".der_controls.in_force"), f"{test.name} uses {used}"
