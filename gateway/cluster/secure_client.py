"""The client of NATS: TLS that cannot be left out, and why a server was not used."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Coroutine
from urllib.parse import urlsplit

from nats.aio.client import Client
from nats.errors import Error as NatsError

from gateway.cluster.settings import ClusterSettings

NO_TLS = "the server offers no TLS, and tls:// or cluster.ca requires it"
REFUSED = "the server refuses the user, or its password or credentials"


def tls_context(settings: ClusterSettings) -> ssl.SSLContext | None:
    """Return the TLS context where a URL or a certificate requires TLS. OSError where a file cannot be used."""
    asked = any(urlsplit(server).scheme == "tls" for server in settings.servers)
    if not asked and settings.ca is None and settings.cert is None:
        return None
    context = ssl.create_default_context(cafile=settings.ca)
    if settings.cert is not None:
        context.load_cert_chain(settings.cert, settings.key)
    return context


class SecureClient(Client):
    """Client that sends nothing, credentials included, to a server without TLS where TLS is required.

    nats-py alone follows the server: another server in its place could leave TLS out.
    """

    asks_user = asks_certificate = False  # the server tried last

    def __init__(self, requires_tls: bool = False) -> None:
        super().__init__()
        self._requires_tls = requires_tls

    async def _process_info(self, info: dict[str, object], initial_connection: bool = False) -> None:
        self.asks_user, self.asks_certificate = bool(info.get("auth_required")), bool(info.get("tls_verify"))
        if initial_connection and self._requires_tls and not info.get("tls_required"):
            raise NatsError(NO_TLS)
        await super()._process_info(info, initial_connection)


async def within(work: Coroutine[object, None, None], within_s: float) -> None:
    """Await work of nats-py. TimeoutError when its time is over, also where it does not end when it is cancelled."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({task}, timeout=within_s)
        if not task.done():
            raise TimeoutError
        task.result()
    finally:
        task.cancel()


def reason(errors: list[Exception], client: SecureClient, settings: ClusterSettings) -> str:
    """Return for people why no server can be used, of all errors of the attempts."""
    telling = [one for one in errors if not isinstance(one, ConnectionResetError | BrokenPipeError)]
    for error in reversed(telling):
        lower = str(error).lower()
        if isinstance(error, ssl.SSLCertVerificationError):
            return _not_verified(error.verify_message, settings)
        if "authorization violation" in lower or "authentication" in lower:
            return REFUSED
    if client.asks_certificate and settings.cert is None:
        return "the server requires a client certificate (cluster.cert and key)"
    if client.asks_user and not telling:  # it closed the connection before its reason was read
        return REFUSED
    last = (telling or errors)[-1]
    return str(last) or type(last).__name__


def _not_verified(text: str, settings: ClusterSettings) -> str:
    if "mismatch" in text or "not valid for" in text:
        return f"its certificate is not for this name: {text}"
    if "expired" in text or "not yet valid" in text:
        return f"the certificate of the server: {text}"
    signer = "cluster.ca" if settings.ca is not None else "an authority of the system (cluster.ca)"
    return f"the certificate of the server is not signed by {signer}: {text}"
