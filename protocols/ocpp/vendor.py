"""Vendor profiles: the set-point channel of a kind of station where no standard defines one, and its quirks.

One declarative TOML file each, under `profiles/` or in a folder of the site. The gateway reads the `[setpoint]` and
`[meter]` tables; the emulator reads the same file as a station and enables its `[quirks]`.
"""

from __future__ import annotations

import fnmatch
import functools
import logging
import tomllib
from enum import StrEnum
from pathlib import Path
from string import Template
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from protocols.ocpp.schema import Version

log = logging.getLogger("v2x.ocpp")

RENAMED = {"dead_man": "watchdog", "safe_profile": "fallback_profile"}  # keys of [setpoint], former: present
PROFILES = Path(__file__).parent / "profiles"


class Channel(StrEnum):
    """Channel of a signed set-point."""

    STANDARD = "standard"  # OCPP 2.1: Dynamic profile, CentralSetpoint
    LIMIT = "limit"  # a charging profile whose limit may be negative
    DATA_TRANSFER = "data-transfer"  # a vendor message
    VARIABLE = "variable"  # a device-model variable (2.x) or a configuration key (1.6)
    NONE = "none"  # not supported


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Setpoint(_Table):
    """Transmission of a set-point to the station."""

    channel: Channel = Channel.NONE
    why_not: str = ""  # for `none`: the reason shown to operators
    sign: Literal[-1, 1] = -1  # the sign of a discharge on the wire
    unit: Literal["W", "kW", "A"] = "W"
    decimals: int = Field(default=1, ge=0, le=3)
    voltage_v: float = Field(default=230.0, gt=0)  # for A: phase-to-neutral voltage
    phases: int = Field(default=1, ge=1, le=3)
    watchdog: bool = True  # the station ends the set-point by itself when its validity expires
    stack_level: int = Field(default=1, ge=0)
    fallback_profile: bool | None = None  # a TxDefaultProfile beneath; absent: if the channel is a charging profile
    vendor_id: str = ""  # data-transfer
    message_id: str = ""
    data: str = ""  # a template: $value, $seconds, $evse, $transaction
    component: str = ""  # variable, 2.x
    variable: str = ""
    key: str = ""  # variable, 1.6

    @model_validator(mode="after")
    def _fits_the_schema(self) -> Setpoint:
        """Check unit and decimals: a limit of a charging profile is in W or A, in steps of 0.1
        (ChargingSchedulePeriod)."""
        if self.channel is Channel.LIMIT and self.decimals > 1:
            raise ValueError("decimals: a limit has at most one")
        if self.channel is Channel.LIMIT and self.unit == "kW":
            raise ValueError("unit: a limit is in W or A, not in kW")
        return self


class Forming(_Table):
    """Switching of an EVSE between grid-forming and grid-following. No OCPP message exists for it: neither a V2X
    operation mode nor a DER control of 2.1. `none` leaves it to the hardware."""

    channel: Literal[Channel.DATA_TRANSFER, Channel.VARIABLE, Channel.NONE] = Channel.NONE
    form: str = "true"  # value that selects grid-forming
    follow: str = "false"  # value that selects grid-following
    vendor_id: str = ""  # data-transfer
    message_id: str = ""
    data: str = ""  # a template: $value, $evse
    component: str = ""  # variable, 2.x; of that EVSE
    variable: str = ""
    key: str = ""  # variable, 1.6; $evse in it is the connector

    @model_validator(mode="after")
    def _whole(self) -> Forming:
        if self.channel is Channel.DATA_TRANSFER and not (self.vendor_id and "$value" in self.data):
            raise ValueError("vendor_id and data (with $value in it) are required for data-transfer")
        if self.channel is Channel.VARIABLE and not ((self.component and self.variable) or self.key):
            raise ValueError("component and variable (2.x) or key (1.6) are required for variable")
        if self.form == self.follow:
            raise ValueError("form and follow are equal")
        return self

    def value(self, forms: bool) -> str:
        """Return the value on the wire."""
        return self.form if forms else self.follow

    def message(self, forms: bool, evse: int) -> str:
        """Return the text of the vendor message."""
        return Template(self.data).substitute(value=self.value(forms), evse=evse)

    def key_of(self, evse: int) -> str:
        """Return the configuration key of 1.6."""
        return Template(self.key).substitute(evse=evse)


class Meter(_Table):
    """Deviations of meter values from the standard."""

    import_sign: Literal[-1, 1] = 1  # -1: Import is negative while charging
    power_scale: float = Field(default=1.0, gt=0)


class Messages(_Table):
    """Treatment of messages that break their schema."""

    lenient: bool = False  # repair them where there is no doubt about what is meant


class Quirks(_Table):
    """Deviations of stations of this kind. The gateway tolerates all of them; the emulator reproduces them."""

    seq_no_always_zero: bool = False
    meter_only_rises: bool = False  # export is never counted
    clock_aligned_only: bool = False  # only clock-aligned meter values
    accepts_and_ignores: bool = False  # profiles are accepted and not applied
    limit_lapses_s: float | None = Field(
        default=None, gt=0
    )  # the limit lapses after this time and charging is unlimited
    keeps_old_connection: bool = False  # two connections after a modem reset
    reports_late_s: float = Field(default=0.0, ge=0)  # delay of TransactionEvents
    clock_at_epoch: bool = False  # 1970 until the first Heartbeat response
    status_before_boot: bool = False


