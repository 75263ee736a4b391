"""Sampled values: the layout of a message is read once, and gives what reading each value by itself gives."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.csms import sampled_values
from gateway.csms.sampled_values import by_measurand, collect

NUMBERS = st.one_of(
    st.sampled_from([None, True, "", "x", "12.5", 0, -0.0, 65535, 3276.7, -32768.0, 2147483647, float("nan"), 10**400]),
    st.integers(-5, 500),
    st.floats(-500, 500),
)
UNITS = st.sampled_from([{}, {"unit": "kW"}, {"unit": "W", "multiplier": 3}, {"multiplier": "-1"}, {"unit": ["W"]}])
MEMBERS: dict[str, st.SearchStrategy[Any]] = {
    "measurand": st.sampled_from(["Voltage", "SoC", "Power.Active.Import", "Current.Import", "Frequency", None]),
    "location": st.sampled_from(["Outlet", "EV", "Body", "Inlet", "Upstream", None]),
    "phase": st.sampled_from(["L1", "L2", "L3-N", "L1-L2", "N", "", None]),
    "unit": st.sampled_from(["kW", "W", "mV", None]),
    "unitOfMeasure": UNITS,
    "format": st.sampled_from(["Raw", "SignedData"]),
}
SAMPLES = st.lists(st.fixed_dictionaries({}, optional={"value": NUMBERS, **MEMBERS}), max_size=6)


@given(SAMPLES)
def test_the_layout_gives_what_each_value_by_itself_gives(samples: list[dict[str, Any]]) -> None:
    each = {name: value for name, one in collect(samples).items() if (value := one.combined(name)) is not None}
    for _ in range(2):  # with a new layout, and with a known one
        assert repr(by_measurand(samples)) == repr({name: each[name] for name in by_measurand(samples)})
        assert by_measurand(samples).keys() == each.keys()


def test_the_members_beside_the_numbers_are_read_once() -> None:
    before = sampled_values._layout.cache_info().misses
    for number in range(50):
        sample = {"value": number, "measurand": "Voltage", "context": f"test {number}", "phase": "L3"}
        assert by_measurand([sample, sample | {"value": number / 2}]) == {"Voltage": float(number)}
    assert sampled_values._layout.cache_info().misses - before <= 1
