"""`v2x chademo decode`: text, JSON, page and exit status."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from gateway.cli.main import app
from tests.protocols.chademo.traces import DATA, FAILING_1, FAILING_2, LEAF_24, NAMES


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["chademo", "decode", *arguments])
    return done.exit_code, done.output


def test_text() -> None:
    status, output = run(str(DATA / LEAF_24))
    assert status == 0
    lines = output.splitlines()
    assert lines[0] == f"{LEAF_24}: 4072 frames, 1 other lines, 1 session"
    assert lines[1] == "session 1 at 0.000 s: the charger stopped"
    assert "discharge agreed; state of charge 73 %; 32 Wh into the vehicle" in lines[2]
    assert "     19.564    state    power" in lines


@pytest.mark.parametrize(
    ("name", "causes", "severities"),
    [
        (LEAF_24, ["charger_stop"], ["normal"]),
        (FAILING_1, ["no_power_start"] * 2, ["no_start"] * 2),
        (FAILING_2, ["charger_malfunction"], ["error"]),
    ],
)
def test_json(name: str, causes: list[str], severities: list[str]) -> None:
    status, output = run(str(DATA / name), "--json")
    assert status == 0
    found = json.loads(output)
    assert [one["cause"] for one in found["sessions"]] == causes
    assert [one["severity"] for one in found["sessions"]] == severities
    assert found["sessions"][0]["states"][0] == {"at": 0.0, "state": "wake"}


@pytest.mark.parametrize("name", NAMES)
def test_page(name: str, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    status, _ = run(str(DATA / name), "--html", str(page))
    assert status == 0
    text = page.read_text()
    assert page.stat().st_mode & 0o77 == 0
    assert "<script" not in text
    assert not re.search(r"(src|href)=", text)
    plots = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert len(plots) == 4 * text.count("<h2>")
    for plot in plots:
        ElementTree.fromstring(plot)
    assert re.search(r">\d+ s</text>", text)


def test_names_of_files_are_escaped(tmp_path: Path) -> None:
    file, page = tmp_path / "<b>.log", tmp_path / "page.html"
    file.write_text("".join(f"({n / 10}) can0 102#0000000000000000\n" for n in range(20)))
    status, output = run(str(file), "--html", str(page))
    assert status == 0
    assert "the recording ends in state wake" in output
    assert "<b>" not in page.read_text()


@pytest.mark.parametrize("content", ["", "nothing\n", "(1.0) can0 700#0102000006000000\n"])
def test_a_file_without_a_session(content: str, tmp_path: Path) -> None:
    file = tmp_path / "empty.log"
    file.write_text(content)
    status, output = run(str(file))
    assert status == 1
    assert "no CAN frame" in output or "0 sessions" in output


def test_a_page_that_cannot_be_written(tmp_path: Path) -> None:
    status, output = run(str(DATA / FAILING_2), "--html", str(tmp_path / "absent" / "page.html"))
    assert status == 1
    assert "absent" in output
