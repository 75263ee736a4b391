"""Devices over Modbus from their settings: register map, address, connection."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gateway.drivers.modbus.device import Client
from protocols.modbus.register_map import BadMap, Kind, RegisterMap, names, read, shipped, similar
from protocols.ports import Clock


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


def connection_of(settings: ModbusSettings, product: RegisterMap, clock: Clock) -> Callable[[], Client]:
    """Return how a device is connected."""
    from protocols.modbus.io import Framing, tcp_client  # pymodbus is an extra, and only loaded where it is used

    host, port = host_of(settings, product)
    return lambda: tcp_client(host, port, clock, Framing(settings.framing))
