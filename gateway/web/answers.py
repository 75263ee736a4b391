"""Answers of the admin API other than success, as OpenAPI describes them. All have the same form."""

from __future__ import annotations

from typing import Any, TypeAlias

from pydantic import BaseModel, JsonValue

Answers: TypeAlias = dict[int | str, dict[str, Any]]


class Refusal(BaseModel):
    """Reason of a refusal; a list where members of a body or of the query are invalid (422)."""

    detail: str | list[JsonValue]


_SCHEMA = {"schema": {"$ref": f"#/components/schemas/{Refusal.__name__}"}}  # FastAPI builds each model of each route


def _answers(**texts: str) -> Answers:
    content = {"application/json": _SCHEMA}
    return {int(code.removeprefix("c")): {"description": text, "content": content} for code, text in texts.items()}


EVERY_ROUTE = _answers(
    c400="The body is ambiguous or no JSON, the path or query has control characters, or a header is repeated.",
    c401="The bearer token is absent or wrong.",
    c403="A request of another origin, or an operation that is switched off.",
    c404="What the path names does not exist.",
    c408="The body was not complete in time.",
    c413="The body is too large.",
    c415="The content type of the body is not application/json.",
    c421="The host name is not served.",
    c422="A member of the body, the path or the query is invalid.",
    c429="Too many failed logins from this address.",
    c503="At this time it cannot be stored, or too many requests have a body.",
)
EVERY_ROUTE[401]["model"] = Refusal  # adds the schema
CONFLICT = _answers(c409="The present state does not allow it, such as a station that is not connected.")
STATION_CALL = CONFLICT | _answers(
    c501="The OCPP version of the station does not have it.",
    c502="The station does not report what was requested.",
)
