"""Request handlers of a 2.x station by action. Other actions are answered with NotSupported."""

from __future__ import annotations

from emulators.charger.station.messages import Handler, OcppVersion
from emulators.charger.station.ocpp2.authorization import AuthorizationRequests
from emulators.charger.station.ocpp2.der import DerRequests
from emulators.charger.station.ocpp2.display import DisplayRequests
from emulators.charger.station.ocpp2.maintenance import MaintenanceRequests
from emulators.charger.station.ocpp2.messages import Messages2
from emulators.charger.station.ocpp2.monitoring import MonitoringRequests
from emulators.charger.station.ocpp2.provisioning import ProvisioningRequests
from emulators.charger.station.ocpp2.remote_control import RemoteControlRequests
from emulators.charger.station.ocpp2.smart_charging import ChargingControl, SmartChargingRequests
from emulators.charger.station.ocpp2.tariffs import TariffRequests
from emulators.charger.station.ocpp2.trigger import TriggerRequests
from emulators.charger.station.ocpp2.variables import VariableRequests
from emulators.charger.station.station import Station
from protocols.ocpp.schema import Version

ALLOWED_WHILE_PENDING = frozenset(
    {
        "GetBaseReport", "GetReport", "GetVariables", "RequestStartTransaction", "RequestStopTransaction",
        "SetVariables", "TriggerMessage",
    }
)  # fmt: skip


def ocpp_version(station: Station) -> OcppVersion:
    """Return OCPP 2.0.1 or 2.1 for a station, with its variables added to the device model."""
    messages = Messages2(station, station.tariffs, station.maintenance)
    station.add_variables()
    return OcppVersion(messages, _handlers(station, messages), ALLOWED_WHILE_PENDING)


def _handlers(station: Station, messages: Messages2) -> dict[str, Handler]:
    maintenance = MaintenanceRequests(station, station.maintenance, station.link)
    control = ChargingControl(station.profiles, station.smart_charging, station.sessions, station.rejections.append)
    tables = [
        AuthorizationRequests(station, station.local_list, station.reservations).handlers(),
        DisplayRequests(station, station.display, station.local_list).handlers(),
        maintenance.handlers(),
        MonitoringRequests(station, station.monitoring.monitors, station.event_streams).handlers(),
        ProvisioningRequests(station, station.availability, station.reboot, station.vendor_power).handlers(),
        RemoteControlRequests(station, station.sessions, station.reservations, station.link.queue).handlers(),
        SmartChargingRequests(station, control).handlers(),
        TriggerRequests(station, messages, station.link, maintenance).handlers(),
        VariableRequests(station, station.link, station.vendor_power, station.variables_changed).handlers(),
    ]
    if station.config.version is Version.V21:
        tables += [
            DerRequests(station, station.der_controls).handlers(),
            TariffRequests(station.evses, station.tariffs).handlers(),
        ]
    return {action: handler for table in tables for action, handler in table.items()}
