"""Log lines of a handshake whose client does not wait for the response."""

from __future__ import annotations

import asyncio
import logging
import threading

import pytest

from gateway.csms import credentials
from tests.gateway.csms.test_security import PASSWORD, basic, serving
from tests.interop.ocpp_sockets import until

REQUEST = (
    "GET /ocpp/CP1 HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: ocpp2.1\r\n"
    f"Authorization: {basic('CP1', PASSWORD)['Authorization']}\r\n\r\n"
)


async def test_a_client_that_leaves_while_its_password_is_verified_is_no_error(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    verifying, left, matches = threading.Event(), threading.Event(), credentials._matches

    def slow(given: bytes, stored: str) -> bool:
        verifying.set()
        left.wait(10)
        return matches(given, stored)

    monkeypatch.setattr(credentials, "_matches", slow)
    with caplog.at_level(logging.DEBUG, "v2x.websockets"):
        async with serving(security_profile=1) as (_, port):
            before = asyncio.all_tasks()
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(REQUEST.encode())
            await writer.drain()
            await until(verifying.is_set)
            writer.transport.abort()
            await until(lambda: "= connection is CLOSED" in caplog.messages)
            left.set()
            await until(lambda: asyncio.all_tasks() <= before)
    assert [one.levelname for one in caplog.records if one.exc_info or one.levelno > logging.INFO] == []
