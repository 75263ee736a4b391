"""The words of OCPP 1.6J in the mouth of the emulated station; what it does when asked: `ocpp16_asked.py`.

Connector n is EVSE n; connector 0 is the station. The transaction's id comes from the CSMS, so messages that wait for
their turn are written when it comes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from emulators.charger.station import settings
from emulators.charger.station.evse import EvseState
from emulators.charger.station.ocpp16 import keys, requests
from emulators.charger.station.station import Station
from emulators.charger.station.transaction import Message, Transaction
from protocols.ocpp.link import Answered
from protocols.ocpp.schema import Payload
from protocols.ocpp.times import stamp

FREE_TAG = "FREE"  # 1.6 has no way to say that nobody is asked
PENDING = frozenset(
    {
        "ChangeConfiguration",
        "ExtendedTriggerMessage",
        "GetConfiguration",
        "RemoteStartTransaction",
        "RemoteStopTransaction",
        "TriggerMessage",
    }
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

    begins_at_authorization = False

    def __init__(self, station: Station) -> None:
        self.station = station
        keys.furnish(station)

    def handlers(self) -> dict[str, Callable[[Payload], Payload | Awaitable[Payload]]]:
        """What the CSMS may ask."""
        return requests.handlers(self.station, self)

    def while_pending(self) -> frozenset[str]:
        """4.2: a pending station may be configured and asked to boot; other requests are refused."""
        return PENDING

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
            "errorCode": _error(evse.fault),
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
        if not isinstance(reply, Answered) or reply.violation is not None:
            return False
        evse.group = reply.payload["idTagInfo"].get("parentIdTag")
        return bool(reply.payload["idTagInfo"]["status"] == "Accepted")

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

        self.station.enqueue(Message("StartTransaction", body, transaction, essential=True))

    def finish(self, message: Message) -> Payload:
        """The id that the CSMS has given meanwhile. Without one a stop says -1, and samples say none."""
        transaction = message.transaction
        if transaction is None or message.action == "StartTransaction":
            return message.payload
        if message.action == "StopTransaction":
            return message.payload | {"transactionId": -1 if transaction.number is None else transaction.number}
        return (
            message.payload if transaction.number is None else message.payload | {"transactionId": transaction.number}
        )

    def answered(self, message: Message, answer: Payload) -> None:
        """4.8: the transaction has its id; a tag that turns out to be invalid ends it."""
        transaction = message.transaction
        if transaction is None or message.action != "StartTransaction":
            return
        transaction.number = answer["transactionId"]
        self.station.profiles.rename_transaction(transaction.id, str(transaction.number))
        self.station.keeping.learnt(transaction)
        evse = self.station.evses.get(transaction.evse)
        if evse is not None and answer["idTagInfo"]["status"] != "Accepted" and evse.transaction is transaction:
            transaction.authorized = False
            if settings.truth(self.station, "stop_invalid"):
                self.station.end_transaction(evse, "Deauthorized", "DeAuthorized")

    def updated(self, evse: EvseState, transaction: Transaction, trigger: str) -> None:
        """MeterValues for what is measured, StatusNotification for a state."""
        if trigger == "ChargingStateChanged":
            self.station.later(self._tell(evse))
        if trigger in SAMPLED or trigger == "ChargingStateChanged":
            values = self.samples(evse, "Trigger" if trigger == "Trigger" else "Sample.Periodic")
            if self.station.quirks.clock_aligned_only and trigger != "Trigger":
                return
            self._put_samples(evse, transaction, values)

    def _put_samples(self, evse: EvseState, transaction: Transaction | None, values: list[dict[str, Any]]) -> None:
        entry = {"timestamp": self.station.timestamp(), "sampledValue": values}
        body: Payload = {"connectorId": evse.number, "meterValue": [entry]}
        self.station.enqueue(Message("MeterValues", body, transaction))

    async def aligned(self) -> None:
        """7.5, ClockAlignedDataInterval: of every connector."""
        for evse in self.station.evses.values():
            values = self.samples(evse, "Sample.Clock", "MeterValuesAlignedData")
            if evse.transaction is not None or self.station.online:
                self._put_samples(evse, evse.transaction, values)

    def keep_for_end(self, transaction: Transaction, aligned: bool) -> None:
        """1.6 has no interval of its own for this."""

    def reservation_ended(self, number: int, status: str) -> None:
        """1.6 tells it by the connector's status alone."""

    async def _tell(self, evse: EvseState) -> None:
        if self.station.online:
            await self.station.line.tell_status(evse)

    def ended(self, evse: EvseState, transaction: Transaction, trigger: str) -> None:
        """4.10."""
        reading = evse.outlet.reading(self.station.clock.now())
        at, values = stamp(self.station.wall()), self.samples(evse, "Transaction.End")
        reason = _REASONS.get(transaction.stopped or "Local", "Other")

        body: Payload = {
            "meterStop": round(reading.charged_wh),
            "timestamp": at,
            "reason": reason,
            "transactionData": [{"timestamp": at, "sampledValue": values}],
        }
        evse.finishing = evse.vehicle is not None
        self.station.enqueue(Message("StopTransaction", body, transaction, essential=True))
        self.station.later(self._tell(evse))

    def samples(self, evse: EvseState, context: str, key: str = "MeterValuesSampledData") -> list[dict[str, Any]]:
        """SampledValue of each configured measurand."""
        chosen = (self.station.device.get("", key) or "").split(",")
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


_ERRORS = (
    "GroundFailure",
    "HighTemperature",
    "InternalError",
    "OverCurrentFailure",
    "OverVoltage",
    "PowerSwitchFailure",
)


def _error(fault: str | None) -> str:
    """A fault as 1.6 names it (ChargePointErrorCode)."""
    if fault is None:
        return "NoError"
    return fault if fault in _ERRORS else "OtherError"
