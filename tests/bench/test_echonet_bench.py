"""`v2x bench echonet` runs beside the real peer and reports its figures."""

from __future__ import annotations

import pytest

from gateway.bench import echonet
from tests.peers import python_peer


@pytest.mark.peer
@pytest.mark.timeout(120)
def test_one_measurement_with_pychonet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("V2X_PYCHONET_PYTHON", str(python_peer("pychonet", echonet.PEER)))
    monkeypatch.setattr(echonet, "PEER_REQUESTS", 3)
    found = echonet.figures(rounds=1, calls=100, requests=100)
    assert "absent" not in found
    for what in ("decode", "decode_new", "values", "encode", "encode_new"):
        assert min(found[what]["ours"], found[what]["pychonet"]) > 0
    assert found["requests_per_s"]["ratio"] > echonet.AIM  # it waits 0.1 s for each answer
    assert "requests per second" in "\n".join(echonet.text(found))


def test_without_the_peer_own_figures_are_present_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("V2X_PYCHONET_PYTHON", "/nowhere/python")
    found = echonet.figures(rounds=1, calls=10, requests=10)
    assert "/nowhere/python" in found["absent"]
    assert found["decode"]["pychonet"] is None
    assert found["requests_per_s"]["ours"] > 0
    assert "without the peer" in "\n".join(echonet.text(found))
