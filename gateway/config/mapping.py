"""Maps the configuration to the settings of each package, and reads secrets.

Besides `app.py` the only file that knows both the configuration and the packages.
"""

from __future__ import annotations

from gateway.config import Config, ConfigError, host_and_port, read_secret, stale_after
from gateway.control.settings import ServiceSettings
from gateway.csms import passwords
from gateway.csms.settings import CsmsSettings, Registration, StationSettings, UnknownStations, UnknownTokens
from gateway.model.command import SiteMode
from gateway.model.site import SitePolicy
from gateway.mqtt.client import BrokerLink
from gateway.mqtt.topics import MqttSettings, Topics
from gateway.store.memory import MemoryStore
from gateway.store.ports import Store
from protocols.ocpp import vendor


def make_store(config: Config) -> Store:
    """Return the store that the configuration names."""
    if config.store.url == "memory:":
        return MemoryStore()
    from gateway.store.sql import SqlStore  # import on demand: SQLAlchemy costs about a second

    return SqlStore(config.store.url, config.mqtt.gateway_id, config.store.synchronous)


def service_settings(config: Config) -> ServiceSettings:
    """Return the settings of the gateway service."""
    site, commands = config.site, config.commands
    policy = SitePolicy(
        site=site.id,
        import_limit_w=site.import_limit_w,
        export_limit_w=site.export_limit_w,
        min_soc_pct=site.min_soc_pct,
        floor_hysteresis_pct=site.floor_hysteresis_pct,
        discharge_without_soc=site.discharge_without_soc,
        idle_power_w=site.idle_power_w,
        ramp_w_per_s=site.ramp_w_per_s,
        mode=SiteMode(site.mode),
        assumed_capacity_wh=config.energy.assumed_capacity_wh,
        vehicle_capacity_wh={car.vehicle: car.capacity_wh for car in config.energy.cars if car.capacity_wh is not None},
    )
    return ServiceSettings(
        policy=policy,
        gateway_id=config.mqtt.gateway_id,
        stations=tuple(station.id for station in config.stations),
        hold_s=commands.valid_for_s,
        set_within_s=commands.set_within_s,
        achieve_within_s=commands.achieve_within_s,
        tolerance_w=commands.tolerance_w,
        tolerance_share=commands.tolerance_share,
        evse_rate_per_s=commands.evse_rate_per_s,
        source_rate_per_s=commands.source_rate_per_s,
        clock_skew_s=commands.clock_skew_s,
        command_days=config.store.command_days,
        journal_days=config.store.journal_days,
        telemetry_days=config.store.telemetry_days,
        telemetry_every_s=config.store.telemetry_every_s,
        stale_after_s=stale_after(config),
    )


def csms_settings(config: Config) -> CsmsSettings:
    """Return the settings of the CSMS; ConfigError if a secret cannot be read."""
    ocpp = config.ocpp
    host, port = host_and_port(ocpp.listen)
    stations = []
    _check_profiles(config)
    for number, entry in enumerate(config.stations):
        kept = None
        if entry.password_file is not None:
            secret = read_secret(entry.password_file, f"stations.{number}.password_file")
            kept = passwords.hash_password(secret, passwords.configuration_salt(entry.id))
        elif ocpp.security_profile in (1, 2) and entry.security_profile in (None, 1, 2):
            raise ConfigError(f"stations.{number}.password_file: {entry.id} needs one with this security profile")
        stations.append(
            StationSettings(
                entry.id,
                kept,
                entry.vendor_profile,
                entry.security_profile,
                entry.max_charge_w,
                entry.max_discharge_w,
                entry.fallback_limit_w,
                Registration(entry.registration),
            )
        )
    return CsmsSettings(
        host=host,
        port=port,
        tls_address=None if ocpp.tls_listen is None else host_and_port(ocpp.tls_listen),
        stations=tuple(stations),
        unknown_stations=UnknownStations(ocpp.unknown_stations),
        unknown_tokens=UnknownTokens(ocpp.unknown_tokens),
        security_profile=ocpp.security_profile,
        tls_cert=ocpp.tls_cert,
        tls_key=ocpp.tls_key,
        tls_ca=ocpp.tls_ca,
        ca_key=ocpp.ca_key,
        v2x_allowed=ocpp.v2x_allowed,
        inventory=ocpp.inventory,
        local_list=ocpp.local_list,
        compression=ocpp.compression,
        heartbeat_s=ocpp.heartbeat_s,
        boot_retry_s=ocpp.boot_retry_s,
        sample_every_s=ocpp.sample_every_s,
        fallback_limit_w=ocpp.fallback_limit_w,
        vendor_profiles=ocpp.vendor_profiles,
    )


def _check_profiles(config: Config) -> None:
    """Verify that every vendor profile can be read and every named one exists; ConfigError with the known names."""
    folder = config.ocpp.vendor_profiles
    if folder is not None and not folder.is_dir():
        raise ConfigError(f"ocpp.vendor_profiles: {folder} is not a folder")
    for path in sorted(folder.glob("*.toml")) if folder is not None else ():
        try:
            vendor.read(path)
        except vendor.BadProfile as error:
            raise ConfigError(f"ocpp.vendor_profiles: {error}") from None
    for number, entry in enumerate(config.stations):
        if entry.vendor_profile is not None and entry.vendor_profile not in vendor.names(folder):
            known = ", ".join(vendor.names(folder))
            raise ConfigError(
                f"stations.{number}.vendor_profile: there is no {entry.vendor_profile!r}; known are {known}"
            )


def broker_link(config: Config) -> BrokerLink:
    """Return the settings of the broker connection; ConfigError if a secret cannot be read."""
    mqtt = config.mqtt
    password = read_secret(mqtt.password_file, "mqtt.password_file") if mqtt.password_file is not None else None
    for key in ("ca", "cert", "key"):
        path = getattr(mqtt, key)
        if path is not None and not path.is_file():
            raise ConfigError(f"mqtt.{key}: {path} does not exist")
    return BrokerLink(
        url=mqtt.url,
        client_id=f"v2x-{config.site.id}-{mqtt.gateway_id}",
        version=mqtt.version,
        username=mqtt.username,
        password=password,
        ca=mqtt.ca,
        cert=mqtt.cert,
        key=mqtt.key,
        session_expiry_s=mqtt.session_expiry_s,
    )


def mqtt_settings(config: Config) -> MqttSettings:
    """Return the settings of the MQTT connection."""
    mqtt = config.mqtt
    return MqttSettings(
        topics=Topics(config.site.id, mqtt.gateway_id, mqtt.homeassistant_prefix, mqtt.mirror),
        telemetry_s=mqtt.telemetry_s,
        takes_site_commands=mqtt.site_commands,
        broker_grace_s=mqtt.broker_grace_s,
        homeassistant=mqtt.homeassistant,
    )
