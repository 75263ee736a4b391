"""The table of questions in `docs/architecture.md` names files and definitions that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROW = re.compile(r"^\| (?P<question>[^|]+\?) \| `(?P<file>[^`]+)` \| `(?P<name>[^`]+)` \|$", re.MULTILINE)


def definitions(path: Path) -> set[str]:
    """Return the names that a module defines: classes and functions, also those inside classes."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {
        node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    }


def test_every_question_is_answered_by_a_file_and_a_definition() -> None:
    rows = [match.groupdict() for match in ROW.finditer((ROOT / "docs" / "architecture.md").read_text("utf-8"))]
    assert len(rows) >= 12
    missing = [
        f"{row['file']}: {row['name']}"
        for row in rows
        if not (ROOT / row["file"]).is_file() or row["name"] not in definitions(ROOT / row["file"])
    ]
    assert missing == []


def test_every_package_of_the_gateway_is_on_the_page() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    packages = {path.parent.name for path in (ROOT / "gateway").glob("*/__init__.py")} - {"bench"}
    assert {one for one in packages if f"`{one}`" not in page} == set()
