"""The benchmark of ISO 15118-20 sessions reports its figures; no speed is asserted."""

from __future__ import annotations

import json

import pytest

from gateway.bench import iso20
from gateway.bench.iso20_pairs import _our_times, _their_times
from tests.interop.veth_link import veth_link


def test_both_engines_are_measured_on_a_veth_pair() -> None:
    with veth_link():  # skips where namespaces aren't allowed
        pass
    found = iso20._pairs("")
    ours = found["ours"]
    assert ours["loops"] == 405
    assert 0 < ours["round_trip_ms"] < ours["first_loop_ms"]
    assert ours["cpu_s_per_session"] > 0
    assert ours["cpu_ms_per_loop"] > 0
    assert ours["memory_mib"] > 10
    assert "josev" not in found


def test_a_session_in_memory_is_measured() -> None:
    assert iso20.in_memory(20) > 0


def test_times_are_read_from_the_logs() -> None:
    lines = [
        {"event": "Searching", "at": 1.0},
        {"event": "MessageSent", "at": 2.0, "message": {"CLReqControlMode": {}}},
        {"event": "ChargeLoopAnswered", "at": 2.25},
        {"event": "MessageSent", "at": 3.0, "message": {"CLReqControlMode": {}}},
        {"event": "ChargeLoopAnswered", "at": 3.5},
    ]
    assert _our_times("\n".join(map(json.dumps, lines))) == (1.25, [0.25, 0.5])
    with pytest.raises(ValueError, match="did not charge"):
        _our_times(json.dumps(lines[0]))
    with pytest.raises(ValueError, match="did not charge"):
        _their_times("INFO    2026-01-01 00:00:00,000 - Sending SDPRequest: x")
