"""`@frozen`: a frozen dataclass with slots whose declaration is cheap.

    @frozen
    class Authorized:
        code: ResponseCode

It behaves like `@dataclass(frozen=True, slots=True)`, and `fields`, `replace`, `asdict` and `match` accept it. The
difference is the time at which its methods are created. `dataclass` generates and compiles six methods for each class,
half a millisecond in total; the engines and messages of ISO 15118-20 are some 240 classes, and one session creates one
or two objects of a few dozen of them. Here all classes share their methods, except that a class with more than
`SHARED_INIT_OBJECTS` objects gets its own compiled `__init__`, in a third of the time of that of `dataclass`. A
class may have a `__post_init__`, but no `__init__`; its subclasses are declared with `@frozen` too.

Reason for not using `dataclass`: importing both engines of ISO 15118-20 takes 160 ms of CPU time with `@frozen` and 320
ms with `@dataclass(frozen=True, slots=True)`, of 420 ms for a whole session of both processes; a charge loop differs by
less than the noise. `tests/bench/test_declarations.py` measures it; `tests/protocols/test_declaration_cost.py` counts
the compilations.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from operator import attrgetter
from typing import Any, TypeVar, dataclass_transform, overload

T = TypeVar("T")
SHARED_INIT_OBJECTS = 4  # objects of a class until it gets its own `__init__`


@overload
@dataclass_transform(frozen_default=True, field_specifiers=(dataclasses.field,))
def frozen(cls: type[T], /) -> type[T]: ...


@overload
@dataclass_transform(frozen_default=True, field_specifiers=(dataclasses.field,))
def frozen(*, kw_only: bool) -> Callable[[type[T]], type[T]]: ...


def frozen(cls: type[T] | None = None, /, *, kw_only: bool = False) -> type[T] | Callable[[type[T]], type[T]]:
    """Make a class a frozen dataclass with slots; `kw_only` as in `dataclass`."""
    return (lambda declared: freeze(declared, kw_only)) if cls is None else freeze(cls, kw_only)


def freeze(cls: type[T], kw_only: bool) -> type[T]:
    """Apply `frozen`, for other decorators."""
    if cls.__doc__ is None:
        cls.__doc__ = cls.__name__  # `dataclass` would write one with a signature that is not known yet
    made = dataclasses.dataclass(init=False, repr=False, eq=False, slots=True, kw_only=kw_only)(cls)
    for name, method in _METHODS.items():
        if name not in vars(cls):
            setattr(made, name, method)
    return made


def changed(one: T, **changes: object) -> T:
    """Return a copy of an object of a frozen class with at least two fields: `replace` for a hot path.

    All fields are read by one call; those without `init` are not supported.
    """
    cls = type(one)
    names, read = _FIELDS.get(cls) or _fields(cls)
    values = dict(zip(names, read(one), strict=True))
    values.update(changes)
    return cls(**values)


def _fields(cls: type[Any]) -> tuple[tuple[str, ...], Callable[[object], tuple[object, ...]]]:
    """Return the names of all fields and a function that reads them; cached."""
    names = tuple(one.name for one in dataclasses.fields(cls))
    return _FIELDS.setdefault(cls, (names, attrgetter(*names)))


# ------------------------------------------------------------------------------------------- an __init__ for each class


def _init(self: Any, *values: Any, **named: Any) -> None:
    """Initialise an object of a class without its own `__init__`.

    The class gets its own after `SHARED_INIT_OBJECTS` objects, or for the error text of invalid arguments.
    """
    cls = type(self)
    _MADE[cls] = _MADE.get(cls, 0) + 1
    if _MADE[cls] > SHARED_INIT_OBJECTS or not _fill(self, values, named):
        write_init(cls)
        self.__init__(*values, **named)


def _fill(self: Any, values: tuple[Any, ...], named: dict[str, Any]) -> bool:
    """Set the fields of an object; return False, with the object in an undefined state, if the arguments do not fit."""
    fields = dataclasses.fields(self)
    given = dict(zip([f.name for f in fields if not f.kw_only], values, strict=False))
    if len(given) < len(values) or given.keys() & named:
        return False
    given |= named
    for field in fields:
        value = given.pop(field.name, field.default)
        if value is dataclasses.MISSING:
            make: Any = field.default_factory
            if make is dataclasses.MISSING:
                return False
            value = make()
        object.__setattr__(self, field.name, value)
    if given:
        return False
    if hasattr(self, "__post_init__"):
        self.__post_init__()
    return True


def write_init(cls: type[Any]) -> None:
    """Compile an `__init__` with the parameters of a class.

    The object takes its values as one of the mutable twin: a third of the time of `object.__setattr__` for each value.
    """
    fields = dataclasses.fields(cls)
    scope: dict[str, Any] = {"become": object.__setattr__, "Mutable": twin(cls), "ABSENT": dataclasses.MISSING}
    assigned = [f" self.{f.name} = {_value(f, scope)}" for f in fields]
    body = [" own = self.__class__", ' become(self, "__class__", Mutable)', *assigned, " self.__class__ = own"]
    if hasattr(cls, "__post_init__"):
        body.append(" self.__post_init__()")
    positional = [_parameter(f) for f in fields if not f.kw_only]
    named = [_parameter(f) for f in fields if f.kw_only]
    parameters = ", ".join(["self", *positional, *(["*", *named] if named else [])])
    exec("\n".join([f"def __init__({parameters}):", *body]), scope)
    made = scope["__init__"]
    made.__qualname__ = f"{cls.__qualname__}.__init__"
    made.__annotations__ = {f.name: f.type for f in fields}
    anything: Any = cls
    anything.__init__ = made


def twin(cls: type[object]) -> type[object]:
    """Return a mutable class with the layout of `cls`; its objects become frozen by taking `cls` as their class."""
    known = _TWINS.get(cls)
    if known is None:
        space = {
            "__slots__": vars(cls).get("__slots__", ()),
            "__setattr__": object.__setattr__,
            "__module__": cls.__module__,
        }
        known = _TWINS[cls] = type(cls.__name__, cls.__bases__, space)
    return known


def _parameter(field: dataclasses.Field[Any]) -> str:
    if field.default is not dataclasses.MISSING:
        return f"{field.name}=default_{field.name}"
    return field.name if field.default_factory is dataclasses.MISSING else f"{field.name}=ABSENT"


def _value(field: dataclasses.Field[Any], scope: dict[str, Any]) -> str:
    """Return the expression of a field's value; its default or default factory is added to the scope."""
    if field.default_factory is not dataclasses.MISSING:
        scope[f"make_{field.name}"] = field.default_factory
        return f"make_{field.name}() if {field.name} is ABSENT else {field.name}"
    scope[f"default_{field.name}"] = field.default
    return field.name


