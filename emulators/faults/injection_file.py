"""Files of injections (`--inject FILE.toml`): tables `[[inject]]` with the words of `message_injection.Rule`.

Scenarios and the mark `v2x` of the pytest plugin use the same words. An error names file, line and key, and the word
that was meant.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from enum import Enum
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from emulators.faults.message_injection import ANY, Rule
from emulators.runtime.toml_lines import Key, line_of, lines_of
from protocols.exi.schema import Schema
from protocols.iso15118.codecs import BY_NAME
from protocols.iso15118.conversation import PAYLOAD_TYPES

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

SPARE = r"^([0-9A-Fa-f]{2})*$"


class InjectionError(ValueError):
    """Invalid file of injections; the message names file, line and key."""


class InjectPart(BaseModel):
    """One deviation in the messages that a side sends."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    message: str = Field(description="element name such as DC_PreChargeRes, or * for all messages")
    occurrence: int | None = Field(None, ge=1, description="the first message that it applies to; without it all")
    count: int = Field(1, ge=1, description="number of messages from that one on")
    response_code: str | None = Field(None, description="another response code")
    set: dict[str, object] = Field(
        default_factory=dict, description="values by path, such as EVSEPresentVoltage or Header.TimeStamp; new ones too"
    )
    omit: list[str] = Field(default_factory=list, description="optional fields to omit, by path")
    session_id: str | None = Field(None, pattern=r"^([0-9A-Fa-f]{2}){0,8}$", description="another id, hexadecimal")
    payload_type: int | None = Field(None, ge=0, le=0xFFFF, description="another V2GTP payload type")
    version: int | None = Field(None, ge=0, le=255, description="another V2GTP version")
    truncate: int | None = Field(None, ge=0, description="bytes of the EXI that remain")
    random: int | None = Field(None, ge=0, le=1 << 16, description="number of random bytes instead of the EXI")
    spare: str = Field("", pattern=SPARE, description="bytes after the EXI, hexadecimal")
    delay_s: float = Field(0.0, ge=0, le=3600, description="send it so much later")
    drop: bool = Field(False, description="do not send it")
    duplicate: int = Field(0, ge=0, le=100, description="additional copies, in the same TCP segment")
    split: int | None = Field(None, ge=1, description="bytes of each TCP segment")
    split_every_s: float = Field(0.02, ge=0, le=60, description="between two segments")
    glue: bool = Field(False, description="send it in one TCP segment with the next message of this side")
    close: Literal["before", "after"] | None = Field(None, description="close the connection before or after it")

    @field_validator("message")
    @classmethod
    def _known(cls, name: str) -> str:
        if name != ANY and name not in _messages():
            raise ValueError(_unknown("message", name, _messages()))
        return name

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.message == ANY:
            return self
        if self.response_code is not None and self.response_code not in (codes := _response_codes(self.message)):
            raise ValueError(_unknown("response code", self.response_code, codes))
        fields = _fields(self.message)
        for path in (*self.set, *self.omit):
            first = path.partition(".")[0]
            if first not in fields:
                raise ValueError(_unknown("field", first, fields))
        return self

    def rule(self) -> Rule:
        """Return the rule of the injection."""
        values = self.model_dump(include=set(Rule.__dataclass_fields__))
        return Rule(**values | {"omit": tuple(self.omit)})


class LinkInjectPart(InjectPart):
    """One deviation on the ISO 15118 links of a scenario: requests are changed at the EV, responses at the SECC."""

    evse: str = Field("", description="EVSE such as CP1-1; without it all")

    def senders(self) -> tuple[str, ...]:
        """Return the sides that send the message."""
        return {"Req": ("ev",), "Res": ("secc",)}.get(self.message[-3:], ("ev", "secc"))


class InjectionFile(BaseModel):
    """A file of injections."""

    model_config = ConfigDict(extra="forbid")

    seed: int = Field(0, description="of random bytes")
    inject: list[InjectPart] = Field(min_length=1)


def json_schema() -> dict[str, object]:
    """Return the JSON Schema (2020-12) of files of injections."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **InjectionFile.model_json_schema()}


def load(path: Path) -> InjectionFile:
    """Return the injections of a file. Raises InjectionError."""
    try:
        text = path.read_text(encoding="utf-8")
        return check(tomllib.loads(text), str(path), lines_of(text))
    except OSError as error:
        raise InjectionError(f"{path}: {error.strerror or error}") from error
    except ValueError as error:
        if isinstance(error, InjectionError):
            raise
        raise InjectionError(f"{path}: not TOML: {error}") from error


def check(table: object, origin: str, lines: Mapping[Key, int] = MappingProxyType({})) -> InjectionFile:
    """Return the injections of a table. Raises InjectionError with a line for each error."""
    try:
        return InjectionFile.model_validate(table)
    except ValidationError as error:
        rows = []
        for one in error.errors(include_url=False):
            line = line_of(lines, one["loc"])
            key = ".".join(str(part) for part in one["loc"])
            rows.append(f"{origin}{f':{line}' if line else ''}: {key}: {_message(one)}")
        raise InjectionError("\n".join(rows)) from error


def _message(error: ErrorDetails) -> str:
    if error["type"] != "extra_forbidden":
        return error["msg"].removeprefix("Value error, ")
    return _unknown("key", str(error["loc"][-1]), [*InjectPart.model_fields, *InjectionFile.model_fields])


def _unknown(what: str, name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    similar = get_close_matches(name, names, n=1) or get_close_matches(
        name.lower(), [one.lower() for one in names], n=1
    )
    meant = next((one for one in names if similar and one.lower() == similar[0].lower()), None)
    return f"unknown {what} {name}" + (f"; did you mean {meant}?" if meant else "")


@cache
def _messages() -> dict[str, list[tuple[Schema, type[object]]]]:
    """Return the declarations of all messages that are sent in V2GTP frames, by element name."""
    found: dict[str, list[tuple[Schema, type[object]]]] = {}
    for name in PAYLOAD_TYPES:
        schema = BY_NAME[name].schema
        for cls in schema.elements:
            element = cls.__name__
            if element.endswith(("Req", "Res")):
                found.setdefault(element, []).append((schema, cls))
    return found


def _fields(message: str) -> set[str]:
    """Return the names of a message's fields, and of its header."""
    described = (schema.describe(cls) for schema, cls in _messages()[message])
    return {"Header"} | {member.qname.local for one in described for f in one.fields for member in f.members}


def _response_codes(message: str) -> list[str]:
    """Return the response codes that a message can have in any protocol; none for a request."""
    described = (schema.describe(cls) for schema, cls in _messages()[message])
    simple = [f.simple for one in described for f in one.fields if f.name == "ResponseCode" and f.simple is not None]
    return [str(code.value) for one in simple for code in one.literals if isinstance(code, Enum)]
