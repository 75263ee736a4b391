"""Certificates of an emulated station: installed roots, its own key and certificate (M03-M05, A02)."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ocsp
from cryptography.x509.oid import NameOID

from emulators.charger.station.store import Saved
from protocols.ocpp.enums import v21

MAX_INSTALLED = 32


@dataclass(frozen=True, slots=True)
class Installed:
    """One installed certificate and its InstallCertificateUseEnumType."""

    kind: str
    certificate: x509.Certificate

    def hash_data(self) -> dict[str, str]:
        """Return CertificateHashDataType with SHA-256. A root is its own issuer."""
        builder = ocsp.OCSPRequestBuilder().add_certificate(self.certificate, self.certificate, hashes.SHA256())
        request = builder.build()
        return {
            "hashAlgorithm": "SHA256",
            "issuerNameHash": request.issuer_name_hash.hex(),
            "issuerKeyHash": request.issuer_key_hash.hex(),
            "serialNumber": f"{self.certificate.serial_number:x}",
        }


class CertificateStore:
    """Installed certificates, and the station's own chain with its key."""

    def __init__(self) -> None:
        self.installed: list[Installed] = []
        self.own: list[x509.Certificate] = []
        self.key: ec.EllipticCurvePrivateKey | None = None  # of the own certificate
        self._requested_key: ec.EllipticCurvePrivateKey | None = None  # of the signing request under way

    def install(self, kind: str, pem: str, now: float) -> str:
        """Install a certificate; return Accepted, Rejected if invalid or expired, Failed if the store is full."""
        try:
            certificate = x509.load_pem_x509_certificate(pem.encode())
            entry = Installed(kind, certificate)
            entry.hash_data()
        except ValueError:
            return v21.InstallCertificateStatusEnumType.rejected
        if expired(certificate, now):
            return v21.InstallCertificateStatusEnumType.rejected  # M05.FR.07
        self.installed = [one for one in self.installed if one != entry]
        if len(self.installed) >= MAX_INSTALLED:
            return v21.InstallCertificateStatusEnumType.failed
        self.installed.append(entry)
        return v21.InstallCertificateStatusEnumType.accepted

    def of(self, kinds: list[str] | None) -> list[Installed]:
        """Return the installed certificates of some kinds, or all."""
        return [one for one in self.installed if kinds is None or one.kind in kinds]

    def delete(self, hash_data: dict[str, str]) -> str:
        """Delete by hash data, without regard to case; return Accepted or NotFound."""
        requested = {name: str(value).lower() for name, value in hash_data.items()}
        left = [
            one
            for one in self.installed
            if any(requested.get(name) != value.lower() for name, value in one.hash_data().items())
        ]
        found = len(left) < len(self.installed)
        self.installed = left
        return v21.DeleteCertificateStatusEnumType.accepted if found else v21.DeleteCertificateStatusEnumType.not_found

    def saved(self) -> Saved:
        """Return the stored form: PEM, with the own key."""
        pem = serialization.Encoding.PEM
        return {
            "installed": [[one.kind, one.certificate.public_bytes(pem).decode()] for one in self.installed],
            "own": [one.public_bytes(pem).decode() for one in self.own],
            "key": self.key_pem(),
        }

    def restore(self, saved: Saved) -> None:
        """Restore the stored form."""
        load = x509.load_pem_x509_certificate
        self.installed = [Installed(kind, load(pem.encode())) for kind, pem in saved["installed"]]
        self.own = [load(pem.encode()) for pem in saved["own"]]
        if saved["key"]:
            key = serialization.load_pem_private_key(saved["key"].encode(), None)
            self.key = key if isinstance(key, ec.EllipticCurvePrivateKey) else None

    def key_pem(self) -> str:
        """Return the key of the own certificate as PEM, empty without one."""
        if self.key is None:
            return ""
        plain = serialization.NoEncryption()
        return self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain).decode()

    def request(self, station: str) -> str:
        """Create a key; return its certificate signing request."""
        self._requested_key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, station)])
        request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(self._requested_key, hashes.SHA256())
        return request.public_bytes(serialization.Encoding.PEM).decode()

    def accept(self, chain: str, now: float) -> bool:
        """Accept a signed chain, leaf first; return False if it is invalid or not for the requested key."""
        try:
            certificates = x509.load_pem_x509_certificates(chain.encode())
        except ValueError:
            return False
        if expired(certificates[0], now):
            return False
        if self._requested_key is None or certificates[0].public_key() != self._requested_key.public_key():
            return False
        self.own, self.key, self._requested_key = certificates, self._requested_key, None
        return True


def expired(certificate: x509.Certificate, now: float) -> bool:
    """Return True after the end of validity. The start is not checked: stations boot with clocks that are behind."""
    return now >= certificate.not_valid_after_utc.timestamp()
