"""Diagnosis in words of bytes that are not what a receiver of V2GTP expects, for tools and error texts."""

from __future__ import annotations

from protocols.v2gtp import HEADER_SIZE, INVERSE_VERSION, VERSION, PayloadType

_STARTS = (
    (b"GET ", "HTTP"),
    (b"POST ", "HTTP"),
    (b"PUT ", "HTTP"),
    (b"HEAD ", "HTTP"),
    (b"OPTIONS ", "HTTP"),
    (b"HTTP/", "HTTP"),
    (b"SSH-", "SSH"),
    (b"<", "XML or HTML text; ISO 15118 sends messages as EXI"),
    (b"{", "JSON text"),
    (b"\x80", "EXI without the V2GTP header before it"),
)
_TLS_RECORDS = {0x14: "change cipher spec", 0x15: "alert", 0x16: "handshake", 0x17: "application data"}


def stream_start(data: bytes) -> str:
    """Return what bytes at the start of a V2GTP frame are, "" for a V2GTP header with the right version."""
    if is_tls(data):
        return f"this is TLS (a record with {_TLS_RECORDS[data[0]]})"
    for start, name in _STARTS:
        if data.startswith(start):
            return f"this is {name}"
    return header_versions(data)


def is_tls(data: bytes) -> bool:
    """Return whether bytes begin with a record of TLS."""
    return data[:1] != b"" and data[0] in _TLS_RECORDS and data[1:2] == b"\x03"


def header_versions(data: bytes) -> str:
    """Return which of the two version bytes of a V2GTP header is wrong, "" if none is."""
    if len(data) > 1 and data[0] ^ data[1] == 0xFF and data[0] != VERSION:
        return f"V2GTP version {data[0]:#04x} instead of {VERSION:#04x}"
    if data and data[0] != VERSION:
        return f"not V2GTP: it begins with {data[:HEADER_SIZE].hex(' ')} instead of {VERSION:02x} {INVERSE_VERSION:02x}"
    if len(data) > 1 and data[1] != INVERSE_VERSION:
        return f"V2GTP inverse version {data[1]:#04x} instead of {INVERSE_VERSION:#04x}"
    return ""


def payload_type(number: int) -> str:
    """Return the name of a payload type, with its number."""
    try:
        return f"{number:#06x} ({PayloadType(number).name})"
    except ValueError:
        return f"{number:#06x}, which no standard defines"
