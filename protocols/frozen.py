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

Reason for not using `dataclass`: importing both engines of ISO 15118-20 takes 80 ms of CPU time with `@frozen` and 240
ms with `@dataclass(frozen=True, slots=True)`; a charge loop differs by less than the noise.
`tests/bench/test_declarations.py` measures it; `tests/protocols/test_declaration_cost.py` counts
the compilations. What `dataclasses` reads from a class is made when it is asked for, so declarations do not import it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar, dataclass_transform, overload

if TYPE_CHECKING:
    from dataclasses import field
else:
    field = None  # only type checkers read it below

T = TypeVar("T")
SHARED_INIT_OBJECTS = 4  # objects of a class until it gets its own `__init__`
ABSENT = object()  # no default


class Field:
    """A field of a frozen class, with the names of `dataclasses.Field`.

    `owner` is the class that declares it, `declared` what `field(...)` returned.
    """

    __slots__ = ("compare", "declared", "default", "default_factory", "kw_only", "name", "owner", "repr", "type")

    def __init__(self, name: str, annotation: object, default: object, kw_only: bool) -> None:
        self.name = name
        self.type = annotation
        self.default = default
        self.default_factory: Callable[[], object] | None = None
        self.kw_only = kw_only
        self.repr = self.compare = True
        self.declared: object = None
        self.owner: type[object]


def fields_of(cls: type[object]) -> tuple[Field, ...]:
    """Return the fields of a frozen class, inherited ones first."""
    return tuple(_FROZEN(cls).values())


@overload
@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(cls: type[T], /) -> type[T]: ...


@overload
@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(*, kw_only: bool) -> Callable[[type[T]], type[T]]: ...


def frozen(cls: type[T] | None = None, /, *, kw_only: bool = False) -> type[T] | Callable[[type[T]], type[T]]:
    """Make a class a frozen dataclass with slots; `kw_only` as in `dataclass`."""
    return (lambda declared: freeze(declared, kw_only)) if cls is None else freeze(cls, kw_only)


def freeze(cls: type[T], kw_only: bool, own: Mapping[str, object] | None = None) -> type[T]:
    """Apply `frozen`, for other decorators; `own` are further attributes of the class."""
    space: dict[str, Any] = dict(vars(cls))
    slots = {name for base in cls.__mro__[1:-1] for name in vars(base).get("__slots__", ())}
    fields: dict[str, Field] = {}
    for base in cls.__mro__[-2:0:-1]:
        fields |= vars(base).get("__frozen__", {})
    declared = {
        name: _field(name, annotation, space.get(name, ABSENT), kw_only)
        for name, annotation in space.get("__annotations__", {}).items()
        if not str(annotation).startswith(_CLASS_VARIABLE)
    }
    fields |= declared
    for name in (*fields, "__dict__", "__weakref__"):
        space.pop(name, None)
    if space["__doc__"] is None:
        space["__doc__"] = cls.__name__
    space.setdefault("__match_args__", tuple([f.name for f in fields.values() if not f.kw_only]))
    space |= {name: method for name, method in _METHODS.items() if name not in space}
    space |= _STANDARD
    space |= own or {}
    space["__qualname__"] = cls.__qualname__
    space["__slots__"] = tuple([name for name in fields if name not in slots])
    space["__frozen__"] = fields
    make: Callable[..., type[T]] = type(cls)
    made = make(cls.__name__, cls.__bases__, space)
    for one in declared.values():
        one.owner = made
    return made


def _field(name: str, annotation: object, default: object, kw_only: bool) -> Field:
    """Return a field with its default, or with what `field(...)` says instead of one."""
    found = Field(name, annotation, default, kw_only)
    standard = sys.modules.get("dataclasses")
    if standard is not None and isinstance(default, standard.Field):
        if default.kw_only is standard.MISSING:
            default.kw_only = kw_only
        found.declared, found.kw_only = default, default.kw_only
        found.repr, found.compare = default.repr, default.compare
        found.default = ABSENT if default.default is standard.MISSING else default.default
        if default.default_factory is not standard.MISSING:
            found.default_factory = default.default_factory
    elif default.__class__.__hash__ is None:
        raise ValueError(f"mutable default {type(default)} for field {name} is not allowed: use default_factory")
    return found


