"""`docs/modbus.md`: the new product is a map that is read, and its test passes against the emulated device."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from protocols.modbus.register_map import names, parse, shipped
from tests.docs.pages import blocks
from tests.peers import ROOT

PAGE = ROOT / "docs" / "modbus.md"


def test_the_product_of_the_page_passes_its_test(tmp_path: Path) -> None:
    text = blocks(PAGE, "toml")[2].code
    assert parse(text).name == "acme-v2h"
    (tmp_path / "acme-v2h.toml").write_text(text)
    (tmp_path / "test_acme_v2h.py").write_text(blocks(PAGE, "python")[0].code)
    run = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null", str(tmp_path)]
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


def test_every_product_is_on_the_page() -> None:
    text = PAGE.read_text("utf-8")
    missing = [name for name in names() if f"`{'sunspec' if shipped(name).sunspec else name}`" not in text]
    assert missing == []
