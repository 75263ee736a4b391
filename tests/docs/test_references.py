"""References drawn from the code: admin API, scenarios, pytest fixtures, marks, options and faults."""

from __future__ import annotations

import ast
import functools
import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any, cast

from emulators.faults.fault import KINDS, MEANINGS, Targets
from emulators.pytest_plugin.dut_chademo import ChademoChargerDut, ChademoEvDut
from emulators.pytest_plugin.dut_iso15118 import EvDut, SeccDut
from emulators.pytest_plugin.handles import Charger, Ev, GridHandle, WorldClock
from emulators.pytest_plugin.ocpp_devices import DutCharger, DutCsms
from emulators.scenario import loading
from emulators.site.facility import Facility
from gateway.web.api import build
from gateway.web.ports import StationAdmin, VehicleLending
from tests.docs.test_drawings import _cell as cell
from tests.drawings import drawn
from tests.peers import ROOT

_PLUGIN = ("__init__.py", "ocpp_devices.py", "dut_iso15118.py", "dut_chademo.py")
PLUGINS = [ROOT / "emulators" / "pytest_plugin" / name for name in _PLUGIN]
HANDLES: dict[str, type] = {
    "v2x_clock": WorldClock,
    "v2x_facility": Facility,
    "v2x_ev": Ev,
    "v2x_charger": Charger,
    "v2x_grid": GridHandle,
    "v2x_dut_charger": DutCharger,
    "v2x_dut_csms": DutCsms,
    "v2x_dut_secc": SeccDut,
    "v2x_dut_ev": EvDut,
    "v2x_dut_chademo_charger": ChademoChargerDut,
    "v2x_dut_chademo_ev": ChademoEvDut,
}


@functools.cache
def openapi() -> dict[str, Any]:
    """Return the OpenAPI document of the admin API with all of its routes; none of them is called."""

    class NoService:
        pass

    service: Any = NoService()
    lending = cast("VehicleLending", service)
    return build(cast("StationAdmin", service), service, lending=lending, cluster=dict).openapi()


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in openapi()["paths"].items():
        for method, operation in methods.items():
            yield path, method.upper(), operation


def test_every_route_of_the_admin_api_has_a_summary() -> None:
    bad = {
        f"{method} {path}": operation.get("summary")
        for path, method, operation in operations()
        if not operation.get("description") or len(operation["summary"].split()) < 2
    }
    assert bad == {}


def test_the_admin_api() -> None:
    schemas = openapi()["components"]["schemas"]
    lines = [
        "# Admin API",
        "",
        "Generated from the code by `make docs`; the running gateway serves the same as OpenAPI at `/openapi.json`.",
        "Every request needs the bearer token ([access and answers](ocpp.md#the-admin-api)). Members of a body with an",
        "asterisk are required.",
        "",
        "```sh",
        'curl -H "Authorization: Bearer $(cat admin-token)" http://127.0.0.1:9001/admin/v1/stations',
        "```",
        "",
    ]
    grouped: dict[str, list[str]] = {}
    for path, method, operation in operations():
        group = path.removeprefix("/admin/v1/").split("/")[0] if path.startswith("/admin/v1/") else "Server"
        query = [one["name"] for one in operation.get("parameters", ()) if one["in"] == "query"]
        row = [f"`{method} {path}`", operation["summary"], ", ".join(f"`{one}`" for one in query)]
        row.append(_body(operation, schemas))
        grouped.setdefault(group, []).append("| " + " | ".join(cell(one) for one in row) + " |")
    for group in sorted(grouped):
        lines += [f"## {group}", "", "| request | summary | query | body |", "|---|---|---|---|", *grouped[group], ""]
    drawn("admin-api.md", "\n".join(lines).rstrip() + "\n")


