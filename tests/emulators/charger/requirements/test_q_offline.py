"""OCPP 2.1 Q11 and Q12 over the wire: profiles of a station that is offline."""

from __future__ import annotations

import pytest

from tests.emulators.charger.requirements.test_k28_k29 import install, near
from tests.emulators.charger.station_rig import Rig, dynamic
from tests.requirements import requirement

pytestmark = pytest.mark.virtual_time

# Q11, Q12: offline (K01.FR.101-103)


@pytest.mark.parametrize("for_good", [False, True])
@requirement("K01.FR.101", "K01.FR.102")
async def test_a_profile_is_suspended_or_invalidated_offline(for_good: bool) -> None:
    async with Rig() as rig:
        await rig.charging()
        v2x = dynamic(-4000.0, None, stackLevel=5, maxOfflineDuration=30, invalidAfterOfflineDuration=for_good)
        assert (await install(rig, v2x))["status"] == "Accepted"
        await rig.sleep(5)
        rig.cut()
        await rig.sleep(20)
        assert rig.evse().reading.power_w == near(-4000)
        await rig.sleep(20)
        assert rig.evse().reading.power_w == 0.0  # the gateway's own 0 W beneath
        rig.up = True
        await rig.until(lambda: rig.station.online)
        await rig.sleep(5)
        assert rig.evse().reading.power_w == (0.0 if for_good else near(-4000))
        offline = [c for c in rig.calls("TransactionEvent") if c.get("offline")]
        assert offline


@requirement("K01.FR.103")
async def test_a_profile_without_offline_limit_stays_valid() -> None:
    async with Rig() as rig:
        await rig.charging()
        await install(rig, dynamic(-4000.0, None, stackLevel=5))
        await rig.sleep(5)
        rig.cut()
        await rig.sleep(1200)
        assert rig.evse().reading.power_w == near(-4000)


async def test_the_gateways_profile_expires_offline() -> None:
    async with Rig() as rig:
        await rig.charging()
        await rig.csms.set_power("CP1-1", -5000.0, 30.0)
        await rig.sleep(5)
        rig.cut()
        await rig.sleep(40)
        assert rig.evse().reading.power_w == 0.0
        assert rig.evse().transaction is not None