class _Standard:
    """An attribute that `dataclasses` reads from a class, made when it is read first."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, one: object, cls: type[object]) -> object:
        from dataclasses import dataclass, field  # most processes declare messages and never ask

        owner = next(c for c in cls.__mro__ if "__frozen__" in vars(c))
        space: dict[str, object] = {"__module__": owner.__module__}
        space["__annotations__"] = {f.name: f.type for f in fields_of(owner)}
        for f in fields_of(owner):
            with_default = f.declared is None and f.default is not ABSENT
            plain = field(default=f.default, kw_only=f.kw_only) if with_default else field(kw_only=f.kw_only)
            space[f.name] = f.declared or plain
        model: type[object] = type(owner.__name__, (), space)
        dataclass(init=False, repr=False, eq=False, match_args=False)(model)
        for name in _STANDARD:
            setattr(owner, name, getattr(model, name))
        return getattr(model, self._name)


def changed(one: T, **changes: object) -> T:
    """Return a copy of an object of a frozen class with other values: `replace` for a hot path.

    Fields without `init` are not supported.
    """
    cls = type(one)
    made: Any = (_COPIES.get(cls) or _write_copy(cls))(one)
    try:
        for name, value in changes.items():
            setattr(made, name, value)
    except AttributeError as error:
        raise TypeError(f"{cls.__qualname__} has no such field: {error}") from None
    made.__class__ = cls
    if hasattr(cls, "__post_init__"):
        made.__post_init__()
    return made  # type: ignore[no-any-return]


def _write_copy(cls: type[object]) -> Callable[[object], object]:
    """Return a compiled function that copies the fields of an object into one of the mutable twin; cached."""
    scope: dict[str, Callable[..., object]] = {"Mutable": twin(cls)}
    body = [f" made.{field.name} = one.{field.name}" for field in fields_of(cls)]
    exec("\n".join(["def copy(one):", " made = Mutable()", *body, " return made"]), scope)
    return _COPIES.setdefault(cls, scope["copy"])


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
    fields = fields_of(type(self))
    given = dict(zip([f.name for f in fields if not f.kw_only], values, strict=False))
    if len(given) < len(values) or given.keys() & named:
        return False
    given |= named
    for field in fields:
        value = given.pop(field.name, field.default)
        if value is ABSENT:
            if field.default_factory is None:
                return False
            value = field.default_factory()
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
    fields = fields_of(cls)
    scope: dict[str, Any] = {"become": object.__setattr__, "Mutable": twin(cls), "ABSENT": ABSENT}
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
            "__init__": object.__init__,  # that of a frozen base takes the fields
            "__delattr__": object.__delattr__,  # Python code for either, inherited from a frozen base, slows down both
            "__module__": cls.__module__,
        }
        known = _TWINS[cls] = type(cls.__name__, cls.__bases__, space)
    return known


def _parameter(field: Field) -> str:
    if field.default is not ABSENT:
        return f"{field.name}=default_{field.name}"
    return field.name if field.default_factory is None else f"{field.name}=ABSENT"


def _value(field: Field, scope: dict[str, Any]) -> str:
    """Return the expression of a field's value; its default or default factory is added to the scope."""
    if field.default_factory is not None:
        scope[f"make_{field.name}"] = field.default_factory
        return f"make_{field.name}() if {field.name} is ABSENT else {field.name}"
    scope[f"default_{field.name}"] = field.default
    return field.name


# ------------------------------------------------------------------------------------------------------- shared methods


def _refuse_set(self: Any, name: str, value: Any) -> None:
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_delete(self: Any, name: str) -> None:
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _getter(cls: type[Any]) -> Callable[[Any], Any]:
    """Return a function that reads the fields of an object by which it is compared and hashed; cached."""
    names = [f.name for f in fields_of(cls) if f.compare]
    getter: Callable[[Any], Any] = attrgetter(*names) if names else lambda _: ()
    return _GETTERS.setdefault(cls, getter)


def _repr(self: Any) -> str:
    shown = ", ".join(f"{f.name}={getattr(self, f.name)!r}" for f in fields_of(type(self)) if f.repr)
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
    return [getattr(self, f.name) for f in fields_of(type(self))]


def _setstate(self: Any, state: list[Any]) -> None:
    for field, value in zip(fields_of(type(self)), state, strict=True):
        object.__setattr__(self, field.name, value)


_FROZEN = attrgetter("__frozen__")
_CLASS_VARIABLE = ("ClassVar", "typing.ClassVar")
_STANDARD = {name: _Standard(name) for name in ("__dataclass_fields__", "__dataclass_params__")}
_TWINS: dict[type[object], type[object]] = {}
_GETTERS: dict[type[Any], Callable[[Any], Any]] = {}
_COPIES: dict[type[object], Callable[[object], object]] = {}
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
