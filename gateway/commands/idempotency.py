"""The ids of commands seen lately, with what was answered: duplicates are answered from here. Bounded; no I/O."""

from __future__ import annotations

from collections import OrderedDict


class IdempotencyCache:
    """Ids seen lately, with their fingerprints and latest results; bounded, the oldest go."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._by_id: OrderedDict[str, tuple[str, str]] = OrderedDict()
        self.complete = True  # whether the store knows no other ids

    def get(self, command_id: str) -> tuple[str, str] | None:
        """Fingerprint and latest result (JSON)."""
        return self._by_id.get(command_id)

    def put(self, command_id: str, print_: str, result: str) -> None:
        """Remember."""
        self._by_id[command_id] = (print_, result)
        if len(self._by_id) > self._most:
            self._by_id.popitem(last=False)
            self.complete = False

    def update(self, command_id: str, result: str) -> None:
        """A later result of a known id."""
        held = self._by_id.get(command_id)
        if held is not None:
            self._by_id[command_id] = (held[0], result)
