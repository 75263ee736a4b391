"""Typed sections of `gateway.toml`: every key, its default, bounds and meaning. Source of `docs/configuration.md`.

The environment overrides the file: `V2X_MQTT__URL` is `url` of `[mqtt]`. An unknown key is an error, in the file and in
the environment; a renamed key loads with a warning. `load.py` reads the file.
"""

from __future__ import annotations

import ipaddress
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    PrivateAttr,
    StringConstraints,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from gateway.csms.settings import Registration, UnknownStations, UnknownTokens
from gateway.energy.settings import EnergySection
from gateway.hems.settings import Plug, SiteObject
from gateway.model.command import SiteMode
from gateway.model.site import STALE_AT_MOST_S, InputKind
from gateway.model.station import station_of

log = logging.getLogger("v2x")


def _without_number(evse: str) -> str:
    if station_of(evse) != evse:
        raise ValueError(f"{evse} would be an EVSE of a charging station; choose an id without a number at its end")
    return evse


Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.@=*|-]{1,64}$")]
EvseName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9*\-_=+|@.]{1,64}$")]
StationId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9*\-_=+|@.]{1,48}$")]
HostedName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9*\-_=+|@.]{1,48}$"), AfterValidator(_without_number)]
MacAddress = Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}$")]
Watts = Annotated[float, Field(ge=0, le=1e8, allow_inf_nan=False)]
Percent = Annotated[float, Field(ge=0, le=100)]
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]


class ConfigError(Exception):
    """The configuration cannot be used; each line names the file, the key and the remedy."""


class Section(BaseModel):
    """One table of the file. `renamed` maps former keys to present ones."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    table: ClassVar[str] = ""  # its name in the file, where keys were renamed
    renamed: ClassVar[dict[str, str]] = {}

    @model_validator(mode="before")
    @classmethod
    def _accept_renamed_keys(cls, values: Any) -> Any:
        """Load a former key under its present name, with a warning; both together are an error."""
        if not isinstance(values, dict):
            return values
        for former, present in cls.renamed.items():
            if former in values and present in values:
                raise ValueError(f"{former} is the former name of {present}; remove it")
            if former in values:
                log.warning("configuration: %s.%s is now called %s; please rename it", cls.table, former, present)
                values = {**values, present: values[former]}
                del values[former]
        return values

    @field_validator("*", mode="before")
    @classmethod
    def _reject_boolean_for_number(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse true and false where a number is needed: `import_limit_w = true` would be read as 1 W."""
        if isinstance(value, bool) and cls.model_fields[info.field_name or ""].annotation is not bool:
            raise ValueError("must be a value, not true or false")
        return value


class SiteSection(Section):
    """Site and limits of its connection. An absent limit is no limit."""

    id: Name = Field(default="site", description="name of the site in all topics")
    import_limit_w: Watts | None = Field(default=None, description="fuse or contract: highest import of the site, in W")
    export_limit_w: Watts | None = Field(default=None, description="highest export of the site, in W")
    min_soc_pct: Percent = Field(default=0, description="no vehicle is discharged below this state of charge")
    floor_hysteresis_pct: Percent = Field(
        default=2, description="at the floor, discharge waits until the state of charge is this much above it"
    )
    discharge_without_soc: bool = Field(
        default=False, description="discharge vehicles that do not report their state of charge"
    )
    idle_power_w: Watts = Field(default=0, description="charging power of a vehicle without a command, in W")
    ramp_w_per_s: Annotated[float, Field(gt=0, le=1e6)] = Field(
        default=2500, description="ramp of power after a command ends, in W/s"
    )
    mode: SiteMode = Field(default=SiteMode.MANUAL, description="energy management mode until a command changes it")
    stale_after_s: dict[InputKind, Seconds] = Field(
        default_factory=dict, description="age from which an input of the facility is stale, by kind, in s"
    )
    stale_at_most_s: Seconds = Field(
        default=STALE_AT_MOST_S,
        description="a meter that reports seldom is stale after three of its own periods and its delay, but after this "
        "age or that of stale_after_s, whichever is longer, in s",
    )


