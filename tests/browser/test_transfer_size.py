"""What a page costs to load: bytes over the wire as a real browser counts them, headers and all, with nothing in its cache."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

FIRST_PAGE_BYTES = 250_000
FRAGMENT_BYTES = 50_000


class Meter:
    """Counts what a browser page receives."""

    def __init__(self) -> None:
        self.urls: dict[str, str] = {}
        self.bytes: dict[str, int] = {}
        self.cached: set[str] = set()
        self.heard = asyncio.Event()

    async def attach(self, page: Any) -> Meter:
        client = await page.context.new_cdp_session(page)
        await client.send("Network.enable")
        client.on("Network.requestWillBeSent", lambda e: self.urls.__setitem__(e["requestId"], e["request"]["url"]))
        client.on("Network.requestServedFromCache", lambda e: self.cached.add(e["requestId"]))
        client.on("Network.loadingFinished", self._finished)
        return self

    def _finished(self, event: dict[str, Any]) -> None:
        if not self.urls.get(event["requestId"], "data:").startswith("data:"):
            self.bytes[event["requestId"]] = int(event["encodedDataLength"])
            self.heard.set()

    @property
    def total(self) -> int:
        return sum(self.bytes.values())

    def lines(self) -> str:
        return "\n".join(f"{size:>8} {self.urls.get(key, '')[-70:]}" for key, size in sorted(self.bytes.items(), key=lambda item: -item[1]))


async def first_record(someone: Any) -> str:
    return await someone.page.locator("[data-list] tbody a.title-link").first.get_attribute("href")


@pytest.mark.parametrize("where", ["home", "list", "record", "board", "dashboard", "form"])
async def test_the_first_page_is_small(acme, visit, where):
    path = {"home": "/", "list": "/r/customer", "record": "/r/customer", "board": "/r/opportunity/board", "dashboard": "/", "form": "/r/customer/new"}[where]
    if where == "record":
        other = await visit(acme, "admin")
        await other.go("/r/customer")
        path = await first_record(other)
    if where == "dashboard":
        other = await visit(acme, "admin")
        await other.go("/reports")
        path = await other.page.locator(".tile[href^='/dashboards/']").first.get_attribute("href")
    someone = await visit(acme, "admin")
    meter = await Meter().attach(someone.page)
    await someone.go(path)
    await someone.page.wait_for_load_state("networkidle")
    print(f"{where}: {meter.total} bytes\n{meter.lines()}")
    assert len(meter.bytes) >= 5 and not meter.cached & set(meter.bytes), meter.lines()
    assert meter.total < FIRST_PAGE_BYTES, f"{where}: {meter.total} bytes\n{meter.lines()}"


async def test_the_next_page_brings_no_asset_again(acme, visit):
    someone = await visit(acme, "admin")
    await someone.go("/r/customer")
    await someone.page.wait_for_load_state("networkidle")
    meter = await Meter().attach(someone.page)
    await someone.go("/r/opportunity")
    await someone.page.wait_for_load_state("networkidle")
    again = [meter.urls[key] for key, size in meter.bytes.items() if "/static/" in meter.urls[key] and size and key not in meter.cached]
    assert again == [], again
    assert meter.total < FRAGMENT_BYTES, meter.lines()


@pytest.mark.parametrize("act", ["sort", "search", "more"])
async def test_a_fragment_is_small(acme, visit, act):
    someone = await visit(acme, "admin")
    page = await someone.go("/r/customer?limit=200")
    meter = await Meter().attach(page)
    if act == "sort":
        await page.locator("[data-list] thead a").first.click()
    elif act == "search":
        await page.locator("#list-q").fill("a")
    else:
        await page.locator("#add-filter").click()
    if act != "more":
        await asyncio.wait_for(meter.heard.wait(), 60)
    await page.wait_for_timeout(600)  # for what else might come
    largest = max(meter.bytes.values(), default=0)
    assert largest < FRAGMENT_BYTES, meter.lines()
