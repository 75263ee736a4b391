"""Request handlers of a 2.x station by action. Other actions are answered with NotSupported."""

from __future__ import annotations

from emulators.charger.station.device_model.variables import add_variables
from emulators.charger.station.messages import OcppVersion
from emulators.charger.station.ocpp2.core import CoreRequests, TriggerRequests
from emulators.charger.station.ocpp2.der import DerRequests
from emulators.charger.station.ocpp2.display import DisplayRequests, TariffRequests
from emulators.charger.station.ocpp2.maintenance import MaintenanceRequests
from emulators.charger.station.ocpp2.messages import Messages2
from emulators.charger.station.ocpp2.monitoring import MonitoringRequests
from emulators.charger.station.ocpp2.smart_charging import SmartChargingRequests
from emulators.charger.station.ocpp2.variables import VariableRequests
from emulators.charger.station.shared_requests import handlers_of
from emulators.charger.station.station import Station
from protocols.ocpp import enums
from protocols.ocpp.enums import v21
from protocols.ocpp.schema import Version

ALLOWED_WHILE_PENDING = frozenset(
    {
        v21.Action.get_base_report,
        v21.Action.get_report,
        v21.Action.get_variables,
        v21.Action.request_start_transaction,
        v21.Action.request_stop_transaction,
        v21.Action.set_variables,
        v21.Action.trigger_message,
    }
)


def ocpp_version(station: Station) -> OcppVersion:
    """Return OCPP 2.0.1 or 2.1 for a station, with its variables added to the device model."""
    messages, maintenance = Messages2(station), MaintenanceRequests(station)
    add_variables(station)
    components = [
        CoreRequests(station),
        DerRequests(station),
        DisplayRequests(station),
        maintenance,
        MonitoringRequests(station),
        SmartChargingRequests(station),
        TariffRequests(station),
        TriggerRequests(station, messages, maintenance),
        VariableRequests(station),
    ]
    actions = enums.v21.Action if station.config.version is Version.V21 else enums.v201.Action
    return OcppVersion(messages, handlers_of(components, actions), ALLOWED_WHILE_PENDING)
