"""No level and no format of the log shows a password, a token or a header, whatever is refused."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.observability import log
from protocols.ocpp.schema import Version
from tests.gateway.csms.test_security import basic, knock
from tests.gateway.web.running_gateway import PASSWORD, TOKEN, running_gateway

BROKER, WRONG, GIVEN, LONG = "broker-secret-1", "wrong-secret-22", "given-secret-333", "long-secret-4" + 60 * "x"
SECRETS = (BROKER, WRONG, GIVEN, LONG[:20], PASSWORD, TOKEN, "Basic ", "Bearer ")


@pytest.fixture
def restored() -> Iterator[None]:
    """Restore the root logger."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.usefixtures("restored")
@pytest.mark.parametrize("format", ["console", "json"])
async def test_no_log_shows_a_secret(format: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    log.configure("debug", format, stream)
    monkeypatch.setenv("V2X_MQTT__URL", f"mqtt://gw:{BROKER}@127.0.0.1:9")
    async with running_gateway(tmp_path) as running:
        for password in (WRONG, PASSWORD):
            await knock(running.ocpp, additional_headers=basic("CP1", password))
        await knock(running.ocpp, f"/elsewhere/CP1?password={WRONG}")
        station = await running.station(Version.V21)
        station.answers["SetVariables"] = None
        variable = {"component": {"name": "SecurityCtrlr"}, "variable": {"name": "BasicAuthPassword"}}
        for value in (GIVEN, LONG, {"wrong": GIVEN}):
            payload = {"setVariableData": [{**variable, "attributeValue": value}]}
            await running.call("SetVariables", payload, timeout_s=1)
        await station.send("SetVariables", {"setVariableData": [{"attributeValue": GIVEN}]})
        await running.http.get("/stations", headers={"Authorization": f"Bearer {WRONG}"})
    shown = stream.getvalue()
    assert "no link to the broker" in shown.lower()
    assert "wrong password" in shown
    assert [secret for secret in SECRETS if secret in shown] == []
