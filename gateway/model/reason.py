"""Reasons: a stable code for programs and a sentence for people.

The codes are part of the MQTT contract and of the admin API; a code is never reused with another meaning. Sentences may
change. The limiting constraint of a value is `binding`, see `gateway.authority.priority`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from gateway.model.message import Message


class Code(StrEnum):
    """Reason codes."""

    # granted in full or in part
    GRANTED = "granted"
    CLAMPED = "clamped"
    # the message itself
    BAD_JSON = "bad_json"
    BAD_COMMAND = "bad_command"
    UNKNOWN_VERB = "unknown_verb"
    TOO_LARGE = "too_large"
    RETAINED = "retained"
    RATE_LIMITED = "rate_limited"
    BUSY = "busy"
    OVERLOADED = "overloaded"
    UNDELIVERABLE = "undeliverable"
    EXPIRED = "expired"
    CLIENT_REQUIRED = "client_required"
    ID_CONFLICT = "id_conflict"
    OUTRANKED = "outranked"
    JOURNAL_UNAVAILABLE = "journal_unavailable"
    BAD_INPUT = "bad_input"
    CLOCK_SKEW = "clock_skew"
    # the EVSE, the station and the vehicle
    UNKNOWN_EVSE = "unknown_evse"
    OFFLINE = "offline"
    UNPLUGGED = "unplugged"
    NO_SESSION = "no_session"
    FAULT = "fault"
    CHARGING_ONLY = "charging_only"
    STATION_LIMIT = "station_limit"
    VEHICLE_LIMIT = "vehicle_limit"
    DEAD_BAND = "dead_band"
    OUTSIDE_V2X_WINDOW = "outside_v2x_window"
    BELOW_CAR_MINIMUM = "below_car_minimum"
    NEEDED_FOR_DEPARTURE = "needed_for_departure"
    # the site
    EMERGENCY_STOP = "emergency_stop"
    GRID_LOST = "grid_lost"
    GRID_CODE = "grid_code"
    ISLAND = "island"
    IMPORT_LIMIT = "import_limit"
    EXPORT_LIMIT = "export_limit"
    PEAK_LIMIT = "peak_limit"
    DEMAND_WINDOW = "demand_window"
    POLICY = "policy"
    INPUT_STALE = "input_stale"
    NO_CARS = "no_cars"
    # energy that stays in the vehicle
    BELOW_FLOOR = "below_floor"
    NEAR_FLOOR = "near_floor"
    SOC_UNKNOWN = "soc_unknown"
    # how a command ended
    SEEN_ON_METER = "seen_on_meter"
    IN_FORCE = "in_force"
    SUPERSEDED = "superseded"
    RELEASED = "released"
    LEASE_EXPIRED = "lease_expired"
    SCHEDULE_ENDED = "schedule_ended"
    BROKER_LOST = "broker_lost"
    GATEWAY_RESTARTED = "gateway_restarted"
    GATEWAY_STOPPED = "gateway_stopped"
    SESSION_ENDED = "session_ended"
    STATION_REFUSED = "station_refused"
    STATION_SILENT = "station_silent"
    NOT_SEEN_ON_METER = "not_seen_on_meter"
    METER_SILENT = "meter_silent"
    PARTLY = "partly"
    # without a command
    IDLE = "idle"


class Reason(Message):
    """Reason code and sentence."""

    code: Code
    text: Annotated[str, Field(max_length=500)]


def because(code: Code, text: str) -> Reason:
    """Return a reason, its sentence cut to the length that the contract allows."""
    return Reason(code=code, text=text if len(text) <= 500 else text[:497] + "...")
