"""Register maps: values and words, verification of files, and writes that are never permitted."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.modbus.messages import Write
from protocols.modbus.register import Access, Meaning, Register, RegisterType
from protocols.modbus.register_map import BadMap, RegisterMap, names, parse, shipped

SMALLEST = """
name = "box"
kind = ["evse"]
registers = [
    { name = "power", address = 10, type = "i16", meaning = "power_w" },
    { name = "setpoint", address = 20, type = "i16", meaning = "setpoint_w", access = "read-write", never = [7] },
    { name = "lock", address = 21, access = "never-write" },
    { name = "action", address = 22, values = { 1 = "start", 2 = "stop" }, access = "write" },
]
[[control]]
set = [{ register = "setpoint", value = "power_w" }, { register = "action", value = "start", when = "resting" }]
zero = [{ register = "action", value = "stop" }]
"""


def test_every_product_of_the_package_is_valid() -> None:
    assert {"quasar-1", "bidipro-10", "ambibox", "sigenergy-evdc", "sunspec-meter"} <= set(names())
    for name in names():
        product = shipped(name)
        assert product.name == name
        assert product.meaning(Meaning.POWER_W) is not None, name


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ('kind = ["evse"]', 'kinds = ["evse"]', "kinds is not a key of a register map, did you mean 'kind'?"),
        (
            'meaning = "power_w"',
            'meanig = "power_w"',
            "registers.0.meanig is not a key of a register map, did you mean",
        ),
        (
            'register = "setpoint", value',
            'register = "setpiont", value',
            "there is no register 'setpiont', did you mean",
        ),
        ('value = "stop"', 'value = "stopp"', "action has no value 'stopp', did you mean 'stop'?"),
        ('register = "action", value = "stop"', 'register = "lock", value = 1', "lock is never written"),
        ('register = "action", value = "stop"', 'register = "power", value = 1', "power is not writable"),
        ('register = "action", value = "stop"', 'register = "setpoint", value = 7', "setpoint is never written 7"),
        ('register = "action", value = "stop"', 'register = "setpoint", value = 70000', "does not fit into i16"),
        ('zero = [{ register = "action", value = "stop" }]', "", "an order for 0 W is required"),
        ("address = 21", "address = 20", "registers.lock: overlaps setpoint"),
        ('name = "lock"', 'name = "power"', "power is declared twice"),
        ('name = "power", address = 10', 'name = "power"', "either address, or models and point"),
        ('kind = ["evse"]', 'kind = ["evse"]\nsunspec = true', "sunspec: registers with models"),
        ('kind = ["evse"]', 'kind = ["evse', "the register map: "),
        (
            'name = "power", address = 10, type = "i16"',
            'name = "power", address = 10, table = "input", access = "write"',
            "input registers cannot be written",
        ),
        (
            'meaning = "power_w"',
            'meaning = "state", values = { 1 = "chargin" }',
            "is not a state, did you mean 'charging'?",
        ),
        (
            "[[control]]",
            '[watchdog]\nseconds = "wd"\nrestarts = "request"\n[[control]]',
            "watchdog.seconds: there is no register 'wd'",
        ),
        (
            "[[control]]",
            '[watchdog]\nseconds = "setpoint"\nrestarts = "request"\nleast_s = 9\nmost_s = 3\n[[control]]',
            "most_s is below least_s",
        ),
        ("[[control]]", '[glitches]\nlatches_on_zero = "setpoint"\n[[control]]', "must be a register with never = [0]"),
    ],
)
def test_a_wrong_map_is_refused_with_the_key_and_what_is_meant(before: str, after: str, message: str) -> None:
    assert before in SMALLEST
    with pytest.raises(BadMap) as refused:
        parse(SMALLEST.replace(before, after, 1))
    assert message in str(refused.value)


def test_a_point_of_a_model_that_does_not_exist_is_refused() -> None:
    text = (
        'name = "x"\nkind = ["meter"]\nsunspec = true\nregisters = [{ name = "power", models = [203], point = "Watt" }]'
    )
    with pytest.raises(BadMap, match="model 203 has no 'Watt'"):
        parse(text)
    with pytest.raises(BadMap, match="there is no table of model 9999"):
        parse(text.replace("203", "9999"))


def test_values_of_each_type() -> None:
    def register(kind: str, **more: object) -> Register:
        return Register.model_validate({"name": "x", "address": 0, "type": kind, **more})

    assert register("i16", sign=-1).decode((0xFF9C,)) == 100.0
    assert register("u16", scale=0.1).decode((3801,)) == pytest.approx(380.1)
    assert register("u32").decode((1, 2)) == 65538.0
    assert register("u32", word_order="little").decode((2, 1)) == 65538.0
    assert register("f32").decode((0x43C8, 0)) == 400.0
    assert register("f32").decode((0x7FC0, 0)) is None  # NaN: not implemented
    assert register("i16", absent=[-32768]).decode((0x8000,)) is None
    assert register("u16").decode((54321,), -1) == pytest.approx(5432.1)
    assert register("u16").decode((1,), 11) is None  # no scale factor is so large
    assert register("string", words=4).decode((0x4142, 0x4320, 0, 0x4141)) == "ABC"
    assert register("u16", values={"1": "on"}).decode((1,)) == "on"
    assert register("u16", values={"1": "on"}).decode((2,)) is None
    with pytest.raises(ValueError, match="1 of 2 registers"):  # half a value
        register("u32").decode((1,))


@given(
    st.sampled_from([RegisterType.I16, RegisterType.I32, RegisterType.I64, RegisterType.F32]),
    st.integers(-30_000, 30_000),
    st.sampled_from((1, -1)),
    st.integers(-3, 3),
    st.sampled_from(("big", "little")),
)
def test_a_value_survives_its_words(kind: RegisterType, raw: int, sign: int, exponent: int, order: str) -> None:
    register = Register.model_validate({"name": "x", "address": 0, "type": kind, "sign": sign, "word_order": order})
    value = raw * sign * 10.0**exponent
    decoded = register.decode(register.encode(value, exponent), exponent)
    assert isinstance(decoded, float)
    assert math.isclose(decoded, value, rel_tol=1e-6, abs_tol=1e-9)


@given(
    st.sampled_from([name for name in names() if not shipped(name).sunspec]),
    st.integers(0, 255),
    st.integers(0, 65_535),
    st.lists(st.integers(0, 65_535), max_size=6),
    st.booleans(),
)
def test_a_write_is_permitted_only_to_registers_that_may_be_written(
    name: str, unit: int, address: int, words: list[int], single: bool
) -> None:
    product = shipped(name)
    write = Write(unit, address, tuple(words), single)
    if product.forbidden(write) is not None:
        return
    for offset in range(len(words)):
        owners = [one for one in product.registers if _covers(product, one, unit, address + offset)]
        assert owners
        assert all(one.access in (Access.WRITE, Access.READ_WRITE) for one in owners)


def _covers(product: RegisterMap, register: Register, unit: int, address: int) -> bool:
    start = register.address or 0
    return (
        product.unit_of(register) == unit and start <= address < start + register.count and register.table == "holding"
    )


def test_values_and_registers_that_are_never_written() -> None:
    quasar, sigenergy = shipped("quasar-1"), shipped("sigenergy-evdc")
    assert quasar.forbidden(Write(1, 260, (62536,))) is None
    assert "no register at 256" in str(quasar.forbidden(Write(1, 256, (1,))))  # lock of the owner
    assert "never written 3" in str(quasar.forbidden(Write(1, 257, (3,))))  # reboot
    assert "no register at 259" in str(quasar.forbidden(Write(1, 259, (0, 0))))
    assert "never written 0" in str(sigenergy.forbidden(Write(1, 41002, (0, 0))))  # the vehicle latches an error
    assert "no register at 41002" in str(sigenergy.forbidden(Write(1, 41002, (1000,))))  # half a register
    assert "function 06" in str(sigenergy.forbidden(Write(1, 41000, (0,))))
    assert sigenergy.forbidden(Write(1, 41000, (0,), single=True)) is None


def test_connectors_follow_in_the_distances_of_the_product() -> None:
    second = shipped("ambibox").at_connector(2)
    assert (second.by_name["setpoint"].address, second.by_name["power"].address) == (3100, 4218)
    assert shipped("bidipro-10").at_connector(2).unit == 3
    assert shipped("bidipro-10").at_connector(2).unit_of(shipped("bidipro-10").by_name["watchdog"]) == 1
    with pytest.raises(ValueError, match="connectors 1 to 1, not 2"):
        shipped("quasar-1").at_connector(2)