class MqttSection(Section):
    """Connection to the broker."""

    url: str = Field(default="mqtt://127.0.0.1:1883", description="mqtt://host:port, or mqtts://host:port with TLS")
    gateway_id: Name = Field(default="gw1", description="name of this gateway, unique at the site and at the broker")
    version: Literal["auto", "5", "3.1.1"] = Field(default="auto", description="protocol; auto is 5, then 3.1.1")
    username: str | None = Field(default=None, description="user at the broker")
    password_file: Path | None = Field(default=None, description="file with the password, on one line")
    ca: Path | None = Field(default=None, description="CA certificates that verify the broker; default: the system's")
    cert: Path | None = Field(default=None, description="client certificate (PEM)")
    key: Path | None = Field(default=None, description="its key (PEM)")
    session_expiry_s: Annotated[int, Field(ge=0, le=3600)] = Field(
        default=60, description="time the broker keeps messages while the connection is lost (MQTT 5), in s"
    )
    broker_grace_s: Seconds = Field(
        default=30, description="leased commands end when the connection is lost for longer, in s"
    )
    stop_connection: bool = Field(
        default=True,
        description="two more connections (client ids with -stop and -emergency) for stop and emergency_stop only",
    )
    telemetry_s: Annotated[float, Field(ge=0.1, le=3600)] = Field(default=1, description="seconds between telemetry")
    site_commands: bool = Field(
        default=True, description="accept commands to the site; exactly one of several gateways at a site may"
    )
    shared_commands: bool = Field(
        default=True,
        description="accept commands on topics without the name of the client, where `source` can be anyone's",
    )
    homeassistant: Literal["device", "components", "off"] = Field(
        default="device", description="discovery for Home Assistant: device (2024.11 and newer), components, or off"
    )
    homeassistant_prefix: Name = Field(default="homeassistant", description="Home Assistant's discovery prefix")
    mirror: str = Field(
        default="",
        pattern=r"^([A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*)?$",
        description="root topic of a mirror with one value per topic",
    )

    @field_validator("url")
    @classmethod
    def _broker(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname:
            raise ValueError("must be mqtt://host[:port] or mqtts://host[:port]")
        if parts.port == 0:
            raise ValueError("port 0 cannot be connected to; leave the port out for the default")
        return url

    @model_validator(mode="after")
    def _together(self) -> MqttSection:
        if (self.cert is None) != (self.key is None):
            raise ValueError("cert and key belong together")
        if urlsplit(self.url).scheme == "mqtt" and (self.ca or self.cert):
            raise ValueError("ca, cert and key need a url with mqtts://")
        taken = ("v2x", self.homeassistant_prefix)
        if self.mirror and self.mirror.split("/")[0] in taken:
            raise ValueError(f"mirror: {' and '.join(taken)} are in use for other topics; choose another root")
        return self


class OcppSection(Section):
    """OCPP server for charging stations."""

    listen: str = Field(default="127.0.0.1:9000", description="address:port; stations connect to ws://.../ocpp/<id>")
    tls_listen: str | None = Field(
        default=None, description="second address:port, with TLS, for stations that move to a higher security profile"
    )
    unknown_stations: UnknownStations = Field(
        default=UnknownStations.REJECT,
        description="stations that are not listed: reject answers 404, the others answer the BootNotification",
    )
    unknown_tokens: UnknownTokens = Field(
        default=UnknownTokens.REJECT, description="authorization of an idToken that is not registered"
    )
    local_list: bool = Field(
        default=False,
        description="send the registered tokens to stations as local authorization list, for use while offline",
    )
    security_profile: Annotated[int, Field(ge=0, le=3)] = Field(
        default=1, description="0 none, 1 basic auth, 2 TLS and basic auth, 3 TLS with client certificates"
    )
    tls_cert: Path | None = Field(default=None, description="certificate of this server (PEM), profiles 2 and 3")
    tls_key: Path | None = Field(default=None, description="its key (PEM)")
    tls_ca: Path | None = Field(default=None, description="CA of the station certificates that are accepted, profile 3")
    tls_crl: Path | None = Field(
        default=None,
        description="certificate revocation lists (PEM) of tls_ca: revoked stations are refused and disconnected; "
        "read again when the file changes",
    )
    ca_key: Path | None = Field(
        default=None, description="key of tls_ca: the gateway signs certificates of stations with it"
    )
    v2x_allowed: bool = Field(
        default=True, description="allow every energy transfer mode to vehicles whose token names none"
    )
    inventory: bool = Field(default=True, description="read the device model of a station after its boot")
    compression: bool = Field(
        default=False, description="offer permessage-deflate; costs 40 kB per station and half the throughput"
    )
    heartbeat_s: Annotated[int, Field(ge=1, le=86_400)] = Field(
        default=300, description="heartbeat interval that stations get, in s"
    )
    boot_retry_s: Annotated[int, Field(ge=1, le=86_400)] = Field(
        default=30, description="retry interval of the BootNotification for pending or rejected stations, in s"
    )
    sample_every_s: Annotated[int, Field(ge=2, le=30)] = Field(
        default=10, description="longest sampling interval of power in a transaction, set at the station, in s"
    )
    fallback_limit_w: Watts = Field(
        default=0, description="limit of the fallback profile: power of a station without another profile, in W"
    )
    ping_interval_s: Seconds = Field(default=20, description="seconds between WebSocket pings to a station")
    silent_after_s: Seconds = Field(
        default=40, description="disconnect a station that has sent nothing for so long, not even a pong, in s"
    )
    acknowledged_within_s: Seconds = Field(
        default=15, description="end a connection where nothing that is sent is acknowledged (TCP) for so long, in s"
    )
    max_message: Annotated[int, Field(ge=16_384, le=64 * 2**20)] = Field(
        default=131_072, description="longest message of a station, in characters"
    )
    max_transaction_message: Annotated[int, Field(ge=16_384, le=64 * 2**20)] = Field(
        default=4_194_304,
        description="longest StopTransaction, TransactionEvent or MeterValues, in characters",
    )
    max_stations: Annotated[int, Field(ge=1, le=100_000)] = Field(
        default=5000, description="most stations that are connected at the same time"
    )
    max_unknown: Annotated[int, Field(ge=0, le=100_000)] = Field(
        default=100, description="most stations that are not listed"
    )
    max_handshakes_per_s: Annotated[float, Field(gt=0, le=1e5)] = Field(
        default=200,
        description="WebSocket handshakes a second of ids that are not listed, a quarter of it per address; else 503",
    )
    max_unserved: Annotated[int, Field(ge=1, le=100_000)] = Field(
        default=100,
        description="most stations that have connected and wait for their first response, fewer (10) while that takes "
        "more than a second, twice as many with a transaction; else 503 with Retry-After",
    )
    max_calls_per_s: Annotated[float, Field(gt=0, le=1e6)] = Field(
        default=50, description="messages a second of one station, after a burst of max_burst; more are refused"
    )
    max_burst: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        default=500, description="messages of one station in a burst"
    )
    answer_within_s: Seconds = Field(default=30, description="time-out of a request to a station, in s")
    lenient: bool = Field(
        default=False,
        description="repair messages that break their schema (extra members, numbers as text); off: refuse them",
    )
    vendor_profiles: Path | None = Field(default=None, description="folder with additional vendor profiles")

    @field_validator("listen")
    @classmethod
    def _address(cls, listen: str) -> str:
        host_and_port(listen)
        return listen

    @model_validator(mode="after")
    def _tls(self) -> OcppSection:
        if self.tls_listen is not None:
            host_and_port(self.tls_listen)
            if self.security_profile >= 2:
                raise ValueError("tls_listen is for security profiles 0 and 1: listen itself has TLS")
            if self.tls_cert is None or self.tls_key is None:
                raise ValueError("tls_listen needs tls_cert and tls_key")
        if self.security_profile >= 2 and (self.tls_cert is None or self.tls_key is None):
            raise ValueError("security profiles 2 and 3 need tls_cert and tls_key")
        if self.security_profile == 3 and self.tls_ca is None:
            raise ValueError("security profile 3 needs tls_ca")
        if self.tls_crl is not None and self.tls_ca is None:
            raise ValueError("tls_crl needs tls_ca")
        return self


