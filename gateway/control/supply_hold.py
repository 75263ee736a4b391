"""Hold of the supply after an emergency stop was released without a grid: no island is formed before a command.

`backup` with `enter`, or a `mode` other than `manual`, ends it; so does the grid, once it supplies the site again. Kept
beyond a restart.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.model.journal import Forgotten, Kept
from gateway.model.site import Site
from gateway.store.journal import Journal

KIND, KEY = "site", "supply_held"


def hold_supply(site: Site, journal: Journal, wall: float) -> None:
    """Hold the supply until the next command."""
    site.supply_held = True
    journal.later(Kept(KIND, KEY, "{}", wall))


def end_hold(site: Site, journal: Journal) -> None:
    """End the hold where there is one."""
    if site.supply_held:
        site.supply_held = False
        journal.later(Forgotten(KIND, KEY))


def restore_hold(site: Site, kept: Sequence[Kept]) -> None:
    """Restore the hold of an earlier run."""
    site.supply_held = any((one.kind, one.key) == (KIND, KEY) for one in kept)
