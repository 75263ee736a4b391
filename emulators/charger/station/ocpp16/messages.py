"""Messages that a 1.6J station sends: boot, status, authorisation, transactions, meter values.

Connector n is EVSE n; connector 0 is the station. The CSMS assigns the transaction id, which is inserted into queued
messages when they are sent.
"""

from __future__ import annotations

from emulators.charger.station.csms_link.message_queue import Message
from emulators.charger.station.evse import EvseState
from emulators.charger.station.measurands import UNITS, measured
from emulators.charger.station.ocpp_enums import ChargingState, ConnectorStatus, StopReason, TriggerReason
from emulators.charger.station.station import Station
from emulators.charger.station.transaction import Transaction
from protocols.ocpp.enums import v16
from protocols.ocpp.events import Answered
from protocols.ocpp.schema import Payload
from protocols.ocpp.times import stamp

Status = v16.ChargePointStatus
FREE_TAG = "FREE"  # idTag of transactions without authorisation
_REASONS: dict[str, v16.Reason] = {
    StopReason.de_authorized: v16.Reason.de_authorized,
    StopReason.emergency_stop: v16.Reason.emergency_stop,
    StopReason.ev_disconnected: v16.Reason.ev_disconnected,
    StopReason.immediate_reset: v16.Reason.hard_reset,
    StopReason.local: v16.Reason.local,
    StopReason.power_loss: v16.Reason.power_loss,
    StopReason.reboot: v16.Reason.soft_reset,
    StopReason.remote: v16.Reason.remote,
}
ERRORS = frozenset(v16.ChargePointErrorCode)
ENERGY_STATES = (ChargingState.charging, ChargingState.suspended_ev, ChargingState.suspended_evse)
SAMPLED = frozenset({TriggerReason.meter_value_periodic, TriggerReason.charging_rate_changed, TriggerReason.trigger})


def _context(trigger: str) -> v16.ReadingContext:
    contexts = v16.ReadingContext
    return contexts.trigger if trigger == TriggerReason.trigger else contexts.sample_periodic


def _error_code(fault: str | None) -> str:
    if fault in ERRORS:
        return fault
    return v16.ChargePointErrorCode.other_error if fault else v16.ChargePointErrorCode.no_error


