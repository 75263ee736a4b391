"""File transfer to and from the locations that a CSMS states: `http(s)://` and `file://`. It blocks a thread."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import unquote, urlsplit

from protocols import private_file

TIMEOUT_S = 30.0
MAX_BYTES = 64 * 1024 * 1024  # of a downloaded file


async def put(url: str, name: str, data: bytes) -> None:
    """Upload data. Raises OSError on failure."""
    await asyncio.to_thread(_put, url, name, data)


async def get(url: str) -> bytes:
    """Download a file. Raises OSError on failure."""
    return await asyncio.to_thread(_get, url)


def _put(url: str, name: str, data: bytes) -> None:
    parts = urlsplit(url)
    if parts.scheme == "file":
        target = Path(unquote(parts.path))
        with private_file.replacing(target / name if target.is_dir() else target, "wb") as out:
            out.write(data)
        return
    _transfer(url if not url.endswith("/") else url + name, data)


def _get(url: str) -> bytes:
    parts = urlsplit(url)
    if parts.scheme == "file":
        return Path(unquote(parts.path)).read_bytes()[:MAX_BYTES]
    return _transfer(url)


def _transfer(url: str, data: bytes | None = None) -> bytes:
    """Send data by PUT, or GET without data; return the body of the response."""
    scheme = urlsplit(url).scheme
    if scheme not in ("http", "https"):
        raise OSError(f"{scheme or url} is not supported")
    try:
        request = urllib.request.Request(url, data=data, method="GET" if data is None else "PUT")
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            body: bytes = answer.read(MAX_BYTES)
            return body
    except ValueError as error:
        raise OSError(str(error)) from error
