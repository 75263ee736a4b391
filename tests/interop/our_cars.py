"""Emulated cars at the charger of a link, one session after the other in one process.

`python -m tests.interop.our_cars '{"interface": .., "pki": .., "charger": FILE, "sessions": [{"name": .., "service":
"dc", "protocols": "iso2,din", "tls": "1.2", "control": .., "loops": .., "at_loop": {"3": "renegotiate"}, "resumes": ..,
"peer": {..}}, ..]}'` prints one JSON object for each session. `peer` is written to FILE before, where the charger of
the peer reads it. The codec of the peer is slow on a busy machine, so that the message timers are extended.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from emulators.ev.car import CCS_63, Car
from emulators.ev.run import connect_to_secc
from emulators.ev.session import EvSession, car_settings
from emulators.ev.session_options import CONTROLS, usable
from emulators.runtime.clock import RealClock
from protocols.iso15118.iso20 import events, orders
from protocols.iso15118.iso20.common import ChargingSession
from protocols.iso15118.tls import TlsProfile, TlsVersion, client_context, ensure_configuration

SLOW_PEER = 6.0
AUTHORIZATIONS = ("AuthorizationReq", "ContractAuthenticationReq")


class Stay:
    """One session, with what is asserted of it."""

    def __init__(self, options: dict[str, Any], resume: events.Paused | None) -> None:
        self._orders = {int(loop): order for loop, order in options.get("at_loop", {}).items()}
        self._clock = RealClock()
        self.car = Car(replace(CCS_63, services=(options["service"],)), soc_pct=50)
        settings = car_settings(
            self.car,
            controls=(CONTROLS[options.get("control", "dynamic")],),
            tls=options.get("tls", "none") != "none",
            trace=True,
            timeout_factor=SLOW_PEER,
            resume=resume,
        )
        self._offered = options.get("protocols", "iso20").split(",")
        self._plain_tcp = options.get("tls") == TlsVersion.ALLOW.value
        self._settings, self._loops = settings, options.get("loops", 6)
        self.session: EvSession | None = None
        self.seen: list[Any] = []
        self._first = self._last = 0.0

    async def run(self, interface: str, context: ssl.SSLContext | None) -> dict[str, Any]:
        """Run the session; return its record."""
        wire = await connect_to_secc(None, interface, self._clock, context, plain_tcp=self._plain_tcp)
        self.session = session = EvSession(
            self.car,
            self._clock,
            self._observe,
            settings=self._settings,
            protocols=usable(self._offered, wire.tls_version),
            loops=self._loops,
        )
        tls_version = wire.tls_version
        ended = await session.run(wire)
        car, seconds = self.car, max(self._last - self._first, 1e-3)
        return {
            "ok": ended.ok,
            "reason": ended.reason,
            "tls": tls_version,
            "protocol": "".join(one.namespace for one in self._of(events.ProtocolAgreed)),
            "resumed": any(one.resumed for one in self._of(events.SessionOpened)),
            "loops": session.loops,
            "energy_in_wh": car.energy_in_wh,
            "energy_out_wh": car.energy_out_wh,
            "mean_w": (car.energy_in_wh - car.energy_out_wh) * 3600 / seconds,
            "notified": [one.notification.name for one in self._of(events.Notified)],
            "renegotiated": len(self._of(events.Renegotiated)),
            "authorizations": sum(type(one.message).__name__ in AUTHORIZATIONS for one in self._of(events.MessageSent)),
            "violations": car.violations,
        }

    def _of(self, kind: type[Any]) -> list[Any]:
        return [one for one in self.seen if isinstance(one, kind)]

    def _observe(self, event: events.Event) -> None:
        self.seen.append(event)
        if isinstance(event, events.PowerStopped):
            self._last = time.monotonic()
        session = self.session
        if not isinstance(event, events.ChargeLoopAnswered) or session is None or session.engine is None:
            return
        self._first = self._first or time.monotonic()
        order = self._orders.pop(session.loops, None)
        if order == "renegotiate":
            session.renegotiate()
        elif order == "pause":
            session.engine.command(orders.Stop(ChargingSession.Pause), self._clock.now())


async def main(options: dict[str, Any], prepare: Callable[[str], object]) -> None:
    paused: events.Paused | None = None
    for one in options["sessions"]:
        prepare(json.dumps(one.get("peer", {})))
        version = TlsVersion(one.get("tls", "none"))
        context = None
        if version is not TlsVersion.NONE:
            context = client_context(options["pki"], version, TlsProfile.INTEROP)
        stay = Stay(one, paused if one.get("resumes") else None)
        try:
            record = await stay.run(options["interface"], context)
        except OSError as error:
            record = {"ok": False, "reason": str(error)}
        paused = stay.session.paused if stay.session is not None else None
        print(json.dumps({"name": one["name"], **record}), flush=True)  # noqa: T201


if __name__ == "__main__":
    ensure_configuration(TlsProfile.INTEROP)
    work = json.loads(sys.argv[1])
    asyncio.run(main(work, Path(work["charger"]).write_text))
