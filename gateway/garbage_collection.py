"""When Python's garbage collector may stop the world: at times we choose, not in the middle of a thousand stations.

Most of what the gateway makes is freed at once by counting references. The collector is for cycles, such as an ended
connection leaves. A full collection walks every object there is: a tenth of a second with a thousand stations, and
left alone it comes when it likes. Here the young are looked at seldom, and the whole heap once in a long while.
"""

from __future__ import annotations

import gc

from protocols.ports import Clock

YOUNG, OLDER, ALL = 20_000, 50, 1_000  # container objects made, then collections of the generation before
WHOLE_EVERY_S = 3600.0


def settle() -> None:
    """What is there now stays: the collector need not walk it any more."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, OLDER, ALL)


async def run(clock: Clock) -> None:
    """Until cancelled. What has become garbage since, also of what was there before, goes at the end of each hour."""
    settle()
    while True:
        await clock.sleep(WHOLE_EVERY_S)
        gc.unfreeze()
        settle()
