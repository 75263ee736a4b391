"""Register map of a product: one TOML file under `products/`, or of the site. `docs/modbus.md` writes one from nothing.

The gateway's driver reads and writes by it, and the emulated device answers by the same file.
"""

from __future__ import annotations

import functools
import tomllib
from collections import Counter
from collections.abc import Iterator
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field, ValidationError, model_validator

from protocols.modbus.messages import MOST_READ, Write
from protocols.modbus.register import Access, Declared, DeviceState, Meaning, Register
from protocols.modbus.sunspec import models as sunspec

PRODUCTS = Path(__file__).parent / "products"
Seconds = Annotated[float, Field(gt=0, le=3600)]


class Kind(StrEnum):
    """Kind of a product at the site."""

    EVSE = "evse"
    METER = "meter"
    STORAGE = "storage"
    PV = "pv"


class When(StrEnum):
    """Orders for which a step is written."""

    ALWAYS = "always"
    CHARGE = "charge"
    DISCHARGE = "discharge"
    REVERSAL = "reversal"  # before the direction changes under power
    RESTING = "resting"  # while the device does not run


class Quantity(StrEnum):
    """Values that a step takes from the order."""

    POWER_W = "power_w"  # signed
    CHARGE_W = "charge_w"  # magnitude, 0 while discharging
    DISCHARGE_W = "discharge_w"
    CHARGE_PCT = "charge_pct"  # signed power in per cent of the largest charging power, + charge
    DISCHARGE_PCT = "discharge_pct"  # signed power in per cent of the largest discharging power, + discharge
    LIMIT_PCT = "limit_pct"  # what an inverter may generate in per cent of its rating; the order is what it may not
    WATCHDOG_S = "watchdog_s"


class Step(Declared):
    """One write of a sequence: a number, a label of the register, or a quantity of the order."""

    register_: str = Field(alias="register")
    value: float | str
    when: When = When.ALWAYS

    @property
    def quantity(self) -> Quantity | None:
        """The quantity of the order, None where the value is fixed."""
        return Quantity(str(self.value)) if self.value in Quantity.__members__.values() else None


class Control(Declared):
    """Orders to a product: writes on each connection, for a power, and for 0 W, in this order."""

    requires: tuple[str, ...] = ()  # registers; the first control whose registers the device has is used
    setup: tuple[Step, ...] = ()
    set: tuple[Step, ...] = ()
    zero: tuple[Step, ...] = ()
    discharge: Literal["always", "running", "never"] = "always"  # running: only while it discharges already
    watchdog: str = ""  # register of the silence time-out, where it is another one than that of `[watchdog]`
    least_w: float = Field(default=0.0, ge=0)  # smaller powers are 0 W
    why_not: str = ""  # shown where it cannot discharge

    @property
    def steps(self) -> tuple[Step, ...]:
        """All steps."""
        return (*self.setup, *self.set, *self.zero)


class Watchdog(Declared):
    """Silence time-out of the device. `request`: each request restarts it; `write`: only the write of its register."""

    seconds: str  # the register
    restarts: Literal["request", "write"]
    least_s: float = Field(default=1.0, ge=1)
    most_s: float = Field(default=65_535.0, ge=1)


class Timing(Declared):
    """Times of a product, s."""

    reply_within_s: Seconds = 3.0
    write_reply_within_s: Seconds = 5.0
    fast_s: Seconds = 1.0
    slow_s: Seconds = 10.0
    pause_s: Annotated[float, Field(ge=0, le=60)] = 0.0  # between two requests
    settle_s: Annotated[float, Field(ge=0, le=60)] = 0.0  # readings after a write are of before
    silent_after_s: Seconds = 10.0


class Glitches(Declared):
    """Known faults of a product. The driver tolerates them, the emulated device has them."""

    soc_zero_when_idle: bool = False
    soc_outliers_pct: float | None = None  # reads this wrong state of charge now and then
    soc_most_pct: float = 100.0  # never reads more
    write_reply_s: float = 0.0  # answers a write so late
    latches_on_zero: str = ""  # register in which 0 makes the vehicle refuse power until it is connected anew
    source: str = ""


class Connectors(Declared):
    """Distance from one connector to the next."""

    holding: int = 0
    input: int = 0
    unit: int = 0
    most: int = Field(default=1, ge=1, le=64)


