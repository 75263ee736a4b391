"""The facade: what stands outside calls public methods of `GatewayService` and reaches nothing behind it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import gateway
from gateway.service import GatewayService

ROOT = Path(gateway.__file__).parent
OUTSIDE = ("mqtt", "web", "observability", "csms", "drivers", "cli", "bench")
FILES = sorted(
    [ROOT / "app.py", *(path for package in OUTSIDE for path in (ROOT / package).rglob("*.py"))],
    key=lambda path: str(path),
)
PUBLIC = {name for name in dir(GatewayService) if not name.startswith("_")} | {"ready"}
INTERNAL = ("gateway.commands", "gateway.control")
SHARED = {
    "gateway.control.settings",
    "gateway.control.components",  # the composition root wires them
}


def is_service(node: ast.expr) -> bool:
    """True for `service`, `self._service`, `running.service` and the like."""
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return name.strip("_") == "service"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_package_imports_internals_behind_the_facade(path: Path) -> None:
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_service(node.value):
            assert node.attr in PUBLIC, f"line {node.lineno}: service.{node.attr}"
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute) and is_service(node.value.value):
            assert node.value.attr == "ready", f"line {node.lineno}: service.{node.value.attr}.{node.attr}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_values_of_the_command_path_are_imported(path: Path) -> None:
    imported = [
        node.module
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module is not None and node.module.startswith(INTERNAL)
    ]
    assert set(imported) <= SHARED
