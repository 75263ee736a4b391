"""The benchmark of sessions reports its figures; no speed is asserted."""

from __future__ import annotations

import json

import pytest

from gateway.bench import iso15118
from gateway.bench.iso15118_pairs import SESSIONS, Kind, _our_times, _their_times
from tests.interop.veth_link import veth_link


def test_both_engines_are_measured_on_a_veth_pair(capsys: pytest.CaptureFixture[str]) -> None:
    with veth_link():  # skips where namespaces aren't allowed
        pass
    found = iso15118._pairs("")
    assert set(found) == set(SESSIONS)
    for pair in found.values():
        ours = pair["ours"]
        assert ours["loops"] == 405
        assert 0 < ours["round_trip_ms"] < ours["first_loop_ms"]
        assert ours["round_trip_ms"] <= ours["p99_ms"] <= ours["slowest_ms"]
        assert ours["cpu_s_per_session"] > 0
        assert ours["cpu_ms_per_loop"] > 0
        assert ours["memory_mib"] > 10
        assert "josev" not in pair
    lines = "\n".join(iso15118.text({"in_memory": {"loops": 1, "cpu_s": 0.1, "aim_s": 0.2}, **found}))
    assert "ISO 15118-2 DC" in lines
    assert "measuring ISO 15118-2 DC: ours" in capsys.readouterr().err


def test_an_absent_peer_is_named_with_its_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("V2X_JOSEV_PYTHON", "/nowhere/python")
    monkeypatch.setenv("PATH", "/nowhere")  # no link either
    monkeypatch.setattr(iso15118, "ROUNDS", 1)
    found = iso15118.figures()
    assert "pip install iso15118==" in found["absent"]
    assert found["no_link"] == "unshare is not installed; install it with: apt-get install util-linux"
    assert f"not measured: {found['absent']}" in list(iso15118.text(found))


def test_a_session_in_memory_is_measured() -> None:
    assert iso15118.in_memory(20) > 0


@pytest.mark.parametrize("kind", SESSIONS.values(), ids=list(SESSIONS))
def test_times_are_read_from_the_logs(kind: Kind) -> None:
    lines = [
        {"event": "Searching", "at": 1.0},
        {"event": "MessageSent", "at": 1.5, "name": "PowerDeliveryReq"},
        {"event": "MessageSent", "at": 2.0, "name": f"{kind.loop}Req"},
        {"event": "ChargeLoopAnswered", "at": 2.25},
        {"event": "MessageSent", "at": 3.0, "name": f"{kind.loop}Req"},
        {"event": "ChargeLoopAnswered", "at": 3.5},
    ]
    assert _our_times("\n".join(map(json.dumps, lines)), kind) == (1.25, [0.25, 0.5])
    with pytest.raises(ValueError, match="did not charge"):
        _our_times(json.dumps(lines[0]), kind)
    with pytest.raises(ValueError, match="did not charge"):
        _their_times("INFO    2026-01-01 00:00:00,000 - Sending SDPRequest: x", kind)
