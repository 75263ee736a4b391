"""An operator, an account and a user of NATS: the JWTs of its decentralised authentication, and the credentials file.

The form of the claims is that of NATS JWTs, version 2: signed by the key above with `ed25519-nkey`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

import nkeys  # type: ignore[import-untyped]


class Accounts:
    """Keys and tokens of one operator with one account that may use JetStream."""

    def __init__(self) -> None:
        self._operator, self._account = _key(nkeys.PREFIX_BYTE_OPERATOR), _key(nkeys.PREFIX_BYTE_ACCOUNT)
        limits = {
            "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": True, "conn": -1,
            "leaf": -1, "mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1,
        }  # fmt: skip
        account = self._account.public_key.decode()
        self.operator = _token(self._operator, self._operator.public_key.decode(), "operator", {})
        self.account = _token(self._operator, account, "account", {"limits": limits})

    def configuration(self, folder: Path) -> Path:
        """Write the configuration of a server that accepts users of the account; return its path."""
        account, system = self._account.public_key.decode(), _key(nkeys.PREFIX_BYTE_ACCOUNT).public_key.decode()
        token = _token(self._operator, system, "account", {})
        path = folder / "nats.conf"
        path.write_text(
            f"operator: {self.operator}\nsystem_account: {system}\nresolver: MEMORY\n"
            f"resolver_preload: {{ {account}: {self.account}, {system}: {token} }}\n"
        )
        return path

    def credentials(self, path: Path) -> Path:
        """Write the credentials file of a new user of the account."""
        user = _key(nkeys.PREFIX_BYTE_USER)
        token = _token(self._account, user.public_key.decode(), "user", {"subs": -1, "data": -1, "payload": -1})
        path.write_text(
            f"-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{user.seed.decode()}\n------END USER NKEY SEED------\n"
        )
        return path


def _key(prefix: int) -> Any:
    return nkeys.from_seed(nkeys.encode_seed(os.urandom(32), prefix))


def _token(signer: Any, subject: str, kind: str, claims: dict[str, Any]) -> str:
    body = {
        "iat": int(time.time()),
        "iss": signer.public_key.decode(),
        "name": kind,
        "sub": subject,
        "nats": {**claims, "type": kind, "version": 2},
    }
    body["jti"] = base64.b32encode(hashlib.sha256(json.dumps(body).encode()).digest()).decode().rstrip("=")
    signed = f"{_part({'typ': 'JWT', 'alg': 'ed25519-nkey'})}.{_part(body)}"
    return f"{signed}.{_encoded(signer.sign(signed.encode()))}"


def _part(content: dict[str, Any]) -> str:
    return _encoded(json.dumps(content).encode())


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
