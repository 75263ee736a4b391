"""Request handlers of a 1.6 station by action. Other actions are answered with NotSupported."""

from __future__ import annotations

from emulators.charger.station.messages import OcppVersion
from emulators.charger.station.ocpp16.core import CoreRequests, TriggerRequests
from emulators.charger.station.ocpp16.keys import ConfigurationRequests, add_keys
from emulators.charger.station.ocpp16.maintenance import MaintenanceRequests
from emulators.charger.station.ocpp16.messages import Messages16
from emulators.charger.station.ocpp16.smart_charging import SmartChargingRequests
from emulators.charger.station.shared_requests import handlers_of
from emulators.charger.station.station import Station
from protocols.ocpp.enums import v16

ALLOWED_WHILE_PENDING = frozenset(
    {
        v16.Action.change_configuration,
        v16.Action.extended_trigger_message,
        v16.Action.get_configuration,
        v16.Action.remote_start_transaction,
        v16.Action.remote_stop_transaction,
        v16.Action.trigger_message,
    }
)


def ocpp_version(station: Station) -> OcppVersion:
    """Return OCPP 1.6J for a station, with its configuration keys added to the device model."""
    messages, maintenance = Messages16(station), MaintenanceRequests(station)
    add_keys(station)
    components = [
        CoreRequests(station),
        ConfigurationRequests(station),
        maintenance,
        SmartChargingRequests(station),
        TriggerRequests(station, messages, maintenance),
    ]
    return OcppVersion(messages, handlers_of(components, v16.Action), ALLOWED_WHILE_PENDING)
