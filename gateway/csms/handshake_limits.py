"""Limits of handshakes: their rate, and failed logins.

Known stations have a rate of their own: the right password, or a registered id without one, never waits for others.
A station with a password that was verified before has a rate by its id alone, any other by id and address, so that
no other address uses up the rate of a station. Failed logins lock out an id at an address, and many of them the
address; the station with the right password is not locked out at another address.
"""

from __future__ import annotations

from gateway.csms.security_events import FAILED_LOGIN, SecurityEvents
from gateway.csms.settings import CsmsSettings
from gateway.failed_logins import FREE_ATTEMPTS, FailedLogins
from gateway.rate_limit import RateLimiter, TokenBucket

ADDRESS_SHARE = 0.25  # of the handshakes of strangers for one address
KNOWN_PER_S, KNOWN_BURST_S = 1.0, 20.0  # handshakes of one known station
ADDRESS_ATTEMPTS = 100  # failed logins of one address, which may have many stations, until it is locked out
UNGUESSABLE = 16  # characters of a password whose holder is never locked out (the minimum of OCPP 2.x)


class AddressLimits:
    """Limits of one port, whichever CSMS a handshake is for."""

    def __init__(self, settings: CsmsSettings) -> None:
        rate = settings.max_handshakes_per_s
        self.strangers = TokenBucket(rate, rate * 2)
        self.addresses = RateLimiter(rate * ADDRESS_SHARE, 2.0)
        self.logins = FailedLogins(ADDRESS_ATTEMPTS)


class HandshakeLimits:
    """Limits of one CSMS. `address` is the name of an address (`failed_logins.network`)."""

    def __init__(self, port: AddressLimits, events: SecurityEvents) -> None:
        self._strangers, self._addresses, self._address_logins = port.strangers, port.addresses, port.logins
        self._known = RateLimiter(KNOWN_PER_S, KNOWN_BURST_S)
        self._logins = FailedLogins()
        self._events = events

    def allows_stranger(self, address: str, now: float) -> bool:
        """Count a handshake without a known id; False beyond the rates."""
        return self._addresses.allow(address, now) and self._strangers.take(now)

    def allows_known(self, station: str, address: str, now: float, verified: bool) -> bool:
        """Count a handshake of a known id; False beyond its rate."""
        return self._known.allow(station if verified else f"{station} {address}", now)

    def locked_for(self, station: str, address: str, now: float) -> float:
        """Return the time for which logins with this id from this address are locked out, in s."""
        return max(self._logins.locked_for(f"{station} {address}", now), self._address_logins.locked_for(address, now))

    def failed(self, station: str, address: str, now: float) -> None:
        """Count a failed login; the first one and those that lock out are security events."""
        attempts = self._logins.failed(f"{station} {address}", now)
        of_address = self._address_logins.failed(address, now)
        if attempts == 1 or attempts >= FREE_ATTEMPTS or of_address >= ADDRESS_ATTEMPTS:
            text = f"{attempts} failed logins as {station} from {address}"
            if (locked_s := self.locked_for(station, address, now)) > 0:
                text += f", which is locked out for {locked_s:.0f} s"
            self._events.record(station, FAILED_LOGIN, text, address)

    def succeeded(self, station: str, address: str) -> None:
        """Reset the failed logins of an id at an address."""
        self._logins.succeeded(f"{station} {address}")
