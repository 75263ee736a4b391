"""The page in a real Chromium: live values, no violation of the policy, keyboard, narrow screens, accessibility rules.

Without playwright or Chromium the tests are skipped with the reason. One browser and one gateway serve all tests but
those that end a gateway. With V2X_DRAW=1 the pictures of the documents are taken.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import pytest_asyncio

from emulators.charger.station.power_path import CarPowerPath
from emulators.charger.station.run import Options, make
from emulators.ev.car import Car
from emulators.ev.profile import load
from gateway import listeners
from gateway.model.command import Channel, Submission, Verb
from gateway.model.energy_state import MainSwitch, Phase
from gateway.model.event import NeedsStated, PowerLimits, VehicleNeeds
from gateway.model.result import Status
from gateway.web import server
from gateway.web.page.readouts import VIEWS
from tests.drawings import DOCS
from tests.gateway.web.cluster_example import ExampleCluster
from tests.gateway.web.page.running_page import RunningPage, running_page
from tests.peers import absent, node_peer

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

pytestmark = pytest.mark.asyncio(loop_scope="module")
AXE = "axe-core@4.14.1"
RULES = {
    "resultTypes": ["violations"],
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
}
PHONE: Any = {"width": 360, "height": 740}
DESK: Any = {"width": 1100, "height": 900}
SHELTER = {
    "site": {"id": "shelter-1", "import_limit_w": 50_000, "min_soc_pct": 30, "mode": "price"},
    "energy": {
        "island": True,
        "forming": ["CP1-1"],
        "confirm_s": 0,
        "off_grid_pct": 15,
        "storage": {"controlled": True, "capacity_wh": 20_000, "max_charge_w": 5000, "max_discharge_w": 5000},
        "tiers": [
            {"name": "medical", "priority": 0, "expected_w": 700, "critical": True},
            {"name": "cooling", "priority": 1, "expected_w": 1500},
        ],
    },
}


def axe() -> Path:
    """Return the folder of the npm project of the accessibility rules."""
    return node_peer("axe", AXE)


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    try:
        from playwright.async_api import async_playwright
    except ImportError:
        absent("playwright is not installed (pip install playwright; it drives the Chromium of the distribution)")
    path = shutil.which("chromium")
    if path is None:
        absent("chromium is not installed (Debian: apt-get install chromium)")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            await browser.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as started:
        yield started


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def page(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningPage]:
    """A shelter on the grid with a plan, and an emulated station with two vehicles."""
    async with running_page(tmp_path_factory.mktemp("page"), tables=SHELTER, within_s=600) as running:
        prices(running)
        inputs(running)
        url = f"ws://127.0.0.1:{running.gateway.ocpp_port}/ocpp"
        charger = await make(Options(url, evses=2, meter_interval_s=1.0))
        tasks = [asyncio.create_task(charger.run()), asyncio.create_task(measured(running))]
        cars = ((1, "leaf-40", 64.0), (2, "outlander-20", 81.0))
        for number, profile, soc_pct in cars:
            path = charger.power_paths[number - 1]
            assert isinstance(path, CarPowerPath)
            now = charger.station.clock.now()
            car = Car(load(profile), soc_pct, name=profile, departure_at=now + (9 + number) * 3600)
            charger.station.plug_in(number, path.plug(car, now))
        for _ in range(100):
            await asyncio.sleep(0.1)
            ready = running.gateway.service.states(["CP1-1", "CP1-2"])
            if sum(one.soc_pct is not None and one.available.max_discharge_w > 0 for one in ready) == len(cars):
                break
        plan(running)
        yield running
        await charger.stop()
        for task in tasks:
            task.cancel()


def prices(page: RunningPage) -> None:
    """Send the prices of two days."""
    wall = page.gateway.clock.wall()
    begin = wall - wall % 3600 - 6 * 3600
    day = (24, 22, 21, 20, 20, 22, 26, 31, 38, 41, 40, 36, 30, 27, 25, 24)
    hours = [{"start": begin + h * 3600, "duration_s": 3600, "import_per_kwh": day[h % len(day)]} for h in range(40)]
    page.input("price", currency="JPY", prices=hours)


def inputs(page: RunningPage, present: bool = True, is_open: bool = False) -> None:
    """Send the measurements of the facility."""
    page.input("load", power_w=2200.0)
    page.input("switch", open=is_open)
    page.input("grid", present=present, power_w=1500.0 if present else 0.0, voltage_v=200.0 if present else 0.0)
    page.input("storage", power_w=0.0, soc_pct=70.0)


async def measured(page: RunningPage) -> None:
    """Send the measurements of the facility until cancelled."""
    while True:
        await asyncio.sleep(2)
        inputs(page)


def plan(page: RunningPage) -> None:
    """Make the look-ahead plan now, which the energy service makes after a minute."""
    energy = page.gateway.energy_service
    energy.step()  # measures the load
    view = energy.view()
    problem = energy.controller.problem(view)
    assert problem is not None
    energy.controller.take_plan(*energy.controller.planner.plan(problem, view.now))


async def opened(browser: Browser, page: RunningPage, path: str, **options: Any) -> tuple[Page, list[str]]:
    """Return a tab and the list of what its console complains about."""
    context = await browser.new_context(**{"locale": "en", **options})
    tab = await context.new_page()
    complaints: list[str] = []
    tab.on("console", lambda one: complaints.append(one.text) if one.type in ("error", "warning") else None)
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    await tab.goto(page.url + path, wait_until="load")
    return tab, complaints


async def seen(tab: Page, selector: str, within_s: float = 20) -> None:
    """Wait until an element is visible; AssertionError with the text of the page where it is not."""
    try:
        await tab.wait_for_selector(selector, timeout=within_s * 1000)
    except Exception as error:
        text = await tab.inner_text("body")
        raise AssertionError(f"{selector} is not visible: {text}") from error


async def test_live_values_arrive_even_if_the_extension_loads_late(browser: Browser, page: RunningPage) -> None:
    """htmx starts when all scripts have run; one that started before did not see the extension, and nothing moved."""
    tab, complaints = await opened(browser, page, "/health")

    async def late(route: Any) -> None:
        await asyncio.sleep(0.4)
        await route.continue_()

    await tab.route("**/hx-sse.min.js", late)
    await tab.goto(page.url + "/now")
    await tab.focus("button[value='CP1-1']")
    for power_w in (3300.0, 2400.0):
        await discharge(page, power_w)
        await seen(tab, f"#evse-1 >> text=discharging {power_w / 1000} kW")
    assert await tab.evaluate("document.activeElement.value") == "CP1-1"  # the focus stays
    assert await tab.is_hidden("#stale")
    await tab.set_viewport_size(PHONE)
    await tab.evaluate("scrollTo(0, document.body.scrollHeight)")
    assert await tab.evaluate("document.querySelector('#stop button').getBoundingClientRect().top >= 0")
    assert complaints == []
    await tab.context.close()


async def test_a_tab_in_the_background_frees_its_connection(browser: Browser, page: RunningPage) -> None:
    """Browsers open six connections to a host: hidden tabs must not hold them."""
    tab, _ = await opened(browser, page, "/now")
    await discharge(page, 1100.0)
    await seen(tab, "#evse-1 >> text=discharging 1.1 kW")
    show = "hidden => { Object.defineProperty(document, 'hidden', {value: hidden, configurable: true});"
    show += " document.dispatchEvent(new Event('visibilitychange')); }"
    await tab.evaluate(show, True)
    await discharge(page, 2100.0)
    await asyncio.sleep(3)
    assert "discharging 1.1 kW" in await tab.inner_text("#evse-1")
    await tab.evaluate(show, False)
    await seen(tab, "#evse-1 >> text=discharging 2.1 kW")
    await tab.context.close()


async def discharge(page: RunningPage, power_w: float) -> None:
    """Command a discharge of CP1-1 (by MQTT it would end: the gateway has no broker here)."""
    body = {"id": f"{power_w:g} at {time.monotonic()}".replace(" ", "-"), "power_w": power_w, "lease_s": 600.0}
    submission = Submission("CP1-1", Verb.DISCHARGE, json.dumps(body).encode(), Channel.API)
    result = await page.gateway.service.submit(submission)
    assert result.status is Status.ACCEPTED, result


async def test_values_of_a_gateway_that_has_stopped_are_marked_as_old(browser: Browser, tmp_path: Path) -> None:
    async with running_page(tmp_path) as stopping:
        stopping.evse()
        tab, _ = await opened(browser, stopping, "/now")
        stopping.metered(-1200.0)
        await seen(tab, "#evse-1 >> text=discharging 1.2 kW")
        assert await tab.is_hidden("#stale")
    await tab.wait_for_selector("#stale", state="visible", timeout=10_000)
    assert "old" in await tab.inner_text("#stale")
    await tab.context.close()


async def test_a_command_and_a_stop_by_keyboard(browser: Browser, page: RunningPage) -> None:
    tab, complaints = await opened(browser, page, "/now")

    async def reach(text: str) -> None:
        """Press Tab until an element has the focus, which must be visible."""
        for _ in range(60):
            await tab.keyboard.press("Tab")
            if text in await tab.evaluate("document.activeElement.ariaLabel || document.activeElement.textContent"):
                assert await tab.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
                return
        raise AssertionError(f"{text} cannot be reached")

    await tab.keyboard.press("Tab")
    assert await tab.evaluate("document.activeElement.className") == "skip"
    await tab.keyboard.press("Tab")
    assert await tab.evaluate("document.activeElement.textContent") == "Stop all vehicles"
    await reach("Command to CP1-1")
    await tab.keyboard.press("Enter")
    await seen(tab, "text=Power in kW")
    await tab.keyboard.press("Tab")
    await tab.focus("#power_kw")
    await tab.keyboard.type("3")
    await tab.keyboard.press("Enter")
    await seen(tab, "text=Would be granted")
    await reach("Discharge CP1-1 now")
    await tab.keyboard.press("Enter")
    await tab.wait_for_url("**/command/*")
    await seen(tab, "text=Discharge, CP1-1: achieved")  # by itself
    assert "The meter shows the power." in await tab.inner_text("main")
    await tab.goto(page.url + "/now")
    await reach("Stop all vehicles")
    await tab.keyboard.press("Enter")
    await tab.wait_for_url("**/command/*")
    assert "Stop, Site" in await tab.inner_text("main")
    assert complaints == []
    await tab.context.close()


async def test_charts_are_drawn_and_their_values_are_in_the_document(browser: Browser, page: RunningPage) -> None:
    tab, complaints = await opened(browser, page, "/plan")
    painted = """() => [...document.querySelectorAll('.chart canvas')].map(one => {
        const data = one.getContext('2d').getImageData(0, 0, one.width, one.height).data;
        return data.filter((_, index) => index % 4 === 3 && data[index] > 0).length; })"""
    assert [one > 2000 for one in await tab.evaluate(painted)] == [True, True, True]
    assert await tab.locator("figure table").count() == 3
    names = await tab.eval_on_selector_all(".chart", "all => all.map(one => one.getAttribute('aria-label'))")
    assert all(names)
    assert "CP1-1: lowest" in await tab.inner_text("main")
    before = await tab.evaluate("document.querySelector('.chart canvas').width")
    await tab.set_viewport_size(PHONE)
    for _ in range(50):  # the policy of the page refuses `wait_for_function`, which evaluates a text
        await asyncio.sleep(0.1)
        if await tab.evaluate("document.querySelector('.chart canvas').width") < before:
            break
    assert await tab.evaluate("document.querySelector('.chart canvas').width") < before
    assert complaints == []
    await tab.context.close()


@pytest.mark.parametrize(
    ("options", "paths"),
    [
        ({"locale": "en"}, (*(f"/{name}" for name in VIEWS), "/command?evse=CP1-1")),
        ({"locale": "ja", "color_scheme": "dark"}, ("/now", "/outage")),
        ({"locale": "de", "contrast": "more"}, ("/plan",)),
    ],
    ids=["light", "dark", "contrast"],
)
async def test_accessibility_rules_and_phones(
    options: dict[str, Any], paths: tuple[str, ...], browser: Browser, page: RunningPage
) -> None:
    script = await asyncio.to_thread(axe) / "node_modules" / "axe-core" / "axe.min.js"
    context = await browser.new_context(viewport=PHONE, **options)
    await context.add_init_script(path=script)
    tab = await context.new_page()
    for path in paths:
        await tab.goto(page.url + path)
        found = await tab.evaluate("rules => axe.run(document, rules)", RULES)
        problems = [(one["id"], [node["html"] for node in one["nodes"]]) for one in found["violations"]]
        assert problems == [], path
        width = await tab.evaluate("document.documentElement.scrollWidth")
        assert width <= PHONE["width"], path
        assert await tab.evaluate("document.documentElement.lang") == options["locale"]
    await context.close()


async def test_the_cluster_of_an_instance(browser: Browser, page: RunningPage) -> None:
    cluster, gateway = ExampleCluster(), page.gateway
    assert gateway.csms is not None
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    script = await asyncio.to_thread(axe) / "node_modules" / "axe-core" / "axe.min.js"
    async with listeners.page_app(gateway, gateway.csms, cluster) as (app, stopping):
        serving = server.serve(app, "127.0.0.1", 0, ready=port.set_result, stopping=stopping)
        task = asyncio.create_task(serving)
        tab, complaints = await opened(browser, page, "/health", viewport=PHONE)
        assert await tab.is_hidden("text=Instances")  # a gateway alone
        await tab.context.add_init_script(path=script)
        await tab.goto(f"http://127.0.0.1:{await port}/health")
        await seen(tab, "tr:has-text('gw2') >> text=draining")
        found = await tab.evaluate("rules => axe.run(document, rules)", RULES)
        assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found["violations"]] == []
        assert await tab.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        first, gone, third = cluster.status.instances
        absent_now = msgspec.structs.replace(gone, present=False, seen_s=8.0)
        cluster.status = msgspec.structs.replace(cluster.status, instances=[first, absent_now, third])
        await seen(tab, "tr:has-text('gw2') >> text=absent")  # by itself
        assert complaints == []
        await tab.context.close()
        task.cancel()
        await asyncio.wait({task})


async def test_the_pictures_of_the_documents(browser: Browser, page: RunningPage, tmp_path: Path) -> None:
    """Taken in each run; with V2X_DRAW=1 into the documents."""
    folder = DOCS / "pictures" if os.environ.get("V2X_DRAW") == "1" else tmp_path
    await discharge(page, 2200.0)
    await picture(browser, page, "/now", folder / "page-now.png", "· discharging 2.2 kW", viewport=DESK)
    await picture(browser, page, "/plan", folder / "page-plan.png", "CP1-1: lowest", viewport=DESK)
    phone = {"viewport": PHONE, "locale": "de", "color_scheme": "dark"}
    await picture(browser, page, "/now", folder / "page-phone.png", "· entlädt mit 2,2 kW", **phone)
    async with running_page(tmp_path, tables=SHELTER) as shelter:
        inputs(shelter)
        for name, vehicle, power_w, soc_pct in (("CP1-1", "leaf-40", -2200.0, 64.0), ("CP2-1", "outlander", 0.0, 81.0)):
            shelter.evse(name, vehicle, power_w, soc_pct)
            needs = VehicleNeeds(PowerLimits(6000, 6000), True)
            shelter.gateway.service.report(NeedsStated(name, shelter.gateway.clock.now(), needs))
        await until_island(shelter)
        await picture(browser, shelter, "/outage", folder / "page-outage.png", "medical", viewport=DESK)
    explained = (DOCS / "page.md").read_text("utf-8")
    for taken in ("page-now.png", "page-plan.png", "page-phone.png", "page-outage.png"):
        assert f"pictures/{taken}" in explained
        assert (folder / taken).stat().st_size < 200_000


async def picture(browser: Browser, page: RunningPage, path: str, file: Path, text: str, **options: Any) -> None:
    tab, _ = await opened(browser, page, path, **options)
    await seen(tab, f"text={text}")
    await tab.screenshot(path=file)
    await tab.context.close()


async def until_island(page: RunningPage) -> None:
    """Lose the grid, and report as the facility does until the island supplies the site."""
    service = page.gateway.service
    for _ in range(40):
        energy = service.site_state().energy
        if energy is not None and energy.phase is Phase.ISLAND and energy.autonomy_h:
            return
        is_open = energy is not None and energy.main_switch is MainSwitch.OPEN
        inputs(page, False, is_open)
        page.metered(-2200.0 if is_open else 0.0)
        await asyncio.sleep(0.25)
    raise AssertionError(service.site_state().energy)
