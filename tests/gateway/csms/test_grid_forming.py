"""Grid-forming by a station: by its vendor profile, and never without the confirmed open main switch."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.bench.plain_station import PlainStations
from gateway.clock import SystemClock
from gateway.energy.grid_forming import AGAIN_S, GridFormingService
from gateway.model.energy_state import FormingBy, GridFormingState
from gateway.model.station import Answer, GridFormingStations, Outcome
from protocols.ocpp import vendor
from protocols.ocpp.schema import Version
from protocols.ocpp.vendor import BadProfile
from tests.emulators.charger.station_rig import Rig
from tests.gateway.commands.rig import service_rig
from tests.rounds import rounds
from tests.virtual_time import virtual_examples

pytestmark = pytest.mark.virtual_time

BY_MESSAGE = """
name = "{name}"
ocpp = ["1.6", "2.0.1", "2.1"]
[setpoint]
channel = "standard"
[forming]
channel = "data-transfer"
form = "island"
follow = "grid"
vendor_id = "com.example.island"
message_id = "Mode"
data = '{{"evse": $evse, "mode": "$value"}}'
"""


async def test_a_variable_of_the_evse_is_set_and_reset() -> None:
    async with Rig(evses=2, vendor_profile="vendor-island") as rig:
        assert isinstance(rig.csms, GridFormingStations)
        assert (await rig.csms.form("CP1-2", True)).answer is Answer.APPLIED
        assert [rig.evse(number).power_path.stage.grid_forming_ordered for number in (1, 2)] == [False, True]
        (sent,) = [m for who, m in rig.messages if who == "gateway" and m[2] == "SetVariables" and "Island" in str(m)]
        (entry,) = sent[3]["setVariableData"]
        assert entry == {
            "attributeValue": "true",
            "component": {"name": "IslandCtrlr", "evse": {"id": 2}},
            "variable": {"name": "Forming"},
        }
        assert (await rig.csms.form("CP1-2", False)).answer is Answer.APPLIED
        assert [rig.evse(number).power_path.stage.grid_forming_ordered for number in (1, 2)] == [False, False]
        rig.cut()
        assert (await rig.csms.form("CP1-2", True)).answer is Answer.UNKNOWN
        assert (await rig.csms.form("CP9-1", True)).answer is Answer.UNKNOWN


@pytest.mark.parametrize("version", [Version.V201, Version.V21])
async def test_a_vendor_message_does_the_same(version: Version, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "by-message.toml"
    path.write_text(BY_MESSAGE.format(name="by-message"))
    profile = vendor.read(path)

    async with Rig(version) as rig:
        rig.known.vendor = rig.station.vendor = profile
        assert (await rig.csms.form("CP1-1", True)).answer is Answer.APPLIED
        assert rig.evse().power_path.stage.grid_forming_ordered
        assert (await rig.csms.form("CP1-1", False)).answer is Answer.APPLIED
        assert not rig.evse().power_path.stage.grid_forming_ordered


@pytest.mark.parametrize("version", list(Version))
async def test_without_a_channel_it_is_left_to_the_hardware_and_reported(version: Version) -> None:
    async with Rig(version) as rig:
        before = len(rig.messages)
        outcome = await rig.csms.form("CP1-1", True)
        assert outcome.code == "NoForming"
        assert "hardware" in outcome.text
        assert len(rig.messages) == before


@pytest.mark.parametrize(
    "table",
    [
        'channel = "data-transfer"\nvendor_id = "x"',
        'channel = "variable"',
        'channel = "limit"',
        'channel = "variable"\nkey = "K"\nform = "1"\nfollow = "1"',
        'channel = "variable"\nkey = "$nothing"',
    ],
)
def test_an_incomplete_route_is_rejected(table: str, tmp_path: Any) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(f'name = "bad"\nocpp = ["2.1"]\n[forming]\n{table}\n')
    with pytest.raises(BadProfile, match=r"bad\.toml"):
        vendor.read(path)


class RecordingStations(PlainStations):
    """Stations that accept or reject grid-forming, and record the orders."""

    def __init__(self) -> None:
        super().__init__(SystemClock(), print)
        self.forming_orders: list[tuple[str, bool]] = []
        self.answer = Outcome(Answer.APPLIED)
        self.reached = frozenset({"CP1-1", "CP2-1"})

    def reaches(self, evse: str) -> bool:
        return evse in self.reached

    async def form(self, evse: str, forms: bool) -> Outcome:
        self.forming_orders.append((evse, forms))
        return self.answer


async def test_evses_are_switched_one_after_the_other_and_the_first_follows_again() -> None:
    async with service_rig("CP1-1", "CP2-1") as rig:
        stations = RecordingStations()
        grid_forming: Any = GridFormingService(rig.control.registry, rig.control.publisher, rig.clock, stations)
        grid_forming.step("CP1-1", confirmed_open=False)
        await rig.wait(0.1)
        assert stations.forming_orders == []
        assert grid_forming.state is not None
        assert "not confirmed" in grid_forming.state.reason
        grid_forming.step("CP1-1", confirmed_open=True)
        await rig.wait(0.1)
        grid_forming.step("CP1-1", confirmed_open=True)
        assert stations.forming_orders == [("CP1-1", True)]
        assert grid_forming.state.by == "order"
        stations.answer = Outcome(Answer.UNKNOWN, "Timeout")
        grid_forming.step("CP2-1", confirmed_open=True)
        await rig.wait(0.1)
        grid_forming.step("CP2-1", confirmed_open=True)
        assert stations.forming_orders[1:] == [("CP1-1", False)]
        assert grid_forming.state is not None
        assert "CP1-1 has not confirmed" in grid_forming.state.reason
        stations.answer = Outcome(Answer.APPLIED)
        stations.forming_orders.pop()
        for _ in range(int(AGAIN_S) + 2):
            grid_forming.step("CP2-1", confirmed_open=True)
            await rig.wait(1.0)
        assert stations.forming_orders[1:] == [("CP1-1", False), ("CP2-1", True)]
        grid_forming.step("storage", confirmed_open=True)
        await rig.wait(0.1)
        assert stations.forming_orders[3:] == [("CP2-1", False)]
        assert grid_forming.state is None
        await grid_forming.end()


async def test_those_that_may_be_forming_are_ordered_to_follow_in_the_order_of_the_configuration() -> None:
    names = [f"CP{number}-1" for number in range(1, 10)]
    async with service_rig(*names) as rig:
        stations = RecordingStations()
        stations.reached = frozenset(names)
        control, last_first = rig.control, names[::-1]
        grid_forming = GridFormingService(control.registry, control.publisher, rig.clock, stations, last_first)
        grid_forming.step(None, confirmed_open=False)
        await rig.wait(0.1)
        assert [evse for evse, _ in stations.forming_orders] == last_first
        await grid_forming.end()


async def test_a_rejected_order_is_repeated_and_an_unsupported_one_is_not() -> None:
    async with service_rig("CP1-1") as rig:
        stations = RecordingStations()
        grid_forming = GridFormingService(rig.control.registry, rig.control.publisher, rig.clock, stations, ["CP1-1"])
        grid_forming.step(None, confirmed_open=False)
        await rig.wait(0.1)
        assert stations.forming_orders == [("CP1-1", False)]  # it may still be forming from before a restart
        stations.answer = Outcome(Answer.UNKNOWN, "Timeout", "no answer")
        for _ in range(25):
            grid_forming.step("CP1-1", confirmed_open=True)
            await rig.wait(1.0)
        assert stations.forming_orders[1:] == [("CP1-1", True)] * 3
        assert grid_forming.state is not None
        assert grid_forming.state.by == "nobody"
        stations.answer = Outcome(Answer.REFUSED, "NoForming", "by its hardware")
        for _ in range(30):
            grid_forming.step("CP1-1", confirmed_open=True)
            await rig.wait(1.0)
        assert len(stations.forming_orders) == 5
        assert grid_forming.state == GridFormingState(evse="CP1-1", by=FormingBy.HARDWARE, reason="by its hardware")


@settings(max_examples=rounds(20, 60))
@given(
    st.lists(
        st.tuples(
            st.sampled_from([None, "CP1-1", "CP2-1", "storage"]),
            st.booleans(),
            st.sampled_from(
                [Outcome(Answer.APPLIED), Outcome(Answer.UNKNOWN, "Timeout"), Outcome(Answer.REFUSED, "No")]
            ),
        ),
        min_size=1,
        max_size=12,
    )
)
@virtual_examples
async def test_grid_forming_needs_the_open_switch_and_is_never_ordered_twice(
    steps: list[tuple[Any, bool, Outcome]],
) -> None:
    async with service_rig("CP1-1", "CP2-1") as rig:
        stations = RecordingStations()
        grid_forming = GridFormingService(rig.control.registry, rig.control.publisher, rig.clock, stations)
        proven_now = False
        took: dict[str, bool] = {}
        for forming, proven, answer in steps:
            stations.answer, proven_now = answer, proven
            for _ in range(int(AGAIN_S) + 2):
                before = len(stations.forming_orders)
                grid_forming.step(forming, proven)
                await asyncio.sleep(0.01)
                for evse, forms in stations.forming_orders[before:]:
                    assert not forms or (proven_now and evse == forming)
                    if answer.answer is Answer.APPLIED:
                        took[evse] = forms
                await rig.wait(1.0)
            if answer.answer is Answer.APPLIED:
                assert [evse for evse, forms in took.items() if forms and evse != forming] == []
        await grid_forming.end()
