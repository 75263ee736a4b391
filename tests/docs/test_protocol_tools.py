"""The walk of `docs/protocol-tools.md`, as real processes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.docs.pages import blocks, shell_lines
from tests.docs.programs import environment, programs
from tests.gateway.mqtt.facility import free_port
from tests.peers import ROOT

PAGE = ROOT / "docs" / "protocol-tools.md"


def test_the_walk(tmp_path: Path) -> None:
    charger, session, refused = (shell_lines(block) for block in blocks(PAGE, "sh")[:3])
    (tmp_path / "faults.toml").write_text(blocks(PAGE, "toml")[0].code)
    with programs(tmp_path, {"15118": free_port()}) as started:
        started.start(charger[0])
        started.until("an SECC", lambda: "listening" in started.output("secc"))
        shown = [started.run(line) for line in session]
        assert "-> PreChargeReq {" in shown[0]
        assert " after " in shown[1]
        assert set(shown[1].split()) >= {"PreChargeReq", "PreChargeRes"}
        assert "<svg" in (tmp_path / "session.html").read_text()
        assert "as recorded: " in shown[3]
        done = subprocess.run(
            ["bash", "-c", started.line(refused[0])], cwd=tmp_path, env=environment(), capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 1
        assert "FAILED_UnknownSession" in done.stdout


@pytest.mark.parametrize("word", ["message", "occurrence", "count", "set", "omit", "drop", "glue", "close", "spare"])
def test_every_word_of_injections_is_on_the_page(word: str) -> None:
    assert f"`{word}`" in PAGE.read_text()
