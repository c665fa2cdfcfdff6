"""Packs through the pages: downloaded, put into another workspace, upgraded with the admin's own changes kept."""

from __future__ import annotations

import copy
import json

import pytest_asyncio

from saas.metadata import edits, store
from saas.metadata.packs import load_pack
from tests.integration.test_pages import Browser

PACK = "baseline-crm"
PHONE = "entities[customer].fields[phone].label.en"
NAME = "entities[customer].fields[name].label.en"


@pytest_asyncio.fixture
async def tenant(tenant_factory):
    return await tenant_factory(pack=PACK)


async def signed_in(http, tenant) -> Browser:
    browser = Browser(http, f"{tenant.slug}.localhost")
    assert (await browser.sign_in(tenant.admin_email, tenant.admin_password)).status_code == 303
    return browser


async def publish_plan(browser: Browser, answer) -> None:
    assert answer.status_code == 303, answer.text[:3000]
    plan = answer.headers["location"].partition("?")[0]
    assert 'data-can-publish="yes"' in (await browser.get(plan)).text
    assert (await browser.post(f"{plan}/publish", {"message": "pack"})).status_code == 303


async def send_file(browser: Browser, raw) -> object:
    request = browser.http.build_request(
        "POST", "/settings/packs", data={"_csrf": browser.csrf}, files={"file": ("pack.json", json.dumps(raw).encode())}, headers=browser._headers({})
    )
    return browser._seen(await browser.http.send(request))


async def test_what_is_downloaded_is_the_same_in_another_workspace(http, tenant, tenant_factory):
    first = await signed_in(http, tenant)
    mine = edits.put((await store.revision(tenant.id)).bundle, PHONE, "Telephone")
    await store.publish(tenant.id, mine, base_revision=1)
    file = await first.get("/settings/packs/export")
    assert "attachment" in file.headers["content-disposition"]
    other = await tenant_factory(pack=PACK)
    second = await signed_in(http, other)
    await publish_plan(second, await send_file(second, file.json()))
    assert (await store.revision(other.id)).hash == (await store.revision(tenant.id)).hash
    same = await send_file(second, file.json())
    assert same.status_code == 409 and "live already" in same.text


async def test_a_newer_version_keeps_what_the_admin_changed_and_asks_where_both_did(http, tenant):
    admin = await signed_in(http, tenant)
    live = (await store.revision(tenant.id)).bundle
    await store.publish(tenant.id, edits.put(edits.put(live, PHONE, "Telephone"), NAME, "Company"), base_revision=1)
    newer = copy.deepcopy(load_pack(PACK))
    newer["pack"]["version"] = "99.0.0"
    newer = edits.put(edits.put(newer, NAME, "Full name"), "entities[customer].plural.en", "Clients")
    question = await send_file(admin, newer)
    assert question.status_code == 200 and "Company" in question.text and "Full name" in question.text and "Telephone" not in question.text
    raw = json.dumps(newer)
    assert (await admin.post("/settings/packs", {"raw": raw})).status_code == 409
    await publish_plan(admin, await admin.post("/settings/packs", {"raw": raw, f"choice:{NAME}": "theirs"}))
    now = (await store.revision(tenant.id)).bundle
    assert [edits.find(now, p) for p in (PHONE, NAME, "entities[customer].plural.en")] == ["Telephone", "Full name", "Clients"]
    assert "installed: 99.0.0" in (await admin.get("/settings/packs")).text


async def test_another_pack_replaces_only_when_that_is_said(http, tenant):
    admin = await signed_in(http, tenant)
    await store.publish(tenant.id, edits.put((await store.revision(tenant.id)).bundle, PHONE, "Telephone"), base_revision=1)
    await admin.get("/settings/packs")
    question = await admin.post("/settings/packs", {"key": "jb-rm-crm"})
    assert question.status_code == 200 and "replaced as a whole" in question.text
    assert (await store.revision(tenant.id)).number == 2
    await publish_plan(admin, await admin.post("/settings/packs", {"key": "jb-rm-crm", "replace": "yes"}))
    assert (await store.revision(tenant.id)).bundle["pack"]["key"] == "jb-rm-crm"


async def test_what_is_no_pack_is_refused_with_words(http, tenant):
    admin = await signed_in(http, tenant)
    await admin.get("/settings/packs")
    for raw in ("", "{", "[]", "{}", '{"pack": 3}', json.dumps({"format": 1, "pack": {"key": "x", "version": "1", "label": {"en": "X"}}, "entities": [], "roles": []})):
        answer = await admin.post("/settings/packs", {"raw": raw, "replace": "yes"})
        assert answer.status_code == 422 and "data-error-summary" in answer.text, raw
