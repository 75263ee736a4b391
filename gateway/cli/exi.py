"""`v2x exi`: messages between bytes and JSON, one answer line per input line; captures as transcripts.

Exit status 1 if a line or a capture could not be read; each answer states its own error, and later lines are read.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.execution import end, fail
from gateway.cli.options import examples

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
    json: Annotated[bool, typer.Option("--json", help="With --pcap: JSON lines instead of text.")] = False,
) -> None:
    """Bytes to JSON, from standard input or a capture.

    Lines are `{"schema": .., "exi": ".."}`, or bytes with --schema or --v2gtp. Exit status 1: a line could not be
    decoded; it has an error instead.
    """
    from gateway.cli.exi_conversion import decode_lines, transcript

    if pcap is not None:
        _print("decode", transcript(pcap, pretty=pretty, explained=explain, as_json=json, protocol=protocol))
        return
    how = {"pretty": pretty, "explained": explain, "v2gtp": v2gtp, "as_base64": base64}
    failed: list[str] = []
    _print("decode", decode_lines(_lines(), **how, protocol=protocol, schema=schema, failed=failed))
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
