"""The cluster in the admin API and on the page of an instance, and that a gateway without a cluster has neither."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
from starlette.types import ASGIApp

from gateway import listeners
from tests.gateway.web.cluster_example import ExampleCluster
from tests.gateway.web.page.running_page import running_page
from tests.gateway.web.running_gateway import TOKEN, running_gateway

ROUTE = "/admin/v1/cluster"
WORDS = {
    "en": (
        "Cluster town, as instance gw1 sees it.",
        "gw1 present 1 s ago 41 3, the oldest for 7 s 0.2.0",
        "gw2 draining 0 s ago 5 none 0.1.9",
        "gw3 absent 1 min 15 s ago 17 none 0.1.9",
        "north gw1 1 s ago 46 1764000000000000012",
        "south gw3 (absent) 1 min 14 s ago 0 1764000000000000009",
        "west no holder unknown 0 0",
    ),
    "ja": ("インスタンスgw1から見たクラスターtown", "gw2 停止準備中 0秒前", "gw3 応答なし 1分15秒前", "保持者なし"),
    "de": ("Cluster town, wie ihn Instanz gw1 sieht.", "gw3 abwesend vor 1 min 15 s", "west kein Inhaber unbekannt"),
}  # fmt: skip


def client(app: ASGIApp, **headers: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1", headers=headers)


async def test_the_route_needs_the_token_and_a_cluster(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as running:
        gateway = running.gateway
        assert gateway.csms is not None
        assert (await running.http.get("/cluster")).status_code == 404
        async with client(listeners.admin_app(gateway, gateway.csms, ExampleCluster())) as http:
            assert (await http.get(ROUTE)).status_code == 401
            answer = await http.get(ROUTE, headers={"Authorization": f"Bearer {TOKEN}"})
            assert (answer.status_code, answer.json()) == (200, ExampleCluster()())


async def test_the_page_shows_instances_and_sites_of_a_cluster_only(tmp_path: Path) -> None:
    async with running_page(tmp_path) as page:
        alone = await page.page("/health")
        assert "Cluster" not in alone
        assert 'href="/sites"' not in alone
        gateway = page.gateway
        assert gateway.csms is not None
        async with listeners.page_app(gateway, gateway.csms, ExampleCluster()) as (app, _):
            for language, words in WORDS.items():
                async with client(app, **{"Accept-Language": language}) as http:
                    shown = re.sub(r"(<[^>]+>|\s)+", " ", (await http.get("/health")).text)
                for one in words:
                    assert one in shown, (one, shown)


async def test_every_view_names_the_site_and_leads_to_the_others_where_there_are_several(tmp_path: Path) -> None:
    async with running_page(tmp_path) as page:
        gateway = page.gateway
        assert gateway.csms is not None
        async with listeners.page_app(gateway, gateway.csms, ExampleCluster()) as (app, _), client(app) as http:
            for path in ("/now", "/stations", "/settings"):
                assert '<a href="/sites">Site shelter-1</a>' in (await http.get(path)).text
        one = ExampleCluster()
        del one.status.sites[1:]
        async with listeners.page_app(gateway, gateway.csms, one) as (app, _), client(app) as http:
            assert 'href="/sites"' not in (await http.get("/now")).text
