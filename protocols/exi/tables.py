"""String tables (EXI 1.0 §7.3), for encoders that refer to strings that occurred before.

No known encoder in the field does. Decoders without tables stop at the first reference, and the message is decoded
again by one with tables.
"""

from __future__ import annotations

from protocols.exi.readers import DecodeFault, Reader, TableHit, reader
from protocols.exi.schema import QName, Simple


class StringTables:
    """String tables of one message: all values, and those of each element or attribute name."""

    def __init__(self) -> None:
        self._everywhere: list[str] = []
        self._by_name: dict[QName, list[str]] = {}

    def clear(self) -> None:
        """Reset the tables for a new message."""
        self._everywhere.clear()
        self._by_name.clear()

    def reader(self, simple: Simple, qname: QName) -> Reader:
        """Return a reader of strings under a name that resolves references and records new strings."""

        def hit(s: str, length: int, p: int) -> tuple[str, int]:
            values = self._everywhere if length else self._by_name.get(qname, [])
            width = (len(values) - 1).bit_length() if values else 0
            bits = s[p : p + width]
            if len(bits) < width:
                raise IndexError
            index = int(bits, 2) if width else 0
            if index >= len(values):
                raise DecodeFault(p, f"string number {index} of a table with {len(values)}")
            return values[index], p + width

        read = reader(simple, hit)

        def remember(s: str, b: bytes, p: int) -> tuple[object, int]:
            value, q = read(s, b, p)
            if isinstance(value, str) and value and s[p : p + 7] != "0000000":  # neither empty nor a reference
                self._everywhere.append(value)
                self._by_name.setdefault(qname, []).append(value)
            return value, q

        return remember


def no_table(s: str, length: int, p: int) -> tuple[str, int]:
    """Raise TableHit: the reference handler of a decoder without tables."""
    raise TableHit
