"""A gateway while it runs: its parts, which `app` builds, and how it ends."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING

from gateway.blue_switch.service import VehicleLendingService
from gateway.config import Config
from gateway.control.components import ControlComponents
from gateway.csms.csms import Csms
from gateway.drivers.hosted import HostedEvses
from gateway.energy.service import EnergyService
from gateway.mqtt.connection import MqttConnection
from gateway.observability.metrics import Metrics
from gateway.service import GatewayService
from gateway.store.journal import Journal
from protocols.ports import Clock

if TYPE_CHECKING:
    from gateway.drivers.echonet.network import EchonetNetwork
    from gateway.drivers.echonet.site import EchonetSiteObjects
    from gateway.drivers.modbus.site import SiteDevices
    from gateway.hems.device import HemsDevice


class Ending(Enum):
    """How a gateway ends."""

    STOP = auto()  # leased commands end, power goes to 0 W
    HAND_OVER = auto()  # another process goes on with what is in force
    ABANDON = auto()  # another process may have taken over already


@dataclass
class Gateway:
    """A gateway while it runs."""

    config: Config
    service: GatewayService
    control: ControlComponents
    csms: Csms | None
    mqtt: MqttConnection
    metrics: Metrics
    journal: Journal
    clock: Clock
    energy_service: EnergyService
    hosted: HostedEvses
    site_devices: SiteDevices | None
    echonet: EchonetNetwork | None
    echonet_objects: EchonetSiteObjects | None
    lending_service: VehicleLendingService | None = None
    hems: HemsDevice | None = None
    ocpp_port: int | None = None
    admin_port: int | None = None
    web_port: int | None = None
    ready: asyncio.Event = field(default_factory=asyncio.Event)  # stations may connect
    stopping: bool = False
    ending: Ending = Ending.STOP
