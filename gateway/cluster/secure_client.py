"""The client of NATS: its user, TLS that cannot be left out, errors after which it connects again, and why a server was
not used. Messages in their hundreds a second pass it in one step of the event loop each way."""

from __future__ import annotations

import asyncio
import itertools
import logging
import ssl
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias, TypedDict
from urllib.parse import urlsplit

import nkeys  # type: ignore[import-untyped]
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.transport import TcpTransport
from nats.errors import Error as NatsError
from nats.protocol.command import pub_cmd
from nats.protocol.parser import PERMISSIONS_ERR

from gateway.cluster.fault import Fault
from gateway.cluster.settings import ClusterSettings

NO_TLS = "the server offers no TLS, and tls:// or cluster.ca requires it"
REFUSED = "the server refuses the user, or its password or credentials"


UNWRITTEN_BYTES = 2**20  # that the connection has not taken, until messages wait in front of it
Sink: TypeAlias = Callable[[bytes, str], None]  # content and subject of the answer, empty without one
OF_ANOTHER_NAME = (62, 64)  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH
NOT_VALID_NOW = (9, 10)  # X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED


def _of_use(record: logging.LogRecord) -> bool:
    """Return False for what asyncio logs at each end of a connection over TLS of nats-py: nobody can act on it."""
    return "returning true from eof_received()" not in record.getMessage()


logging.getLogger("asyncio").addFilter(_of_use)


class UserOptions(TypedDict, total=False):
    """Options of nats-py that name the file of a user. It is read again at each connection."""

    user_credentials: str
    nkeys_seed: str


def user_options(file: Path | None) -> UserOptions:
    """Return the options for a file with the credentials of a user (.creds), or with the seed of its nkey.

    ValueError where it has other content, of which nats-py would search the end for ever; OSError where it cannot be
    read.
    """
    if file is None:
        return {}
    lines = [line.strip() for line in file.read_text(encoding="utf-8").splitlines()]
    following = dict(itertools.pairwise(lines))
    token = next((after for line, after in following.items() if "BEGIN NATS USER JWT" in line), "")
    seed = next((after for line, after in following.items() if "BEGIN USER NKEY SEED" in line), "")
    bare = "".join(lines) if not token and not seed else ""
    if not _is_seed(seed or bare) or not (bare or token.count(".") == 2):
        raise ValueError(f"{file} has neither the credentials of a user (.creds) nor the seed of its nkey")
    return {"nkeys_seed": str(file)} if bare else {"user_credentials": str(file)}


def _is_seed(text: str) -> bool:
    try:
        pair = nkeys.from_seed(bytearray(text.encode()))
    except (nkeys.ErrInvalidSeed, nkeys.ErrInvalidPrefixByte, ValueError):
        return False
    return bool(pair.public_key.startswith(b"U"))  # of a user


class TlsMissing(NatsError):
    """The server offers no TLS where it is required."""


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
        self._sinks: dict[int, Sink] = {}  # by subscription

    async def deliver(self, subject: str, sink: Sink) -> None:
        """Subscribe, and pass each message on where it is read.

        nats-py alone puts it in a queue, of which a task takes it in a later turn of the event loop.
        """

        async def late(message: Msg) -> None:  # one that came during the subscription
            sink(message.data, message.reply)

        self._sinks[(await self.subscribe(subject, cb=late))._id] = sink

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes) -> None:
        sink = self._sinks.get(sid)
        if sink is None:
            await super()._process_msg(sid, subject, reply, data, headers)
        else:
            sink(data, reply.decode())

    def publish_at_once(self, batch: Iterable[tuple[str, bytes]]) -> bool:
        """Write messages to the connection in this step; False, and nothing, where `publish` has to wait.

        nats-py alone has a task write them in a later turn of the event loop.
        """
        transport, batch = self._transport, list(batch)
        writer = transport._io_writer if isinstance(transport, TcpTransport) else None
        if writer is None or not self.is_connected or writer.transport.get_write_buffer_size() > UNWRITTEN_BYTES:
            return False
        if any(len(data) > self._max_payload for _, data in batch):
            return False
        self._pending += [pub_cmd(subject, "", data) for subject, data in batch]  # behind what waits to be written
        writer.write(b"".join(self._pending))
        self._pending, self._pending_data_size = [], 0
        return True

    async def _process_info(self, info: dict[str, object], initial_connection: bool = False) -> None:
        self.asks_user, self.asks_certificate = bool(info.get("auth_required")), bool(info.get("tls_verify"))
        if initial_connection and self._requires_tls and not info.get("tls_required"):
            raise TlsMissing(NO_TLS)
        await super()._process_info(info, initial_connection)

    async def _process_err(self, err_msg: str) -> None:
        """Connect again after an error with which the server ends the connection; nats-py alone stays closed.

        Such are a user that is changed or has expired, and a server with too many connections.
        """
        if PERMISSIONS_ERR in err_msg:
            await super()._process_err(err_msg)
            return
        await self._error_cb(NatsError(f"the server ends the connection: {err_msg.strip(chr(39))}"))
        await self._process_op_err(NatsError(err_msg))


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


@contextmanager
def cancellation_kept() -> Iterator[None]:
    """Raise CancelledError where the task was cancelled meanwhile and what it waited for has returned nevertheless.

    `asyncio.wait_for`, which the client of NATS uses, does so before Python 3.12 where an answer comes at that moment.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task is not None else 0
    yield
    if task is not None and task.cancelling() > before:
        raise asyncio.CancelledError


def reason(errors: list[Exception], client: SecureClient, settings: ClusterSettings) -> tuple[str, Fault]:
    """Return for people why no server can be used, of all errors of the attempts, and what that is."""
    telling = [one for one in errors if not isinstance(one, ConnectionResetError | BrokenPipeError)]
    for error in reversed(telling):
        if isinstance(error, ssl.SSLCertVerificationError):
            return _not_verified(error, settings)
        lower = str(error).lower()  # of the server or of nats-py, which have no codes for it
        if "authorization violation" in lower or "authentication" in lower:
            return REFUSED, Fault.USER
    if client.asks_certificate and settings.cert is None:
        return "the server requires a client certificate (cluster.cert and key)", Fault.CERTIFICATE
    if client.asks_user and not telling:  # it closed the connection before its reason was read
        return REFUSED, Fault.USER
    last = (telling or errors)[-1]
    return str(last) or type(last).__name__, _fault(last)


def _fault(error: Exception) -> Fault:
    if isinstance(error, ssl.SSLError | TlsMissing):
        return Fault.CERTIFICATE
    several = isinstance(error, OSError) and error.errno is None  # of several addresses: asyncio gives no code
    listening = not isinstance(error, ConnectionRefusedError) and not (several and "Connect call failed" in str(error))
    return Fault.OTHER if listening else Fault.NOT_LISTENING


def _not_verified(error: ssl.SSLCertVerificationError, settings: ClusterSettings) -> tuple[str, Fault]:
    text = error.verify_message
    if error.verify_code in OF_ANOTHER_NAME:
        return f"its certificate is not for this name: {text}", Fault.OTHER_NAME
    if error.verify_code in NOT_VALID_NOW:
        return f"the certificate of the server: {text}", Fault.CERTIFICATE
    signer = "cluster.ca" if settings.ca is not None else "an authority of the system (cluster.ca)"
    return f"the certificate of the server is not signed by {signer}: {text}", Fault.CERTIFICATE
