"""1.6 and 2.0.1 stations with the gateway: sessions, and discharging over vendor channels."""

from __future__ import annotations

import pytest

from gateway.csms.settings import CsmsSettings, StationSettings, UnknownTokens
from gateway.model.event import EvseDescribed, Metered, SessionEnded, SessionStarted, StationConnected
from gateway.model.station import Answer
from protocols.ocpp.schema import Version
from tests.emulators.charger.station_rig import Rig

pytestmark = pytest.mark.virtual_time


def near(watts: float) -> object:
    return pytest.approx(watts, rel=0.01)


CHANNELS = [
    (Version.V16, "negative-limit"),
    (Version.V201, "negative-limit"),
    (Version.V16, "vendor-message"),
    (Version.V201, "vendor-message"),
    (Version.V16, "vendor-variable"),
]


@pytest.mark.parametrize(("version", "profile"), CHANNELS)
async def test_a_station_discharges_over_its_vendor_channel(version: Version, profile: str) -> None:
    async with Rig(version, vendor_profile=profile) as rig:
        assert rig.of(StationConnected)[0].protocol == version.value
        assert rig.of(EvseDescribed)[-1].can_discharge
        await rig.charging()
        assert rig.of(SessionStarted)
        assert (await rig.csms.set_power("CP1-1", -4600.0, 30.0)).answer is Answer.APPLIED
        await rig.sleep(12)
        assert rig.evse().reading.power_w == near(-4600.0)
        assert rig.of(Metered)[-1].power_w == near(-4600.0)
        await rig.sleep(25)  # no refresh: the station falls back, or the gateway sends 0
        assert rig.evse().reading.power_w == 0.0
        assert (await rig.csms.set_power("CP1-1", 2070.0, 30.0)).answer is Answer.APPLIED
        await rig.sleep(12)
        assert rig.evse().reading.power_w == near(2070.0)
        assert (await rig.csms.end_session("CP1-1")).answer is Answer.APPLIED
        await rig.until(lambda: bool(rig.of(SessionEnded)))
        assert rig.of(SessionEnded)[-1].reason == "Remote"
        assert rig.errors() == []
        assert not rig.csms.context.violations


@pytest.mark.parametrize("profile", ["generic-2.1", "vendor-island"])
@pytest.mark.parametrize("version", [Version.V16, Version.V201])
async def test_a_vendor_profile_of_2_1_at_an_earlier_version_is_named_and_leaves_charging(
    version: Version, profile: str
) -> None:
    known = StationSettings("CP1", vendor_profile=profile, max_charge_w=10_000.0, max_discharge_w=10_000.0)
    settings = CsmsSettings(stations=(known,), unknown_tokens=UnknownTokens.ACCEPT)
    async with Rig(version, settings=settings) as rig:
        described = rig.of(EvseDescribed)[-1]
        assert not described.can_discharge
        assert (
            f"the vendor profile {profile} is for OCPP 2.1, and the station uses {version.number}" in described.why_not
        )
        await rig.charging()
        assert (await rig.csms.set_power("CP1-1", 4600.0, 30.0)).answer is Answer.APPLIED
        await rig.sleep(12)
        assert rig.evse().reading.power_w == near(4600.0)


@pytest.mark.parametrize("version", [Version.V16, Version.V201])
async def test_a_command_for_a_unidirectional_station_is_rejected_with_reason(version: Version) -> None:
    async with Rig(version) as rig:
        described = rig.of(EvseDescribed)[-1]
        assert not described.can_discharge
        assert "vendor profile" in described.why_not
        await rig.charging()
        outcome = await rig.csms.set_power("CP1-1", -5000.0, 30.0)
        assert (outcome.answer, outcome.code) == (Answer.REFUSED, "CannotDischarge")
        assert "vendor profile" in outcome.text
        assert (await rig.csms.set_power("CP1-1", 5000.0, 30.0)).answer is Answer.APPLIED
        await rig.sleep(5)
        assert rig.evse().reading.power_w == near(5000.0)
        await rig.sleep(30)
        assert rig.evse().reading.power_w == 0.0  # the safe profile


async def test_an_offline_1_6_or_2_0_1_station_keeps_its_transaction_and_times() -> None:
    async with Rig(Version.V16) as rig:
        await rig.charging()
        began = rig.csms.context.transactions.active_at("CP1", 1)
        assert began is not None
        rig.cut()
        await rig.sleep(60)
        rig.station.unplug(1)
        ended = rig.clock.wall()
        await rig.sleep(600)
        rig.up = True
        await rig.until(lambda: bool(rig.of(SessionEnded)))
        assert began.stopped_at == pytest.approx(ended, abs=2)
        assert began.stop_reason == "EVDisconnected"


async def test_an_offline_1_6_transaction_gets_its_id_later() -> None:
    async with Rig(Version.V16) as rig:
        rig.cut()
        await rig.sleep(5)
        rig.station.local_list.put("free", {"status": "Accepted"})
        rig.plug()
        await rig.sleep(60)
        rig.station.unplug(1)
        began = rig.clock.wall() - 60
        rig.up = True
        await rig.until(lambda: bool(rig.of(SessionEnded)))
        (transaction,) = rig.csms.context.transactions.of("CP1")
        assert transaction.started_at == pytest.approx(began, abs=2)
        assert transaction.stop_reason == "EVDisconnected"
