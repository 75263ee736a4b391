"""The words of OCPP 2.0.1 and 2.1 in the mouth of the emulated station; what it does when asked: `ocpp2_asked.py`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from emulators.charger.station import settings
from emulators.charger.station.device_model import variables
from emulators.charger.station.device_model.variables_v2x import MEASURANDS
from emulators.charger.station.evse import EvseState
from emulators.charger.station.ocpp2 import requests
from emulators.charger.station.ocpp2.charging_needs import charging_needs, charging_needs_201, unidirectional
from emulators.charger.station.power_path import Needs
from emulators.charger.station.smart_charging import operation_modes
from emulators.charger.station.station import Station
from emulators.charger.station.transaction import Message, Transaction
from protocols.ocpp.link import Answered
from protocols.ocpp.schema import Payload, Version
from protocols.ocpp.times import stamp

PENDING = frozenset(
    {
        "GetBaseReport", "GetReport", "GetVariables", "RequestStartTransaction", "RequestStopTransaction",
        "SetVariables", "TriggerMessage",
    }
)  # fmt: skip
SAMPLED = frozenset(
    {"MeterValuePeriodic", "ChargingRateChanged", "ChargingStateChanged", "OperationModeChanged", "Trigger"}
)
CLOCK = "Sample.Clock"
KEPT_FOR_END = 1000  # meter values of one transaction
_CONTEXT = {"Started": "Transaction.Begin", "Ended": "Transaction.End"}


class Dialect2:
    """OCPP 2.0.1 or 2.1, as the station's version says."""

    begins_at_authorization = True  # TxStartPoint

    def __init__(self, station: Station) -> None:
        self.station = station
        self.late = station.config.version is Version.V21
        variables.furnish(station)
        if self.late:
            station.line.network.furnish()

    def handlers(self) -> dict[str, Callable[[Payload], Payload | Awaitable[Payload]]]:
        """What the CSMS may ask."""
        return requests.handlers(self.station, self)

    def while_pending(self) -> frozenset[str]:
        """B02.FR.01, .05: questions, settings, and starts that are rejected."""
        return PENDING

    def boot(self, reason: str) -> Payload:
        """B01."""
        config = self.station.config
        about = {
            "model": config.model,
            "vendorName": config.vendor,
            "serialNumber": config.serial,
            "firmwareVersion": self.station.firmware,
        }
        return {"reason": reason, "chargingStation": about}

    def status(self, evse: EvseState) -> Payload:
        """G01."""
        now = stamp(self.station.wall())
        return {"timestamp": now, "connectorStatus": evse.status, "evseId": evse.number, "connectorId": 1}

    async def authorize(self, evse: EvseState, token: str, sort: str) -> bool:
        """C01; Q01.FR.01, .09: what the EV may use is what the answer lists."""
        vehicle = evse.vehicle.vehicle if evse.vehicle is not None else None
        reply = await self.station.call("Authorize", {"idToken": id_token(token, sort, vehicle if self.late else None)})
        if not isinstance(reply, Answered) or reply.violation is not None:
            return False
        self.station.tariffs.offer(evse.number, reply.payload.get("tariff"))
        evse.group = reply.payload["idTokenInfo"].get("groupIdToken", {}).get("idToken")
        allowed, evse.asked = reply.payload.get("allowedEnergyTransfer"), True
        evse.allowed = None if allowed is None else tuple(allowed)
        return bool(reply.payload["idTokenInfo"]["status"] == "Accepted")

    # transactions

    def started(self, evse: EvseState, transaction: Transaction) -> None:
        """E01, E02; Q01.FR.02."""
        trigger = "Authorized" if transaction.remote_start is None else "RemoteStart"
        body = self._event("Started", evse, transaction, trigger)
        body["evse"] = {"id": evse.number, "connectorId": 1}
        vehicle = transaction.vehicle if self.late else None
        body["idToken"] = id_token(transaction.token, transaction.token_type, vehicle)
        if transaction.remote_start is not None:
            body["transactionInfo"]["remoteStartId"] = transaction.remote_start
        if transaction.reservation is not None:
            body["reservationId"] = transaction.reservation
        self._put(body, transaction, essential=True)

    def finish(self, message: Message) -> Payload:
        """Nothing is learnt late."""
        return message.payload

    def answered(self, message: Message, answer: Payload) -> None:
        """E05: a token that turns out to be invalid ends what it began; I02, I03: what it costs."""
        transaction = message.transaction
        if transaction is None:
            return
        if answer.get("totalCost") is not None:
            transaction.cost_updated = answer["totalCost"]
        evse = self.station.evses.get(transaction.evse)
        status = answer.get("idTokenInfo", {}).get("status", "Accepted")
        if evse is not None and evse.transaction is transaction and status != "Accepted":
            transaction.authorized = False
            if settings.truth(self.station, "stop_invalid"):
                self.station.end_transaction(evse, "Deauthorized", "DeAuthorized")

    def updated(self, evse: EvseState, transaction: Transaction, trigger: str) -> None:
        """E03, K01.FR.110."""
        self._put(self._event("Updated", evse, transaction, trigger), transaction)

    def ended(self, evse: EvseState, transaction: Transaction, trigger: str) -> None:
        """E06-E10, E13."""
        body = self._event("Ended", evse, transaction, trigger)
        body["transactionInfo"]["stoppedReason"] = transaction.stopped or "Local"
        body["evse"] = {"id": evse.number, "connectorId": 1}
        if transaction.kept:
            body["meterValue"] = [*transaction.kept, *body.get("meterValue", [])]
        self._put(body, transaction, essential=True)

    def _put(self, body: Payload, transaction: Transaction, essential: bool = False) -> None:
        self.station.enqueue(Message("TransactionEvent", body, transaction, essential))

    def _event(self, kind: str, evse: EvseState, transaction: Transaction, trigger: str) -> Payload:
        station = self.station
        info: Payload = {"transactionId": transaction.id, "chargingState": transaction.state}
        info["timeSpentCharging"] = round(transaction.seconds_charging)
        if self.late and (kind != "Ended" or transaction.mode != "ChargingOnly"):
            info["operationMode"] = transaction.mode
        body: Payload = {
            "eventType": kind,
            "timestamp": stamp(station.wall()),
            "triggerReason": self._trigger(trigger),
            "seqNo": 0 if station.quirks.seq_no_always_zero else transaction.next_seq(),
            "transactionInfo": info,
        }
        if not station.online:
            body["offline"] = True
        if transaction.tariff is not None and not transaction.tariff_told:
            info["tariffId"], transaction.tariff_told = transaction.tariff["tariffId"], True  # I07.FR.32
        if kind == "Ended" or trigger in ("RunningCost", "TariffChanged"):
            details = station.tariffs.details(evse, kind == "Ended")
            if details is not None:
                body["costDetails"] = details
        if self.late and evse.sleeping:
            body["evseSleep"] = True  # Q10.FR.04
        if trigger == "CablePluggedIn":
            body["evse"] = {"id": evse.number, "connectorId": 1}
        if kind != "Updated" or trigger in SAMPLED:
            values = self._sampled(kind, evse, transaction, trigger)
            if values:
                body["meterValue"] = [{"timestamp": stamp(station.wall()), "sampledValue": values}]
        return body

    def _trigger(self, trigger: str) -> str:
        return "Trigger" if trigger == "OperationModeChanged" and not self.late else trigger

    def _sampled(self, kind: str, evse: EvseState, transaction: Transaction, trigger: str) -> list[Payload]:
        if self.station.quirks.clock_aligned_only and trigger == "MeterValuePeriodic":
            return []
        name, device = f"Tx{kind}Measurands", self.station.device
        if not settings.truth(self.station, "sampled_enabled"):
            return []
        wanted = (device.get("SampledDataCtrlr", name) or "").split(",")
        extra = device.get("V2XChargingCtrlr", name, evse.number, transaction.mode) or ""  # Q01.FR.33-35
        context = _CONTEXT.get(kind, "Trigger" if trigger == "Trigger" else "Sample.Periodic")
        return self.samples(evse, [*wanted, *extra.split(",")], context)

    def samples(self, evse: EvseState, wanted: Iterable[str], context: str) -> list[Payload]:
        """SampledValueType of each measurand that can be measured now."""
        values = measured(self.station, evse)
        known = dict.fromkeys(name for name in wanted if values.get(name) is not None)
        units = {"Energy": "Wh", "EnergyRequest": "Wh", "Power": "W", "SoC": "Percent", "Voltage": "V", "Current": "A"}
        found = []
        for name in known:
            sample: Payload = {"value": round(float(values[name] or 0.0), 3), "measurand": name, "context": context}
            unit = units.get(name.partition(".")[0])
            if unit is not None:
                sample["unitOfMeasure"] = {"unit": unit}
            found.append(sample)
        return found if self.late else [s for s in found if s["measurand"] in _EARLY]

    # moments of the clock

    async def aligned(self) -> None:
        """J01: in a transaction by its events, else by MeterValues; EVSE 0 is the station as a whole."""
        station = self.station
        idle_only = settings.truth(station, "aligned_idle_only")
        running = any(e.transaction is not None for e in station.evses.values())
        if not settings.truth(station, "aligned_enabled") or (idle_only and running):
            return
        wanted = (station.device.get("AlignedDataCtrlr", "Measurands") or "").split(",")
        for evse in station.evses.values():
            values = self.samples(evse, wanted, CLOCK)
            if not values:
                continue
            entry = {"timestamp": station.timestamp(), "sampledValue": values}
            if evse.transaction is not None:
                body = self._event("Updated", evse, evse.transaction, "MeterValueClock")
                self._put(body | {"meterValue": [entry]}, evse.transaction)
            elif station.online:
                await station.call("MeterValues", {"evseId": evse.number, "meterValue": [entry]})

    def keep_for_end(self, transaction: Transaction, aligned: bool) -> None:
        """J02.FR.11: TxEndedInterval."""
        component = "AlignedDataCtrlr" if aligned else "SampledDataCtrlr"
        wanted = (self.station.device.get(component, "TxEndedMeasurands") or "").split(",")
        values = self.samples(self.station.evses[transaction.evse], wanted, CLOCK if aligned else "Sample.Periodic")
        if values and len(transaction.kept) < KEPT_FOR_END:
            transaction.kept.append({"timestamp": self.station.timestamp(), "sampledValue": values})

    def reservation_ended(self, number: int, status: str) -> None:
        """H04, H03."""
        body: Payload = {"reservationId": number, "reservationUpdateStatus": status}
        self.station.tell("ReservationStatusUpdate", body)

    # needs

    async def needs(self, evse: EvseState) -> None:
        """Q01.FR.03-07, Q02.FR.04 (2.1); K15, K17 (2.0.1)."""
        vehicle = evse.vehicle
        if vehicle is None:
            return
        if not self.late:
            await self._needs_for_a_schedule(evse, vehicle)
            return
        chosen = self.transfer(evse, vehicle)
        if chosen != vehicle.energy_transfer:
            vehicle = evse.vehicle = unidirectional(vehicle, chosen)
        self.know_vehicle(evse, vehicle)
        if await self._agreed(evse, vehicle):
            return
        # Q01.FR.05: one renegotiation to what every EV may do, then Q01.FR.06.
        plain = "DC" if self.station.config.dc else "AC_three_phase"
        again = self.station.device.get("ISO15118Ctrlr", "ServiceRenegotiationSupport", evse.number) == "true"
        if chosen != plain and again:
            evse.vehicle = unidirectional(vehicle, plain)
            if await self._agreed(evse, evse.vehicle):
                return
        self.station.end_transaction(evse, "AbnormalCondition", "ReqEnergyTransferRejected")

    async def _agreed(self, evse: EvseState, vehicle: Needs) -> bool:
        """Whether the CSMS lets the vehicle have this energy transfer; silence is no refusal."""
        body = {"evseId": evse.number, "chargingNeeds": charging_needs(vehicle, self.station.wall())}
        reply = await self.station.call("NotifyEVChargingNeeds", body)
        return not (isinstance(reply, Answered) and reply.payload.get("status") == "Rejected")

    async def _needs_for_a_schedule(self, evse: EvseState, vehicle: Needs) -> None:
        """2.0.1: Rejected means that no schedule will come, and the TxDefaultProfile rules (K15.FR.04, .15)."""
        if not vehicle.asked:  # K16.FR.09: the CSMS began it and has just said what it wants
            body = {"evseId": evse.number, "chargingNeeds": charging_needs_201(vehicle, self.station.wall())}
            await self.station.call("NotifyEVChargingNeeds", body)

    def transfer(self, evse: EvseState, vehicle: Needs) -> str:
        """The energy transfer that EV and station agree on: the EV's choice if it is allowed, else the best that is.

        Where the CSMS was asked and did not say what is allowed, it is plain charging (Q01.FR.09, Q02.FR.04).
        """
        if self.late and evse.asked and evse.allowed is None:
            return next((mode for mode in vehicle.available if "BPT" not in mode), vehicle.energy_transfer)
        if evse.allowed is None or vehicle.energy_transfer in evse.allowed:
            return vehicle.energy_transfer
        return next((mode for mode in vehicle.available if mode in evse.allowed), vehicle.energy_transfer)

    def know_vehicle(self, evse: EvseState, vehicle: Needs) -> None:
        """Q01.FR.36: ConnectedEV."""
        device = self.station.device
        if device.get("ConnectedEV", "Available", evse.number) is None:
            return
        device.put("ConnectedEV", "Available", True, evse.number)
        device.put("ConnectedEV", "VehicleId", vehicle.vehicle or "", evse.number)
        device.put("ConnectedEV", "ProtocolAgreed", "urn:iso:std:iso:15118:-20:DC,1,0", evse.number)


