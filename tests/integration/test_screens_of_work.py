"""Screens that people work on all day, over HTTP: lists with a record beside them, option lists kept by whoever needs them, the operation log, purging."""

from __future__ import annotations

import re

import pytest
import pytest_asyncio

from saas.runtime import execute
from saas.runtime import operations as ops
from tests.acceptance.api import Person, refused
from tests.bundles import field as fld
from tests.bundles import label
from tests.factories import PASSWORD, make_lab
from tests.integration.test_pages import Browser

pytestmark = pytest.mark.asyncio(loop_scope="session")


def bundle():
    fields = [fld("name", "text", required=True, max_length=30), fld("reason", "option", set="reasons"), fld("cost", "int")]
    every = {"create": True, "read": "all", "update": "all", "delete": "all", "export": "all"}
    return {
        "format": 1, "pack": {"key": "desks", "version": "1.0.0", "label": label("Desks")},
        "option_sets": [
            {"key": "reasons", "label": label("Reasons"), "edit_roles": ["clerk"], "options": [{"key": "noise", "label": label("Noise")}, {"key": "heat", "label": label("Heat")}]},
            {"key": "kinds", "label": label("Kinds"), "options": [{"key": "a", "label": label("A")}]},
        ],
        "entities": [
            {"key": "case", "label": label("Case"), "plural": label("Cases"), "title": "name", "fields": fields},
            {"key": "secret", "label": label("Secret"), "plural": label("Secrets"), "title": "name", "owned": False, "fields": [fld("name", "text")]},
        ],
        "views": [{"key": "desk", "entity": "case", "label": label("Desk"), "columns": ["name", "reason"], "panel": True, "default": True}],
        "roles": [
            {"key": "admin", "label": label("Administrator"), "admin": True},
            {"key": "clerk", "label": label("Clerk"), "entities": {"case": {**every, "read": "own", "update": "own", "fields": {"cost": "hidden"}}}},
            {"key": "auditor", "label": label("Auditor"), "entities": {"case": {"read": "all", "fields": {"cost": "hidden"}}}, "settings": ["audit"]},
            {"key": "keeper", "label": label("Keeper"), "entities": {"case": {**every, "purge": True}}},
        ],
    }  # fmt: skip


@pytest_asyncio.fixture(scope="module")
async def lab(database):
    found = await make_lab(bundle(), people=False)
    for who, role in (("ann", "clerk"), ("bob", "clerk"), ("eve", "auditor"), ("kay", "keeper")):
        await found.person(who, [role])
    return found


@pytest_asyncio.fixture
async def as_(lab, http):
    async def person(who: str) -> Browser:
        browser = Browser(http, f"{lab.slug}.localhost")
        assert (await browser.sign_in(f"{who}@{lab.slug}.example")).status_code == 303
        return browser

    return person


async def test_a_record_beside_its_list(lab, as_):
    mine, theirs = await lab.make("case", by="ann", name="Mine"), await lab.make("case", by="bob", name="Theirs")
    ann = await as_("ann")
    page = (await ann.get(f"/r/case?view=desk&open={mine}")).text
    assert 'id="panel-form"' in page and 'value="Mine"' in page and "Theirs" not in page
    for nothing in (theirs, "new0", "00000000-0000-7000-8000-000000000000"):
        page = await ann.get(f"/r/case?view=desk&open={nothing}")
        assert page.status_code == 200 and 'id="panel-form"' not in page.text and "Theirs" not in page.text, nothing
    version = re.search(r'name="_?version" value="(\d+)"', (await ann.get(f"/r/case?view=desk&open={mine}")).text)
    sent = {"panel": "/r/case?view=desk", "name": "Mine, too", **({"version": version[1]} if version else {})}
    assert (await ann.post(f"/r/case/{mine}/edit", sent)).headers["location"] == f"/r/case?view=desk&open={mine}"
    wrong = await ann.post(f"/r/case/{mine}/edit", {**sent, "name": "x" * 31, "version": "2"})
    assert wrong.status_code == 422 and "x" * 31 in wrong.text, "what was typed stays"
    made = await ann.post("/r/case/new", {"panel": "/r/case?view=desk", "name": "Beside"})
    assert made.status_code == 303 and made.headers["location"].startswith("/r/case?view=desk&open=")
    for elsewhere in ("https://evil.example/", "//evil.example/x", "\\\\evil.example"):
        answer = await ann.post("/r/case/new", {"panel": elsewhere, "name": "Away"})
        assert answer.status_code == 303 and "evil" not in answer.headers["location"], elsewhere


