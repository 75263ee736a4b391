"""Idempotency cache: ids of recent commands with their latest results, from which duplicates are answered. Bounded."""

from __future__ import annotations

from collections import OrderedDict


class IdempotencyCache:
    """Recent ids with fingerprint and latest result; beyond `most` the oldest are dropped."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._by_id: OrderedDict[str, tuple[str, str]] = OrderedDict()
        self.complete = True  # the store has no other ids

    def get(self, command_id: str) -> tuple[str, str] | None:
        """Return fingerprint and latest result (JSON)."""
        return self._by_id.get(command_id)

    def put(self, command_id: str, fingerprint: str, result: str) -> None:
        """Store an id."""
        self._by_id[command_id] = (fingerprint, result)
        if len(self._by_id) > self._most:
            self._by_id.popitem(last=False)
            self.complete = False

    def update(self, command_id: str, result: str) -> None:
        """Store a later result of an id."""
        held = self._by_id.get(command_id)
        if held is not None:
            self._by_id[command_id] = (held[0], result)
