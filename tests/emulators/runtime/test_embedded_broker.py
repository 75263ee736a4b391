"""The embedded broker leaves no socket open."""

from __future__ import annotations

import asyncio

from emulators.runtime.embedded_broker import EmbeddedBroker


async def test_a_client_that_never_connects_is_closed_with_the_broker() -> None:
    async with EmbeddedBroker() as broker:
        reader, writer = await asyncio.open_connection("127.0.0.1", broker.port)
        await asyncio.sleep(0.05)
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in tasks:  # as the end of the loop does
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    async with asyncio.timeout(5):
        assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()
