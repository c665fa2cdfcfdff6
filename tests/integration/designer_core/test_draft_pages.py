"""The way of a change through the pages: draft, check, publish, compare, back."""

from __future__ import annotations

import json
import re

import pytest_asyncio

from saas.db import tenant_transaction
from saas.metadata import drafts, edits, store
from saas.runtime import execute
from saas.runtime import operations as ops
from tests.bundles import label
from tests.factories import PASSWORD, make_lab
from tests.integration.test_pages import Browser

NAME = "entities[account].fields[bank]"


@pytest_asyncio.fixture
async def lab(database):
    return await make_lab(people=False)


@pytest_asyncio.fixture
async def admin(http, lab) -> Browser:
    return await signed_in(http, lab, "admin")


async def signed_in(http, lab, who: str) -> Browser:
    browser = Browser(http, f"{lab.slug}.localhost")
    assert (await browser.sign_in(f"{who}@{lab.slug}.example", PASSWORD)).status_code == 303
    return browser


async def edit(lab, path, value, title="A step", who="admin"):
    await drafts.edit(lab.tenant_id, lab.people[who], title, lambda raw, data: (edits.put(raw, path, value), data))


async def test_a_change_is_reviewed_published_compared_and_taken_back(admin, lab):
    empty = (await admin.get("/settings/draft")).text
    assert "Nothing to publish" in empty and "data-draft-bar" not in empty
    await edit(lab, f"{NAME}.label", label("House bank"), "Bank renamed")
    page = (await admin.get("/settings/draft")).text
    assert "1 unpublished change" in page and "Bank renamed" in page and "House bank" in page
    answer = await admin.post("/settings/draft/plan")
    assert answer.status_code == 303
    plan = answer.headers["location"]
    text = (await admin.get(plan)).text
    assert 'data-can-publish="yes"' in text and "No record is touched" in text
    answer = await admin.post(f"{plan}/publish", {"message": "Bank is called house bank"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/settings/revisions")
    revisions = (await admin.get("/settings/revisions")).text
    assert "Bank is called house bank" in revisions and "data-draft-bar" not in revisions
    compared = (await admin.get("/settings/revisions/compare?a=1&b=2")).text
    assert "House bank" in compared and "<del>" in compared
    answer = await admin.post("/settings/revisions/1/revert")
    answer = await admin.post(f"{answer.headers['location'].partition('?')[0]}/publish", {"message": ""})
    assert answer.status_code == 303
    first, third = [await store.revision(lab.tenant_id, n) for n in (1, 3)]
    assert first.hash == third.hash
    async with tenant_transaction(lab.tenant_id) as conn:
        told = [(r["kind"], json.loads(r["data"])) for r in await conn.fetch("SELECT kind, data FROM audit_event WHERE kind ~ 'published|reverted' ORDER BY at DESC LIMIT 2")]
    assert [kind for kind, _ in told] == ["config.reverted", "config.published"] and told[0][1]["to"] == 1 and "to" not in told[1][1]


async def test_the_plan_shows_records_and_offers_to_fill_them(admin, lab):
    for number in range(3):
        await lab.make("account", name=f"Acme {number}")
    await lab.make("account", name="Rich", bank="First Bank")
    await edit(lab, f"{NAME}.required", True)
    plan = (await admin.post("/settings/draft/plan")).headers["location"]
    text = (await admin.get(plan)).text
    assert "3 records have no value" in text and text.count("Acme ") == 3 and 'data-can-publish="yes"' in text
    step, answer = re.search(r'name="step" value="([^"]+)"><input type="hidden" name="answer" value="([^"]+)"', text).groups()
    refused = await admin.post("/settings/draft/data", {"step": step.replace("&#34;", '"'), "answer": answer, answer: ""})
    assert refused.status_code == 422
    done = await admin.post("/settings/draft/data", {"step": step.replace("&#34;", '"'), "answer": answer, answer: "Old Bank"})
    assert done.status_code == 303
    assert "is filled with Old Bank" in (await admin.get("/settings/draft")).text
    plan = (await admin.post("/settings/draft/plan")).headers["location"]
    assert "3 records get a value" in (await admin.get(plan)).text
    assert (await admin.post(f"{plan}/publish")).status_code == 303
    from saas.runtime.worker import drain

    await drain()
    found = await execute(await lab.ctx(), ops.List(entity="account", sort=["name"]))
    assert [r.values["bank"] for r in found.records] == ["Old Bank"] * 3 + ["First Bank"]


async def test_a_draft_with_problems_cannot_be_published_but_is_kept(admin, lab):
    await drafts.edit(lab.tenant_id, lab.people["admin"], "Gone", lambda raw, data: (edits.remove(raw, "entities[account].fields[grade]"), data))
    page = (await admin.get("/settings/draft")).text
    assert "To solve before publishing" in page and page.count("data-problem=") >= 2
    assert (await admin.post("/settings/draft/plan")).status_code == 409
    answer = await admin.post("/settings/draft/undo", {"next": "/settings/draft"})
    assert answer.status_code == 303 and "Nothing to publish" in (await admin.get("/settings/draft")).text


async def test_throwing_a_draft_away_asks_first(admin, lab):
    await edit(lab, f"{NAME}.label", label("House bank"))
    assert (await admin.post("/settings/draft/discard")).status_code == 422
    assert not (await drafts.open_draft(lab.tenant_id, lab.people["admin"])).is_empty
    assert (await admin.post("/settings/draft/discard", {"sure": "yes"})).status_code == 303
    assert (await drafts.open_draft(lab.tenant_id, lab.people["admin"])).is_empty


async def test_two_admins_who_change_the_same_thing_decide(http, admin, lab):
    await lab.person("second", ["admin"])
    second = await signed_in(http, lab, "second")
    await edit(lab, f"{NAME}.label.en", "House bank")
    await edit(lab, f"{NAME}.label.en", "Main bank", who="second")
    await edit(lab, "entities[account].fields[taxno].label.en", "Tax number", who="second")
    plan = (await second.post("/settings/draft/plan")).headers["location"]
    mine = (await admin.post("/settings/draft/plan")).headers["location"]
    assert (await second.post(f"{plan}/publish")).status_code == 303
    late = await admin.post(f"{mine}/publish", {"message": "Kept message"})
    assert late.status_code == 409 and "Kept message" in late.text
    page = (await admin.get("/settings/draft")).text
    assert "House bank" in page and "Main bank" in page and "Changed by both" in page
    assert (await admin.post("/settings/draft/decide")).status_code == 409
    path = re.search(r'name="choice:([^"]+)"', page)[1]
    assert (await admin.post("/settings/draft/decide", {f"choice:{path}": "mine"})).status_code == 303
    plan = (await admin.post("/settings/draft/plan")).headers["location"]
    assert (await admin.post(f"{plan}/publish")).status_code == 303
    live = (await store.revision(lab.tenant_id)).bundle
    assert edits.find(live, f"{NAME}.label.en") == "House bank" and edits.find(live, "entities[account].fields[taxno].label.en") == "Tax number"


async def test_only_who_may_configure_comes_in(http, lab):
    await lab.person("seller", ["seller"])
    seller = await signed_in(http, lab, "seller")
    for path in ("/settings/draft", "/settings/revisions", "/settings/revisions/compare?a=1", "/settings/builder/condition?entity=account"):
        assert (await seller.get(path)).status_code == 403
    for path in ("/settings/draft/plan", "/settings/draft/undo", "/settings/draft/data", "/settings/draft/decide", "/settings/draft/fix", "/settings/draft/discard", "/settings/revisions/1/revert", "/settings/builder/check?entity=account"):
        assert (await seller.post(path)).status_code == 403
    assert (await store.revision(lab.tenant_id)).number == 1


async def test_formulas_and_conditions_are_checked_while_they_are_made(admin, lab):
    await lab.make("account", name="Acme", credit=40)
    good = await admin.post("/settings/builder/check?entity=account&result=number", {"text": "credit * 2"}, hx_request="true")
    assert "a number" in good.text and "Acme" in good.text and "80" in good.text
    bad = await admin.post("/settings/builder/check?entity=account&result=number", {"text": "crdit * 2"}, hx_request="true")
    assert "verdict-bad" in bad.text and "credit" in bad.text
    row = await admin.get("/settings/builder/condition?entity=account&name=x&number=3&field=grade", hx_request="true")
    assert 'name="x.3.value"' in row.text and ">A<" in row.text
    assert (await admin.get("/settings/builder/condition?entity=account&name=x&field=nobody")).status_code == 404
