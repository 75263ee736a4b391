"""`v2x bench ocpp` reports its figures for every server. No speed is asserted."""

from __future__ import annotations

from gateway.bench import ocpp


async def test_every_server_is_measured() -> None:
    found = await ocpp.figures(seconds=0.3, stations=(3,))
    assert {"rpc", "gateway", "core", "ocpp package"} <= found["servers"].keys()
    for name, (row,) in found["servers"].items():
        assert row["stations"] == 3
        assert row["messages_per_s"] > 0, name
        assert row["p99_ms"] is not None
    assert set(found["ratios"]["share_of_cpu"][0]) == {"rpc", "csms", "core and store"}