def id_token(token: str, sort: str, vehicle: str | None) -> Payload:
    """IdTokenType, with the EVCCID where there is one (Q01.FR.02)."""
    body: Payload = {"idToken": token, "type": sort}
    if vehicle:
        body["additionalInfo"] = [{"additionalIdToken": vehicle, "type": "EVCCID"}]
    return body


def measured(station: Station, evse: EvseState) -> dict[str, float | None]:
    """Every measurand of the station, None where there is nothing to measure."""
    reading = evse.outlet.reading(station.clock.now())
    power, only_rises = reading.power_w, station.quirks.meter_only_rises
    setpoint = evse.composite.setpoint_w
    into, out = max(power, 0.0), max(-power, 0.0)
    if only_rises:
        out = 0.0
    amps = reading.current_a
    return {
        "Energy.Active.Import.Register": reading.charged_wh,
        "Energy.Active.Export.Register": None if only_rises else reading.discharged_wh,
        "Power.Active.Import": into,
        "Power.Active.Export": None if only_rises else out,
        "SoC": reading.soc_pct,
        "Voltage": reading.voltage_v,
        "Current.Import": None if amps is None else max(amps, 0.0),
        "Current.Export": None if amps is None or only_rises else max(-amps, 0.0),
        "Power.Active.Setpoint": setpoint,
        "Power.Active.Residual": None if setpoint is None else operation_modes.residual_w(into, out, setpoint),
        "Frequency": station.grid.frequency_hz,
        "EnergyRequest.Minimum": reading.min_energy_wh,
        "EnergyRequest.Target": reading.target_energy_wh,
        "EnergyRequest.Maximum": reading.max_energy_wh,
        "EnergyRequest.Minimum.V2X": reading.min_v2x_energy_wh,
        "EnergyRequest.Maximum.V2X": reading.max_v2x_energy_wh,
    }


_EARLY = frozenset(MEASURANDS) | {"Frequency"}
