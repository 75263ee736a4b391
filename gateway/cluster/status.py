"""State of a cluster as its records show it, for `v2x cluster status`."""

from __future__ import annotations

import msgspec

from gateway.cluster.io import ClusterBus, Record, name_of
from gateway.cluster.lease import LeaseRecord
from gateway.cluster.node import ABSENT_AFTER_S, INSTANCES, LEASES, OWNERS, Presence
from gateway.cluster.settings import ClusterSettings
from protocols.ports import Clock


class InstanceStatus(msgspec.Struct, frozen=True):
    """One instance. `connections` as it reports them, `owned` as the owners' records name it."""

    instance: str
    present: bool
    draining: bool
    version: str
    connections: int
    owned: int
    sites: list[str]
    seen_s: float  # age of its record


class SiteStatus(msgspec.Struct, frozen=True):
    """Lease of one site; `holder` is None where it is free."""

    site: str
    holder: str | None
    term: int
    present: bool  # the holder is


class ClusterStatus(msgspec.Struct, frozen=True):
    """The whole cluster."""

    name: str
    instances: list[InstanceStatus]
    sites: list[SiteStatus]
    stations: int

    @property
    def in_order(self) -> bool:
        """Return whether every site has a holder that is present."""
        return bool(self.sites) and all(one.present for one in self.sites)


async def read(settings: ClusterSettings, clock: Clock) -> ClusterStatus:
    """Return the state of a cluster. Raises ClusterError where NATS cannot be used."""
    async with ClusterBus(settings).connect() as bus:
        owners = await (await bus.records(OWNERS)).all()
        leases = await (await bus.records(LEASES)).all()
        instances = await (await bus.records(INSTANCES)).all()
    return summary(settings.name, leases, owners, instances, clock.wall())


def summary(
    name: str, leases: list[Record], owners: list[Record], instances: list[Record], wall: float
) -> ClusterStatus:
    """Return the state that records show at a Unix time."""
    owned: dict[str, int] = {}
    for one in owners:
        owner = (one.value or b"").decode()
        owned[owner] = owned.get(owner, 0) + 1
    rows = []
    for one in sorted(instances, key=lambda record: record.key):
        known = msgspec.json.decode(one.value or b"", type=Presence)
        age_s = max(0.0, wall - known.at)
        rows.append(
            InstanceStatus(
                known.instance,
                age_s < ABSENT_AFTER_S,
                known.draining,
                known.version,
                known.connections,
                owned.get(known.instance, 0),
                known.sites,
                round(age_s, 1),
            )
        )
    present = {row.instance for row in rows if row.present}
    sites = []
    for one in leases:
        record = msgspec.json.decode(one.value or b"", type=LeaseRecord)
        holder = record.holder.rpartition("/")[0] or None
        sites.append(SiteStatus(name_of(one.key), holder, record.term or one.revision, holder in present))
    return ClusterStatus(name, rows, sites, len(owners))


def text(status: ClusterStatus) -> str:
    """Return the state for people."""
    lines = [f"cluster {status.name}: {status.stations} stations connected"]
    for one in status.instances:
        state = "draining" if one.draining else "present" if one.present else f"absent for {one.seen_s:.0f} s"
        sites = f", controls {', '.join(one.sites)}" if one.sites else ""
        lines.append(f"  instance {one.instance}: {state}, {one.owned} stations{sites}, version {one.version}")
    for site in status.sites:
        if site.holder is None:
            lines.append(f"  site {site.site}: no holder")
        else:
            absent = "" if site.present else " (absent)"
            lines.append(f"  site {site.site}: holder {site.holder}{absent}, term {site.term}")
    return "\n".join(lines)
