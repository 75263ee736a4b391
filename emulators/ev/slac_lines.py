"""Lines for people of the events of a matching."""

from __future__ import annotations

from emulators.powerline.program import Listening, Summary
from protocols.slac import events
from protocols.slac.frames import mac_text


def text_of(event: object) -> str | None:
    """Return the line of an event, None if it has none."""
    match event:
        case Listening():
            return f"{event.role} {mac_text(event.mac)} on {event.interface}, modem {event.modem}"
        case Summary():
            return f"{'matched' if event.ok else 'NOT MATCHED'}: {event.matched}"
        case events.FrameIgnored():
            return f"ignored from {mac_text(event.source)}: {event.message or 'a frame'}: {event.reason}"
        case events.AttenuationReported():
            return f"{mac_text(event.evse)} measured {event.mean_db:.1f} dB over {event.sounds} sounds"
        case events.EvseChosen():
            doubt = ", ambiguous" if event.ambiguous else ""
            return f"chosen {mac_text(event.evse)} of {event.candidates} at {event.mean_db:.1f} dB{doubt}"
        case _:
            return _of_matching(event)


def _of_matching(event: object) -> str | None:
    match event:
        case events.ModemIdentified():
            return f"the modem has the firmware {event.version}"
        case events.KeySet():
            return f"the modem has the key of network {event.nid.hex()}"
        case events.KeyRefused():
            return f"the modem refused the key {event.attempts} times"
        case events.MatchingStarted():
            return f"vehicle {mac_text(event.vehicle)} matches, attempt {event.attempt}"
        case events.MatchConfirmed():
            return f"vehicle {mac_text(event.vehicle)} has the key of network {event.nid.hex()}"
        case events.Matched():
            return f"linked: vehicle {mac_text(event.vehicle)}, EVSE {mac_text(event.evse)}"
        case events.SessionEnded() | events.MatchingFailed() | events.NetworkLeft():
            return f"{'left' if isinstance(event, events.NetworkLeft) else 'failed'}: {event.reason}"
        case events.NoMatchingRequest():
            return "no vehicle began to match"
        case events.LinkLost():
            return f"the link to {mac_text(event.peer)} is lost"
        case _:
            return None


EVENTS = (
    Listening, Summary, events.FrameIgnored, events.AttenuationReported, events.EvseChosen, events.ModemIdentified,
    events.KeySet, events.KeyRefused, events.MatchingStarted, events.MatchConfirmed, events.Matched,
    events.SessionEnded, events.MatchingFailed, events.NetworkLeft, events.NoMatchingRequest, events.LinkLost,
)  # fmt: skip
