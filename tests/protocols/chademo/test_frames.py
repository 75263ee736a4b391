"""Frames: every recorded one decodes and encodes back; values by the tables; damaged ones are refused."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.can import CanFrame
from protocols.chademo import levels
from protocols.chademo.frames import (
    FROM_CHARGER,
    FROM_VEHICLE,
    BatteryLimits,
    ChargerStatus,
    ChargeTime,
    DischargeCapability,
    DischargeLimits,
    VehicleSequence,
    VehicleStatus,
    minutes_of,
)
from protocols.chademo.layout import LAYOUTS, FrameError, decode, encode
from protocols.errors import LocalProtocolError
from tests.protocols.chademo.traces import NAMES, trace


@pytest.mark.parametrize("name", NAMES)
def test_every_recorded_frame_decodes_and_encodes_back(name: str) -> None:
    for _, frame in trace(name):
        message = decode(frame)
        assert message is not None
        assert encode(message) == frame
        assert message.undeclared == 0  # the tables explain every bit that was recorded


@given(st.sampled_from(sorted(LAYOUTS)), st.binary(min_size=8, max_size=8))
def test_any_content_encodes_back(can_id: int, data: bytes) -> None:
    message = decode(CanFrame(can_id, data))
    assert message is not None
    assert encode(message) == (can_id, data, False)


@given(st.sampled_from(sorted(LAYOUTS)), st.binary(max_size=64).filter(lambda data: len(data) != 8))
def test_a_wrong_length_is_refused(can_id: int, data: bytes) -> None:
    with pytest.raises(FrameError, match=r"bytes instead of 8"):
        decode(CanFrame(can_id, data))


def test_identifiers_belong_to_one_side_and_others_have_no_content() -> None:
    assert frozenset(LAYOUTS) == FROM_VEHICLE | FROM_CHARGER
    assert not FROM_VEHICLE & FROM_CHARGER
    assert decode(CanFrame(0x500, bytes(8))) is None
    assert decode(CanFrame(0x102, bytes(8), extended=True)) is None


def test_no_two_fields_share_a_bit() -> None:
    for layout in LAYOUTS.values():
        masks = [place.mask for _, place in layout.places]
        assert sum(masks) == int.from_bytes(bytes([0xFF] * 8), "little") - layout.undeclared_mask
        names = {field.name for field in dataclasses.fields(layout.message)} - {"undeclared"}
        assert names == {name for name, _ in layout.places}


def test_inverted_fields_are_amperes() -> None:
    limits = decode(CanFrame(0x200, bytes.fromhex("F0000000FA0043B2")))
    assert limits == DischargeLimits(max_discharge_a=15, min_voltage_v=250, min_level=67, max_level=178)
    assert encode(DischargeLimits(min_voltage_v=250)).data.hex() == "ff000000fa00ffff"
    capability = decode(CanFrame(0x208, bytes.fromhex("FFF401F00000FA00")))
    assert capability == DischargeCapability(discharge_a=0, input_voltage_v=500, available_a=15, threshold_v=250)


def test_values_of_the_vehicle_and_the_charger() -> None:
    status = decode(CanFrame(0x102, bytes.fromhex("029A010CC1490000")))
    assert isinstance(status, VehicleStatus)
    assert (status.protocol, status.target_voltage_v, status.charge_request_a) == (2, 410, 12)
    charger = decode(CanFrame(0x109, bytes.fromhex("0277010E0127FF3C")))
    assert isinstance(charger, ChargerStatus)
    assert (charger.voltage_v, charger.charge_a, charger.discharge_compatible) == (375, 14, True)
    assert charger.fault == "charger malfunction"
    assert minutes_of(charger.remaining_10s, charger.remaining_min) == 60
    assert minutes_of(9, 0) == 1.5
    assert minutes_of(0xFF, 0xFF) is None
    assert decode(CanFrame(0x101, bytes.fromhex("00FF3C0000DE0000"))) == ChargeTime(
        max_time_10s=255, max_time_min=60, capacity_wh=22_200
    )


def test_a_value_that_does_not_fit_is_refused() -> None:
    with pytest.raises(LocalProtocolError, match="charge_request_a cannot contain 256"):
        encode(VehicleStatus(charge_request_a=256))
    with pytest.raises(LocalProtocolError, match="max_discharge_a cannot contain -1"):
        encode(DischargeLimits(max_discharge_a=-1))


@pytest.mark.parametrize(
    ("low", "high", "capacity_wh", "sequence", "expected"),
    [
        (67, 178, 22_200, None, (30, 80)),  # 24 kWh LEAF: 0.1 kWh
        (10, 100, 35_400, 2, (10, 100)),  # 40 kWh LEAF: %
        (26, 255, 50_000, 2, (26, None)),  # before it has settled
        (0, 0, 22_200, None, (None, None)),  # not used
        (30, 80, 0, None, (None, None)),  # capacity unknown
        (30, 178, 22_200, 2, (13, 80)),  # a level above 100 cannot be %
        (30, 80, 40_000, 0, (7, 20)),  # guideline 1.0 and before
    ],
)
def test_levels_are_in_percent(
    low: int, high: int, capacity_wh: int, sequence: int | None, expected: tuple[int | None, int | None]
) -> None:
    limits = DischargeLimits(min_level=low, max_level=high)
    stated = None if sequence is None else VehicleSequence(sequence=sequence)
    found = levels.in_pct(limits, ChargeTime(capacity_wh=capacity_wh), stated)
    assert (found.min_pct, found.max_pct) == expected


def test_state_of_charge_is_scaled_by_the_constant() -> None:
    assert levels.soc_pct(VehicleStatus(soc_raw=9), BatteryLimits(rate_constant=18)) == 50
    assert levels.soc_pct(VehicleStatus(soc_raw=9), BatteryLimits(rate_constant=0)) is None
    assert levels.soc_pct(VehicleStatus(soc_raw=9), None) is None
