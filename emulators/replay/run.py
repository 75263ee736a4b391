"""Program behind `v2x replay`: one side of a recorded session against a live peer over TCP or TLS.

Exit status: 0 the peer's answers are as recorded, 1 they differ or the session could not be played to its end, 2 the
options or the recording are wrong. With JSON, one line per event: `Difference` for each one, `Summary` at the end.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

from emulators.ev.report import Reporter, print_error
from emulators.ev.session_options import OptionError, tls_context
from emulators.ev.wire_tools import WireTools
from emulators.replay.comparison import Difference
from emulators.replay.peer import Peer
from emulators.replay.players import Player, Score
from emulators.replay.recording import Connection, load
from emulators.runtime.clock import RealClock
from protocols.errors import LocalProtocolError
from protocols.iso15118 import io, tls
from protocols.iso15118.tcp.io import TcpWire


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayOptions:
    """Options of `v2x replay`. `role` is the side that is played: `ev` connects, `secc` listens.

    `pace`: real seconds for a recorded second. `measured_pct`: measured values may differ by so much; None permits all.
    """

    capture: Path
    role: str
    connect: str | None = None
    listen: str | None = None
    keylog: Path | None = None
    tls_version: str = "none"
    tls_profile: str = "interop"
    pki_directory: Path | None = None
    pace: float = 1.0
    measured_pct: float | None = None
    trace: bool = False
    json: bool = False


async def run(options: ReplayOptions, out: TextIO | None = None) -> int:
    """Replay a recording; return the exit status."""
    reporter = Reporter(out or sys.stdout, options.json, {})
    try:
        address = _address(options)
        context, contexts = _contexts(options)
        connections = load(options.capture, options.keylog)
    except OSError as error:
        print_error("v2x replay", f"{error.filename}: {error.strerror or error}")
        return 2
    except (ValueError, LocalProtocolError) as error:
        print_error("v2x replay", f"{error}")
        return 2
    tools = WireTools(reporter, RealClock(), context or contexts, trace=options.trace)
    replay = _Replay(options, reporter, tools, connections)
    try:
        if options.role == "ev":
            await replay.as_ev(address, context)
        else:
            await replay.as_secc(address, contexts)
    except OSError as error:
        replay.score.stopped = str(error)
    finally:
        tools.close()
    return replay.summarise()


def _address(options: ReplayOptions) -> tuple[str, int]:
    """Return the address to connect to or to listen on. Raises OptionError or ValueError."""
    needed, other = (options.connect, options.listen) if options.role == "ev" else (options.listen, options.connect)
    if needed is None or other is not None:
        raise OptionError("--as ev needs --connect, --as secc needs --listen")
    return io.endpoint(needed)


def _contexts(options: ReplayOptions) -> tuple[ssl.SSLContext | None, ssl.SSLContext | tls.ServerContexts | None]:
    """Return the TLS context of an EV, and that of a SECC. Raises OptionError or LocalProtocolError."""
    version, given = tls.TlsVersion(options.tls_version), (options.tls_profile, options.pki_directory)
    if options.role == "ev":
        return tls_context(tls.client_context, version, *given), None
    if version in tls.BOTH:
        return None, tls_context(tls.server_contexts, version, *given)
    return None, tls_context(tls.server_context, version, *given)


class _Replay:
    """All connections of a recording, one after the other."""

    def __init__(
        self, options: ReplayOptions, reporter: Reporter, tools: WireTools, connections: list[Connection]
    ) -> None:
        self._reporter, self._tools, self._connections = reporter, tools, connections
        self._seen: dict[tuple[str, str], int] = {}  # differences by message and path
        self.score = Score(self._report, options.measured_pct)
        self._player = Player(RealClock(), self.score, options.pace)
        self._recorded = sum(len(one.exchanges) for one in connections)

    async def as_ev(self, address: tuple[str, int], context: ssl.SSLContext | None) -> None:
        """Connect once for each recorded connection. Raises OSError."""
        for connection in self._connections:
            wire = await io.connect(*address, context, self._tools.open_socket)
            self._begin(connection)
            try:
                await self._player.play_ev(connection, Peer(self._tools.observed(wire), RealClock()))
            finally:
                await wire.close()
            if self.score.stopped:
                return

    async def as_secc(self, address: tuple[str, int], context: ssl.SSLContext | tls.ServerContexts | None) -> None:
        """Serve as many connections as are recorded. Raises OSError."""
        remaining = list(self._connections)
        done = asyncio.Event()
        turn = asyncio.Lock()

        async def serve(wire: TcpWire) -> None:
            async with turn:
                if not remaining:
                    return
                connection = remaining.pop(0)
                self._begin(connection)
                await self._player.play_secc(connection, Peer(self._tools.observed(wire), RealClock()))
                if not remaining or self.score.stopped:
                    done.set()

        server = await io.listen(serve, *address, context, self._tools.open_socket)
        self._reporter.write_record("Listening", {"address": address[0], "port": server.port})
        self._reporter.write_text(f"listening on [{address[0]}]:{server.port}")
        try:
            await done.wait()
        finally:
            await server.close()

    def _begin(self, connection: Connection) -> None:
        self._reporter.write_record("Playing", {"requests": len(connection.exchanges)})
        self._reporter.write_text(f"playing a connection with {len(connection.exchanges)} requests")

    def _report(self, difference: Difference) -> None:
        key = difference.message, difference.path
        self._seen[key] = self._seen.get(key, 0) + 1
        self._reporter.write_record("Difference", asdict(difference))
        if self._seen[key] == 1:
            self._reporter.write_text(f"DIFFERENT {difference}")

    def summarise(self) -> int:
        """Print the result; return the exit status."""
        score = self.score
        ok = not score.differences and not score.stopped
        values = {
            "ok": ok,
            "exchanges": score.exchanges,
            "recorded": self._recorded,
            "differences": score.differences,
            "reason": score.stopped or ("as recorded" if ok else "the answers differ"),
        }
        self._reporter.write_record("Summary", values)
        parts = [f"{score.exchanges} exchanges, {self._recorded} recorded, {score.differences} differences"]
        parts += [f"{' '.join(key).strip()} {count} times" for key, count in self._seen.items() if count > 1]
        parts += [score.stopped] if score.stopped else []
        self._reporter.write_text(f"{'as recorded' if ok else 'NOT as recorded'}: {'; '.join(parts)}")
        return 0 if ok else 1
