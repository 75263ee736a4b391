"""Vendor profiles: how a kind of station is told to discharge where no standard says it, and what it forgets.

One declarative TOML file each, under `profiles/` or wherever a site keeps its own. The gateway reads the `[setpoint]`
and `[meter]` tables, the emulator reads the same file from the other side and switches on its `[quirks]`.
"""

from __future__ import annotations

import fnmatch
import functools
import tomllib
from enum import StrEnum
from pathlib import Path
from string import Template
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from protocols.ocpp.schema import Version

PROFILES = Path(__file__).parent / "profiles"


class Channel(StrEnum):
    """How a signed set-point is said."""

    STANDARD = "standard"  # OCPP 2.1: Dynamic profile, CentralSetpoint
    LIMIT = "limit"  # a charging profile whose limit may be negative
    DATA_TRANSFER = "data-transfer"  # a vendor message
    VARIABLE = "variable"  # a device-model variable (2.x) or a configuration key (1.6)
    NONE = "none"  # it cannot


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Setpoint(_Table):
    """How a set-point is said to the station."""

    channel: Channel = Channel.NONE
    why_not: str = ""  # for `none`: the sentence a person gets
    sign: Literal[-1, 1] = -1  # the sign of a discharge on the wire
    unit: Literal["W", "kW", "A"] = "W"
    decimals: int = Field(default=1, ge=0, le=3)
    voltage_v: float = Field(default=230.0, gt=0)  # for amperes: volts between phase and neutral
    phases: int = Field(default=1, ge=1, le=3)
    dead_man: bool = True  # whether the station lets go of it by itself when the time is over
    stack_level: int = Field(default=1, ge=0)
    safe_profile: bool | None = None  # whether a TxDefaultProfile is laid beneath; absent: where power is a profile
    vendor_id: str = ""  # data-transfer
    message_id: str = ""
    data: str = ""  # a template: $value, $seconds, $evse, $transaction
    component: str = ""  # variable, 2.x
    variable: str = ""
    key: str = ""  # variable, 1.6

    @model_validator(mode="after")
    def _fits_the_schema(self) -> Setpoint:
        """A limit of a charging profile is in W or A, in steps of 0.1 (ChargingSchedulePeriod of every version)."""
        if self.channel is Channel.LIMIT and self.decimals > 1:
            raise ValueError("decimals: a limit has one at most")
        if self.channel is Channel.LIMIT and self.unit == "kW":
            raise ValueError("unit: a limit is in W or A, not in kW")
        return self


class Forming(_Table):
    """How an EVSE is told to form an island's voltage, and to follow a grid again. No OCPP message says this: neither a
    V2X operation mode nor a DER control of 2.1 does. `none` leaves it to the hardware."""

    channel: Literal[Channel.DATA_TRANSFER, Channel.VARIABLE, Channel.NONE] = Channel.NONE
    form: str = "true"  # what is said to form
    follow: str = "false"  # and to follow
    vendor_id: str = ""  # data-transfer
    message_id: str = ""
    data: str = ""  # a template: $value, $evse
    component: str = ""  # variable, 2.x; of that EVSE
    variable: str = ""
    key: str = ""  # variable, 1.6; $evse in it is the connector

    @model_validator(mode="after")
    def _whole(self) -> Forming:
        if self.channel is Channel.DATA_TRANSFER and not (self.vendor_id and "$value" in self.data):
            raise ValueError("vendor_id and data (with $value in it) are needed for data-transfer")
        if self.channel is Channel.VARIABLE and not ((self.component and self.variable) or self.key):
            raise ValueError("component and variable (2.x) or key (1.6) are needed for variable")
        if self.form == self.follow:
            raise ValueError("form and follow say the same")
        return self

    def value(self, forms: bool) -> str:
        """What is said on the wire."""
        return self.form if forms else self.follow

    def message(self, forms: bool, evse: int) -> str:
        """The text of the vendor message."""
        return Template(self.data).substitute(value=self.value(forms), evse=evse)

    def key_of(self, evse: int) -> str:
        """The configuration key of 1.6."""
        return Template(self.key).substitute(evse=evse)


class Meter(_Table):
    """How its meter values differ from the standard's."""

    import_sign: Literal[-1, 1] = 1  # -1: Import is negative while the car charges
    power_scale: float = Field(default=1.0, gt=0)


