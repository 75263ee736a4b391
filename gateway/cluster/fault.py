"""Faults to correct where a cluster cannot be used."""

from __future__ import annotations

from enum import StrEnum


class Fault(StrEnum):
    """Kinds of failures of NATS."""

    TOO_OLD = "too_old"
    NO_JETSTREAM = "no_jetstream"
    USER = "user"
    OTHER_NAME = "other_name"  # the certificate has another one
    CERTIFICATE = "certificate"
    NOT_LISTENING = "not_listening"
    OTHER = "other"
