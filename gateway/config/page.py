"""Configuration of the page: tokens of its roles, and the settings that it shows."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from collections.abc import Iterator

from pydantic import BaseModel

from gateway.config import admin_token
from gateway.config.load import read_secret
from gateway.config.settings import Config, ConfigError, WebSection
from gateway.web.guard import UNGUESSABLE
from gateway.web.page.access import Role

LONGEST = 300
_CREDENTIALS = re.compile(r"://[^/@\s]*@")


def web_tokens(section: WebSection) -> dict[Role, str] | None:
    """Return the token of each role, None where no login is required; ConfigError if one cannot be read."""
    if not section.login_required:
        return None
    files = {
        Role.OPERATOR: (section.operator_token_file, "web.operator_token_file"),
        Role.VIEWER: (section.viewer_token_file, "web.viewer_token_file"),
    }
    tokens = {role: read_secret(file, key) for role, (file, key) in files.items() if file is not None}
    if len(set(tokens.values())) < len(tokens):
        raise ConfigError("web.viewer_token_file: the token of viewers is that of operators; choose another one")
    return tokens


def form_token(config: Config) -> str | None:
    """Return the CSRF token of a page without login: the same after a restart and at the next holder of a site.

    An open page shows live values again by itself then, and what is commanded on it has to act. None where the admin
    API has no token that cannot be guessed: the other one is derived from it.
    """
    try:
        token = admin_token.read(config) if config.admin.listen is not None else None
    except ConfigError:  # it is made at the first start
        return None
    if token is None or len(token) < UNGUESSABLE:
        return None
    return hmac.new(token.encode(), f"forms of the page of {config.site.id}".encode(), hashlib.sha256).hexdigest()


def settings_rows(config: Config) -> tuple[tuple[str, str, str], ...]:
    """Return key, value and origin (environment, file or default) of every setting, without credentials."""
    return tuple(_rows(config))


def _rows(config: Config) -> Iterator[tuple[str, str, str]]:
    environment = {name.upper() for name in os.environ}
    for name in Config.model_fields:
        value = getattr(config, name)
        if isinstance(value, list):
            for number, one in enumerate(value):
                yield from _section(f"{name}.{number}", one, f"V2X_{name.upper()}", environment)
        else:
            yield from _section(name, value, f"V2X_{name.upper()}", environment)


def _section(prefix: str, section: object, variable: str, environment: set[str]) -> Iterator[tuple[str, str, str]]:
    if not isinstance(section, BaseModel):
        return
    for key in type(section).model_fields:
        value, name = getattr(section, key), f"{variable}__{key.upper()}"
        if isinstance(value, BaseModel):
            yield from _section(f"{prefix}.{key}", value, name, environment)
            continue
        origin = "default"
        if key in section.model_fields_set:
            origin = "environment" if {name, variable} & environment else "file"
        shown = ", ".join(value) if key == "board_settings" else _shown(value)  # they may have a password
        yield f"{prefix}.{key}", shown, origin


def _shown(value: object) -> str:
    if value is None:
        return ""
    text = str(value) if not isinstance(value, bool) else str(value).lower()
    text = _CREDENTIALS.sub("://***@", text)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
