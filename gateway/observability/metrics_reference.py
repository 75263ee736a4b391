"""Text of `docs/metrics.md`, from the definitions. `make docs` writes it, and a test compares the two."""

from __future__ import annotations

from gateway.cluster import metric_definitions as cluster
from gateway.observability.metric_definitions import DEFINITIONS

HEAD = """# Metrics

Generated from the code by `make docs`. `GET /metrics` of the admin API (`admin.listen`) has them in the text format of
Prometheus, for holders of the token:

```yaml
scrape_configs:
  - job_name: v2x-gateway
    authorization: {credentials_file: /etc/prometheus/v2x-admin-token}
    static_configs: [{targets: ["127.0.0.1:9001"]}]
```

Powers are in W, + into the vehicle. A gauge without a value is absent, not 0. Labels are bounded: EVSEs, inputs,
states, kinds of events and codes of the [contract](mqtt.md). The metrics of the process itself
(`process_resident_memory_bytes`, `process_cpu_seconds_total`, `process_open_fds`, `process_start_time_seconds` ...) are
those of `prometheus_client`.

| metric | type | labels | meaning |
|---|---|---|---|
"""
CLUSTER = """
## Instances of a cluster

In a [cluster](scale.md) `GET /metrics` of any instance is that of the site, which its holder answers. `GET
/health/cluster` of each instance has the metrics of the instance, with the token of the admin API:

| metric | type | labels | meaning |
|---|---|---|---|
"""


def as_markdown() -> str:
    """Return the whole page."""
    rows = []
    for one in DEFINITIONS:
        labels = ", ".join(f"`{label}`" for label in one.labels)
        rows.append(f"| `{one.exposed}` | {one.kind} | {labels} | {one.text} |".replace("|  |", "| |"))
    return HEAD + "\n".join(rows) + "\n" + CLUSTER + "\n".join(map(_of_cluster, cluster.DEFINITIONS)) + "\n"


def _of_cluster(one: cluster.Definition) -> str:
    labels = ", ".join(f"`{label}`" for label in one.labels)
    return f"| `{one.name}` | {one.kind} | {labels} | {one.text} |".replace("|  |", "| |")