class VendorProfile(_Table):
    """Profile of one kind of station."""

    name: str = Field(min_length=1)
    title: str = ""
    ocpp: tuple[Literal["1.6", "2.0.1", "2.1"], ...]
    vendor: str = ""  # pattern for the vendor name in BootNotification, such as `Acme*`; empty: by name only
    model: str = "*"
    setpoint: Setpoint = Setpoint()
    forming: Forming = Forming()
    meter: Meter = Meter()
    messages: Messages = Messages()
    quirks: Quirks = Quirks()

    def matches(self, version: Version, vendor: str, model: str) -> bool:
        """Return True if a station with this BootNotification is of this kind."""
        return (
            bool(self.vendor)
            and version.number in self.ocpp
            and fnmatch.fnmatchcase(vendor, self.vendor)
            and fnmatch.fnmatchcase(model, self.model)
        )

    def at(self, version: Version) -> VendorProfile:
        """Return the profile for a station of a version: the set-points of 2.1 do not exist before it."""
        if self.setpoint.channel is not Channel.STANDARD or version is Version.V21:
            return self
        why_not = f"the vendor profile {self.name} is for OCPP 2.1, and the station uses {version.number}"
        return self.model_copy(update={"setpoint": Setpoint(why_not=why_not)})

    @property
    def fallback_profile(self) -> bool:
        """True if the gateway installs a fallback profile.

        A station with a vendor channel may apply both at once, so it gets one only where its vendor profile says so.
        """
        configured = self.setpoint.fallback_profile
        return self.setpoint.channel in (Channel.STANDARD, Channel.LIMIT) if configured is None else configured

    def wire_value(self, power_w: float) -> float:
        """Return a signed power (W, + into the vehicle) in the unit and sign of this station."""
        setpoint = self.setpoint
        value = power_w if setpoint.sign == -1 else -power_w
        if setpoint.unit == "kW":
            value /= 1000.0
        elif setpoint.unit == "A":
            value /= setpoint.voltage_v * setpoint.phases
        rounded = round(value, setpoint.decimals)
        return rounded + 0.0  # no negative zero on the wire

    def power_w(self, value: float) -> float:
        """Return the power of a value on the wire, in W, + into the vehicle."""
        setpoint = self.setpoint
        watts = {"W": 1.0, "kW": 1000.0, "A": setpoint.voltage_v * setpoint.phases}[setpoint.unit] * value
        return watts if setpoint.sign == -1 else 0.0 - watts

    def data(self, power_w: float, valid_for_s: float, evse: int, transaction: str) -> str:
        """Return the text of the vendor message for a set-point."""
        value = self.wire_value(power_w)
        shown = int(value) if self.setpoint.decimals == 0 else value
        return Template(self.setpoint.data).substitute(
            value=shown, seconds=int(valid_for_s), evse=evse, transaction=transaction
        )


class BadProfile(ValueError):
    """A vendor profile that cannot be read; the text names the file, the key and the fault."""


def read(path: Path) -> VendorProfile:
    """Read one file. Raises BadProfile."""
    try:
        document = _renamed(path, tomllib.loads(path.read_text("utf-8")))
        profile = VendorProfile.model_validate(document)
        profile.data(0.0, 0, 1, "")
        profile.forming.message(True, 1)
        profile.forming.key_of(1)
    except BadProfile:
        raise
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadProfile(f"{path}: {error}") from error
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in error.errors())
        raise BadProfile(f"{path}: {faults}") from error
    except (KeyError, ValueError) as error:
        raise BadProfile(f"{path}: invalid template: {error}") from error
    return profile


def _renamed(path: Path, document: dict[str, Any]) -> dict[str, Any]:
    """Return the document with keys of earlier versions under their present names; each one is logged as a warning."""
    table = document.get("setpoint")
    if not isinstance(table, dict):
        return document
    for old in table.keys() & RENAMED:
        new = RENAMED[old]
        if new in table:
            raise BadProfile(f"{path}: setpoint.{old} is the former name of setpoint.{new}; both are set")
        _warn_renamed(path, old, new)
        table[new] = table.pop(old)
    return document


@functools.cache
def _warn_renamed(path: Path, old: str, new: str) -> None:
    """Log a former key once for each file."""
    log.warning("%s: setpoint.%s is now called setpoint.%s", path, old, new)


@functools.cache
def shipped() -> dict[str, VendorProfile]:
    """Return the profiles of the package, by name."""
    profiles = (read(path) for path in sorted(PROFILES.glob("*.toml")))
    return {profile.name: profile for profile in profiles}


def names(folder: Path | None = None) -> list[str]:
    """Return the names of all available profiles, including those of the site."""
    own = [] if folder is None else [path.stem for path in folder.glob("*.toml")]
    return sorted({*own, *shipped()})


def find(name: str, folder: Path | None = None) -> VendorProfile:
    """Return a profile by name, the site's own first. Raises BadProfile with the available names."""
    if name not in names(folder):
        raise BadProfile(f"no vendor profile {name!r}; available: {', '.join(names(folder))}")
    if folder is not None and (path := folder / f"{name}.toml").is_file():
        return read(path)
    return shipped()[name]


def recognise(version: Version, vendor: str, model: str, folder: Path | None = None) -> VendorProfile:
    """Return the profile that matches a BootNotification, the site's own first; the generic one of the version if none
    matches. Raises BadProfile where a file of the site cannot be read."""
    own = [] if folder is None else [read(path) for path in sorted(folder.glob("*.toml"))]
    for profile in (*own, *shipped().values()):
        if profile.matches(version, vendor, model):
            return profile
    return shipped()[f"generic-{version.number}"]
