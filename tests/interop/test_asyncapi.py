"""Our AsyncAPI document against the official schema of AsyncAPI 3.0.0, as published on npm."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema_rs
import pytest

from gateway.mqtt.asyncapi import document
from tests.peers import node_peer

pytestmark = pytest.mark.peer


def project() -> Path:
    """Return the folder of the npm project."""
    return node_peer("asyncapi", "@asyncapi/specs@6.11.1")


def test_the_document_is_valid_asyncapi() -> None:
    schema = json.loads((project() / "node_modules/@asyncapi/specs/schemas/3.0.0.json").read_text())
    validator = jsonschema_rs.validator_for(schema)
    drawn = document()
    errors = [f"{list(error.instance_path)}: {error.message[:300]}" for error in validator.iter_errors(drawn)]
    assert not errors
    broken = json.loads(json.dumps(drawn))
    broken["operations"]["sendEvseState"]["action"] = "shout"
    assert not validator.is_valid(broken)  # the oracle rejects invalid documents
