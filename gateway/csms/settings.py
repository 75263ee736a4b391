"""Settings of the CSMS as plain values; `gateway/config/settings.py` reads them from the configuration."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path


class UnknownStations(StrEnum):
    """Treatment of stations that are not registered."""

    ACCEPT = "accept"
    PENDING = "pending"  # BootNotification is answered Pending until the station is registered
    REJECT = "reject"  # the handshake is answered 404
    REJECT_BOOT = "reject-boot"  # the connection is accepted, BootNotification is answered Rejected


class Registration(StrEnum):
    """Response to the BootNotification of a registered station."""

    ACCEPTED = "accepted"
    PENDING = "pending"
    REJECTED = "rejected"


class UnknownTokens(StrEnum):
    """Treatment of idTokens that are not registered."""

    ACCEPT = "accept"
    REJECT = "reject"  # Invalid


@dataclass(frozen=True, slots=True)
class StationSettings:
    """One registered station.

    `password_hash` is `passwords.hash_password(...)`; without one `password`, that of the configuration, is in force.
    It is compared as it is: hashing a thousand of them at the start would take ten seconds. Powers are magnitudes in W,
    per EVSE, and replace what the station reports; `fallback_limit_w` is the power that it may charge with without a
    command.
    """

    id: str
    password_hash: str | None = None
    password: str | None = field(default=None, repr=False)
    vendor_profile: str | None = None
    security_profile: int | None = None
    max_charge_w: float | None = None
    max_discharge_w: float | None = None
    fallback_limit_w: float | None = None
    registration: Registration = Registration.ACCEPTED
    next_security_profile: int | None = None  # sent to the station, required from its first use on (A05)
    next_password_hash: str | None = None  # sent to the station, not confirmed yet

    @property
    def has_password(self) -> bool:
        """True if the station must present a password."""
        return self.password_hash is not None or self.password is not None


@dataclass(frozen=True, slots=True)
class CsmsSettings:
    """The CSMS as a whole."""

    host: str = "127.0.0.1"
    port: int = 9000
    tls_address: tuple[str, int] | None = None  # second port with TLS beside a plain one, for stations that migrate
    path: str = "/ocpp"
    stations: tuple[StationSettings, ...] = ()
    unknown_stations: UnknownStations = UnknownStations.REJECT
    reserved: frozenset[str] = frozenset()  # ids, without case, that no station has: EVSEs hosted by the gateway itself
    unknown_tokens: UnknownTokens = UnknownTokens.REJECT
    security_profile: int = 0  # 0 none, 1 basic, 2 TLS and basic, 3 mutual TLS
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_ca: Path | None = None  # authority of the stations' certificates (profile 3)
    tls_crl: Path | None = None  # certificate revocation lists of `tls_ca`, read again when the file changes
    ca_key: Path | None = None  # key of `tls_ca`: the gateway then signs certificates of stations
    v2x_allowed: bool = True  # every energy transfer is allowed unless the token lists its own (2.1 Q01)
    heartbeat_s: int = 300
    boot_retry_s: int = 30  # interval for a station that is Pending or Rejected
    sample_every_s: int = 10  # upper bound of the interval of transaction meter values; longer ones are shortened
    answer_within_s: float = 30.0
    inventory: bool = True  # request device model and sampling (GetBaseReport, GetConfiguration) after a boot
    fallback_limit_w: float = 0.0  # limit of the fallback profile (TxDefaultProfile, stack level 0)
    local_list: bool = False  # send the tokens to the stations as local authorisation list
    ping_interval_s: float = 20.0
    silent_after_s: float = 40.0  # a station that sends nothing for so long, not even a Pong, is disconnected
    acknowledged_within_s: float = 15.0  # a connection ends whose peer acknowledges nothing for so long (TCP)
    max_message: int = 128 * 1024  # characters
    max_transaction_message: int = 4 * 1024 * 1024  # of StopTransaction, TransactionEvent and MeterValues
    lenient: bool = False  # repair messages that break their schema, where there is no doubt about what is meant
    max_stations: int = 5000
    max_unknown: int = 100  # stations that are not registered
    max_handshakes_per_s: float = 200.0
    max_unserved: int = 100  # stations that have connected and wait for their first response
    max_calls_per_s: float = 50.0  # per station, after a burst of `max_burst`
    max_burst: int = 500
    compression: bool = False  # RFC 7692; costs 40 kB per station and half the message rate
    vendor_profiles: Path | None = None  # folder with vendor profiles of the site
