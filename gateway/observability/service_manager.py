"""Messages to the service manager (sd_notify of systemd): ready, alive, stopping.

Without `NOTIFY_SOCKET` in the environment nothing is sent. The watchdog is served from the event loop, so a process
whose loop is blocked for `WATCHDOG_USEC` is restarted by the manager.
"""

from __future__ import annotations

import logging
import os
import socket

from protocols.ports import Clock

log = logging.getLogger("v2x")

READY, STOPPING, ALIVE = "READY=1", "STOPPING=1", "WATCHDOG=1"


def notify(state: str) -> bool:
    """Send a state; False where there is no manager or it cannot be reached."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address[:1] not in ("/", "@"):
        return False
    if address.startswith("@"):  # of the abstract namespace
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK) as link:
            link.connect(address)
            link.sendall(state.encode())
    except OSError as error:
        log.warning("the service manager does not receive %s: %s", state, error)
        return False
    return True


def watchdog_s() -> float | None:
    """Return the interval within which the manager expects a message, None without a watchdog."""
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    try:
        interval_s = int(os.environ.get("WATCHDOG_USEC", "0")) / 1e6
    except ValueError:
        return None
    return interval_s if interval_s > 0 else None


async def run(clock: Clock) -> None:
    """Serve the watchdog until cancelled."""
    interval_s = watchdog_s()
    while interval_s is not None and notify(ALIVE):
        await clock.sleep(interval_s / 3)
