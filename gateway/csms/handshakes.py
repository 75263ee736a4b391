"""Reports of handshakes: which station connected from where, and why a connection was rejected.

Rejections are events of the gateway: rated by address and in total, with the number of those in between. The reason is
more exact than the response, which does not help a client that guesses.
"""

from __future__ import annotations

import logging
import ssl
from collections import Counter
from collections.abc import Callable

from websockets.http11 import Request, Response

from gateway.csms import passwords
from gateway.failed_logins import network
from gateway.listener_limits import PEER
from gateway.model.event import Report, StationRejected
from gateway.rate_limit import RateLimiter, TokenBucket
from protocols.ocpp.schema import Version
from protocols.ports import Clock

log = logging.getLogger("v2x.csms")

RATE_PER_S, BURST_S = 0.1, 100.0  # of rejections by address and reason
TOTAL_PER_S, TOTAL_BURST = 1.0, 100.0
MAX_PATH = 100  # characters
MAX_SOURCES = 1_000
TLS_REASONS = {
    "HTTP_REQUEST": "not TLS: this port expects wss://",
    "WRONG_VERSION_NUMBER": "not TLS: this port expects wss://",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "no client certificate was sent (security profile 3)",
    "CERTIFICATE_VERIFY_FAILED": "the client certificate is not one of ocpp.tls_ca",
}
TLS_AT_PLAIN_PORT = "TLS (wss://) at a port without TLS: this port expects ws://"


class HandshakeReports:
    """Reports of one CSMS."""

    def __init__(self, report: Report, clock: Clock) -> None:
        self._report, self._clock = report, clock
        self._rate = RateLimiter(RATE_PER_S, BURST_S, MAX_SOURCES)
        self._total = TokenBucket(TOTAL_PER_S, TOTAL_BURST)
        self._suppressed: Counter[str] = Counter()

    def accepted(self, station: str, address: str, path: str, subprotocol: str, security_profile: int) -> None:
        """Log a connection; its event follows with the BootNotification."""
        about = (station, address, path[:MAX_PATH], subprotocol, security_profile)
        log.info("%s: accepted from %s at %s, %s, security profile %d", *about)

    def rejected(self, address: str, reason: str, station: str = "", path: str = "") -> None:
        """Report a rejection, if its source does not report too many."""
        now, source = self._clock.now(), f"{address} {reason}"
        if not self._rate.allow(source, now) or not self._total.take(now):
            if len(self._suppressed) < MAX_SOURCES or source in self._suppressed:
                self._suppressed[source] += 1
            return
        if more := self._suppressed.pop(source, 0):
            reason = f"{reason} ({more} more were not reported)"
        self._report(StationRejected(station, now, address, path[:MAX_PATH], reason))

    def tls_at_plain_port(self, address: str) -> None:
        """Report a TLS handshake at a port without TLS."""
        self.rejected(address, TLS_AT_PLAIN_PORT)

    def watch_tls(self, context: ssl.SSLContext) -> None:
        """Report TLS handshakes that fail in a context, of which asyncio reports nothing."""
        context.sslobject_class = _watched(self._tls_failed)

    def _tls_failed(self, error: ssl.SSLError) -> None:
        name = error.reason or str(error)
        self.rejected(network(PEER.get()), TLS_REASONS.get(name, f"TLS failed: {name.lower().replace('_', ' ')}"))


def _watched(report: Callable[[ssl.SSLError], None]) -> type[ssl.SSLObject]:
    """Return a class of TLS connections that reports a failed handshake."""

    class Watched(ssl.SSLObject):
        def do_handshake(self) -> None:
            try:
                super().do_handshake()
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                raise
            except ssl.SSLError as error:
                report(error)
                raise

    return Watched


def reason_of(rejection: Response, request: Request, station: str) -> str:
    """Return why a request was rejected, for the operator."""
    reason = (rejection.body or b"").decode().strip()
    if rejection.status_code == 401:
        header = request.headers.get("Authorization")
        given = passwords.basic_credentials(header)
        if given is None:
            reason = "no password was sent" if header is None else "its Authorization header cannot be read"
        elif given[0].casefold() != station.casefold():
            reason = "wrong user: it must be the station's id"
        else:
            reason = "wrong password"
    return f"{reason} (HTTP {rejection.status_code})"


def unsupported(offered: str | None) -> str:
    """Return the reason where a client offers no supported OCPP version."""
    asked = f"it offers {offered[:MAX_PATH]}" if offered else "it offers none"
    return f"no common subprotocol: {asked}, supported are {', '.join(Version)}"
