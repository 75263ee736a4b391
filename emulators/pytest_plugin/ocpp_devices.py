"""Fixtures of OCPP devices under test: `v2x_dut_charger`, a station that dials in, and `v2x_dut_csms`, a URL.

::

    @pytest.mark.v2x_dut(charger="0.0.0.0:9000", station="CP1")
    def test_a_limit(v2x_dut_charger):
        v2x_dut_charger.start()
        v2x_dut_charger.call("SetChargingProfile", {...})
        v2x_dut_charger.until(lambda: v2x_dut_charger.power_w() < 4100, 30, "4 kW")

Addresses are those of the mark `v2x_dut`, of `--v2x-dut-charger` and `--v2x-dut-csms`, or of the environment
(V2X_DUT_CHARGER, V2X_DUT_CSMS); a test without one is skipped. Time is real. The tester runs in a thread, so that the
connection stays open while a test computes; a station stays connected from test to test.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import TimeoutError as LateError
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest

from emulators.pytest_plugin.dut_session import file_name, marked

if TYPE_CHECKING:
    from emulators.conformance.ocpp.listener import Listener
    from emulators.conformance.ocpp.peer import Message
    from emulators.conformance.ocpp.recorded import Recorded
    from emulators.conformance.ocpp.station_under_test import StationUnderTest
    from emulators.conformance.ocpp.tester_csms import Answer
    from emulators.conformance.ocpp.tester_station import TesterStation
    from protocols.ocpp.schema import Payload

T = TypeVar("T")
CONNECTS_WITHIN_S = 120.0
MARGIN_S = 30.0  # beyond the time limit of an operation, for its end
STEP_S = 0.1


class LoopThread:
    """A thread with the loop of a tester."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="v2x tester", daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[object, object, T], within_s: float) -> T:
        """Run a coroutine to its end. Raises TimeoutError."""
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result(within_s + MARGIN_S)
        except LateError:
            future.cancel()
            raise TimeoutError(f"no result within {within_s + MARGIN_S:g} s") from None

    def close(self) -> None:
        """End the loop and its tasks."""

        async def cancel() -> None:
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        with suppress(TimeoutError):
            self.run(cancel(), 5.0)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(MARGIN_S)
        self._loop.close()


class _Handle:
    """Methods of both handles: messages and waits in real time."""

    def __init__(self, thread: LoopThread, recorded: Recorded) -> None:
        self._thread, self._recorded = thread, recorded

    @property
    def messages(self) -> list[Message]:
        """All messages of this test in both directions."""
        return list(self._recorded.messages)

    def requests(self, action: str) -> list[Payload]:
        """Return the payloads of all requests of the device with an action in this test."""
        return [message.payload for message in self._recorded.find(action, since=0)]

    def expect(self, action: str, where: object = None, within_s: float = 30.0) -> Payload:
        """Return the payload of a request of the device since the last call. Raises Failed where none comes."""
        return self._thread.run(self._recorded.expect(action, where or {}, within_s), within_s)

    def sleep(self, seconds: float) -> None:
        """Wait in real time."""
        self._thread.run(asyncio.sleep(seconds), seconds)

    def until(self, condition: Callable[[], bool], within_s: float = 60.0, what: str = "the condition") -> None:
        """Wait in real time until the condition is true; otherwise a TimeoutError names `what`."""

        async def wait() -> bool:
            deadline = asyncio.get_running_loop().time() + within_s
            while not condition():
                if asyncio.get_running_loop().time() >= deadline:
                    return False
                await asyncio.sleep(STEP_S)
            return True

        if not self._thread.run(wait(), within_s):
            raise TimeoutError(f"timeout after {within_s:g} s: {what}")


