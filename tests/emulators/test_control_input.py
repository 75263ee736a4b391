"""Orders on standard input of `v2x ev` and `v2x secc`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from io import StringIO
from typing import Any

import pytest

from emulators.charger.secc.run import RunOptions
from emulators.charger.secc.run import run as run_secc
from emulators.ev.control_input import OrderRefused, parse
from emulators.ev.run import EvOptions
from emulators.ev.run import run as run_ev
from tests.emulators.session_programs import port_of


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"stop", "not JSON"),
        (b"[" * 100_000, "longer than"),
        (b"[1]", "an order is an object"),
        (b'{"order": 3}', "an order is an object"),
        (b'{"order": "terminat"}', "did you mean terminate?"),
        (b'{"order": "power"}', "power needs power_w"),
        (b'{"order": "power", "power_w": "5"}', "power_w cannot be '5'"),
        (b'{"order": "power", "power_w": true}', "power_w cannot be True"),
        (b'{"order": "power", "power_w": NaN}', "power_w is not finite"),
        (b'{"order": "stop", "now": 1}', "stop has no member now; it has none"),
        (b"\xff\xfe", "not JSON"),
    ],
)
def test_a_wrong_line_is_refused(line: bytes, reason: str) -> None:
    with pytest.raises(OrderRefused, match=reason.replace("?", r"\?")):
        parse(line)


def test_orders() -> None:
    assert parse(b'{"order": "power", "power_w": null}').given == {"order": "power", "power_w": None}
    assert parse(b'{"order": "Terminate"}').given == {"order": "terminate"}
    assert parse(b'{"order": "standby", "enter": false}').given == {"order": "standby", "enter": False}


class Script(StringIO):
    """Output of a program, and orders that are sent when the output has a text."""

    def __init__(self, *steps: tuple[str, str]) -> None:
        super().__init__()
        self._steps = steps
        self._from = 0
        self._awaited = ""
        self.watched: StringIO = self

    async def orders(self) -> AsyncIterator[bytes]:
        for text, order in self._steps:
            self._awaited = text
            async with asyncio.timeout(15):
                while text not in self.watched.getvalue()[self._from :]:  # noqa: ASYNC110 - a program writes it
                    await asyncio.sleep(0.01)
            self._from = self.watched.getvalue().index(text, self._from) + len(text)
            yield order.encode()
        await asyncio.Event().wait()

    def left(self) -> str:
        """Return the end of the output and what was awaited."""
        return f"{self.getvalue()[-1500:]} ... {self._awaited}"

    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.getvalue().splitlines()]


async def both(ev: Script, secc: Script, car: dict[str, Any] | None = None, **options: Any) -> tuple[int, int]:
    """Run both programs until each has ended by its orders."""
    charger_options = {"power_w": -3000.0, "cable_check_s": 0.1, "loop_timeout_s": 20.0} | options
    charger = asyncio.ensure_future(
        run_secc(
            RunOptions(listen="[::1]:0", json=True, control_stdin=True, **charger_options), secc, orders=secc.orders()
        )
    )
    try:
        address = f"[::1]:{await port_of(secc, charger)}"
        given = EvOptions(connect=address, json=True, control_stdin=True, timeout_factor=20.0, **(car or {}))
        async with asyncio.timeout(20):
            status = await run_ev(given, ev, orders=ev.orders())
        async with asyncio.timeout(10):
            return status, await charger
    except TimeoutError:
        pytest.fail(f"EV: {ev.left()}\nSECC: {secc.left()}")
    finally:
        charger.cancel()
        await asyncio.gather(charger, return_exceptions=True)


async def test_a_car_pauses_resumes_unplugs_and_plugs_in() -> None:
    ev = Script(
        ("ChargeLoopAnswered", "{nonsense"),
        ("OrderRefused", '{"order": "pause"}'),
        ("SessionPaused", '{"order": "plug"'),
        ("SessionEnded", '{"order": "resume"}'),
        ("ChargeLoopAnswered", '{"order": "renegotiate"}'),
        ("Renegotiated", '{"order": "unplug"}'),
        ("SessionEnded", '{"order": "plug"}'),
        ("ChargeLoopAnswered", '{"order": "stop"}'),
    )
    secc = Script(("SessionEnded", ""), ("SessionEnded", ""), ("SessionEnded", '{"order": "stop"}'))
    status, _ = await both(ev, secc)
    assert status == 0, ev.left()
    opened = [one for one in ev.records() if one["event"] == "SessionOpened"]
    assert [one["resumed"] for one in opened] == [False, True, False]
    assert [one["error"][:8] for one in ev.records() if one["event"] == "OrderRefused"] == ["not JSON", "not JSON"]


async def test_a_charger_authorises_sets_power_and_terminates() -> None:
    secc = Script(
        ("Listening", '{"order": "authorise"}'),
        ("AuthorizationRequested", '{"order": "authorise"}'),
        ("Measured", '{"order": "power", "power_w": -5000}'),
        ('"target_w": -5000', '{"order": "standby"}'),
        ("OrderRefused", '{"order": "terminate"}'),
        ("SessionEnded", '{"order": "stop"}'),
    )
    ev = Script(("SessionEnded", '{"order": "stop"}'))
    assert await both(ev, secc, wait_authorisation=True) == (0, 0)
    refused = [one["error"] for one in secc.records() if one["event"] == "OrderRefused"]
    assert refused[0] == "authorise: no car is connected"
    assert "the car enters it" in refused[1]
    assert next(one["notification"] for one in ev.records() if one["event"] == "Notified") == "Terminate"


ISO2: dict[str, Any] = {"protocols": "iso2", "service": "dc"}
DIN: dict[str, Any] = {"protocols": "din", "service": "dc"}


async def test_a_car_of_iso_15118_2_pauses_resumes_renegotiates_unplugs_and_plugs_in() -> None:
    ev = Script(
        ("ChargeLoopAnswered", '{"order": "standby"}'),
        ("OrderRefused", '{"order": "renegotiate", "services": true}'),
        ("OrderRefused", '{"order": "pause"}'),
        ("SessionEnded", '{"order": "resume"}'),
        ("ChargeLoopAnswered", '{"order": "renegotiate"}'),
        ("Renegotiated", '{"order": "power", "power_w": 2000}'),
        ('"present_current_a": 4.', '{"order": "unplug"}'),
        ("SessionEnded", '{"order": "plug"}'),
        ("ChargeLoopAnswered", '{"order": "stop"}'),
    )
    secc = Script(("SessionEnded", ""), ("SessionEnded", ""), ("SessionEnded", '{"order": "stop"}'))
    status, _ = await both(ev, secc, car=ISO2, power_w=None)
    assert status == 0, ev.left()
    assert [one["resumed"] for one in ev.records() if one["event"] == "SessionOpened"] == [False, True, False], (
        ev.left()
    )
    refused = [one["error"] for one in ev.records() if one["event"] == "OrderRefused"]
    assert refused == ["ISO 15118-2 has no EnterStandby", "ISO 15118-2 has no service renegotiation"]


async def test_a_car_of_din_70121_refuses_what_its_protocol_does_not_have() -> None:
    ev = Script(
        ("ChargeLoopAnswered", '{"order": "pause"}'),
        ("OrderRefused", '{"order": "renegotiate"}'),
        ("OrderRefused", '{"order": "standby"}'),
        ("OrderRefused", '{"order": "power", "power_w": -1000}'),
        ("OrderRefused", '{"order": "unplug"}'),
        ("SessionEnded", '{"order": "plug"}'),
        ("ChargeLoopAnswered", '{"order": "terminate"}'),
        ("SessionEnded", '{"order": "stop"}'),
    )
    secc = Script(("SessionEnded", ""), ("SessionEnded", '{"order": "stop"}'))
    status, _ = await both(ev, secc, car=DIN, power_w=3000.0)
    assert status == 0, ev.left()
    refused = [one["error"] for one in ev.records() if one["event"] == "OrderRefused"]
    assert refused == [
        *(f"DIN 70121 has no {what}" for what in ("pause", "Renegotiate", "EnterStandby")),
        "power: no discharge without a bidirectional service of ISO 15118-20",
    ]


BPT: dict[str, Any] = {"service": "dc_bpt", "control": "scheduled"}


@pytest.mark.parametrize("car", [BPT, ISO2, DIN], ids=["iso20", "iso2", "din"])
async def test_a_power_that_is_ordered_before_the_service_is_agreed(car: dict[str, Any]) -> None:
    """The charger authorises when the vehicle has taken the order; no later order is lost."""
    ev = Script(
        ("SessionOpened", '{"order": "power", "power_w": 2000}'),
        ("ChargeLoopAnswered", '{"order": "stop"}'),
    )
    secc = Script(("OrderTaken", '{"order": "authorise"}'), ("SessionEnded", '{"order": "stop"}'))
    secc.watched = ev
    assert await both(ev, secc, car=car, power_w=None, wait_authorisation=True) == (0, 0)
    assert [one["order"] for one in ev.records() if one["event"] == "OrderTaken"] == ["power", "stop"], ev.left()


@pytest.mark.parametrize("car", [ISO2, DIN], ids=["iso2", "din"])
async def test_a_charger_of_the_older_generations_takes_its_orders(car: dict[str, Any]) -> None:
    is_din = car is DIN
    secc = Script(
        ("AuthorizationRequested", '{"order": "authorise"}'),
        ("Measured", '{"order": "power", "power_w": -5000}'),
        ("SetpointRefused", '{"order": "power", "power_w": 2000}'),
        ('"high_w": 2000', '{"order": "standby", "enter": false}'),
        ("OrderRefused", '{"order": "renegotiate"}'),
        ("OrderRefused" if is_din else "NeedsStated", '{"order": "terminate"}'),
        ("SessionEnded", '{"order": "stop"}'),
    )
    ev = Script(("SessionEnded", '{"order": "stop"}'))
    assert await both(ev, secc, car=car, power_w=3000.0, wait_authorisation=True) == (0, 0)
    refused = [one["error"] for one in secc.records() if one["event"] == "OrderRefused"]
    assert "has no notification" in refused[0]
    assert refused[1:] == (["renegotiate: DIN 70121 has no renegotiation: limits apply at once"] if is_din else [])
    assert "has no discharge" in next(one["reason"] for one in secc.records() if one["event"] == "SetpointRefused")
