"""TLS contexts for both roles and both generations, in two profiles.

`strict` follows ISO 15118-20: TLS 1.3 only, mutual, P-521 certificates, secp521r1 and x448, two cipher suites.
`interop` is for peers in the field: the same with P-256 in addition. ISO 15118-2 runs on TLS 1.2 with a server
certificate only. One port can serve both (`ServerContexts`), as the ClientHello of the EV requires. Groups, TLS 1.3
suites and signature algorithms cannot be set through the standard library: they come from an OpenSSL configuration
file, read when the process starts, so the commands re-execute themselves with it (`ensure_configuration`).
`docs/tls.md` lists the remaining gaps of the standard library. Source: ISO 15118-20 V2G20-1264, 2365, 2458, 2459, 1634,
1637, 2674; ISO 15118-2 TLS 1.2 profile.
"""

from __future__ import annotations

import contextlib
import os
import ssl
import sys
from enum import StrEnum
from pathlib import Path

from protocols.errors import LocalProtocolError
from protocols.frozen import frozen
from protocols.iso15118.one_port.client_hello import offers_tls_1_3, starts_tls

SUITES_1_2 = "ECDHE-ECDSA-AES128-SHA256"
SUITES_1_3 = "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"


class TlsProfile(StrEnum):
    STRICT = "strict"
    INTEROP = "interop"


class TlsVersion(StrEnum):
    """TLS versions by their names on the command line. The last two are both versions, as the other side offers."""

    NONE = "none"
    TLS_1_2 = "1.2"
    TLS_1_3 = "1.3"
    REQUIRE = "require"
    ALLOW = "allow"  # and plain TCP


BOTH = frozenset({TlsVersion.REQUIRE, TlsVersion.ALLOW})


_GROUPS = {TlsProfile.STRICT: "P-521:X448", TlsProfile.INTEROP: "P-521:X448:P-256"}
_SIGNATURES = {
    TlsProfile.STRICT: "ecdsa_secp521r1_sha512:ed448",
    TlsProfile.INTEROP: "ecdsa_secp521r1_sha512:ed448:ecdsa_secp256r1_sha256",
}
_CURVE = {TlsProfile.STRICT: "p521", TlsProfile.INTEROP: "p256"}


class TlsSetupError(LocalProtocolError):
    """A certificate or key is missing or invalid; the text names the file."""


class RefusedSecurity(Exception):
    """The port does not serve a connection that begins like this."""


@frozen(kw_only=True)
class ServerContexts:
    """Contexts of one port by TLS version; `plain`: connections without TLS are served as well."""

    tls_1_2: ssl.SSLContext
    tls_1_3: ssl.SSLContext
    plain: bool

    def choose(self, first: bytes) -> ssl.SSLContext | None:
        """Return the context for the first bytes of a connection, None for plain TCP. Raises RefusedSecurity."""
        if starts_tls(first):
            return self.tls_1_3 if offers_tls_1_3(first) else self.tls_1_2
        if not self.plain:
            raise RefusedSecurity("this port requires TLS")
        return None


def certificate_set(pki: str | Path, version: TlsVersion, profile: TlsProfile) -> Path:
    """Return the folder of certificates (see `pki.create`) of a profile; -2 always uses P-256."""
    curve = "p256" if version is TlsVersion.TLS_1_2 else _CURVE[profile]
    return Path(pki) / curve


def server_context(
    pki: str | Path, version: TlsVersion = TlsVersion.TLS_1_3, profile: TlsProfile = TlsProfile.STRICT
) -> ssl.SSLContext:
    """Return a SECC's context: its chain, and for -20 the OEM and V2G roots of vehicle certificates."""
    home = certificate_set(pki, version, profile)
    context = _context(ssl.PROTOCOL_TLS_SERVER, version, profile)
    _load_chain(context, home, "secc")
    if version is TlsVersion.TLS_1_3:
        context.verify_mode = ssl.CERT_REQUIRED
        _load_roots(context, home, "oem_root", "v2g_root")
    return context


def server_contexts(
    pki: str | Path, version: TlsVersion = TlsVersion.REQUIRE, profile: TlsProfile = TlsProfile.STRICT
) -> ServerContexts:
    """Return the contexts of a SECC that serves both generations on one port."""
    return ServerContexts(
        tls_1_2=server_context(pki, TlsVersion.TLS_1_2, profile),
        tls_1_3=server_context(pki, TlsVersion.TLS_1_3, profile),
        plain=version is TlsVersion.ALLOW,
    )


