"""Pages of the documents and their blocks of code."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

from tests.peers import ROOT

PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "examples").rglob("README.md")),
]
FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)\n(?P<code>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code; `language` is "" for one without."""

    page: Path
    number: int  # of the page, from 0
    language: str
    code: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT).as_posix()}#{self.number}"


def blocks(page: Path, *languages: str) -> list[Block]:
    """Return the blocks of a page, in these languages if any are given."""
    found = FENCE.finditer(page.read_text(encoding="utf-8"))
    every = [Block(page, n, one["language"], textwrap.dedent(one["code"])) for n, one in enumerate(found)]
    return [one for one in every if not languages or one.language in languages]


def all_blocks(*languages: str) -> list[Block]:
    """Return the blocks of all pages, in these languages if any are given."""
    return [block for page in PAGES for block in blocks(page, *languages)]


def shell_lines(block: Block) -> list[str]:
    """Return the commands of a block: continued lines joined, without comments."""
    joined = block.code.replace("\\\n", " ").splitlines()
    return [line for one in joined if (line := re.sub(r"(^|\s)#\s.*$", "", one).strip())]


LINES_OF_SIM = {
    line.split()[2]
    for block in all_blocks("sh", "", "yaml")
    for line in shell_lines(block)
    if line.startswith("v2x sim ")
}
