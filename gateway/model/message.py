"""Bases of messages: immutable, without unknown members."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Message(BaseModel):
    """Configuration common to all published messages and their parts."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ReceivedMessage(Message):
    """Configuration common to all received messages and their parts: values are not converted to another type."""

    model_config = ConfigDict(strict=True)
