"""Base of the messages that the gateway publishes: immutable, without unknown members."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Message(BaseModel):
    """Configuration common to all published messages and their parts."""

    model_config = ConfigDict(frozen=True, extra="forbid")