class DutCharger(_Handle):
    """`v2x_dut_charger`: a station of its own maker, connected to the tester's CSMS."""

    def __init__(self, thread: LoopThread, station: StationUnderTest) -> None:
        super().__init__(thread, station.recorded)
        self.station = station

    @property
    def name(self) -> str:
        """Id of the station."""
        return self.station.csms.handshakes[-1][1].station

    @property
    def version(self) -> str:
        """OCPP version of the connection, such as 2.0.1."""
        return self.station.version.number

    @property
    def online(self) -> bool:
        """Return whether the station is connected."""
        peer = self.station.csms.peer
        return peer is not None and not peer.closed.is_set()

    def answer(self, action: str, answer: Answer) -> None:
        """Set the response to an action of the station for this test."""
        self.station.answer(action, answer)

    def call(self, action: str, payload: Payload | None = None, within_s: float = 30.0) -> Payload:
        """Send a request and return its valid response. Raises Failed for an error or none."""
        return self._thread.run(self.station.request(action, payload, within=within_s), within_s)

    def start(self, evse: int = 1, token: str | None = None) -> str:
        """Start a transaction remotely, unless one runs at the EVSE, and return its id."""

        async def begin() -> str:
            running = self.station.running(evse)
            if running is not None:
                return running
            await (self.station.start(evse) if token is None else self.station.start(evse, token))
            return await self.station.until_running(evse, settles=0.0)

        return self._thread.run(begin(), 120.0)

    def stop(self, evse: int = 1) -> None:
        """Stop the running transaction remotely."""
        self._thread.run(self.station.stop(evse), 60.0)

    def power_w(self, evse: int = 1) -> float:
        """Power of the latest meter values of an EVSE, + is charge. Raises ValueError before the first."""
        power = self.station.power(evse, since=0)
        if power is None:
            raise ValueError(f"no meter values of EVSE {evse} with Power.Active.Import or .Export in this test")
        return power

    def offline(self, seconds: float) -> None:
        """Interrupt the connection; the station has to connect again."""
        self._thread.run(self.station.offline(seconds), seconds + 180.0)


class DutCsms(_Handle):
    """`v2x_dut_csms`: a CSMS at a URL, with the tester as its station."""

    def __init__(self, thread: LoopThread, station: TesterStation, url: str) -> None:
        super().__init__(thread, station.recorded)
        self.station, self.url = station, url

    def answer(self, action: str, answer: Answer) -> None:
        """Set the response of the station to an action of the CSMS."""
        self.station.answers[action] = answer

    def boot(self) -> Payload:
        """Send BootNotification and return its response."""
        return self._thread.run(self.station.boot(), 30.0)

    def call(self, action: str, payload: Payload, within_s: float = 30.0) -> Payload:
        """Send a request and return its valid response. Raises Failed for an error or none."""
        return self._thread.run(self.station.request(action, payload), within_s)


# Configuration -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DeviceOptions:
    """Where a device is, from mark, options and environment."""

    target: str
    station: str | None
    ocpp: str | None
    password: str | None
    within_s: float


_THREADS = pytest.StashKey[dict[DeviceOptions, "_Connected"]]()


def add_options(group: pytest.OptionGroup) -> None:
    """Add the options of devices under test."""
    group.addoption(
        "--v2x-dut-charger",
        default=None,
        metavar="[ADDR]:PORT",
        help="where the charging station under test connects (v2x_dut_charger); also V2X_DUT_CHARGER",
    )
    group.addoption(
        "--v2x-dut-csms", default=None, metavar="URL", help="CSMS under test (v2x_dut_csms); also V2X_DUT_CSMS"
    )


def add_mark(config: pytest.Config) -> None:
    """Add the mark of devices under test."""
    config.addinivalue_line(
        "markers",
        "v2x_dut(charger=None, csms=None, secc=None, ev=None, can=None, station=None, ocpp=None, password=None, "
        "within_s=120): "
        "address of the device under test of v2x_dut_charger, _csms, _secc or _ev, channel of v2x_dut_chademo_ (can); "
        "OCPP: id of the station, version, password, time to connect",
    )


def options(request: pytest.FixtureRequest, role: str) -> DeviceOptions:
    """Return where the device of a test is; without an address the test is skipped."""
    given = marked(request)
    environment = os.environ.get(f"V2X_DUT_{role.upper()}")
    target = given.get(role) or request.config.getoption(f"--v2x-dut-{role}") or environment
    if not target:
        pytest.skip(f"no {role} under test: --v2x-dut-{role}, V2X_DUT_{role.upper()} or the mark v2x_dut")

    def text(name: str) -> str | None:
        value = given.get(name) or os.environ.get(f"V2X_DUT_{name.upper()}")
        return None if value is None else str(value)

    within = given.get("within_s") or os.environ.get("V2X_DUT_WITHIN_S") or CONNECTS_WITHIN_S
    return DeviceOptions(str(target), text("station"), text("ocpp"), text("password"), float(str(within)))


