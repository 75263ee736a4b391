"""Figures of one instance in the format of Prometheus, and the route `GET /health/cluster` that serves them.

With the token of the admin API, as `GET /metrics`: the figures name the sites and the instances.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.cluster import metric_definitions as definitions
from gateway.cluster.metric_definitions import Definition
from gateway.cluster.node import Node
from gateway.cluster.site import SiteNode

ROUTE = "/health/cluster"


def text(node: Node) -> str:
    """Return the figures."""
    return "".join(_lines(node))


def _lines(node: Node) -> Iterator[str]:
    instance: dict[Definition, float] = {
        definitions.NATS_CONNECTED: node.bus.connected,
        definitions.DROPPED: node.bus.dropped,
        definitions.INSTANCES: 1 + len(node.others()),
        definitions.DRAINING: node.draining,
    }
    for one, value in instance.items():
        yield from _metric(one, [((), value)])
    yield from _metric(definitions.BEAT_AGE, [((one.instance,), age_s) for one, age_s in node.known()])
    sites, ages = node.sites.values(), node.lease_ages()
    per_site: dict[Definition, Callable[[SiteNode], float | None]] = {
        definitions.CONNECTIONS: lambda site: len(site.connections.by_station),
        definitions.WAITING: lambda site: site.connections.unattached(),
        definitions.OPENED: lambda site: site.connections.opened,
        definitions.REJECTED: lambda site: site.connections.rejected,
        definitions.MESSAGES: lambda site: site.connections.waiting()[0],
        definitions.OLDEST: lambda site: site.connections.waiting()[1],
        definitions.HOLDER: lambda site: site.control is not None and site.may_act(),
        definitions.TERM: lambda site: site.connections.fence.term,
        definitions.LEASE_AGE: lambda site: ages.get(site.site),
        definitions.TAKEOVERS: lambda site: site.takeovers,
        definitions.CALLS: lambda site: 0 if site.control is None else site.control.calls_waiting(),
    }
    for one, of_site in per_site.items():
        found = [((site.site,), of_site(site)) for site in sites]
        yield from _metric(one, [(labels, number) for labels, number in found if number is not None])
    refused = [((site.site, reason), number) for site in sites for reason, number in sorted(site.refused().items())]
    yield from _metric(definitions.REFUSED, refused)


def _number(value: float) -> str:
    """Return a whole number with all its digits: terms have nineteen."""
    return str(int(value)) if value == int(value) else f"{value:.3f}"


def _metric(one: Definition, values: Iterable[tuple[tuple[str, ...], float]]) -> Iterator[str]:
    yield f"# HELP {one.name} {one.text}\n# TYPE {one.name} {one.kind}\n"
    for labels, value in values:
        named = ",".join(f'{name}="{label}"' for name, label in zip(one.labels, labels, strict=True))
        yield f"{one.name}{{{named}}} {_number(value)}\n" if named else f"{one.name} {_number(value)}\n"


class ClusterRoute:
    """ASGI application in front of another one that answers the route; `protect` puts the guard in front of it."""

    def __init__(self, app: ASGIApp, node: Node, protect: Callable[[ASGIApp], ASGIApp]) -> None:
        self._app, self._node, self._figures = app, node, protect(self._answer)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Implement ASGI."""
        if scope["type"] != "http" or scope["path"] != ROUTE or scope["method"] not in ("GET", "HEAD"):
            await self._app(scope, receive, send)
        else:
            await self._figures(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"text/plain; version=0.0.4"), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": text(self._node).encode()})
