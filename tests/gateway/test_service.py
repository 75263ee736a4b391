"""The facades: packages that face the outside call public methods of the services and reach nothing behind them."""

from __future__ import annotations

import ast

from gateway.blue_switch.service import VehicleLendingService
from gateway.service import GatewayService
from tests.source_tree import modules

OUTSIDE = tuple(
    f"gateway/{one}/" for one in ("mqtt", "web", "hems", "observability", "csms", "drivers", "cli", "bench")
)
CLIENTS = tuple(one for one in OUTSIDE if one != "gateway/bench/")  # `app` composes; `bench` measures inner parts
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


def public_of(node: ast.expr) -> set[str] | None:
    """Public names of the facade that `service`, `self._service`, `self._lending` and the like stand for."""
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return FACADES.get(name.strip("_"))


def test_no_package_imports_internals_behind_a_facade() -> None:
    found = []
    for name, tree in modules("gateway", containing="service|lending"):
        if not name.startswith(OUTSIDE) and name != "gateway/app.py":
            continue
        for node in (one for one in ast.walk(tree) if isinstance(one, ast.Attribute)):
            inner, public = node.value, public_of(node.value)
            wrong = public is not None and node.attr not in public
            if isinstance(inner, ast.Attribute) and public_of(inner.value) is not None:
                wrong |= inner.attr != "ready"
            if wrong:
                found.append(f"{name}:{node.lineno}: {ast.unparse(node)}")
    assert found == []


def test_internals_of_the_services_are_not_imported() -> None:
    internal = "|".join(INTERNAL)
    found = [
        f"{name}: {imported}"
        for name, tree in modules("gateway", "emulators", containing=internal)
        if name.startswith((*CLIENTS, "emulators/"))
        for node in ast.walk(tree)
        for imported in _imported(node)
        if imported.startswith(INTERNAL) and imported not in SHARED
    ]
    assert found == []


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [one.name for one in node.names]
    return [node.module] if isinstance(node, ast.ImportFrom) and node.module is not None else []
