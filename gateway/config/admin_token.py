"""Bearer token of the admin API: made at the first start, in the folder of the database, readable by its owner only."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import secrets
from pathlib import Path

from gateway.config.load import read_secret
from gateway.config.settings import Config, ConfigError
from protocols import private_file

log = logging.getLogger("v2x")

FILE_NAME = "admin-token"
KEY = "admin.token_file"
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def path(config: Config) -> Path:
    """Return the file of the token."""
    return config.admin.token_file or config.data_directory / FILE_NAME


def read(config: Config) -> str | None:
    """Return the token, None where none is required; ConfigError if its file cannot be read."""
    if not config.admin.token:
        return None
    file = path(config)
    if config.admin.token_file is None and not file.exists():
        raise ConfigError(f"{KEY}: {file} does not exist; the gateway makes it when it starts")
    return read_secret(file, KEY)


def read_or_create(config: Config) -> str | None:
    """Return the token as `read`; a token file that is not configured is made where there is none.

    On a full disk the gateway starts without the file, and the admin API has an unknown token.
    """
    file = path(config)
    if config.admin.token and config.admin.token_file is None:
        try:
            with contextlib.suppress(FileExistsError):
                _create(file)
        except OSError as error:
            if error.errno in DISK_FULL:
                log.error(
                    "%s: %s cannot be made: the disk is full; until the next start the admin API is closed", KEY, file
                )
                return _new()
            raise ConfigError(f"{KEY}: {file} cannot be made: {error.strerror or error}") from None
    token = read(config)
    if token is not None:
        log.info("the bearer token of the admin API is in %s", file)
    return token


def _create(file: Path) -> None:
    """Write a new token beside the file first, so that a reader never sees part of it; FileExistsError if it exists."""
    if file.exists():
        return
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    beside.unlink(missing_ok=True)
    try:
        with private_file.create(beside) as opened:
            opened.write(_new() + "\n")
        os.link(beside, file)
    finally:
        beside.unlink(missing_ok=True)


def _new() -> str:
    return secrets.token_urlsafe(32)
