"""Operations of an operator on a station: aFRR signals, operation modes, energy transfers, DER controls, passwords.

Each returns what the station answered as `{answer, code, text}`: `applied`, `refused` with a code, or `unknown`.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.csms import der, operation_modes, outcomes
from gateway.csms.admin_views import Row
from gateway.csms.csms import Csms
from gateway.csms.errors import RequestRejected, existing
from gateway.csms.evse import Evse
from gateway.csms.registration import canonical
from gateway.csms.station import Station
from gateway.model.event import OperationMode
from gateway.model.station import Outcome, evse_name
from gateway.store.store import StoreError
from protocols.ocpp.schema import Payload, Version
from protocols.ocpp.times import stamp


class Operations:
    """Operations on the stations of a CSMS. Raises NotFound, or RequestRejected with an HTTP status."""

    def __init__(self, csms: Csms) -> None:
        self._csms, self._context = csms, csms.context

    async def afrr_signal(self, name: str, evse: int, signal: int) -> Row:
        """Forward a signal of the grid operator (AFRRSignal, Q08.FR.12)."""
        station, _ = self._evse(name, evse, Version.V21)
        body: Payload = {"timestamp": stamp(self._context.clock.wall()), "signal": signal}
        return _row(outcomes.of_status(await station.call("AFRRSignal", body)))

    async def set_mode(
        self, name: str, evse: int, mode: OperationMode, fields: Payload, valid_for_s: float | None
    ) -> Row:
        """Run an EVSE in an operation mode in which the station determines its power; see `operation_modes`."""
        station, place = self._evse(name, evse, Version.V21)
        return _row(await operation_modes.set_mode(station, place, mode, fields, valid_for_s))

    async def allow_energy_transfer(self, name: str, evse: int, modes: Sequence[str]) -> Row:
        """Allow energy transfers in the active transaction, such as DC_BPT (NotifyAllowedEnergyTransfer, Q02.FR.05)."""
        station, _ = self._evse(name, evse, Version.V21)
        transaction = self._context.transactions.active_at(name, evse)
        if transaction is None:
            raise RequestRejected(409, f"no transaction is active on {evse_name(name, evse)}")
        transaction.allowed = tuple(modes)
        self._context.persistence.touch(transaction)
        body: Payload = {"transactionId": transaction.id, "allowedEnergyTransfer": list(modes)}
        return _row(outcomes.of_status(await station.call("NotifyAllowedEnergyTransfer", body)))

    async def stop_transaction(self, name: str, evse: int) -> Row:
        """Stop the active transaction of an EVSE."""
        self._evse(name, evse)
        return _row(await self._csms.end_session(evse_name(name, evse)))

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
    if outcome.code == "InvalidOrder":  # rejected by the gateway before sending
        raise RequestRejected(422, outcome.text)
    return {"answer": outcome.answer.value, "code": outcome.code, "text": outcome.text}
