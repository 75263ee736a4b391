"""Put an emulated station together: a dialect for its version, EVSEs with cars or SECCs, and a way to its CSMS."""

from __future__ import annotations

from collections.abc import Sequence

from emulators.charger.hardware.meter import Meter, MeterSpec
from emulators.charger.hardware.power_stage import PowerStage, StageSpec
from emulators.charger.station.csms_link.network_profiles import Connect
from emulators.charger.station.dialect import Dialect
from emulators.charger.station.ocpp2.messages import Dialect2
from emulators.charger.station.power_path import CarPowerPath, PowerPath
from emulators.charger.station.station import Station, StationConfig
from emulators.charger.station.store import Store
from protocols.ocpp.schema import Version
from protocols.ports import Clock


def dialect_of(station: Station) -> Dialect:
    """The words of the station's version."""
    if station.config.version is Version.V16:
        from emulators.charger.station.ocpp16.messages import Dialect16

        return Dialect16(station)
    return Dialect2(station)


def build(
    config: StationConfig, outlets: Sequence[PowerPath], clock: Clock, connect: Connect, store: Store | None = None
) -> Station:
    """A station with these EVSEs; with a store, which wants a running loop, it remembers over restarts."""
    return Station(config, list(outlets), clock, connect, dialect_of, store)


def car_outlet(stage: StageSpec | None = None, class_pct: float = 0.0, seed: int = 0) -> CarPowerPath:
    """An EVSE whose cars are plugged in by hand, with a meter of this accuracy class."""
    meter = Meter(MeterSpec(class_pct=class_pct), seed)
    return CarPowerPath(PowerStage(stage or StageSpec(), meter))
