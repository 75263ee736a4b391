"""`gateway.toml`, typed: every key, its default, bounds and meaning. `docs/configuration.md` is drawn from here.

The environment overrides the file: `V2X_MQTT__URL` is `url` of `[mqtt]`. An unknown key is an error, in the file and in
the environment. Relative paths are relative to the file. Errors are sentences that name the key (`ConfigError`).
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from gateway.energy.settings import EnergySection
from gateway.model.site import STALE_AFTER_S, InputKind

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.@=*|-]{1,64}$")]
StationId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9*\-_=+|@.]{1,48}$")]
Watts = Annotated[float, Field(ge=0, le=1e8, allow_inf_nan=False)]
Percent = Annotated[float, Field(ge=0, le=100)]
Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]


class ConfigError(Exception):
    """The configuration cannot be used; the sentences name file, keys and what to do, one a line."""


class Section(BaseModel):
    """One table of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        """`import_limit_w = true` would be read as 1 W."""
        if isinstance(value, bool) and cls.model_fields[info.field_name or ""].annotation is not bool:
            raise ValueError("must be a value, not true or false")
        return value


class SiteSection(Section):
    """The site and its limits. A limit that is absent is no limit."""

    id: Name = Field(default="site", description="name of the site in all topics")
    import_limit_w: Watts | None = Field(default=None, description="fuse or contract: most the site may draw, in W")
    export_limit_w: Watts | None = Field(default=None, description="most the site may feed into the grid, in W")
    min_soc_pct: Percent = Field(default=0, description="no car is discharged below this state of charge")
    floor_hysteresis_pct: Percent = Field(
        default=2, description="after the floor, discharge waits until this much above"
    )
    discharge_without_soc: bool = Field(
        default=False, description="discharge cars that do not tell their state of charge"
    )
    idle_power_w: Watts = Field(default=0, description="what a car charges with while nobody commands it, in W")
    ramp_w_per_s: Annotated[float, Field(gt=0, le=1e6)] = Field(default=2500, description="how fast power goes to 0 W")
    mode: Literal["self_consumption", "peak_shaving", "price", "grid_service", "backup", "manual"] = Field(
        default="manual", description="which policy rules while nobody commands, until a command changes it"
    )
    stale_after_s: dict[InputKind, Seconds] = Field(
        default_factory=dict, description="how long an input of the facility may be used, by kind, in s"
    )


