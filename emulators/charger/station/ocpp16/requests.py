"""Request handlers of a 1.6 station by action. Other actions are answered with NotSupported."""

from __future__ import annotations

from emulators.charger.station.messages import Handler, OcppVersion
from emulators.charger.station.ocpp16.core import CoreRequests, TriggerRequests
from emulators.charger.station.ocpp16.keys import ConfigurationRequests, add_keys
from emulators.charger.station.ocpp16.maintenance import MaintenanceRequests
from emulators.charger.station.ocpp16.messages import Messages16
from emulators.charger.station.ocpp16.smart_charging import SmartChargingRequests
from emulators.charger.station.station import Station

ALLOWED_WHILE_PENDING = frozenset(
    {
        "ChangeConfiguration", "ExtendedTriggerMessage", "GetConfiguration", "RemoteStartTransaction",
        "RemoteStopTransaction", "TriggerMessage",
    }
)  # fmt: skip


def ocpp_version(station: Station) -> OcppVersion:
    """Return OCPP 1.6J for a station, with its configuration keys added to the device model."""
    messages = Messages16(station)
    add_keys(station)
    return OcppVersion(messages, _handlers(station, messages), ALLOWED_WHILE_PENDING)


def _handlers(station: Station, messages: Messages16) -> dict[str, Handler]:
    core, configuration = CoreRequests(station), ConfigurationRequests(station)
    maintenance, smart_charging = MaintenanceRequests(station), SmartChargingRequests(station)
    trigger = TriggerRequests(station, messages, maintenance)
    return {
        "CancelReservation": core.cancel_reservation,
        "CertificateSigned": maintenance.certificate_signed,
        "ChangeAvailability": core.change_availability,
        "ChangeConfiguration": configuration.change,
        "ClearCache": core.clear_cache,
        "ClearChargingProfile": smart_charging.clear_charging_profile,
        "DataTransfer": core.data_transfer,
        "DeleteCertificate": maintenance.delete_certificate,
        "ExtendedTriggerMessage": trigger.trigger_message,
        "GetCompositeSchedule": smart_charging.get_composite_schedule,
        "GetConfiguration": configuration.get,
        "GetDiagnostics": maintenance.get_diagnostics,
        "GetInstalledCertificateIds": maintenance.get_installed_certificate_ids,
        "GetLocalListVersion": core.get_local_list_version,
        "GetLog": maintenance.get_log,
        "InstallCertificate": maintenance.install_certificate,
        "RemoteStartTransaction": core.remote_start,
        "RemoteStopTransaction": core.remote_stop,
        "ReserveNow": core.reserve_now,
        "Reset": core.reset,
        "SendLocalList": core.send_local_list,
        "SetChargingProfile": smart_charging.set_charging_profile,
        "SignedUpdateFirmware": maintenance.signed_update_firmware,
        "TriggerMessage": trigger.trigger_message,
        "UnlockConnector": core.unlock_connector,
        "UpdateFirmware": maintenance.update_firmware,
    }