async def test_a_list_of_options_is_kept_by_those_who_need_it(lab, as_, http):
    ann, eve = await as_("ann"), await as_("eve")
    assert "Reasons" in (await ann.get("/option-lists")).text and "Kinds" not in (await ann.get("/option-lists")).text
    assert (await ann.post("/option-lists/reasons", {"en": "Dust", "zh_CN": "灰尘"})).status_code == 303
    assert (await ann.post("/option-lists/reasons", {"en": " dust "})).status_code == 422  # there already
    assert (await ann.post("/option-lists/reasons", {})).status_code == 422
    assert (await ann.post("/option-lists/kinds", {"en": "B"})).status_code == 404 == (await ann.post("/option-lists/reasons/nothing", {"active": "no"})).status_code
    assert (await eve.post("/option-lists/reasons", {"en": "Light"})).status_code == 403 and "Reasons" not in (await eve.get("/option-lists")).text
    bob = await Person(http, f"{lab.slug}.localhost", language="zh-CN").sign_in(f"bob@{lab.slug}.example", PASSWORD)
    held = (await bob.create("case", name="Dusty", reason="dust"))["id"]  # at once, for everybody
    assert (await bob.get(f"/records/case/{held}"))["display"]["reason"] == "灰尘"
    assert (await ann.post("/option-lists/reasons/dust", {"active": "no"})).status_code == 303
    assert (await bob.get(f"/records/case/{held}"))["display"]["reason"] == "灰尘", "what was chosen stays"
    refused(await bob.send("POST", "/records/case", {"values": {"name": "New", "reason": "dust"}}), 422, field="reason")
    await bob.change("case", held, name="Dusty still", reason="dust")
    await ann.post("/option-lists/reasons/dust", {"active": "yes"})
    await bob.create("case", name="Again", reason="dust")
    assert (await bob.send("GET", "/config")).status_code == 403, "nothing else comes with it"


async def test_the_operation_log_tells_what_its_reader_may_see(lab, as_):
    case = await lab.make("case", name="Logged", cost=4711, owner=str(lab.people["ann"]))
    await execute(await lab.ctx("ann"), ops.Update(entity="case", id=case, values={"name": "Logged anew"}))
    await execute(await lab.ctx(), ops.Update(entity="case", id=case, values={"cost": 4712}))
    await lab.make("secret", by="admin", name="Top secret")
    eve = await as_("eve")
    page = (await eve.get("/settings/log")).text
    assert "Logged anew" in page and "Ann" in page and "Top secret" not in page and "4712" not in page
    by_bob = (await eve.get(f"/settings/log?person={lab.people['bob']}")).text
    assert "Logged anew" not in by_bob
    assert "Logged anew" not in (await eve.get("/settings/log?first=2001-01-01&last=2001-01-02")).text
    for odd in ("entity=secret", "entity=nothing", "person=x", "first=x&last=y", "before=x~y", "before=2026-01-01T00:00:00Z~x"):
        answer = await eve.get(f"/settings/log?{odd}")
        assert answer.status_code in (200, 403, 404) and "Top secret" not in answer.text, odd
    await execute(await lab.ctx("ann"), ops.Delete(entity="case", id=case))
    assert f"/r/case/{case}?deleted=1" in (await (await as_("admin")).get("/settings/log")).text
    assert (await (await as_("ann")).get("/settings/log")).status_code == 403


async def test_purging_shows_counts_exports_and_asks(lab, as_):
    ann, kay = await as_("ann"), await as_("kay")
    for answer in (await ann.get("/r/case/purge"), await ann.post("/r/case/purge", {"before": ""}), await kay.get("/r/secret/purge")):
        assert answer.status_code in (403, 404)
    assert (await kay.get("/r/case/purge")).status_code == 200
    assert (await kay.post("/r/case/purge", {"before": "soon"})).status_code == 422
    total = int((await lab.fetch("SELECT count(*) FROM record WHERE tenant_id = $1 AND entity_id = (SELECT id FROM entity WHERE tenant_id = $1 AND key = 'case')"))[0][0])
    plan = (await kay.post("/r/case/purge", {"before": ""})).text
    count, export = re.search(r'data-purge-count="(\d+)"', plan), re.search(r'name="export" value="([^"]+)"', plan)
    assert count and export and int(count[1]) == total
    wrong = await kay.post("/r/case/purge", {"export": export[1], "count": str(total + 1)})
    assert wrong.status_code == 409 and "data-purge-error" in wrong.text
    await lab.make("case", by="ann", name="Came later")
    export = re.search(r'name="export" value="([^"]+)"', wrong.text) or export
    late = await kay.post("/r/case/purge", {"export": export[1], "count": str(total)})
    assert late.status_code in (303, 409)
    left = {r.title for r in (await execute(await lab.ctx(), ops.List(entity="case"))).records}
    assert left == {"Came later"} if late.status_code == 303 else "Came later" in left
