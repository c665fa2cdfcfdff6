"""The pages of work on records and of what is removed: seen, steered, brought back and purged with plain forms."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest
import pytest_asyncio

from saas.metadata import drafts
from saas.runtime import jobs
from saas.runtime import removed as gone
from saas.runtime.worker import run_now
from tests.bundles import field as fld
from tests.integration.backfill.conftest import Shop
from tests.integration.test_pages import Browser


@pytest.fixture(autouse=True)
def settled(monkeypatch):
    monkeypatch.setattr(gone, "SETTLED_SECONDS", -1.0)


@pytest_asyncio.fixture
async def admin(http, shop) -> Browser:
    return await visitor(http, shop, "admin")


async def visitor(http: Any, shop: Shop, who: str) -> Browser:
    browser = Browser(http, f"{shop.lab.slug}.localhost")
    assert (await browser.sign_in(f"{who}@{shop.lab.slug}.example")).status_code == 303
    return browser


async def test_work_is_shown_and_steered(shop, admin):
    empty = await admin.get("/settings/data-changes")
    assert empty.status_code == 200 and "No records had to follow" in empty.text
    await shop.lab.make("order", name="a", place="12")
    shop.put("order", fld("place", "int"))
    job_id = await shop.publish()
    page = await admin.get("/settings/data-changes")
    assert "Change to records: Revision 2" in page.text and "Orders, Place: Values are converted to the new type" in page.text
    assert 'data-line="undone"' in page.text and 'hx-trigger="every 2s"' in page.text
    here = {"next": "/settings/data-changes"}
    for act, status, shown in (("pause", "paused", "Go on"), ("resume", "queued", "Pause"), ("cancel", "cancelled", "Take up again")):
        answer = await admin.post(f"/jobs/{job_id}/{act}", here)
        assert (answer.status_code, answer.headers["location"]) == (303, "/settings/data-changes")
        assert (await jobs.get_job(await shop.lab.ctx("admin"), job_id)).status == status
        assert shown in (await admin.get("/settings/data-changes")).text
    assert "1 part is not done." in (await admin.get("/settings/data-changes")).text
    assert (await admin.post(f"/jobs/{job_id}/pause")).status_code == 409
    await admin.post(f"/jobs/{job_id}/retry", here)
    await run_now(await shop.lab.ctx("admin"), job_id)
    page = await admin.get("/settings/data-changes")
    assert 'data-line="done"' in page.text and "1 record changed." in page.text and "hx-trigger" not in page.text.partition('id="data-changes"')[2].partition(">")[0]
    own = await admin.get(f"/jobs/{job_id}")
    assert own.status_code == 200 and "1 record changed." in own.text
    assert (await admin.get("/settings/jobs")).status_code == 200


async def test_records_that_could_not_follow_are_named_to_those_who_may_read_them(shop, admin):
    for name in ("first", "second"):
        await shop.lab.make("customer", name=name, code="same")
    shop.field("customer", "code")["unique"] = True
    info = await shop.follow()
    page = await admin.get(f"/settings/data-changes/{info.id}")
    assert page.status_code == 200 and "Same value as another record" in page.text
    assert re.findall(r'href="/r/customer/[^"]+">([^<]+)<', page.text) == ["second"]
    shop.raw["roles"].append({"key": "maker", "label": {"en": "Maker"}, "settings": ["config"], "entities": {}})
    await shop.follow()
    await shop.lab.person("maker", ["maker"])
    maker = await visitor(admin.http, shop, "maker")
    page = await maker.get(f"/settings/data-changes/{info.id}")
    assert page.status_code == 200 and "second" not in page.text and "and 1 more, or one you may not see" in page.text


async def test_a_removed_field_is_brought_back_by_way_of_the_draft(shop, admin):
    await shop.lab.make("customer", name="a", code="kept")
    definition = copy.deepcopy(shop.field("customer", "code"))
    shop.drop("customer", "code")
    await shop.follow()
    page = await admin.get("/settings/removed")
    [item] = re.findall(r'data-removed="([^"]+)"', page.text)
    assert item.startswith("customer.code@") and "1 value" in page.text and "since revision 2" in page.text
    answer = await admin.post("/settings/removed/restore", {"item": item})
    assert (answer.status_code, answer.headers["location"]) == (303, "/settings/entities/customer/fields/code")
    draft = await drafts.open_draft(shop.lab.tenant_id, shop.lab.people["admin"])
    assert definition in next(e for e in draft.raw["entities"] if e["key"] == "customer")["fields"]
    assert "in your draft" in (await admin.get("/settings/removed")).text
    assert (await admin.post("/settings/removed/restore", {"item": "customer.nothing@t1"})).status_code == 404


async def test_purging_asks_for_the_name_and_tells_the_count(shop, admin):
    for name in "abc":
        await shop.lab.make("customer", name=name, code="x")
    shop.drop("customer", "code")
    await shop.follow()
    [item] = await gone.removed(await shop.lab.ctx("admin"))
    page = await admin.get(f"/settings/removed/purge?item={item.id}")
    assert page.status_code == 200 and re.search(r"data-purge-count>3 values<", page.text) and "cannot be undone" in page.text
    wrong = await admin.post("/settings/removed/purge", {"item": item.id, "name": "cod"})
    assert wrong.status_code == 422 and 'value="cod"' in wrong.text and "Type the name exactly" in wrong.text
    answer = await admin.post("/settings/removed/purge", {"item": item.id, "name": " Code "})
    assert (answer.status_code, answer.headers["location"]) == (303, "/settings/removed")
    page = await admin.get("/settings/removed")
    assert "Nothing is hidden" in page.text
    assert "3 values destroyed." in (await admin.get("/settings/data-changes")).text
    assert "Removed values purged" in (await admin.get("/settings/audit")).text
    assert (await admin.get(f"/settings/removed/purge?item={item.id}")).status_code == 404


async def test_purging_waits_for_records_that_still_follow(shop, admin):
    await shop.lab.make("customer", name="a", code="x")
    shop.drop("customer", "code")
    await shop.follow()
    [item] = await gone.removed(await shop.lab.ctx("admin"))
    await shop.lab.make("order", name="o", place="1")
    shop.put("order", fld("place", "int"))
    await shop.publish()
    answer = await admin.post("/settings/removed/purge", {"item": item.id, "name": "Code"})
    assert answer.status_code == 409 and "still following" in answer.text and 'value="Code"' in answer.text


@pytest.mark.parametrize("path", ["/settings/data-changes", "/settings/removed", "/settings/removed/purge?item=customer"])
async def test_only_who_may_configure_sees_these_pages(shop, http, path):
    clerk = await visitor(http, shop, "clerk")
    assert (await clerk.get(path)).status_code == 403
    assert (await clerk.post("/settings/removed/purge", {"item": "customer", "name": "x"})).status_code == 403
    assert (await clerk.post("/settings/removed/restore", {"item": "customer"})).status_code == 403
    stranger = Browser(http, f"{shop.lab.slug}.localhost")
    assert (await stranger.get(path)).status_code in (302, 303, 401)


async def test_everything_goes_through_the_translator(shop, admin, marked):
    await shop.lab.make("customer", name="a", code="x")
    await shop.lab.make("order", name="o", place="1")
    shop.drop("customer", "code")
    shop.put("order", fld("place", "int"))
    await shop.publish()
    item = next(i for i in await gone.removed(await shop.lab.ctx("admin")) if i.field == "code")
    await admin.post("/locale", {"locale": "zh_CN", "next": "/"})
    for path in ("/settings/data-changes", "/settings/removed", f"/settings/removed/purge?item={item.id}"):
        page = await admin.get(path, accept_language="zh-CN")
        assert page.status_code == 200
        main = page.text.partition('class="settings-main"')[2].partition("</main>")[0]
        text = re.sub(r"〔[^〕]*〕", "", re.sub(r"<[^>]*>", "\n", main))
        left = [t.strip() for t in text.split("\n") if re.search(r"[A-Za-z]{3,}", t)]
        assert not [t for t in left if t not in ("code", "place", "Code", "Place", "admin ·") and "（中）" not in t], left
