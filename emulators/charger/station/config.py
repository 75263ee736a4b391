"""Configuration of an emulated charging station."""

from __future__ import annotations

from dataclasses import dataclass

from emulators.charger.station.smart_charging.profile_rules import MODES
from protocols.ocpp.schema import Version
from protocols.ocpp.vendor import VendorProfile


@dataclass(frozen=True, slots=True)
class StationConfig:
    """Identity, credentials and behaviour of a station. Its rated powers are those of its power paths."""

    id: str = "CP1"
    version: Version = Version.V21
    vendor: str = "v2x-gateway"
    model: str = "emulator"
    serial: str = "EMU-1"
    firmware: str = "1.0"
    vendor_profile: str | VendorProfile | None = None  # name of a built-in profile, or a profile
    id_token: str = ""  # empty: NoAuthorization; in 1.6 the tag FREE
    token_type: str = "ISO14443"
    csms: str = ""  # URL without the station id; any text where the connection is injected
    security_profile: int = 0
    password: str | None = None
    unsigned_firmware: bool | None = None  # False rejects unsigned updates (L01); None: from security profile 2 on
    meter_interval_s: float = 10.0
    dc: bool = True
    service_renegotiation: bool = True  # ISO15118Ctrlr.ServiceRenegotiationSupport
    evse_sleep: bool = True  # SmartChargingCtrlr.SupportsEvseSleep
    modes: tuple[str, ...] = MODES
    answer_within_s: float = 30.0
    tick_s: float = 1.0  # longest time between two steps of an active station
    seed: int = 0
