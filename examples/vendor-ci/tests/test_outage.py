"""Outage of a home with a grid-forming charger and a car."""

import pytest

MANAGED = """
[gateway.energy]
island = true
forming = ["CP1-1"]
tiers = [
    { name = "light and refrigerator", priority = 0, expected_w = 400, critical = true },
    { name = "kitchen and bath", priority = 1, expected_w = 200, wants_hours = 4 },
    { name = "air conditioning", priority = 2, expected_w = 800, wants_hours = 8 },
]
"""


@pytest.mark.v2x(forming=True, site="home", soc_pct=70, toml=MANAGED)
def test_the_gateway_supplies_a_home_through_an_outage(v2x_grid, v2x_site, v2x_ev, v2x_facility, v2x_clock):
    assert v2x_site.balance is None or v2x_site.balance.state == "grid"
    v2x_grid.fail()
    v2x_clock.until(lambda: v2x_site.balance is not None and v2x_site.balance.state == "island", within_s=30)
    assert v2x_site.switch.confirmed_open
    before = v2x_ev.soc_pct
    v2x_clock.advance(600)
    assert v2x_site.balance.state == "island"
    energy = v2x_facility.states["site"]["energy"]
    assert (energy["phase"], energy["forming"], energy["main_switch"]) == ("island", "CP1-1", "open")
    assert energy["autonomy_h"]["light and refrigerator"]["low"] > 4
    assert v2x_ev.soc_pct < before
    v2x_grid.restore()
    v2x_clock.advance(200)
    assert v2x_site.balance.state == "island"  # the reconnection time is 300 s
    v2x_clock.advance(120)
    assert v2x_site.balance.state == "grid"
    assert v2x_site.fed_dead_grid_wh == 0
    assert v2x_site.loads.unserved_critical_wh < 5


@pytest.mark.v2x(site="home")
def test_a_grid_following_charger_trips_within_a_second(v2x_grid, v2x_site, v2x_ev, v2x_facility, v2x_clock):
    v2x_clock.run(v2x_facility.command("CP1-1", "discharge", power_w=4000, lease_s=600))
    v2x_clock.advance(10)
    assert v2x_ev.power_w < -3900
    v2x_grid.fail(60)
    v2x_clock.advance(2)
    assert v2x_ev.power_w == 0
    assert v2x_site.fed_dead_grid_wh == 0
