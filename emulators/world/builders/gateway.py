"""Gateway configuration of a scenario: its `gateway` table, its stations, and the connection settings of the world."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, get_args

from emulators.scenario.scenario import Scenario, ScenarioError
from emulators.scenario.tables import ChargerPart, SitePart
from emulators.world.echonet_bay import box_addresses
from emulators.world.network import GATEWAY_ID, ConnectionSettings
from gateway.blue_switch.arrivals import ArrivalCode
from gateway.config import Config, ConfigError, from_table
from gateway.energy.modes.mode import TargetCode
from gateway.energy.reason import EnergyCode, LendingCode, LimitBinds, ServiceCode
from gateway.model.state import Happened

EVENTS = frozenset(Happened) - {Happened.DECIDED}
DECISIONS = frozenset(
    code
    for codes in (
        get_args(EnergyCode),
        get_args(LendingCode),
        get_args(ServiceCode),
        LimitBinds,
        TargetCode,
        ArrivalCode,
    )
    for code in codes
)


def check_gateway(scenario: Scenario) -> None:
    """Raise ScenarioError if the gateway rejects its table of the scenario, or has no event that is expected."""
    try:
        gateway_config(scenario, {})
    except ConfigError as error:
        raise ScenarioError(
            "\n".join(f"{scenario.name}: gateway.{line}" for line in str(error).splitlines())
        ) from error
    for figure in scenario.expect:
        for prefix, known in (("event.", EVENTS), ("decided.", DECISIONS)):
            _, found, name = f".{figure}".rpartition(f".{prefix}")
            if found and name not in known:
                similar = get_close_matches(name, known, n=1)
                meant = f"; did you mean {prefix}{similar[0]}?" if similar else ""
                raise ScenarioError(f"{scenario.name}: expect.{figure}: the gateway has no such event{meant}")


def gateway_config(scenario: Scenario, connection: ConnectionSettings) -> Config:
    """Return the gateway's configuration; `connection` has the settings of its connections, by section."""
    part = scenario.gateway
    site: dict[str, Any] = part.model_dump(
        include={"import_limit_w", "export_limit_w", "min_soc_pct"}, exclude_none=True
    )
    stations = [_station(part, name) for part in scenario.charger if not part.hosted for name in part.ids()]
    boxes = box_addresses(scenario)
    evses = [_evse(part, name, boxes) for part in scenario.charger if part.hosted for name in part.ids()]
    mqtt = {"gateway_id": GATEWAY_ID, "telemetry_s": scenario.telemetry, "homeassistant": "off"}
    return from_table(
        {
            "site": {"id": part.site, **site},
            "mqtt": mqtt | connection.get("mqtt", {}),
            "ocpp": {"security_profile": 0} | part.ocpp | connection.get("ocpp", {}),
            "commands": part.commands,
            "store": {"url": "memory:"},
            "stations": stations,
            "pvs": [{"product": "sunspec", "address": name} for name in inverters(scenario.site)],
            "evses": [one | connection.get("evses", {}) for one in evses],
            "energy": {"nominal_hz": scenario.grid.nominal_hz, **part.energy},
            "blue_switch": connection.get("blue_switch", {}),
            "web": connection.get("web", {}),
        }
    )


def inverters(site: SitePart) -> list[str]:
    """Return the names of the inverters that are devices of the gateway."""
    return [f"pv-{number}" for number in range(len(site.pv))] if site.pv_over_modbus else []


def _evse(charger: ChargerPart, name: str, boxes: Mapping[str, str]) -> dict[str, object]:
    """Return the table of an EVSE that the gateway hosts; `boxes`: addresses of V2H boxes."""
    rated = {"max_charge_w": charger.max_charge_w, "max_discharge_w": charger.max_discharge_w}
    if charger.driver == "modbus":
        return {"id": name, "driver": "modbus", "product": charger.product, "address": name, **rated}
    if charger.driver == "echonet":
        return {"id": name, "driver": "echonet", "address": boxes[name], **rated}
    if charger.vehicle_link == "chademo":
        return {"id": name, "driver": "chademo", "board": "emulated-chademo", "can": f"memory:{name}", **rated}
    board = "emulated" if charger.board == "dc" else "emulated-ac"
    return {"id": name, "driver": "secc", "board": board, "listen": "127.0.0.1:0", **rated}


def _station(charger: ChargerPart, name: str) -> dict[str, object]:
    """Return the table of a station, with the rated powers where its OCPP version cannot report them."""
    table: dict[str, object] = {"id": name}
    if charger.vendor_profile:
        table["vendor_profile"] = charger.vendor_profile
    if charger.ocpp != "2.1":
        table |= {"max_charge_w": charger.max_charge_w, "max_discharge_w": charger.max_discharge_w}
    return table
