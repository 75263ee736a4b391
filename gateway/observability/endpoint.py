"""`/metrics` of the admin server, with the same bearer token as the API."""

from __future__ import annotations

import hmac

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from gateway.mqtt.connection import MqttConnection
from gateway.observability.metrics import render
from gateway.service import GatewayService


def route(service: GatewayService, mqtt: MqttConnection, token: str | None) -> Route:
    """Return the route to add to the application."""

    async def metrics(request: Request) -> Response:
        given = request.headers.get("Authorization", "").encode()
        if token is not None and not hmac.compare_digest(given, f"Bearer {token}".encode()):
            return PlainTextResponse("a bearer token is required\n", 401, {"WWW-Authenticate": "Bearer"})
        return Response(render(service, mqtt), media_type=CONTENT_TYPE_LATEST)

    return Route("/metrics", metrics)
