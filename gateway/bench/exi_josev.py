"""Peer process of `v2x bench exi`: run by a Python that has the package `iso15118` and a Java.

Reads one JSON object per line from standard input and answers each with one: first a case is set up
(`{"exi": hex, "namespace": ..}`), then calls are timed (`{"what": "encode" | "decode", "layer": "exificient" | "josev",
"calls": n}`). `exificient` is the codec as Josev calls it over py4j; `josev` is what a user of Josev calls, message
classes included.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any, TextIO


def main() -> None:
    logging.disable(logging.CRITICAL)
    started = time.perf_counter()
    exi = import_module("iso15118.shared.exi_codec").EXI()
    namespaces = import_module("iso15118.shared.messages.enums").Namespace
    settings = import_module("iso15118.shared.settings")
    keys = settings.SettingKey
    settings.shared_settings.update({keys.MESSAGE_LOG_EXI: False, keys.MESSAGE_LOG_JSON: False})

    codec = import_module("iso15118.shared.exificient_exi_codec").ExificientEXICodec()
    exi.set_exi_codec(codec)
    out, sys.stdout = sys.stdout, sys.stderr
    java = codec.gateway.java_process.pid if hasattr(codec.gateway, "java_process") else None
    answer(out, {"start_ms": 1000 * (time.perf_counter() - started), "java_pid": java})
    calls: dict[tuple[str, str], Callable[[], Any]] = {}
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if "exi" in request:
                calls = prepare(exi, codec, bytes.fromhex(request["exi"]), getattr(namespaces, request["namespace"]))
                answer(out, {"layers": sorted({layer for layer, _ in calls})})
            else:
                answer(out, {"us": measure(calls[request["layer"], request["what"]], request["calls"])})
        except Exception as error:
            answer(out, {"error": repr(error)[:300]})


def prepare(exi: Any, codec: Any, data: bytes, namespace: Any) -> dict[tuple[str, str], Callable[[], Any]]:
    """Return what can be called with this message; Josev's own classes reject some valid ones."""
    text = codec.decode(data, namespace)
    if bytes(codec.encode(text, namespace)) != data:
        raise ValueError("EXIficient writes other bytes")
    calls: dict[tuple[str, str], Callable[[], Any]] = {
        ("exificient", "encode"): lambda: codec.encode(text, namespace),
        ("exificient", "decode"): lambda: codec.decode(data, namespace),
    }
    try:
        message = exi.from_exi(data, namespace)
        exi.to_exi(message, namespace)
    except Exception:
        return calls
    calls["josev", "encode"] = lambda: exi.to_exi(message, namespace)
    calls["josev", "decode"] = lambda: exi.from_exi(data, namespace)
    return calls


def measure(call: Callable[[], Any], count: int) -> float:
    """Return µs per call."""
    started = time.perf_counter()
    for _ in range(count):
        call()
    return 1e6 * (time.perf_counter() - started) / count


def answer(out: TextIO, content: dict[str, Any]) -> None:
    """Write one line."""
    out.write(json.dumps(content) + "\n")
    out.flush()


if __name__ == "__main__":
    main()
