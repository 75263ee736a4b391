"""State of a cluster as its records show it, for `v2x cluster status`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec

from gateway.cluster.io import ClusterBus, Record, name_of
from gateway.cluster.lease import LeaseRecord
from gateway.cluster.node import ABSENT_AFTER_S, INSTANCES, LEASES, OWNERS, Presence
from gateway.cluster.settings import ClusterSettings
from protocols.ports import Clock

NAMED = 5  # sites of an instance in the text


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
    stations: int = 0  # connected


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


async def read(settings: ClusterSettings, clock: Clock, sites: Iterable[str] = ()) -> ClusterStatus:
    """Return the state of a cluster that serves some sites. Raises ClusterError where NATS cannot be used."""
    async with ClusterBus(settings).connect() as bus:
        owners = await (await bus.records(OWNERS)).all()
        leases = await (await bus.records(LEASES)).all()
        instances = await (await bus.records(INSTANCES)).all()
    return summary(settings.name, leases, owners, instances, clock.wall(), sites)


def summary(
    name: str, leases: list[Record], owners: list[Record], instances: list[Record], wall: float,
    configured: Iterable[str] = (),
) -> ClusterStatus:  # fmt: skip
    """Return the state that records show at a Unix time, of the sites with a lease and of configured ones."""
    owned = Counter((one.value or b"").decode() for one in owners)
    of_site = Counter(name_of(one.key).rpartition("/")[0] for one in owners)  # "": of the one site
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
                owned[known.instance],
                known.sites,
                round(age_s, 1),
            )
        )
    present = {row.instance for row in rows if row.present}
    sites = {site: SiteStatus(site, None, 0, present=False) for site in configured}
    for one in leases:
        record, site = msgspec.json.decode(one.value or b"", type=LeaseRecord), name_of(one.key)
        holder, stations = record.holder.rpartition("/")[0] or None, of_site[site] + of_site[""]
        sites[site] = SiteStatus(site, holder, record.term or one.revision, holder in present, stations)
    return ClusterStatus(name, rows, list(sites.values()), len(owners))


def text(status: ClusterStatus) -> str:
    """Return the state for people."""
    lines = [f"cluster {status.name}: {status.stations} stations connected"]
    for one in status.instances:
        state = "draining" if one.draining else "present" if one.present else f"absent for {one.seen_s:.0f} s"
        some = ", ".join(one.sites) if len(one.sites) <= NAMED else f"{len(one.sites)} sites"
        sites = f", controls {some}" if one.sites else ""
        lines.append(f"  instance {one.instance}: {state}, {one.owned} stations{sites}, version {one.version}")
    for site in status.sites:
        if site.holder is None:
            lines.append(f"  site {site.site}: no holder")
        else:
            absent = "" if site.present else " (absent)"
            lines.append(
                f"  site {site.site}: holder {site.holder}{absent}, term {site.term}, {site.stations} stations"
            )
    return "\n".join(lines)
