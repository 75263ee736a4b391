"""SunSpec: tables of models, the walk along a chain, and the registers of a product at its addresses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.modbus.messages import Answer, Read, Refused, Words
from protocols.modbus.register_map import shipped
from protocols.modbus.sunspec.chain import MARK, Entry, Walk
from protocols.modbus.sunspec.models import tables
from protocols.modbus.sunspec.resolve import resolve


def words_of(base: int, models: list[tuple[int, int]]) -> dict[int, int]:
    words, at = {base: MARK[0], base + 1: MARK[1]}, base + 2
    for model, length in models:
        words |= {at: model, at + 1: length} | {at + 2 + n: 0 for n in range(length)}
        at += 2 + length
    return words | {at: 0xFFFF, at + 1: 0}


def walk(words: dict[int, int]) -> Walk:
    found = Walk(1)
    for _ in range(500):
        if found.done:
            break
        found.receive(_read(words, found.request()))
    return found


def _read(words: dict[int, int], read: Read) -> Answer:
    wanted = range(read.address, read.address + read.count)
    return Words(tuple(words[one] for one in wanted)) if all(one in words for one in wanted) else Refused(2)


@pytest.mark.parametrize("base", [40_000, 0, 50_000])
def test_the_chain_is_found_at_each_base(base: int) -> None:
    found = walk(words_of(base, [(1, 66), (203, 105)]))
    assert found.done
    assert found.fault == ""
    assert found.chain == [Entry(1, 66, base + 2), Entry(203, 105, base + 70)]


def test_what_is_no_chain_is_named() -> None:
    assert "no SunS at 40000, 0, 50000" in walk({}).fault
    assert "the model chain is empty" in walk(words_of(40_000, [])).fault
    endless = {at: value for at in range(40_000, 65_536) for value in [200]} | {40_000: MARK[0], 40_001: MARK[1]}
    assert "the model chain does not end" in walk(endless).fault
    cut = words_of(40_000, [(1, 66)])
    del cut[40_070]
    assert "the header of a model at 40070 cannot be read" in walk(cut).fault


@given(st.lists(st.tuples(st.integers(0, 65_535), st.integers(0, 65_535)), max_size=30), st.data())
def test_a_walk_always_ends(headers: list[tuple[int, int]], data: st.DataObject) -> None:
    found = Walk(1)
    answers = [Words(MARK), *(Words(header) for header in headers)]
    for number in range(300):
        if found.done:
            return
        found.request()
        bad = data.draw(st.booleans()) and number > 5
        found.receive(Refused(2) if bad or number >= len(answers) else answers[number])
    raise AssertionError("the walk did not end")


def test_worked_example_of_a_meter() -> None:
    """Base 40000, model 1 with L 66, a 203: W 40088, W_SF 40092, TotWhExp 40108, TotWhImp 40116."""
    found = resolve(shipped("sunspec-meter"), walk(words_of(40_000, [(1, 66), (203, 105), (64_001, 9)])).chain)
    assert found is not None
    addresses = {one.name: one.address for one in found.registers}
    assert addresses["power"] == 40_088
    assert addresses["m203_w_sf"] == 40_092
    assert addresses["energy_export"] == 40_108
    assert addresses["energy_import"] == 40_116
    assert found.by_name["power"].decode((0xEAC8,), 0) == -5432.0


def test_the_scale_factor_of_model_701_is_where_the_table_states() -> None:
    found = resolve(shipped("sunspec-pv"), [Entry(1, 66, 40_002), Entry(701, 153, 40_070)])
    assert found is not None
    assert found.by_name["m701_w_sf"].address == 40_186


def test_points_that_an_old_device_does_not_have_are_left_out() -> None:
    short = resolve(shipped("sunspec-storage"), [Entry(1, 65, 40_002), Entry(713, 3, 40_069), Entry(124, 24, 40_074)])
    assert short is not None
    assert "capacity" in short.by_name
    assert short.by_name["soc"].address == 40_073
    assert "set_power" not in short.by_name
    assert [one.requires for one in short.control] == [("basic_charge",)]
    assert short.watchdog is not None
    assert short.watchdog.seconds == "basic_revert_s"


def test_lengths_and_mandatory_models() -> None:
    lengths = {
        one: tables()[one].length for one in (1, 101, 111, 120, 121, 122, 123, 124, 201, 204, 211, 702, 703, 713)
    }
    assert lengths == {1: 66, 101: 50, 111: 60, 120: 26, 121: 30, 122: 44, 123: 24, 124: 24, 201: 105, 204: 105,
                       211: 124, 702: 50, 703: 17, 713: 7}  # fmt: skip
    assert tables()[701].length == 153
    assert tables()[802].length == 62
    assert tables()[704].points["WSet"].offset == 24
    assert tables()[704].points["WSetRvrtTms"].offset == 31
    assert tables()[124].points["InOutWRte_RvrtTms"].offset == 15
    for model in tables().values():
        for point in model.points.values():
            assert point.scale == "" or isinstance(point.scale, int) or point.scale in model.points, (model.id, point)
