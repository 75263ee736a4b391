"""Link between a vehicle and its EVSE, by the name of the protocol that both agreed on. Pure."""

from __future__ import annotations

CHADEMO = "chademo"
LINKS = (  # beginning of the name without case: a namespace of ISO 15118 or DIN, or a value of ProtocolAgreed (OCPP)
    ("chademo", CHADEMO),
    ("urn:iso:std:iso:15118:-20", "iso15118-20"),
    ("urn:iso:15118:2:", "iso15118-2"),
    ("urn:din:70121:", "din70121"),
)


def link_of(protocol: str) -> str | None:
    """Return the link that a protocol name belongs to, None for an unknown one."""
    name = protocol.strip().casefold()
    return next((link for beginning, link in LINKS if name.startswith(beginning)), None)
