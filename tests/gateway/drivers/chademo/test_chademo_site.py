"""A facility, the gateway and a LEAF over CHAdeMO in closed loop: from MQTT to the battery and back."""

from __future__ import annotations

import pytest

from tests.gateway.drivers.chademo.chademo_site import EVSE, ChademoSite

pytestmark = pytest.mark.virtual_time


@pytest.mark.parametrize("vehicle", ["leaf-24", "leaf-40"])
async def test_a_discharge_by_mqtt_reaches_the_battery_and_the_meter(vehicle: str) -> None:
    site = ChademoSite(vehicle)
    async with site.facility(), site.gateway(), site.plugged():
        state = site.bodies(f"evse/{EVSE}/state")[-1]
        assert (state["connection"], state["protocol"], state["plugged"]) == ("connected", "chademo", True)
        assert state["vehicle"]["bidirectional"] is True
        assert state["vehicle"]["capacity_wh"] == site.profile.capacity_wh
        await site.until("its state of charge", lambda: site.state.soc_pct is not None)
        assert site.state.soc_pct == pytest.approx(60, abs=1)
        assert await site.command("discharge", power_w=3000, lease_s=300) == "accepted"
        await site.until("3 kW out", lambda: abs(site.power_w + 3000) < 30, 15)
        await site.clock.sleep(20)
        assert site.power_w == pytest.approx(-3000, abs=15), "the losses are corrected"
        telemetry = site.bodies(f"evse/{EVSE}/telemetry")[-1]
        assert telemetry["power_w"] == pytest.approx(-3000, abs=30)
        assert [one["status"] for one in site.bodies(f"evse/{EVSE}/result")][-1] == "achieved"
        assert await site.command("charge", power_w=2000, lease_s=300) == "accepted"
        await site.until("2 kW in", lambda: abs(site.power_w - 2000) < 20, 20)
        assert site.events().count("session_started") == 1, "no new negotiation"
        assert await site.command("stop") == "accepted"
        await site.until("0 A", lambda: site.plug.stage.current_a == 0, 5)
        assert site.state.session is not None


async def test_battery_meter_and_state_agree_within_half_a_per_cent() -> None:
    site = ChademoSite()
    async with site.facility(), site.gateway(), site.plugged():
        meter, car, stage = site.plug.stage.meter, site.car, site.plug.stage
        await site.command("discharge", power_w=4000, lease_s=900)
        await site.clock.sleep(20)
        before = (meter.true_discharged_wh, car.energy_out_wh, car.pack.energy_out_wh, stage.loss_wh, car.aux_wh)
        began = site.clock.now()
        await site.clock.sleep(60)
        after = (meter.true_discharged_wh, car.energy_out_wh, car.pack.energy_out_wh, stage.loss_wh, car.aux_wh)
        out, inlet, cells, loss, aux = (b - a for a, b in zip(before, after, strict=True))
        hours = (site.clock.now() - began) / 3600
        assert out == pytest.approx(4000 * hours, rel=0.005), "what was commanded is at the meter"
        assert inlet - loss == pytest.approx(out, rel=0.005), "the converter creates no energy"
        assert cells == pytest.approx(inlet + aux, rel=0.005), "nor does the vehicle"
        telemetry = site.bodies(f"evse/{EVSE}/telemetry")[-1]
        assert telemetry["energy_discharged_wh"] == pytest.approx(meter.true_discharged_wh, rel=0.005, abs=3)


async def test_the_floor_of_the_site_ends_a_discharge_and_the_level_of_the_vehicle_is_above_it() -> None:
    site = ChademoSite("leaf-24", soc_pct=31.0)
    async with site.facility(), site.gateway(site={"id": "shelter", "min_soc_pct": 20}), site.plugged():
        await site.command("discharge", power_w=5000, lease_s=3600)
        await site.until("the level of the vehicle, 30 %", lambda: site.plug.stage.current_a == 0, 900)
        assert site.car.soc_pct == pytest.approx(30, abs=1)
        assert site.state.session is not None
        assert await site.command("charge", power_w=3000, lease_s=60) == "accepted"
        await site.until("charging", lambda: site.power_w > 2900, 15)


async def test_the_facility_is_silent_and_the_lease_ends() -> None:
    site = ChademoSite()
    async with site.facility(), site.gateway(), site.plugged():
        began = site.clock.now()
        assert await site.command("discharge", power_w=3000, lease_s=30) == "accepted"
        await site.clock.sleep(20)
        assert site.power_w == pytest.approx(-3000, abs=60)
        await site.clock.sleep(began + 30 + 6 - site.clock.now())
        assert site.plug.stage.current_a == 0
        assert site.state.session is not None, "the session stays"


async def test_an_emergency_stop_is_0_a_until_it_is_released() -> None:
    site = ChademoSite()
    async with site.facility(), site.gateway(), site.plugged():
        await site.command("discharge", power_w=3000, lease_s=300)
        await site.until("3 kW out", lambda: abs(site.power_w + 3000) < 60, 15)
        await site.publish("site/cmd/emergency_stop")
        await site.until("0 A", lambda: site.plug.stage.current_a == 0, 2)
        assert await site.command("discharge", power_w=3000, lease_s=300) == "refused"
        await site.publish("site/cmd/release")
        await site.clock.sleep(1)
        assert await site.command("discharge", power_w=3000, lease_s=300) == "accepted"
        await site.until("3 kW out", lambda: abs(site.power_w + 3000) < 60, 15)


async def test_a_restart_of_the_gateway_in_a_discharge() -> None:
    site = ChademoSite()
    async with site.facility():
        async with site.gateway():
            plugged = site.plugged()
            vehicle = await plugged.__aenter__()
            await site.command("discharge", power_w=3000, lease_s=3000)
            await site.until("3 kW out", lambda: abs(site.power_w + 3000) < 60, 15)
        assert site.plug.stage.current_a == 0
        assert not site.plug.closed
        assert not site.plug.vehicle_closed
        assert all(abs(one) < 1 for one in site.plug.opened_at_a)
        async with site.gateway():
            await site.until("the vehicle again", lambda: site.state.vehicle_limits is not None, 30)
            assert site.state.command is None, "nothing resumes"
            assert await site.command("discharge", power_w=2000, lease_s=60) == "accepted"
            await site.until("2 kW out", lambda: abs(site.power_w + 2000) < 40, 15)
            assert vehicle.ev.ended is not None
        await plugged.__aexit__(None, None, None)
