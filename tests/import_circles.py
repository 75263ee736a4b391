"""Reports import circles, function-level and TYPE_CHECKING imports counted; `make check` runs it.

A circle is a set of modules of which each imports, directly or by way of others, every other: a strongly connected
component of the import graph. Importing the own package (`from gateway import __version__`) counts as any other import.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping

import grimp

ROOTS = ("gateway", "protocols", "emulators")


def import_graph() -> dict[str, set[str]]:
    """Return the modules that each module of this project imports."""
    graph = grimp.build_graph(*ROOTS, exclude_type_checking_imports=False, cache_dir=None)
    return {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}


def circles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Return the strongly connected components of more than one module, each sorted by name (Kosaraju)."""
    importers: dict[str, set[str]] = {module: set() for module in graph}
    for module, imported in graph.items():
        for one in imported:
            importers[one].add(module)
    seen: set[str] = set()
    order = [module for start in sorted(graph) for module in _postorder(start, graph, seen)]
    seen.clear()
    found = [sorted(_postorder(start, importers, seen)) for start in reversed(order)]
    return sorted(component for component in found if len(component) > 1)


def _postorder(start: str, graph: Mapping[str, set[str]], seen: set[str]) -> Iterator[str]:
    """Yield the modules that are reachable from one and not seen yet, each after those that it imports."""
    if start in seen:
        return
    seen.add(start)
    stack = [(start, iter(sorted(graph[start])))]
    while stack:
        module, imported = stack[-1]
        following = next((one for one in imported if one not in seen), None)
        if following is None:
            stack.pop()
            yield module
        else:
            seen.add(following)
            stack.append((following, iter(sorted(graph[following]))))


def main() -> int:
    """Print each circle; return 1 if there is one."""
    found = circles(import_graph())
    for circle in found:
        print(f"{len(circle)} modules import each other: {', '.join(circle)}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
