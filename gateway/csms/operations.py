"""Operations of an operator on a station: typed ones and raw calls, device model, aFRR signals, operation modes, energy
transfers, DER controls, passwords.

Each returns what the station answered as `{answer, code, text}`: `applied`, `refused` with a code, or `unknown`.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.csms import (
    der,
    operation_modes,
    operator_calls,
    outcomes,
    payload_secrets,
    raw_call_effects,
    registration,
    reports,
)
from gateway.csms.admin_views import Row
from gateway.csms.csms import Csms
from gateway.csms.errors import RequestRejected, existing
from gateway.csms.evse import Evse
from gateway.csms.registration import canonical
from gateway.csms.station import OPERATOR_QUIET_S, Station
from gateway.model.event import OperationMode
from gateway.model.operation import Operation, OperationResult
from gateway.model.station import Outcome, OutcomeCode, evse_name
from gateway.store.store import StoreError
from protocols.ocpp.enums import v16, v21
from protocols.ocpp.errors import InvalidPayload, QueueFull, UnknownAction
from protocols.ocpp.events import Answered, Reply
from protocols.ocpp.schema import Payload, Version
from protocols.ocpp.times import stamp

OPERATION_TIMEOUT_S = 30.0
_NOT_SENT: dict[type[Exception], int] = {UnknownAction: 501, InvalidPayload: 422, QueueFull: 503}


class Operations:
    """Operations on the stations of a CSMS. Raises NotFound, or RequestRejected with an HTTP status."""

    def __init__(self, csms: Csms) -> None:
        self._csms, self._context = csms, csms.context

    async def afrr_signal(self, name: str, evse: int, signal: int) -> Row:
        """Forward a signal of the grid operator (AFRRSignal, Q08.FR.12)."""
        station, _ = self._evse(name, evse, Version.V21)
        body: Payload = {"timestamp": stamp(self._context.clock.wall()), "signal": signal}
        return _row(outcomes.of_status(await station.call(v21.Action.afrr_signal, body)))

    async def set_mode(
        self, name: str, evse: int, mode: OperationMode, fields: Payload, valid_for_s: float | None
    ) -> Row:
        """Run an EVSE in an operation mode in which the station determines its power; see `operation_modes`."""
        station, place = self._evse(name, evse, Version.V21)
        return _row(await operation_modes.set_mode(station, place, mode, fields, valid_for_s))

    async def allow_energy_transfer(self, name: str, evse: int, modes: Sequence[str]) -> Row:
        """Allow energy transfers in the active transaction, such as DC_BPT (NotifyAllowedEnergyTransfer, Q02.FR.05)."""
        station, _ = self._evse(name, evse, Version.V21)
        transaction = self._context.transactions.active_at(station.id, evse)
        if transaction is None:
            raise RequestRejected(409, f"no transaction is active on {evse_name(station.id, evse)}")
        transaction.allowed = tuple(modes)
        self._context.persistence.touch(transaction)
        body: Payload = {"transactionId": transaction.id, "allowedEnergyTransfer": list(modes)}
        return _row(outcomes.of_status(await station.call(v21.Action.notify_allowed_energy_transfer, body)))

    async def stop_transaction(self, name: str, evse: int) -> Row:
        """Stop the active transaction of an EVSE."""
        station, _ = self._evse(name, evse)
        return _row(await self._csms.end_session(evse_name(station.id, evse)))

    async def renew_password(self, name: str) -> Row:
        """Set a new random password at the station (A01)."""
        try:
            return _row(await self._csms.credentials.renew(self.connected(name)))
        except StoreError as error:
            raise RequestRejected(503, f"nothing was sent, because it cannot be stored: {error}") from None

    async def der_controls(self, name: str) -> list[Payload]:
        """Return the DER controls that the station reports (R04)."""
        found = await der.controls(self.connected(name, Version.V21))
        if found is None:
            raise RequestRejected(502, f"{name} does not report its DER controls")
        return found

    async def set_der_control(self, name: str, number: str, kind: str, body: Payload, default: bool) -> Row:
        """Set a DER control (R04)."""
        station = self.connected(name, Version.V21)
        try:
            return _row(await der.set_control(station, number, kind, body, default))
        except der.InvalidControl as error:
            raise RequestRejected(422, str(error)) from None

    async def clear_der_controls(self, name: str, default: bool, kind: str | None, number: str | None) -> Row:
        """Clear the matching DER controls (R04)."""
        return _row(await der.clear(self.connected(name, Version.V21), default, kind, number))

    # typed operations and raw calls

    def call_of(self, name: str, operation: Operation) -> tuple[str, Payload]:
        """Return the OCPP call of a typed operation."""
        return operator_calls.call_of(self.connected(name), operation)

    async def perform(self, name: str, action: str, payload: Payload) -> OperationResult:
        """Send the call of a typed operation and return its outcome."""
        return operator_calls.outcome(await self.send(name, action, payload, OPERATION_TIMEOUT_S))

    async def send(self, name: str, action: str, payload: Payload, timeout_s: float) -> Reply:
        """Send one OCPP call and apply its effects; a password that it sets is stored first."""
        station = self.connected(name)
        if action in station.handlers and action != v21.Action.data_transfer:  # ReportDERControl, for instance
            raise RequestRejected(501, f"{action} is a message of stations to the CSMS")
        reason = registration.forbidden(station.boot, action)
        if reason is not None:
            raise RequestRejected(409, reason)
        credentials, password = self._csms.credentials, payload_secrets.password_in(action, payload)
        now = self._context.clock.now
        station.defer_housekeeping(now() + timeout_s + OPERATOR_QUIET_S)
        try:
            if password is not None:
                await credentials.stage(station, password)
            reply = await station.call_unchecked(action, payload, timeout_s)
        except StoreError as error:
            raise RequestRejected(503, f"nothing was sent, because it cannot be stored: {error}") from None
        except (UnknownAction, InvalidPayload, QueueFull) as error:
            raise RequestRejected(_NOT_SENT[type(error)], str(error)) from error
        finally:
            station.defer_housekeeping(now() + OPERATOR_QUIET_S)
        if password is not None and (accepted := payload_secrets.password_accepted(reply)) is not None:
            await credentials.settle(station, accepted)
        if isinstance(reply, Answered):
            raw_call_effects.apply(station, action, payload, reply.payload)
        return reply

    async def device_model(self, name: str, base: str) -> list[Payload]:
        """Return the device model that the station reports (GetBaseReport), in 1.6 its configuration keys."""
        station = self.connected(name)
        if station.version is Version.V16:
            reply = await station.call(v16.Action.get_configuration, {})
            if not isinstance(reply, Answered) or reply.violation is not None:
                raise RequestRejected(502, f"{name} does not report its configuration")
            return list(reply.payload.get("configurationKey", ()))
        try:
            parts = await reports.collect(station, v21.Action.get_base_report, {"reportBase": base})
        except reports.NotReported as error:
            raise RequestRejected(502, f"{name} does not report its device model: {error}") from None
        return [entry for part in parts for entry in part.get("reportData", ())]

    async def disconnect(self, name: str) -> None:
        """Close the connection of a station; it connects again by itself."""
        link = self.connected(name).link
        if link is not None:
            await link.close(1000, "closed by an operator")

    def find(self, name: str) -> Station:
        """Return a station."""
        return existing(self._csms.stations.get(canonical(self._csms.stations, name)), f"station {name}")

    def connected(self, name: str, version: Version | None = None) -> Station:
        """Return a connected station, of that version if one is given."""
        station = self.find(name)
        if not station.connected or station.version is None:
            raise RequestRejected(409, f"{name} is not connected")
        if version not in (None, station.version):
            raise RequestRejected(501, f"OCPP {station.version.number} does not support this operation")
        return station

    def _evse(self, name: str, evse: int, version: Version | None = None) -> tuple[Station, Evse]:
        place = existing(self.find(name).evses.get(evse), f"EVSE {evse} of {name}")
        return self.connected(name, version), place


def _row(outcome: Outcome) -> Row:
    if outcome.code == OutcomeCode.INVALID_ORDER:  # rejected by the gateway before sending
        raise RequestRejected(422, outcome.text)
    return {"answer": outcome.answer.value, "code": outcome.code, "text": outcome.text}
