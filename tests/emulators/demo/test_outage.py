"""`v2x demo outage`: the lines are messages of the gateway, in the order of the outage; the page is open meanwhile."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys

import pytest

from emulators.demo.outage import run
from emulators.runtime.clock import run_virtual

ORDER = (
    "is lost",
    "is shed",
    "forms the island",
    "is restored",
    "The grid has returned",
    "back on the grid",
    "What happened",
    "What to try next",
)


@pytest.mark.timeout(60)
def test_an_outage_is_printed_as_the_gateway_reports_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert run_virtual(run()) == 0
    text = capsys.readouterr().out
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80
    assert "…" not in text
    words = re.sub(r"\s+", " ", text)
    places = [words.index(part) for part in ORDER]
    assert places == sorted(places)
    events = lines[lines.index("Events") + 1 : lines.index("What happened")]
    assert all(re.match(r" {1,2}\d\d:\d\d:\d\d [a-zA-Z]| {29}\S|$", line) for line in events)
    times = [line[1:9] for line in events if line[:2].strip()]
    assert times == sorted(times)
    assert "NOT" not in text
    assert "dark for 0 s" not in text


def test_the_outage_as_a_process() -> None:
    words = [sys.executable, "-m", "gateway.cli", "demo", "outage", "--stay", "--speed", "max", "--json"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            figures = json.loads(process.stdout.readline())
            assert figures["passed"] is True
            assert figures["unserved_critical_wh"] == 0
            assert 0 < figures["dark_s"] < 15
            assert figures["served_critical_wh"] > 500
            assert figures["shed"]
            assert set(figures["restored"]) <= set(figures["shed"])
            assert all(car["discharged_wh"] > 0 for car in figures["cars"].values())
            assert process.poll() is None  # it stays
        finally:
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=20)
    assert "Traceback" not in err
    assert process.returncode == 130
