"""Programs on real interfaces: `v2x slac` (one matching of either role), and a modem between two interfaces.

Exit status of a matching: 0 matched, 1 not. The events are given to `report`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from emulators.powerline.modem import MODEM_PROFILES, EmulatedModem, ModemProfile
from emulators.powerline.real_interface import ETHERTYPES, OnLine
from emulators.runtime.clock import RealClock
from protocols.frozen import frozen
from protocols.iec61851 import PilotState
from protocols.slac import io
from protocols.slac.behaviour import EV_PROFILES, EVSE_PROFILES
from protocols.slac.ev import EvSlac
from protocols.slac.events import FrameIgnored, Leave, Matched, MatchingFailed, PilotChanged, StartMatching
from protocols.slac.evse import EvseSlac
from protocols.slac.frames import ETHERTYPE
from protocols.slac.modem import ModemSettings
from protocols.slac.settings import EvseSettings, EvSettings, EvState
from protocols.slac.vendor import QUALCOMM_MODEM, ModemVendor

Report = Callable[[object], None]


@frozen
class Listening:
    """The program is on its interface."""

    role: str
    interface: str
    mac: bytes
    modem: str


@frozen
class Summary:
    """Result of a matching program."""

    ok: bool
    matched: int


@dataclass(frozen=True, slots=True)
class SlacOptions:
    """Options of `v2x slac`.

    `modem`: the address of a modem, None for an emulated one, whose attenuation is that of its cable or by neighbour.

    A vehicle tries until `timeout_s` and ends `stay_s` after it has matched, an EVSE after `matchings` (None: when it
    is cancelled). There is no control pilot: an EVSE takes it that a vehicle is connected, a vehicle that 5 % is
    offered.
    """

    interface: str
    role: str
    modem: bytes | None = QUALCOMM_MODEM
    vendor: str = ModemVendor.QUALCOMM.value
    profile: str = "standard"
    emulated: str = "qca7000"
    attenuation_db: int = 8
    neighbours: Mapping[bytes, int] = field(default_factory=dict)
    matchings: int | None = None
    stay_s: float = 2.0
    timeout_s: float = 60.0
    trace: bool = False


async def match(options: SlacOptions, report: Report) -> int:
    """Run one side of a matching; return the exit status. Raises OSError without the interface or the permission."""
    port = io.PacketSocket(options.interface, ETHERTYPES if options.modem is None else frozenset({ETHERTYPE}))
    try:
        return await _Matching(options, port, report).run()
    finally:
        port.close()


class _Matching:
    """One run of `v2x slac`."""

    def __init__(self, options: SlacOptions, port: io.PacketSocket, report: Report) -> None:
        self._options = options
        self._port = port
        self._report = report
        self._clock = RealClock()
        self._changed = asyncio.Event()
        self._matched = 0
        now = self._clock.now()
        emulated = MODEM_PROFILES[options.emulated]
        vendor = emulated.vendor if options.modem is None else ModemVendor(options.vendor)
        settings = ModemSettings(options.modem or QUALCOMM_MODEM, vendor)
        self._slac: EvSlac | EvseSlac
        if options.role == "ev":
            self._slac = EvSlac(EvSettings(port.mac, settings, EV_PROFILES[options.profile]), now)
        else:
            self._slac = EvseSlac(EvseSettings(port.mac, settings, EVSE_PROFILES[options.profile]), now)
        self._engine: io.FrameEngine = self._slac
        if options.modem is None:
            own = emulated_modem(port.mac, emulated)
            self._engine = OnLine(self._slac, own, options.attenuation_db, None, options.neighbours)

    async def run(self) -> int:
        options = self._options
        modem = f"emulated {options.emulated}" if options.modem is None else options.modem.hex(":")
        self._report(Listening(options.role, options.interface, self._port.mac, modem))
        pumping = asyncio.ensure_future(io.pump(self._engine, self._port, self._clock, self._on_event))
        begin = StartMatching() if options.role == "ev" else PilotChanged(PilotState.B)
        self._slac.command(begin, self._clock.now())
        self._port.wake()
        try:
            async with asyncio.timeout(options.timeout_s if options.role == "ev" else None):
                while not self._finished():
                    await self._changed.wait()
                    self._changed.clear()
            if self._finished():
                await asyncio.sleep(options.stay_s)
        except TimeoutError:
            pass
        finally:
            if options.role == "ev":
                self._slac.command(Leave(), self._clock.now())
            pumping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await pumping
            self._report(Summary(self._finished(), self._matched))
        return 0 if self._finished() else 1

    def _finished(self) -> bool:
        wanted = 1 if self._options.role == "ev" else self._options.matchings
        return self._matched >= wanted if wanted is not None else False

    def _on_event(self, event: object) -> None:
        if isinstance(event, Matched):
            self._matched += 1
        elif isinstance(event, MatchingFailed) and self._slac.state is EvState.FAILED:
            self._slac.command(StartMatching(), self._clock.now())  # as an EVSE repeats its 5 %
            self._port.wake()
        if self._options.trace or not isinstance(event, FrameIgnored):
            self._report(event)
        self._changed.set()


def emulated_modem(host: bytes, profile: ModemProfile) -> EmulatedModem:
    """Return the modem of a host, whose address follows from the host's."""
    return EmulatedModem(b"\x04\x65\x65" + host[3:], profile)


async def bridge(host: str, line: str, report: Report, *, profile: str = "qca7000", attenuation_db: int = 8) -> int:
    """Run a modem between the interface of its host and that of the line until cancelled; a foreign host needs one."""
    async with contextlib.AsyncExitStack() as stack:
        host_port = io.PacketSocket(host, frozenset())
        stack.callback(host_port.close)
        line_port = io.PacketSocket(line, frozenset())
        stack.callback(line_port.close)
        modem = emulated_modem(line_port.mac, MODEM_PROFILES[profile])
        clock = RealClock()
        changed = asyncio.Event()
        report(Listening("modem", line, modem.mac, f"emulated {profile}"))

        async def carry(port: io.PacketSocket, take: Callable[[bytes, float], None]) -> None:
            while True:
                data = await port.read()
                take(data, clock.now())
                changed.set()

        readers = [
            asyncio.ensure_future(carry(host_port, modem.from_host)),
            asyncio.ensure_future(carry(line_port, lambda data, now: modem.from_line(data, now, attenuation_db))),
        ]
        for reader in readers:
            stack.callback(reader.cancel)
        while True:
            modem.expire(clock.now())
            for data in modem.host_frames():
                host_port.write(data)
            for data in modem.line_frames():
                line_port.write(data)
            with contextlib.suppress(TimeoutError):
                async with clock.timeout_at(modem.deadline()):
                    await changed.wait()
            changed.clear()