class StationEntry(Section):
    """A charging station."""

    id: StationId = Field(description="identity: the last part of the URL that it connects to")
    password_file: Path | None = Field(default=None, description="file with its basic auth password, on one line")
    vendor_profile: str | None = Field(default=None, description="vendor profile of the product, such as generic-2.1")
    security_profile: Annotated[int, Field(ge=0, le=3)] | None = Field(
        default=None, description="instead of that of [ocpp]"
    )
    max_charge_w: Watts | None = Field(default=None, description="per EVSE, until the station reports its own, in W")
    max_discharge_w: Watts | None = Field(default=None, description="per EVSE, until the station reports its own, in W")
    fallback_limit_w: Watts | None = Field(default=None, description="instead of that of [ocpp]")
    registration: Registration = Field(
        default=Registration.ACCEPTED, description="registration status in the BootNotification response"
    )


class EvseEntry(Section):
    """EVSE that the gateway hosts itself, without OCPP. docs/hosted-evse.md describes it."""

    id: HostedName = Field(description="name of the EVSE in all topics; without a number at its end, as BAY1")
    driver: Literal["secc"] = Field(description="secc: sessions of ISO 15118 and DIN 70121 over a board")
    board: Name = Field(description="driver of the hardware: an entry point of the group v2x.board")
    board_settings: dict[str, object] = Field(default_factory=dict, description="settings of the board")
    interface: Name | None = Field(
        default=None, description="network interface of the vehicles, which find the EVSE by SDP"
    )
    listen: str | None = Field(default=None, description="address:port instead of interface, without SDP")
    slac: bool = Field(
        default=False, description="vehicles are matched by SLAC over the modem on interface; with CAP_NET_RAW"
    )
    modem: Literal["qualcomm", "lumissil", "none"] = Field(
        default="qualcomm", description="slac: whose messages the modem understands; none: only those of HomePlug"
    )
    modem_address: MacAddress = Field(default="00:b0:52:00:00:01", description="slac: MAC address of the modem")
    protocols: Annotated[list[Literal["din", "iso2", "iso20"]], Field(min_length=1)] = Field(
        default=["iso20", "iso2", "din"], description="protocols offered to vehicles"
    )
    services: Annotated[list[Literal["dc", "dc_bpt", "ac", "ac_bpt"]], Field(min_length=1)] | None = Field(
        default=None,
        description="services offered to vehicles; bpt is bidirectional. Absent: dc and dc_bpt with a power stage; "
        "else ac, and ac_bpt where max_discharge_w is set",
    )
    phases: Literal[1, 3] = Field(default=3, description="AC board: phases of the connector")
    voltage_v: Annotated[float, Field(ge=100, le=280)] = Field(
        default=230, description="AC board: voltage of a phase, in V"
    )
    max_current_a: Annotated[float, Field(ge=6, le=80)] = Field(
        default=16, description="AC board: rating of contactors, cable and fuse in each phase, in A"
    )
    digital_within_s: Annotated[float, Field(ge=0, le=300)] = Field(
        default=40,
        description="AC board: time for a vehicle to begin a session; then it charges by the duty cycle, in s",
    )
    control: Annotated[list[Literal["dynamic", "scheduled"]], Field(min_length=1)] = Field(
        default=["dynamic", "scheduled"],
        description="control modes of ISO 15118-20; a vehicle in scheduled control renegotiates for another power",
    )
    tls: Literal["none", "1.2", "1.3"] = Field(
        default="none", description="TLS to vehicles: 1.2 for ISO 15118-2, 1.3 for ISO 15118-20 (with iso2 on request)"
    )
    tls_profile: Literal["strict", "interop"] = Field(
        default="interop", description="strict: mutual TLS 1.3 with P-521 only; interop: P-256 as well"
    )
    pki: Path | None = Field(default=None, description="folder with certificates, as of `v2x pki create`; with tls")
    evse_id: Annotated[str, StringConstraints(min_length=7, max_length=37)] = Field(
        default="ZZ00000", description="EVSEID that vehicles get"
    )
    max_charge_w: Watts | None = Field(default=None, description="below what the board reports, in W")
    max_discharge_w: Watts | None = Field(default=None, description="below what the board reports, in W")

    @field_validator("listen")
    @classmethod
    def _address(cls, listen: str | None) -> str | None:
        if listen is not None:
            host_and_port(listen)
        return listen

    @model_validator(mode="after")
    def _complete(self) -> EvseEntry:
        if (self.interface is None) == (self.listen is None):
            raise ValueError("set either interface or listen")
        if self.slac and self.interface is None:
            raise ValueError("slac needs interface, on which the modem is")
        if (self.tls == "none") != (self.pki is None):
            raise ValueError('tls and pki belong together; set both, or tls = "none" without pki')
        if self.tls == "1.2" and "iso20" in self.protocols:
            raise ValueError("tls 1.2 is for iso2; iso20 needs 1.3")
        return self


