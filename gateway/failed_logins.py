"""Failed logins by name, such as an address: after some the name is locked out, for a time that grows.

The limiter of the admin API and of stations. Time is an argument.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass

FREE_ATTEMPTS = 10
LONGEST_S = 60.0
FORGOTTEN_AFTER_S = 600.0
MAX_NAMES = 10_000


@dataclass(slots=True)
class _Attempts:
    failed: int = 0
    last: float = 0.0
    locked_until: float = 0.0


class FailedLogins:
    """Attempts of the `MAX_NAMES` names that failed last."""

    def __init__(self, free_attempts: int = FREE_ATTEMPTS) -> None:
        self._free = free_attempts
        self._attempts: OrderedDict[str, _Attempts] = OrderedDict()

    def locked_for(self, name: str, now: float) -> float:
        """Return the remaining time for which the name is locked out, in s; 0.0 if it is not."""
        attempts = self._attempts.get(name)
        return 0.0 if attempts is None else max(0.0, attempts.locked_until - now)

    def failed(self, name: str, now: float) -> int:
        """Count a failed login; return how many there were."""
        attempts = self._attempts.pop(name, None)
        if attempts is None or now - attempts.last > FORGOTTEN_AFTER_S:
            attempts = _Attempts()
        self._attempts[name] = attempts
        while len(self._attempts) > MAX_NAMES:
            self._attempts.popitem(last=False)
        attempts.failed, attempts.last = attempts.failed + 1, now
        beyond = attempts.failed - self._free
        if beyond >= 0:
            attempts.locked_until = now + min(LONGEST_S, 2.0 ** min(beyond, 10))
        return attempts.failed

    def succeeded(self, name: str) -> None:
        """Reset the failed logins of a name."""
        self._attempts.pop(name, None)


def network(address: str) -> str:
    """Return the name of an address: of IPv6 its network of 64 bits, which one host can have."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if found.version == 6 and found.ipv4_mapped is None:
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found.ipv4_mapped or found) if found.version == 6 else str(found)
