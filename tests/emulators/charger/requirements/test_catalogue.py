"""Consistency of catalogue and tests: no test verifies an unknown or open requirement."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.requirement_catalogue import ASKED, NOT_COVERED


def test_every_requirement_is_verified_or_listed_as_open() -> None:
    proved = set()
    here = Path(__file__).parent
    csms = here.parents[2] / "gateway" / "csms"
    for path in [*here.glob("test_*.py"), *here.parent.glob("test_*.py"), *csms.glob("test_*.py")]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "requirement":
                proved |= {arg.value for arg in node.args if isinstance(arg, ast.Constant)}
    assert proved - set(ASKED) == set()
    assert set(ASKED) - proved == set(NOT_COVERED)
