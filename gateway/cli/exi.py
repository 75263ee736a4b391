"""`v2x exi`: messages between bytes and JSON, one answer line per input line; captures as transcripts.

Exit status 1 if a line or a capture could not be read; each answer states its own error, and later lines are read.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.execution import end, fail
from gateway.cli.options import examples

if TYPE_CHECKING:
    from gateway.cli.exi_capture import Selection

app = typer.Typer(help="EXI messages of ISO 15118 and DIN 70121.", no_args_is_help=True)

Pretty = Annotated[bool, typer.Option("--pretty", help="For people: indented.")]
Explain = Annotated[bool, typer.Option("--explain", help="Bit by bit, with the grammar's decisions.")]
V2gtp = Annotated[bool, typer.Option("--v2gtp", help="Whole V2GTP frames: the payload type chooses the schema.")]
Base64 = Annotated[bool, typer.Option("--base64", help="Bytes as base64 instead of hex.")]
Schema = Annotated[str | None, typer.Option(help="Of lines that do not name one, such as iso20-dc.")]


@app.command(
    epilog=examples(
        "echo 80440400810182028303840cdbfe1b606220fe01e07f0a01f0 \\",
        "  | v2x exi decode --schema iso20-dc --explain",
        "v2x exi decode --pcap session.pcapng",
        "v2x exi decode --pcap session.pcapng --message PreCharge --html session.html",
    )
)
def decode(
    pretty: Pretty = False,
    explain: Explain = False,
    v2gtp: V2gtp = False,
    base64: Base64 = False,
    schema: Schema = None,
    protocol: Annotated[str | None, typer.Option(help="Protocol of 0x8001 after SAP: iso2 or din.")] = None,
    pcap: Annotated[Path | None, typer.Option(help="Read a capture instead of lines.", dir_okay=False)] = None,
    session: Annotated[str | None, typer.Option(help="With --pcap: only this session id (hexadecimal).")] = None,
    message: Annotated[
        list[str] | None, typer.Option(help="With --pcap: only this message; PreCharge is request and response.")
    ] = None,
    lenient: Annotated[bool, typer.Option("--lenient", help="Decode values beyond their facets; list them.")] = False,
    html: Annotated[
        Path | None, typer.Option(dir_okay=False, help="With --pcap: write a page with diagram and plots.")
    ] = None,
    keylog: Annotated[
        Path | None, typer.Option(dir_okay=False, help="With --pcap: secrets of TLS, besides those in a pcapng file.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="With --pcap: JSON lines instead of text.")] = False,
) -> None:
    """Bytes to JSON, from standard input or a capture.

    Lines are `{"schema": .., "exi": ".."}`, or bytes with --schema or --v2gtp. Exit status 1: a line could not be
    decoded; it has an error instead.
    """
    from gateway.cli.exi_conversion import decode_lines

    if pcap is not None:
        from gateway.cli.exi_capture import Selection, transcript

        chosen = Selection(session=session, messages=tuple(message or ())) if session or message else None
        if html is not None:
            _write_page(html, pcap, protocol=protocol, lenient=lenient, selection=chosen, keylog=keylog)
            return
        shown = {"pretty": pretty, "explained": explain, "as_json": json, "lenient": lenient}
        _print("decode", transcript(pcap, protocol=protocol, selection=chosen, keylog=keylog, **shown))
        return
    how = {"pretty": pretty, "explained": explain, "v2gtp": v2gtp, "as_base64": base64}
    failed: list[str] = []
    lines = decode_lines(_lines(), **how, protocol=protocol, schema=schema, lenient=lenient, failed=failed)
    _print("decode", lines)
    end(1 if failed else 0)


@app.command(epilog=examples("cat messages.jsonl | v2x exi encode"))
def encode(
    pretty: Pretty = False,
    explain: Explain = False,
    v2gtp: V2gtp = False,
    base64: Base64 = False,
    schema: Schema = None,
    peer: Annotated[str | None, typer.Option(help="Write full lists as this peer reads them.")] = None,
) -> None:
    """JSON to bytes, from standard input.

    Lines are `{"schema": .., "json": {..}}`. Exit status 1: a line could not be encoded; it has an error instead.
    """
    from gateway.cli.exi_conversion import encode_lines

    how = {"pretty": pretty, "explained": explain, "v2gtp": v2gtp, "as_base64": base64}
    failed: list[str] = []
    _print("encode", encode_lines(_lines(), **how, schema=schema, peer=peer, failed=failed))
    end(1 if failed else 0)


def _write_page(
    file: Path, pcap: Path, *, protocol: str | None, lenient: bool, selection: Selection | None, keylog: Path | None
) -> None:
    """Write the page of a capture; an unreadable capture or file ends the command."""
    from gateway.cli.exi_capture import entries
    from gateway.cli.exi_conversion import BadLine
    from gateway.cli.exi_page import page
    from protocols import private_file
    from protocols.capture import CaptureError

    try:
        found = list(entries(pcap, protocol=protocol, lenient=lenient, selection=selection, keylog=keylog))
        with private_file.replacing(file) as out:
            out.write(page(pcap.name, found))
    except (CaptureError, OSError, BadLine) as error:
        fail("exi decode", error, 1)


def _lines() -> Iterable[str]:
    """Yield standard input; bytes that are not UTF-8 become a line with an error."""
    return (line.decode("utf-8", "replace") for line in sys.stdin.buffer)


def _print(command: str, lines: Iterable[str]) -> None:
    from gateway.cli.exi_conversion import BadLine
    from protocols.capture import CaptureError

    try:
        for line in lines:
            sys.stdout.write(line + "\n")
            sys.stdout.flush()
    except BrokenPipeError:
        raise  # the reader has ended: handled for all commands
    except (CaptureError, OSError, BadLine) as error:
        fail(f"exi {command}", error, 1)