class Quirks(_Table):
    """What stations of this kind get wrong. The gateway lives with every one of them; the emulator shows them."""

    seq_no_always_zero: bool = False
    meter_only_rises: bool = False  # export is never counted
    clock_aligned_only: bool = False  # no meter values unless clock-aligned ones are configured
    accepts_and_ignores: bool = False  # profile accepted, not obeyed
    limit_lapses_s: float | None = Field(default=None, gt=0)  # then it charges without a limit
    keeps_old_connection: bool = False  # two connections after a modem reset
    reports_late_s: float = Field(default=0.0, ge=0)  # transactions told so much later
    clock_at_epoch: bool = False  # 1970 until the first Heartbeat answer
    status_before_boot: bool = False


class VendorProfile(_Table):
    """One kind of station."""

    name: str = Field(min_length=1)
    title: str = ""
    ocpp: tuple[Literal["1.6", "2.0.1", "2.1"], ...]
    vendor: str = ""  # a pattern for the vendor's name in BootNotification, such as `Acme*`; empty: only by name
    model: str = "*"
    setpoint: Setpoint = Setpoint()
    forming: Forming = Forming()
    meter: Meter = Meter()
    quirks: Quirks = Quirks()

    def matches(self, version: Version, vendor: str, model: str) -> bool:
        """Whether a station that booted with these names is of this kind."""
        return (
            bool(self.vendor)
            and version.number in self.ocpp
            and fnmatch.fnmatchcase(vendor, self.vendor)
            and fnmatch.fnmatchcase(model, self.model)
        )

    @property
    def safe_profile(self) -> bool:
        """Whether the gateway lays a safe profile beneath. A station with a channel of its own may obey both at once,
        so it gets one only where its profile says so."""
        said = self.setpoint.safe_profile
        return self.setpoint.channel in (Channel.STANDARD, Channel.LIMIT) if said is None else said

    def wire_value(self, power_w: float) -> float:
        """Our signed power (W, + into the vehicle) as this station wants it said."""
        say = self.setpoint
        value = power_w if say.sign == -1 else -power_w
        if say.unit == "kW":
            value /= 1000.0
        elif say.unit == "A":
            value /= say.voltage_v * say.phases
        rounded = round(value, say.decimals)
        return rounded + 0.0  # no negative zero on the wire

    def power_w(self, value: float) -> float:
        """What a value on the wire means, in W, + into the vehicle."""
        say = self.setpoint
        watts = {"W": 1.0, "kW": 1000.0, "A": say.voltage_v * say.phases}[say.unit] * value
        return watts if say.sign == -1 else 0.0 - watts

    def data(self, power_w: float, hold_s: float, evse: int, transaction: str) -> str:
        """The text of the vendor message for a set-point."""
        value = self.wire_value(power_w)
        shown = int(value) if self.setpoint.decimals == 0 else value
        return Template(self.setpoint.data).substitute(
            value=shown, seconds=int(hold_s), evse=evse, transaction=transaction
        )


class BadProfile(ValueError):
    """A vendor profile that cannot be read; the message names the file, the key and the fault."""


def read(path: Path) -> VendorProfile:
    """Read one file. Raises BadProfile."""
    try:
        document: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
        profile = VendorProfile.model_validate(document)
        profile.data(0.0, 0, 1, "")
        profile.forming.message(True, 1)
        profile.forming.key_of(1)
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadProfile(f"{path}: {error}") from error
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in error.errors())
        raise BadProfile(f"{path}: {faults}") from error
    except (KeyError, ValueError) as error:
        raise BadProfile(f"{path}: a template: {error}") from error
    return profile


@functools.cache
def shipped() -> dict[str, VendorProfile]:
    """The profiles that come with the package, by name."""
    profiles = (read(path) for path in sorted(PROFILES.glob("*.toml")))
    return {profile.name: profile for profile in profiles}


def names(folder: Path | None = None) -> list[str]:
    """The profiles there are, the site's own among them."""
    own = [] if folder is None else [path.stem for path in folder.glob("*.toml")]
    return sorted({*own, *shipped()})


def find(name: str, folder: Path | None = None) -> VendorProfile:
    """A profile by name, the site's own first. Raises BadProfile with the names there are."""
    if name not in names(folder):
        raise BadProfile(f"no vendor profile {name!r}; there are {', '.join(names(folder))}")
    if folder is not None and (path := folder / f"{name}.toml").is_file():
        return read(path)
    return shipped()[name]


def recognise(version: Version, vendor: str, model: str, folder: Path | None = None) -> VendorProfile:
    """The profile for what a station says in its BootNotification, the site's own first; the generic one of the version
    where none fits. Raises BadProfile where a file of the site cannot be read."""
    own = [] if folder is None else [read(path) for path in sorted(folder.glob("*.toml"))]
    for profile in (*own, *shipped().values()):
        if profile.matches(version, vendor, model):
            return profile
    return shipped()[f"generic-{version.number}"]
