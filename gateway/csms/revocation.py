"""Revoked certificates of stations: certificate revocation lists of the site's authorities (RFC 5280), from one file.

The file is PEM with one list per authority, and is read again when it changes. A list that is out of date still counts:
a site without uplink goes on, with a warning. OCSP, which needs a responder at every connection, is not supported.
"""

from __future__ import annotations

import datetime as dt
import logging
import re
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from gateway.csms.settings import CsmsSettings

log = logging.getLogger("v2x.csms")

READ_EVERY_S = 10.0  # a change of the file is detected after so long
_PEM = re.compile(rb"-----BEGIN X509 CRL-----.+?-----END X509 CRL-----", re.DOTALL)


class RevocationLists:
    """Lists of a file whose signatures fit the authorities of another one. Raises ValueError or OSError for others."""

    def __init__(self, file: Path, authorities: Path) -> None:
        self._file, self._authorities = file, authorities
        self._changed = self._state()
        self._lists = _read(file, authorities)
        self._warn_if_outdated()

    def is_revoked(self, certificate: bytes) -> bool:
        """Return True if a certificate in DER is on the list of its issuer."""
        leaf = x509.load_der_x509_certificate(certificate)
        found = [one for one in self._lists if one.issuer == leaf.issuer]
        return any(one.get_revoked_certificate_by_serial_number(leaf.serial_number) is not None for one in found)

    def refresh(self) -> bool:
        """Read the file again if it changed; return if it did. One that cannot be used leaves the lists in force."""
        try:
            if (state := self._state()) == self._changed:
                return False
            self._changed = state
            self._lists = _read(self._file, self._authorities)
        except (OSError, ValueError) as error:
            log.error("ocpp.tls_crl: the former revocation lists stay in force: %s", error)
            return False
        log.info("ocpp.tls_crl: %s was read again", self._file)
        self._warn_if_outdated()
        return True

    def _state(self) -> tuple[int, int, int]:
        stat = self._file.stat()
        return stat.st_mtime_ns, stat.st_ino, stat.st_size

    def _warn_if_outdated(self) -> None:
        for one in self._lists:
            until = one.next_update_utc
            if until is not None and until < dt.datetime.now(dt.UTC):
                log.warning("ocpp.tls_crl: the list of %s is out of date since %s", _name(one), until.isoformat())


def revocation_lists(settings: CsmsSettings) -> RevocationLists | None:
    """Return the revocation lists of the stations' certificates, if configured; ValueError or OSError if unusable."""
    if settings.tls_crl is None or settings.tls_ca is None:
        return None
    return RevocationLists(settings.tls_crl, settings.tls_ca)


def _read(file: Path, authorities: Path) -> list[x509.CertificateRevocationList]:
    issuers = x509.load_pem_x509_certificates(authorities.read_bytes())
    lists = [x509.load_pem_x509_crl(found) for found in _PEM.findall(file.read_bytes())]
    if not lists:
        raise ValueError(f"{file} has no certificate revocation list (PEM)")
    for one in lists:
        if not any(_signed_by(one, issuer) for issuer in issuers):
            raise ValueError(f"{file}: the list of {_name(one)} is not signed by an authority in {authorities}")
    return lists


def _signed_by(crl: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    key = issuer.public_key()
    try:
        return issuer.subject == crl.issuer and crl.is_signature_valid(key)  # type: ignore[arg-type]
    except (InvalidSignature, TypeError):
        return False


def _name(crl: x509.CertificateRevocationList) -> str:
    return crl.issuer.rfc4514_string()
