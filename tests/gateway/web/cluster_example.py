"""A cluster as an instance sees it: one instance is draining, one absent, and one site has no holder."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.cluster.status import ClusterStatus, InstanceStatus, SiteStatus


class ExampleCluster:
    """The view of the instance gw1, for the admin API and the page."""

    def __init__(self) -> None:
        self.status = ClusterStatus(
            "town",
            [
                InstanceStatus("gw1", True, False, "0.2.0", 41, 41, ["north"], 1.2, 3, 7.0),
                InstanceStatus("gw2", True, True, "0.1.9", 5, 5, [], 0.4),
                InstanceStatus("gw3", False, False, "0.1.9", 17, 17, ["south"], 75.0),
            ],
            [
                SiteStatus("north", "gw1", 1_764_000_000_000_000_012, True, 46, 0.7),
                SiteStatus("south", "gw3", 1_764_000_000_000_000_009, False, 0, 74.0),
                SiteStatus("west", None, 0, False),
            ],
            46,
            "gw1",
        )

    def __call__(self) -> dict[str, Any]:
        found: dict[str, Any] = msgspec.to_builtins(self.status)
        return found