class MqttSection(Section):
    """The link to the broker."""

    url: str = Field(default="mqtt://127.0.0.1:1883", description="mqtt://host:port, or mqtts://host:port with TLS")
    gateway_id: Name = Field(default="gw1", description="name of this gateway, one of its own at each site and broker")
    version: Literal["auto", "5", "3.1.1"] = Field(default="auto", description="protocol; auto is 5, then 3.1.1")
    username: str | None = Field(default=None, description="user at the broker")
    password_file: Path | None = Field(default=None, description="file with the password, on one line")
    ca: Path | None = Field(default=None, description="certificates to verify the broker with; else the machine's")
    cert: Path | None = Field(default=None, description="client certificate (PEM)")
    key: Path | None = Field(default=None, description="its key (PEM)")
    session_expiry_s: Annotated[int, Field(ge=0, le=3600)] = Field(
        default=60, description="how long the broker keeps messages while the link is down (MQTT 5)"
    )
    broker_grace_s: Seconds = Field(default=30, description="leased commands end when the link is down for longer")
    telemetry_s: Annotated[float, Field(ge=0.1, le=3600)] = Field(default=1, description="seconds between telemetry")
    site_commands: bool = Field(
        default=True, description="take the site's commands; of several gateways at a site exactly one may"
    )
    homeassistant: Literal["device", "components", "off"] = Field(
        default="device", description="discovery for Home Assistant: device (2024.11 and newer), components, or off"
    )
    homeassistant_prefix: Name = Field(default="homeassistant", description="Home Assistant's discovery prefix")
    mirror: str = Field(
        default="",
        pattern=r"^([A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*)?$",
        description="root of a mirror with one value a topic",
    )

    @field_validator("url")
    @classmethod
    def _broker(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname:
            raise ValueError("must be mqtt://host[:port] or mqtts://host[:port]")
        if parts.port == 0:
            raise ValueError("port 0 is nobody's; leave the port out for the usual one")
        return url

    @model_validator(mode="after")
    def _together(self) -> MqttSection:
        if (self.cert is None) != (self.key is None):
            raise ValueError("cert and key belong together")
        if urlsplit(self.url).scheme == "mqtt" and (self.ca or self.cert):
            raise ValueError("ca, cert and key need a url with mqtts://")
        taken = ("v2x", self.homeassistant_prefix)
        if self.mirror and self.mirror.split("/")[0] in taken:
            raise ValueError(f"mirror: {' and '.join(taken)} have topics of their own; take another root")
        return self


class OcppSection(Section):
    """Where charging stations come in."""

    listen: str = Field(default="127.0.0.1:9000", description="address:port; stations connect to ws://.../ocpp/<id>")
    tls_listen: str | None = Field(
        default=None, description="a second address:port, with TLS: stations go over to it (profiles 0 and 1)"
    )
    unknown_stations: Literal["accept", "pending", "reject", "reject-boot"] = Field(
        default="reject",
        description="stations that are not listed: reject answers 404 at the door, the others answer their boot",
    )
    unknown_tokens: Literal["accept", "reject"] = Field(
        default="reject", description="what happens to an idToken nobody registered"
    )
    local_list: bool = Field(
        default=False, description="stations hold the registered tokens, for when they cannot reach the gateway"
    )
    security_profile: Annotated[int, Field(ge=0, le=3)] = Field(
        default=1, description="0 none, 1 basic auth, 2 TLS and basic auth, 3 TLS with client certificates"
    )
    tls_cert: Path | None = Field(default=None, description="certificate of this server (PEM), profiles 2 and 3")
    tls_key: Path | None = Field(default=None, description="its key (PEM)")
    tls_ca: Path | None = Field(default=None, description="whose station certificates are believed, profile 3")
    ca_key: Path | None = Field(default=None, description="key of tls_ca: stations may have certificates signed here")
    v2x_allowed: bool = Field(
        default=True, description="vehicles may ask for any energy transfer unless their token says which"
    )
    inventory: bool = Field(default=True, description="ask a station for its device model after it has booted")
    compression: bool = Field(default=False, description="offer deflate; it costs 40 kB a station and half the rate")
    heartbeat_s: Annotated[int, Field(ge=1, le=86_400)] = Field(default=300, description="what stations are told")
    boot_retry_s: Annotated[int, Field(ge=1, le=86_400)] = Field(
        default=30, description="when a station that is pending or rejected may boot again"
    )
    sample_every_s: Annotated[int, Field(ge=2, le=30)] = Field(
        default=10, description="stations that tell their power in a transaction less often are set to this"
    )
    fallback_limit_w: Watts = Field(
        default=0, description="what a station may charge when no profile is left, in W; 0 is the safe choice"
    )
    vendor_profiles: Path | None = Field(default=None, description="folder with vendor profiles of your own")

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
        return self


class StationEntry(Section):
    """One charging station."""

    id: StationId = Field(description="its id, the last part of the URL it connects to")
    password_file: Path | None = Field(default=None, description="file with its basic auth password, on one line")
    vendor_profile: str | None = Field(default=None, description="how this product differs, such as generic-2.1")
    security_profile: Annotated[int, Field(ge=0, le=3)] | None = Field(
        default=None, description="if not that of [ocpp]"
    )
    max_charge_w: Watts | None = Field(default=None, description="per EVSE, until the station states its own")
    max_discharge_w: Watts | None = Field(default=None, description="per EVSE, until the station states its own")
    fallback_limit_w: Watts | None = Field(default=None, description="if not that of [ocpp]")
    registration: Literal["accepted", "pending", "rejected"] = Field(
        default="accepted", description="what its BootNotification is answered"
    )


class AdminSection(Section):
    """The admin API and the page."""

    listen: str | None = Field(default=None, description="address:port; absent: no admin API")
    token_file: Path | None = Field(default=None, description="file with the bearer token; needed beyond loopback")
    raw_calls: bool = Field(
        default=False, description="let operators send any OCPP message, past the order of authority"
    )

    @model_validator(mode="after")
    def _guarded(self) -> AdminSection:
        if self.listen is not None:
            host, _ = host_and_port(self.listen)
            if host not in ("127.0.0.1", "::1", "localhost") and self.token_file is None:
                raise ValueError(f"listening on {host} needs a token_file")
        return self


class StoreSection(Section):
    """Journal, commands and telemetry."""

    url: str = Field(
        default="sqlite:///v2x.db",
        description="sqlite:///file, postgresql://user@host/name, or memory: (forgets everything at the end)",
    )
    synchronous: Literal["full", "normal"] = Field(
        default="full",
        description="SQLite: full survives a power cut; normal survives the process, is faster where fsync is slow",
    )
    command_days: Annotated[float, Field(ge=7, le=3650)] = Field(default=7, description="how long ids are remembered")
    journal_days: Annotated[float, Field(ge=1, le=36_500)] = Field(
        default=730, description="how long the journal is kept"
    )
    telemetry_days: Annotated[float, Field(ge=0, le=3650)] = Field(
        default=30, description="how long telemetry is kept; 0: none"
    )
    telemetry_every_s: Annotated[float, Field(ge=1, le=3600)] = Field(default=10, description="seconds between samples")

    @field_validator("url")
    @classmethod
    def _known(cls, url: str) -> str:
        if url != "memory:" and urlsplit(url).scheme not in ("sqlite", "postgresql"):
            raise ValueError("must be sqlite:///file, postgresql://user@host/name or memory:")
        if url.startswith("sqlite:") and not url.removeprefix("sqlite:").removeprefix("///").strip("/"):
            raise ValueError("names no file; such as sqlite:///v2x.db")
        return url


class CommandsSection(Section):
    """How commands are carried out."""

    hold_s: Annotated[float, Field(ge=3, le=300)] = Field(
        default=15, description="a station goes to 0 W by itself this long after the gateway's last word"
    )
    set_within_s: Seconds = Field(default=10, description="how long a station may take to answer")
    achieve_within_s: Seconds = Field(default=60, description="how long the meter may take to show what was granted")
    tolerance_w: Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)] = Field(
        default=150, description="how far the meter may be off, in W"
    )
    tolerance_share: Annotated[float, Field(ge=0, le=0.5)] = Field(
        default=0.05, description="or as a share of the power"
    )
    evse_rate_per_s: Annotated[float, Field(gt=0, le=1e5)] = Field(
        default=10, description="commands per EVSE and second"
    )
    source_rate_per_s: Annotated[float, Field(gt=0, le=1e5)] = Field(
        default=50, description="commands per source and second"
    )
    clock_skew_s: Seconds = Field(default=5, description="how far ahead an input's clock may be")


