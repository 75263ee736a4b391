"""Metrics of one instance of a cluster: name, type and meaning. Those of a site have the label `site`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Definition:
    """One metric, with the name that it has in the output."""

    name: str
    kind: str
    text: str
    labels: tuple[str, ...] = ()


def _instance(name: str, kind: str, text: str) -> Definition:
    return Definition(f"v2x_cluster_{name}", kind, text)


def _site(name: str, kind: str, text: str, *more: str) -> Definition:
    return Definition(f"v2x_cluster_{name}", kind, text, ("site", *more))


NATS_CONNECTED = _instance("nats_connected", "gauge", "1 if a server of NATS is connected.")
DROPPED = _instance("messages_dropped_total", "counter", "Messages to other instances that could not be sent.")
INSTANCES = _instance("instances", "gauge", "Instances that are present and not draining, this one included.")
DRAINING = _instance("draining", "gauge", "1 while this instance is being stopped.")
BEAT_AGE = Definition(
    "v2x_cluster_beat_age_seconds",
    "gauge",
    "Time since this instance saw the record of an instance change, which each writes every 2 s.",
    ("instance",),
)
CONNECTIONS = _site("connections", "gauge", "Stations that are connected here: this instance is their owner.")
WAITING = _site("connections_waiting", "gauge", "Connections that wait for a holder of the site.")
OPENED = _site("connections_opened_total", "counter", "Connections of stations; its rate is that of reconnections.")
REJECTED = _site("handshakes_rejected_total", "counter", "Handshakes that were rejected, as far as they are reported.")
MESSAGES = _site("messages_waiting", "gauge", "Messages of stations that wait for a holder of the site.")
OLDEST = _site("oldest_message_seconds", "gauge", "Age of the oldest of them.")
HOLDER = _site("holder", "gauge", "1 if this instance controls the site.")
TERM = _site("term", "gauge", "Term of the lease, as this instance knows it.")
LEASE_AGE = _site("lease_age_seconds", "gauge", "Time since this instance saw a renewal of the lease.")
TAKEOVERS = _site("takeovers_total", "counter", "Times that this instance began to control the site.")
CALLS = _site("calls_waiting", "gauge", "Calls of the holder that wait for the response of a station; 0 elsewhere.")
REFUSED = _site(
    "refused_total",
    "counter",
    "Messages that were refused: of an earlier term, without a proof of the lease, or of an earlier connection of a "
    "station (a conflict of epochs).",
    "reason",
)
DEFINITIONS = (
    NATS_CONNECTED, DROPPED, INSTANCES, DRAINING, BEAT_AGE, CONNECTIONS, WAITING, OPENED, REJECTED, MESSAGES, OLDEST,
    HOLDER, TERM, LEASE_AGE, TAKEOVERS, CALLS, REFUSED,
)  # fmt: skip
