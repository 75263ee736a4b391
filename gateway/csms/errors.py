"""Errors of an operator's requests; the admin API turns them into HTTP responses."""

from __future__ import annotations


class NotKnown(LookupError):
    """The station, EVSE, token, transaction or reservation does not exist."""


class NotPossible(ValueError):
    """The request cannot be carried out; `code` is the HTTP status."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
