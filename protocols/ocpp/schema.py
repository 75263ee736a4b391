"""The messages of each OCPP version, and validation of payloads against their JSON schemas.

The schemas are those of the `ocpp` package. Each is compiled separately and on first use: the same type name has
different meanings in different schemas. Payloads keep the names of the wire (`chargingProfileId`, `limit_L2`), and
`customData` passes unchanged. Rules beyond the schemas (a mode without its set-point, for instance) are checked by the
two ends.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeAlias

import jsonschema_rs
import msgspec

Payload: TypeAlias = dict[str, Any]


class Version(StrEnum):
    """OCPP versions by the name of their WebSocket subprotocol."""

    V16 = "ocpp1.6"
    V201 = "ocpp2.0.1"
    V21 = "ocpp2.1"

    @property
    def number(self) -> str:
        """The version number, such as `2.0.1`."""
        return self.value.removeprefix("ocpp")

    @classmethod
    def of(cls, number: str) -> Version:
        """Return the version with the number `1.6`, `2.0.1` or `2.1`. Raises ValueError for any other."""
        return cls(f"ocpp{number.removeprefix('ocpp')}")


class Part(StrEnum):
    """Part of an action that a payload belongs to."""

    REQUEST = "Request"
    RESPONSE = "Response"
    SEND = ""  # 2.1: a message without a response


class ErrorCode(StrEnum):
    """Error codes (2.1 part 4, table 9; the first four spellings of 1.6-J, table 7, differ)."""

    FORMAT_VIOLATION = "FormatViolation"
    FORMATION_VIOLATION = "FormationViolation"  # 1.6
    OCCURRENCE_CONSTRAINT_VIOLATION = "OccurrenceConstraintViolation"
    OCCURENCE_CONSTRAINT_VIOLATION = "OccurenceConstraintViolation"  # 1.6, sic
    GENERIC_ERROR = "GenericError"
    INTERNAL_ERROR = "InternalError"
    MESSAGE_TYPE_NOT_SUPPORTED = "MessageTypeNotSupported"  # 2.x
    NOT_IMPLEMENTED = "NotImplemented"
    NOT_SUPPORTED = "NotSupported"
    PROPERTY_CONSTRAINT_VIOLATION = "PropertyConstraintViolation"
    PROTOCOL_ERROR = "ProtocolError"
    RPC_FRAMEWORK_ERROR = "RpcFrameworkError"  # 2.x
    SECURITY_ERROR = "SecurityError"
    TYPE_CONSTRAINT_VIOLATION = "TypeConstraintViolation"


@dataclass(frozen=True, slots=True)
class Violation:
    """Violation of a schema: the error code, the member as a JSON pointer, and a text."""

    code: ErrorCode
    where: str
    text: str


# Kind of violation by keyword of JSON Schema; all other keywords are format violations.
_OCCURRENCE = frozenset({"required", "minItems", "maxItems", "minProperties", "maxProperties", "uniqueItems"})
_PROPERTY = frozenset(
    {
        "enum",
        "const",
        "maxLength",
        "minLength",
        "pattern",
        "format",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
    }
)
_FOLDERS = {Version.V16: "v16", Version.V201: "v201", Version.V21: "v21"}
_TOLERANCE = 1e-6  # of a step: 0.1 has no exact binary representation


@functools.cache
def _folder(version: Version) -> Path:
    spec = importlib.util.find_spec("ocpp")
    if spec is None or not spec.submodule_search_locations:
        raise ImportError("the package `ocpp`, which contains the OCPP schemas, is not installed")
    return Path(spec.submodule_search_locations[0]) / _FOLDERS[version] / "schemas"


@functools.cache
def actions(version: Version) -> frozenset[str]:
    """Return every action of the version that has a request and a response."""
    names = {path.stem for path in _folder(version).glob("*.json")}
    answered = {name.removesuffix("Response") for name in names if name.endswith("Response")}
    request = "" if version is Version.V16 else "Request"
    return frozenset(name for name in answered if name + request in names)


@functools.cache
def unanswered(version: Version) -> frozenset[str]:
    """Return every action of the version that has no response (SEND of 2.1)."""
    if version is not Version.V21:
        return frozenset()
    names = {path.stem for path in _folder(version).glob("*.json")}
    return frozenset(name for name in names if not name.endswith(("Request", "Response")))


@functools.cache
def document(version: Version, action: str, part: Part) -> Mapping[str, object]:
    """Return the JSON Schema of one message, as shipped by the `ocpp` package. Raises KeyError."""
    suffix = "" if part is Part.SEND or (version is Version.V16 and part is Part.REQUEST) else part.value
    if action not in (unanswered(version) if part is Part.SEND else actions(version)):
        raise KeyError(f"OCPP {version.number} has no {action}{part.value}")
    read: Mapping[str, object] = msgspec.json.decode(
        (_folder(version) / f"{action}{suffix}.json").read_bytes().lstrip(b"\xef\xbb\xbf")
    )
    return read


@functools.cache
def _validator(version: Version, action: str, part: Part) -> jsonschema_rs.Validator:
    return jsonschema_rs.validator_for(dict(document(version, action, part)), validate_formats=True)


@functools.cache
def accepts(version: Version, action: str, part: Part) -> Callable[[object], bool]:
    """Return a function that tests whether a payload is valid; faster than `violation`."""
    return _validator(version, action, part).is_valid


def violation(version: Version, action: str, part: Part, payload: object) -> Violation | None:
    """Return the first violation of the schema in `payload`, or None. Raises KeyError if the version has no such
    message."""
    validator = _validator(version, action, part)
    try:
        if validator.is_valid(payload):
            return None
    except ValueError as error:  # a value that JSON cannot represent, such as NaN
        return Violation(form_error(version), "", str(error))
    for fault in validator.iter_errors(payload):
        keyword = str(fault.schema_path[-1]) if fault.schema_path else ""
        if version is Version.V16 and _tolerated(keyword, fault):
            continue
        return Violation(_code(version, keyword), "/" + "/".join(map(str, fault.instance_path)), str(fault.message))
    return None


def form_error(version: Version) -> ErrorCode:
    """Return the error code of a message that does not have the form of its action."""
    return ErrorCode.FORMATION_VIOLATION if version is Version.V16 else ErrorCode.FORMAT_VIOLATION


def _code(version: Version, keyword: str) -> ErrorCode:
    if keyword in _OCCURRENCE:
        early = version is Version.V16
        return ErrorCode.OCCURENCE_CONSTRAINT_VIOLATION if early else ErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION
    if keyword in _PROPERTY:
        return ErrorCode.PROPERTY_CONSTRAINT_VIOLATION
    if keyword == "type":
        return ErrorCode.TYPE_CONSTRAINT_VIOLATION
    return form_error(version)


def _tolerated(keyword: str, error: jsonschema_rs.ValidationError) -> bool:
    """Return True for formats that 1.6 accepts: ISO 8601 beyond RFC 3339, and one decimal despite binary rounding."""
    value: object = error.instance
    if keyword == "format" and isinstance(value, str):
        try:
            datetime.fromisoformat(value)
        except ValueError:
            return False
        return True
    if keyword == "multipleOf" and isinstance(value, (int, float)):
        tenths = value * 10
        return abs(tenths - round(tenths)) < _TOLERANCE * max(1.0, abs(tenths))
    return False
