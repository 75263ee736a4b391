"""The words of OCPP 1.6J in the mouth of the emulated station; what it does when asked: `ocpp16_asked.py`.

Connector n is EVSE n; connector 0 is the station. The transaction's id comes from the CSMS, so messages that wait for
their turn are written when it comes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from emulators.charger import ocpp16_asked
from emulators.charger.evse import EvseState
from emulators.charger.station import Station
from emulators.charger.transaction import Message, Transaction
from protocols.ocpp.io import Answered
from protocols.ocpp.schema import Payload
from protocols.ocpp.times import stamp

FREE_TAG = "FREE"  # 1.6 has no way to say that nobody is asked
MEASURANDS = (
    "Energy.Active.Import.Register",
    "Energy.Active.Export.Register",
    "Power.Active.Import",
    "Power.Active.Export",
    "SoC",
    "Voltage",
    "Current.Import",
    "Current.Export",
)
_UNITS = {"Energy": "Wh", "Power": "W", "SoC": "Percent", "Voltage": "V", "Current": "A"}
_REASONS = {
    "DeAuthorized": "DeAuthorized",
    "EmergencyStop": "EmergencyStop",
    "EVDisconnected": "EVDisconnected",
    "ImmediateReset": "HardReset",
    "Local": "Local",
    "PowerLoss": "PowerLoss",
    "Reboot": "SoftReset",
    "Remote": "Remote",
}
SAMPLED = frozenset({"MeterValuePeriodic", "ChargingRateChanged", "Trigger"})


class Dialect16:
    """OCPP 1.6J."""

    def __init__(self, station: Station) -> None:
        self.station = station
        ocpp16_asked.furnish(station)

    def handlers(self) -> dict[str, Callable[[Payload], Payload | Awaitable[Payload]]]:
        """What the CSMS may ask."""
        return ocpp16_asked.handlers(self.station, self)

    def boot(self, reason: str) -> Payload:
        """4.2."""
        config = self.station.config
        return {
            "chargePointVendor": config.vendor[:20],
            "chargePointModel": config.model[:20],
            "chargePointSerialNumber": config.serial[:25],
            "firmwareVersion": self.station.firmware[:50],
        }

    def status(self, evse: EvseState) -> Payload:
        """4.9: the finer states of 1.6 from ours."""
        return {
            "connectorId": evse.number,
            "errorCode": "OtherError" if evse.fault else "NoError",
            "status": self.state(evse),
            "timestamp": stamp(self.station.wall()),
        }

    @staticmethod
    def state(evse: EvseState) -> str:
        """ChargePointStatus."""
        if evse.status != "Occupied":
            return evse.status
        if evse.transaction is None:
            return "Finishing" if evse.finishing else "Preparing"
        state = evse.transaction.state
        return state if state in ("Charging", "SuspendedEV", "SuspendedEVSE") else "Preparing"

    async def authorize(self, evse: EvseState, token: str, sort: str) -> bool:
        """4.1."""
        reply = await self.station.call("Authorize", {"idTag": token[:20]})
        return (
            isinstance(reply, Answered)
            and reply.violation is None
            and reply.payload["idTagInfo"]["status"] == "Accepted"
        )

    # transactions

    def started(self, evse: EvseState, transaction: Transaction) -> None:
        """4.8."""
        body: Payload = {
            "connectorId": evse.number,
            "idTag": (transaction.token or FREE_TAG)[:20],
            "meterStart": round(transaction.started_wh),
            "timestamp": stamp(transaction.started_at),
        }
        if transaction.reservation is not None:
            body["reservationId"] = transaction.reservation

        def done(answer: Payload) -> None:
            transaction.number = answer["transactionId"]
            self.station.profiles.rename_transaction(transaction.id, str(transaction.number))
            if answer["idTagInfo"]["status"] != "Accepted" and evse.transaction is transaction:
                self.station.end_transaction(evse, "Deauthorized", "DeAuthorized")

        self.station.enqueue(Message("StartTransaction", lambda: body, done))

    def updated(self, evse: EvseState, transaction: Transaction, trigger: str) -> None:
        """MeterValues for what is measured, StatusNotification for a state."""
        if trigger == "ChargingStateChanged":
            self.station.later(self._tell(evse))
        if trigger in SAMPLED or trigger == "ChargingStateChanged":
            values = self.samples(evse, "Trigger" if trigger == "Trigger" else "Sample.Periodic")
            if self.station.quirks.clock_aligned_only and trigger != "Trigger":
                return
            entry = {"timestamp": stamp(self.station.wall()), "sampledValue": values}
            number = evse.number

            def build() -> Payload:
                body: Payload = {"connectorId": number, "meterValue": [entry]}
                if transaction.number is not None:
                    body["transactionId"] = transaction.number
                return body

            self.station.enqueue(Message("MeterValues", build, None, essential=False))

    async def _tell(self, evse: EvseState) -> None:
        if self.station.online:
            await self.station.call("StatusNotification", self.status(evse))

    def ended(self, evse: EvseState, transaction: Transaction, trigger: str) -> None:
        """4.10."""
        reading = evse.outlet.reading(self.station.clock.now())
        at, values = stamp(self.station.wall()), self.samples(evse, "Transaction.End")
        reason = _REASONS.get(transaction.stopped or "Local", "Other")

        def build() -> Payload:
            body: Payload = {
                "transactionId": transaction.number if transaction.number is not None else -1,
                "meterStop": round(reading.charged_wh),
                "timestamp": at,
                "reason": reason,
                "transactionData": [{"timestamp": at, "sampledValue": values}],
            }
            return body

        evse.finishing = evse.vehicle is not None
        self.station.enqueue(Message("StopTransaction", build))
        self.station.later(self._tell(evse))

    def samples(self, evse: EvseState, context: str) -> list[dict[str, Any]]:
        """SampledValue of each configured measurand."""
        chosen = (self.station.device.get("", "MeterValuesSampledData") or "").split(",")
        reading = evse.outlet.reading(self.station.clock.now())
        only_rises = self.station.quirks.meter_only_rises
        power, amps = reading.power_w, reading.current_a
        values: dict[str, float | None] = {
            "Energy.Active.Import.Register": reading.charged_wh,
            "Energy.Active.Export.Register": None if only_rises else reading.discharged_wh,
            "Power.Active.Import": max(power, 0.0),
            "Power.Active.Export": None if only_rises else max(-power, 0.0),
            "SoC": reading.soc_pct,
            "Voltage": reading.voltage_v,
            "Current.Import": None if amps is None else max(amps, 0.0),
            "Current.Export": None if amps is None or only_rises else max(-amps, 0.0),
        }
        found = []
        for name in dict.fromkeys(chosen):
            value = values.get(name)
            if value is None:
                continue
            sample = {"value": f"{value:.1f}", "context": context, "measurand": name, "location": "Outlet"}
            sample["unit"] = _UNITS[name.partition(".")[0]]
            found.append(sample)
        return found or [{"value": f"{reading.charged_wh:.1f}", "context": context}]

    async def needs(self, evse: EvseState) -> None:
        """1.6 has no words for what a vehicle needs."""
