"""Files to and from where a CSMS says: `http(s)://` and `file://`. Blocking work runs in a thread."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import unquote, urlsplit

WITHIN = 30.0  # s
LONGEST = 64 * 1024 * 1024  # bytes of a file that is fetched


async def put(url: str, name: str, data: bytes) -> None:
    """Upload. OSError where it cannot be done."""
    await asyncio.get_running_loop().run_in_executor(None, _put, url, name, data)


async def get(url: str) -> bytes:
    """Download. OSError where it cannot be done."""
    return await asyncio.get_running_loop().run_in_executor(None, _get, url)


def _put(url: str, name: str, data: bytes) -> None:
    parts = urlsplit(url)
    if parts.scheme == "file":
        target = Path(unquote(parts.path))
        (target / name if target.is_dir() else target).write_bytes(data)
        return
    if parts.scheme not in ("http", "https"):
        raise OSError(f"{parts.scheme or url} is not spoken here")
    address = url if not url.endswith("/") else url + name
    request = urllib.request.Request(address, data=data, method="PUT")
    try:
        with urllib.request.urlopen(request, timeout=WITHIN):
            pass
    except ValueError as error:
        raise OSError(str(error)) from error


def _get(url: str) -> bytes:
    parts = urlsplit(url)
    if parts.scheme == "file":
        return Path(unquote(parts.path)).read_bytes()[:LONGEST]
    if parts.scheme not in ("http", "https"):
        raise OSError(f"{parts.scheme or url} is not spoken here")
    try:
        with urllib.request.urlopen(url, timeout=WITHIN) as answer:
            data: bytes = answer.read(LONGEST)
            return data
    except ValueError as error:
        raise OSError(str(error)) from error