class Messages16:
    """Messages of OCPP 1.6J."""

    begins_at_authorization = False

    def __init__(self, station: Station) -> None:
        self._station = station

    def boot(self, reason: str) -> Payload:
        """Return the payload of BootNotification (4.2)."""
        config = self._station.config
        return {
            "chargePointVendor": config.vendor[:20],
            "chargePointModel": config.model[:20],
            "chargePointSerialNumber": config.serial[:25],
            "firmwareVersion": self._station.maintenance.firmware_version[:50],
        }

    def status(self, evse: EvseState) -> Payload:
        """Return the payload of StatusNotification (4.9)."""
        return {
            "connectorId": evse.number,
            "errorCode": _error_code(evse.fault),
            "status": self.state(evse),
            "timestamp": self._station.timestamp(),
        }

    def station_status(self) -> Payload:
        """Return the payload of StatusNotification of connector 0 (4.9)."""
        availability = self._station.availability
        return {
            "connectorId": 0,
            "errorCode": _error_code(availability.fault),
            "status": availability.station_status,
            "timestamp": self._station.timestamp(),
        }

    @staticmethod
    def state(evse: EvseState) -> str:
        """Return ChargePointStatus of an EVSE, which is finer than the connector status of 2.x."""
        if evse.status != ConnectorStatus.occupied:
            return evse.status
        if evse.transaction is None:
            return Status.finishing if evse.finishing else Status.preparing
        state = evse.transaction.state
        return state if state in ENERGY_STATES else Status.preparing

    async def authorize(self, evse: EvseState, token: str, token_type: str) -> bool:
        """Send Authorize; return True if the tag is accepted (4.1)."""
        reply = await self._station.call(v16.Action.authorize, {"idTag": token[:20]})
        if not isinstance(reply, Answered) or reply.violation is not None:
            return False
        evse.group = reply.payload["idTagInfo"].get("parentIdTag")
        return bool(reply.payload["idTagInfo"]["status"] == v16.AuthorizationStatus.accepted)

    # transactions

    def started(self, evse: EvseState, transaction: Transaction) -> None:
        """Queue StartTransaction (4.8)."""
        body: Payload = {
            "connectorId": evse.number,
            "idTag": (transaction.token or FREE_TAG)[:20],
            "meterStart": round(transaction.started_wh),
            "timestamp": stamp(transaction.started_at),
        }
        if transaction.reservation is not None:
            body["reservationId"] = transaction.reservation

        self._station.enqueue(Message(v16.Action.start_transaction, body, transaction, essential=True))

    def completed(self, message: Message) -> Payload:
        """Insert the transaction id. Without one StopTransaction states -1 and MeterValues none."""
        transaction = message.transaction
        if transaction is None or message.action == v16.Action.start_transaction:
            return message.payload
        if message.action == v16.Action.stop_transaction:
            return message.payload | {"transactionId": -1 if transaction.number is None else transaction.number}
        known = {} if transaction.number is None else {"transactionId": transaction.number}
        return message.payload | known

    def answered(self, message: Message, response: Payload) -> None:
        """Apply the id of a transaction; end the transaction of an invalid tag (4.8)."""
        transaction = message.transaction
        if transaction is None or message.action != v16.Action.start_transaction:
            return
        transaction.number = response["transactionId"]
        self._station.profiles.rename_transaction(transaction.id, str(transaction.number))
        self._station.persistence.transaction_id_assigned(transaction)
        evse = self._station.evses.get(transaction.evse)
        if evse is not None and response["idTagInfo"]["status"] != v16.AuthorizationStatus.accepted:
            self._station.sessions.deauthorize(evse, transaction)

    def updated(self, evse: EvseState, transaction: Transaction, trigger: str) -> None:
        """Queue MeterValues, and send StatusNotification after a change of the state."""
        if trigger == TriggerReason.charging_state_changed:
            self._station.later(self._send_status(evse))
        if trigger in SAMPLED or trigger == TriggerReason.charging_state_changed:
            values = self.samples(evse, _context(trigger))
            if self._station.quirks.clock_aligned_only and trigger != TriggerReason.trigger:
                return
            self._put_samples(evse, transaction, values)

    def _put_samples(self, evse: EvseState, transaction: Transaction | None, values: list[Payload]) -> None:
        self._station.enqueue(Message(v16.Action.meter_values, self.meter_values(evse, values), transaction))

    def meter_values(self, evse: EvseState, values: list[Payload]) -> Payload:
        """Return the payload of MeterValues without a transaction id (4.7)."""
        entry = {"timestamp": self._station.timestamp(), "sampledValue": values}
        return {"connectorId": evse.number, "meterValue": [entry]}

    async def clock_aligned(self) -> None:
        """Queue clock-aligned MeterValues of all connectors (ClockAlignedDataInterval, 7.5)."""
        for evse in self._station.evses.values():
            values = self.samples(evse, v16.ReadingContext.sample_clock, "MeterValuesAlignedData")
            if evse.transaction is not None or self._station.online:
                self._put_samples(evse, evse.transaction, values)

    def collect_for_end(self, transaction: Transaction, aligned: bool) -> None:
        """1.6 has no interval for this."""

    def reservation_ended(self, number: int, status: str) -> None:
        """1.6 reports it only by the connector status."""

    async def _send_status(self, evse: EvseState) -> None:
        if self._station.online:
            await self._station.link.send_status(evse)

    def ended(self, evse: EvseState, transaction: Transaction, trigger: str) -> None:
        """Queue StopTransaction and send the status (4.10)."""
        reading = evse.power_path.reading(self._station.clock.now())
        at, values = self._station.timestamp(), self.samples(evse, v16.ReadingContext.transaction_end)
        reason = _REASONS.get(transaction.stopped or StopReason.local, v16.Reason.other)
        if trigger == TriggerReason.unlock_command:  # 2.x has no such reason: there a transaction prevents it
            reason = v16.Reason.unlock_command
        body: Payload = {
            "meterStop": round(reading.charged_wh),
            "timestamp": at,
            "reason": reason,
            "transactionData": [{"timestamp": at, "sampledValue": values}],
        }
        evse.finishing = evse.vehicle is not None
        self._station.enqueue(Message(v16.Action.stop_transaction, body, transaction, essential=True))
        self._station.later(self._send_status(evse))

    def samples(self, evse: EvseState, context: str, key: str = "MeterValuesSampledData") -> list[Payload]:
        """Return SampledValue of each configured measurand."""
        chosen = (self._station.device_model.get("", key) or "").split(",")
        reading = evse.power_path.reading(self._station.clock.now())
        values = measured(reading, self._station.quirks.meter_only_rises)
        found = []
        for name in dict.fromkeys(chosen):
            value = values.get(name)
            if value is None:
                continue
            sample = {"value": f"{value:.1f}", "context": context, "measurand": name, "location": v16.Location.outlet}
            sample["unit"] = UNITS[name.partition(".")[0]]
            found.append(sample)
        return found or [{"value": f"{reading.charged_wh:.1f}", "context": context}]

    async def needs(self, evse: EvseState) -> None:
        """1.6 has no message for charging needs."""
