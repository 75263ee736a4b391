"""Coroutine tests that hypothesis drives: each example runs on a virtual loop of its own."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec

from emulators.runtime.clock import run_virtual

P = ParamSpec("P")


def virtual_examples(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run each call of a coroutine function in virtual time; stands below `@given`.

    The mark `virtual_time` gives all examples of a test one loop, whose time and tasks would pass from one example to
    the next.
    """

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        run_virtual(test(*args, **kwargs))

    return run
