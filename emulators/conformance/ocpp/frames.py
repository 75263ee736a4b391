"""Messages of OCPP-J as mutants see them: text to frame and back."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from protocols.ocpp.rpc import encode
from protocols.ocpp.schema import Payload

CALL, RESULT, ERROR, SEND = 2, 3, 4, 6


@dataclass(frozen=True, slots=True)
class Frame:
    """One message: kind, id, the action of a call, its payload or that of a response, and the code of an error."""

    kind: int
    id: str
    action: str = ""
    payload: Payload = field(default_factory=dict)
    code: str = ""
    text: str = field(default="", compare=False)  # as received

    @property
    def is_request(self) -> bool:
        """Return whether it is a CALL or a SEND."""
        return self.kind in (CALL, SEND)

    def encoded(self) -> str:
        """Return the message as text; unchanged where it is as received."""
        if self.text and read(self.text) == self:
            return self.text
        if self.is_request:
            return encode([self.kind, self.id, self.action, self.payload])
        if self.kind == RESULT:
            return encode([RESULT, self.id, self.payload])
        return encode([self.kind, self.id, self.code, "", {}])


def read(text: str) -> Frame | None:
    """Return the message of a text; None where it is none of OCPP."""
    try:
        message: object = msgspec.json.decode(text)
    except (msgspec.MsgspecError, ValueError):
        return None
    if not isinstance(message, list) or len(message) < 3 or not isinstance(message[0], int):
        return None
    kind, mid = message[0], str(message[1])
    if kind in (CALL, SEND) and len(message) > 3 and isinstance(message[3], dict):
        return Frame(kind, mid, str(message[2]), message[3], text=text)
    if kind == RESULT and isinstance(message[2], dict):
        return Frame(kind, mid, payload=message[2], text=text)
    return Frame(kind, mid, code=str(message[2]), text=text) if kind in (ERROR, 5) else None
