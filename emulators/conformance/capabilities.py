"""Capabilities of a device: what it declares in a file (like a PICS), and what a dialogue with it shows.

    # device.toml
    [device]
    vendor = "Example"
    name = "Wallbox 11"
    firmware = "1.4.2"

    [capabilities]
    "iso20.dc_bpt" = true
    "iso20.pause" = false

A declared value has priority over a discovered one. What neither states has the default of the catalogue.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path


class CapabilityError(ValueError):
    """Invalid capability file."""


@dataclass(frozen=True, slots=True)
class Capability:
    """Capability that cases require: its meaning, and its value where neither file nor dialogue states one."""

    text: str
    default: bool = True


@dataclass(frozen=True, slots=True)
class DeviceIdentity:
    """Identity of the device as declared or as it states it; unknown fields are empty."""

    vendor: str = ""
    name: str = ""
    serial: str = ""
    firmware: str = ""

    def merged(self, other: DeviceIdentity) -> DeviceIdentity:
        """Return this identity with the fields of `other` where this one has none."""
        return replace(
            self,
            vendor=self.vendor or other.vendor,
            name=self.name or other.name,
            serial=self.serial or other.serial,
            firmware=self.firmware or other.firmware,
        )

    def __str__(self) -> str:
        return " ".join(part for part in (self.vendor, self.name, self.serial) if part) or "not identified"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Capabilities in force, each with its source: declared, discovered or default."""

    known: Mapping[str, Capability]
    declared: Mapping[str, bool] = field(default_factory=dict)
    discovered: Mapping[str, bool] = field(default_factory=dict)

    def has(self, name: str) -> bool:
        """Return True if the device has the capability. Raises KeyError for an unknown name."""
        return self.source(name)[0]

    def source(self, name: str) -> tuple[bool, str]:
        """Return the value of a capability and where it is from."""
        if name in self.declared:
            return self.declared[name], "declared"
        if name in self.discovered:
            return self.discovered[name], "discovered"
        return self.known[name].default, "default"

    def missing(self, names: tuple[str, ...]) -> tuple[str, str] | None:
        """Return the first of the names that the device has not, and its source; None if it has all."""
        for name in names:
            value, source = self.source(name)
            if not value:
                return name, source
        return None


@dataclass(frozen=True, slots=True)
class Declaration:
    """Content of a capability file."""

    device: DeviceIdentity = field(default_factory=DeviceIdentity)
    capabilities: Mapping[str, bool] = field(default_factory=dict)


def load(path: Path, known: Mapping[str, Capability]) -> Declaration:
    """Return the content of a capability file. Raises CapabilityError."""
    try:
        return parse(path.read_text("utf-8"), str(path), known)
    except OSError as error:
        raise CapabilityError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise CapabilityError(f"{path}: {error}") from error


def parse(text: str, path: str, known: Mapping[str, Capability]) -> Declaration:
    """Return the content of the text of a capability file; `path` names it. Raises CapabilityError."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CapabilityError(f"{path}: {error}") from error
    for name in table.keys() - {"device", "capabilities"}:
        raise CapabilityError(f"{path}: unknown table {name!r}; tables are device and capabilities")
    device = _device(path, table.get("device", {}))
    values = dict(_flat(path, table.get("capabilities", {})))
    for name in values:
        if name not in known:
            near = get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
            raise CapabilityError(f"{path}: unknown capability {name!r}; {hint}")
    return Declaration(device, values)


def _device(path: str, table: object) -> DeviceIdentity:
    fields = ("vendor", "name", "serial", "firmware")
    if not isinstance(table, dict) or not all(n in fields and isinstance(v, str) for n, v in table.items()):
        raise CapabilityError(f"{path}: device has the texts {', '.join(fields)}")
    return DeviceIdentity(**table)


def _flat(path: str, table: object, prefix: str = "") -> list[tuple[str, bool]]:
    """Return the capabilities of a table; nested tables are names with dots."""
    if not isinstance(table, dict):
        raise CapabilityError(f"{path}: capabilities is a table")
    found: list[tuple[str, bool]] = []
    for name, value in table.items():
        if isinstance(value, dict):
            found += _flat(path, value, f"{prefix}{name}.")
        elif isinstance(value, bool):
            found.append((f"{prefix}{name}", value))
        else:
            raise CapabilityError(f"{path}: capability {prefix}{name} is true or false")
    return found
