"""Reasons why a station cannot connect to its CSMS, in words with the remedy; without credentials."""

from __future__ import annotations

import socket
import ssl
from http import HTTPStatus
from urllib.parse import urlsplit

from websockets.exceptions import InvalidMessage, InvalidStatus

MAX_BODY = 200  # characters of a response that are shown
NOT_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "UNEXPECTED_EOF")
REMEDIES = {
    HTTPStatus.UNAUTHORIZED: "wrong password, or none; the user is the station's id",
    HTTPStatus.FORBIDDEN: "this kind of login is not permitted",
    HTTPStatus.NOT_FOUND: "no such path, or the station's id is unknown",
}


def reason(error: ConnectionError, url: str) -> str:
    """Return why a connection to a URL failed."""
    secure = url.startswith("wss://")
    return f"{without_user(url)}: {_cause(error, secure)}"


def _cause(error: ConnectionError, secure: bool) -> str:
    cause = error.__cause__
    if isinstance(cause, InvalidStatus):
        return _status(cause)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"the certificate of the server is not accepted: {cause.verify_message}"
    if isinstance(cause, ssl.SSLError):
        if any(name in (cause.reason or "") for name in NOT_TLS):
            return "the server does not use TLS at this port; its address begins with ws://"
        return f"TLS failed: {cause.reason or cause}"
    if isinstance(cause, ConnectionRefusedError):
        return "connection refused; no server listens there"
    if isinstance(cause, socket.gaierror):
        return f"unknown host name: {cause.strerror}"
    if isinstance(cause, TimeoutError):
        return "no answer in time"
    if isinstance(cause, InvalidMessage | ConnectionResetError | EOFError):
        if secure:
            return "the server ended the TLS handshake; without TLS its address begins with ws://"
        return "no response of a WebSocket server; a server that expects TLS has an address that begins with wss://"
    if isinstance(cause, OSError) and "Multiple exceptions" in str(cause):
        return "connection refused; no server listens there"
    return str(cause or error) or type(cause).__name__


def _status(rejected: InvalidStatus) -> str:
    response = rejected.response
    body = (response.body or b"").decode("utf-8", "replace").strip()[:MAX_BODY]
    words = REMEDIES.get(HTTPStatus(response.status_code)) if response.status_code in REMEDIES else None
    details = "; ".join(text for text in (words, body and f"the server answers: {body}") if text)
    return f"HTTP {response.status_code} {response.reason_phrase}" + (f": {details}" if details else "")


def without_user(url: str) -> str:
    """Return the URL without a user and a password."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
