"""Failed logins by address: after some an address is locked out, for a time that grows. Time is an argument."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass

FREE_ATTEMPTS = 10
LONGEST_S = 60.0
FORGOTTEN_AFTER_S = 600.0
MAX_ADDRESSES = 10_000


@dataclass(slots=True)
class _Attempts:
    failed: int = 0
    last: float = 0.0
    locked_until: float = 0.0


class FailedLogins:
    """Attempts of the `MAX_ADDRESSES` addresses that failed last; an IPv6 network of 64 bits is one address."""

    def __init__(self) -> None:
        self._attempts: OrderedDict[str, _Attempts] = OrderedDict()

    def locked_for(self, address: str, now: float) -> float:
        """Return the remaining time for which the address is locked out, in s; 0.0 if it is not."""
        attempts = self._attempts.get(_network(address))
        return 0.0 if attempts is None else max(0.0, attempts.locked_until - now)

    def failed(self, address: str, now: float) -> int:
        """Count a failed login; return how many there were."""
        name = _network(address)
        attempts = self._attempts.pop(name, None)
        if attempts is None or now - attempts.last > FORGOTTEN_AFTER_S:
            attempts = _Attempts()
        self._attempts[name] = attempts
        while len(self._attempts) > MAX_ADDRESSES:
            self._attempts.popitem(last=False)
        attempts.failed, attempts.last = attempts.failed + 1, now
        beyond = attempts.failed - FREE_ATTEMPTS
        if beyond >= 0:
            attempts.locked_until = now + min(LONGEST_S, 2.0 ** min(beyond, 10))
        return attempts.failed

    def succeeded(self, address: str) -> None:
        """Forget the failed logins of an address."""
        self._attempts.pop(_network(address), None)


def _network(address: str) -> str:
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if found.version == 6 and found.ipv4_mapped is None:
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found.ipv4_mapped or found) if found.version == 6 else str(found)