class ModbusLink(Section):
    """A device over Modbus. docs/modbus.md describes the products."""

    driver: Literal["modbus"] = Field(default="modbus", description="driver of the device")
    product: str = Field(
        min_length=1,
        description='product, such as "quasar-1" or "sunspec", or the path of a register map (TOML file)',
    )
    address: Annotated[str, StringConstraints(min_length=1)] | None = Field(
        default=None, description="address[:port]; without a port, that of the product"
    )
    serial: Annotated[str, StringConstraints(min_length=1)] | None = Field(
        default=None, description="serial port instead of address, such as /dev/ttyUSB0; several devices may share it"
    )
    baud: Literal[1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200] = Field(
        default=9600, description="serial: bits a second"
    )
    parity: Literal["none", "even", "odd"] = Field(default="none", description="serial: parity")
    stop_bits: Literal[1, 2] = Field(default=1, description="serial: stop bits")
    unit: Annotated[int, Field(ge=0, le=255)] | None = Field(
        default=None, description="unit id, if not that of the product"
    )
    framing: Literal["tcp", "rtu"] = Field(
        default="tcp", description="tcp: Modbus TCP; rtu: RTU frames in a TCP connection, as of serial device servers"
    )

    @field_validator("address")
    @classmethod
    def _host(cls, address: str | None) -> str | None:
        if address is None:
            return None
        host, _, port = address.rpartition(":") if "]" in address or address.count(":") == 1 else (address, "", "")
        if port or "]" in host:
            host_and_port(address if not address.endswith("]") else f"{address}:0")
        return address

    @model_validator(mode="after")
    def _reached(self) -> ModbusLink:
        if (self.address is None) == (self.serial is None):
            raise ValueError("set either address or serial")
        if self.serial is None and {"baud", "parity", "stop_bits"} & self.model_fields_set:
            raise ValueError("baud, parity and stop_bits are those of serial")
        return self


class ModbusEvseEntry(ModbusLink):
    """Bidirectional wallbox over Modbus, as an EVSE of this site. docs/modbus.md describes the products."""

    id: HostedName = Field(description="name of the EVSE in all topics; without a number at its end, as BAY1")
    driver: Literal["modbus"] = Field(description="modbus: a wallbox by its register map")
    connector: Annotated[int, Field(ge=1, le=64)] = Field(default=1, description="connector of the product")
    max_charge_w: Watts | None = Field(default=None, description="below what the product states, in W")
    max_discharge_w: Watts | None = Field(default=None, description="below what the product states, in W")


class ChademoEvseEntry(Section):
    """EVSE with CHAdeMO that the gateway hosts itself. docs/chademo.md describes it."""

    id: HostedName = Field(description="name of the EVSE in all topics; without a number at its end, as BAY1")
    driver: Literal["chademo"] = Field(description="chademo: sessions of CHAdeMO and of the V2H guideline over a board")
    board: Name = Field(description="driver of the hardware with the lines of the plug: an entry point of v2x.board")
    board_settings: dict[str, object] = Field(default_factory=dict, description="settings of the board")
    can: str = Field(
        min_length=1, description="CAN bus of the vehicle: can0 or vcan0 (SocketCAN), udp:GROUP, or memory:NAME"
    )
    protocol: Literal["0.9", "1.x", "2.0"] = Field(default="1.x", description="highest version of CHAdeMO")
    v2h: Literal["none", "1.0", "2.0a", "2.0b"] = Field(
        default="2.0b", description="V2H guideline, appendix A or B from 2.0 on; none: charging only"
    )
    keep_alive_s: Annotated[float, Field(ge=0, le=300, allow_inf_nan=False)] = Field(
        default=60,
        description="without current, report 1 A so often for a moment: LEAFs end a session after six minutes without "
        "current; 0: never, in s",
    )
    strict: bool = Field(
        default=False, description="end the session of a vehicle that requests more than is offered; false: limit it"
    )
    max_charge_w: Watts | None = Field(default=None, description="below what the board reports, in W")
    max_discharge_w: Watts | None = Field(default=None, description="below what the board reports, in W")


class MeterPlace(Section):
    """Place of a meter at the site."""

    input: Literal["grid", "load"] = Field(default="grid", description="input that it measures")
    reversed: bool = Field(
        default=False, description="mounted the other way round: positive is export (grid) or generation"
    )


class StoragePlace(Section):
    """Stationary storage at the site."""

    reversed: bool = Field(default=False, description="the device counts discharge as positive")


class MeterEntry(MeterPlace, ModbusLink):
    """Meter over Modbus, in the place of an input that a facility controller publishes."""


class StorageEntry(StoragePlace, ModbusLink):
    """Stationary storage over Modbus, as input `storage`; several add up."""


class PvEntry(ModbusLink):
    """Inverter of photovoltaics over Modbus, as input `pv`; several add up."""


class EchonetLink(Section):
    """An object of a device over ECHONET Lite. docs/echonet.md describes the classes of objects."""

    driver: Literal["echonet"] = Field(description="echonet: an object of a device in the network of [echonet]")
    address: str = Field(
        default="discover",
        description='IP address of the device; "discover": the device that is found and has the object, also after '
        "its address has changed",
    )
    eoj: Annotated[str, StringConstraints(pattern=r"^[0-9A-Fa-f]{6}$")] | None = Field(
        default=None, description='object, such as "027E01"; absent: the first one of the device that fits'
    )
    node_id: Annotated[str, StringConstraints(pattern=r"^[0-9A-Fa-f]{34}$")] | None = Field(
        default=None, description="identification number (property 83) that the device must state"
    )
    maker: Annotated[str, StringConstraints(pattern=r"^[0-9A-Fa-f]{6}$")] | None = Field(
        default=None, description="manufacturer code (property 8A) that the device must state"
    )

    @field_validator("address")
    @classmethod
    def _address(cls, address: str) -> str:
        return address if address == "discover" else _ip_address(address)


