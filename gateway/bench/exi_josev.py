"""The other side of `v2x bench exi`: run by a Python that has the package `iso15118` and a Java, not by this one.

Reads one JSON object a line from standard input and answers each with one: first a case is set up
(`{"exi": hex, "namespace": ..}`), then calls are timed (`{"what": "encode" | "decode", "layer": "exificient" | "josev",
"calls": n}`). `exificient` is the codec as Josev calls it over py4j; `josev` is what a user of Josev calls, its message
classes included.
"""

import json
import logging
import sys
import time


def main():
    logging.disable(logging.CRITICAL)
    started = time.perf_counter()
    from iso15118.shared.exi_codec import EXI
    from iso15118.shared.exificient_exi_codec import ExificientEXICodec
    from iso15118.shared.messages.enums import Namespace
    from iso15118.shared.settings import SettingKey, shared_settings

    shared_settings.update({SettingKey.MESSAGE_LOG_EXI: False, SettingKey.MESSAGE_LOG_JSON: False})

    codec = ExificientEXICodec()
    EXI().set_exi_codec(codec)
    out, sys.stdout = sys.stdout, sys.stderr
    java = codec.gateway.java_process.pid if hasattr(codec.gateway, "java_process") else None
    answer(out, {"start_ms": 1000 * (time.perf_counter() - started), "java_pid": java})
    calls = {}
    for line in sys.stdin:
        said = json.loads(line)
        try:
            if "exi" in said:
                calls = prepare(EXI(), codec, bytes.fromhex(said["exi"]), getattr(Namespace, said["namespace"]))
                answer(out, {"layers": sorted({layer for layer, _ in calls})})
            else:
                answer(out, {"us": measure(calls[said["layer"], said["what"]], said["calls"])})
        except Exception as error:
            answer(out, {"error": repr(error)[:300]})


def prepare(exi, codec, data, namespace):
    """What can be called with this message; Josev's own classes refuse some valid ones."""
    text = codec.decode(data, namespace)
    if bytes(codec.encode(text, namespace)) != data:
        raise ValueError("EXIficient writes other bytes")
    calls = {
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


def measure(call, count):
    """Microseconds per call."""
    started = time.perf_counter()
    for _ in range(count):
        call()
    return 1e6 * (time.perf_counter() - started) / count


def answer(out, said):
    """One line out."""
    out.write(json.dumps(said) + "\n")
    out.flush()


if __name__ == "__main__":
    main()
