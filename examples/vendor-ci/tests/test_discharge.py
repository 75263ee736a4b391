"""Discharge commands over MQTT, their effect at the meter and on the battery."""

from pathlib import Path

import pytest

PROFILES = Path(__file__).parent.parent / "profiles"


async def test_a_command_is_accepted_and_measured_at_the_meter(v2x_facility, v2x_ev, v2x_clock):
    result = await v2x_facility.command("CP1-1", "discharge", power_w=5000, lease_s=60)
    assert (result["status"], result["effective_w"], result["binding"]) == ("accepted", -5000, "command")
    final = await v2x_facility.outcome(result["id"])
    assert final["status"] == "achieved"
    assert v2x_ev.power_w == pytest.approx(-5000, rel=0.02)


def test_an_hour_discharges_the_battery(v2x_facility, v2x_ev, v2x_clock):
    before = v2x_ev.soc_pct
    v2x_clock.run(v2x_facility.hold("CP1-1", "discharge", 3600, power_w=5000, lease_s=3600))
    metered = v2x_ev.bay.stage.meter.discharged_wh
    assert metered == pytest.approx(5000, rel=0.01)
    assert v2x_ev.energy_out_wh == pytest.approx(metered / 0.932, rel=0.02)
    assert before - v2x_ev.soc_pct == pytest.approx(100 * v2x_ev.pack.energy_out_wh / 63_000, rel=0.05)


def test_an_expired_lease_ends_at_zero_power(v2x_facility, v2x_ev, v2x_clock):
    v2x_clock.run(v2x_facility.command("CP1-1", "discharge", power_w=5000, lease_s=20))
    v2x_clock.advance(15)
    assert v2x_ev.power_w < -4900
    v2x_clock.advance(30)
    assert abs(v2x_ev.power_w) < 50
    assert v2x_ev.charging  # the session stays


@pytest.mark.v2x(soc_pct=32, min_soc_pct=30)
def test_the_soc_floor_of_the_site_is_kept(v2x_facility, v2x_ev, v2x_clock):
    v2x_clock.run(v2x_facility.hold("CP1-1", "discharge", 1800, power_w=8000, lease_s=60))
    assert 29.9 < v2x_ev.soc_pct < 31  # the car reports whole per cent, rounded down


def test_our_car_ends_the_session_at_20_percent(v2x_facility, v2x_ev_factory, v2x_clock):
    ev = v2x_ev_factory(PROFILES / "our-test-car.toml", soc_pct=26)
    ev.car.v2x_min_soc_pct = 20
    v2x_clock.run(v2x_facility.command("CP1-1", "discharge", power_w=9000, lease_s=3600))
    v2x_clock.until(lambda: not ev.charging, within_s=3600)
    assert ev.soc_pct == pytest.approx(20, abs=0.3)
    assert "ends at 20 %" in ev.bay.session_ends[-1] or ev.bay.session_ends
