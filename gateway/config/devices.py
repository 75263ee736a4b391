"""Devices over Modbus that the configuration names: their register maps, and what they are at the site."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from gateway.config.settings import Config, ConfigError, MeterEntry, ModbusEvseEntry, ModbusLink, StorageEntry
from gateway.drivers.modbus.device import Client
from gateway.drivers.modbus.evse import ModbusEvse
from gateway.drivers.modbus.session import WallboxSession
from gateway.drivers.modbus.settings import ModbusError, ModbusSettings, connection_of, product_of
from gateway.drivers.modbus.site import SiteDevice
from gateway.model.event import Report
from gateway.model.site import InputKind
from protocols.modbus.register_map import Kind, RegisterMap
from protocols.ports import Clock

ConnectModbus: TypeAlias = Callable[[ModbusSettings, RegisterMap, Clock], Callable[[], Client]]


@dataclass(frozen=True, slots=True)
class ModbusDeviceEntry:
    """One device: its place in the configuration, such as `meters.0`, and its register map."""

    key: str
    kind: Kind
    entry: ModbusLink
    settings: ModbusSettings
    product: RegisterMap


def modbus_devices(config: Config) -> list[ModbusDeviceEntry]:
    """Return all devices over Modbus; ConfigError where a register map cannot be used."""
    listed = (
        (Kind.EVSE, "evses", config.evses),
        (Kind.METER, "meters", config.meters),
        (Kind.STORAGE, "storages", config.storages),
        (Kind.PV, "pvs", config.pvs),
    )
    found = []
    for kind, section, entries in listed:
        for number, entry in enumerate(entries):
            if isinstance(entry, ModbusLink):
                key = f"{section}.{number}"
                found.append(ModbusDeviceEntry(key, kind, entry, *_settings_of(key, kind, entry, config)))
    return found


def _settings_of(key: str, kind: Kind, entry: ModbusLink, config: Config) -> tuple[ModbusSettings, RegisterMap]:
    connector = entry.connector if isinstance(entry, ModbusEvseEntry) else 1
    settings = ModbusSettings(entry.product, entry.address, entry.unit, connector, entry.framing)
    try:
        return settings, product_of(settings, kind, config.folder)
    except ModbusError as error:
        raise ConfigError(f"{key}.product: {error}") from None


def site_devices(config: Config, connect: ConnectModbus | None, clock: Clock) -> list[SiteDevice]:
    """Return meters, storages and photovoltaics."""
    make = connect or connection_of
    found = []
    for one in modbus_devices(config):
        if one.kind is not Kind.EVSE:
            turned = isinstance(one.entry, MeterEntry | StorageEntry) and one.entry.reversed
            connection = make(one.settings, one.product, clock)
            found.append(SiteDevice(one.key, _input_of(one), one.product, connection, -1 if turned else 1))
    return found


def _input_of(device: ModbusDeviceEntry) -> InputKind:
    if isinstance(device.entry, MeterEntry):
        return InputKind(device.entry.input)
    return InputKind.STORAGE if device.kind is Kind.STORAGE else InputKind.PV


def modbus_evses(config: Config, connect: ConnectModbus | None, report: Report, clock: Clock) -> list[ModbusEvse]:
    """Return the wallboxes over Modbus."""
    make = connect or connection_of
    found = []
    for one in modbus_devices(config):
        if isinstance(one.entry, ModbusEvseEntry):
            session = WallboxSession(one.entry.id, one.product, one.entry.max_charge_w, one.entry.max_discharge_w)
            found.append(ModbusEvse(session, make(one.settings, one.product, clock), report, clock))
    return found
