"""Request handlers of a 1.6 station by action. Other actions are answered with NotSupported."""

from __future__ import annotations

from emulators.charger.station.messages import Handler, OcppVersion
from emulators.charger.station.ocpp16.authorization import AuthorizationRequests
from emulators.charger.station.ocpp16.core import CoreRequests
from emulators.charger.station.ocpp16.keys import ConfigurationRequests, add_keys
from emulators.charger.station.ocpp16.maintenance import MaintenanceRequests
from emulators.charger.station.ocpp16.messages import Effects, Messages16
from emulators.charger.station.ocpp16.remote_control import RemoteControlRequests
from emulators.charger.station.ocpp16.smart_charging import SmartChargingRequests
from emulators.charger.station.ocpp16.trigger import TriggerRequests
from emulators.charger.station.station import Station

ALLOWED_WHILE_PENDING = frozenset(
    {
        "ChangeConfiguration", "ExtendedTriggerMessage", "GetConfiguration", "RemoteStartTransaction",
        "RemoteStopTransaction", "TriggerMessage",
    }
)  # fmt: skip


def ocpp_version(station: Station) -> OcppVersion:
    """Return OCPP 1.6J for a station, with its configuration keys added to the device model."""
    effects = Effects(station.link.send_status, station.persistence.transaction_id_assigned)
    messages = Messages16(station, station.profiles, station.maintenance, effects)
    add_keys(station)
    return OcppVersion(messages, _handlers(station, messages), ALLOWED_WHILE_PENDING)


def _handlers(station: Station, messages: Messages16) -> dict[str, Handler]:
    maintenance = MaintenanceRequests(station, station.maintenance, station.link)
    reject = station.rejections.append
    tables = [
        AuthorizationRequests(station, station.local_list, station.reservations).handlers(),
        ConfigurationRequests(station, station.link, station.vendor_power, station.variables_changed).handlers(),
        CoreRequests(station, station.availability, station.reboot, station.vendor_power).handlers(),
        maintenance.handlers(),
        RemoteControlRequests(station, station.sessions, station.reservations, station.local_list).handlers(),
        SmartChargingRequests(station, station.profiles, station.smart_charging, reject).handlers(),
        TriggerRequests(station, messages, station.link, maintenance).handlers(),
    ]
    return {action: handler for table in tables for action, handler in table.items()}