# ------------------------------------------------------------------------------------------------------- shared methods


def _refuse_set(self: Any, name: str, value: Any) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_delete(self: Any, name: str) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")


def _getter(cls: type[Any]) -> Callable[[Any], Any]:
    """Return a function that reads the fields of an object by which it is compared and hashed; cached."""
    names = [f.name for f in dataclasses.fields(cls) if f.compare]
    getter: Callable[[Any], Any] = attrgetter(*names) if names else lambda _: ()
    return _GETTERS.setdefault(cls, getter)


def _repr(self: Any) -> str:
    shown = ", ".join(f"{f.name}={getattr(self, f.name)!r}" for f in dataclasses.fields(self) if f.repr)
    return f"{type(self).__qualname__}({shown})"


def _eq(self: Any, other: Any) -> Any:
    cls = self.__class__
    if other.__class__ is not cls:
        return NotImplemented
    values = _GETTERS.get(cls) or _getter(cls)
    return self is other or values(self) == values(other)


def _hash(self: Any) -> int:
    cls = self.__class__
    return hash((cls, (_GETTERS.get(cls) or _getter(cls))(self)))


def _getstate(self: Any) -> list[Any]:
    return [getattr(self, f.name) for f in dataclasses.fields(self)]


def _setstate(self: Any, state: list[Any]) -> None:
    for field, value in zip(dataclasses.fields(self), state, strict=True):
        object.__setattr__(self, field.name, value)


_TWINS: dict[type[object], type[object]] = {}
_GETTERS: dict[type[Any], Callable[[Any], Any]] = {}
_FIELDS: dict[type[object], tuple[tuple[str, ...], Callable[[object], tuple[object, ...]]]] = {}
_MADE: dict[type[Any], int] = {}  # number of objects of classes without their own `__init__`
_METHODS = {
    "__init__": _init,
    "__setattr__": _refuse_set,
    "__delattr__": _refuse_delete,
    "__repr__": _repr,
    "__eq__": _eq,
    "__hash__": _hash,
    "__getstate__": _getstate,
    "__setstate__": _setstate,
}