class UserEntry(Section):
    """Somebody at the broker, for `v2x mqtt-acl`."""

    name: Annotated[str, StringConstraints(pattern=r"^[^\s#+/][^\r\n#+/]{0,63}$")] = Field(
        description="user at the broker"
    )
    read: list[Name] | Literal["all"] = Field(default="all", description="EVSEs whose state and events may be read")
    command: list[Name] | Literal["all"] = Field(default_factory=list, description="EVSEs that may be commanded")
    site: bool = Field(default=False, description="may command the site")
    inputs: list[InputKind] | Literal["all"] = Field(default_factory=list, description="inputs it may tell")
    gateway: bool = Field(default=False, description="is a gateway of this site")
    homeassistant: bool = Field(default=False, description="is Home Assistant: reads discovery, says online")
    neighbours: list[Name] | Literal["all"] = Field(
        default_factory=list,
        description="other sites on this broker whose state may be read; a gateway with an agreement file reads all",
    )


class LogSection(Section):
    """The log."""

    level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="how much is said")
    format: Literal["console", "json"] = Field(default="console", description="for people, or for machines")


class BlueSwitchSection(Section):
    """Cars lent to shelters: docs/resilience.md says what is in the file."""

    file: Path | None = Field(default=None, description="agreements, cars and places (TOML); absent: none")
    place: Name | None = Field(default=None, description="this site's name in that file, if not site.id")
    reports: Path | None = Field(default=None, description="folder for the report of each outage")
    leads: bool = Field(default=True, description="this gateway calls the cars; of several sites' gateways exactly one")


