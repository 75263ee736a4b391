"""`/metrics` of the admin server."""

from __future__ import annotations

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.mqtt.connection import MqttConnection
from gateway.observability.metrics import render
from gateway.service import GatewayService


def route(service: GatewayService, mqtt: MqttConnection) -> Route:
    """Return the route to add to the application."""

    async def metrics(_: Request) -> Response:
        return Response(render(service, mqtt), media_type=CONTENT_TYPE_LATEST)

    return Route("/metrics", metrics)
