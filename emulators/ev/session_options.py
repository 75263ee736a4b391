"""Command-line options of an ISO 15118-20 session, shared by `v2x ev` and `v2x secc`."""

from __future__ import annotations

from protocols.iso15118 import tls
from protocols.iso15118.iso20.services import ControlMode

CONTROLS = {"dynamic": ControlMode.DYNAMIC, "scheduled": ControlMode.SCHEDULED}


class OptionError(ValueError):
    """Invalid option or combination of options."""


def iso20_version(name: str) -> tls.TlsVersion:
    """Return the TLS version of an option; OptionError for TLS 1.2 (V2G20-1237, V2G20-2356). None is for tests."""
    version = tls.TlsVersion(name)
    if version is tls.TlsVersion.TLS_1_2:
        raise OptionError("TLS 1.2 is for ISO 15118-2; ISO 15118-20 needs --tls 1.3 (or none, for tests)")
    return version
