"""Frames and property maps of real devices, as owners published them in scottyphillips/echonetlite_homeassistant."""

from __future__ import annotations

# answer of a storage battery with ten properties (issue 148)
BATTERY_ANSWER = bytes.fromhex(
    "1081004602 7D0205FF01720A 800130 A00400002710 A10400002710 A20400000000 A30400000000 D30400000000 A40400000000"
    "E40109 A50400000000 E60104"
)


def _epcs(text: str) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split():
        low, _, high = part.partition("-")
        found.update(range(int(low, 16), int(high or low, 16) + 1))
    return frozenset(found)


# Nichicon Tribrid (issue 258)
MAPS = {
    "027D GET": _epcs(
        "80-83 86 88 89 8A 8C 8D 97 98 9D-9F A0-A5 A8-AB C1 C2 C8 C9 CF D0 D2 D3 D6 D8 DA-DD E2 E4-E8 EB EC F0 F2 F4 F5"
        " F8-FC"
    ),
    "027D SET": _epcs("81 97 98 AA AB C1 C2 D7 D9 DA E7 E8 EB EC F2 F4 F8"),
    "027D INF": _epcs("80 81 88 AA AB C1 C2 CF DA F0 F2 F4 F9 FA"),
    "0279 GET": _epcs("80-83 86 88 89 8A 8C 8D 97 98 9D-9F A0 A2 B0-B4 C0-C3 D0 D1 E0 E1 E3 E8"),
    "0279 SET": _epcs("81 97 98 A0 C1"),
    "0279 INF": _epcs("80 81 88 B1"),
}
