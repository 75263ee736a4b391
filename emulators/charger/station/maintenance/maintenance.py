"""Maintenance of an emulated station: log uploads, firmware updates, certificates. Any version."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from emulators.charger.station.availability import Availability
from emulators.charger.station.context import StationContext, Work
from emulators.charger.station.maintenance import file_transfer
from emulators.charger.station.maintenance.certificate_store import CertificateStore, expired
from emulators.charger.station.ocpp_enums import StopReason
from protocols.ocpp.enums import v21
from protocols.ocpp.schema import Payload

FirmwareStatus, LogStatus = v21.FirmwareStatusEnumType, v21.UploadLogStatusEnumType
INSTALL_S = 5.0  # duration of an installation
MAX_RETRIES = 10
Notify = Callable[[str], Awaitable[None]]  # sends a status


@dataclass(frozen=True, slots=True)
class Firmware:
    """A requested update. Times are Unix times; without a certificate the firmware is unsigned."""

    url: str
    retrieve_at: float | None = None
    install_at: float | None = None
    certificate: str | None = None
    signature: str | None = None
    retries: int = 0
    retry_after: float = 10.0


class Maintenance:
    """Maintenance of one station. `*_status` is the latest status of each job with its request id.

    `sent` are the latest calls sent to the CSMS, `security_log` the security events.
    """

    def __init__(
        self,
        context: StationContext,
        availability: Availability,
        certificates: CertificateStore,
        sent: Iterable[str],
        security_log: Sequence[Payload],
    ) -> None:
        self._context, self._availability = context, availability
        self._sent, self._security_log = sent, security_log
        self.certificates = certificates
        self.firmware_version = context.config.firmware
        self.uploads = 0
        self.log_status: tuple[str, int | None] = (LogStatus.idle, None)
        self.firmware_status: tuple[str, int | None] = (FirmwareStatus.idle, None)
        self._upload: asyncio.Task[None] | None = None
        self._update: asyncio.Task[None] | None = None

    def saved(self) -> str:
        """Return the stored form: the firmware version."""
        return self.firmware_version

    def restore(self, saved: str) -> None:
        """Restore the stored form."""
        self.firmware_version = saved

    # logs

    def log_name(self) -> str:
        """Return the name of the next log file."""
        self.uploads += 1
        return f"{self._context.config.id}-{self.uploads}.jsonl"

    def upload(
        self, url: str, name: str, notify: Notify, failed: str, *, number: int | None = None, security: bool = False,
        retries: int = 0, retry_after: float = 10.0,
    ) -> bool:  # fmt: skip
        """Upload a log and notify its status; return True if that cancels another upload (N01.FR.12)."""
        cancelled = _cancel(self._upload)

        async def set_status(status: str) -> None:
            self.log_status = (LogStatus.idle if status != LogStatus.uploading else status, number)
            await notify(status)

        async def work() -> None:
            for attempt in range(min(retries, MAX_RETRIES) + 1):
                if attempt:
                    await self._context.clock.sleep(retry_after)
                await set_status(LogStatus.uploading)
                try:
                    await file_transfer.put(url, name, self._lines(security))
                except OSError:
                    await set_status(failed)
                else:
                    await set_status(LogStatus.uploaded)
                    return

        self._upload = asyncio.get_running_loop().create_task(work())
        self._context.later(_joined(self._upload))
        return cancelled

    def _lines(self, security: bool) -> bytes:
        return "\n".join(map(json.dumps, self._security_log) if security else self._sent).encode()

    # firmware

    def trusts(self, certificate: str) -> bool:
        """Return True for a valid signer; with an installed manufacturer root it must be the issuer (L01.FR.02)."""
        try:
            signer = x509.load_pem_x509_certificate(certificate.encode())
        except ValueError:
            return False
        roots = [one.certificate for one in self.certificates.of(["ManufacturerRootCertificate"])]
        return not expired(signer, self._context.wall()) and (not roots or any(_issued(signer, root) for root in roots))

    def update(self, firmware: Firmware, notify: Notify, number: int | None = None) -> bool:
        """Download, verify and install firmware, then reboot; return True if that cancels another update."""
        cancelled = _cancel(self._update)

        async def set_status(status: str) -> None:
            self.firmware_status = (status, number)
            await notify(status)

        self._update = asyncio.get_running_loop().create_task(self._install(firmware, set_status))
        self._context.later(_joined(self._update))
        return cancelled

    async def _install(self, firmware: Firmware, notify: Notify) -> None:
        context = self._context
        await self._wait_until(firmware.retrieve_at, FirmwareStatus.download_scheduled, notify)
        image = await self._fetch(firmware, notify)
        if image is None:
            return
        await notify(FirmwareStatus.downloaded)
        if firmware.certificate is not None:
            if not signed(image, firmware.certificate, firmware.signature or ""):
                await notify(FirmwareStatus.invalid_signature)
                context.security_event("InvalidFirmwareSignature")
                return
            await notify(FirmwareStatus.signature_verified)
        scheduled = await self._wait_until(firmware.install_at, FirmwareStatus.install_scheduled, notify)
        if any(e.transaction is not None for e in context.evses.values()) and not scheduled:
            await notify(FirmwareStatus.install_scheduled)  # L01.FR.07
        evses = list(context.evses.values())
        self._availability.set_resetting(evses, True)  # L01.FR.06
        await self._availability.wait_until_idle(evses)
        await notify(FirmwareStatus.installing)
        if not image:
            await notify(FirmwareStatus.install_verification_failed)
            self._availability.set_resetting(evses, False)
            return
        await context.clock.sleep(INSTALL_S)
        self.firmware_version = firmware.url.rpartition("/")[2][:50] or "updated"
        context.save("firmware")
        await notify(FirmwareStatus.installed)
        self.firmware_status = (FirmwareStatus.idle, None)
        context.security_event("FirmwareUpdated")
        await context.reboot(v21.BootReasonEnumType.firmware_update, StopReason.reboot)

    async def _wait_until(self, when: float | None, status: str, notify: Notify) -> bool:
        """Wait for a scheduled time; return False if there is none."""
        if when is None or when <= self._context.wall():
            return False
        await notify(status)
        await self._context.clock.sleep(when - self._context.wall())
        return True

    async def _fetch(self, firmware: Firmware, notify: Notify) -> bytes | None:
        for attempt in range(min(firmware.retries, MAX_RETRIES) + 1):
            if attempt:
                await self._context.clock.sleep(firmware.retry_after)
            await notify(FirmwareStatus.downloading)
            try:
                return await file_transfer.get(firmware.url)
            except OSError:
                continue
        await notify(FirmwareStatus.download_failed)
        return None


def _cancel(task: asyncio.Task[None] | None) -> bool:
    if task is None or task.done():
        return False
    task.cancel()
    return True


async def _joined(task: Work | asyncio.Task[None]) -> None:
    """Wait for a task; its cancellation is no error."""
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
    """Return True if an image has a valid signature of the certificate's key (L01: ECDSA or RSA-PSS)."""
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
