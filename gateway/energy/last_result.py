"""A pure function of what seldom changes, called each second."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, ParamSpec, TypeVar

Given = ParamSpec("Given")
Result = TypeVar("Result")


class LastResult(Generic[Given, Result]):
    """Calls a function again only with other arguments; for equal ones it returns the last result.

    The arguments are values that do not change; the same objects count as equal without a comparison.
    """

    def __init__(self, function: Callable[Given, Result]) -> None:
        self._function = function
        self._last: tuple[tuple[object, ...], Result] | None = None

    def __call__(self, *given: Given.args, **named: Given.kwargs) -> Result:
        arguments = (*given, *named.items())
        if self._last is None or self._last[0] != arguments:
            self._last = arguments, self._function(*given, **named)
        return self._last[1]