class EchonetEvseEntry(EchonetLink):
    """V2H box over ECHONET Lite (class 0x027E), as an EVSE of this site."""

    id: HostedName = Field(description="name of the EVSE in all topics; without a number at its end, as BAY1")
    profile: str = Field(
        default="generic", min_length=1, description='properties of the product: "generic", "nichicon" or a TOML file'
    )
    max_charge_w: Watts | None = Field(default=None, description="below what the box states, in W")
    max_discharge_w: Watts | None = Field(default=None, description="below what the box states, in W")
    grid_evidence: bool = Field(
        default=True, description="the interconnection status of the box (property DB) counts as evidence of the grid"
    )
    main_switch: bool = Field(
        default=False,
        description="in an outage the box disconnects the whole site: property DB is the position of the main switch",
    )


class EchonetMeterEntry(MeterPlace, EchonetLink):
    """Distribution board, smart meter or multiple-input PCS over ECHONET Lite, in the place of an input."""


class EchonetStorageEntry(StoragePlace, EchonetLink):
    """Storage battery over ECHONET Lite (class 0x027D), as input `storage`; several add up."""


class EchonetPvEntry(EchonetLink):
    """Household solar power generation over ECHONET Lite (class 0x0279), as input `pv`; several add up."""


class EchonetDeviceSection(Section):
    """The gateway as a device of ECHONET Lite, which a HEMS reads and orders. docs/echonet.md describes it."""

    evses: Annotated[list[EvseName], Field(min_length=1, max_length=64)] = Field(
        description="EVSEs that are shown as objects 027E01, 027E02 ..., in this order"
    )
    site: list[SiteObject] = Field(
        default_factory=list, description="inputs of the site that are shown: objects 027D01, 027901 and 028701"
    )
    controllers: list[str] = Field(
        default_factory=list, description="IP addresses of the HEMS that may order; empty: every node of the network"
    )
    lease_s: Annotated[float, Field(ge=30, le=3600)] = Field(
        default=180, description="an order ends this long after the last request of the HEMS that gave it, in s"
    )
    priority: Annotated[int, Field(ge=0, le=100)] = Field(
        default=50, description="priority of its commands; a lower one cannot replace a higher one"
    )
    requests_per_s: Annotated[float, Field(ge=1, le=1000)] = Field(
        default=50, description="requests of each node per second; more are not answered"
    )
    plug: Plug | None = Field(
        default=None, description="vehicle connection of the EVSEs (property CC); absent: chademo where it is known"
    )

    @field_validator("controllers")
    @classmethod
    def _addresses(cls, controllers: list[str]) -> list[str]:
        return [_ip_address(one) for one in controllers]

    @field_validator("evses", "site")
    @classmethod
    def _different(cls, named: list[str]) -> list[str]:
        if len(set(named)) != len(named):
            raise ValueError("must not be listed twice")
        return named


class EchonetSection(Section):
    """Network of ECHONET Lite, used where a device over it is configured. docs/echonet.md describes it."""

    address: str = Field(
        default="0.0.0.0", description='own IP address; an IPv6 address, such as "::", for ECHONET Lite over IPv6'
    )
    interface: Name | None = Field(default=None, description="network interface; required for IPv6")
    port: Annotated[int, Field(ge=1, le=65_535)] = Field(
        default=3610, description="UDP port of this and of all other nodes"
    )
    multicast: bool = Field(default=True, description="discover devices, and receive their announcements")
    discover_s: Annotated[float, Field(ge=10, le=86_400)] = Field(
        default=300, description="seconds between discoveries"
    )
    device: EchonetDeviceSection | None = Field(default=None, description="absent: the gateway is no device")

    @field_validator("address")
    @classmethod
    def _address(cls, address: str) -> str:
        return _ip_address(address)

    @model_validator(mode="after")
    def _complete(self) -> EchonetSection:
        if ":" in self.address and self.interface is None:
            raise ValueError("set interface for an IPv6 address")
        return self


def _ip_address(address: str) -> str:
    try:
        ipaddress.ip_address(address)
    except ValueError:
        raise ValueError(f"{address!r} is no IP address, such as 192.0.2.10") from None
    return address


def _driver(values: object) -> str | None:
    driver = values.get("driver") if isinstance(values, dict) else getattr(values, "driver", None)
    return driver if isinstance(driver, str) else None


def _driver_or_modbus(values: object) -> str | None:
    return "modbus" if isinstance(values, dict) and "driver" not in values else _driver(values)


def _by_driver(choose: Callable[[object], str | None], *drivers: str) -> Discriminator:
    message = f"driver must be one of {', '.join(drivers)}"
    return Discriminator(choose, custom_error_type="unknown_driver", custom_error_message=message)


DRIVERS: dict[str, dict[str, type[Section]]] = {  # tables of the sections whose entries have a driver
    "evses": {
        "secc": EvseEntry,
        "chademo": ChademoEvseEntry,
        "modbus": ModbusEvseEntry,
        "echonet": EchonetEvseEntry,
    },
    "meters": {"modbus": MeterEntry, "echonet": EchonetMeterEntry},
    "storages": {"modbus": StorageEntry, "echonet": EchonetStorageEntry},
    "pvs": {"modbus": PvEntry, "echonet": EchonetPvEntry},
}
HostedEntry = Annotated[
    Annotated[EvseEntry, Tag("secc")]
    | Annotated[ChademoEvseEntry, Tag("chademo")]
    | Annotated[ModbusEvseEntry, Tag("modbus")]
    | Annotated[EchonetEvseEntry, Tag("echonet")],
    _by_driver(_driver, *DRIVERS["evses"]),
]
AnyMeterEntry = Annotated[
    Annotated[MeterEntry, Tag("modbus")] | Annotated[EchonetMeterEntry, Tag("echonet")],
    _by_driver(_driver_or_modbus, *DRIVERS["meters"]),
]
AnyStorageEntry = Annotated[
    Annotated[StorageEntry, Tag("modbus")] | Annotated[EchonetStorageEntry, Tag("echonet")],
    _by_driver(_driver_or_modbus, *DRIVERS["storages"]),
]
AnyPvEntry = Annotated[
    Annotated[PvEntry, Tag("modbus")] | Annotated[EchonetPvEntry, Tag("echonet")],
    _by_driver(_driver_or_modbus, *DRIVERS["pvs"]),
]


