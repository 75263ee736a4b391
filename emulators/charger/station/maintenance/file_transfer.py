"""File transfer to and from the locations that a CSMS states: `http(s)://` and `file://`. It blocks a thread."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import unquote, urlsplit

TIMEOUT_S = 30.0
MAX_BYTES = 64 * 1024 * 1024  # of a downloaded file


async def put(url: str, name: str, data: bytes) -> None:
    """Upload data. Raises OSError on failure."""
    await asyncio.get_running_loop().run_in_executor(None, _put, url, name, data)


async def get(url: str) -> bytes:
    """Download a file. Raises OSError on failure."""
    return await asyncio.get_running_loop().run_in_executor(None, _get, url)


def _put(url: str, name: str, data: bytes) -> None:
    parts = urlsplit(url)
    if parts.scheme == "file":
        target = Path(unquote(parts.path))
        (target / name if target.is_dir() else target).write_bytes(data)
        return
    if parts.scheme not in ("http", "https"):
        raise OSError(f"{parts.scheme or url} is not supported")
    address = url if not url.endswith("/") else url + name
    request = urllib.request.Request(address, data=data, method="PUT")
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S):
            pass
    except ValueError as error:
        raise OSError(str(error)) from error


def _get(url: str) -> bytes:
    parts = urlsplit(url)
    if parts.scheme == "file":
        return Path(unquote(parts.path)).read_bytes()[:MAX_BYTES]
    if parts.scheme not in ("http", "https"):
        raise OSError(f"{parts.scheme or url} is not supported")
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:
            data: bytes = answer.read(MAX_BYTES)
            return data
    except ValueError as error:
        raise OSError(str(error)) from error
