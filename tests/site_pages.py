"""Pages of the documentation site against its navigation: `python -m tests.site_pages`, which `make site` runs.

zensical verifies links, but neither that a page of the navigation exists nor that a page is in the navigation.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def problems() -> list[str]:
    """Return a sentence for each page that is absent, or that the navigation lacks."""
    project = tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))["project"]
    folder = ROOT / project["docs_dir"]
    listed = list(_pages(project["nav"]))
    present = {path.relative_to(folder).as_posix() for path in folder.rglob("*.md")}
    return [
        *(f"zensical.toml: nav names {one}, which does not exist" for one in listed if one not in present),
        *(f"docs/{one}: no line of nav in zensical.toml names it" for one in sorted(present - set(listed))),
        *(f"zensical.toml: nav names {one} twice" for one in sorted(present) if listed.count(one) > 1),
    ]


def _pages(nav: list[dict[str, Any]]) -> Iterator[str]:
    for entry in nav:
        for inner in entry.values():
            yield from [inner] if isinstance(inner, str) else _pages(inner)


if __name__ == "__main__":
    found = problems()
    sys.stderr.writelines(f"{one}\n" for one in found)
    sys.exit(1 if found else 0)
