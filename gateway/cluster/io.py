"""The cluster over NATS: messages between instances, and the records of leases, owners and instances in JetStream.

Only this file and `secure_client` use nats-py. Each instance has one subscription, to all subjects that begin with its
name; a request to an instance that is absent fails at once, since NATS reports that it has no subscriber.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.errors import NoRespondersError
from nats.js import JetStreamContext
from nats.js.api import KeyValueConfig, StorageType
from nats.js.errors import (
    APIError,
    BucketNotFoundError,
    KeyNotFoundError,
    KeyWrongLastSequenceError,
    ServiceUnavailableError,
)
from nats.js.kv import KeyValue

from gateway.cluster import messages, secure_client
from gateway.cluster.fault import Fault
from gateway.cluster.inbox import Handler, Inbox
from gateway.cluster.messages import MAX_BYTES, Message
from gateway.cluster.outbox import Outbox
from gateway.cluster.secure_client import SecureClient, UserOptions, cancellation_kept, within
from gateway.cluster.settings import ClusterSettings

log = logging.getLogger("v2x.cluster")

ANSWER_WITHIN_S = 2.0  # of NATS, for a write
CONNECT_WITHIN_S = 5
RETRY_S = 0.25
REVISIONS = 1_000_000_000  # of one bucket
WARNED_AT_MOST = 100  # errors of NATS that are remembered: some name a subject of their own
PING_EVERY_S = 2  # two without an answer: another server is tried
UNSENT_BYTES = 8 * 2**20  # while no server is connected; beyond them messages are dropped
OLDEST = (2, 11)  # version of NATS
NO_JETSTREAM = "NATS has no JetStream for this user: start it with -js, or enable JetStream for the account"


class ClusterError(Exception):
    """NATS or an instance cannot be reached, or did not answer in time; `fault` is what a person has to correct."""

    def __init__(self, text: str, fault: Fault = Fault.OTHER) -> None:
        super().__init__(text)
        self.fault = fault


class Absent(ClusterError):
    """No such instance is connected."""


class WrongRevision(ClusterError):
    """A record has another revision than the one that was expected."""


@dataclass(frozen=True, slots=True)
class Record:
    """A record with its revision. `value` is None where it was deleted."""

    key: str
    value: bytes | None
    revision: int
    written: float | None = None  # Unix time by the clock of NATS, where all records are read


class Records:
    """Records of one kind, in a JetStream bucket.

    Revisions begin with the time at which the bucket was created, so that those of a bucket that was lost with its
    server and created anew are higher.
    """

    def __init__(self, bucket: KeyValue, created: datetime) -> None:
        self._bucket = bucket
        self._base = int(created.timestamp()) * REVISIONS

    async def put(self, key: str, value: bytes) -> int:
        """Write a record and return its revision."""
        async with _translated():
            return self._base + await self._bucket.put(key, value)

    async def update(self, key: str, value: bytes, last: int) -> int:
        """Write a record that has the revision `last` (0: none yet); WrongRevision where it has another."""
        async with _translated():
            try:
                return self._base + await self._bucket.update(key, value, max(0, last - self._base))
            except KeyWrongLastSequenceError as error:
                raise WrongRevision(key) from error

    async def get(self, key: str) -> Record | None:
        """Return a record, None where there is none."""
        async with _translated():
            try:
                found = await self._bucket.get(key)
            except KeyNotFoundError:
                return None
            return Record(key, found.value, self._base + (found.revision or 0))

    async def delete(self, key: str, last: int) -> None:
        """Delete a record that has the revision `last`; one that has another stays."""
        async with _translated():
            with contextlib.suppress(Exception):
                await self._bucket.delete(key, last - self._base)

    async def all(self) -> list[Record]:
        """Return all records.

        The last one has none behind it. The mark that nats-py sends then comes before the records where they have
        arrived already, and are not read yet.
        """
        found: dict[str, Record] = {}
        async with _translated():
            if not (await self._bucket.status()).values:
                return []
            watcher = await self._bucket.watchall()
            try:
                async for entry in watcher:
                    if entry is None:
                        continue
                    if entry.operation is None:
                        found[entry.key] = self._dated(entry)
                    else:
                        found.pop(entry.key, None)
                    if not entry.delta:
                        break
            finally:
                await watcher.stop()  # type: ignore[no-untyped-call]
        return list(found.values())

    def _dated(self, entry: KeyValue.Entry) -> Record:
        written: object = entry.created  # a datetime, other than its annotation
        at = written.timestamp() if isinstance(written, datetime) else None
        return Record(entry.key, entry.value, self._base + (entry.revision or 0), at)

    async def watch(self, quiet_s: float) -> AsyncIterator[Record]:
        """Yield all records and every change of them; ends after `quiet_s` without any. ClusterError if NATS fails."""
        async with _translated(None):
            watcher = await self._bucket.watchall()
            try:
                while True:
                    async with asyncio.timeout(quiet_s):
                        entry = await anext(aiter(watcher))
                    if entry is not None:
                        deleted = entry.operation is not None
                        revision = self._base + (entry.revision or 0)
                        yield Record(entry.key, None if deleted else entry.value, revision)
            except TimeoutError:
                return
            finally:
                with contextlib.suppress(Exception):
                    await watcher.stop()  # type: ignore[no-untyped-call]


class ClusterBus:
    """Connection of one instance. `handle` receives every message to it, and returns the answer to a request."""

    def __init__(self, settings: ClusterSettings, handle: Handler | None = None) -> None:
        self.settings, self.instance = settings, settings.instance
        self._handle = handle
        self._client: SecureClient | None = None
        self._outbox = Outbox(self._publish_at_once)
        self._too_long = 0
        self._warned: set[str] = set()  # errors of NATS that the log has, since it was connected last

    @property
    def dropped(self) -> int:
        """Number of messages that were not sent."""
        return self._too_long + self._outbox.dropped

    @property
    def connected(self) -> bool:
        """True while a server is connected."""
        return self._client is not None and self._client.is_connected

    def subject(self, instance: str) -> str:
        """Return the subject of an instance."""
        return f"{self.settings.name}.gw.{instance}.m"

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[ClusterBus]:
        """Connect while the context is entered. ClusterError where no server can be used."""
        try:
            tls = secure_client.tls_context(self.settings)
        except OSError as error:
            raise ClusterError(f"cluster.ca, cert or key cannot be used: {error}", Fault.CERTIFICATE) from error
        try:
            user = secure_client.user_options(self.settings.credentials_file)
        except (OSError, ValueError) as error:
            raise ClusterError(f"cluster.credentials_file cannot be used: {error}", Fault.USER) from error
        client = SecureClient(requires_tls=tls is not None)
        inbox = None

        async def respond(subject: str, answer: bytes) -> None:
            with contextlib.suppress(NatsError, OSError):
                await client.publish(subject, answer)

        try:
            await self._open(client, tls, user)
            self._client = client
            if self._handle is not None:
                inbox = Inbox(self.instance, self._handle, respond, self._log)
                for subject in (f"{self.settings.name}.gw.{self.instance}.>", f"{self.settings.name}.all.>"):
                    await client.deliver(subject, inbox.put)
            publishing = self._outbox.run(client.publish, (NatsError, OSError))
            sending = asyncio.get_running_loop().create_task(publishing, name="cluster messages")
            try:
                yield self
            finally:
                await self._flush(client)
                sending.cancel()
        finally:
            if inbox is not None:
                inbox.close()
            self._client = None
            with contextlib.suppress(Exception):
                await within(client.close(), ANSWER_WITHIN_S)

    async def _open(self, client: SecureClient, tls: ssl.SSLContext | None, user: UserOptions) -> None:
        settings = self.settings
        errors: list[Exception] = []

        async def failed(error: Exception) -> None:
            if self._client is None:
                errors.append(error)
            self._log(str(error) or type(error).__name__)

        try:
            connecting = client.connect(
                list(settings.servers),
                name=f"{settings.name} {settings.instance}",
                error_cb=failed,
                disconnected_cb=self._disconnected,
                reconnected_cb=self._reconnected,
                connect_timeout=2,
                reconnect_time_wait=RETRY_S,  # type: ignore[arg-type]  # a float is possible
                max_reconnect_attempts=-1,
                ping_interval=PING_EVERY_S,
                pending_size=UNSENT_BYTES,
                tls=tls,
                **user,
            )
            await within(connecting, CONNECT_WITHIN_S)
        except (NatsError, OSError, TimeoutError) as error:
            text, fault = secure_client.reason(errors or [error], client, settings)
            raise ClusterError(f"NATS cannot be used: {text}", fault) from error

    async def verify(self) -> tuple[int, int]:
        """Return the version of the server; ClusterError where it is too old or has no JetStream."""
        client = self._linked()
        found = client.connected_server_version
        version = (found.major, found.minor)
        if not is_recent(version):
            wanted = ".".join(map(str, OLDEST))
            text = f"NATS {found.major}.{found.minor} is too old: {wanted} or newer is required"
            raise ClusterError(text, Fault.TOO_OLD)
        try:
            await client.jetstream(timeout=ANSWER_WITHIN_S).account_info()
        except (NatsError, OSError, TimeoutError) as error:
            if isinstance(error, ServiceUnavailableError | NoRespondersError | APIError):
                raise ClusterError(NO_JETSTREAM, Fault.NO_JETSTREAM) from error
            raise ClusterError(f"NATS did not answer: {str(error) or type(error).__name__}") from error
        return version

    async def records(self, kind: str) -> Records:
        """Return the records of a kind; their bucket is created where it does not exist."""
        client = self._linked()
        js: JetStreamContext = client.jetstream(timeout=ANSWER_WITHIN_S)
        name = f"{self.settings.name}-{kind}"
        async with _translated(None):
            try:
                bucket = await js.key_value(name)
            except BucketNotFoundError:
                config = KeyValueConfig(bucket=name, replicas=self.settings.replicas, storage=StorageType.FILE)
                bucket = await js.create_key_value(config)
            created = (await bucket.status()).stream_info.created
        if created is None:
            raise ClusterError(f"NATS does not state when bucket {name} was created")
        return Records(bucket, created)

    def send(self, to: str, message: Message) -> None:
        """Send a message to an instance, at most once."""
        self._queue(self.subject(to), message)

    def broadcast(self, message: Message) -> None:
        """Send a message to all instances, this one included."""
        self._queue(f"{self.settings.name}.all.m", message)

    async def request(self, to: str, message: Message, within_s: float = ANSWER_WITHIN_S) -> Message:
        """Return the answer of an instance. Absent where it is not connected, ClusterError where it does not answer."""
        client = self._linked()
        try:
            with cancellation_kept():
                reply = await client.request(self.subject(to), messages.encode(message), timeout=within_s)
        except NoRespondersError as error:
            raise Absent(f"instance {to} is not connected") from error
        except (NatsError, OSError, TimeoutError) as error:
            raise ClusterError(f"instance {to} did not answer: {str(error) or type(error).__name__}") from error
        answer = messages.decode(reply.data)
        if answer is None:
            raise ClusterError(f"instance {to} sent an answer that is not known")
        return answer

    async def flushed(self) -> None:
        """Return when all messages so far have been handed to the server."""
        await self._flush(self._linked())

    async def _flush(self, client: Client) -> None:
        with contextlib.suppress(Exception):
            async with asyncio.timeout(ANSWER_WITHIN_S):
                await self._outbox.flushed()
                await client.flush(2)

    def _publish_at_once(self, batch: list[tuple[str, bytes]]) -> bool:
        return self._client is not None and self._client.publish_at_once(batch)

    def _queue(self, subject: str, message: Message) -> None:
        data = messages.encode(message)
        if len(data) > MAX_BYTES:
            self._too_long += 1
            log.warning("a message of %d bytes is too long for the cluster and is dropped", len(data))
            return
        self._outbox.put(subject, data)

    async def _disconnected(self) -> None:
        if self._client is not None:
            log.warning("NATS is disconnected; another server is tried")

    async def _reconnected(self) -> None:
        self._warned.clear()
        log.info("NATS is connected again")

    def _log(self, error: str) -> None:
        """Log an error, as a warning the first time: a server that is away is tried several times a second."""
        first = self._client is not None and error not in self._warned
        if len(self._warned) >= WARNED_AT_MOST:
            self._warned.clear()
        if first:
            self._warned.add(error)
        log.log(logging.WARNING if first else logging.DEBUG, "NATS: %s", error)

    def _linked(self) -> Client:
        if self._client is None:
            raise ClusterError("NATS is not connected")
        return self._client


@asynccontextmanager
async def _translated(within_s: float | None = ANSWER_WITHIN_S) -> AsyncIterator[None]:
    """Raise ClusterError for what fails in NATS."""
    try:
        async with asyncio.timeout(within_s):
            with cancellation_kept():
                yield
    except ClusterError:
        raise
    except (NatsError, OSError, TimeoutError) as error:
        raise ClusterError(f"NATS did not answer: {str(error) or type(error).__name__}") from error


def is_recent(version: tuple[int, ...]) -> bool:
    """Return whether a server of this version can be used."""
    return version >= OLDEST
