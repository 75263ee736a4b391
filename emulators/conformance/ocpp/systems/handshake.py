"""Opening handshakes at a CSMS: subprotocols, ids, HTTP Basic authentication and TLS (part 4, chapter 3; block A)."""

from __future__ import annotations

import ssl

from emulators.conformance.case import Inconclusive, expect
from emulators.conformance.ocpp.csms_under_test import UNKNOWN_STATION, CsmsUnderTest
from emulators.conformance.ocpp.declarations import V2, V16, Declared, Versions
from emulators.conformance.ocpp.mutants import Opens
from emulators.conformance.ocpp.opening import SWITCHING, Opened

DECLARED: Declared[CsmsUnderTest] = Declared("CSMS", "Opening handshake")
PASSWORD, REFUSES, TLS = "lab.password", "csms.refuses-unknown", "csms.tls"
NO_VERSION = ("ocpp0.9", "x-v2x-other")  # that no CSMS has
UNAUTHORIZED, NOT_FOUND = 401, 404
REFUSALS = (UNAUTHORIZED, 403, NOT_FOUND, 429)
OTHER_USER = "V2X-OTHER-USER"


def _refused(opened: Opened, *statuses: int) -> None:
    allowed = " or ".join(map(str, statuses))
    expect(opened.status in statuses, f"expected HTTP {allowed}, received: {opened.text}")


async def _own_version(csms: CsmsUnderTest) -> None:
    opened = await csms.opened()
    _chosen(opened, csms.station.version)


def _chosen(opened: Opened, version: str) -> None:
    expect(
        opened.status == SWITCHING and opened.subprotocol == version,
        f"expected HTTP 101 with {version}, received: {opened.text}",
    )


async def _several(csms: CsmsUnderTest) -> None:
    version = csms.station.version
    _chosen(await csms.opened((NO_VERSION[0], version, NO_VERSION[1])), version)


async def _no_common(csms: CsmsUnderTest) -> None:
    opened = await csms.opened(NO_VERSION)
    ended = opened.status == SWITCHING and not opened.subprotocol and opened.closed
    expect(ended, f"expected HTTP 101 without a subprotocol and the end of the connection, received: {opened.text}")


async def _no_subprotocol(csms: CsmsUnderTest) -> None:
    opened = await csms.opened(())
    expect(opened.closed or 400 <= opened.status < 500, f"the connection stays open: {opened.text}")


async def _unknown_station(csms: CsmsUnderTest) -> None:
    _refused(await csms.opened(name=UNKNOWN_STATION), *REFUSALS)


async def _encoded(csms: CsmsUnderTest) -> None:
    name = "".join(f"%{byte:02X}" for byte in csms.station.name.encode())
    _chosen(await csms.opened(name=name), csms.station.version)
    async with csms.other(name) as station:
        status = (await station.boot())["status"]
    expect(status == "Accepted", f"BootNotification is answered {status}: the id counts as another one")


async def _no_id(csms: CsmsUnderTest) -> None:
    opened = await csms.opened(name="")
    expect(opened.status != SWITCHING or opened.closed, f"the connection is accepted: {opened.text}")


async def _no_credentials(csms: CsmsUnderTest) -> None:
    _refused(await csms.opened(credentials=None), UNAUTHORIZED)


async def _wrong_password(csms: CsmsUnderTest) -> None:
    _refused(await csms.opened(credentials=(csms.station.name, "V2x-Wrong-0123456789")), UNAUTHORIZED, 429)


async def _other_user(csms: CsmsUnderTest) -> None:
    assert csms.password is not None
    _refused(await csms.opened(credentials=(OTHER_USER, csms.password)), *REFUSALS)


async def _without_tls(csms: CsmsUnderTest) -> None:
    opened = await csms.opened(plain=True)
    expect(opened.status != SWITCHING, f"a connection without TLS is accepted: {opened.text}")


