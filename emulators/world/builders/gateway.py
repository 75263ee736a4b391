"""Gateway configuration of a scenario: its `gateway` table, its stations, and the connection settings of the world."""

from __future__ import annotations

from typing import Any

from emulators.scenario.scenario import Scenario, ScenarioError
from emulators.scenario.tables import ChargerPart
from emulators.world.network import GATEWAY_ID, ConnectionSettings
from gateway.config import Config, ConfigError, from_table


def check_gateway(scenario: Scenario) -> None:
    """Raise ScenarioError if the gateway rejects its table of the scenario."""
    try:
        gateway_config(scenario, {})
    except ConfigError as error:
        raise ScenarioError(
            "\n".join(f"{scenario.name}: gateway.{line}" for line in str(error).splitlines())
        ) from error


def gateway_config(scenario: Scenario, connection: ConnectionSettings) -> Config:
    """Return the gateway's configuration; `connection` has the settings of its connections, by section."""
    part = scenario.gateway
    site: dict[str, Any] = part.model_dump(
        include={"import_limit_w", "export_limit_w", "min_soc_pct"}, exclude_none=True
    )
    stations = [_station(charger, name) for charger in scenario.charger for name in charger.ids()]
    mqtt = {"gateway_id": GATEWAY_ID, "telemetry_s": scenario.telemetry, "homeassistant": "off"}
    return from_table(
        {
            "site": {"id": part.site, **site},
            "mqtt": mqtt | connection.get("mqtt", {}),
            "ocpp": {"security_profile": 0} | part.ocpp | connection.get("ocpp", {}),
            "commands": part.commands,
            "store": {"url": "memory:"},
            "stations": stations,
            "energy": {"nominal_hz": scenario.grid.nominal_hz, **part.energy},
            "blue_switch": connection.get("blue_switch", {}),
        }
    )


def _station(charger: ChargerPart, name: str) -> dict[str, object]:
    """Return the table of a station, with the rated powers where its OCPP version cannot report them."""
    table: dict[str, object] = {"id": name}
    if charger.vendor_profile:
        table["vendor_profile"] = charger.vendor_profile
    if charger.ocpp != "2.1":
        table |= {"max_charge_w": charger.max_charge_w, "max_discharge_w": charger.max_discharge_w}
    return table
