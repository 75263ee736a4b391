"""Errors of an operator's requests; the admin API turns them into HTTP responses."""

from __future__ import annotations

from typing import TypeVar

T = TypeVar("T")


class NotFound(LookupError):
    """The station, EVSE, token, transaction or reservation does not exist."""


class RequestRejected(ValueError):
    """The request cannot be carried out; `code` is the HTTP status."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


def existing(found: T | None, name: str) -> T:
    """Return what was found. Raises NotFound for None, with the name of what does not exist."""
    if found is None:
        raise NotFound(f"no {name}")
    return found
