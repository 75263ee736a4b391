"""`docs/security.md`: each row of the threat model names a test, which exists."""

from __future__ import annotations

import ast

import pytest

from tests.peers import ROOT

TEXT = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
ROWS = [line.strip("| ").split(" | ") for line in TEXT.splitlines() if line.startswith("| ") and "::" in line]


def test_every_row_has_four_cells() -> None:
    table = [line for line in TEXT.splitlines() if line.startswith("| ")]
    assert {len(line.strip("| ").split(" | ")) for line in table} == {4}
    assert all("`tests/" in line for line in table[1:])


@pytest.mark.parametrize("name", [row[3].strip("` ") for row in ROWS])
def test_the_test_of_a_row_exists(name: str) -> None:
    file, _, function = name.partition("::")
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    assert function in {one.name for one in ast.walk(tree) if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)}