class AdminSection(Section):
    """Admin API."""

    listen: str | None = Field(default=None, description="address:port; absent: no admin API")
    token: bool = Field(default=True, description="require a bearer token; false: every process here commands vehicles")
    token_file: Path | None = Field(
        default=None, description="file with the bearer token; absent: `admin-token` beside the database, made at start"
    )
    hosts: list[str] = Field(
        default_factory=list, description="host names under which it is served, besides IP addresses and localhost"
    )
    raw_calls: bool = Field(
        default=False, description="let operators send any OCPP message, bypassing the control hierarchy"
    )

    @model_validator(mode="after")
    def _guarded(self) -> AdminSection:
        if self.listen is not None:
            host, _ = host_and_port(self.listen)
            if host not in LOOPBACK and not self.token:
                raise ValueError(f"listening on {host} needs a token; remove token = false")
        if self.token_file is not None and not self.token:
            raise ValueError("token_file has no effect with token = false; remove one of them")
        return self


class WebSection(Section):
    """Web page for people. docs/security.md describes who has access."""

    listen: str | None = Field(default=None, description="address:port; absent: no page")
    languages: Annotated[list[Literal["en", "ja", "de"]], Field(min_length=1)] = Field(
        default=["en", "ja", "de"], description="languages offered; the first where the browser prefers none of them"
    )
    hosts: list[str] = Field(
        default_factory=list, description="host names under which it is served, besides IP addresses and localhost"
    )
    cert: Path | None = Field(default=None, description="certificate chain (PEM); with it, the page is served with TLS")
    key: Path | None = Field(default=None, description="its key (PEM)")
    behind_proxy: bool = Field(
        default=False, description="a reverse proxy on this network terminates TLS; login is required everywhere"
    )
    operator_token_file: Path | None = Field(
        default=None, description="file with the token of operators, who command; required where login is required"
    )
    viewer_token_file: Path | None = Field(default=None, description="file with the token of viewers; absent: none")

    @property
    def login_required(self) -> bool:
        """Everywhere but on loopback without a proxy."""
        return self.listen is not None and (self.behind_proxy or host_and_port(self.listen)[0] not in LOOPBACK)

    @model_validator(mode="after")
    def _guarded(self) -> WebSection:
        if (self.cert is None) != (self.key is None):
            raise ValueError("cert and key belong together; set both or none")
        if not self.login_required:
            if self.operator_token_file is not None or self.viewer_token_file is not None:
                raise ValueError("token files have no effect on loopback without behind_proxy; remove them")
            return self
        if self.cert is None and not self.behind_proxy:
            raise ValueError(f"listening on {self.listen} needs cert and key, or behind_proxy = true")
        if self.operator_token_file is None:
            raise ValueError("login is required; set operator_token_file")
        return self


class StoreSection(Section):
    """Store of journal, commands and telemetry."""

    url: str = Field(
        default="sqlite:///v2x.db",
        description="sqlite:///file, postgresql://user@host/name, or memory: (lost at the end of the process)",
    )
    postgres_schema: str = Field(
        default="",
        pattern=r"^[A-Za-z0-9_.@=*|-]{0,63}$",
        description="Postgres: schema of the tables, made where it does not exist; default: that of the user, and "
        "site_<site.id> for each of cluster.sites",
    )
    synchronous: Literal["full", "normal"] = Field(
        default="full",
        description="SQLite: full survives a power cut; normal survives a crash of the process and is faster",
    )
    command_days: Annotated[float, Field(ge=7, le=3650)] = Field(
        default=7, description="retention of command ids, in days"
    )
    journal_days: Annotated[float, Field(ge=1, le=36_500)] = Field(
        default=730, description="retention of the journal, in days"
    )
    telemetry_days: Annotated[float, Field(ge=0, le=3650)] = Field(
        default=30, description="retention of telemetry, in days; 0: none"
    )
    telemetry_every_s: Annotated[float, Field(ge=1, le=3600)] = Field(default=10, description="seconds between samples")

    @field_validator("url")
    @classmethod
    def _known(cls, url: str) -> str:
        if url not in ("memory:", "sqlite:") and not url.startswith(("sqlite:/", "postgresql:/")):
            raise ValueError("must be sqlite:///file, postgresql://user@host/name or memory:")
        if url.startswith("sqlite:") and not url.removeprefix("sqlite:").removeprefix("///").strip("/"):
            raise ValueError("names no file; such as sqlite:///v2x.db")
        _ = urlsplit(url).port  # raises ValueError where it is no number
        return url

    @model_validator(mode="after")
    def _schema_of_postgres(self) -> StoreSection:
        if self.postgres_schema and not self.url.startswith("postgresql:"):
            raise ValueError("postgres_schema needs url = postgresql://...")
        if self.postgres_schema.startswith("pg_"):
            raise ValueError("postgres_schema: names with pg_ are those of Postgres itself")
        return self


