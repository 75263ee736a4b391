"""Link of the board `everest` to its broker."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from gateway.drivers.board.everest.settings import EverestSettings
from gateway.mqtt.client import BrokerLink, MqttBus
from protocols.ports import Bus


def connect(settings: EverestSettings) -> AbstractAsyncContextManager[Bus]:
    """Return a link, opened by its context. Raises ConnectionError there."""
    password = None if settings.password_file is None else settings.password_file.read_text().strip()
    link = BrokerLink(settings.url, settings.client_id, username=settings.username, password=password)
    return MqttBus(link)
