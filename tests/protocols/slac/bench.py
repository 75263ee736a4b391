"""One engine and the frames that a test gives it, with the messages that it sends in return."""

from __future__ import annotations

import random
from typing import TypeVar

from protocols.iec61851 import PilotState
from protocols.slac import messages as m
from protocols.slac.codec import decode
from protocols.slac.ev import EvSlac
from protocols.slac.events import Event, PilotChanged, StartMatching
from protocols.slac.evse import EvseSlac
from protocols.slac.frames import BROADCAST, Frame, Message
from protocols.slac.settings import EvseSettings, EvSettings
from protocols.slac.vendor import LinkStatusCnf, LinkStatusReq

EVSE, EV, OTHER_EV, OTHER_EVSE = (bytes.fromhex(f"0200000000{number}") for number in ("01", "11", "12", "02"))
MODEM, OTHER_MODEM = bytes.fromhex("046565000001"), bytes.fromhex("046565000002")
RUN, OTHER_RUN = b"run id 1", b"run id 2"
NMK = bytes(range(16))
MessageT = TypeVar("MessageT")


def frame(source: bytes, message: Message, destination: bytes = BROADCAST) -> bytes:
    """Return an encoded frame."""
    return Frame(destination, source, message).encode()


class Bench:
    """A running engine; `sent` are all frames that it has sent."""

    def __init__(self, engine: EvseSlac | EvSlac) -> None:
        self.engine = engine
        self.now = 0.0
        self.sent: list[Frame] = []
        self.events: list[Event] = []
        self._collect()

    def give(self, source: bytes, message: Message, destination: bytes = BROADCAST) -> list[Frame]:
        """Deliver a message; return the frames that are sent at once."""
        self.events += self.engine.receive(frame(source, message, destination), self.now)
        return self._collect()

    def run(self, seconds: float, *, link: bool | None = None) -> list[Frame]:
        """Let time pass; with `link` the modem answers polls. Return the frames that were sent."""
        until, sent = self.now + seconds, len(self.sent)
        while (due := self.engine.deadline()) is not None and due <= until:
            self.now = max(self.now, due)
            self.events += self.engine.expire(self.now)
            polled = any(isinstance(one.message, LinkStatusReq) for one in self._collect())
            if polled and link is not None:
                self.give(MODEM, LinkStatusCnf(link), self.engine.host)
        self.now = until
        return self.sent[sent:]

    def confirm_key(self, result: int = 1) -> list[Frame]:
        """Let the modem answer the last CM_SET_KEY.REQ."""
        return self.give(MODEM, m.SetKeyCnf(result), self.engine.host)

    def keys(self) -> list[bytes]:
        """Return the keys that were set."""
        return [one.message.nmk for one in self.sent if isinstance(one.message, m.SetKeyReq)]

    def reported(self, kind: type[MessageT]) -> list[MessageT]:
        """Return the events of a class."""
        return [one for one in self.events if isinstance(one, kind)]

    def _collect(self) -> list[Frame]:
        frames = [decode(data) for data in self.engine.data_to_send()]
        self.sent += frames
        return frames


def evse_bench(settings: EvseSettings | None = None) -> Bench:
    """Return an EVSE with its key and a vehicle in state B."""
    engine = EvseSlac(settings or EvseSettings(EVSE), 0.0, entropy=random.Random(7).randbytes)
    bench = Bench(engine)
    bench.confirm_key()
    engine.command(PilotChanged(PilotState.B), 0.0)
    return bench


def ev_bench(settings: EvSettings | None = None) -> Bench:
    """Return a vehicle that has begun to match."""
    engine = EvSlac(settings or EvSettings(EV), 0.0, entropy=random.Random(7).randbytes)
    engine.command(StartMatching(), 0.0)
    return Bench(engine)


def messages(frames: list[Frame]) -> list[Message]:
    """Return the messages of frames."""
    return [one.message for one in frames]


def sound_out(bench: Bench, vehicle: bytes = EV, run_id: bytes = RUN, *, db: int = 10, profiles: int = 10) -> None:
    """Bring an EVSE to CM_ATTEN_CHAR.IND."""
    bench.give(vehicle, m.SlacParmReq(run_id))
    bench.give(vehicle, m.StartAttenCharInd(run_id, vehicle))
    for remaining in reversed(range(10)):
        bench.give(vehicle, m.MnbcSoundInd(run_id, remaining, bytes(16)))
        if remaining < profiles:
            bench.give(MODEM, m.AttenProfileInd(vehicle, bytes((db,)) * 58))
    bench.run(0.05)


def ask_to_match(bench: Bench, vehicle: bytes = EV, run_id: bytes = RUN) -> list[Frame]:
    """Bring an EVSE to CM_SLAC_MATCH.CNF."""
    sound_out(bench, vehicle, run_id)
    bench.give(vehicle, m.AttenCharRsp(vehicle, run_id), EVSE)
    return bench.give(vehicle, m.SlacMatchReq(vehicle, EVSE, run_id), EVSE)