class CommandsSection(Section):
    """Execution of commands."""

    table: ClassVar[str] = "commands"
    renamed: ClassVar[dict[str, str]] = {"hold_s": "valid_for_s"}

    valid_for_s: Annotated[float, Field(ge=3, le=300)] = Field(
        default=15, description="validity of a set-point at the station: without renewal it falls back to 0 W, in s"
    )
    set_within_s: Seconds = Field(default=10, description="time-out of a station's response, in s")
    reconnect_within_s: Annotated[float, Field(ge=0, le=60)] = Field(
        default=10, description="a leased command waits so long for its station to connect again; 0: it ends, in s"
    )
    achieve_within_s: Seconds = Field(default=60, description="time for the meter to show the granted power, in s")
    tolerance_w: Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)] = Field(
        default=150, description="accepted deviation of the meter, in W"
    )
    tolerance_share: Annotated[float, Field(ge=0, le=0.5)] = Field(
        default=0.05, description="accepted deviation as a share of the power"
    )
    evse_rate_per_s: Annotated[float, Field(gt=0, le=1e5)] = Field(
        default=10, description="commands per EVSE and second"
    )
    source_rate_per_s: Annotated[float, Field(gt=0, le=1e5)] = Field(
        default=50, description="commands per source and second"
    )
    clock_skew_s: Seconds = Field(default=5, description="accepted lead of an input's time stamp, in s")
    max_age_s: Annotated[float, Field(ge=1, le=3600)] = Field(
        default=30, description="an older command, or one of unknown age from a backlog, is refused (not stops), in s"
    )


class UserEntry(Section):
    """User at the broker, for `v2x mqtt-acl`."""

    name: Annotated[str, StringConstraints(pattern=r"^[^\s#+/][^\r\n#+/]{0,63}$")] = Field(
        description="user at the broker"
    )
    read: list[EvseName] | Literal["all"] = Field(default="all", description="EVSEs whose state and events may be read")
    command: list[EvseName] | Literal["all"] = Field(default_factory=list, description="EVSEs that may be commanded")
    site: bool = Field(default=False, description="may command the site")
    max_priority: Annotated[int, Field(ge=0, le=100)] = Field(
        default=100, description="highest priority of its commands on topics with its name"
    )
    inbox: str = Field(
        default="",
        pattern=r"^([^\s#+$/][^\s#+]*/)?$",
        description="prefix of its reply topics, with a slash at the end; default: v2x/1/<site>/reply/<name>/",
    )
    inputs: list[InputKind] | Literal["all"] = Field(default_factory=list, description="inputs it may publish")
    gateway: bool = Field(default=False, description="is a gateway of this site")
    homeassistant: bool = Field(default=False, description="is Home Assistant: reads discovery, publishes online")
    neighbours: list[Name] | Literal["all"] = Field(
        default_factory=list,
        description="other sites on this broker whose state may be read; a gateway with an agreement file reads all",
    )


