"""Messages that a 2.0.1 or 2.1 station sends: boot, status, authorisation, transaction events, charging needs."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from emulators.charger.station import measurands
from emulators.charger.station.csms_link.message_queue import Message
from emulators.charger.station.device_model.variables_v2x import set_connected_ev
from emulators.charger.station.evse import EvseState
from emulators.charger.station.ocpp2.charging_needs import charging_needs, charging_needs_201, unidirectional
from emulators.charger.station.ocpp_enums import OperationMode, StopReason, TriggerReason
from emulators.charger.station.power_path import Needs
from emulators.charger.station.smart_charging import operation_modes
from emulators.charger.station.station import Station
from emulators.charger.station.transaction import Transaction
from protocols.ocpp.enums import v21
from protocols.ocpp.events import Answered
from protocols.ocpp.schema import Payload, Version

SAMPLED = frozenset(
    {
        TriggerReason.meter_value_periodic, TriggerReason.charging_rate_changed, TriggerReason.charging_state_changed,
        TriggerReason.operation_mode_changed, TriggerReason.trigger,
    }
)  # fmt: skip
EventType = v21.TransactionEventEnumType
SAMPLE_CLOCK = v21.ReadingContextEnumType.sample_clock
SAMPLE_PERIODIC = v21.ReadingContextEnumType.sample_periodic
TRIGGERED = v21.ReadingContextEnumType.trigger
MAX_FOR_END = 1000  # meter values of one transaction
_CONTEXT = {
    EventType.started: v21.ReadingContextEnumType.transaction_begin,
    EventType.ended: v21.ReadingContextEnumType.transaction_end,
}


class Messages2:
    """Messages of OCPP 2.0.1 or 2.1, by the station's version."""

    begins_at_authorization = True  # TxStartPoint

    def __init__(self, station: Station) -> None:
        self._station = station
        self._late = station.config.version is Version.V21

    def boot(self, reason: str) -> Payload:
        """Return the payload of BootNotification (B01)."""
        config = self._station.config
        charging_station = {
            "model": config.model,
            "vendorName": config.vendor,
            "serialNumber": config.serial,
            "firmwareVersion": self._station.maintenance.firmware_version,
        }
        return {"reason": reason, "chargingStation": charging_station}

    def status(self, evse: EvseState) -> Payload:
        """Return the payload of StatusNotification (G01)."""
        now = self._station.timestamp()
        return {"timestamp": now, "connectorStatus": evse.status, "evseId": evse.number, "connectorId": 1}

    def station_status(self) -> None:
        """2.x has a status for connectors only."""

    async def authorize(self, evse: EvseState, token: str, token_type: str) -> bool:
        """Send Authorize; return True if accepted (C01). The response states the allowed transfers (Q01.FR.01, .09)."""
        vehicle = evse.vehicle.vehicle if evse.vehicle is not None else None
        reply = await self._station.call(
            v21.Action.authorize, {"idToken": id_token(token, token_type, vehicle if self._late else None)}
        )
        if not isinstance(reply, Answered) or reply.violation is not None:
            return False
        self._station.tariffs.offer(evse.number, reply.payload.get("tariff"))
        evse.group = reply.payload["idTokenInfo"].get("groupIdToken", {}).get("idToken")
        allowed, evse.authorize_answered = reply.payload.get("allowedEnergyTransfer"), True
        evse.allowed_transfers = None if allowed is None else tuple(allowed)
        return bool(reply.payload["idTokenInfo"]["status"] == v21.AuthorizationStatusEnumType.accepted)

    # transactions

    def started(self, evse: EvseState, transaction: Transaction) -> None:
        """Queue the Started event (E01, E02; Q01.FR.02)."""
        trigger = TriggerReason.authorized if transaction.remote_start is None else TriggerReason.remote_start
        body = self._event(EventType.started, evse, transaction, trigger)
        body["evse"] = {"id": evse.number, "connectorId": 1}
        vehicle = transaction.vehicle if self._late else None
        body["idToken"] = id_token(transaction.token, transaction.token_type, vehicle)
        if transaction.remote_start is not None:
            body["transactionInfo"]["remoteStartId"] = transaction.remote_start
        if transaction.reservation is not None:
            body["reservationId"] = transaction.reservation
        self._put(body, transaction, essential=True)

    def completed(self, message: Message) -> Payload:
        """Return the payload, which is complete when it is queued."""
        return message.payload

    def answered(self, message: Message, response: Payload) -> None:
        """End the transaction of an invalid token (E05)."""
        transaction = message.transaction
        if transaction is None:
            return
        evse = self._station.evses.get(transaction.evse)
        status = response.get("idTokenInfo", {}).get("status", v21.AuthorizationStatusEnumType.accepted)
        if evse is not None and status != v21.AuthorizationStatusEnumType.accepted:
            self._station.sessions.deauthorize(evse, transaction)

    def updated(self, evse: EvseState, transaction: Transaction, trigger: str) -> None:
        """Queue an Updated event (E03, K01.FR.110)."""
        self._put(self._event(EventType.updated, evse, transaction, trigger), transaction)

    def ended(self, evse: EvseState, transaction: Transaction, trigger: str) -> None:
        """Queue the Ended event (E06-E10, E13)."""
        body = self._event(EventType.ended, evse, transaction, trigger)
        body["transactionInfo"]["stoppedReason"] = transaction.stopped or StopReason.local
        body["evse"] = {"id": evse.number, "connectorId": 1}
        if transaction.kept:
            body["meterValue"] = [*transaction.kept, *body.get("meterValue", [])]
        self._put(body, transaction, essential=True)

    def _put(self, body: Payload, transaction: Transaction, essential: bool = False) -> None:
        self._station.enqueue(Message(v21.Action.transaction_event, body, transaction, essential))

    def _event(self, kind: EventType, evse: EvseState, transaction: Transaction, trigger: str) -> Payload:
        station = self._station
        info: Payload = {"transactionId": transaction.id, "chargingState": transaction.state}
        info["timeSpentCharging"] = round(transaction.seconds_charging)
        if self._late and (kind != EventType.ended or transaction.mode != OperationMode.charging_only):
            info["operationMode"] = transaction.mode
        generic = trigger == TriggerReason.operation_mode_changed and not self._late
        now = station.timestamp()
        body: Payload = {
            "eventType": kind,
            "timestamp": now,
            "triggerReason": TriggerReason.trigger if generic else trigger,
            "seqNo": 0 if station.quirks.seq_no_always_zero else transaction.next_seq(),
            "transactionInfo": info,
        }
        if not station.online:
            body["offline"] = True
        if transaction.tariff is not None and not transaction.tariff_sent:
            info["tariffId"], transaction.tariff_sent = transaction.tariff["tariffId"], True  # I07.FR.32
        if kind == EventType.ended or trigger in (TriggerReason.running_cost, TriggerReason.tariff_changed):
            details = self._station.tariffs.details(evse, kind == EventType.ended)
            if details is not None:
                body["costDetails"] = details
        if self._late and evse.sleeping:
            body["evseSleep"] = True  # Q10.FR.04
        if trigger == TriggerReason.cable_plugged_in:
            body["evse"] = {"id": evse.number, "connectorId": 1}
        if kind != EventType.updated or trigger in SAMPLED:
            values = self._sampled(kind, evse, transaction, trigger)
            if values:
                body["meterValue"] = [{"timestamp": now, "sampledValue": values}]
        return body

    def _sampled(self, kind: EventType, evse: EvseState, transaction: Transaction, trigger: str) -> list[Payload]:
        if self._station.quirks.clock_aligned_only and trigger == TriggerReason.meter_value_periodic:
            return []
        name, device_model = f"Tx{kind}Measurands", self._station.device_model
        if not self._station.settings.truth("sampled_enabled"):
            return []
        names = device_model.get("SampledDataCtrlr", name) or ""
        extra = device_model.get("V2XChargingCtrlr", name, evse.number, transaction.mode) or ""  # Q01.FR.33-35
        context = _CONTEXT.get(kind, TRIGGERED if trigger == TriggerReason.trigger else SAMPLE_PERIODIC)
        return self.samples(evse, _list(f"{names},{extra}"), context)

    def samples(self, evse: EvseState, requested: Iterable[str], context: str) -> list[Payload]:
        """Return SampledValueType of each measurand that can be measured now."""
        values, found = measured(self._station, evse), []
        for name in requested:
            value = values.pop(name, None)  # a measurand that is requested twice is measured once
            if value is None:
                continue
            sample: Payload = {"value": round(float(value or 0.0), 3), "measurand": name, "context": context}
            unit = _unit(name)
            if unit is not None:
                sample["unitOfMeasure"] = {"unit": unit}
            found.append(sample)
        return found if self._late else [s for s in found if s["measurand"] in _EARLY]

    # clock-aligned data

    async def clock_aligned(self) -> None:
        """Send clock-aligned values: TransactionEvent in a transaction, otherwise MeterValues (J01)."""
        station = self._station
        idle_only = station.settings.truth("aligned_idle_only")
        running = any(e.transaction is not None for e in station.evses.values())
        if not station.settings.truth("aligned_enabled") or (idle_only and running):
            return
        names = (station.device_model.get("AlignedDataCtrlr", "Measurands") or "").split(",")
        for evse in station.evses.values():
            values = self.samples(evse, names, SAMPLE_CLOCK)
            if not values:
                continue
            entry = {"timestamp": station.timestamp(), "sampledValue": values}
            if evse.transaction is not None:
                body = self._event(EventType.updated, evse, evse.transaction, TriggerReason.meter_value_clock)
                self._put(body | {"meterValue": [entry]}, evse.transaction)
            elif station.online:
                await station.call(v21.Action.meter_values, {"evseId": evse.number, "meterValue": [entry]})

    def collect_for_end(self, transaction: Transaction, aligned: bool) -> None:
        """Collect meter values at TxEndedInterval (J02.FR.11)."""
        component = "AlignedDataCtrlr" if aligned else "SampledDataCtrlr"
        names = (self._station.device_model.get(component, "TxEndedMeasurands") or "").split(",")
        values = self.samples(
            self._station.evses[transaction.evse], names, SAMPLE_CLOCK if aligned else SAMPLE_PERIODIC
        )
        if values and len(transaction.kept) < MAX_FOR_END:
            transaction.kept.append({"timestamp": self._station.timestamp(), "sampledValue": values})

    def reservation_ended(self, number: int, status: str) -> None:
        """Queue ReservationStatusUpdate (H03, H04)."""
        body: Payload = {"reservationId": number, "reservationUpdateStatus": status}
        self._station.notify(v21.Action.reservation_status_update, body)

    # charging needs

    async def needs(self, evse: EvseState) -> None:
        """Send the charging needs (2.1: Q01.FR.03-07, Q02.FR.04; 2.0.1: K15, K17)."""
        vehicle = evse.vehicle
        if vehicle is None:
            return
        if not self._late:
            # K15.FR.04, .15: after Rejected the TxDefaultProfile applies. K16.FR.09: the CSMS started a renegotiation
            if not vehicle.requested_by_station:
                body = {"evseId": evse.number, "chargingNeeds": charging_needs_201(vehicle, self._station.wall())}
                await self._station.call(v21.Action.notify_ev_charging_needs, body)
            return
        chosen = self.transfer(evse, vehicle)
        if chosen != vehicle.energy_transfer:
            vehicle = evse.vehicle = unidirectional(vehicle, chosen)
        set_connected_ev(self._station.device_model, evse.number, vehicle)
        if await self._agreed(evse, vehicle):
            return
        # Q01.FR.05: one renegotiation to plain charging, then Q01.FR.06.
        plain = "DC" if self._station.config.dc else "AC_three_phase"
        again = self._station.device_model.get("ISO15118Ctrlr", "ServiceRenegotiationSupport", evse.number) == "true"
        if chosen != plain and again:
            evse.vehicle = unidirectional(vehicle, plain)
            if await self._agreed(evse, evse.vehicle):
                return
        self._station.end_transaction(evse, TriggerReason.abnormal_condition, StopReason.req_energy_transfer_rejected)

    async def _agreed(self, evse: EvseState, vehicle: Needs) -> bool:
        """Send 2.1 charging needs; return False if the CSMS rejects them. No response is no rejection."""
        body = {"evseId": evse.number, "chargingNeeds": charging_needs(vehicle, self._station.wall())}
        reply = await self._station.call(v21.Action.notify_ev_charging_needs, body)
        rejected = v21.NotifyEVChargingNeedsStatusEnumType.rejected
        return not (isinstance(reply, Answered) and reply.payload.get("status") == rejected)

    def transfer(self, evse: EvseState, vehicle: Needs) -> str:
        """Return the EV's energy transfer if it is allowed, otherwise the best one that is.

        If the response to Authorize does not state what is allowed, it is plain charging (Q01.FR.09, Q02.FR.04).
        """
        if self._late and evse.authorize_answered and evse.allowed_transfers is None:
            return next((mode for mode in vehicle.available if "BPT" not in mode), vehicle.energy_transfer)
        if evse.allowed_transfers is None or vehicle.energy_transfer in evse.allowed_transfers:
            return vehicle.energy_transfer
        return next((mode for mode in vehicle.available if mode in evse.allowed_transfers), vehicle.energy_transfer)


