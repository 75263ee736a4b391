"""Certificates of stations, signed by the site's own authority (2.x A02, A03; 1.6 security whitepaper).

The signed chain is sent as CertificateSigned, the leaf first. Without an authority every request is rejected. V2G
certificates (of an SECC) are issued by a V2G authority and are not signed here.
"""

from __future__ import annotations

import datetime as dt
import functools
import logging
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gateway.csms.station import Station
from protocols.ocpp.enums import v21
from protocols.ocpp.schema import Payload

log = logging.getLogger("v2x.csms")

VALID_FOR = dt.timedelta(days=397)
BACKDATED = dt.timedelta(minutes=5)  # for stations with a slow clock
Use, Status = v21.CertificateSigningUseEnumType, v21.GenericStatusEnumType
RSA_BITS, EC_BITS = 2048, 224  # A00.FR.504, A00.FR.505
NOT_SIGNED_HERE = frozenset({Use.v2g_certificate, Use.v2g20_certificate})


class NotSigned(ValueError):
    """The reason why a request is not signed."""


@dataclass(frozen=True)
class Authority:
    """The certificate authority of the site."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

    def sign(self, request: str, station: str, wall: float) -> str:
        """Return the chain for a PEM request, leaf first. Raises NotSigned with the reason."""
        checked = _checked(request, station)
        now = dt.datetime.fromtimestamp(wall, dt.UTC)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, station)])
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
        leaf = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self.certificate.subject)
            .public_key(checked.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - BACKDATED)
            .not_valid_after(now + VALID_FOR)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(usage, critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        return "".join(c.public_bytes(serialization.Encoding.PEM).decode() for c in (leaf, self.certificate))


def _checked(request: str, station: str) -> x509.CertificateSigningRequest:
    try:
        csr = x509.load_pem_x509_csr(request.encode())
    except ValueError as error:
        raise NotSigned(f"not a certificate signing request: {error}") from None
    if not csr.is_signature_valid:
        raise NotSigned("the signature of the request is wrong")
    names = [str(one.value) for one in csr.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if names != [station]:
        raise NotSigned(f"its common name is {', '.join(names) or 'absent'}, not the station's id")
    key = csr.public_key()
    strong = (isinstance(key, rsa.RSAPublicKey) and key.key_size >= RSA_BITS) or (
        isinstance(key, ec.EllipticCurvePublicKey) and key.key_size >= EC_BITS
    )
    if not strong:
        raise NotSigned("its key is neither RSA with 2048 bits nor elliptic-curve with 224")
    return csr


@functools.cache
def authority(certificate: Path, key: Path) -> Authority:
    """Return the authority of two files, read once. Raises ValueError or OSError for invalid ones."""
    private = serialization.load_pem_private_key(key.read_bytes(), None)
    if not isinstance(private, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise ValueError(f"{key} contains neither an RSA nor an elliptic-curve key")
    return Authority(x509.load_pem_x509_certificate(certificate.read_bytes()), private)


def sign_certificate(station: Station, payload: Payload) -> Payload:
    """Process SignCertificate: Accepted, and the certificate follows; or Rejected, with the reason in the log."""
    settings = station.context.settings
    if settings.tls_ca is None or settings.ca_key is None or payload.get("certificateType") in NOT_SIGNED_HERE:
        return {"status": Status.rejected}
    try:
        issuer = authority(settings.tls_ca, settings.ca_key)
        chain = issuer.sign(payload["csr"], station.id, station.context.clock.wall())
    except (NotSigned, ValueError, OSError) as error:
        log.warning("%s: its certificate is not signed: %s", station.id, error)
        return {"status": Status.rejected}
    body: Payload = {"certificateChain": chain}
    for name in ("certificateType", "requestId"):  # 2.x only; 1.6 has neither
        if name in payload:
            body[name] = payload[name]
    station.spawn(_send(station, body))
    return {"status": Status.accepted}


async def _send(station: Station, body: Payload) -> None:
    answer = await station.query(v21.Action.certificate_signed, body)
    if answer is None or answer["status"] != Status.accepted:
        log.warning("%s did not accept its new certificate: %s", station.id, answer)
