"""Local authorisation list (2.x D01, D02; 1.6 5.10, 5.15): the tokens for stations that are offline.

If enabled, a connecting station is queried for the version of its list; any other than the last one sent is replaced,
the first part as Full, the others as Differential. A change of tokens is sent to all stations after a delay.
"""

from __future__ import annotations

import logging
from zlib import crc32

import msgspec

from gateway.csms import outcomes
from gateway.csms.station import Station
from gateway.csms.tokens import Tokens
from protocols.ocpp.enums import v21
from protocols.ocpp.schema import Payload, Version

log = logging.getLogger("v2x.csms")

Update = v21.UpdateEnumType

PART = 100  # entries of one message
DELAY_S = 5.0  # after the last change of tokens
MAX_LENGTH = {Version.V16: 20, Version.V201: 36, Version.V21: 255}  # characters of an idToken
SUBJECT = "local_list"  # of the maintenance status


async def synchronise(station: Station) -> None:
    """Send the gateway's tokens to the station, if it has a list and its list differs."""
    early = station.version is Version.V16
    answer = await station.request(v21.Action.get_local_list_version, {})
    present = -1 if answer is None else int(answer["listVersion" if early else "versionNumber"])
    if present < 0:  # 1.6: not supported
        return
    context = station.context
    tokens = entries(context.tokens, station.version or Version.V21, context.clock.wall())
    mark, last = crc32(msgspec.json.encode(tokens)), station.maintenance.get(SUBJECT, {})
    if (last.get("version"), last.get("mark")) == (present, mark):
        return
    version = max(present, int(last.get("version") or 0))
    for start in range(0, max(1, len(tokens)), PART):
        version, part = version + 1, tokens[start : start + PART]
        update = Update.differential if start else Update.full
        body: Payload = {"listVersion" if early else "versionNumber": version, "updateType": update}
        if part:
            body["localAuthorizationList"] = part
        answer = await station.request(v21.Action.send_local_list, body)
        status = "no answer" if answer is None else str(answer["status"])
        if status != outcomes.ACCEPTED:
            log.warning("%s rejected its local authorisation list: %s", station.id, status)
            station.record_maintenance(SUBJECT, {"version": None, "status": status})
            return
    status = outcomes.ACCEPTED.value
    station.record_maintenance(SUBJECT, {"version": version, "mark": mark, "status": status})


def entries(tokens: Tokens, version: Version, wall: float) -> list[Payload]:
    """Return the tokens in the format of a version, without those that are too long for it."""
    longest = MAX_LENGTH[version]
    fitting = sorted((one for one in tokens if len(one.id) <= longest), key=lambda token: token.id.casefold())
    if version is Version.V16:
        return [{"idTag": one.id, "idTagInfo": tokens.info_16(one.id, wall)} for one in fitting]
    return [
        {"idToken": {"idToken": one.id, "type": one.type}, "idTokenInfo": tokens.info_2(one.id, one.type, wall)}
        for one in fitting
    ]
