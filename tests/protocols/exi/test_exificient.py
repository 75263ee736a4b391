"""Random messages through EXIficient with grammars from the schemas: it decodes ours and encodes the same bytes."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protocols.exi.codec import Codec
from protocols.exi.fragment import FragmentCodec
from protocols.exi.schema import Simple, declaration
from protocols.iso15118.codecs import BY_NAME
from tests.peers import JOSEV, program, python_peer
from tests.protocols.exi.strategies import UNREADABLE, messages
from tests.protocols.exi.test_laws import roots
from tests.rounds import rounds

SCRIPT = Path(__file__).with_name("exificient.py")

pytestmark = pytest.mark.peer


class Exificient:
    """The EXIficient process."""

    def __init__(self) -> None:
        program("java", "default-jre-headless")
        self._process = subprocess.Popen(
            [python_peer(*JOSEV), SCRIPT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def again(self, schema: str, data: bytes) -> bytes:
        """Return EXIficient's encoding of the message decoded from `data`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"schema": schema, "exi": data.hex()}) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        assert "error" not in answer, (answer, data.hex())
        return bytes.fromhex(answer["exi"])

    def close(self) -> None:
        with self._process:
            assert self._process.stdin is not None
            self._process.stdin.close()
            self._process.wait(20)


@pytest.fixture(scope="module")
def exificient() -> Iterator[Exificient]:
    peer = Exificient()
    yield peer
    peer.close()


def drawn(codec: Codec, data: st.DataObject) -> tuple[str, Any]:
    """Return an element of the codec and a message."""
    if isinstance(codec, FragmentCodec):
        usable = [
            root
            for root in codec.roots
            if root.qname.local not in UNREADABLE
            and not isinstance(root.types[-1], Simple)
            and not declaration(root.types[-1]).abstract
        ]
        root = data.draw(st.sampled_from(usable))
        return root.qname.local, data.draw(messages(codec.schema, root.types[-1], True))
    cls = data.draw(st.sampled_from(roots(codec)))
    return cls.__name__, data.draw(messages(codec.schema, cls, True))


@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", sorted(BY_NAME))
@settings(max_examples=rounds(6, 25), suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_exificient_reads_and_writes_the_same(exificient: Exificient, name: str, data: st.DataObject) -> None:
    codec = BY_NAME[name]
    element, message = drawn(codec, data)
    ours = codec.encode(message, element=element)
    theirs = exificient.again(name, ours)
    assert codec.decode_element(theirs, lenient=False) == (element, message)
    if '""' not in json.dumps(codec.to_plain(message, element)):  # empty values it writes as undeclared ends
        assert theirs == ours
