"""Command-line options of an ISO 15118-20 session, shared by `v2x ev` and `v2x secc`."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from protocols.iso15118 import tls
from protocols.iso15118.iso20.services import ControlMode

T = TypeVar("T")
CONTROLS = {"dynamic": ControlMode.DYNAMIC, "scheduled": ControlMode.SCHEDULED}


class OptionError(ValueError):
    """Invalid option or combination of options."""


def iso20_version(name: str) -> tls.TlsVersion:
    """Return the TLS version of an option; OptionError for TLS 1.2 (V2G20-1237, V2G20-2356). None is for tests."""
    version = tls.TlsVersion(name)
    if version is tls.TlsVersion.TLS_1_2:
        raise OptionError("TLS 1.2 is for ISO 15118-2; ISO 15118-20 needs --tls 1.3 (or none, for tests)")
    return version


def known(table: Mapping[str, T], name: str, what: str) -> T:
    """Return the entry of an option's value; OptionError for an unknown one."""
    if name.strip() not in table:
        raise OptionError(f"unknown {what} {name.strip()!r}; known: {', '.join(table)}")
    return table[name.strip()]


def tls_context(
    make: Callable[[Path, tls.TlsVersion, tls.TlsProfile], ssl.SSLContext],
    version: tls.TlsVersion,
    profile: str,
    pki_directory: Path | None,
) -> ssl.SSLContext | None:
    """Return the TLS context that `make` creates for the options, None without TLS. Raises OptionError."""
    if version is tls.TlsVersion.NONE:
        return None
    if pki_directory is None:
        raise OptionError("TLS needs certificates: give their directory (`v2x pki create DIR` creates test ones)")
    return make(pki_directory, version, tls.TlsProfile(profile))
