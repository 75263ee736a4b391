"""Network profiles: another CSMS, back to the first where that fails, new passwords (A01, A05, B09, B10)."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import warnings
from pathlib import Path
from typing import Any

import pytest

from emulators.charger.station.csms_dialer import dial
from emulators.charger.station.maintenance.certificate_store import CertificateStore
from emulators.charger.station.maintenance.network_profiles import Target, Untrusted
from protocols.ocpp.schema import Version
from tests.emulators.charger.csms_rig import Desk
from tests.gateway.csms.test_certificates import files
from tests.requirements import requirement

LATE = [Version.V201, Version.V21]


def profile(url: str = "ws://two/ocpp", slot: int = 2, **more: Any) -> dict[str, Any]:
    data = {
        "ocppVersion": "OCPP20", "ocppTransport": "JSON", "ocppCsmsUrl": url, "messageTimeout": 30,
        "securityProfile": 0, "ocppInterface": "Wired0", **more,
    }  # fmt: skip
    return {"configurationSlot": slot, "connectionData": data}


async def move(desk: Desk) -> None:
    assert await desk.ask("SetNetworkProfile", profile()) == {"status": "Accepted"}
    assert await desk.set("OCPPCommCtrlr", "NetworkConfigurationPriority", "2,1") == "RebootRequired"
    assert await desk.ask("Reset", {"type": "OnIdle"}) == {"status": "Accepted"}


@pytest.mark.virtual_time
@requirement("B09.FR.01", "B10.FR.01", "B10.FR.04")
@pytest.mark.parametrize("version", LATE)
async def test_a_station_moves_to_another_csms_and_boots_there(version: Version) -> None:
    """TC_B_45."""
    async with Desk(version) as desk:
        await move(desk)
        await desk.until(lambda: len(desk.calls("BootNotification")) == 2)
        assert [t.url for _, t in desk.dialled] == ["ws://one/ocpp", "ws://two/ocpp"]
        await desk.until(lambda: desk.station.online)
        assert (await desk.get("OCPPCommCtrlr", "ActiveNetworkProfile"))["attributeValue"] == "2"
        assert (await desk.get("OCPPCommCtrlr", "NetworkConfigurationPriority"))["attributeValue"] == "2,1"


@pytest.mark.virtual_time
@requirement("B10.FR.03")
@pytest.mark.parametrize("version", LATE)
async def test_where_the_new_one_does_not_answer_the_old_one_is_taken_again(version: Version) -> None:
    """TC_B_46: as many attempts as NetworkProfileConnectionAttempts says, then the next."""
    async with Desk(version) as desk:
        assert await desk.set("OCPPCommCtrlr", "NetworkProfileConnectionAttempts", 2) == "Accepted"
        desk.down.add("ws://two/ocpp")
        await move(desk)
        await desk.until(lambda: len(desk.calls("BootNotification")) == 2)
        assert [t.url.split("/")[2] for _, t in desk.dialled] == ["one", "two", "two", "one"]


@pytest.mark.virtual_time
@requirement("B10.FR.08", "B10.FR.09")
async def test_nothing_reachable_is_no_end() -> None:
    """B10.FR.08, .09."""
    async with Desk() as desk:
        await desk.set("OCPPCommCtrlr", "NetworkProfileConnectionAttempts", 2)
        desk.down |= {"ws://two/ocpp", "ws://one/ocpp"}
        await move(desk)
        await desk.until(lambda: len(desk.dialled) >= 9, within=3600)
        assert [t.url.split("/")[2] for _, t in desk.dialled][1:8] == [
            "two",
            "two",
            "one",
            "one",
            "two",
            "two",
            "one",
        ]
        desk.down.clear()
        await desk.until(lambda: desk.station.online)


@pytest.mark.virtual_time
@pytest.mark.parametrize(
    ("about", "slot"),
    [
        ({"ocppTransport": "SOAP"}, 2),
        ({"securityProfile": 2}, 2),  # wants wss
        ({"ocppCsmsUrl": "http://two"}, 2),
        ({"securityProfile": 1, "basicAuthPassword": ""}, 2),
        ({}, 999),  # TC_B_43
        ({"ocppVersion": "OCPP16"}, 2),
    ],
)
@requirement("B09.FR.02", "B09.FR.05", "B10.FR.02")
async def test_profiles_that_cannot_work_are_refused(about: dict[str, Any], slot: int) -> None:
    """B09.FR.02, .05."""
    async with Desk() as desk:
        more = {name: value for name, value in about.items() if name != "basicAuthPassword"}
        answer = await desk.ask("SetNetworkProfile", profile(slot=slot, **more))
        assert answer["status"] == "Rejected"
        assert await desk.set("OCPPCommCtrlr", "NetworkConfigurationPriority", "2,1") == "Rejected"  # B10.FR.02


@pytest.mark.virtual_time
@requirement("B09.FR.04")
async def test_a_security_profile_is_only_raised_and_wants_its_certificates() -> None:
    """B09.FR.04, A05.FR.02, TC_A_22."""
    async with Desk(csms="wss://one/ocpp", security_profile=2, password="1234567890123456") as desk:
        lower = await desk.ask("SetNetworkProfile", profile(securityProfile=1))
        assert lower["status"] == "Rejected"
        higher = profile("wss://two/ocpp", securityProfile=3)
        assert await desk.ask("SetNetworkProfile", higher) == {"status": "Accepted"}
        assert await desk.set("OCPPCommCtrlr", "NetworkConfigurationPriority", "2,1") == "Rejected"


@pytest.mark.virtual_time
@pytest.mark.parametrize("version", LATE)
async def test_a_new_password_is_used_at_once_and_a_short_one_refused(version: Version) -> None:
    """TC_A_09, TC_A_10."""
    async with Desk(version, security_profile=1, password="old-password-0123") as desk:
        assert await desk.set("SecurityCtrlr", "BasicAuthPassword", "short") == "Rejected"
        assert await desk.set("SecurityCtrlr", "BasicAuthPassword", "new-password-01234") == "Accepted"
        await desk.until(lambda: len(desk.dialled) == 2)
        assert [t.password for _, t in desk.dialled] == ["old-password-0123", "new-password-01234"]
        await desk.until(lambda: desk.station.online)
        assert len(desk.calls("BootNotification")) == 1
        assert (await desk.get("SecurityCtrlr", "BasicAuthPassword"))["attributeStatus"] == "Rejected"


@pytest.mark.virtual_time
async def test_the_key_of_1_6() -> None:
    async with Desk(Version.V16, security_profile=1, password="old-password-0123") as desk:
        body = {"key": "AuthorizationKey", "value": "new-password-01234"}
        assert await desk.ask("ChangeConfiguration", body) == {"status": "Accepted"}
        await desk.until(lambda: len(desk.dialled) == 2)
        assert desk.dialled[1][1].password == "new-password-01234"


@pytest.mark.virtual_time
@requirement("B09.FR.22", "B09.FR.24", "B09.FR.25")
async def test_the_slots_of_2_1_are_variables() -> None:
    """B09.FR.08-13, .20-25."""
    async with Desk(Version.V21) as desk:
        for name, value in (("OcppCsmsUrl", "ws://three/ocpp"), ("SecurityProfile", 0), ("MessageTimeout", 20)):
            assert await desk.put_slot(name, value, "3") == "Accepted"
        assert await desk.put_slot("OcppCsmsUrl", "ftp://x", "3") == "Rejected"
        assert await desk.put_slot("OcppCsmsUrl", "ws://x", "1") == "Rejected"
        found = await desk.get("NetworkConfiguration", "OcppCsmsUrl", instance="3")
        assert found["attributeValue"] == "ws://three/ocpp"
        assert await desk.set("OCPPCommCtrlr", "NetworkConfigurationPriority", "3,1") == "RebootRequired"
        assert await desk.set("OCPPCommCtrlr", "NetworkConfigurationPriority", "1") == "Accepted"


@pytest.mark.virtual_time
@pytest.mark.parametrize("version", LATE)
async def test_waits_between_attempts_double_up_to_their_times(version: Version) -> None:
    """Part 4, 5.4; TC_B_57."""
    async with Desk(version) as desk:
        for name, value in (
            ("RetryBackOffWaitMinimum", 4), ("RetryBackOffRandomRange", 0), ("RetryBackOffRepeatTimes", 2),
        ):  # fmt: skip
            assert await desk.set("OCPPCommCtrlr", name, value) == "Accepted"
        await desk.cut()
        await desk.sleep(100)
        waits = [b - a for (a, _), (b, _) in zip(desk.dialled[1:], desk.dialled[2:], strict=False)]
        assert [round(w) for w in waits[:5]] == [4, 8, 16, 16, 16]


def one_handshake(listener: socket.socket, context: ssl.SSLContext) -> None:
    """A server that tries; what it says to a client it cannot please goes out."""
    peer, _ = listener.accept()
    with contextlib.suppress(OSError), context.wrap_socket(peer, server_side=True):
        pass


def serving(tmp_path: Path) -> ssl.SSLContext:
    certificate, key = files(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


@pytest.mark.parametrize("old", [False, True])
async def test_a_csms_that_cannot_be_trusted_is_left_and_told_of(tmp_path: Path, old: bool) -> None:
    """TC_A_05, TC_A_06."""
    context = serving(tmp_path)
    if old:
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_1

    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    serving_one = asyncio.get_running_loop().run_in_executor(None, one_handshake, listener, context)
    target = Target(1, Version.V201, f"wss://127.0.0.1:{port}/ocpp", 2, "CP1", "1234567890123456")
    with pytest.raises(Untrusted) as refused:
        await dial(target, CertificateStore(), None, None)
    assert refused.value.event == ("InvalidTLSVersion" if old else "InvalidCsmsCertificate")
    await serving_one
    listener.close()


@pytest.mark.virtual_time
async def test_the_security_event_waits_for_a_csms_to_tell() -> None:
    desk, tries = Desk(security_profile=0), []

    async def connect(target: Target) -> Any:
        tries.append(target)
        if len(tries) < 3:
            raise Untrusted("no", "InvalidCsmsCertificate")
        return await Desk.connect(desk, target)

    desk.station.line._connect = connect
    async with desk:
        await desk.sleep(2)
        kinds = [c["type"] for c in desk.calls("SecurityEventNotification")]
        assert kinds == ["InvalidCsmsCertificate", "StartupOfTheDevice"]


@pytest.mark.virtual_time
async def test_unsigned_firmware_is_refused_from_profile_2_on() -> None:
    """TC_L_18."""
    firmware = {"location": "file:///x", "retrieveDateTime": "2020-01-01T00:00:00Z"}
    for profile_, expected in ((0, "Accepted"), (2, "Rejected")):
        async with Desk(security_profile=profile_, csms="wss://one/ocpp") as desk:
            answer = await desk.ask("UpdateFirmware", {"requestId": 1, "firmware": firmware})
            assert answer["status"] == expected
