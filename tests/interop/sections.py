"""Sections of `docs/interop.md`, each written by the run of its own tests."""

from __future__ import annotations

import re
from pathlib import Path


def write_section(document: Path, title: str, body: str) -> None:
    """Replace the section `## title` with `body`, or append it; the rest of the document stays."""
    text = document.read_text(encoding="utf-8") if document.exists() else "# Interoperability\n"
    section = f"## {title}\n\n{body.strip()}\n"
    found = re.compile(rf"^## {re.escape(title)}\n.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)
    made, count = found.subn(lambda _: f"{section}\n", text)
    if not count:
        made = f"{text.rstrip()}\n\n{section}"
    made = made.rstrip() + "\n"
    if made != text:
        document.write_text(made, encoding="utf-8")
