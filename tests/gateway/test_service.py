"""The facades: packages that face the outside call public methods of the services and reach nothing behind them."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import gateway
from gateway.blue_switch.service import VehicleLendingService
from gateway.service import GatewayService

ROOT = Path(gateway.__file__).parent
OUTSIDE = ("mqtt", "web", "hems", "observability", "csms", "drivers", "cli", "bench")
FILES = sorted(
    [ROOT / "app.py", *(path for package in OUTSIDE for path in (ROOT / package).rglob("*.py"))],
    key=lambda path: str(path),
)
SERVICE = {name for name in dir(GatewayService) if not name.startswith("_")} | {"ready"}
LENDING = {name for name in dir(VehicleLendingService) if not name.startswith("_")} | {"place"}
FACADES = {"service": SERVICE, "lending": LENDING, "lending_service": LENDING}
INTERNAL = ("gateway.commands", "gateway.control", "gateway.energy", "gateway.blue_switch")
SHARED = {
    "gateway.control.settings",
    "gateway.energy.settings",
    *(f"gateway.energy.{name}" for name in ("reason", "modes.mode", "resilience.autonomy", "resource")),  # constants
    "gateway.blue_switch.arrivals",
    *(f"gateway.energy.{name}" for name in ("plan_outlook", "planning.problem")),  # types of what a facade returns
}
EMULATORS = ROOT.parent / "emulators"
CLIENTS = sorted(  # `app` composes the services; `bench` measures their inner parts
    path
    for folder in (*(ROOT / package for package in OUTSIDE if package != "bench"), EMULATORS)
    for path in folder.rglob("*.py")
)


def public_of(node: ast.expr) -> set[str] | None:
    """Public names of the facade that `service`, `self._service`, `self._lending` and the like stand for."""
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return FACADES.get(name.strip("_"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_package_imports_internals_behind_a_facade(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Attribute):
            continue
        public = public_of(node.value)
        assert public is None or node.attr in public, f"line {node.lineno}: {ast.unparse(node)}"
        if isinstance(node.value, ast.Attribute) and public_of(node.value.value) is not None:
            assert node.value.attr == "ready", f"line {node.lineno}: {ast.unparse(node)}"


def test_internals_of_the_services_are_not_imported() -> None:
    found = [
        f"{path.relative_to(ROOT.parent)}: {name}"
        for path in CLIENTS
        for node in ast.walk(ast.parse(path.read_text()))
        for name in _imported(node)
        if name.startswith(INTERNAL) and name not in SHARED
    ]
    assert found == []


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [one.name for one in node.names]
    return [node.module] if isinstance(node, ast.ImportFrom) and node.module is not None else []
