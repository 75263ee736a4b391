"""Names in the subject of a certificate that ISO 15118 evaluates.

Importing `cryptography` takes as long as importing all messages of a session, and sessions without TLS have no
certificates: it is imported when the first certificate is read.
"""

from __future__ import annotations

COMMON_NAME = "2.5.4.3"
DOMAIN_COMPONENT = "0.9.2342.19200300.100.1.25"


def common_name(der: bytes) -> str | None:
    """Return the common name of a certificate (the EVCCID of a vehicle certificate); None without one."""
    return _first(der, COMMON_NAME)


def domain_component(der: bytes) -> str | None:
    """Return the DC of a certificate's subject: CPO for a charger's."""
    return _first(der, DOMAIN_COMPONENT)


def _first(der: bytes, oid: str) -> str | None:
    from cryptography import x509

    attributes = x509.load_der_x509_certificate(der).subject.get_attributes_for_oid(x509.ObjectIdentifier(oid))
    return str(attributes[0].value) if attributes else None
