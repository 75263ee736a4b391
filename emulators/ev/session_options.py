"""Command-line options of a session of ISO 15118 or DIN 70121, shared by `v2x ev` and `v2x secc`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TypeVar

from protocols.iso15118 import tls
from protocols.iso15118.iso20.services import ControlMode

T = TypeVar("T")
C = TypeVar("C")
PROTOCOLS = {name: name for name in ("iso20", "iso2", "din")}
OLDER = frozenset({"iso2", "din"})
TOLERANCES = {name: name for name in ("interop", "strict")}
CONTROLS = {"dynamic": ControlMode.DYNAMIC, "scheduled": ControlMode.SCHEDULED}


class OptionError(ValueError):
    """Invalid option or combination of options."""


def tls_version(name: str, protocols: Collection[str]) -> tls.TlsVersion:
    """Return the TLS version of an option; OptionError for -20 on TLS 1.2 (V2G20-1237, V2G20-2356). None is for
    tests of -20."""
    version = tls.TlsVersion(name)
    if version is not tls.TlsVersion.NONE and set(protocols) == {"din"}:
        raise OptionError("DIN 70121 is without TLS: give --tls none")
    if version is tls.TlsVersion.TLS_1_2 and "iso20" in protocols:
        raise OptionError("TLS 1.2 is for --protocols iso2; ISO 15118-20 needs --tls 1.3 (or none, for tests)")
    return version


def usable(protocols: Collection[str], tls_version: str | None) -> tuple[str, ...]:
    """Return the protocols that a car may offer on a connection with this TLS version (V2G20-1237, V2G-DC-618)."""
    barred = {None: set[str](), "TLSv1.2": {"iso20", "din"}}.get(tls_version, {"din"})
    return tuple(one for one in protocols if one not in barred)


def known(table: Mapping[str, T], name: str, what: str) -> T:
    """Return the entry of an option's value; OptionError for an unknown one."""
    if name.strip() not in table:
        raise OptionError(f"unknown {what} {name.strip()!r}; known: {', '.join(table)}")
    return table[name.strip()]


def protocols_of(names: str) -> tuple[str, ...]:
    """Return the protocols of an option, in its order; OptionError for an unknown one."""
    return tuple(dict.fromkeys(known(PROTOCOLS, name, "protocol") for name in names.split(",")))


def tls_context(
    make: Callable[[Path, tls.TlsVersion, tls.TlsProfile], C],
    version: tls.TlsVersion,
    profile: str,
    pki_directory: Path | None,
) -> C | None:
    """Return the TLS context that `make` creates for the options, None without TLS. Raises OptionError."""
    if version is tls.TlsVersion.NONE:
        return None
    if pki_directory is None:
        raise OptionError("TLS needs certificates: give their directory (`v2x pki create DIR` creates test ones)")
    return make(pki_directory, version, tls.TlsProfile(profile))
