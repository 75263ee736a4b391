"""WebSocket connections of the emulated station of the command line.

Trust anchors are those of the command line and the installed CSMSRootCertificates; the client certificate is the one
that the CSMS has signed, otherwise that of the command line.
"""

from __future__ import annotations

import ssl
import tempfile
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from emulators.charger.station.csms_link.connection_failure import reason
from emulators.charger.station.csms_link.network_profiles import NetworkProfile, UntrustedCsms
from emulators.charger.station.maintenance.certificate_store import CertificateStore
from emulators.runtime import ocpp_client
from protocols.ports import TextWire


def address(target: NetworkProfile) -> str:
    """Return the URL with the station id appended."""
    url = target.url.rstrip("/")
    return url if url.endswith(f"/{target.identity}") else f"{url}/{target.identity}"


async def dial(
    target: NetworkProfile, store: CertificateStore, ca: Path | None, own: tuple[Path, Path] | None
) -> TextWire:
    """Connect to the CSMS of a network profile. Raises ConnectionError, or UntrustedCsms if authentication fails."""
    tls = _tls(store, ca, own) if target.url.startswith("wss://") else None
    password = target.password if target.security_profile in (0, 1, 2) else None
    try:
        return await ocpp_client.connect(address(target), (target.version,), password=password, tls=tls)
    except ConnectionError as error:
        cause, text = error.__cause__, reason(error, address(target))
        if isinstance(cause, ssl.SSLCertVerificationError):
            raise UntrustedCsms(text, "InvalidCsmsCertificate") from error
        if isinstance(cause, ssl.SSLError) and "PROTOCOL" in (cause.reason or ""):
            raise UntrustedCsms(text, "InvalidTLSVersion") from error
        raise ConnectionError(text) from error


def verify_files(ca: Path | None, own: tuple[Path, Path] | None) -> None:
    """Raise ValueError where certificates of the command line cannot be used."""
    for option, file in (("--ca", ca), *zip(("--cert", "--key"), own or (), strict=False)):
        if file is not None and not file.is_file():
            raise ValueError(f"{option}: {file} does not exist")
    try:
        context = ssl.create_default_context(cafile=None if ca is None else str(ca))
        if own is not None:
            context.load_cert_chain(*own)
    except OSError as error:
        raise ValueError(
            f"--ca, --cert or --key: not a certificate and its key in PEM: {error.strerror or error}"
        ) from None


def _tls(store: CertificateStore, ca: Path | None, own: tuple[Path, Path] | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=None if ca is None else str(ca))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    kinds = ["CSMSRootCertificate", "CentralSystemRootCertificate"]
    roots = [one.certificate.public_bytes(Encoding.PEM).decode() for one in store.of(kinds)]
    if roots:
        context.load_verify_locations(cadata="\n".join(roots))
    if store.own and store.key is not None:
        with tempfile.TemporaryDirectory() as folder:  # the ssl module reads keys only from files
            chain = Path(folder) / "chain.pem"
            chain.touch(mode=0o600)
            pem = "".join(one.public_bytes(Encoding.PEM).decode() for one in store.own)
            chain.write_text(pem + store.key_pem())
            context.load_cert_chain(chain)
    elif own is not None:
        context.load_cert_chain(*own)
    return context
