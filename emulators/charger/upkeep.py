"""What operators do to a station beside charging: logs, firmware, certificates. Shared by all versions.

What each version calls it is in `ocpp16_upkeep.py` and `ocpp2_upkeep.py`; here is what happens.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from emulators.charger import transfer
from emulators.charger.certificate_store import CertificateStore

if TYPE_CHECKING:
    from emulators.charger.station import Station

INSTALL_S = 5.0  # s that an installation takes
Tell = Callable[[str], Awaitable[None]]


class Upkeep:
    """State and work of one station's upkeep."""

    def __init__(self, station: Station) -> None:
        self.station = station
        self.certificates = CertificateStore()
        self.uploads = 0

    def log_name(self) -> str:
        """The name of the next log file."""
        self.uploads += 1
        return f"{self.station.config.id}-{self.uploads}.jsonl"

    async def upload(self, url: str, name: str, tell: Tell, failed: str) -> None:
        """Send the log of messages, and tell how it goes."""
        await tell("Uploading")
        lines = [json.dumps({"action": action, "payload": payload}) for action, payload in self.station.line.sent]
        try:
            await transfer.put(url, name, "\n".join(lines).encode())
        except OSError:
            await tell(failed)
        else:
            await tell("Uploaded")

    async def update(
        self, url: str, when: float | None, tell: Tell, certificate: str | None = None, signature: str | None = None
    ) -> None:
        """At `when` (Unix time) fetch firmware, check who signed it, install it, and come back as the new version."""
        if when is not None and when > self.station.wall():
            await self.station.clock.sleep(when - self.station.wall())
        await tell("Downloading")
        try:
            image = await transfer.get(url)
        except OSError:
            await tell("DownloadFailed")
            return
        await tell("Downloaded")
        if certificate is not None and signature is not None:
            if not signed(image, certificate, signature):
                await tell("InvalidSignature")
                return
            await tell("SignatureVerified")
        await tell("Installing")
        await self.station.clock.sleep(INSTALL_S)
        self.station.firmware = url.rpartition("/")[2][:50] or "updated"
        await tell("Installed")
        await self.station.reboot("FirmwareUpdate", "Reboot")


def signed(image: bytes, certificate: str, signature: str) -> bool:
    """Whether an image carries the signature of a certificate's key (L01: ECDSA, or RSA-PSS)."""
    try:
        key = x509.load_pem_x509_certificate(certificate.encode()).public_key()
        raw = base64.b64decode(signature, validate=True)
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(raw, image, ec.ECDSA(hashes.SHA256()))
        elif isinstance(key, rsa.RSAPublicKey):
            salt = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.AUTO)
            key.verify(raw, image, salt, hashes.SHA256())
        else:
            return False
    except (ValueError, binascii.Error, InvalidSignature):
        return False
    return True
