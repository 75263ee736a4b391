"""Settings of one instance of a cluster."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """`servers` are URLs of NATS; `name` separates clusters on the same servers."""

    servers: tuple[str, ...]
    instance: str
    name: str = "v2x"
    credentials_file: Path | None = None
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    replicas: int = 1
    lease_s: float = 5.0
    drain_per_s: float = 50.0
    rebalance_over_pct: float = 20.0
