"""Objects of the gateway: an EV charger and discharger for each EVSE, and the storage, PV and board of the site."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.hems.evse_orders import SETTABLE, EvseOrders
from gateway.hems.properties import BOARD, EVSE, IDENTITY, MAKER, PV, STORAGE, OfSite, actual_mode, equipment_type
from gateway.hems.settings import Plug, SiteObject
from gateway.hems.snapshot import Snapshots
from gateway.service import GatewayService
from protocols.echonet.classes import DISTRIBUTION_BOARD, EV_CHARGER_DISCHARGER, SOLAR, STORAGE_BATTERY
from protocols.echonet.frames import Eoj
from protocols.echonet.objects import LocalObject
from protocols.echonet.values import Value

LOCATION, ID, SERIAL, CONFIRMATION, EQUIPMENT, ACTUAL_MODE = 0x81, 0x83, 0x8D, 0xCD, 0xCC, 0xE1
_SITE: Mapping[SiteObject, tuple[int, Mapping[int, OfSite]]] = {
    SiteObject.STORAGE: (STORAGE_BATTERY, STORAGE),
    SiteObject.PV: (SOLAR, PV),
    SiteObject.BOARD: (DISTRIBUTION_BOARD, BOARD),
}


def eoj_of(class_code: int, instance: int = 1) -> Eoj:
    """Return the identifier of an object of a class."""
    return Eoj(class_code >> 8, class_code & 0xFF, instance)


class _Identity:
    """Properties that every object has; the installation location can be set. The serial number is a name."""

    def __init__(self, eoj: Eoj, node_id: bytes, name: str) -> None:
        number = (node_id[:10] + eoj.pack()).rjust(13, b"\0")
        serial = name.encode("ascii")[:12].ljust(12, b"\0")
        self._values: dict[int, Value] = {
            **IDENTITY, LOCATION: b"\x00", ID: b"\xfe" + MAKER + number, SERIAL: serial
        }  # fmt: skip

    def read(self, epc: int) -> Value | None:
        return self._values.get(epc)

    def write(self, epc: int, value: Value) -> bool:
        if epc != LOCATION:
            return False
        self._values[epc] = value
        return True


class EvseObject:
    """Plant of one EVSE."""

    def __init__(self, identity: _Identity, orders: EvseOrders, snapshots: Snapshots, plug: Plug | None) -> None:
        self._identity, self._orders, self._snapshots, self._plug = identity, orders, snapshots, plug

    def read(self, epc: int, now: float) -> Value | None:
        """Return a value of the gateway's state."""
        if epc in SETTABLE:
            return self._orders.read(epc, now)
        one = self._snapshots.at(now)
        match epc:
            case 0xCC:
                return equipment_type(one, self._plug)
            case 0xE1:
                return actual_mode(one, self._orders.mode(now))
        return EVSE[epc](one) if epc in EVSE else self._identity.read(epc)

    def write(self, epc: int, value: Value, now: float) -> bool:
        """Apply an order; False refuses it."""
        if epc == CONFIRMATION:  # the state of the connection is always current
            return True
        return self._orders.write(epc, value, now) if epc in SETTABLE else self._identity.write(epc, value)


class SiteInputs:
    """Plant of an object of the site, which cannot be ordered."""

    def __init__(self, identity: _Identity, service: GatewayService, values: Mapping[int, OfSite]) -> None:
        self._identity, self._service, self._values = identity, service, values

    def read(self, epc: int, now: float) -> Value | None:
        """Return a value of the site's inputs."""
        if epc in self._values:
            return self._values[epc](self._service.site_reading())
        return self._identity.read(epc)

    def write(self, epc: int, value: Value, now: float) -> bool:
        return self._identity.write(epc, value)


def evse_object(
    name: str, instance: int, orders: EvseOrders, snapshots: Snapshots, plug: Plug | None, node_id: bytes
) -> LocalObject:
    """Return the object of an EVSE, which has its name as serial number."""
    eoj = eoj_of(EV_CHARGER_DISCHARGER, instance)
    epcs = {*IDENTITY, LOCATION, ID, SERIAL, *EVSE, *SETTABLE, CONFIRMATION, EQUIPMENT, ACTUAL_MODE}
    plant = EvseObject(_Identity(eoj, node_id, name), orders, snapshots, plug)
    return LocalObject(eoj, plant, epcs, settable=SETTABLE | {LOCATION, CONFIRMATION})


def site_object(kind: SiteObject, service: GatewayService, node_id: bytes) -> LocalObject:
    """Return an object of the site."""
    code, values = _SITE[kind]
    eoj = eoj_of(code)
    plant = SiteInputs(_Identity(eoj, node_id, kind.value), service, values)
    return LocalObject(eoj, plant, {*IDENTITY, LOCATION, ID, SERIAL, *values}, settable={LOCATION})
