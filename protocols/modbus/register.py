"""A register as declared, and its value: words to a number with unit, and back. Pure.

`value = raw x scale x 10^(scale register) x sign`. Signs are turned here: + is into the vehicle, into the storage, from
the grid, and for photovoltaics what they generate.
"""

from __future__ import annotations

import math
import struct
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from protocols.modbus.messages import ADDRESSES, Table

MOST_EXPONENT = 10  # of a SunSpec scale factor, both ways


class Declared(BaseModel):
    """A table of a declaration file."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class RegisterType(StrEnum):
    """Encoding of a value."""

    U16 = "u16"
    I16 = "i16"
    U32 = "u32"
    I32 = "i32"
    U64 = "u64"
    I64 = "i64"
    F32 = "f32"
    STRING = "string"


_FORMATS = {
    RegisterType.U16: ">H",
    RegisterType.I16: ">h",
    RegisterType.U32: ">I",
    RegisterType.I32: ">i",
    RegisterType.U64: ">Q",
    RegisterType.I64: ">q",
    RegisterType.F32: ">f",
}


class Meaning(StrEnum):
    """Meaning of a value for the gateway. The writable ones are the orders that a product takes."""

    POWER_W = "power_w"
    VOLTAGE_V = "voltage_v"
    CURRENT_A = "current_a"
    FREQUENCY_HZ = "frequency_hz"
    SOC_PCT = "soc_pct"
    CAPACITY_WH = "capacity_wh"
    ENERGY_CHARGED_WH = "energy_charged_wh"  # into the vehicle or storage, or imported
    ENERGY_DISCHARGED_WH = "energy_discharged_wh"
    MAX_CHARGE_W = "max_charge_w"
    MAX_DISCHARGE_W = "max_discharge_w"
    MIN_CHARGE_W = "min_charge_w"
    RATED_W = "rated_w"  # largest active power of an inverter, to which its limits in per cent refer
    STATE = "state"
    CONNECTED = "connected"  # not 0: a vehicle is connected
    REPLUG = "replug"  # not 0: the vehicle must be connected anew
    FAULT = "fault"  # not 0: an error code
    MANUFACTURER = "manufacturer"
    MODEL = "model"
    SERIAL = "serial"
    SETPOINT_W = "setpoint_w"  # signed
    CHARGE_LIMIT_W = "charge_limit_w"
    DISCHARGE_LIMIT_W = "discharge_limit_w"
    ACTION = "action"  # start, stop
    REMOTE = "remote"  # the gateway controls
    WATCHDOG_S = "watchdog_s"
    WATCHDOG_ENABLE = "watchdog_enable"
    WAKE_UP = "wake_up"
    HEARTBEAT = "heartbeat"  # counted each second by the gateway while it orders


class DeviceState(StrEnum):
    """States of a charger, to which the codes of a product are mapped."""

    UNAVAILABLE = "unavailable"
    AVAILABLE = "available"
    OCCUPIED = "occupied"  # connected, no power possible yet
    READY = "ready"  # a session without power: paused, waiting for an order
    CHARGING = "charging"
    DISCHARGING = "discharging"
    ENDED = "ended"  # the session has ended, the vehicle is still connected
    FAULT = "fault"


class Poll(StrEnum):
    """How often a register is read."""

    FAST = "fast"
    SLOW = "slow"
    START = "start"  # once on each connection
    NEVER = "never"


class Access(StrEnum):
    """Access of the gateway to a register."""

    READ = "read"
    WRITE = "write"
    READ_WRITE = "read-write"
    NEVER_WRITE = "never-write"  # a person's or the manufacturer's setting: read, and never written


class Register(Declared):
    """One value of a product. Either `address`, or `models` and `point` of SunSpec."""

    name: str = Field(pattern=r"^[a-z0-9_]{1,40}$")
    address: int | None = Field(default=None, ge=0, lt=ADDRESSES)
    models: tuple[int, ...] = ()  # of which the first that the device has counts
    point: str = ""
    unit: int | None = Field(default=None, ge=0, le=255)  # instead of the device's
    table: Table = Table.HOLDING
    type: RegisterType = RegisterType.U16
    words: int = Field(default=0, ge=0, le=125)  # of a string
    word_order: Literal["big", "little"] = "big"
    scale: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    scale_register: str = ""  # holds the power of ten
    sign: Literal[1, -1] = 1
    si: str = ""  # unit of the value, such as W
    meaning: Meaning | None = None
    about: str = ""
    values: dict[str, str] = Field(default_factory=dict)  # raw value: label
    poll: Poll = Poll.FAST
    access: Access = Access.READ
    never: tuple[int, ...] = ()  # raw values that are never written
    least: float | None = None  # smallest and largest value that is written
    most: float | None = None
    single: bool = False  # written with function 06
    absent: tuple[int, ...] = ()  # raw values that stand for no value

    @model_validator(mode="after")
    def _whole(self) -> Register:
        if (self.address is None) == (not self.models):
            raise ValueError("either address, or models and point, is required")
        if bool(self.models) != bool(self.point):
            raise ValueError("models and point belong together")
        if self.address is not None and (self.type is RegisterType.STRING) != (self.words > 0):
            raise ValueError("words is for strings, and required there")
        if self.writable and self.table is Table.INPUT:
            raise ValueError("input registers cannot be written")
        if self.single and self.address is not None and self.count != 1:
            raise ValueError("single is for one register")
        if any(not raw.removeprefix("-").isdecimal() for raw in self.values):
            raise ValueError("keys of values are whole numbers")
        return self

    @property
    def writable(self) -> bool:
        """True where the gateway may write it."""
        return self.access in (Access.WRITE, Access.READ_WRITE)

    @property
    def readable(self) -> bool:
        """True where it can be read."""
        return self.access is not Access.WRITE

    @property
    def count(self) -> int:
        """Number of words."""
        return self.words or struct.calcsize(_FORMATS[self.type]) // 2

    def raw(self, words: tuple[int, ...]) -> float | str:
        """Return the value of the words as they are. ValueError where their number is wrong."""
        if len(words) != self.count:
            raise ValueError(f"{self.name}: {len(words)} of {self.count} registers")
        ordered = words if self.word_order == "big" else words[::-1]
        data = b"".join(word.to_bytes(2, "big") for word in ordered)
        if self.type is RegisterType.STRING:
            return data.split(b"\0")[0].decode("ascii", "replace").strip()
        value: float = struct.unpack(_FORMATS[self.type], data)[0]
        return value

    def decode(self, words: tuple[int, ...], exponent: int = 0) -> float | str | None:
        """Return the value in its unit, or its label; None where the device states none."""
        raw = self.raw(words)
        if isinstance(raw, str):
            return raw or None
        if raw in self.absent or not math.isfinite(raw) or abs(exponent) > MOST_EXPONENT:
            return None
        if self.values:
            return self.values.get(str(int(raw)))
        return raw * self.scale * 10.0**exponent * self.sign + 0.0  # no negative zero

    def encode(self, value: float | str, exponent: int = 0) -> tuple[int, ...]:
        """Return the words of a value in its unit, or of a label. ValueError where it has no code or does not fit."""
        if isinstance(value, str):
            if self.type is RegisterType.STRING:
                data = value.encode("ascii", "replace")[: 2 * self.count].ljust(2 * self.count, b"\0")
                return self._split(data)
            codes = [int(raw) for raw, label in self.values.items() if label == value]
            if not codes:
                raise ValueError(f"{self.name} has no value {value!r}")
            return self._pack(codes[0])
        raw = value * self.sign / (self.scale * 10.0**exponent)
        return self._pack(raw if self.type is RegisterType.F32 else round(raw))

    def _pack(self, raw: float) -> tuple[int, ...]:
        try:
            data = struct.pack(_FORMATS[self.type], raw)
        except (struct.error, OverflowError):
            raise ValueError(f"{self.name}: {raw} does not fit into {self.type}") from None
        return self._split(data)

    def _split(self, data: bytes) -> tuple[int, ...]:
        words = tuple(int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2))
        return words if self.word_order == "big" else words[::-1]
