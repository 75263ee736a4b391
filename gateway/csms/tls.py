"""TLS of the port that stations connect to (2.1 part 2, A00)."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

# TLS 1.2: the four that every CSMS must offer (A00.FR.318, A00.FR.421) and equivalents, best first; 1.3 has its own
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:AES128-GCM-SHA256:AES256-GCM-SHA384:!aNULL:!PSK"


def server_context(certificate: Path, key: Path, authority: Path | None, profile: int) -> ssl.SSLContext:
    """Return the context for security profile 2 or 3: TLS 1.2 or newer (A00.FR.3xx).

    Profile 3 requires the station's certificate. Raises ValueError where its authority is missing.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.load_cert_chain(certificate, key)
    if profile == 3 and authority is None:
        raise ValueError("ocpp.tls_ca is required for security profile 3: the authority of the stations' certificates")
    if authority is not None:  # in other profiles a certificate is optional: a station may migrate to profile 3 (A05)
        context.load_verify_locations(authority)
        context.verify_mode = ssl.CERT_REQUIRED if profile == 3 else ssl.CERT_OPTIONAL
    return context


def common_name(certificate: dict[str, Any] | None) -> str | None:
    """Return the common name of the subject of a peer certificate, in the form that `ssl` returns."""
    subject = (certificate or {}).get("subject", ())
    return next((str(value) for relative in subject for key, value in relative if key == "commonName"), None)
