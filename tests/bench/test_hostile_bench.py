"""`v2x bench hostile` attacks a real gateway process. Steps are counted; no speed is asserted."""

from __future__ import annotations

from gateway.bench import hostile
from gateway.bench.hostile_attacks import BOOT_STORM, TLS

STATIONS = 20


async def test_every_command_is_accepted_during_attacks() -> None:
    attacks = ("ping-not-reading", "calls", "handshakes", "guessing", TLS, BOOT_STORM)
    found = await hostile.figures(0.5, attacks, STATIONS)
    assert [row["attack"] for row in found["attacks"]] == list(attacks)
    for row in found["attacks"]:
        assert row["accepted"] == row["commands"] > 0, row
        assert row["requests"] > 0
        assert {"p50", "p99", "p99_ratio", "memory_growth_mb"} <= row.keys()
    assert found["attacks"][-1]["served"] == STATIONS
    assert any("handshakes" in line for line in hostile.text(found))
