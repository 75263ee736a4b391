"""One capacity for every calculation: stated, derived, configured, else assumed, and the state shows which."""

from __future__ import annotations

import pytest

from gateway.authority.soc_floors import capacity_of
from gateway.config import from_table
from gateway.config.mapping import service_settings
from gateway.model.event import PowerLimits, VehicleIdentified, VehicleNeeds
from gateway.model.evse import Evse
from gateway.model.site import SitePolicy
from tests.gateway.commands.rig import service_rig

LIMITS = PowerLimits(11_000, 10_000)


@pytest.mark.parametrize(
    ("needs", "vehicle", "expected"),
    [
        (VehicleNeeds(LIMITS, battery_capacity_wh=62_000), "V", (62_000, False)),
        (VehicleNeeds(LIMITS, max_energy_wh=30_000, soc_pct=50), "V", (60_000, False)),
        (VehicleNeeds(LIMITS), "V", (40_000, False)),
        (VehicleNeeds(LIMITS), "W", (20_000, True)),
        (None, None, (20_000, True)),
    ],
)
def test_stated_comes_before_configured_before_assumed(
    needs: VehicleNeeds | None, vehicle: str | None, expected: tuple[float, bool]
) -> None:
    evse = Evse("CP1-1", "CP1", vehicle=vehicle, needs=needs, configured_capacity_wh={"V": 40_000})
    capacity = capacity_of(evse, SitePolicy("home"))
    assert (capacity.energy_wh, capacity.assumed) == expected


def test_the_configuration_has_one_key_for_an_unknown_battery() -> None:
    table = {"energy": {"assumed_capacity_wh": 35_000, "cars": [{"vehicle": "V", "capacity_wh": 50_000}]}}
    policy = service_settings(from_table(table)).policy
    assert (policy.assumed_capacity_wh, policy.vehicle_capacity_wh) == (35_000, {"V": 50_000})
    assert service_settings(from_table({})).policy.assumed_capacity_wh == 20_000


@pytest.mark.virtual_time
async def test_the_state_of_an_evse_shows_an_assumed_capacity() -> None:
    policy = SitePolicy("home", assumed_capacity_wh=25_000)
    async with service_rig("CP1-1", policy=policy, plugged=False) as rig:
        rig.stations.plug("CP1-1", needs=VehicleNeeds(LIMITS, True, "DC_BPT", "dynamic", soc_pct=80.0))
        state = rig.service.state("CP1-1")
        assert state is not None
        assert (vehicle := state.vehicle) is not None
        assert (vehicle.capacity_wh, vehicle.capacity_assumed) == (25_000, True)


@pytest.mark.parametrize(("vehicle", "soc_pct"), [("V", 80 - 100 * 4400 / 40_000), ("W", 80 - 100 * 4400 / 20_000)])
def test_energy_counting_uses_the_same_capacity(vehicle: str, soc_pct: float) -> None:
    evse = Evse("CP1-1", "CP1", vehicle=vehicle, soc_pct=80.0, configured_capacity_wh={"V": 40_000})
    evse.spend(4000)
    assert evse.soc_pct == pytest.approx(soc_pct)


def test_energy_charged_counts_where_the_capacity_is_configured() -> None:
    evse = Evse("CP1-1", "CP1", vehicle="V", soc_pct=50.0, configured_capacity_wh={"V": 40_000})
    evse.spend(-4000)
    assert evse.soc_pct == pytest.approx(50 + 100 * 4000 * 0.85 / 40_000)


@pytest.mark.virtual_time
async def test_a_configured_capacity_reaches_the_state_and_the_energy_counting() -> None:
    policy = SitePolicy("home", vehicle_capacity_wh={"V": 40_000})
    async with service_rig("CP1-1", policy=policy, plugged=False) as rig:
        rig.stations.plug("CP1-1", needs=VehicleNeeds(LIMITS, True, "DC_BPT", "dynamic", soc_pct=80.0))
        rig.service.report(VehicleIdentified("CP1-1", rig.clock.now(), "V"))
        state = rig.service.state("CP1-1")
        assert state is not None
        assert state.vehicle is not None
        assert (state.vehicle.capacity_wh, state.vehicle.capacity_assumed) == (40_000, False)
