"""What `v2x ev` and `v2x secc` understand alike on the command line of an ISO 15118-20 session."""

from __future__ import annotations

from protocols.iso15118 import tls
from protocols.iso15118.iso20.services import ControlMode

CONTROLS = {"dynamic": ControlMode.DYNAMIC, "scheduled": ControlMode.SCHEDULED}


class OptionError(ValueError):
    """An option or a combination of options that makes no sense."""


def iso20_version(name: str) -> tls.TlsVersion:
    """ISO 15118-20 never runs over TLS 1.2 (V2G20-1237, V2G20-2356); without TLS it does, for tests."""
    version = tls.TlsVersion(name)
    if version is tls.TlsVersion.TLS_1_2:
        raise OptionError("TLS 1.2 is for ISO 15118-2; ISO 15118-20 needs --tls 1.3 (or none, for tests)")
    return version
