"""`@frozen` compared with the dataclass that it replaces."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from dataclasses import FrozenInstanceError, dataclass, field
from types import FunctionType
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols import frozen as module
from protocols.frozen import changed, frozen


@dataclass(frozen=True, slots=True)
class Model:
    a: int
    b: str = "x"
    c: list[int] = field(default_factory=list)
    d: bytes = field(default=b"", repr=False)


@frozen
class Ours:
    a: int
    b: str = "x"
    c: list[int] = field(default_factory=list)
    d: bytes = field(default=b"", repr=False)


@frozen(kw_only=True)
class Named(Ours):
    e: float


@frozen
class Empty:
    pass


arguments = st.fixed_dictionaries(
    {"a": st.integers(0, 3)},
    optional={"b": st.sampled_from("xy"), "c": st.lists(st.integers(), max_size=2), "d": st.binary(max_size=2)},
)


@given(arguments, arguments)
def test_it_behaves_as_the_dataclass_does(one: dict[str, Any], other: dict[str, Any]) -> None:
    left, right = Ours(**one), Ours(**other)
    model, second = Model(**one), Model(**other)
    assert (left == right) is (model == second)
    assert repr(left) == repr(model).replace("Model", "Ours")
    assert dataclasses.asdict(left) == dataclasses.asdict(model)
    assert dataclasses.asdict(dataclasses.replace(left, **other)) == dataclasses.asdict(
        dataclasses.replace(model, **other)
    )
    assert pickle.loads(pickle.dumps(left)) == copy.deepcopy(left) == left


def test_fields_that_are_not_compared() -> None:
    @frozen
    class Partly:
        a: int
        b: str = field(default="", compare=False)

    assert (Partly(1, "x") == Partly(1, "y"), hash(Partly(1, "x")) == hash(Partly(1, "y"))) == (True, True)
    assert Partly(1, "x") != Partly(2, "x")


def test_dataclasses_finds_what_it_looks_for() -> None:
    def told(cls: type[Any]) -> list[tuple[object, ...]]:
        return [(f.name, f.type, f.default, f.default_factory, f.repr, f.kw_only) for f in dataclasses.fields(cls)]

    assert told(Ours) == told(Model)
    assert [f.kw_only for f in dataclasses.fields(Named)] == [False] * 4 + [True]
    assert dataclasses.is_dataclass(Empty)
    assert dataclasses.fields(Empty) == ()

    class Plain(Named):
        __slots__ = ()

    assert dataclasses.fields(Plain) == dataclasses.fields(Named)


def test_class_variables_are_no_fields() -> None:
    @frozen
    class Frame:
        size: ClassVar[int] = 8
        data: bytes

    assert (Frame.size, Frame(b"x").size) == (8, 8)
    assert [f.name for f in dataclasses.fields(Frame)] == ["data"]


def test_a_mutable_default_is_refused() -> None:
    with pytest.raises(ValueError, match="mutable default"):

        @frozen
        class Shared:
            a: list[int] = []  # noqa: RUF012


def test_values_by_place_and_by_name() -> None:
    assert Ours(1, "y", [2], b"3") == Ours(1, "y", d=b"3", c=[2])
    assert Named(1, e=2.0) == Named(e=2.0, a=1)
    assert Empty() == Empty()
    assert hash(Empty()) == hash(Empty())
    assert repr(Empty()) == "Empty()"
    assert Ours(1) != Named(1, e=1.0)
    match Ours(1, "y"):
        case Ours(a, b):
            assert (a, b) == (1, "y")


@pytest.mark.parametrize("values", [{}, {"a": 1, "z": 2}])
def test_wrong_arguments_are_refused_from_the_first_object_on(values: dict[str, Any]) -> None:
    @frozen
    class Fresh:
        a: int

    for _ in range(2):
        with pytest.raises(TypeError):
            Fresh(**values)


def test_a_default_that_is_made_belongs_to_one_object() -> None:
    assert Ours(1).c is not Ours(1).c


def test_values_are_checked_in_the_constructor() -> None:
    @frozen
    class Positive:
        a: int

        def __post_init__(self) -> None:
            if self.a <= 0:
                raise ValueError(f"{self.a} is not positive")

    for _ in range(2):
        with pytest.raises(ValueError, match="not positive"):
            Positive(0)
    assert Positive(1).a == 1


def test_nothing_can_be_changed_or_added() -> None:
    one: Any = Ours(1)
    with pytest.raises(FrozenInstanceError):
        one.a = 2
    with pytest.raises(FrozenInstanceError):
        del one.a
    with pytest.raises(FrozenInstanceError):
        one.z = 2
    assert not hasattr(one, "__dict__")


def test_objects_of_a_plain_subclass_keep_their_class() -> None:
    @frozen
    class Base:
        a: int

    class Sub(Base):
        __slots__ = ()

    module.write_init(Base)
    one: Any = Sub(1)
    assert (type(one), one.a) == (Sub, 1)
    with pytest.raises(FrozenInstanceError):
        one.a = 2


def test_methods_of_its_own_are_kept() -> None:
    @frozen
    class Own:
        a: int

        def __repr__(self) -> str:
            return "mine"

    assert repr(Own(1)) == "mine"


def test_an_init_is_written_for_classes_of_many_objects_only() -> None:
    @frozen
    class Fresh:
        a: int

    anything: Any = Fresh
    assert all(vars(Fresh)[name] is method for name, method in module._METHODS.items())
    made = [Fresh(i) for i in range(module.SHARED_INIT_OBJECTS)]
    assert anything.__init__ is module._METHODS["__init__"]
    made.append(Fresh(a=module.SHARED_INIT_OBJECTS))
    assert anything.__init__ is not module._METHODS["__init__"]
    assert anything.__init__.__annotations__ == {"a": "int"}
    assert [one.a for one in made] == list(range(module.SHARED_INIT_OBJECTS + 1))


@pytest.mark.parametrize("cls", [Ours, Named])
def test_no_python_code_runs_for_a_value_of_a_new_object(cls: type[Any]) -> None:
    """One slot of a type serves both methods: one in Python, inherited, makes each value four times as slow."""
    made = module.twin(cls)
    assert not [name for name in ("__setattr__", "__delattr__") if isinstance(getattr(made, name), FunctionType)]


@given(st.lists(st.integers(), max_size=4), st.dictionaries(st.sampled_from("abcdez"), st.integers(), max_size=6))
def test_the_shared_init_takes_what_a_written_one_takes(values: list[int], named: dict[str, int]) -> None:
    def result(cls: type[Any]) -> str:
        try:
            return repr(cls(*values, **named))
        except TypeError:
            return "refused"

    @frozen(kw_only=True)
    class Fresh(Ours):
        e: int = 0

    shared = result(Fresh)
    module.write_init(Fresh)
    assert shared == result(Fresh)


@given(st.integers(), st.text(), st.floats(allow_nan=False))
def test_changed_is_replace(a: int, b: str, e: float) -> None:
    one = Named(1, "y", [2], b"z", e=0.5)
    assert changed(one, a=a, e=e) == dataclasses.replace(one, a=a, e=e)
    assert changed(one, b=b).c is one.c
    with pytest.raises(TypeError):
        changed(one, unknown=1)


def test_changed_checks_as_the_class_does() -> None:
    @frozen
    class Positive:
        a: int

        def __post_init__(self) -> None:
            if self.a < 0:
                raise ValueError("negative")

    assert changed(Positive(1), a=2) == Positive(2)
    with pytest.raises(ValueError, match="negative"):
        changed(Positive(1), a=-1)
    with pytest.raises(FrozenInstanceError):
        changed(Positive(1), a=2).a = 3  # type: ignore[misc]