def id_token(token: str, token_type: str, vehicle: str | None) -> Payload:
    """Return IdTokenType, with the EVCCID if there is one (Q01.FR.02)."""
    body: Payload = {"idToken": token, "type": token_type}
    if vehicle:
        body["additionalInfo"] = [{"additionalIdToken": vehicle, "type": "EVCCID"}]
    return body


def measured(station: Station, evse: EvseState) -> dict[str, float | None]:
    """Return the values of all measurands, None where there is nothing to measure."""
    reading = evse.power_path.reading(station.clock.now())
    only_rises, setpoint = station.quirks.meter_only_rises, evse.composite.setpoint_w
    into, out = max(reading.power_w, 0.0), 0.0 if only_rises else max(-reading.power_w, 0.0)
    return measurands.measured(reading, only_rises) | {
        "Power.Active.Setpoint": setpoint,
        "Power.Active.Residual": None if setpoint is None else operation_modes.residual_w(into, out, setpoint),
        "Frequency": evse.conditions.frequency_hz,
        "EnergyRequest.Minimum": reading.min_energy_wh,
        "EnergyRequest.Target": reading.target_energy_wh,
        "EnergyRequest.Maximum": reading.max_energy_wh,
        "EnergyRequest.Minimum.V2X": reading.min_v2x_energy_wh,
        "EnergyRequest.Maximum.V2X": reading.max_v2x_energy_wh,
    }


@lru_cache
def _list(names: str) -> tuple[str, ...]:
    """Return the measurands of a MemberList."""
    return tuple(names.split(","))


@lru_cache
def _unit(measurand: str) -> str | None:
    return measurands.UNITS.get(measurand.partition(".")[0])


_EARLY = frozenset(measurands.MEASURANDS) | {"Frequency"}
