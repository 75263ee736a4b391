"""Console output of an emulated station: its connection and its EVSEs, one line for each change, as text or JSON."""

from __future__ import annotations

import json as jsonlib
from collections.abc import Callable
from typing import TextIO

from emulators.charger.station.evse import EvseState
from emulators.charger.station.power_path import Needs
from emulators.charger.station.station import Station
from emulators.ev.chademo_report import LINES
from emulators.ev.report import PowerChanges, limits_text, plain, power_text
from protocols.chademo import events as chademo
from protocols.ocpp.schema import Payload
from protocols.ports import Clock, TextWire

Spy = Callable[[str, str], None]  # direction "out" | "in", message
Redact = Callable[[str, Payload], Payload]  # action and payload to the payload without secrets
INTERVAL_S = 0.5
CALL, CALL_LENGTH = 2, 4


class TappedWire:
    """A wire whose messages are also passed to a callback."""

    def __init__(self, wire: TextWire, spy: Spy) -> None:
        self._wire, self._spy = wire, spy

    @property
    def peer(self) -> str:
        return self._wire.peer

    @property
    def subprotocol(self) -> str:
        return self._wire.subprotocol

    async def receive(self) -> str | None:
        text = await self._wire.receive()
        if text is not None:
            self._spy("in", text)
        return text

    async def send(self, text: str) -> None:
        self._spy("out", text)
        await self._wire.send(text)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        await self._wire.close(code, reason)


class Console:
    """Output of one station. With JSON every OCPP message is a line, as text only with `trace`."""

    def __init__(self, stream: TextIO, json: bool, trace: bool, redact: Redact) -> None:
        self._stream, self._json, self._trace, self._redact = stream, json, trace, redact
        self._connection = ""
        self._states: dict[int, str] = {}
        self._changes: dict[int, PowerChanges] = {}

    def listening(self, evse: int, port: int) -> None:
        """Print the port of an SECC."""
        self._write("Listening", f"EVSE {evse}: EVs connect to port {port}", evse=evse, port=port)

    def connecting(self, url: str, ocpp: str) -> None:
        """Print where the station connects to."""
        self._write("Connecting", f"connecting to {url}, OCPP {ocpp}", url=url, ocpp=ocpp)

    def retry(self, reason: str, wait_s: float) -> None:
        """Print why there is no connection and when the next attempt is made."""
        self._connection = ""
        text = f"not connected: {reason}; next attempt in {wait_s:.0f} s"
        self._write("Disconnected", text, reason=reason, retry_in_s=round(wait_s, 1))

    def order_taken(self, order: dict[str, object]) -> None:
        """Print an order of the laboratory that was executed."""
        self._write("OrderTaken", f"order taken: {order['order']}", **order)

    def order_refused(self, reason: str, line: str) -> None:
        """Print why a line is no order."""
        self._write("OrderRefused", f"order refused: {reason}", error=reason, line=line)

    def ocpp(self, direction: str, text: str) -> None:
        """Print one OCPP message without its secrets."""
        if not (self._json or self._trace):
            return
        message = self._without_secrets(jsonlib.loads(text))
        arrow = "->" if direction == "out" else "<-"
        shown = jsonlib.dumps(message, ensure_ascii=False)
        self._write("Ocpp", f"{arrow} {shown}", way=direction, message=message)

    def chademo(self, event: chademo.Event) -> None:
        """Print an event of the CHAdeMO session."""
        line = LINES.get(type(event))
        text = None if line is None else line(event)
        if self._json:
            self._write(type(event).__name__, "", **plain(event))
        elif text is not None:
            self._write(type(event).__name__, f"CHAdeMO: {text}")

    def frame(self, line: str) -> None:
        """Print a frame of the CAN bus."""
        self._write("Frame", line, frame=line)

    def _without_secrets(self, message: object) -> object:
        if isinstance(message, list) and len(message) == CALL_LENGTH and message[0] == CALL:
            return [*message[:3], self._redact(message[2], message[3])]
        return message

    async def watch(self, station: Station, clock: Clock) -> None:
        """Print the changes of a station until cancelled."""
        while True:
            self._show_connection(station)
            for evse in station.evses.values():
                self._show_evse(evse)
            await clock.sleep(INTERVAL_S)

    def _show_connection(self, station: Station) -> None:
        link = station.link
        if link.connection is None:
            return
        waiting = "connected, waiting to be accepted by the CSMS"
        text = "connected and accepted by the CSMS" if link.accepted else waiting
        if text != self._connection:
            self._connection = text
            self._write("Connection", text, accepted=link.accepted)

    def _show_evse(self, evse: EvseState) -> None:
        power_w, soc_pct, number = evse.reading.power_w, evse.reading.soc_pct, evse.number
        for key, state in ((number, _state(evse)), (-number, _request(evse.vehicle))):
            if state != self._states.get(key, ""):
                self._states[key] = state
                self._write("Evse", f"EVSE {number}: {state or 'no vehicle'}", evse=number, state=state)
        if self._changes.setdefault(number, PowerChanges()).select(power_w, evse.setpoint_w, soc_pct):
            soc = "" if soc_pct is None else f", vehicle at {soc_pct:.0f} %"
            text = f"EVSE {number}: {power_text(power_w)}, set-point {evse.setpoint_w:+.0f} W{soc}"
            self._write("Power", text, evse=number, power_w=power_w, setpoint_w=evse.setpoint_w, soc_pct=soc_pct)

    def _write(self, event: str, text: str, **values: object) -> None:
        self._stream.write((jsonlib.dumps({"event": event, **values}) if self._json else text) + "\n")
        self._stream.flush()


def _state(evse: EvseState) -> str:
    transaction = "" if evse.transaction is None else f", transaction {evse.transaction.name}"
    return evse.status + transaction + ("" if evse.fault is None else f", fault {evse.fault}")


def _request(needs: Needs | None) -> str:
    """Return what the vehicle requests, empty without a vehicle."""
    if needs is None:
        return ""
    target = "" if needs.target_soc_pct is None else f" to {needs.target_soc_pct:.0f} %"
    permitted = limits_text(needs.max_charge_w, needs.max_discharge_w)
    return f"vehicle {needs.vehicle or 'without id'} requests {needs.energy_transfer}{target}, {permitted}"