class Config(BaseSettings):
    """All of it."""

    model_config = SettingsConfigDict(env_prefix="V2X_", env_nested_delimiter="__", extra="forbid", frozen=True)

    site: SiteSection = SiteSection()
    mqtt: MqttSection = MqttSection()
    ocpp: OcppSection = OcppSection()
    stations: list[StationEntry] = Field(default_factory=list)
    admin: AdminSection = AdminSection()
    store: StoreSection = StoreSection()
    commands: CommandsSection = CommandsSection()
    users: list[UserEntry] = Field(default_factory=list)
    log: LogSection = LogSection()
    energy: EnergySection = EnergySection()
    blue_switch: BlueSwitchSection = BlueSwitchSection()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment before the file; nothing else."""
        return env_settings, init_settings

    @model_validator(mode="after")
    def _no_station_twice(self) -> Config:
        seen: set[str] = set()
        for station in self.stations:
            if station.id in seen:
                raise ValueError(f"stations: {station.id} is listed twice")
            seen.add(station.id)
        return self

    @model_validator(mode="after")
    def _each_its_port(self) -> Config:
        if self.admin.listen is not None:
            (host, port), (other, its) = host_and_port(self.admin.listen), host_and_port(self.ocpp.listen)
            anywhere = {"0.0.0.0", "::"}
            if port and port == its and (host == other or {host, other} & anywhere):
                raise ValueError(f"admin.listen: port {port} is that of ocpp.listen; take another one")
        return self


def host_and_port(listen: str) -> tuple[str, int]:
    """`address:port` or `[address]:port`, taken apart; ValueError with a sentence."""
    host, colon, port = listen.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > 65_535:
        raise ValueError(f"{listen!r} is not address:port, such as 127.0.0.1:9000 or [::1]:9000")
    return host.removeprefix("[").removesuffix("]"), int(port)


def load(path: Path | str) -> Config:
    """Read a file and the environment; ConfigError with one sentence per thing that is wrong."""
    path = Path(path)
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist; name the configuration with -c FILE") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not TOML: {error}") from None
    except RecursionError:
        raise ConfigError(f"{path} is not a configuration: its lists or tables are nested too deeply") from None
    return from_table(table, path.resolve().parent, str(path))


def from_table(table: Mapping[str, Any], base: Path | None = None, where: str = "the configuration") -> Config:
    """The same from a table that is already read; relative paths are relative to `base`."""
    unknown = _unknown_in_environment(os.environ)
    if unknown:
        raise ConfigError("\n".join(unknown))
    try:
        config = Config(**table)
    except ValidationError as error:
        raise ConfigError("\n".join(_sentences(error, where))) from None
    except ValueError as error:  # an environment variable that is not JSON where JSON is due
        named = re.search(r'field "(\w+)"', str(error))
        about = f"V2X_{named[1].upper()} must be JSON" if named else str(error)
        raise ConfigError(f"environment: {about}") from None
    return _resolved(config, base) if base is not None else config


def read_secret(path: Path, key: str) -> str:
    """The one line of a secret's file; ConfigError if there is none."""
    try:
        text = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise ConfigError(f"{key}: {path} cannot be read: {reason}") from None
    if not text or "\n" in text:
        raise ConfigError(f"{key}: {path} must hold the secret on one line")
    return text


def stale_after(config: Config) -> dict[InputKind, float]:
    """How long each input may be used."""
    return {**STALE_AFTER_S, **config.site.stale_after_s}


def _sentences(error: ValidationError, where: str) -> list[str]:
    found = []
    for detail in error.errors(include_url=False, include_context=False):
        key = ".".join(str(part) for part in detail["loc"] if part != "literal['all']")
        says = detail["msg"].removeprefix("Value error, ")
        if detail["type"] == "extra_forbidden":
            known = _known_keys(detail["loc"])
            says = f"is not a key of the gateway{f'; known here are {known}' if known else ''}"
        elif detail["type"] == "missing":
            says = "is missing"
        found.append(f"{where}: {key}: {says}" if key else f"{where}: {says}")
    return found


def _known_keys(loc: tuple[int | str, ...]) -> str:
    model: Any = Config
    for part in loc[:-1]:
        if isinstance(part, int):
            continue
        field = model.model_fields.get(part)
        annotation = field.annotation if field else None
        model = annotation if isinstance(annotation, type) else getattr(annotation, "__args__", (None,))[0]
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            return ""
    return ", ".join(model.model_fields)


def _unknown_in_environment(environment: Mapping[str, str]) -> list[str]:
    found = []
    for name in environment:
        if not name.upper().startswith("V2X_"):
            continue
        if "__" not in name:
            meant = next((one for one in Config.model_fields if name[4:].lower().startswith(one + "_")), None)
            if meant is not None:
                key = name[5 + len(meant) :].upper()
                found.append(f"environment: {name}: did you mean V2X_{meant.upper()}__{key}, with two underscores?")
            continue
        section = name[4:].split("__", 1)[0].lower()
        if section not in Config.model_fields:
            found.append(
                f"environment: {name}: there is no section {section}; known are {', '.join(Config.model_fields)}"
            )
    return found


def _resolved(config: Config, base: Path) -> Config:
    """Relative paths become relative to the file."""
    changed: dict[str, Any] = {}
    for name in Config.model_fields:
        value = getattr(config, name)
        if isinstance(value, Section):
            changed[name] = _resolve_section(value, base)
        elif isinstance(value, list):
            changed[name] = [_resolve_section(one, base) for one in value]
    url = config.store.url
    if url.startswith("sqlite:///") and not url.startswith("sqlite:////") and url != "sqlite:///:memory:":
        changed["store"] = config.store.model_copy(update={"url": f"sqlite:///{base / url.removeprefix('sqlite:///')}"})
    return config.model_copy(update=changed)


def _resolve_section(section: Section, base: Path) -> Section:
    paths = {name: base / value for name, value in section if isinstance(value, Path)}
    return section.model_copy(update=paths) if paths else section