def client_context(
    pki: str | Path, version: TlsVersion = TlsVersion.TLS_1_3, profile: TlsProfile = TlsProfile.STRICT
) -> ssl.SSLContext:
    """Return an EVCC's context: the V2G root, and for -20 the vehicle certificate. An EVCC of both versions trusts the
    roots of both."""
    home = certificate_set(pki, version, profile)
    context = _context(ssl.PROTOCOL_TLS_CLIENT, version, profile)
    context.check_hostname = False  # a SECC has no host name; its identity is its chain and DC=CPO
    context.verify_mode = ssl.CERT_REQUIRED
    _load_roots(context, home, "v2g_root")
    if version in BOTH:
        _load_roots(context, certificate_set(pki, TlsVersion.TLS_1_2, profile), "v2g_root")
    if version is not TlsVersion.TLS_1_2:
        _load_chain(context, home, "vehicle")
    return context


def openssl_configuration(profile: TlsProfile) -> str:
    """Return the OpenSSL configuration file with the settings that the standard library has no function for."""
    return (
        "openssl_conf = v2x\n\n[v2x]\nssl_conf = v2x_ssl\n\n[v2x_ssl]\nsystem_default = v2x_tls\n\n[v2x_tls]\n"
        f"Groups = {_GROUPS[profile]}\n"
        f"Ciphersuites = {SUITES_1_3}\n"
        f"SignatureAlgorithms = {_SIGNATURES[profile]}\n"
    )


def ensure_configuration(profile: TlsProfile, version: TlsVersion = TlsVersion.TLS_1_3) -> None:
    """Return if this process runs with the profile's OpenSSL configuration; otherwise re-execute it with that.

    Only for a program's entry point: it replaces the process, with the same arguments. TLS 1.2 beside 1.3 requires
    P-256, and so the settings of `interop`; TLS 1.2 alone requires none.
    """
    if version in (TlsVersion.NONE, TlsVersion.TLS_1_2):
        return
    text = openssl_configuration(TlsProfile.INTEROP if version in BOTH else profile)
    with contextlib.suppress(OSError, ValueError):
        if Path(os.environ.get("OPENSSL_CONF", "")).read_text() == text:
            return
    path = _private_file(text)
    environment = {**os.environ, "OPENSSL_CONF": path}
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)


def _private_file(text: str) -> str:
    """Return the path of a new file that no other user can write: in memory, or in a directory of its own."""
    if hasattr(os, "memfd_create"):
        number = os.memfd_create("v2x-openssl", 0)  # stays open in the re-executed process
        os.write(number, text.encode())
        return f"/proc/self/fd/{number}"
    import tempfile  # imports all archive formats

    path = Path(tempfile.mkdtemp(prefix="v2x-openssl-")) / "openssl.cnf"  # mode 0700
    path.write_text(text)
    return str(path)


def _context(protocol: int, version: TlsVersion, profile: TlsProfile) -> ssl.SSLContext:
    if version is TlsVersion.NONE:
        raise LocalProtocolError("no TLS context for a session without TLS")
    context = ssl.SSLContext(protocol)
    if version is TlsVersion.TLS_1_2:
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(SUITES_1_2)
        context.set_ecdh_curve("prime256v1")
    elif version in BOTH:
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
        context.set_ciphers(SUITES_1_2)
    else:
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_3
        if profile is TlsProfile.STRICT:
            context.set_ecdh_curve("secp521r1")
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_COMPRESSION
    if protocol == ssl.PROTOCOL_TLS_SERVER:
        context.num_tickets = 0  # no resumption in either generation
    return context


def _load_chain(context: ssl.SSLContext, home: Path, name: str) -> None:
    certificate, key = home / f"{name}.pem", home / f"{name}.key"
    for path in (certificate, key):
        if not path.is_file():
            raise TlsSetupError(f"{path} is missing; `v2x pki create` writes a set of test certificates")
    try:
        context.load_cert_chain(certificate, key)
    except (ssl.SSLError, OSError) as error:
        raise TlsSetupError(f"{certificate} and {key.name} cannot be used: {error}") from error


def _load_roots(context: ssl.SSLContext, home: Path, *names: str) -> None:
    for name in names:
        path = home / f"{name}.pem"
        try:
            context.load_verify_locations(path)
        except (ssl.SSLError, OSError) as error:
            raise TlsSetupError(f"the root certificate {path} cannot be used: {error}") from error
