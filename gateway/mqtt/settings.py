"""Settings of the MQTT connection besides the link itself."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.mqtt.topics import Topics


@dataclass(frozen=True, slots=True)
class MqttSettings:
    """Topics, publishing period, and what this gateway accepts. `homeassistant`: device, components or off."""

    topics: Topics
    telemetry_s: float = 1.0
    takes_site_commands: bool = True
    broker_grace_s: float = 30.0
    homeassistant: str = "device"
