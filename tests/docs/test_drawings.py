"""The module map, drawn from the imports; the command line, from its options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grimp
import typer.main

from gateway import cli
from gateway.cli.main import app
from gateway.observability import metrics_reference
from tests.drawings import drawn

PACKAGES = ("gateway", "protocols", "emulators")
# Composition roots: arrows out of them do not show the structure.
ROOTS = {"gateway.cli", "gateway.app", "gateway.bench",
         "emulators.world", "emulators.demo", "emulators.pytest_plugin"}  # fmt: skip


def package(module: str) -> str:
    """Return the first two parts of a module name; a file at the top of a package counts as its own."""
    return ".".join(module.split(".")[:2])


def test_the_module_map() -> None:
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    folders = {package(one) for one in graph.modules if one.count(".") >= 2}
    arrows = set()
    for importer in graph.modules:
        for imported in graph.find_modules_directly_imported_by(importer):
            a, b = package(importer), package(imported)
            if a != b and a not in ROOTS and b not in ROOTS and {a, b} <= folders:
                arrows.add((a, b))
    lines = [
        "# Module map",
        "",
        "Packages and their imports, generated from the code by `make docs`. Left out: the composition roots, which",
        "import all packages, and single files at the top of a package.",
        "",
        "```mermaid",
        "flowchart LR",
    ]
    for top in PACKAGES:
        lines.append(f"  subgraph {top}")
        lines += [f"    {one}[{one.split('.')[1]}]" for one in sorted(folders) if one.startswith(top + ".")]
        lines.append("  end")
    lines += [f"  {a} --> {b}" for a, b in sorted(arrows)]
    drawn("module-map.md", "\n".join([*lines, "```", ""]))


def test_the_metrics() -> None:
    drawn("metrics.md", metrics_reference.as_markdown())


def test_the_command_line() -> None:
    lines = [(Path(cli.__file__).parent / "reference_head.md").read_text("utf-8").rstrip("\n"), ""]
    root: Any = typer.main.get_command(app)
    lines += _commands(root, root.context_class(root, info_name="v2x"))
    drawn("cli.md", "\n".join(lines))


def _commands(group: Any, context: Any) -> list[str]:
    lines: list[str] = []
    for name in sorted(group.commands):
        command = group.commands[name]
        inner = command.context_class(command, info_name=name, parent=context)
        if hasattr(command, "commands"):
            lines += _commands(command, inner)
            continue
        arguments = [one.metavar or one.name.upper() for one in command.params if one.param_type_name == "argument"]
        lines += [f"## `{' '.join([inner.command_path, *arguments])}`", "", (command.help or "").strip(), ""]
        lines += ["```text", *(line.strip() for line in command.epilog.splitlines()[2:]), "```", ""]
        rows = [one.get_help_record(inner) for one in command.params if one.param_type_name == "option"]
        if shown := [row for row in rows if row is not None and "--help" not in row[0]]:
            lines += ["| option | |", "|---|---|"]
            lines += [f"| `{_cell(option)}` | {_cell(what)} |" for option, what in shown]
            lines.append("")
    return lines


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
