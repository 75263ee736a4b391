"""Power in the meter values of OCPP 1.6 and 2.x. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from protocols.ocpp.schema import Payload

_SIGNS = {"Power.Active.Import": 1.0, "Power.Active.Export": -1.0}


def power_w(meter_values: Iterable[Payload]) -> float | None:
    """Return the last active power of meter values, + is charging; None without one."""
    found: float | None = None
    for entry in meter_values:
        parts = [w for sample in entry.get("sampledValue", ()) if (w := _watts(sample)) is not None]
        if parts:
            found = sum(parts)
    return found


def _watts(sample: Payload) -> float | None:
    sign = _SIGNS.get(sample.get("measurand", ""))
    if sign is None or sample.get("phase"):
        return None
    unit = sample.get("unitOfMeasure", {})
    kilo = 1000.0 if (sample.get("unit") or unit.get("unit")) == "kW" else 1.0
    watts: float = sign * float(sample["value"]) * kilo * 10.0 ** unit.get("multiplier", 0)
    return watts


def in_payload(action: str, payload: Payload) -> tuple[int | None, float] | None:
    """Return EVSE (None where the message does not name it) and power of a message with meter values."""
    if action == "MeterValues":
        power = power_w(payload.get("meterValue", ()))
        number = payload.get("evseId", payload.get("connectorId"))
    elif action == "TransactionEvent":
        power, number = power_w(payload.get("meterValue", ())), payload.get("evse", {}).get("id")
    else:
        return None
    return None if power is None else (number, power)