class LogSection(Section):
    """Log output."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="least severity that is logged"
    )
    format: Literal["console", "json"] = Field(default="console", description="text for people, or JSON for programs")


class BlueSwitchSection(Section):
    """Blue Switch: vehicles of providers for shelters. docs/resilience.md describes the agreement file."""

    file: Path | None = Field(
        default=None, description="agreement file (TOML): agreements, vehicles, places; absent: none"
    )
    place: Name | None = Field(default=None, description="name of this site in the agreement file, if not site.id")
    reports: Path | None = Field(default=None, description="folder for the report of each outage")
    leads: bool = Field(
        default=True, description="this gateway calls out vehicles; exactly one of the gateways of several sites"
    )


class ClusterSection(Section):
    """Several gateways that serve one site or many together, over NATS and one Postgres. docs/scale.md describes it."""

    servers: list[str] = Field(
        default_factory=list, description="servers of NATS with JetStream, such as nats://nats1:4222; empty: no cluster"
    )
    instance: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{0,32}$")] = Field(
        default="", description="name of this gateway in the cluster, unique in it; required with servers"
    )
    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,32}$")] = Field(
        default="v2x", description="name of the cluster: prefix of its subjects and buckets"
    )
    sites: list[str] = Field(
        default_factory=list,
        description="files of the sites that are served, such as sites/*.toml, each merged over this file; "
        "empty: this file is that of the one site",
    )
    credentials_file: Path | None = Field(
        default=None, description="credentials of the user at NATS (.creds), or the seed of its nkey"
    )
    ca: Path | None = Field(default=None, description="CA certificates that verify NATS; default: the system's")
    cert: Path | None = Field(default=None, description="client certificate (PEM)")
    key: Path | None = Field(default=None, description="its key (PEM)")
    replicas: Annotated[int, Field(ge=1, le=5)] = Field(
        default=1, description="copies of the records at NATS: 3 with three servers"
    )
    lease_s: Annotated[float, Field(ge=2, le=60)] = Field(
        default=5, description="another instance takes over the site this long after the last sign of its holder, in s"
    )
    drain_per_s: Annotated[float, Field(gt=0, le=10_000)] = Field(
        default=50, description="connections of stations that are closed per second when an instance stops"
    )
    rebalance_over_pct: Annotated[float, Field(ge=1, le=1000)] = Field(
        default=20, description="an instance with so many more connections than the mean closes some, in percent"
    )

    @model_validator(mode="after")
    def _complete(self) -> ClusterSection:
        if self.sites and not self.servers:
            raise ValueError("sites needs servers: only a cluster serves several sites")
        if self.servers and not self.instance:
            raise ValueError("instance is required with servers")
        if (self.cert is None) != (self.key is None):
            raise ValueError("cert and key belong together")
        for server in self.servers:
            if urlsplit(server).scheme not in ("nats", "tls") or not urlsplit(server).hostname:
                raise ValueError(f"servers: {server!r} is not nats://host[:port] or tls://host[:port]")
        return self


class Config(BaseSettings):
    """The whole configuration."""

    model_config = SettingsConfigDict(env_prefix="V2X_", env_nested_delimiter="__", extra="forbid", frozen=True)

    site: SiteSection = SiteSection()
    mqtt: MqttSection = MqttSection()
    ocpp: OcppSection = OcppSection()
    stations: list[StationEntry] = Field(default_factory=list)
    evses: list[HostedEntry] = Field(default_factory=list)
    meters: list[AnyMeterEntry] = Field(default_factory=list)
    storages: list[AnyStorageEntry] = Field(default_factory=list)
    pvs: list[AnyPvEntry] = Field(default_factory=list)
    echonet: EchonetSection = EchonetSection()
    admin: AdminSection = AdminSection()
    web: WebSection = WebSection()
    store: StoreSection = StoreSection()
    commands: CommandsSection = CommandsSection()
    users: list[UserEntry] = Field(default_factory=list)
    log: LogSection = LogSection()
    energy: EnergySection = EnergySection()
    blue_switch: BlueSwitchSection = BlueSwitchSection()
    cluster: ClusterSection = ClusterSection()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources in order of precedence: environment, file."""
        return env_settings, init_settings

    _folder: Path = PrivateAttr(default=Path())  # of the configuration file
    _sites: tuple[Config, ...] = PrivateAttr(default=())
    _one_of_several: bool = PrivateAttr(default=False)

    @property
    def one_of_several(self) -> bool:
        """True for a site of `cluster.sites`."""
        return self._one_of_several

    @property
    def sites(self) -> tuple[Config, ...]:
        """Configurations of the sites: those of `cluster.sites`, otherwise this one."""
        return self._sites or (self,)

    @property
    def contents(self) -> str:
        """Return the site, or the number of sites, and the number of stations and hosted EVSEs."""
        if self._sites:
            return f"{len(self._sites)} sites, {sum(len(one.stations) for one in self._sites)} stations"
        hosted = f", {len(self.evses)} hosted EVSEs" if self.evses else ""
        return f"site {self.site.id}, {len(self.stations)} stations{hosted}"

    @property
    def secc_evses(self) -> list[tuple[str, EvseEntry]]:
        """EVSEs with sessions of ISO 15118, each with its place such as `evses.0`."""
        return [(f"evses.{number}", one) for number, one in enumerate(self.evses) if isinstance(one, EvseEntry)]

    @property
    def chademo_evses(self) -> list[tuple[str, ChademoEvseEntry]]:
        """EVSEs with sessions of CHAdeMO, each with its place such as `evses.0`."""
        return [(f"evses.{number}", one) for number, one in enumerate(self.evses) if isinstance(one, ChademoEvseEntry)]

    @property
    def folder(self) -> Path:
        """Folder of the configuration file."""
        return self._folder

    @property
    def data_directory(self) -> Path:
        """Folder of the SQLite database, otherwise that of the configuration file."""
        url = self.store.url
        return Path(url.removeprefix("sqlite:///")).parent if url.startswith("sqlite:///") else self._folder

    def in_folder(self, folder: Path) -> Config:
        """Return a copy that was read from this folder."""
        copy = self.model_copy()
        copy._folder = folder
        return copy

    def with_sites(self, sites: Sequence[Config]) -> Config:
        """Return a copy that serves these sites."""
        copy = self.model_copy()
        copy._sites = tuple(one.model_copy() for one in sites)
        for one in copy._sites:
            one._one_of_several = True
        return copy

    @model_validator(mode="after")
    def _unique_stations(self) -> Config:
        name, listed = next(iter(Counter(station.id.casefold() for station in self.stations).most_common(1)), ("", 0))
        if listed > 1:
            ids = [station.id for station in self.stations if station.id.casefold() == name]
            same = ids[0] if len(set(ids)) == 1 else f"{' and '.join(ids)} are one station (ids have no case):"
            raise ValueError(f"stations: {same} is listed twice")
        return self

    @model_validator(mode="after")
    def _unique_evses(self) -> Config:
        known = {station.id.casefold(): "listed among the stations" for station in self.stations}
        for number, evse in enumerate(self.evses):
            if (taken := known.get(evse.id.casefold())) is not None:
                raise ValueError(f"evses.{number}.id: {evse.id} is {taken}; choose another id")
            known[evse.id.casefold()] = "listed twice"
        return self

    @model_validator(mode="after")
    def _fit_for_cluster(self) -> Config:
        if not self.cluster.servers:
            return self
        if not self.store.url.startswith("postgresql:"):
            raise ValueError("cluster: the instances need one database; set store.url to postgresql://...")
        if self.evses or self.meters or self.storages or self.pvs:
            raise ValueError(
                "cluster: evses, meters, storages and pvs are wired to one machine; use a gateway for them"
            )
        if self.cluster.sites and self.stations:
            raise ValueError("cluster.sites: list each station in the file of its site")
        if self.admin.listen is not None and self.admin.token and self.admin.token_file is None:
            raise ValueError("cluster: admin.token_file is required, the same at every instance")
        return self

    @model_validator(mode="after")
    def _distinct_ports(self) -> Config:
        listening = {
            "ocpp.listen": self.ocpp.listen,
            "admin.listen": self.admin.listen,
            "web.listen": self.web.listen,
            **{f"{key}.listen": evse.listen for key, evse in self.secc_evses},
        }
        used = [(key, *host_and_port(listen)) for key, listen in listening.items() if listen is not None]
        anywhere = {"0.0.0.0", "::"}
        for (first, host, port), (second, other, its) in combinations(used, 2):
            if port and port == its and (host == other or {host, other} & anywhere):
                raise ValueError(f"{second}: port {port} is that of {first}; choose another one")
        return self


def local_url(listen: str, port: int | None = None, scheme: str = "http") -> str:
    """Return the URL of a server from this machine; `listen` is its address, `port` the one that it got."""
    host, configured = host_and_port(listen)
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port or configured}"


def host_and_port(listen: str) -> tuple[str, int]:
    """Return address and port of `address:port` or `[address]:port`; ValueError if it is neither."""
    host, colon, port = listen.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > 65_535:
        raise ValueError(f"{listen!r} is not address:port, such as 127.0.0.1:9000 or [::1]:9000")
    return host.removeprefix("[").removesuffix("]"), int(port)
