"""Faults: no power without a command afterwards, and the next command works."""

import pytest

FAULTS = [
    ("cut", "ocpp:CP1", None),
    ("half-open", "ocpp:CP1", 90),
    ("cut", "iso15118:CP1-1", None),
    ("corruption", "iso15118:CP1-1", 1),
    ("broker-stop", "", 20),
    ("insulation", "CP1-1", 30),
]


@pytest.mark.parametrize(
    ("kind", "target", "duration_s"), FAULTS, ids=[f"{kind}-{target or 'mqtt'}" for kind, target, _ in FAULTS]
)
def test_the_session_survives_or_ends_in_order(kind, target, duration_s, v2x_facility, v2x_ev, v2x_fault, v2x_clock):
    v2x_clock.run(v2x_facility.command("CP1-1", "discharge", power_w=5000, lease_s=30))
    v2x_clock.advance(10)
    assert v2x_ev.power_w < -4900
    v2x_fault(kind, target, duration_s=duration_s)
    v2x_clock.advance(180)
    assert abs(v2x_ev.power_w) < 50  # the lease has expired: neither discharge nor charge
    v2x_clock.until(lambda: v2x_ev.charging and v2x_facility.online is True, within_s=600)
    result = {"status": "none"}
    for _ in range(10):
        result = v2x_clock.run(v2x_facility.command("CP1-1", "discharge", power_w=3000, lease_s=60))
        if result["status"] == "accepted":
            break
        v2x_clock.advance(20)
    assert result["status"] == "accepted", result["reason"]
    v2x_clock.advance(10)
    assert v2x_ev.power_w == pytest.approx(-3000, rel=0.02)
    assert not v2x_ev.violations


def test_power_ends_with_the_gateway_and_returns_with_it(v2x_facility, v2x_ev, v2x_fault, v2x_clock):
    v2x_clock.run(v2x_facility.command("CP1-1", "discharge", power_w=5000, lease_s=3600))
    v2x_clock.advance(10)
    v2x_fault("restart", "gateway")
    v2x_clock.advance(60)
    assert v2x_ev.power_w < 50  # no charge
    v2x_clock.run(v2x_ev.unplug())
    v2x_clock.advance(30)
    v2x_clock.run(v2x_ev.plug())
    v2x_clock.until(lambda: v2x_ev.charging and v2x_facility.online is True, within_s=120)
    v2x_clock.advance(30)
    result = v2x_clock.run(v2x_facility.command("CP1-1", "discharge", power_w=3000, lease_s=60))
    assert result["status"] == "accepted", result["reason"]
    v2x_clock.advance(10)
    assert v2x_ev.power_w == pytest.approx(-3000, rel=0.02)
