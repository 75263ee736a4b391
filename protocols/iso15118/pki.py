"""Test certificates: the roots and chains of an ISO 15118 ecosystem, in one folder per curve.

`create(directory)` writes `p256/` (ISO 15118-2, and peers without other curves) and `p521/` (ISO 15118-20), each with

| file (`.pem` and `.key`) | content |
|---|---|
| `v2g_root`, `cpo_sub1`, `cpo_sub2`, `secc` | the charger's chain; `secc` is the TLS server (DC=CPO) |
| `oem_root`, `oem_sub`, `vehicle`, `oem_provisioning` | the EV's chain; `vehicle` (CN: EVCCID) is the TLS client |
| `mo_root`, `mo_sub1`, `mo_sub2`, `contract` | the contract chain; not used in TLS |
| `cps_sub1`, `cps_sub2`, `cps` | the certificate provisioning service under the V2G root (DC=CPS) |

A leaf's `.pem` holds the leaf and its sub-CAs, without the root. The keys are not encrypted: for tests only. TLS
contexts are in `tls.py`, subject names in `subject.py`. Source: certificate profiles of ISO 15118-2 and -20; validity
periods differ where tests require it.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from protocols import private_file
from protocols.frozen import frozen

CURVES: dict[str, tuple[ec.EllipticCurve, hashes.SHA256 | hashes.SHA512]] = {
    "p256": (ec.SECP256R1(), hashes.SHA256()),
    "p521": (ec.SECP521R1(), hashes.SHA512()),
}
DAY = dt.timedelta(days=1)
EVCCID = "WMIV1234567890ABCDEX"
PCID = "WMIPCID0123456789"
EMAID = "DE8AAC1A2B3C4D5"
SECC_ID = "DE8AAE12345678"


@frozen
class _Plan:
    name: str
    issuer: str  # own name: self-signed
    common_name: str
    domain: str | None
    days: int
    depth: int | None  # None: a leaf
    usage: x509.ObjectIdentifier | None = None


_PLANS = (
    _Plan("v2g_root", "v2g_root", "V2G Test Root", "V2G", 3650, 3),
    _Plan("cpo_sub1", "v2g_root", "CPO Test Sub-CA 1", "CPO", 1460, 1),
    _Plan("cpo_sub2", "cpo_sub1", "CPO Test Sub-CA 2", "CPO", 730, 0),
    _Plan("secc", "cpo_sub2", SECC_ID, "CPO", 90, None, ExtendedKeyUsageOID.SERVER_AUTH),
    _Plan("oem_root", "oem_root", "OEM Test Root", "OEM", 3650, 3),
    _Plan("oem_sub", "oem_root", "OEM Test Sub-CA", "OEM", 1460, 0),
    _Plan("vehicle", "oem_sub", EVCCID, "OEM", 1460, None, ExtendedKeyUsageOID.CLIENT_AUTH),
    _Plan("oem_provisioning", "oem_sub", PCID, "OEM", 1460, None),
    _Plan("mo_root", "mo_root", "MO Test Root", "MO", 3650, 3),
    _Plan("mo_sub1", "mo_root", "MO Test Sub-CA 1", "MO", 1460, 1),
    _Plan("mo_sub2", "mo_sub1", "MO Test Sub-CA 2", "MO", 730, 0),
    _Plan("contract", "mo_sub2", EMAID, "MO", 730, None),
    _Plan("cps_sub1", "v2g_root", "CPS Test Sub-CA 1", "CPS", 1460, 1),
    _Plan("cps_sub2", "cps_sub1", "CPS Test Sub-CA 2", "CPS", 730, 0),
    _Plan("cps", "cps_sub2", "CPS Test Leaf", "CPS", 730, None),
)
_BY_NAME = {plan.name: plan for plan in _PLANS}


def create(directory: str | Path, *, evccid: str = EVCCID, now: dt.datetime | None = None) -> list[Path]:
    """Write both sets of certificates below `directory` and return the files. Raises OSError.

    `evccid` becomes the vehicle certificate's common name. Existing files are overwritten.
    """
    written: list[Path] = []
    for curve in CURVES:
        written += create_set(Path(directory) / curve, curve, evccid=evccid, now=now)
    return written


def create_set(directory: Path, curve: str, *, evccid: str = EVCCID, now: dt.datetime | None = None) -> list[Path]:
    """Write one set of certificates of one curve (`p256` or `p521`)."""
    elliptic, digest = CURVES[curve]
    moment = now or dt.datetime.now(dt.UTC)
    keys: dict[str, ec.EllipticCurvePrivateKey] = {}
    certificates: dict[str, x509.Certificate] = {}
    directory.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for plan in _PLANS:
        keys[plan.name] = ec.generate_private_key(elliptic)
        common_name = evccid if plan.name == "vehicle" else plan.common_name
        certificates[plan.name] = _sign(plan, common_name, keys, certificates, digest, moment)
        written += _write(directory, plan, keys[plan.name], certificates)
    return written


def chain(name: str) -> tuple[str, ...]:
    """Return the names from a certificate up to its root, without the root: ("secc", "cpo_sub2", "cpo_sub1")."""
    names: list[str] = []
    plan = _BY_NAME[name]
    while plan.issuer != plan.name:
        names.append(plan.name)
        plan = _BY_NAME[plan.issuer]
    return tuple(names) or (name,)


def _sign(
    plan: _Plan,
    common_name: str,
    keys: dict[str, ec.EllipticCurvePrivateKey],
    certificates: dict[str, x509.Certificate],
    digest: hashes.SHA256 | hashes.SHA512,
    now: dt.datetime,
) -> x509.Certificate:
    public = keys[plan.name].public_key()
    subject = _name(common_name, plan.domain)
    issuer = subject if plan.issuer == plan.name else certificates[plan.issuer].subject
    authority = keys[plan.issuer].public_key()
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - DAY)
        .not_valid_after(now + plan.days * DAY)
        .add_extension(x509.BasicConstraints(ca=plan.depth is not None, path_length=plan.depth), critical=True)
        .add_extension(_key_usage(plan.depth is not None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority), critical=False)
    )
    if plan.usage is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([plan.usage]), critical=False)
    return builder.sign(keys[plan.issuer], digest)


def _name(common_name: str, domain: str | None) -> x509.Name:
    attributes = [
        x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "v2x-gateway tests"),
    ]
    if domain is not None:
        attributes.append(x509.NameAttribute(NameOID.DOMAIN_COMPONENT, domain))
    return x509.Name(attributes)


def _key_usage(authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_agreement=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        encipher_only=False,
        decipher_only=False,
    )


def _write(
    directory: Path, plan: _Plan, key: ec.EllipticCurvePrivateKey, certificates: dict[str, x509.Certificate]
) -> list[Path]:
    names = chain(plan.name) if plan.depth is None else (plan.name,)
    certificate_file, key_file = directory / f"{plan.name}.pem", directory / f"{plan.name}.key"
    certificate_file.write_bytes(
        b"".join(certificates[name].public_bytes(serialization.Encoding.PEM) for name in names)
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with private_file.replacing(key_file, "wb") as file:
        file.write(secret)
    return [certificate_file, key_file]
