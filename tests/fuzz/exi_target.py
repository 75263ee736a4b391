"""Fuzz target of the EXI codecs: python tests/fuzz/exi_target.py SCHEMA [libFuzzer options] [CORPUS]

For any bytes, decoding returns a message or raises one ExiError with a path and a bit offset inside the stream. A
decoded message can be encoded, and decodes to the same again. The compiled decoders are instrumented when they are
created, so that the fuzzer tracks the branches of every message.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["protocols.exi"]):
    from protocols.exi import decoder
    from protocols.exi.codec import ExiError
    from protocols.iso15118.codecs import BY_NAME

EXECUTE = decoder.Decoder._execute


def execute_instrumented(self: decoder.Decoder, text: str, what: str, cls: type[object], name: str) -> str:
    """Compile with instrumentation for the fuzzer."""
    label = EXECUTE(self, text, what, cls, name)
    self.scope[name] = atheris.instrument_func(self.scope[name])
    return label


def check(name: str, data: bytes) -> None:
    """Check the properties for one input."""
    codec = BY_NAME[name]
    try:
        element, message = codec.decode_element(data)
    except ExiError as error:
        if not (error.why and 0 <= error.bit <= 8 * len(data) + 64):
            raise AssertionError(f"a fault without a place or a reason: {error}") from error
        return
    again = codec.encode(message, element=element)
    if codec.decode_element(again, lenient=False) != (element, message):
        raise AssertionError("what was written does not read the same")


def main() -> None:
    """Run libFuzzer."""
    name = sys.argv.pop(1)
    decoder.Decoder._execute = execute_instrumented  # type: ignore[method-assign]
    atheris.Setup(sys.argv, lambda data: check(name, data))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