def _body(operation: dict[str, Any], schemas: dict[str, Any]) -> str:
    """Return the members of a body; a required one has an asterisk."""
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content is None:
        return ""
    schema = content["schema"]
    schema = schemas[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    required = schema.get("required", ())
    return ", ".join(f"`{name}`{'*' if name in required else ''}" for name in schema.get("properties", ()))


def test_the_scenarios() -> None:
    lines = [
        "# Scenarios",
        "",
        "Generated from the code by `make docs`. `v2x sim NAME --report DIR` runs one of them.",
        "[Simulation](simulation.md) describes the format and the figures that are expected.",
        "",
        "| scenario | what happens | simulated | expectations |",
        "|---|---|---|---|",
    ]
    for name in loading.shipped():
        one = loading.load(name)
        minutes = one.duration / 60
        duration = f"{minutes / 60:g} h" if minutes >= 120 else f"{minutes:g} min"
        lines.append(f"| `{name}` | **{cell(one.name)}.** {cell(one.description)} | {duration} | {len(one.expect)} |")
    drawn("scenarios.md", "\n".join([*lines, ""]))


def test_every_kind_of_fault_has_a_meaning() -> None:
    assert list(MEANINGS) == list(KINDS)


def test_fixtures_marks_options_and_faults() -> None:
    lines = [
        "# pytest fixtures and faults",
        "",
        "Generated from the code by `make docs`. [Simulation](simulation.md#tests) describes their use, and",
        "[Quick start: CI engineer](start/ci-engineer.md) a first test.",
        "",
        "## Fixtures",
        "",
        "| fixture | type | provides |",
        "|---|---|---|",
        *(f"| `{name}` | `{cell(kind)}` | {cell(text)} |" for name, kind, text in _fixtures()),
        "",
    ]
    for fixture, handle in HANDLES.items():
        lines += [f"### `{fixture}`", "", cell(inspect.getdoc(handle) or ""), "", "| member | |", "|---|---|"]
        lines += [f"| `{cell(member)}` | {cell(text)} |" for member, text in _members(handle)]
        lines.append("")
    lines += ["## Marks", ""]
    lines += [f"* `{one.replace('): ', ')`: ', 1)}" for one in _texts("addinivalue_line", 1)]
    lines += ["", "## Options", "", "| option | |", "|---|---|"]
    lines += [f"| `{name}` | {cell(text)} |" for name, text in _options()]
    lines += [
        "",
        "## Faults",
        "",
        "`v2x_fault(kind, target, duration_s=..., rate=..., value=...)`, `[[fault]]` of a scenario, or a line of",
        "`v2x sim --live`. Without a target, faults of messages act on MQTT.",
        "",
        "| kind | effect | targets |",
        "|---|---|---|",
    ]
    targets = Targets(
        ["<station>"], ["<evse>"], ["<evse>"], ["<car>"], ["<evse>"], ["<client>"], chademo_evses=["<evse>"]
    )
    for kind in KINDS:
        valid = ", ".join(f"`{one}`" for one in targets.of(kind) if one)
        lines.append(f"| `{kind}` | {MEANINGS[kind]} | {valid} |")
    drawn("testing-reference.md", "\n".join([*lines, ""]))


def _fixtures() -> Iterator[tuple[str, str, str]]:
    for node in (one for path in PLUGINS for one in ast.parse(path.read_text(encoding="utf-8")).body):
        if isinstance(node, ast.FunctionDef) and any(
            ast.unparse(one) == "pytest.fixture" for one in node.decorator_list
        ):
            kind = ast.unparse(node.returns) if node.returns else ""
            yield node.name, re.sub(r"^Iterator\[(.*)\]$", r"\1", kind), ast.get_docstring(node) or ""


def _members(handle: type) -> Iterator[tuple[str, str]]:
    """Yield public methods with their parameters, and properties, in the order of the source."""
    for name, member in vars(handle).items():
        if name.startswith("_") or (handle is Facility and name in ("run", "sense")):  # those the world calls
            continue
        if isinstance(member, property):
            yield name, inspect.getdoc(member) or ""
        elif inspect.isfunction(member):
            given = [re.sub(r": '([^']*)'", r": \1", str(one)) for one in _parameters(member)]
            awaited = "await " if inspect.iscoroutinefunction(member) else ""
            yield f"{awaited}{name}({', '.join(given)})", (inspect.getdoc(member) or "").partition("\n\n")[0]


def _parameters(member: Callable[..., object]) -> list[inspect.Parameter]:
    """Return the parameters of a method without `self`."""
    return list(inspect.signature(member).parameters.values())[1:]


def _calls(name: str) -> Iterator[ast.Call]:
    for node in (one for path in PLUGINS for one in ast.walk(ast.parse(path.read_text(encoding="utf-8")))):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == name:
            yield node


def _texts(name: str, position: int) -> Iterator[str]:
    for call in _calls(name):
        yield " ".join(str(ast.literal_eval(call.args[position])).split())


def _options() -> Iterator[tuple[str, str]]:
    for call in _calls("addoption"):
        help_text = next(one.value for one in call.keywords if one.arg == "help")
        yield str(ast.literal_eval(call.args[0])), str(ast.literal_eval(help_text))
