"""Tables of the classes, against the facts of the standard; laws of their types."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.echonet.classes import (
    DEVICE_CLASSES,
    EV_CHARGER_DISCHARGER,
    MULTIPLE_INPUT_PCS,
    NODE_PROFILE_CLASS,
    SMART_METER,
    STORAGE_BATTERY,
    SUPER_CLASS,
    Rule,
    object_class,
)
from protocols.echonet.frames import Frame
from protocols.echonet.notation import parse
from protocols.echonet.values import (
    Array,
    Choice,
    Codes,
    EchonetValueError,
    Kind,
    Moment,
    Number,
    Raw,
    Struct,
    Value,
)
from protocols.errors import LocalProtocolError
from tests.protocols.echonet.captured import BATTERY_ANSWER, MAPS

RULES = [rule for code in (*DEVICE_CLASSES, NODE_PROFILE_CLASS, SUPER_CLASS) for rule in object_class(code).rules]
V2H = object_class(EV_CHARGER_DISCHARGER)


def values(kind: Kind) -> st.SearchStrategy[Value]:
    """Return the values of a type."""
    match kind:
        case Number():
            return st.integers(kind.low, kind.high).map(
                lambda raw: raw if kind.step == 1 else round(raw * kind.step, 12)
            )
        case Codes():
            return st.sampled_from([name for _, _, name in kind.codes])
        case Raw():
            return st.binary(min_size=kind.shortest, max_size=kind.longest)
        case Moment():
            parts = [st.integers(1, 9999 if size == 2 else 12) for size in kind.sizes]
            return st.tuples(*parts).map(lambda found: kind.text.format(*found))
        case Struct():
            return st.fixed_dictionaries({name: values(one) for name, one in kind.elements})
        case Array():
            return st.lists(values(kind.kind), min_size=kind.fewest, max_size=kind.most).map(tuple)
        case Choice():
            return st.one_of(*map(values, kind.kinds))
    raise AssertionError(kind)


@given(st.data())
def test_every_value_of_every_property_decodes_to_itself(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(RULES)).kind
    value = data.draw(values(kind))
    encoded = kind.encode(value)
    assert kind.shortest <= len(encoded) <= min(kind.longest, 255)
    assert kind.decode(encoded) == value


@given(st.sampled_from(RULES), st.binary(max_size=255))
def test_arbitrary_bytes_are_a_value_or_one_error(rule: Rule, data: bytes) -> None:
    with suppress(EchonetValueError):
        rule.kind.decode(data)


@given(
    st.sampled_from(RULES), st.one_of(st.integers(), st.floats(allow_nan=False), st.text(), st.none(), st.booleans())
)
def test_an_arbitrary_value_is_encoded_or_refused(rule: Rule, value: Value) -> None:
    with suppress(LocalProtocolError):
        assert rule.kind.shortest <= len(rule.kind.encode(value)) <= rule.kind.longest


def test_the_captured_answer_in_units() -> None:
    rules = object_class(STORAGE_BATTERY).properties()
    found = {
        rules[one.epc].name: rules[one.epc].kind.decode(one.data) for one in Frame.decode(BATTERY_ANSWER).properties
    }
    assert found["operationStatus"] is True
    assert found["acEffectiveChargingCapacity"] == 10_000
    assert found["instantaneousChargingAndDischargingElectricPower"] == 0
    assert (found["remainingCapacity3"], found["batteryType"]) == (9, "lib")


def test_the_properties_of_real_devices_are_declared_or_the_makers_own() -> None:
    for name, epcs in MAPS.items():
        declared = object_class(int(name[:4], 16)).properties()
        assert {epc for epc in epcs if epc < 0xF0} <= set(declared), name


@pytest.mark.parametrize(
    ("name", "data", "value"),
    [
        ("operationMode", "43", "discharge"),
        ("instantaneousElectricPower", "FFFFF448", -3000),
        ("instantaneousElectricPower", "7FFFFFFF", "overflow"),
        ("instantaneousCurrent", "FF9C", -10.0),
        ("minimumAndMaximumDischargingCurrent", "000A012C", {"minimumCurrent": 1.0, "maximumCurrent": 30.0}),
        (
            "minimumAndMaximumChargingElectricPower",
            "0000000000001770",
            {"minimumElectricPower": 0, "maximumElectricPower": 6000},
        ),
        ("cumulativeDischargingElectricEnergy", "0001E240", 123.456),
        ("vehicleId", "03414243", {"dataSize": 3, "id": b"ABC"}),
        ("chargeDischargeStatus", "FF", "undefined"),
        ("equipmentType", "22", "dc_aa_chargedischarge"),
        ("installationLocation", "08", b"\x08"),
        ("faultStatus", "41", True),
    ],
)  # fmt: skip
def test_values_of_the_charger_discharger(name: str, data: str, value: Value) -> None:
    kind = V2H.named(name).kind
    assert kind.decode(bytes.fromhex(data)) == value
    assert kind.encode(value) == bytes.fromhex(data)


def test_values_of_meters_and_of_the_multiple_input_pcs() -> None:
    meter = object_class(SMART_METER)
    assert meter.named("instantaneousElectricPower").kind.decode(bytes.fromhex("FFFFF448")) == -3000
    current = meter.named("instantaneousCurrent").kind.decode(bytes.fromhex("00237FFE"))
    assert current == {"rPhase": 3.5, "tPhase": "noData"}
    total = meter.named("normalDirectionCumulativeElectricEnergy")
    assert (total.kind.decode(bytes.fromhex("000186A0")), total.kind.decode(b"\xff\xff\xff\xfe")) == (100_000, "noData")
    assert "*D3,E1" in total.notation
    assert meter.named("unitForCumulativeElectricEnergy").kind.decode(b"\x01") == 0.1
    moment = bytes.fromhex("07EA0B1D0F1E00")
    fixed = meter.named("normalDirectionCumulativeElectricEnergyAtEvery30Min").kind.decode(moment + bytes(4))
    assert fixed == {"dateAndTime": "2026-11-29T15:30:00", "electricEnergy": 0}
    connected = (
        object_class(MULTIPLE_INPUT_PCS).named("connectedDeviceList").kind.decode(bytes.fromhex("02027E01027D01"))
    )
    assert connected == {
        "numberOfConnectedDeviceObjects": 2,
        "connectedDeviceObjectList": (b"\x02\x7e\x01", b"\x02\x7d\x01"),
    }


# facts of 0x027E by release
SINCE = {
    "D": "C0-C6 C7 C8-CB D0-D9 DA DB E2-E4 E7 E9 EB-EF",
    "G": "CC CD",
    "J": "CE CF E6 EA",
    "N": "DC DD DE DF",
    "P": "E0 E5",
    "Q": "E1",
}  # fmt: skip


def test_the_releases_of_the_charger_discharger() -> None:
    present: set[int] = set()
    for release in "DEFGHIJKLMNPQR":
        for part in SINCE.get(release, "").split():
            low, _, high = part.partition("-")
            present |= set(range(int(low, 16), int(high or low, 16) + 1))
        assert {epc for epc in V2H.properties(release) if 0xC0 <= epc < 0xF0} == present, release
    required = {release: V2H.properties(release)[0x8C].get for release in "QR"}
    assert required == {"Q": "o", "R": "R"}


@pytest.mark.parametrize(
    ("epc", "release", "codes"),
    [
        (0xC7, "F", "30 40 41 42 43"), (0xC7, "G", "30 40 41 42 43 FF"), (0xC7, "J", "30 40 41 42 43 44 FF"),
        (0xDA, "F", "40 41 42 43 44 45"), (0xDA, "M", "40 42 43 44 47"), (0xDA, "N", "40 42 43 44 46 47"),
        (0xDA, "P", "40 42 43 44 46 47 48 49"), (0xDD, "N", "00 01 02 03 04 05"), (0xDC, "P", "00 01 02 03 04 05 06"),
    ],
)  # fmt: skip
def test_the_codes_by_release(epc: int, release: str, codes: str) -> None:
    kind = V2H.properties(release)[epc].kind
    assert isinstance(kind, Codes)
    assert sorted(first for first, _, _ in kind.codes) == list(bytes.fromhex(codes))


def test_access_of_the_charger_discharger() -> None:
    access = {epc: rule.get + rule.set + rule.inf for epc, rule in V2H.properties().items()}
    assert [access[epc] for epc in (0xC7, 0xCD, 0xDA, 0xDB, 0xDC, 0xE1, 0xD7, 0xEC)] == [
        "R-R", "-R-", "RRR", "o-o", "RoR", "o-R", "-o-", "ooo",
    ]  # fmt: skip
    assert V2H.properties()[0xC7].atomic == 0xCD


@pytest.mark.parametrize("text", ["u64", "{a u8", "[raw 1..2]0..3", "[u8]", "u8 u16 }"])
def test_a_wrong_notation_is_refused(text: str) -> None:
    with pytest.raises(LocalProtocolError, match=r"type|closed|elements|after"):
        parse(text)


def test_names_and_unknown_classes() -> None:
    with pytest.raises(KeyError, match="actualOperationMode"):
        V2H.named("actualOperationMode", "P")
    assert set(object_class(0x0130).properties()) == set(object_class(SUPER_CLASS).properties())
