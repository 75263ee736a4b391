"""`v2x slac`: options that do not fit, and interfaces that are not there."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from gateway.cli.main import app


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--interface", "none", "--role", "ev", "--modem", "00:b0"], "not a MAC address"),
        (["--interface", "none", "--role", "ev", "--profile", "abb"], "--profile 'abb' is not supported"),
        (["--interface", "none", "--role", "evse", "--profile", "ioniq"], "--profile 'ioniq' is not supported"),
        (["--interface", "none", "--role", "evse", "--vendor", "x"], "--vendor 'x' is not supported"),
        (["--interface", "none", "--role", "evse", "--emulate", "x"], "--emulate 'x' is not supported"),
        (["--interface", "none", "--role", "evse", "--neighbour", "02:00=40"], "not a MAC address"),
        (["--interface", "none", "--role", "evse", "--neighbour", "02:00:00:00:00:01"], "--neighbour is an address"),
        (["--interface", "none", "--role", "modem"], "--role modem needs --host"),
    ],
)
def test_options_that_do_not_fit(options: list[str], text: str) -> None:
    result = CliRunner().invoke(app, ["slac", *options])
    assert (result.exit_code, text in result.output) == (2, True), result.output


@pytest.mark.parametrize("role", ["ev", "evse"])
def test_an_interface_that_is_not_there(role: str) -> None:
    result = CliRunner().invoke(app, ["slac", "--interface", "v2xnone", "--role", role])
    assert result.exit_code == 2
    assert "CAP_NET_RAW" in result.output or "no Ethernet interface 'v2xnone'" in result.output
