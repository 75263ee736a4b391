"""Devices over Modbus that the configuration names: their register maps, and what they are at the site.

The driver is imported where a device is configured: a gateway without one starts sooner.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from gateway.config.settings import Config, ConfigError, MeterEntry, ModbusEvseEntry, ModbusLink, StorageEntry
from gateway.drivers.site_inputs import SiteInputs
from gateway.model.event import Report
from gateway.model.site import InputKind
from protocols.ports import Clock
from protocols.serial.io import Parity, SerialSettings

if TYPE_CHECKING:
    from gateway.drivers.modbus.device import Client
    from gateway.drivers.modbus.evse import ModbusEvse
    from gateway.drivers.modbus.settings import ModbusSettings
    from gateway.drivers.modbus.site import SiteDevices
    from protocols.modbus.register_map import Kind, RegisterMap

ConnectModbus: TypeAlias = "Callable[[ModbusSettings, RegisterMap, Clock], Callable[[], Client]]"


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
    listed: dict[str, Sequence[object]] = {
        "evses": config.evses, "meters": config.meters, "storages": config.storages, "pvs": config.pvs
    }  # fmt: skip
    return [
        _device(section, number, entry, config)
        for section, entries in listed.items()
        for number, entry in enumerate(entries)
        if isinstance(entry, ModbusLink)
    ]


def _device(section: str, number: int, entry: ModbusLink, config: Config) -> ModbusDeviceEntry:
    from gateway.drivers.modbus.settings import ModbusError, ModbusSettings, product_of
    from protocols.modbus.register_map import Kind

    key, kind = f"{section}.{number}", Kind(section.removesuffix("s"))
    connector = entry.connector if isinstance(entry, ModbusEvseEntry) else 1
    serial = None
    if entry.serial is not None:
        serial = SerialSettings(entry.serial, entry.baud, Parity(entry.parity), entry.stop_bits)
    address = entry.address or entry.serial or ""
    settings = ModbusSettings(entry.product, address, entry.unit, connector, entry.framing, serial)
    try:
        return ModbusDeviceEntry(key, kind, entry, settings, product_of(settings, kind, config.folder))
    except ModbusError as error:
        raise ConfigError(f"{key}.product: {error}") from None


def site_devices(
    config: Config,
    connect: ConnectModbus | None,
    clock: Clock,
    inputs: SiteInputs,
    storage_w: Callable[[], float | None],
    pv_limit_w: Callable[[], float | None],
) -> SiteDevices | None:
    """Return meters, storages and photovoltaics, None without any."""
    entries = [one for one in modbus_devices(config) if not isinstance(one.entry, ModbusEvseEntry)]
    if not entries:
        return None
    from gateway.drivers.modbus.settings import connection_of
    from gateway.drivers.modbus.site import SiteDevice, SiteDevices

    found = []
    for one in entries:
        turned = isinstance(one.entry, MeterEntry | StorageEntry) and one.entry.reversed
        connection = (connect or connection_of)(one.settings, one.product, clock)
        found.append(SiteDevice(one.key, _input_of(one.entry), one.product, connection, -1 if turned else 1))
    return SiteDevices(found, inputs, clock, storage_w, pv_limit_w)


def _input_of(entry: ModbusLink) -> InputKind:
    if isinstance(entry, MeterEntry):
        return InputKind(entry.input)
    return InputKind.STORAGE if isinstance(entry, StorageEntry) else InputKind.PV


def modbus_evses(config: Config, connect: ConnectModbus | None, report: Report, clock: Clock) -> list[ModbusEvse]:
    """Return the wallboxes over Modbus."""
    found = []
    for one in modbus_devices(config):
        if isinstance(one.entry, ModbusEvseEntry):
            from gateway.drivers.modbus.evse import ModbusEvse
            from gateway.drivers.modbus.session import WallboxSession
            from gateway.drivers.modbus.settings import connection_of

            session = WallboxSession(one.entry.id, one.product, one.entry.max_charge_w, one.entry.max_discharge_w)
            connection = (connect or connection_of)(one.settings, one.product, clock)
            found.append(ModbusEvse(session, connection, report, clock))
    return found
