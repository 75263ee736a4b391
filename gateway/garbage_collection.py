"""Policy of Python's garbage collection: full collections at planned times only.

Reference counting frees most objects at once; the collector frees cycles, such as those of an ended connection. A full
collection visits every object, a tenth of a second with a thousand stations. This policy collects young objects seldom
and the whole heap once an hour.
"""

from __future__ import annotations

import gc

from protocols.ports import Clock

YOUNG, OLDER, ALL = 20_000, 50, 1_000  # container objects created; then collections of the younger generation
WHOLE_EVERY_S = 3600.0


def settle() -> None:
    """Exclude all present objects from collection."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, OLDER, ALL)


async def run(clock: Clock) -> None:
    """Collect the whole heap at the end of each hour, until cancelled."""
    settle()
    while True:
        await clock.sleep(WHOLE_EVERY_S)
        gc.unfreeze()
        settle()
