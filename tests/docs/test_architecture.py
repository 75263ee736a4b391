"""The table of questions in `docs/architecture.md` names files and definitions that exist."""

from __future__ import annotations

import ast
import re
import tokenize
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROW = re.compile(r"^\| (?P<question>[^|]+\?) \| `(?P<file>[^`]+)` \| `(?P<name>[^`]+)` \|$", re.MULTILINE)


ANY = re.compile(r"^\| `(?P<part>gateway|protocols|emulators)` \| (?P<most>\d+) \|$", re.MULTILINE)


def lines_with_any(path: Path) -> int:
    """Return the number of lines of code of a module that contain `Any`; comments and strings do not count."""
    if b"Any" not in path.read_bytes():
        return 0
    with tokenize.open(path) as source:
        tokens = list(tokenize.generate_tokens(source.readline))
    return len({one.start[0] for one in tokens if one.type == tokenize.NAME and one.string == "Any"})


def definitions(path: Path) -> set[str]:
    """Return the names that a module defines: classes and functions, also those inside classes, and its constants."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    targets = [target for node in tree.body if isinstance(node, ast.Assign) for target in node.targets]
    constants = {target.id for target in targets if isinstance(target, ast.Name)}
    return constants | {
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


def test_the_files_of_a_discharge_command_are_those_that_it_crosses() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    section = page.partition("### Files that it crosses")[2].partition("\n## ")[0]
    recorded = (ROOT / "tests" / "data" / "command_path.txt").read_text("utf-8").split()
    assert sorted(re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE)) == recorded


def test_every_package_of_the_gateway_is_on_the_page() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    packages = {path.parent.name for path in (ROOT / "gateway").glob("*/__init__.py")} - {"bench"}
    assert {one for one in packages if f"`{one}`" not in page} == set()


def test_no_more_lines_with_any_than_recorded() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    most = {match["part"]: int(match["most"]) for match in ANY.finditer(page)}
    assert set(most) == {"gateway", "protocols", "emulators"}
    found = {part: sum(lines_with_any(path) for path in (ROOT / part).rglob("*.py")) for part in most}
    assert {part: count for part, count in found.items() if count > most[part]} == {}
