"""Reference of ECHONET Lite properties, generated from the tables."""

from __future__ import annotations

from protocols.echonet import reference
from tests.drawings import drawn


def test_the_properties() -> None:
    drawn("echonet-properties.md", reference.as_markdown())
