"""Local authorisation list: sent if the station's list differs, in parts, after changes, and not repeatedly."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gateway.csms.admin import Admin
from gateway.csms.local_list import DELAY_S, PART
from gateway.csms.tokens import Token
from protocols.ocpp.schema import Version
from tests.gateway.csms.raw_station import Raw

pytestmark = pytest.mark.virtual_time

ALL = list(Version)


class Holder:
    """Respond for the station, and hold its list as specified."""

    def __init__(self, raw: Raw) -> None:
        self.raw = raw
        self.early = raw.version is Version.V16
        self.version, self.tokens = 0, dict[str, Any]()
        self.sent: list[dict[str, Any]] = []
        self.answer = "Accepted"
        self._task = asyncio.create_task(self._live())

    async def _live(self) -> None:
        while True:
            await self.raw.called(0.05)
            while self.raw.csms_calls:
                _, mid, action, payload = self.raw.csms_calls.pop(0)
                if action == "GetDERControl":
                    await self.raw.send(json.dumps([4, mid, "NotSupported", "no inverter", {}]))
                    continue
                await self.raw.send(json.dumps([3, mid, self._take(action, payload)]))

    def _take(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        number = "listVersion" if self.early else "versionNumber"
        if action == "GetLocalListVersion":
            return {number: self.version}
        assert action == "SendLocalList"
        self.sent.append(payload)
        if self.answer == "Accepted":
            assert payload[number] > self.version
            if payload["updateType"] == "Full":
                self.tokens.clear()
            for entry in payload.get("localAuthorizationList", ()):
                name = entry["idTag"] if self.early else entry["idToken"]["idToken"]
                self.tokens[name] = entry["idTagInfo" if self.early else "idTokenInfo"]["status"]
            self.version = payload[number]
        return {"status": self.answer}

    def stop(self) -> None:
        self._task.cancel()


@asynccontextmanager
async def list_holder(version: Version, **about: Any) -> AsyncIterator[tuple[Raw, Holder]]:
    """Run a station with a local authorisation list, and a CSMS with three tokens for it."""
    about.setdefault("local_list", True)
    async with Raw(version, **about) as raw:
        holder = Holder(raw)
        try:
            raw.csms.context.tokens.put(Token("A"))
            raw.csms.context.tokens.put(Token("B", "Blocked"))
            raw.csms.context.tokens.put(Token("C" * 40))
            await raw.boot()
            await asyncio.sleep(2)
            yield raw, holder
        finally:
            holder.stop()


@pytest.mark.parametrize("version", ALL)
async def test_a_station_with_the_present_list_gets_no_other(version: Version) -> None:
    async with list_holder(version) as (raw, holder):
        expected = {"A": "Accepted", "B": "Blocked"}
        if version is Version.V21:
            expected["C" * 40] = "Accepted"  # too long for the others
        assert holder.tokens == expected
        await raw.boot()
        await asyncio.sleep(2)
        assert len(holder.sent) == 1
        holder.version = 77  # somebody else changed it
        await raw.boot()
        assert raw.wire is not None
        await raw.wire.close()
        await raw.connect()
        await raw.boot()
        await asyncio.sleep(2)
        assert len(holder.sent) == 2
        assert holder.version == 78


@pytest.mark.parametrize("version", ALL)
async def test_changes_are_published_together_after_an_interval(version: Version) -> None:
    async with list_holder(version) as (raw, holder):
        admin = Admin(raw.csms)
        for number in range(PART + 20):
            await admin.put_token(f"T{number}", {"status": "Accepted"})
        await admin.delete_token("A")
        await asyncio.sleep(DELAY_S - 1)
        assert len(holder.sent) == 1
        await asyncio.sleep(3)
        assert [one["updateType"] for one in holder.sent[1:]] == ["Full", "Differential"]
        assert "A" not in holder.tokens
        assert {f"T{number}" for number in range(PART + 20)} <= set(holder.tokens)


@pytest.mark.parametrize("version", ALL)
async def test_a_rejected_list_is_sent_again_at_the_next_connection(version: Version) -> None:
    async with list_holder(version) as (raw, holder):
        holder.answer = "Failed"
        await Admin(raw.csms).delete_token("A")
        await asyncio.sleep(20)
        assert len(holder.sent) == 2
        holder.answer = "Accepted"
        assert raw.wire is not None
        await raw.wire.close()
        await raw.connect()
        await raw.boot()
        await asyncio.sleep(2)
        assert holder.tokens.get("A") is None
        assert len(holder.sent) == 3


async def test_it_is_disabled_by_default() -> None:
    async with list_holder(Version.V201, local_list=False) as (raw, holder):
        await Admin(raw.csms).delete_token("A")
        await asyncio.sleep(20)
        assert holder.sent == []
