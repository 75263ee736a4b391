"""Composition of an emulated station: OCPP version, EVSEs with cars or SECCs, connection to the CSMS."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from emulators.charger.hardware.meter import Meter, MeterSpec
from emulators.charger.hardware.power_stage import PowerStage, StageSpec
from emulators.charger.station.config import StationConfig
from emulators.charger.station.csms_link.network_profiles import Connect
from emulators.charger.station.messages import OcppVersion
from emulators.charger.station.power_path import CarPowerPath, PowerPath
from emulators.charger.station.station import Station
from emulators.charger.station.store import Store
from protocols.ocpp.schema import Version
from protocols.ports import Clock


def _version_of(station: Station) -> OcppVersion:
    """Return messages and handlers of the station's version; the other version is not imported."""
    if station.config.version is Version.V16:
        from emulators.charger.station.ocpp16.requests import ocpp_version
    else:
        from emulators.charger.station.ocpp2.requests import ocpp_version
    return ocpp_version(station)


def build(
    config: StationConfig,
    power_paths: Sequence[PowerPath],
    clock: Clock,
    connect: Connect,
    store: Store | None = None,
    on_retry: Callable[[str, float], None] | None = None,
) -> Station:
    """Return a station with these EVSEs.

    A store, which requires a running loop, persists its state. `on_retry` is called with the reason of a lost or failed
    connection and the seconds until the next attempt.
    """
    return Station(config, list(power_paths), clock, connect, _version_of, store, on_retry)


def car_power_path(stage: StageSpec | None = None, class_pct: float = 0.0, seed: int = 0) -> CarPowerPath:
    """Return a power path for emulated cars, with a meter of an accuracy class."""
    meter = Meter(MeterSpec(class_pct=class_pct), seed)
    return CarPowerPath(PowerStage(stage or StageSpec(), meter))
