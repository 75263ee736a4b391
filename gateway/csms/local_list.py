"""The local authorisation list (2.x D01, D02; 1.6 5.10, 5.15): stations know the tokens when they cannot reach us.

Where it is switched on, a station that connects is asked for the version of its list; one that is not our last is
replaced, the first part as Full, the others as Differential. A change of tokens goes to all stations after a while
without another.
"""

from __future__ import annotations

import logging
from itertools import islice
from zlib import crc32

import msgspec

from gateway.csms import maintenance_status
from gateway.csms.station import Station
from protocols.ocpp.schema import Payload, Version

log = logging.getLogger("v2x.csms")

PART = 100  # entries of one message
QUIET_S = 5.0  # without another change, before a change goes out
LONGEST = {Version.V16: 20, Version.V201: 36, Version.V21: 255}  # characters of an idToken
KEPT = "local_list"  # among what is remembered of a station


async def sync(station: Station) -> None:
    """Let the station hold the gateway's tokens, if it has a list and holds another."""
    early = station.version is Version.V16
    answer = await station.ask("GetLocalListVersion", {})
    held = -1 if answer is None else int(answer["listVersion" if early else "versionNumber"])
    if held < 0:  # 1.6: it has none
        return
    wanted = entries(station)
    mark, known = crc32(msgspec.json.encode(wanted)), station.upkeep.get(KEPT, {})
    if (known.get("version"), known.get("mark")) == (held, mark):
        return
    version = max(held, int(known.get("version") or 0))
    rest, kind = iter(wanted), "Full"
    part = list(islice(rest, PART))
    while part or kind == "Full":
        version += 1
        body: Payload = {"listVersion" if early else "versionNumber": version, "updateType": kind}
        if part:
            body["localAuthorizationList"] = part
        answer = await station.ask("SendLocalList", body)
        status = "no answer" if answer is None else str(answer["status"])
        if status != "Accepted":
            log.warning("%s did not take its local authorisation list: %s", station.id, status)
            maintenance_status.note(station, KEPT, {"version": None, "status": status})
            return
        part, kind = list(islice(rest, PART)), "Differential"
    maintenance_status.note(station, KEPT, {"version": version, "mark": mark, "status": "Accepted"})


def entries(station: Station) -> list[Payload]:
    """The tokens in the words of the station's version; those that are too long for it are left out."""
    tokens, wall = station.context.tokens, station.context.clock.wall()
    longest = LONGEST[station.version or Version.V21]
    fitting = sorted((one for one in tokens if len(one.id) <= longest), key=lambda token: token.id.casefold())
    if station.version is Version.V16:
        return [{"idTag": one.id, "idTagInfo": tokens.info_16(one.id, wall)} for one in fitting]
    return [
        {"idToken": {"idToken": one.id, "type": one.type}, "idTokenInfo": tokens.info_2(one.id, one.type, wall)}
        for one in fitting
    ]
