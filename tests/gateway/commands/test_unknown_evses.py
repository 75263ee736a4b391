"""Commands to EVSEs that do not exist are refused and leave no state, however many they are."""

from __future__ import annotations

import pytest

from gateway.store.store import MemoryStore
from tests.gateway.commands.rig import service_rig

pytestmark = pytest.mark.virtual_time


@pytest.mark.parametrize("number", ["2", "7", "999", "0", "01", "007", "1000", "²", "-1"])
async def test_an_evse_number_that_the_station_does_not_have_is_unknown_and_leaves_no_state(number: str) -> None:
    async with service_rig("CP1-1", stations=("CP1",)) as rig:
        refused = await rig.send(f"CP1-{number}", "discharge", "a", power_w=3000)
        assert (refused.status, refused.reason.code) == ("refused", "unknown_evse")
        assert rig.service.evses() == ["CP1-1"]


async def test_a_configured_station_that_never_connected_is_offline_and_leaves_no_state() -> None:
    store = MemoryStore()
    for life in ("a", "b"):
        async with service_rig(stations=("CP1",), store=store) as rig:
            refused = await rig.send("CP1-3", "discharge", life, power_w=3000)
            assert (refused.status, refused.reason.code) == ("refused", "offline")
            assert rig.service.explain("CP1-3") is not None
            assert (await rig.send("CP1-03", "discharge", f"{life}3", power_w=1)).reason.code == "unknown_evse"
            assert rig.service.evses() == []


async def test_reservations_before_the_first_connection_are_kept() -> None:
    async with service_rig(stations=("CP1",)) as rig:
        assert (await rig.send("CP1-1", "reserve", "r", min_soc_pct=85)).status == "accepted"
        rig.stations.connect("CP1", "CP1-1")
        rig.stations.plug("CP1-1")
        await rig.wait(1)
        assert (await rig.send("CP1-1", "discharge", "a", power_w=3000)).reason.code == "below_floor"


async def test_many_commands_to_unknown_evses_fill_no_journal_and_use_no_rate_of_others() -> None:
    store = MemoryStore()
    async with service_rig("CP1-1", store=store) as rig:
        for number in range(2000):
            assert (await rig.send(f"X{number}", "discharge", f"f{number}", power_w=1)).status == "refused"
            assert (await rig.send(f"Y{number}", "jump", f"g{number}")).status == "refused"
        assert (await rig.send("CP1-1", "discharge", "a", power_w=3000)).status == "accepted"
        await rig.journal.flush()
        assert len(await store.entries(limit=10_000)) < 500
        assert len(rig.published.results) >= 4001  # each is answered
        assert len(rig.published.events) < 500