class RegisterMap(Declared):
    """A product as declared."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,40}$")
    title: str = ""
    kind: tuple[Kind, ...] = Field(min_length=1)
    port: int = Field(default=502, ge=1, le=65_535)
    unit: int = Field(default=1, ge=0, le=255)
    about: str = ""  # sources of the facts
    max_charge_w: float | None = Field(default=None, gt=0)  # rated, where no register states it
    max_discharge_w: float | None = Field(default=None, gt=0)
    sunspec: bool = False  # walk the model chain
    read_gap: int = Field(default=0, ge=0, le=MOST_READ)  # undeclared registers between two that are read together
    read_most: int = Field(default=100, ge=1, le=MOST_READ)
    registers: tuple[Register, ...] = Field(min_length=1)
    control: tuple[Control, ...] = ()
    watchdog: Watchdog | None = None
    timing: Timing = Timing()
    glitches: Glitches = Glitches()
    connectors: Connectors = Connectors()

    @model_validator(mode="after")
    def _whole(self) -> RegisterMap:
        faults = list(_faults(self))
        if faults:
            raise ValueError("; ".join(faults))
        return self

    @functools.cached_property
    def by_name(self) -> dict[str, Register]:
        """Registers by their names."""
        return {one.name: one for one in self.registers}

    def meaning(self, meaning: Meaning) -> Register | None:
        """Return the first register of a meaning."""
        return next((one for one in self.registers if one.meaning is meaning), None)

    def unit_of(self, register: Register) -> int:
        """Return the unit at which a register is."""
        return self.unit if register.unit is None else register.unit

    def forbidden(self, write: Write) -> str | None:
        """Return why a write must not be sent, None where it may: all its words belong to registers that may be written
        whole, with a permitted value."""
        position, end = write.address, write.address + len(write.words)
        while position < end:
            register = self._writable_at.get((write.unit, position))
            if register is None or position + register.count > end:
                return f"unit {write.unit} has no register at {position} that may be written"
            words = write.words[position - write.address : position - write.address + register.count]
            raw = register.raw(words)
            if raw in register.never:
                return f"{register.name} is never written {raw}"
            if write.single is not register.single:
                return f"{register.name} is written with function {'06' if register.single else '16'}"
            position += register.count
        return None if write.words else "no words"

    def at(self, write: Write) -> Register:
        """Return the register that a permitted write begins with."""
        return self._writable_at[write.unit, write.address]

    @functools.cached_property
    def _writable_at(self) -> dict[tuple[int, int], Register]:
        return {
            (self.unit_of(one), one.address): one for one in self.registers if one.writable and one.address is not None
        }

    def at_connector(self, number: int) -> RegisterMap:
        """Return the map of a connector. ValueError where the product has no such one."""
        if not 1 <= number <= self.connectors.most:
            raise ValueError(f"{self.name} has connectors 1 to {self.connectors.most}, not {number}")
        if number == 1:
            return self
        offset, far = number - 1, self.connectors
        moved = tuple(
            one
            if one.address is None or one.unit is not None
            else one.model_copy(update={"address": one.address + offset * getattr(far, one.table)})
            for one in self.registers
        )
        return self.changed(registers=moved, unit=self.unit + offset * far.unit)

    def changed(self, **update: object) -> RegisterMap:
        """Return a copy with other values; what is derived from the registers is derived anew."""
        copy = self.model_copy(update=update)
        for derived in ("by_name", "_writable_at"):
            copy.__dict__.pop(derived, None)
        return copy


class BadMap(ValueError):
    """A register map that cannot be read; the text names the file, the key and the fault."""


def parse(text: str, where: str = "the register map") -> RegisterMap:
    """Return the map of a TOML text. Raises BadMap."""
    try:
        return RegisterMap.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise BadMap(f"{where}: {error}") from error
    except ValidationError as error:
        faults = "; ".join(_sentence(one["loc"], one["msg"], one["type"]) for one in error.errors())
        raise BadMap(f"{where}: {faults}") from error


def read(path: Path) -> RegisterMap:
    """Return the map of a file. Raises BadMap."""
    try:
        return parse(path.read_text("utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise BadMap(f"{path} cannot be read: {error}") from error


def names() -> list[str]:
    """Return the names of the products of this package."""
    return sorted(path.stem for path in PRODUCTS.glob("*.toml"))


@functools.cache
def shipped(name: str) -> RegisterMap:
    """Return a product of this package. Raises BadMap with the known names."""
    if name not in names():
        raise BadMap(f"there is no product {name!r}{similar(name, names())}; known are {', '.join(names())}")
    return read(PRODUCTS / f"{name}.toml")


def similar(name: str, known: list[str]) -> str:
    """Return a question for the name that is meant, or nothing."""
    found = get_close_matches(name, known, n=1)
    return f", did you mean {found[0]!r}?" if found else ""


def _sentence(loc: tuple[int | str, ...], text: str, kind: str) -> str:
    key = ".".join(map(str, loc)) or "file"
    if kind == "extra_forbidden":
        table = _table_at(loc[:-1])
        known = [one.alias or name for name, one in table.model_fields.items()] if table is not None else []
        return f"{key} is not a key of a register map{similar(str(loc[-1]), known)}"
    return f"{key}: {text.removeprefix('Value error, ')}"


def _table_at(loc: tuple[int | str, ...]) -> type[BaseModel] | None:
    tables: dict[str, type[BaseModel]] = {
        "": RegisterMap, "registers": Register, "control": Control, "watchdog": Watchdog, "timing": Timing,
        "glitches": Glitches, "connectors": Connectors, "setup": Step, "set": Step, "zero": Step,
    }  # fmt: skip
    return tables.get(next((part for part in reversed(loc) if isinstance(part, str)), ""))


# verification ---------------------------------------------------------------------------------------------------------


def _faults(product: RegisterMap) -> Iterator[str]:
    """Yield what is wrong with a map as a whole."""
    counted = Counter(one.name for one in product.registers)
    yield from (f"registers: {name} is declared twice" for name, number in counted.items() if number > 1)
    known = list(counted)
    if product.sunspec != any(one.models for one in product.registers):
        yield "sunspec: registers with models need sunspec = true, and the other way round"
    for register in product.registers:
        yield from _register_faults(product, register, known)
    for number, control in enumerate(product.control):
        for step in control.steps:
            yield from (f"control.{number}: {fault}" for fault in _step_faults(product, step, known))
        yield from (
            f"control.{number}.requires: there is no register {name!r}{similar(name, known)}"
            for name in control.requires
            if name not in counted
        )
        if not control.zero:
            yield f"control.{number}.zero: an order for 0 W is required"
    if product.watchdog is not None:
        yield from _watchdog_faults(product, product.watchdog, known)
    latch = product.glitches.latches_on_zero
    if latch and (latch not in counted or 0 not in product.by_name[latch].never):
        yield f"glitches.latches_on_zero: {latch} must be a register with never = [0]"
    yield from _overlaps(product)


def _register_faults(product: RegisterMap, register: Register, known: list[str]) -> Iterator[str]:
    if register.scale_register and register.scale_register not in known:
        text = f"there is no register {register.scale_register!r}{similar(register.scale_register, known)}"
        yield f"registers.{register.name}.scale_register: {text}"
    if register.meaning is Meaning.STATE:
        states = list(map(str, DeviceState))
        for label in register.values.values():
            if label not in states:
                yield f"registers.{register.name}.values: {label!r} is not a state{similar(label, states)}"
    for model in register.models:
        if model not in sunspec.tables():
            yield f"registers.{register.name}.models: there is no table of model {model}"
        elif register.point not in sunspec.tables()[model].points:
            meant = similar(register.point, list(sunspec.tables()[model].points))
            yield f"registers.{register.name}.point: model {model} has no {register.point!r}{meant}"


def _step_faults(product: RegisterMap, step: Step, known: list[str]) -> Iterator[str]:
    register = product.by_name.get(step.register_)
    if register is None:
        yield f"there is no register {step.register_!r}{similar(step.register_, known)}"
        return
    if not register.writable:
        text = "is never written" if register.access is Access.NEVER_WRITE else "is not writable"
        yield f"{register.name} {text} (access = {register.access.value!r})"
    if step.quantity is not None or register.models:
        return
    try:
        raw = register.raw(register.encode(step.value))
    except ValueError as error:
        labels = [*register.values.values(), *map(str, Quantity)]
        yield f"{error}{similar(str(step.value), labels)}"
        return
    if raw in register.never:
        yield f"{register.name} is never written {step.value} (never = {list(register.never)})"


def _watchdog_faults(product: RegisterMap, watchdog: Watchdog, known: list[str]) -> Iterator[str]:
    register = product.by_name.get(watchdog.seconds)
    if register is None:
        yield f"watchdog.seconds: there is no register {watchdog.seconds!r}{similar(watchdog.seconds, known)}"
    elif not register.writable:
        yield f"watchdog.seconds: {register.name} is not writable"
    if watchdog.most_s < watchdog.least_s:
        yield "watchdog: most_s is below least_s"
    for number, control in enumerate(product.control):
        seconds = control.watchdog or watchdog.seconds
        if not any(step.register_ == seconds for step in control.set):
            yield f"control.{number}.set: {seconds} must be written before a power (value = 'watchdog_s')"


def _overlaps(product: RegisterMap) -> Iterator[str]:
    taken: dict[tuple[int, str, int], str] = {}
    for one in product.registers:
        if one.address is None:
            continue
        if one.address + one.count > 65_536:
            yield f"registers.{one.name}: ends beyond the last register"
        for address in range(one.address, one.address + one.count):
            other = taken.setdefault((product.unit_of(one), one.table, address), one.name)
            if other != one.name:
                yield f"registers.{one.name}: overlaps {other}"
                break
