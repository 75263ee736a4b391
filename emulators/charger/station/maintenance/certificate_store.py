"""Certificates in the emulated station: roots that were installed, and its own key and certificate (M03-M05, A02)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

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
        self.key: ec.EllipticCurvePrivateKey | None = None  # of our own certificate
        self._key: ec.EllipticCurvePrivateKey | None = None

    def install(self, kind: str, pem: str, now: float) -> str:
        """Accepted, Rejected where it is no certificate of this time, Failed where there is no room."""
        try:
            certificate = x509.load_pem_x509_certificate(pem.encode())
            entry = Installed(kind, certificate)
            entry.hash_data()
        except ValueError:
            return "Rejected"
        if expired(certificate, now):
            return "Rejected"  # M05.FR.07
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

    def saved(self) -> dict[str, Any]:
        """What is kept over a restart: PEM, and the key it was signed for."""
        pem = serialization.Encoding.PEM
        return {
            "installed": [[one.kind, one.certificate.public_bytes(pem).decode()] for one in self.installed],
            "own": [one.public_bytes(pem).decode() for one in self.own],
            "key": self.key_pem(),
        }

    def restore(self, saved: dict[str, Any]) -> None:
        """What was kept."""
        load = x509.load_pem_x509_certificate
        self.installed = [Installed(kind, load(pem.encode())) for kind, pem in saved["installed"]]
        self.own = [load(pem.encode()) for pem in saved["own"]]
        if saved["key"]:
            key = serialization.load_pem_private_key(saved["key"].encode(), None)
            self.key = key if isinstance(key, ec.EllipticCurvePrivateKey) else None

    def key_pem(self) -> str:
        """The key of the own certificate, empty without one."""
        if self.key is None:
            return ""
        plain = serialization.NoEncryption()
        return self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain).decode()

    def request(self, station: str) -> str:
        """A signing request for a fresh key."""
        self._key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, station)])
        asked = x509.CertificateSigningRequestBuilder().subject_name(name).sign(self._key, hashes.SHA256())
        return asked.public_bytes(serialization.Encoding.PEM).decode()

    def take(self, chain: str, now: float) -> bool:
        """A signed chain, leaf first; whether it is for the key that was asked for."""
        try:
            certificates = x509.load_pem_x509_certificates(chain.encode())
        except ValueError:
            return False
        if expired(certificates[0], now):
            return False
        if self._key is None or certificates[0].public_key() != self._key.public_key():
            return False
        self.own, self.key, self._key = certificates, self._key, None
        return True


def expired(certificate: x509.Certificate, now: float) -> bool:
    """Whether its time is over. That it has not begun is no ground: stations boot with clocks that are behind."""
    return now >= certificate.not_valid_after_utc.timestamp()
