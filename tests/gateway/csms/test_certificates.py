"""Station certificates: requested over OCPP, signed by the site's authority and returned; rejected requests."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from gateway.csms.certificates import NotSigned, authority
from protocols.ocpp.schema import Version
from tests.gateway.csms.raw_station import Raw
from tests.gateway.csms.test_security import Authority

pytestmark = pytest.mark.virtual_time


def request(name: str, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    csr = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return csr.public_bytes(serialization.Encoding.PEM).decode()


def files(folder: Path) -> tuple[Path, Path]:
    ca = Authority(folder)
    key = folder / "ca.key"
    plain = serialization.NoEncryption()
    key.write_bytes(ca.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    return ca.file, key


@pytest.mark.parametrize("version", list(Version))
async def test_a_requested_certificate_is_signed_and_sent(version: Version, tmp_path: Path) -> None:
    certificate, key = files(tmp_path)

    async with Raw(version, tls_ca=certificate, ca_key=key) as raw:
        await raw.boot()
        own = ec.generate_private_key(ec.SECP256R1())
        assert await raw.ok("SignCertificate", {"csr": request("CP1", own)}) == {"status": "Accepted"}
        sent = await raw.next_call("CertificateSigned", {"status": "Accepted"})
        leaf, signer = x509.load_pem_x509_certificates(sent["certificateChain"].encode())
        leaf.verify_directly_issued_by(signer)
        assert leaf.public_key() == own.public_key()
        assert leaf.subject.rfc4514_string() == "CN=CP1"
        for bad in ("nonsense", request("CP2", own)):
            assert await raw.ok("SignCertificate", {"csr": bad}) == {"status": "Rejected"}


async def test_without_an_authority_nothing_is_signed() -> None:
    async with Raw() as raw:
        await raw.boot()
        own = ec.generate_private_key(ec.SECP256R1())
        assert await raw.ok("SignCertificate", {"csr": request("CP1", own)}) == {"status": "Rejected"}


def test_a_weak_key_is_not_signed(tmp_path: Path) -> None:
    signer = authority(*files(tmp_path))
    weak = rsa.generate_private_key(65537, 1024)
    with pytest.raises(NotSigned, match="RSA with 2048"):
        signer.sign(request("CP1", weak), "CP1", 1.8e9)
