"""The vehicle's own needs limit a command, with a reason, before the charger silently refuses it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.authority.layers import Situation, charges_in_s, layers, own_needs
from gateway.model.event import EvseDescribed, Metered, NeedsStated, PowerLimits, SessionStarted, VehicleNeeds
from gateway.model.evse import Evse
from gateway.model.reason import Code
from gateway.model.site import Site, SitePolicy
from protocols.iso15118.iso20.limits import PowerRange
from protocols.iso15118.iso20.setpoint import EnergyRequests, narrowed_by_needs

NOON = 1_770_000_000.0
HOUR_S = 3600.0
LIMITS = PowerLimits(11_000.0, 10_000.0)
NEEDS = VehicleNeeds(LIMITS, True, "DC_BPT", target_energy_wh=10_000.0, departure=NOON + 7200)


def an_evse(needs: VehicleNeeds = NEEDS, station_w: float = 11_000.0) -> Evse:
    evse = Evse("CP1-1", "CP1")
    evse.apply(EvseDescribed("CP1-1", "CP1", 0.0, PowerLimits(station_w, 10_000.0), True))
    evse.apply(SessionStarted("CP1-1", 0.0, "tx"))
    evse.apply(NeedsStated("CP1-1", 0.0, needs))
    return evse


def test_time_for_charging_begins_when_the_rest_of_the_stay_is_needed_for_it() -> None:
    evse = an_evse()
    from_s = 7200 - 10_000 * 3600 / (0.85 * 11_000)
    assert charges_in_s(evse, NOON) == pytest.approx(from_s)
    assert own_needs(evse, NOON + from_s - 1) == []
    [bound] = own_needs(evse, NOON + from_s + 1)
    assert (bound.low_w, bound.code) == (0.0, Code.NEEDED_FOR_DEPARTURE)
    assert "10000 Wh" in bound.text
    assert charges_in_s(an_evse(station_w=5_000), NOON) < from_s  # the weaker of both counts
    assert own_needs(evse, None) == []


def test_transferred_energy_changes_the_needs_without_a_new_report() -> None:
    evse = an_evse()
    evse.apply(Metered("CP1-1", 0.0, energy_charged_wh=0.0, energy_discharged_wh=0.0, soc_pct=50.0))
    evse.apply(Metered("CP1-1", HOUR_S, energy_charged_wh=0.0, energy_discharged_wh=1000.0, soc_pct=49.0))
    assert evse.target_energy_wh == pytest.approx(11_100)
    evse.apply(Metered("CP1-1", 2 * HOUR_S, energy_charged_wh=14_000.0, energy_discharged_wh=1000.0, soc_pct=60.0))
    assert evse.target_energy_wh is not None
    assert evse.target_energy_wh < 0
    assert charges_in_s(evse, NOON + 7100) == float("inf")
    evse.apply(Metered("CP1-1", 3 * HOUR_S, energy_charged_wh=14_500.0, target_energy_wh=3_000.0))
    assert evse.target_energy_wh == 3_000


def test_below_the_drivers_minimum_there_is_no_discharge() -> None:
    evse = an_evse(replace(NEEDS, target_energy_wh=None, departure=None, min_energy_wh=2_000.0))
    [bound] = own_needs(evse, NOON)
    assert bound.code is Code.BELOW_CAR_MINIMUM
    evse.apply(Metered("CP1-1", 0.0, energy_charged_wh=0.0))
    evse.apply(Metered("CP1-1", HOUR_S, energy_charged_wh=2_500.0))
    assert own_needs(evse, NOON) == []
    evse.apply(Metered("CP1-1", 2 * HOUR_S, energy_charged_wh=2_500.0, energy_discharged_wh=0.0))
    evse.apply(Metered("CP1-1", 3 * HOUR_S, energy_charged_wh=2_500.0, energy_discharged_wh=9_000.0))
    assert own_needs(evse, NOON) == []  # only the car reports that the minimum is undercut, never an estimate


@pytest.mark.parametrize("islanded", [False, True])
def test_in_an_island_no_load_is_shed_for_a_departure(islanded: bool) -> None:
    evse = an_evse()
    evse.connected, evse.soc_pct = True, 60.0
    site = Site(SitePolicy("home"), islanded=islanded)
    found, _ = layers(Situation(evse, site, 0.0, wall=NOON + 7000))
    assert (Code.NEEDED_FOR_DEPARTURE in {bound.code for bound in found}) is not islanded


@given(st.floats(-5_000, 60_000), st.floats(-1_000, 5_000), st.floats(0, 86_400), st.floats(1_000, 22_000))
def test_the_gateway_is_never_later_than_the_charger(
    target_wh: float, minimum_wh: float, leaves_s: float, charge_w: float
) -> None:
    """Every limit of the charger's own guard is applied by the gateway before, with a reason."""
    limits = PowerRange(low_w=-10_000.0, high_w=charge_w)
    requests = EnergyRequests(target_wh=target_wh, maximum_wh=60_000.0, minimum_wh=minimum_wh)
    evse = an_evse(
        VehicleNeeds(
            PowerLimits(charge_w, 10_000.0),
            True,
            "DC_BPT",
            target_energy_wh=target_wh,
            min_energy_wh=minimum_wh,
            departure=NOON + leaves_s,
        ),
        station_w=50_000.0,
    )
    held = narrowed_by_needs(limits, requests, leaves_s).low_w == 0.0
    if held:
        assert own_needs(evse, NOON)
