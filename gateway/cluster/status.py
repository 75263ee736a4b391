"""State of a cluster: as its records show it, for `v2x cluster status`, and as one instance sees it.

Ages are lags: without a fault a record of an instance is at most 2 s old, a renewal of a lease a fifth of `lease_s`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec

from gateway.cluster.io import ClusterBus, Record
from gateway.cluster.keys import name_of
from gateway.cluster.lease import LeaseRecord
from gateway.cluster.node import ABSENT_AFTER_S, INSTANCES, LEASES, OWNERS, Node, Presence
from gateway.cluster.settings import ClusterSettings
from protocols.ports import Clock

NAMED = 5  # sites of an instance in the text


class InstanceStatus(msgspec.Struct, frozen=True):
    """One instance. `connections` as it reports them, `owned` as the owners' records name it.

    To an instance, which does not read those records, the two are the same.
    """

    instance: str
    present: bool
    draining: bool
    version: str
    connections: int
    owned: int
    sites: list[str]
    seen_s: float  # age of its record, its newest beat
    waiting: int = 0  # messages of its stations that wait for the holder of their site
    oldest_s: float = 0.0  # age of the oldest of them, when the record was written


class SiteStatus(msgspec.Struct, frozen=True):
    """Lease of one site; `holder` is None where it is free."""

    site: str
    holder: str | None
    term: int
    present: bool  # the holder is
    stations: int = 0  # connected
    lease_age_s: float | None = None  # since the last renewal; None where there was none


class ClusterStatus(msgspec.Struct, frozen=True):
    """The whole cluster. `seen_by` is the instance that sees it so; "" where the records were read."""

    name: str
    instances: list[InstanceStatus]
    sites: list[SiteStatus]
    stations: int
    seen_by: str = ""

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
    owned = Counter(_owner(one) for one in owners)
    rows = []
    for one in sorted(instances, key=lambda record: record.key):
        known = msgspec.json.decode(one.value or b"", type=Presence)
        age_s = max(0.0, wall - known.at)
        rows.append(_instance(known, owned[known.instance], age_s))
    present = {row.instance for row in rows if row.present}
    connected = [one for one in owners if _owner(one) in present]
    of_site = Counter(name_of(one.key).rpartition("/")[0] for one in connected)  # "": of the one site
    sites = {site: SiteStatus(site, None, 0, present=False) for site in configured}
    for one in leases:
        record, site = msgspec.json.decode(one.value or b"", type=LeaseRecord), name_of(one.key)
        holder, stations = record.holder.rpartition("/")[0] or None, of_site[site] + of_site[""]
        lease_age_s = None if one.written is None else round(max(0.0, wall - one.written), 1)
        sites[site] = SiteStatus(site, holder, record.term or one.revision, holder in present, stations, lease_age_s)
    return ClusterStatus(name, rows, list(sites.values()), len(connected))


def _owner(record: Record) -> str:
    return (record.value or b"").decode()


def seen_by(node: Node) -> ClusterStatus:
    """Return the state as an instance sees it, by its own clock alone; an absent instance counts no stations."""
    known = node.known()
    rows = [_instance(one, one.connections, age_s) for one, age_s in known]
    present = {row.instance for row in rows if row.present}
    stations: Counter[str] = Counter()
    for one, _ in known:
        if one.instance in present:
            stations.update(one.stations)
    sites, ages = [], node.lease_ages()
    for name, site in sorted(node.sites.items()):
        seen, age_s = site.lease.seen, ages.get(name)
        term, lease_age_s = 0 if seen is None else seen.term, None if age_s is None else round(age_s, 1)
        sites.append(SiteStatus(name, site.holder, term, site.holder in present, stations[name], lease_age_s))
    return ClusterStatus(node.settings.name, rows, sites, stations.total(), node.settings.instance)


def _instance(known: Presence, owned: int, age_s: float) -> InstanceStatus:
    present = age_s < ABSENT_AFTER_S
    return InstanceStatus(
        known.instance, present, known.draining, known.version, known.connections, owned,
        known.sites if present else [], round(age_s, 1), known.waiting, known.oldest_s,
    )  # fmt: skip


def text(status: ClusterStatus) -> str:
    """Return the state for people."""
    lines = [f"cluster {status.name}: {status.stations} stations connected"]
    for one in status.instances:
        state = ("draining" if one.draining else "present") if one.present else f"absent for {one.seen_s:.0f} s"
        some = ", ".join(one.sites) if len(one.sites) <= NAMED else f"{len(one.sites)} sites"
        sites = f", controls {some}" if one.sites else ""
        waiting = f", messages waiting: {one.waiting} (oldest {one.oldest_s:.1f} s)" if one.waiting else ""
        beat = f", beat {one.seen_s:.1f} s ago" if one.present else ""
        stations = f"{one.owned} stations" if one.present or not one.owned else f"{one.owned} stations lost"
        lines.append(f"  instance {one.instance}: {state}, {stations}{sites}, version {one.version}{beat}{waiting}")
    for site in status.sites:
        if site.holder is None:
            lines.append(f"  site {site.site}: no holder")
        else:
            absent = "" if site.present else " (absent)"
            renewed = "" if site.lease_age_s is None else f", lease renewed {site.lease_age_s:.1f} s ago"
            lines.append(
                f"  site {site.site}: holder {site.holder}{absent}, term {site.term}, {site.stations} stations{renewed}"
            )
    return "\n".join(lines)
