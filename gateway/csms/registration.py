"""Whether a station is taken in: what a BootNotification is answered, and who may say what before it is accepted.

2.x B01-B03, 1.6 4.2. A registered station is what its own setting says; one that nobody registered is what the policy
says. `interval` of an answer is the time to the next Heartbeat for an accepted station, to the next BootNotification
for any other.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.csms.context import Context
from gateway.csms.settings import Registration, StationSettings, UnknownStations

ACCEPTED, PENDING, REJECTED = "Accepted", "Pending", "Rejected"
_REGISTERED = {
    Registration.ACCEPTED: ACCEPTED,
    Registration.PENDING: PENDING,
    Registration.REJECTED: REJECTED,
}
_UNKNOWN = {
    UnknownStations.ACCEPT: ACCEPTED,
    UnknownStations.PENDING: PENDING,
    UnknownStations.REJECT_BOOT: REJECTED,
    UnknownStations.REJECT: REJECTED,  # one that was let in before the policy changed
}
# What brings messages of a station that is not accepted: the rest are under the name that was triggered.
_TRIGGERS = {
    "SignChargingStationCertificate": "SignCertificate",
    "SignV2GCertificate": "SignCertificate",
    "SignV2G20Certificate": "SignCertificate",
    "SignCombinedCertificate": "SignCertificate",
    "SignChargePointCertificate": "SignCertificate",
}
_ASKERS = {
    "GetBaseReport": "NotifyReport",
    "GetReport": "NotifyReport",
    "GetMonitoringReport": "NotifyMonitoringReport",
}
# 1.6 4.2 forbids these to a Pending station; one of 2.x would answer Rejected (B02.FR.05).
NOT_WHILE_PENDING = frozenset(
    {"RemoteStartTransaction", "RemoteStopTransaction", "RequestStartTransaction", "RequestStopTransaction"}
)


@dataclass(frozen=True, slots=True)
class Boot:
    """What the station said when it booted, and what it was told."""

    status: str  # Accepted | Pending | Rejected
    vendor: str = ""
    model: str = ""
    serial: str | None = None
    firmware: str | None = None
    reason: str | None = None
    at: float = 0.0  # Unix time


def status_of(settings: StationSettings, registered: bool, context: Context) -> str:
    """What a station is answered when it boots."""
    return _REGISTERED[settings.registration] if registered else _UNKNOWN[context.unknown_stations]


def interval(status: str, context: Context) -> int:
    """Seconds that go with a status."""
    return context.settings.heartbeat_s if status == ACCEPTED else context.settings.boot_retry_s


def brought_by(action: str, requested: str) -> str | None:
    """The action that a station may send because of a call of ours, where it is not accepted; None for none."""
    if action in ("TriggerMessage", "ExtendedTriggerMessage"):
        return _TRIGGERS.get(requested, requested)
    return _ASKERS.get(action)


def forbidden(boot: Boot | None, action: str) -> str | None:
    """Why the gateway may not send a call to a station as it stands, or None."""
    if boot is None or boot.status == ACCEPTED:
        return None
    if boot.status == REJECTED:
        return "a station that was told Rejected is sent nothing until it boots again (B03.FR.03)"
    if action in NOT_WHILE_PENDING:
        return f"{action} is not for a station that is Pending (B02.FR.05; 1.6 4.2)"
    return None
