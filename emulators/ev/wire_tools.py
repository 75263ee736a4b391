"""Observation of the connections of `v2x ev` and `v2x secc`: trace, key log of TLS, capture file.

It works on the bytes of a connection, so that it serves all protocols. With TLS a capture has the encrypted stream and
the secrets for it. Each tool is loaded by the first process that uses it.
"""

from __future__ import annotations

import json
import os
import socket
import ssl
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from emulators.ev.report import Reporter
from protocols import private_file
from protocols.iso15118.io import link_local_address
from protocols.iso15118.sockets.io import OpenSocket
from protocols.iso15118.tls import ServerContexts
from protocols.ports import Clock, Wire

if TYPE_CHECKING:
    from emulators.runtime.pcapng import CaptureFile
    from protocols.iso15118.dialogue import Seen

SENT, RECEIVED = "MessageSent", "MessageReceived"
KEY_LOG_VARIABLE = "SSLKEYLOGFILE"


class WireTools:
    """Tools of one process. `keylog` is by default the file that the environment names (SSLKEYLOGFILE).

    Raises OSError if a file cannot be written.
    """

    def __init__(
        self,
        reporter: Reporter,
        clock: Clock,
        context: ssl.SSLContext | ServerContexts | None,
        *,
        trace: bool = False,
        keylog: Path | None = None,
        pcap: Path | None = None,
    ) -> None:
        self._reporter, self._clock, self._trace = reporter, clock, trace
        self._temporary: Path | None = None
        named = os.environ.get(KEY_LOG_VARIABLE)
        log = keylog or (Path(named) if named else None)
        if context is not None and log is None and pcap is not None:
            import tempfile  # loads archive formats and random numbers

            self._temporary = Path(tempfile.mkdtemp(prefix="v2x-")) / "secrets"
            log = self._temporary
        if context is not None and log is not None:
            with suppress(FileExistsError):
                private_file.create(log).close()
            for one in (context,) if isinstance(context, ssl.SSLContext) else (context.tls_1_2, context.tls_1_3):
                one.keylog_filename = str(log)
        self._capture: CaptureFile | None = None
        if pcap is not None:
            from emulators.runtime.pcapng import CaptureFile

            self._capture = CaptureFile(pcap, clock.wall, log if context is not None else None)

    def open_socket(self, family: int, kind: int) -> socket.socket:
        """Return a new socket; it is recorded if there is a capture file."""
        if self._capture is None:
            return socket.socket(family, kind)
        from emulators.runtime.recorded_socket import RecordedSocket

        return RecordedSocket(family, kind, self._capture.record)

    def open_datagrams(self, interface: str) -> OpenSocket:
        """Return what opens a socket for SDP; it is recorded if there is a capture file. Raises OSError."""
        capture = self._capture
        if capture is None:
            return socket.socket
        from emulators.runtime.recorded_socket import RecordedDatagrams

        host = link_local_address(interface)
        return lambda family, kind: RecordedDatagrams(family, kind, host, capture.record_datagram)

    def observed(self, wire: Wire) -> Wire:
        """Return a wire whose messages are printed, if there is a trace."""
        if not self._trace:
            return wire
        from emulators.runtime.observed_wire import ObservedWire
        from protocols.iso15118.dialogue import Dialogue

        dialogue = Dialogue(tolerant=True)

        def observe(sent: bool, data: bytes) -> None:
            for seen in dialogue.feed(SENT if sent else RECEIVED, data, self._clock.now()):
                self._report(seen)

        return ObservedWire(wire, observe)

    def close(self) -> None:
        """Complete the capture file."""
        if self._capture is not None:
            self._capture.close()
        if self._temporary is not None:
            self._temporary.unlink(missing_ok=True)
            self._temporary.parent.rmdir()

    def _report(self, seen: Seen) -> None:
        self._reporter.write_record(seen.sender, record(seen))
        self._reporter.write_text(text(seen))


def record(seen: Seen) -> dict[str, object]:
    """Return a message of the trace as JSON."""
    found: dict[str, object] = {"name": seen.name, "schema": seen.schema}
    if seen.since_request_s is not None:
        found["since_request_s"] = round(seen.since_request_s, 6)
    if seen.plain:
        found["message"] = seen.body
    for name, value in (("error", seen.error), ("note", seen.note)):
        if value:
            found[name] = value
    if seen.findings:
        found["findings"] = list(seen.findings)
    return found | {"payload_type": f"{seen.payload_type:#06x}", "data": seen.payload.hex().upper()}


def text(seen: Seen) -> str:
    """Return a message of the trace as one line, and one more for each finding."""
    arrow = "->" if seen.sender == SENT else "<-"
    if not seen.plain:
        return f"{arrow} {seen.payload_type:#06x} {seen.error or seen.note} [{seen.payload.hex()}]"
    from protocols.iso15118.dialogue import short

    since = "" if seen.since_request_s is None else f" after {seen.since_request_s * 1e3:.1f} ms"
    lines = [f"{arrow} {seen.name}{since} {json.dumps(short(seen.body), ensure_ascii=False)[1:-1]}"]
    return "\n".join(lines + [f"   ! {finding}" for finding in seen.findings])
