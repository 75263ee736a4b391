"""`v2x demo outage`: the lines are messages of the gateway, in the order of the outage; the page is open meanwhile."""

from __future__ import annotations

import io
import re
import signal
import subprocess
import sys
import urllib.request

import pytest
from rich.console import Console

from emulators.demo.outage import Figures, play
from emulators.demo.timeline import Timeline

ORDER = (
    "is lost",
    "is shed",
    "supplies the island",
    "is restored",
    "The grid has returned",
    "back on the grid",
    "What happened",
    "What to try next",
)


@pytest.mark.timeout(60)
@pytest.mark.virtual_time
async def test_an_outage_is_printed_as_the_gateway_reports_it() -> None:
    out, figures = io.StringIO(), Figures()
    async with play(Timeline(Console(file=out, width=80, highlight=False)), figures):
        pass
    text = out.getvalue()
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80
    assert "…" not in text
    words = re.sub(r"\s+", " ", text)
    places = [words.index(part) for part in ORDER]
    assert places == sorted(places)
    events = lines[lines.index("Events") + 1 : lines.index("What happened") - 1]
    assert all(re.match(r" \d\d:\d\d:\d\d [a-zA-Z]| {29}\S", line) for line in events)
    times = [line[1:9] for line in events if line[1] != " "]
    assert times == sorted(times)
    assert "NOT" not in text
    assert "No source" not in text  # a reserve is no lack of sources
    assert figures.passed
    assert figures.unserved_critical_wh == 0
    assert 0 < figures.dark_s < 15
    assert figures.served_critical_wh > 500
    assert figures.shed == list(reversed(figures.restored)) == ["ventilation and air", "water and kitchen"]
    assert all(car["discharged_wh"] > 100 for car in figures.cars.values())


def test_the_page_is_open_while_the_outage_runs_as_a_process() -> None:
    words = [sys.executable, "-m", "gateway.cli", "demo", "outage", "--stay"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            read = ""
            while " CP1-1 " not in read:
                line = process.stdout.readline()
                assert line, "it has ended"
                read += line
            (address,) = re.findall(r"http://127\.0\.0\.1:[0-9]+/", read)
            with urllib.request.urlopen(address, timeout=10) as page:
                assert page.status == 200
                assert "CP1-1" in page.read().decode()
            with urllib.request.urlopen(f"{address}outage", timeout=10) as page:
                assert "2026-09-12 17:35:" in page.read().decode()  # the times of the console
        finally:
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=20)
    assert err == ""
    assert process.returncode == 130
