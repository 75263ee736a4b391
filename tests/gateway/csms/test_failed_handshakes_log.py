"""What the log says of a handshake whose client does not wait for the response."""

from __future__ import annotations

import asyncio
import logging

import pytest

from tests.gateway.csms.test_security import PASSWORD, basic, serving
from tests.interop.ocpp_sockets import until

REQUEST = (
    "GET /ocpp/CP1 HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: ocpp2.1\r\n"
    f"Authorization: {basic('CP1', PASSWORD)['Authorization']}\r\n\r\n"
)


async def test_a_client_that_leaves_while_its_password_is_verified_is_one_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO, "v2x.websockets"):
        async with serving(security_profile=1) as (_, port):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(REQUEST.encode())
            await writer.drain()
            writer.transport.abort()
            await until(lambda: any("opening handshake failed" in one for one in caplog.messages))
    assert [one.levelname for one in caplog.records if one.exc_info or one.levelno > logging.INFO] == []
