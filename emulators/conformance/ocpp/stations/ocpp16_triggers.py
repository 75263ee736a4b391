"""OCPP 1.6, remote trigger (5.17)."""

from __future__ import annotations

from emulators.conformance.ocpp.declarations import V16, Declared
from emulators.conformance.ocpp.mutants import Mutant, Omits, Sends
from emulators.conformance.ocpp.pattern import ANY
from emulators.conformance.ocpp.stations.ocpp16 import STATUS
from emulators.conformance.ocpp.stations.procedures import Station, triggered

DECLARED: Declared[Station] = Declared("CS", "Remote trigger 1.6")


def _trigger(
    reference: str,
    requested: str,
    sent: str,
    mutant: Mutant,
    expected: object = ANY,
    needs: tuple[str, ...] = (),
    **more: object,
) -> None:
    DECLARED.add(
        V16,
        reference,
        f"TriggerMessage {requested}",
        f"Accepted, and {sent}",
        mutant,
        triggered(requested, sent, expected, **more),
        "station.trigger",
        *needs,
    )


_trigger(
    "5.17 Heartbeat", "Heartbeat", "Heartbeat", Omits("Heartbeat", response={"currentTime": "2026-01-15T00:00:00Z"})
)
_trigger("5.17 StatusNotification", STATUS, STATUS, Omits(STATUS), {"connectorId": 1}, connectorId=1)
_trigger("5.17 MeterValues", "MeterValues", "MeterValues", Omits("MeterValues"), {"connectorId": 1}, connectorId=1)
_trigger(
    "5.17 BootNotification",
    "BootNotification",
    "BootNotification",
    Omits("BootNotification", response={"status": "Accepted", "interval": 300, "currentTime": "2026-01-15T00:00:00Z"}),
)
_trigger(
    "4.5 Idle",
    "FirmwareStatusNotification",
    "FirmwareStatusNotification",
    Sends("FirmwareStatusNotification", {"status": "Installed"}),
    {"status": "Idle"},
    ("station.firmware",),
)
_trigger(
    "4.4 Idle",
    "DiagnosticsStatusNotification",
    "DiagnosticsStatusNotification",
    Sends("DiagnosticsStatusNotification", {"status": "Uploaded"}),
    {"status": "Idle"},
    ("station.firmware",),
)
