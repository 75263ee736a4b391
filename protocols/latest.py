"""`Latest`: the last result of a pure function, for callers that repeat themselves, such as charge loops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Latest(Generic[T]):
    """A function that returns the same object again as long as its arguments are equal to those of the call before.

    The function must depend on nothing else, and its arguments and its result must not be changed afterwards. An error
    is not remembered.
    """

    __slots__ = ("_arguments", "_make", "_named", "_result")

    def __init__(self, make: Callable[..., T]) -> None:
        self._make = make
        self._arguments: tuple[object, ...] | None = None
        self._named: dict[str, object] = {}
        self._result: T

    def __call__(self, *arguments: object, **named: object) -> T:
        if arguments != self._arguments or named != self._named:
            self._result = self._make(*arguments, **named)
            self._arguments, self._named = arguments, named
        return self._result