async def _tls_1_1(csms: CsmsUnderTest) -> None:
    current = await csms.opened(tls=ssl.TLSVersion.TLSv1_2)
    old = await csms.opened(tls=ssl.TLSVersion.TLSv1_1)
    if "NO_PROTOCOLS_AVAILABLE" in old.reason or "no protocols available" in old.reason:
        raise Inconclusive("the TLS library of this machine has no TLS 1.1")
    expect(not old.status, f"a connection with TLS 1.1 is accepted: {old.text}")
    expect(current.status == SWITCHING, f"no connection with TLS 1.2: {current.text}")


def _declare(versions: Versions, section: str, basic: str, tls: str) -> None:
    """Declare the cases of one version: sections of connection and subprotocol, of authentication, and of TLS."""
    add = DECLARED.add
    add(
        versions,
        f"{section} 3.2 own version",
        "a handshake that offers the version of the station",
        "HTTP 101 with this subprotocol",
        Opens(subprotocol=""),
        _own_version,
    )
    add(
        versions,
        f"{section} 3.1.2 several versions",
        "a handshake that offers an unknown version, the version of the station, and another unknown one",
        "HTTP 101 with the version of the station",
        Opens(subprotocol=NO_VERSION[0]),
        _several,
    )
    add(
        versions,
        f"{section} 3.2 no common version",
        "a handshake that offers unknown versions only",
        "HTTP 101 without a subprotocol, and the connection is closed at once",
        Opens(subprotocol=NO_VERSION[0], closed=False),
        _no_common,
    )
    add(
        versions,
        f"{section} 3.1.2 no version",
        "a handshake without Sec-WebSocket-Protocol",
        "the connection is closed at once, or not accepted",
        Opens(closed=False),
        _no_subprotocol,
    )
    add(
        versions,
        f"{section} 3.1.1 percent-encoded id",
        "a handshake whose path has the id of the station percent-encoded, and BootNotification",
        "HTTP 101, and the boot of the same station",
        Opens(status=NOT_FOUND, subprotocol=""),
        _encoded,
    )
    add(
        versions,
        f"{section} 3.1.1 no id",
        "a handshake whose path has no id of a station",
        "the connection is not accepted",
        Opens(status=SWITCHING, subprotocol="any"),
        _no_id,
    )
    add(
        versions,
        f"{section} 3.2 unknown station",
        "a handshake of a station that is not registered",
        "HTTP 404, or 401, 403 or 429 where the CSMS does not disclose its stations",
        Opens(status=500),
        _unknown_station,
        REFUSES,
    )
    add(
        versions,
        f"{basic} no credentials",
        "a handshake without credentials",
        "HTTP 401",
        Opens(status=SWITCHING),
        _no_credentials,
        PASSWORD,
    )
    add(
        versions,
        f"{basic} wrong password",
        "a handshake with the id of the station and a wrong password",
        "HTTP 401, or 429 after several attempts",
        Opens(status=SWITCHING),
        _wrong_password,
        PASSWORD,
    )
    add(
        versions,
        f"{basic} other user",
        "a handshake with the password of the station and another user than its id",
        "HTTP 401, 403, 404 or 429",
        Opens(status=SWITCHING),
        _other_user,
        PASSWORD,
    )
    add(
        versions,
        f"{tls} without TLS",
        "a handshake without TLS at the port of the wss URL",
        "the connection is not accepted",
        Opens(status=SWITCHING),
        _without_tls,
        TLS,
    )
    add(
        versions,
        f"{tls} TLS 1.1",
        "handshakes that offer TLS 1.2 only and TLS 1.1 only",
        "the first is accepted, the second not",
        Opens(status=SWITCHING),
        _tls_1_1,
        TLS,
    )


_declare(V2, "RPC", "A00 HTTP Basic,", "A00 TLS,")
_declare(V16, "J", "J 6.2.2", "J 6.2.1")
