"""What operators do to a station beside charging: logs, firmware, certificates. Shared by all versions.

What each version calls it is in `ocpp16_upkeep.py` and `ocpp2_upkeep.py`; here is what happens.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from emulators.charger.station import availability
from emulators.charger.station.maintenance import file_transfer
from emulators.charger.station.maintenance.certificate_store import CertificateStore, expired

if TYPE_CHECKING:
    from emulators.charger.station.station import Station

INSTALL_S = 5.0  # s that an installation takes
MOST_RETRIES = 10
Tell = Callable[[str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Firmware:
    """An update as it was asked for. Times are Unix times; without a certificate it is not signed."""

    url: str
    retrieve_at: float | None = None
    install_at: float | None = None
    certificate: str | None = None
    signature: str | None = None
    retries: int = 0
    retry_after: float = 10.0


class Upkeep:
    """State and work of one station's upkeep. `*_status` is the last word on each, with its request id."""

    def __init__(self, station: Station) -> None:
        self.station = station
        self.certificates = CertificateStore()
        self.uploads = 0
        self.log_status: tuple[str, int | None] = ("Idle", None)
        self.firmware_status: tuple[str, int | None] = ("Idle", None)
        self._log: asyncio.Task[None] | None = None
        self._update: asyncio.Task[None] | None = None

    # logs

    def log_name(self) -> str:
        """The name of the next log file."""
        self.uploads += 1
        return f"{self.station.config.id}-{self.uploads}.jsonl"

    def upload(
        self, url: str, name: str, tell: Tell, failed: str, *, number: int | None = None, security: bool = False,
        retries: int = 0, retry_after: float = 10.0,
    ) -> bool:  # fmt: skip
        """Send a log, and tell how it goes; whether that cancelled another upload (N01.FR.12)."""
        cancelled = _stop(self._log)

        async def say(status: str) -> None:
            self.log_status = ("Idle" if status != "Uploading" else status, number)
            await tell(status)

        async def work() -> None:
            for attempt in range(min(retries, MOST_RETRIES) + 1):
                if attempt:
                    await self.station.clock.sleep(retry_after)
                await say("Uploading")
                try:
                    await file_transfer.put(url, name, self._lines(security))
                except OSError:
                    await say(failed)
                else:
                    await say("Uploaded")
                    return

        self._log = asyncio.get_running_loop().create_task(work())
        self.station.later(_joined(self._log))
        return cancelled

    def _lines(self, security: bool) -> bytes:
        entries: list[dict[str, Any]] = (
            self.station.security_log
            if security
            else [{"action": action, "payload": payload} for action, payload in self.station.line.sent]
        )
        return "\n".join(json.dumps(entry) for entry in entries).encode()

    # firmware

    def trusts(self, certificate: str) -> bool:
        """L01.FR.02: readable, in its time, and of an installed manufacturer root where there is one."""
        try:
            signer = x509.load_pem_x509_certificate(certificate.encode())
        except ValueError:
            return False
        roots = [one.certificate for one in self.certificates.of(["ManufacturerRootCertificate"])]
        return not expired(signer, self.station.wall()) and (not roots or any(_issued(signer, root) for root in roots))

    def update(self, firmware: Firmware, tell: Tell, number: int | None = None) -> bool:
        """Fetch firmware, check it, install it, and come back as the new version; whether that cancelled another."""
        cancelled = _stop(self._update)

        async def say(status: str) -> None:
            self.firmware_status = (status, number)
            await tell(status)

        self._update = asyncio.get_running_loop().create_task(self._install(firmware, say))
        self.station.later(_joined(self._update))
        return cancelled

    async def _install(self, firmware: Firmware, tell: Tell) -> None:
        station = self.station
        await self._wait_until(firmware.retrieve_at, "DownloadScheduled", tell)
        image = await self._fetch(firmware, tell)
        if image is None:
            return
        await tell("Downloaded")
        if firmware.certificate is not None:
            if not signed(image, firmware.certificate, firmware.signature or ""):
                await tell("InvalidSignature")
                station.security_event("InvalidFirmwareSignature")
                return
            await tell("SignatureVerified")
        scheduled = await self._wait_until(firmware.install_at, "InstallScheduled", tell)
        if any(e.transaction is not None for e in station.evses.values()) and not scheduled:
            await tell("InstallScheduled")  # L01.FR.07
        await self._wait_for_quiet()
        await tell("Installing")
        if not image:
            await tell("InstallVerificationFailed")
            for evse in station.evses.values():
                evse.resetting = False
                availability.show(station, evse)
            return
        await station.clock.sleep(INSTALL_S)
        station.firmware = firmware.url.rpartition("/")[2][:50] or "updated"
        station.save("firmware")
        await tell("Installed")
        self.firmware_status = ("Idle", None)
        station.security_event("FirmwareUpdated")
        await station.reboot("FirmwareUpdate", "Reboot")

    async def _wait_until(self, when: float | None, status: str, tell: Tell) -> bool:
        """Whether there was something to wait for."""
        if when is None or when <= self.station.wall():
            return False
        await tell(status)
        await self.station.clock.sleep(when - self.station.wall())
        return True

    async def _wait_for_quiet(self) -> None:
        """L01.FR.06: what runs may end, and nothing new begins."""
        evses = self.station.evses.values()
        for evse in evses:
            evse.resetting = True
            availability.show(self.station, evse)
        while any(e.transaction is not None for e in evses):
            await self.station.clock.sleep(1.0)

    async def _fetch(self, firmware: Firmware, tell: Tell) -> bytes | None:
        for attempt in range(min(firmware.retries, MOST_RETRIES) + 1):
            if attempt:
                await self.station.clock.sleep(firmware.retry_after)
            await tell("Downloading")
            try:
                return await file_transfer.get(firmware.url)
            except OSError:
                continue
        await tell("DownloadFailed")
        return None


def _stop(task: asyncio.Task[None] | None) -> bool:
    if task is None or task.done():
        return False
    task.cancel()
    return True


async def _joined(task: Coroutine[Any, Any, None] | asyncio.Task[None]) -> None:
    """A cancelled one is no failure of the station."""
    try:
        await task
    except asyncio.CancelledError:
        current = asyncio.current_task()
        if current is not None and current.cancelling():
            if isinstance(task, asyncio.Task):
                task.cancel()
            raise


def _issued(certificate: x509.Certificate, root: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(root)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


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
