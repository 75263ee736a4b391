"""Requests of a 2.1 CSMS about DER controls (block R)."""

from __future__ import annotations

from emulators.charger.station.responses import response
from emulators.charger.station.shared_requests import RequestHandlers
from emulators.charger.station.smart_charging.der import BODIES, CURVES, DerControl
from protocols.ocpp.enums import v21
from protocols.ocpp.schema import Payload

REPORTED = 20  # DER controls in one report; the schema allows 24 of each kind
_GET_NAMES = {"fixedPFAbsorb": "fixedPF", "fixedPFInject": "fixedPF"}


class DerRequests(RequestHandlers):
    """Handlers of requests about DER controls."""

    def set_der_control(self, request: Payload) -> Payload:
        """SetDERControl (R04.FR.01-08)."""
        status, superseded = self._station.der_controls.set(request, self._station.wall())
        self._station.save("controls")
        self._station.wake()
        return {"status": status} | ({"supersededIds": superseded} if superseded else {})

    def get_der_control(self, request: Payload) -> Payload:
        """GetDERControl (R04.FR.30-36)."""
        controls, kind = self._station.der_controls, request.get("controlType")
        if kind is not None and kind not in controls.supported:
            return response(v21.DERControlStatusEnumType.not_supported)
        found = controls.select(request.get("isDefault"), kind, request.get("controlId"))
        if not found:
            return response(v21.DERControlStatusEnumType.not_found)
        self._station.later(self._report_controls(request["requestId"], found))
        return response(v21.DERControlStatusEnumType.accepted)

    async def _report_controls(self, request: int, found: list[DerControl]) -> None:
        parts = [found[i : i + REPORTED] for i in range(0, len(found), REPORTED)]
        for number, part in enumerate(parts, 1):
            body: Payload = {"requestId": request, "tbc": number < len(parts)}
            for control in part:
                body.setdefault(BODIES[control.type], []).append(_report(control))
            await self._station.call(v21.Action.report_der_control, body)

    def clear_der_control(self, request: Payload) -> Payload:
        """ClearDERControl (R04.FR.41-45)."""
        controls, kind, number = self._station.der_controls, request.get("controlType"), request.get("controlId")
        if kind is not None and kind not in controls.supported:
            return response(v21.DERControlStatusEnumType.not_supported)
        found = controls.select(request["isDefault"], kind, number)
        if not found and (kind is not None or number is not None):
            return response(v21.DERControlStatusEnumType.not_found)
        controls.remove(found)
        self._station.save("controls")
        self._station.wake()
        return response(v21.DERControlStatusEnumType.accepted)


def _report(control: DerControl) -> Payload:
    """Return the *GetType of a control."""
    body = BODIES[control.type]
    entry: Payload = {"id": control.id, _GET_NAMES.get(body, body): control.body}
    if control.type in CURVES:
        entry["curveType"] = control.type
    if control.type not in ("EnterService", "Gradients"):
        entry |= {"isDefault": control.default, "isSuperseded": control.superseded}
    return entry
