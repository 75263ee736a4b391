"""Certificates in the emulated station: roots that were installed, and its own key and certificate (M03-M05, A02)."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ocsp
from cryptography.x509.oid import NameOID

MOST = 32


@dataclass(frozen=True, slots=True)
class Installed:
    """One certificate that was installed, as what."""

    kind: str
    certificate: x509.Certificate

    def hash_data(self) -> dict[str, str]:
        """CertificateHashDataType, with SHA-256. A root is its own issuer."""
        builder = ocsp.OCSPRequestBuilder().add_certificate(self.certificate, self.certificate, hashes.SHA256())
        asked = builder.build()
        return {
            "hashAlgorithm": "SHA256",
            "issuerNameHash": asked.issuer_name_hash.hex(),
            "issuerKeyHash": asked.issuer_key_hash.hex(),
            "serialNumber": f"{self.certificate.serial_number:x}",
        }


class CertificateStore:
    """All of them."""

    def __init__(self) -> None:
        self.installed: list[Installed] = []
        self.own: list[x509.Certificate] = []
        self._key: ec.EllipticCurvePrivateKey | None = None

    def install(self, kind: str, pem: str) -> str:
        """Accepted, Rejected where it is no certificate, Failed where there is no room."""
        try:
            certificate = x509.load_pem_x509_certificate(pem.encode())
            entry = Installed(kind, certificate)
            entry.hash_data()
        except ValueError:
            return "Rejected"
        self.installed = [one for one in self.installed if one != entry]
        if len(self.installed) >= MOST:
            return "Failed"
        self.installed.append(entry)
        return "Accepted"

    def of(self, kinds: list[str] | None) -> list[Installed]:
        """Those of some kinds, or all."""
        return [one for one in self.installed if kinds is None or one.kind in kinds]

    def delete(self, hash_data: dict[str, str]) -> str:
        """Accepted or NotFound. Hashes are compared without case."""
        wanted = {name: str(value).lower() for name, value in hash_data.items()}
        left = [
            one
            for one in self.installed
            if any(wanted.get(name) != value.lower() for name, value in one.hash_data().items())
        ]
        found = len(left) < len(self.installed)
        self.installed = left
        return "Accepted" if found else "NotFound"

    def request(self, station: str) -> str:
        """A signing request for a fresh key."""
        self._key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, station)])
        asked = x509.CertificateSigningRequestBuilder().subject_name(name).sign(self._key, hashes.SHA256())
        return asked.public_bytes(serialization.Encoding.PEM).decode()

    def take(self, chain: str) -> bool:
        """A signed chain, leaf first; whether it is for the key that was asked for."""
        try:
            certificates = x509.load_pem_x509_certificates(chain.encode())
        except ValueError:
            return False
        if self._key is None or certificates[0].public_key() != self._key.public_key():
            return False
        self.own, self._key = certificates, None
        return True
