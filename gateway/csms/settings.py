"""What the CSMS is told by the configuration. Values only; `gateway/config/settings.py` reads them from the file."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path


class UnknownStations(StrEnum):
    """What happens to a station that nobody registered."""

    ACCEPT = "accept"
    PENDING = "pending"  # it is answered Pending until somebody registers it
    REJECT = "reject"  # the handshake is answered 404
    REJECT_BOOT = "reject-boot"  # it is let in, and its BootNotification is answered Rejected


class Registration(StrEnum):
    """What a registered station is answered when it boots."""

    ACCEPTED = "accepted"
    PENDING = "pending"
    REJECTED = "rejected"


class UnknownTokens(StrEnum):
    """What happens to an idToken that nobody registered."""

    ACCEPT = "accept"
    REJECT = "reject"  # Invalid


@dataclass(frozen=True, slots=True)
class StationSettings:
    """One registered station.

    `password_hash` is `security.hashed(...)`. Powers are magnitudes in W, per EVSE, and stand until the station states
    its own; `fallback_limit_w` is what it may charge when nobody commands it (0 unless a site says otherwise).
    """

    id: str
    password_hash: str | None = None
    vendor_profile: str | None = None
    security_profile: int | None = None
    max_charge_w: float | None = None
    max_discharge_w: float | None = None
    fallback_limit_w: float | None = None
    registration: Registration = Registration.ACCEPTED
    next_security_profile: int | None = None  # it was told to come in with this one from now on (A05)
    next_password_hash: str | None = None  # given to the station, which may not have taken it yet


@dataclass(frozen=True, slots=True)
class CsmsSettings:
    """The CSMS as a whole."""

    host: str = "127.0.0.1"
    port: int = 9000
    tls_address: tuple[str, int] | None = None  # a second one, with TLS, beside a plain one: stations may go over to it
    path: str = "/ocpp"
    stations: tuple[StationSettings, ...] = ()
    unknown_stations: UnknownStations = UnknownStations.REJECT
    unknown_tokens: UnknownTokens = UnknownTokens.REJECT
    security_profile: int = 0  # 0 none, 1 basic, 2 TLS and basic, 3 mutual TLS
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_ca: Path | None = None  # whose stations are believed (profile 3)
    ca_key: Path | None = None  # of `tls_ca`: stations may then have their certificates signed here
    v2x_allowed: bool = True  # vehicles may ask for any energy transfer unless their token says which (2.1 Q01)
    heartbeat_s: int = 300
    boot_retry_s: int = 30  # when a station that is Pending or Rejected may boot again
    sample_every_s: int = 10  # stations that tell their power in a transaction less often are set to this
    answer_within_s: float = 30.0
    inventory: bool = True  # ask a station what it is (GetBaseReport, GetConfiguration) after it has booted
    fallback_limit_w: float = 0.0  # the stack-level-0 TxDefaultProfile
    local_list: bool = False  # stations hold the tokens, for when they cannot reach us
    max_message: int = 128 * 1024  # characters
    max_stations: int = 5000
    max_unknown: int = 100  # stations that are not registered
    max_handshakes_per_s: float = 200.0
    max_calls_per_s: float = 50.0  # of one station, over a burst of `max_burst`
    max_burst: int = 500
    compression: bool = False  # RFC 7692; it costs 40 kB a station and half the rate
    vendor_profiles: Path | None = None  # a folder with the site's own
    tokens: tuple[tuple[str, str], ...] = field(default=())  # (idToken, status)
