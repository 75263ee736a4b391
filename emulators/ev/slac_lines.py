"""Lines for people of the events of a matching."""

from __future__ import annotations

from emulators.ev.report import Lines
from emulators.powerline.program import Listening, Summary
from protocols.slac import events
from protocols.slac.frames import mac_text


def _chosen(event: events.EvseChosen) -> str:
    doubt = ", ambiguous" if event.ambiguous else ""
    return f"chosen {mac_text(event.evse)} of {event.candidates} at {event.mean_db:.1f} dB{doubt}"


LINES: Lines = {
    Listening: lambda e: f"{e.role} {mac_text(e.mac)} on {e.interface}, modem {e.modem}",
    Summary: lambda e: f"{'matched' if e.ok else 'NOT MATCHED'}: {e.matched}",
    events.FrameIgnored: lambda e: f"ignored from {mac_text(e.source)}: {e.message or 'a frame'}: {e.reason}",
    events.AttenuationReported: lambda e: f"{mac_text(e.evse)} measured {e.mean_db:.1f} dB over {e.sounds} sounds",
    events.EvseChosen: _chosen,
    events.ModemIdentified: lambda e: f"the modem has the firmware {e.version}",
    events.KeySet: lambda e: f"the modem has the key of network {e.nid.hex()}",
    events.KeyRefused: lambda e: f"the modem refused the key {e.attempts} times",
    events.MatchingStarted: lambda e: f"vehicle {mac_text(e.vehicle)} matches, attempt {e.attempt}",
    events.MatchConfirmed: lambda e: f"vehicle {mac_text(e.vehicle)} has the key of network {e.nid.hex()}",
    events.Matched: lambda e: f"linked: vehicle {mac_text(e.vehicle)}, EVSE {mac_text(e.evse)}",
    events.SessionEnded: lambda e: f"failed: {e.reason}",
    events.MatchingFailed: lambda e: f"failed: {e.reason}",
    events.NetworkLeft: lambda e: f"left: {e.reason}",
    events.NoMatchingRequest: lambda e: "no vehicle began to match",
    events.LinkLost: lambda e: f"the link to {mac_text(e.peer)} is lost",
}
