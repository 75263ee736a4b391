"""Network profiles: another CSMS, return to the first after failures, new passwords (A01, A05, B09, B10)."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import warnings
from pathlib import Path
from typing import Any

import pytest

from emulators.charger.station.csms_link.dialer import dial
from emulators.charger.station.csms_link.network_profiles import NetworkProfile, UntrustedCsms
from emulators.charger.station.maintenance.certificate_store import CertificateStore
from protocols.ocpp.schema import Version
from tests.emulators.charger.csms_rig import CsmsRig
from tests.gateway.csms.test_certificates import files
from tests.requirements import requirement

LATE = [Version.V201, Version.V21]


def profile(url: str = "ws://two/ocpp", slot: int = 2, **more: Any) -> dict[str, Any]:
    data = {
        "ocppVersion": "OCPP20", "ocppTransport": "JSON", "ocppCsmsUrl": url, "messageTimeout": 30,
        "securityProfile": 0, "ocppInterface": "Wired0", **more,
    }  # fmt: skip
    return {"configurationSlot": slot, "connectionData": data}


async def move(csms: CsmsRig) -> None:
    assert await csms.call("SetNetworkProfile", profile()) == {"status": "Accepted"}
    assert await csms.set("OCPPCommCtrlr", "NetworkConfigurationPriority", "2,1") == "RebootRequired"
    assert await csms.call("Reset", {"type": "OnIdle"}) == {"status": "Accepted"}


@pytest.mark.virtual_time
@requirement("B09.FR.01", "B10.FR.01", "B10.FR.04")
@pytest.mark.parametrize("version", LATE)
async def test_a_station_boots_at_another_csms(version: Version) -> None:
    """TC_B_45."""
    async with CsmsRig(version) as csms:
        await move(csms)
        await csms.until(lambda: len(csms.calls("BootNotification")) == 2)
        assert [t.url for _, t in csms.dialled] == ["ws://one/ocpp", "ws://two/ocpp"]
        await csms.until(lambda: csms.station.online)
        assert (await csms.get("OCPPCommCtrlr", "ActiveNetworkProfile"))["attributeValue"] == "2"
        assert (await csms.get("OCPPCommCtrlr", "NetworkConfigurationPriority"))["attributeValue"] == "2,1"


@pytest.mark.virtual_time
@requirement("B10.FR.03")
@pytest.mark.parametrize("version", LATE)
async def test_an_unreachable_csms_is_replaced_by_the_previous_one(version: Version) -> None:
    """TC_B_46: NetworkProfileConnectionAttempts attempts, then the next profile."""
    async with CsmsRig(version) as csms:
        assert await csms.set("OCPPCommCtrlr", "NetworkProfileConnectionAttempts", 2) == "Accepted"
        csms.down.add("ws://two/ocpp")
        await move(csms)
        await csms.until(lambda: len(csms.calls("BootNotification")) == 2)
        assert [t.url.split("/")[2] for _, t in csms.dialled] == ["one", "two", "two", "one"]


@pytest.mark.virtual_time
@requirement("B10.FR.08", "B10.FR.09")
async def test_connection_attempts_never_end() -> None:
    """B10.FR.08, .09."""
    async with CsmsRig() as csms:
        await csms.set("OCPPCommCtrlr", "NetworkProfileConnectionAttempts", 2)
        csms.down |= {"ws://two/ocpp", "ws://one/ocpp"}
        await move(csms)
        await csms.until(lambda: len(csms.dialled) >= 9, within=3600)
        assert [t.url.split("/")[2] for _, t in csms.dialled][1:8] == [
            "two",
            "two",
            "one",
            "one",
            "two",
            "two",
            "one",
        ]
        csms.down.clear()
        await csms.until(lambda: csms.station.online)


@pytest.mark.virtual_time
@pytest.mark.parametrize(
    ("about", "slot"),
    [
        ({"ocppTransport": "SOAP"}, 2),
        ({"securityProfile": 2}, 2),  # requires wss
        ({"ocppCsmsUrl": "http://two"}, 2),
        ({"securityProfile": 1, "basicAuthPassword": ""}, 2),
        ({}, 999),  # TC_B_43
        ({"ocppVersion": "OCPP16"}, 2),
    ],
)
@requirement("B09.FR.02", "B09.FR.05", "B10.FR.02")
async def test_invalid_network_profiles_are_rejected(about: dict[str, Any], slot: int) -> None:
    """B09.FR.02, .05."""
    async with CsmsRig() as csms:
        more = {name: value for name, value in about.items() if name != "basicAuthPassword"}
        answer = await csms.call("SetNetworkProfile", profile(slot=slot, **more))
        assert answer["status"] == "Rejected"
        assert await csms.set("OCPPCommCtrlr", "NetworkConfigurationPriority", "2,1") == "Rejected"  # B10.FR.02


@pytest.mark.virtual_time
@requirement("B09.FR.04")
async def test_a_security_profile_is_only_raised_and_requires_certificates() -> None:
    """B09.FR.04, A05.FR.02, TC_A_22."""
    async with CsmsRig(csms="wss://one/ocpp", security_profile=2, password="1234567890123456") as csms:
        lower = await csms.call("SetNetworkProfile", profile(securityProfile=1))
        assert lower["status"] == "Rejected"
        higher = profile("wss://two/ocpp", securityProfile=3)
        assert await csms.call("SetNetworkProfile", higher) == {"status": "Accepted"}
        assert await csms.set("OCPPCommCtrlr", "NetworkConfigurationPriority", "2,1") == "Rejected"


@pytest.mark.virtual_time
@pytest.mark.parametrize("version", LATE)
async def test_a_new_password_is_used_at_once_and_a_short_one_rejected(version: Version) -> None:
    """TC_A_09, TC_A_10."""
    async with CsmsRig(version, security_profile=1, password="old-password-0123") as csms:
        assert await csms.set("SecurityCtrlr", "BasicAuthPassword", "short") == "Rejected"
        assert await csms.set("SecurityCtrlr", "BasicAuthPassword", "new-password-01234") == "Accepted"
        await csms.until(lambda: len(csms.dialled) == 2)
        assert [t.password for _, t in csms.dialled] == ["old-password-0123", "new-password-01234"]
        await csms.until(lambda: csms.station.online)
        assert len(csms.calls("BootNotification")) == 1
        assert (await csms.get("SecurityCtrlr", "BasicAuthPassword"))["attributeStatus"] == "Rejected"


@pytest.mark.virtual_time
async def test_the_key_of_1_6() -> None:
    async with CsmsRig(Version.V16, security_profile=1, password="old-password-0123") as csms:
        body = {"key": "AuthorizationKey", "value": "new-password-01234"}
        assert await csms.call("ChangeConfiguration", body) == {"status": "Accepted"}
        await csms.until(lambda: len(csms.dialled) == 2)
        assert csms.dialled[1][1].password == "new-password-01234"


@pytest.mark.virtual_time
@requirement("B09.FR.22", "B09.FR.24", "B09.FR.25")
async def test_the_slots_of_2_1_are_variables() -> None:
    """B09.FR.08-13, .20-25."""
    async with CsmsRig(Version.V21) as csms:
        for name, value in (("OcppCsmsUrl", "ws://three/ocpp"), ("SecurityProfile", 0), ("MessageTimeout", 20)):
            assert await csms.put_slot(name, value, "3") == "Accepted"
        assert await csms.put_slot("OcppCsmsUrl", "ftp://x", "3") == "Rejected"
        assert await csms.put_slot("OcppCsmsUrl", "ws://x", "1") == "Rejected"
        found = await csms.get("NetworkConfiguration", "OcppCsmsUrl", instance="3")
        assert found["attributeValue"] == "ws://three/ocpp"
        assert await csms.set("OCPPCommCtrlr", "NetworkConfigurationPriority", "3,1") == "RebootRequired"
        assert await csms.set("OCPPCommCtrlr", "NetworkConfigurationPriority", "1") == "Accepted"


@pytest.mark.virtual_time
@pytest.mark.parametrize("version", LATE)
async def test_back_off_doubles_up_to_its_limit(version: Version) -> None:
    """Part 4, 5.4; TC_B_57."""
    async with CsmsRig(version) as csms:
        for name, value in (
            ("RetryBackOffWaitMinimum", 4), ("RetryBackOffRandomRange", 0), ("RetryBackOffRepeatTimes", 2),
        ):  # fmt: skip
            assert await csms.set("OCPPCommCtrlr", name, value) == "Accepted"
        await csms.cut()
        await csms.sleep(100)
        waits = [b - a for (a, _), (b, _) in zip(csms.dialled[1:], csms.dialled[2:], strict=False)]
        assert [round(w) for w in waits[:5]] == [4, 8, 16, 16, 16]


def one_handshake(listener: socket.socket, context: ssl.SSLContext) -> None:
    """Accept one TLS connection; ignore its errors."""
    peer, _ = listener.accept()
    with contextlib.suppress(OSError), context.wrap_socket(peer, server_side=True):
        pass


def serving(tmp_path: Path) -> ssl.SSLContext:
    certificate, key = files(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


@pytest.mark.parametrize("old", [False, True])
async def test_an_untrusted_csms_is_disconnected_and_reported(tmp_path: Path, old: bool) -> None:
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
    target = NetworkProfile(1, Version.V201, f"wss://127.0.0.1:{port}/ocpp", 2, "CP1", "1234567890123456")
    with pytest.raises(UntrustedCsms) as refused:
        await dial(target, CertificateStore(), None, None)
    assert refused.value.event == ("InvalidTLSVersion" if old else "InvalidCsmsCertificate")
    await serving_one
    listener.close()


@pytest.mark.virtual_time
async def test_a_security_event_is_queued_until_online() -> None:
    csms, tries = CsmsRig(security_profile=0), []

    async def connect(target: NetworkProfile) -> Any:
        tries.append(target)
        if len(tries) < 3:
            raise UntrustedCsms("no", "InvalidCsmsCertificate")
        return await CsmsRig.connect(csms, target)

    csms.station.link._connect = connect
    async with csms:
        await csms.sleep(2)
        kinds = [c["type"] for c in csms.calls("SecurityEventNotification")]
        assert kinds == ["InvalidCsmsCertificate", "StartupOfTheDevice"]


@pytest.mark.virtual_time
async def test_unsigned_firmware_is_rejected_from_security_profile_2() -> None:
    """TC_L_18."""
    firmware = {"location": "file:///x", "retrieveDateTime": "2020-01-01T00:00:00Z"}
    for profile_, expected in ((0, "Accepted"), (2, "Rejected")):
        async with CsmsRig(security_profile=profile_, csms="wss://one/ocpp") as csms:
            answer = await csms.call("UpdateFirmware", {"requestId": 1, "firmware": firmware})
            assert answer["status"] == expected
