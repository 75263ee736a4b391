"""Figures of one instance in the format of Prometheus, and the route `GET /health/cluster` that serves them.

Without a token, as the other routes of health: the figures name no station and no vehicle.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.cluster.node import Node
from gateway.cluster.site import SiteNode

ROUTE = "/health/cluster"


def text(node: Node) -> str:
    """Return the figures."""
    return "".join(_lines(node))


def _lines(node: Node) -> Iterator[str]:
    yield "# TYPE v2x_cluster_nats_connected gauge\n"
    yield f"v2x_cluster_nats_connected {int(node.bus.connected)}\n"
    yield "# TYPE v2x_cluster_messages_dropped_total counter\n"
    yield f"v2x_cluster_messages_dropped_total {node.bus.dropped}\n"
    yield "# TYPE v2x_cluster_instances gauge\n"
    yield f"v2x_cluster_instances {1 + len(node.others())}\n"
    yield "# TYPE v2x_cluster_draining gauge\n"
    yield f"v2x_cluster_draining {int(node.draining)}\n"
    per_site: dict[str, Callable[[SiteNode], int]] = {
        "v2x_cluster_connections gauge": lambda site: len(site.connections.by_station),
        "v2x_cluster_connections_waiting gauge": lambda site: site.connections.unattached(),
        "v2x_cluster_holder gauge": lambda site: int(site.control is not None and site.may_act()),
        "v2x_cluster_term gauge": lambda site: site.connections.fence.term,
        "v2x_cluster_takeovers_total counter": lambda site: site.takeovers,
    }
    for name, value in per_site.items():
        yield f"# TYPE {name}\n"
        for site in node.sites.values():
            yield f'{name.partition(" ")[0]}{{site="{site.site}"}} {value(site)}\n'
    yield "# TYPE v2x_cluster_refused_total counter\n"
    for site in node.sites.values():
        for reason, number in sorted(site.refused().items()):
            yield f'v2x_cluster_refused_total{{site="{site.site}",reason="{reason}"}} {number}\n'


class ClusterRoute:
    """ASGI application in front of another one that answers the route."""

    def __init__(self, app: ASGIApp, node: Node) -> None:
        self._app, self._node = app, node

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Implement ASGI."""
        if scope["type"] != "http" or scope["path"] != ROUTE or scope["method"] not in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        headers = [(b"content-type", b"text/plain; version=0.0.4"), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": text(self._node).encode()})
