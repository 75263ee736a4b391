"""Request handlers of a 2.x station by action. Other actions are answered with NotSupported."""

from __future__ import annotations

from emulators.charger.station.device_model.variables import add_variables
from emulators.charger.station.messages import Handler, OcppVersion
from emulators.charger.station.ocpp2.core import CoreRequests, TriggerRequests
from emulators.charger.station.ocpp2.der import DerRequests
from emulators.charger.station.ocpp2.display import DisplayRequests, TariffRequests
from emulators.charger.station.ocpp2.maintenance import MaintenanceRequests
from emulators.charger.station.ocpp2.messages import Messages2
from emulators.charger.station.ocpp2.monitoring import MonitoringRequests
from emulators.charger.station.ocpp2.smart_charging import SmartChargingRequests
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
    messages = Messages2(station)
    add_variables(station)
    handlers = _handlers(station, messages)
    if station.config.version is Version.V21:
        handlers |= _handlers_of_21(station)
    return OcppVersion(messages, handlers, ALLOWED_WHILE_PENDING)


def _handlers(station: Station, messages: Messages2) -> dict[str, Handler]:
    core, display, maintenance = CoreRequests(station), DisplayRequests(station), MaintenanceRequests(station)
    monitoring, smart_charging = MonitoringRequests(station), SmartChargingRequests(station)
    variables = VariableRequests(station)
    return {
        "CancelReservation": core.cancel_reservation,
        "CertificateSigned": maintenance.certificate_signed,
        "ChangeAvailability": core.change_availability,
        "ClearCache": core.clear_cache,
        "ClearChargingProfile": smart_charging.clear_charging_profile,
        "ClearDisplayMessage": display.clear_display_message,
        "ClearVariableMonitoring": monitoring.clear,
        "CostUpdated": display.cost_updated,
        "CustomerInformation": display.customer_information,
        "DataTransfer": core.data_transfer,
        "DeleteCertificate": maintenance.delete_certificate,
        "GetBaseReport": variables.get_base_report,
        "GetChargingProfiles": smart_charging.get_charging_profiles,
        "GetCompositeSchedule": smart_charging.get_composite_schedule,
        "GetDisplayMessages": display.get_display_messages,
        "GetInstalledCertificateIds": maintenance.get_installed_certificate_ids,
        "GetLocalListVersion": core.get_local_list_version,
        "GetLog": maintenance.get_log,
        "GetMonitoringReport": monitoring.report,
        "GetReport": variables.get_report,
        "GetTransactionStatus": core.get_transaction_status,
        "GetVariables": variables.get_variables,
        "InstallCertificate": maintenance.install_certificate,
        "RequestStartTransaction": core.request_start,
        "RequestStopTransaction": core.request_stop,
        "ReserveNow": core.reserve_now,
        "Reset": core.reset,
        "SendLocalList": core.send_local_list,
        "SetChargingProfile": smart_charging.set_charging_profile,
        "SetDisplayMessage": display.set_display_message,
        "SetMonitoringBase": monitoring.set_base,
        "SetMonitoringLevel": monitoring.set_level,
        "SetNetworkProfile": variables.set_network_profile,
        "SetVariableMonitoring": monitoring.set,
        "SetVariables": variables.set_variables,
        "TriggerMessage": TriggerRequests(station, messages, maintenance).trigger_message,
        "UnlockConnector": core.unlock_connector,
        "UpdateFirmware": maintenance.update_firmware,
    }


def _handlers_of_21(station: Station) -> dict[str, Handler]:
    der, tariffs = DerRequests(station), TariffRequests(station)
    monitoring, smart_charging = MonitoringRequests(station), SmartChargingRequests(station)
    return {
        "AFRRSignal": smart_charging.afrr_signal,
        "AdjustPeriodicEventStream": monitoring.adjust_stream,
        "ChangeTransactionTariff": tariffs.if_enabled(tariffs.change),
        "ClearDERControl": der.clear_der_control,
        "ClearTariffs": tariffs.if_enabled(tariffs.clear),
        "GetDERControl": der.get_der_control,
        "GetPeriodicEventStream": monitoring.get_streams,
        "GetTariffs": tariffs.if_enabled(tariffs.get),
        "NotifyAllowedEnergyTransfer": smart_charging.notify_allowed_energy_transfer,
        "SetDERControl": der.set_der_control,
        "SetDefaultTariff": tariffs.if_enabled(tariffs.set_default),
        "UpdateDynamicSchedule": smart_charging.update_dynamic_schedule,
        "UsePriorityCharging": smart_charging.use_priority_charging,
    }
