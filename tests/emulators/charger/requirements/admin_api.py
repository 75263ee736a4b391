"""The gateway's admin API in the process of a test, in virtual time: HTTP requests without a socket."""

from __future__ import annotations

from typing import Any

import httpx

from gateway.csms.admin import Admin
from gateway.web import api
from tests.emulators.charger.station_rig import Rig


async def admin(rig: Rig, method: str, path: str, json: Any = None, **query: Any) -> Any:
    """Send a request below `/admin/v1/stations/CP1` and return the content of its 200 response."""
    response = await request(rig, method, path, json, **query)
    assert response.status_code == 200, response.text
    return response.json()


async def request(rig: Rig, method: str, path: str, json: Any = None, **query: Any) -> httpx.Response:
    """Send a request below `/admin/v1/stations/CP1` and return its response."""
    transport = httpx.ASGITransport(api.build(Admin(rig.csms), None, raw_calls=True))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway/admin/v1/stations") as client:
        return await client.request(method, f"/CP1/{path}".rstrip("/"), json=json, params=query)
