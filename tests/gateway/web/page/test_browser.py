"""The page in a real Chromium: no violation of the policy, keyboard, narrow screens, accessibility rules.

Without Chromium the tests are skipped with the reason.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, async_playwright

from gateway.web.page.readouts import VIEWS
from tests.gateway.web.page.running_page import RunningPage, running_page
from tests.peers import absent, node_peer

AXE = "axe-core@4.14.1"
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
PHONE = {"width": 360, "height": 740}


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    path = shutil.which("chromium")
    if path is None:
        absent("chromium is not installed (Debian: apt-get install chromium)")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            await browser.close()


async def opened(browser: Browser, page: RunningPage, path: str, **options: Any) -> tuple[Page, list[str]]:
    """Return a tab and the list of what its console complains about."""
    context = await browser.new_context(**options)
    tab = await context.new_page()
    complaints: list[str] = []
    tab.on("console", lambda one: complaints.append(one.text) if one.type in ("error", "warning") else None)
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    await tab.goto(page.url + path, wait_until="load")
    return tab, complaints


async def test_the_browser_finds_no_violation_of_the_policy(tmp_path: Path) -> None:
    async with running_page(tmp_path) as page, chromium() as browser:
        page.evse()
        tab, complaints = await opened(browser, page, "/now", locale="en")
        await tab.wait_for_selector("text=64 %")
        assert complaints == []


async def test_stop_by_keyboard(tmp_path: Path) -> None:
    async with running_page(tmp_path) as page, chromium() as browser:
        page.evse()
        tab, _ = await opened(browser, page, "/now", locale="en")
        await tab.keyboard.press("Tab")
        assert await tab.evaluate("document.activeElement.className") == "skip"
        await tab.keyboard.press("Tab")
        assert await tab.evaluate("document.activeElement.textContent") == "Stop all vehicles"
        await tab.keyboard.press("Enter")
        await tab.wait_for_url("**/command/*")
        assert "Stop, Site" in await tab.inner_text("main")


@pytest.mark.parametrize(("language", "scheme"), [("en", "light"), ("ja", "dark"), ("de", "light")])
async def test_accessibility_rules_and_phones(language: str, scheme: str, tmp_path: Path) -> None:
    axe = await asyncio.to_thread(lambda: node_peer("axe", AXE) / "node_modules" / "axe-core" / "axe.min.js")
    async with running_page(tmp_path) as page, chromium() as browser:
        page.evse()
        # axe itself is added to the page, which the policy of the page would refuse
        options = {"locale": language, "color_scheme": scheme, "viewport": PHONE, "bypass_csp": True}
        tab, _ = await opened(browser, page, "/now", **options)
        for path in (*(f"/{name}" for name in VIEWS), "/command?evse=CP1-1"):
            await tab.goto(page.url + path)
            await tab.add_script_tag(path=axe)
            found = await tab.evaluate("rules => axe.run(document, rules)", RULES)
            problems = [(one["id"], [node["html"] for node in one["nodes"]]) for one in found["violations"]]
            assert problems == [], path
            width = await tab.evaluate("document.documentElement.scrollWidth")
            assert width <= PHONE["width"], path
            assert await tab.evaluate("document.documentElement.lang") == language