class _Connected:
    """A listener with its thread, which stays open from test to test."""

    def __init__(self, chosen: DeviceOptions) -> None:
        from emulators.conformance.ocpp.listener import NEWEST_FIRST, Listener
        from emulators.conformance.ocpp.tester_csms import TesterCsms
        from emulators.runtime.clock import RealClock
        from protocols.iso15118.io import endpoint
        from protocols.ocpp.schema import Version

        self.thread = LoopThread()
        self._ready = False
        host, port = endpoint(chosen.target)
        versions = NEWEST_FIRST if chosen.ocpp is None else (Version.of(chosen.ocpp),)

        async def make() -> Listener:
            csms = TesterCsms(RealClock())
            return await Listener(
                csms, host, port, station=chosen.station, versions=versions, password=chosen.password
            ).__aenter__()

        self.listener: Listener = self.thread.run(make(), 10.0)

    async def ready(self, within_s: float) -> StationUnderTest:
        """Return the station, after the first connection once it has booted. Raises DeviceUnreachable."""
        from emulators.conformance.ocpp.station_bench import BOOTS_WITHIN, Laboratory, StationBench

        station = await StationBench(self.listener, Laboratory(), within_s).connected()
        if not self._ready:
            recorded = station.recorded
            await recorded.wait_for(lambda: bool(recorded.find("BootNotification", since=0)), BOOTS_WITHIN)
            await station.quiet()
            self._ready = True
        return station

    def close(self) -> None:
        """Close the port."""
        self.thread.run(self.listener.__aexit__(None, None, None), 20.0)
        self.thread.close()


def close_devices(config: pytest.Config) -> None:
    """Close the ports at which stations connect."""
    for connected in config.stash.get(_THREADS, {}).values():
        connected.close()


# Fixtures ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def v2x_dut_charger(request: pytest.FixtureRequest) -> Iterator[DutCharger]:
    """The charging station under test, which connects to the tester; its transactions are stopped at the end."""
    from emulators.conformance.bench import DeviceUnreachable
    from emulators.conformance.case import CaseEnd

    chosen = options(request, "charger")
    running = request.config.stash.setdefault(_THREADS, {})
    if chosen not in running:
        running[chosen] = _Connected(chosen)
    connected = running[chosen]
    try:
        station = connected.thread.run(connected.ready(chosen.within_s), chosen.within_s)
    except DeviceUnreachable as error:
        target = f"{connected.listener.url}/{chosen.station or 'ID'}"
        raise pytest.fail.Exception(f"no station at {target}: {error}", pytrace=False) from None
    station.recorded.stimulus()
    try:
        yield DutCharger(connected.thread, station)
    finally:
        _store(request, station.recorded.write)
        with suppress(CaseEnd, TimeoutError):
            connected.thread.run(station.restore(), 60.0)
        station.recorded.forget()


@pytest.fixture
def v2x_dut_csms(request: pytest.FixtureRequest) -> Iterator[DutCsms]:
    """The CSMS under test, with the tester connected as a station that has not booted."""
    from emulators.conformance.ocpp.tester_station import TesterStation
    from emulators.runtime import ocpp_client
    from emulators.runtime.clock import RealClock
    from protocols.ocpp.schema import Version
    from protocols.ports import TextWire

    chosen = options(request, "csms")
    name, version = chosen.station or "V2X-TESTER", Version.of(chosen.ocpp or "2.0.1")

    async def connect() -> TextWire:
        return await ocpp_client.connect(f"{chosen.target.rstrip('/')}/{name}", (version,), password=chosen.password)

    thread = LoopThread()
    try:
        station = TesterStation(RealClock(), version, name, connect)
        try:
            thread.run(station.connect(), chosen.within_s)
        except ConnectionError as error:
            raise pytest.fail.Exception(f"no CSMS at {chosen.target}: {error}", pytrace=False) from None
        yield DutCsms(thread, station, chosen.target)
        _store(request, station.recorded.write)
        thread.run(station.close(), 10.0)
    finally:
        thread.close()


def _store(request: pytest.FixtureRequest, write: Callable[[Path], None]) -> None:
    """Store the messages of a test as JSON lines."""
    folder = request.config.getoption("--v2x-artifacts")
    if folder is not None:
        Path(folder).mkdir(parents=True, exist_ok=True)
        write(Path(folder) / f"{file_name(request.node.nodeid)}.ocpp.jsonl")
