"""Commands to EVSEs that do not exist: refused, and nothing is left of them; many of them cost no more than one."""

from __future__ import annotations

import pytest

from gateway.store.memory import MemoryStore
from tests.gateway.commands.rig import house

pytestmark = pytest.mark.virtual_time


@pytest.mark.parametrize("number", ["2", "7", "999", "0", "01", "007", "1000", "²", "-1"])
async def test_a_number_that_the_station_does_not_have_is_unknown_and_leaves_nothing(number: str) -> None:
    async with house("CP1-1", stations=("CP1",)) as home:
        refused = await home.send(f"CP1-{number}", "discharge", "a", power_w=3000)
        assert (refused.status, refused.code) == ("refused", "unknown_evse")
        assert home.service.evses() == ["CP1-1"]


async def test_a_configured_station_that_was_never_here_is_offline_and_leaves_nothing() -> None:
    store = MemoryStore()
    for life in ("a", "b"):
        async with house(stations=("CP1",), store=store) as home:
            refused = await home.send("CP1-3", "discharge", life, power_w=3000)
            assert (refused.status, refused.code) == ("refused", "offline")
            assert home.service.explain("CP1-3") is not None
            assert (await home.send("CP1-03", "discharge", f"{life}3", power_w=1)).code == "unknown_evse"
            assert home.service.evses() == []


async def test_what_was_reserved_before_the_station_came_is_kept_for_it() -> None:
    async with house(stations=("CP1",)) as home:
        assert (await home.send("CP1-1", "reserve", "r", min_soc_pct=85)).status == "accepted"
        home.stations.connect("CP1", "CP1-1")
        home.stations.plug("CP1-1")
        await home.wait(1)
        assert (await home.send("CP1-1", "discharge", "a", power_w=3000)).code == "below_floor"


async def test_a_flood_to_names_that_nobody_knows_fills_no_journal_and_takes_no_rate_from_others() -> None:
    store = MemoryStore()
    async with house("CP1-1", store=store) as home:
        for number in range(2000):
            assert (await home.send(f"X{number}", "discharge", f"f{number}", power_w=1)).status == "refused"
            assert (await home.send(f"Y{number}", "jump", f"g{number}")).status == "refused"
        assert (await home.send("CP1-1", "discharge", "a", power_w=3000)).status == "accepted"
        await home.service.journal.flush()
        assert len(await store.entries(limit=10_000)) < 500
        assert len(home.heard.results) >= 4001  # each is answered
        assert len(home.heard.events) < 500
