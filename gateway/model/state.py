"""Published states, telemetry and events of the gateway, its EVSEs and the site.

MQTT and the admin API send these objects as they are; the AsyncAPI document is generated from them. Powers are signed,
+ into the vehicle; null is a value that was never reported.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from gateway.model.command import SiteMode
from gateway.model.energy_state import EnergyState
from gateway.model.message import Message, Stamp
from gateway.model.reason import Reason
from gateway.model.result import Layer


class GatewayStatus(Message):
    """Status of a gateway; its will is `offline`."""

    state: Literal["online", "offline"]
    gateway: str
    version: str
    evses: tuple[str, ...] = ()
    takes_site_commands: bool = False
    journal: Literal["ok", "failing"] = "ok"
    since: Stamp | None = None
    probe: str | None = Field(default=None, exclude_if=lambda token: token is None)  # another run requests the status


class Connection(StrEnum):
    """Connection to the station."""

    CONNECTED = "connected"
    OFFLINE = "offline"


class SessionState(StrEnum):
    """State of the session."""

    AVAILABLE = "available"
    PLUGGED = "plugged"
    IN_SESSION = "in_session"
    UNAVAILABLE = "unavailable"
    FAULTED = "faulted"


class Limits(Message):
    """Magnitudes in W, both ways."""

    max_charge_w: float
    max_discharge_w: float


class Floors(Message):
    """SoC floors in percent; null is none."""

    site_pct: float | None = None
    reserve_pct: float | None = None
    command_pct: float | None = None
    in_force_pct: float | None = None
    reached: bool = False


class FailSafeState(Message):
    """Power of an EVSE if this gateway fails."""

    within_s: float | None = Field(description="the power is 0 W after this time; null: it continues")
    text: str


class VehicleState(Message):
    """The vehicle in session."""

    id: str | None = None
    link: str | None = Field(
        default=None, description="chademo, iso15118-20, iso15118-2 or din70121; null: the charger does not state it"
    )
    bidirectional: bool | None = None
    energy_transfer: str | None = None
    control_mode: str | None = None
    capacity_wh: float | None = Field(default=None, description="of its battery, as used for every calculation")
    capacity_assumed: bool = Field(default=False, description="the capacity is unknown; `capacity_wh` is assumed")
    departure: Stamp | None = None
    target_soc_pct: float | None = None


class CommandState(Message):
    """The active command."""

    id: str
    verb: str
    source: str | None = None
    client: str | None = None
    priority: int
    requested_w: float | None = None


class EvseState(Message):
    """State of one EVSE, retained."""

    evse: str
    gateway: str
    station: str
    connection: Connection
    protocol: str | None = None
    vendor: str | None = None
    model: str | None = None
    plugged: bool
    session_state: SessionState
    session: str | None = None
    vehicle: VehicleState | None = None
    mode: str | None = Field(default=None, description="operation mode of OCPP 2.1")
    can_discharge: bool
    why_not: str | None = None
    power_w: float | None = None
    setpoint_w: float | None = Field(default=None, description="set-point that the station confirmed")
    effective_w: float = Field(description="power that the control hierarchy allows now")
    binding: Layer
    reason: Reason
    command: CommandState | None = None
    lease_until: Stamp | None = None
    soc_pct: float | None = None
    floors: Floors
    station_limits: Limits | None = None
    vehicle_limits: Limits | None = None
    available: Limits = Field(description="power available to a command now")
    fault: str | None = None
    independent: bool | None = Field(
        default=None, description="the charger operates independently of the grid; null where it does not state it"
    )
    fail_safe: FailSafeState | None = Field(
        default=None, description="end of the power by itself if this gateway fails; null while unknown"
    )
    ts: Stamp


class Telemetry(Message):
    """Measured values, once a second; energies only grow."""

    evse: str
    power_w: float | None = None
    energy_charged_wh: float | None = None
    energy_discharged_wh: float | None = None
    soc_pct: float | None = None
    voltage_v: float | None = None
    current_a: float | None = None
    frequency_hz: float | None = None
    measured_at: Stamp | None = None
    ts: Stamp
    seq: int


class SiteTelemetry(Message):
    """Sums over all EVSEs of this gateway."""

    power_w: float | None = None
    energy_charged_wh: float | None = None
    energy_discharged_wh: float | None = None
    evses_measured: int
    base_w: float | None = Field(
        default=None, description="the site without its vehicles, + import; null while unknown"
    )
    ts: Stamp
    seq: int


class InputState(Message):
    """Freshness of an input."""

    freshness: Literal["never", "fresh", "stale"]
    ts: Stamp | None = None


class SiteState(Message):
    """State of the site, retained."""

    site: str
    gateway: str
    mode: SiteMode
    emergency_stop: bool
    backup: bool
    islanded: bool
    grid_present: bool | None = Field(default=None, description="as reported by the facility; null while unknown")
    import_limit_w: float | None = None
    export_limit_w: float | None = None
    peak_limit_w: float | None = None
    reserve_pct: float | None = None
    reserve_wh: float | None = None
    power_w: float | None = None
    effective_w: float
    command: CommandState | None = None
    lease_until: Stamp | None = None
    available: Limits
    evses: tuple[str, ...]
    inputs: dict[str, InputState]
    energy: EnergyState | None = Field(
        default=None, description="orders and forecasts of the site's energy management, see docs/energy.md"
    )
    ts: Stamp


class Happened(StrEnum):
    """Kinds of event messages."""

    STATION_CONNECTED = "station_connected"
    STATION_LOST = "station_lost"
    STATION_REJECTED = "station_rejected"
    REBOOT_REQUIRED = "reboot_required"
    PLUGGED = "plugged"
    UNPLUGGED = "unplugged"
    SESSION_STARTED = "session_started"
    NEGOTIATED = "negotiated"
    SESSION_ENDED = "session_ended"
    MODE_CHANGED = "mode_changed"
    REFUSED = "refused"
    FAULT = "fault"
    FAULT_CLEARED = "fault_cleared"
    LEASE_ENDED = "lease_ended"
    FLOOR_REACHED = "floor_reached"
    CLAMP_CHANGED = "clamp_changed"
    INPUT_STALE = "input_stale"
    INPUT_FRESH = "input_fresh"
    INPUT_REFUSED = "input_refused"
    GRID_LOST = "grid_lost"
    GRID_RETURNED = "grid_returned"
    EMERGENCY_STOP = "emergency_stop"
    RELEASED = "released"
    BROKER_CONNECTED = "broker_connected"
    BROKER_LOST = "broker_lost"
    JOURNAL = "journal"
    OPERATOR = "operator"
    DECIDED = "decided"
    SECURITY = "security"
    UNDELIVERABLE = "undeliverable"
    OVERLOADED = "overloaded"


class EventMessage(Message):
    """An event and its reason."""

    event: Happened
    evse: str | None = Field(default=None, description="null for the site")
    reason: Reason | None = None
    text: Annotated[str, Field(max_length=1000)] = ""
    code: Annotated[str, Field(max_length=64)] | None = Field(
        default=None, description="of `decided`: decision of the site's energy management, listed in docs/energy.md"
    )
    subject: str | None = Field(default=None, description="of `decided`: EVSE, storage, load tier or vehicle concerned")
    figures: dict[str, float] | None = None
    command: str | None = None
    client: str | None = Field(default=None, description="client of the command; null for a shared topic")
    session: str | None = None
    gateway: str
    ts: Stamp


class LayerState(Message):
    """One layer of the control hierarchy: its range and what it and the layers above leave; null is no limit."""

    layer: Layer
    low_w: float | None
    high_w: float | None
    left_low_w: float | None
    left_high_w: float | None
    code: str
    text: str


class Explanation(Message):
    """Limiting constraints of an EVSE, now."""

    evse: str
    effective_w: float
    setpoint_w: float | None
    binding: Layer
    reason: Reason
    layers: tuple[LayerState, ...]
    command: CommandState | None
    lease_until: Stamp | None
    ts: Stamp
