"""`v2x bench exi` runs beside the real peer and reports the time of each."""

from __future__ import annotations

import pytest

from gateway.bench import exi
from gateway.bench.exi_messages import cases
from tests.peers import JOSEV, program, python_peer


@pytest.mark.peer
@pytest.mark.timeout(300)
def test_one_measurement_with_josev(monkeypatch: pytest.MonkeyPatch) -> None:
    program("java", "default-jre-headless")
    monkeypatch.setenv("V2X_JOSEV_PYTHON", str(python_peer(*JOSEV)))
    monkeypatch.setattr(exi, "WARM_UP", 1)
    monkeypatch.setattr(exi, "THEIR_CALLS", 1)
    found = exi.figures(rounds=1)
    assert "absent" not in found
    assert [row["message"] for row in found["messages"]] == [case.name for case in cases()]
    for row in found["messages"]:
        assert "peer_error" not in row  # EXIficient reads our bytes and writes the same
        for what in ("encode", "decode"):
            assert row[what]["exificient_ratio"] > 1
    loop = found["messages"][0]
    assert loop["encode"]["josev"] is not None
    assert found["cold_start_ms"]["ours"] > 0


def test_without_the_peer_own_figures_are_present_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("V2X_JOSEV_PYTHON", "/nowhere/python")
    found = exi.figures(rounds=1)
    assert "/nowhere/python" in found["absent"]
    assert found["messages"][0]["encode"]["exificient"] is None
    assert found["messages"][0]["encode"]["ours"] > 0
