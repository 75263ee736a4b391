"""Devices over Modbus from their settings: register map, address, connection."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakValueDictionary

from gateway.drivers.modbus.device import Client
from protocols.modbus.register_map import BadMap, Kind, RegisterMap, names, read, shipped, similar
from protocols.ports import Clock
from protocols.serial.io import SerialLine, SerialSettings


class ModbusError(Exception):
    """A device cannot be used as it is configured; the text names what is wrong and what is meant."""


@dataclass(frozen=True, slots=True)
class ModbusSettings:
    """Connection of one device. `product`: name or path of a register map."""

    product: str
    address: str
    unit: int | None = None
    connector: int = 1
    framing: str = "tcp"
    serial: SerialSettings | None = None  # instead of an address, which then is that of the port


def product_of(settings: ModbusSettings, kind: Kind, folder: Path) -> RegisterMap:
    """Return the register map of a device, at its unit and connector; paths are relative to `folder`. Raises
    ModbusError."""
    name = settings.product
    if name == "sunspec":
        name = f"sunspec-{kind}"
    try:
        product = read(folder / name) if name.endswith(".toml") else shipped(name)
    except BadMap as error:
        raise ModbusError(str(error)) from None
    if kind not in product.kind:
        fitting = [one for one in names() if kind in shipped(one).kind]
        meant = similar(name, fitting)
        raise ModbusError(f"{name} is no {kind} but {', '.join(product.kind)}{meant}; known are {', '.join(fitting)}")
    if settings.unit is not None:
        product = product.changed(unit=settings.unit)
    try:
        return product.at_connector(settings.connector)
    except ValueError as error:
        raise ModbusError(str(error)) from None


def host_of(settings: ModbusSettings, product: RegisterMap) -> tuple[str, int]:
    """Return host and port of a device."""
    host, colon, port = settings.address.rpartition(":")
    if colon and port.isdecimal() and (host.count(":") == 0 or host.endswith("]")):
        return host.strip("[]"), int(port)
    return settings.address.strip("[]"), product.port


_lines: WeakValueDictionary[str, SerialLine] = WeakValueDictionary()  # of this process, by port


def _line(settings: SerialSettings) -> SerialLine:
    """Return the line of a port, which its devices share."""
    line = _lines.get(settings.path)
    if line is None or line.settings != settings:
        line = _lines[settings.path] = SerialLine(settings)
    return line


def connection_of(settings: ModbusSettings, product: RegisterMap, clock: Clock) -> Callable[[], Client]:
    """Return how a device is connected."""
    from protocols.modbus.io import Framing, serial_client, tcp_client  # pymodbus is an extra: only where it is used

    if settings.serial is not None:
        line = _line(settings.serial)
        return lambda: serial_client(line, clock)
    host, port = host_of(settings, product)
    return lambda: tcp_client(host, port, clock, Framing(settings.framing))
