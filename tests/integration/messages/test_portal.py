"""People from outside who are a record: they see it and what belongs to it, and nothing else, whichever way they ask."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import pytest

from saas.errors import AppError, NotFound, PermissionDenied
from saas.metadata.parse import examine
from saas.runtime import execute
from saas.runtime import operations as ops
from saas.runtime.finding import find_everywhere
from saas.tenants import find_user
from tests.acceptance.api import Person, refused
from tests.bundles import field as fld
from tests.bundles import label
from tests.conftest import PASSWORD
from tests.factories import Lab, make_lab
from tests.integration.test_pages import Browser
from tests.mailbox import mailed

pytestmark = pytest.mark.asyncio(loop_scope="session")


def agency_bundle():
    agent = {
        "key": "agent", "label": label("Agent"), "plural": label("Agents"), "title": "name", "search": ["name"], "owned": False,
        "fields": [fld("name", "text", required=True), fld("email", "email"), fld("account", "user"), fld("commission", "int"), fld("status", "option", default="new", options=[{"key": k, "label": label(k)} for k in ("new", "ok")])],
    }  # fmt: skip
    lead = {
        "key": "lead", "label": label("Lead"), "plural": label("Leads"), "title": "name", "search": ["name"], "owned": False,
        "fields": [fld("name", "text", required=True), fld("phone", "phone"), fld("agent", "ref", to="agent", read_only=True, inverse={"key": "leads", "label": label("Leads")}, on_delete="cascade"), fld("papers", "file", multiple=True)],
        "duplicates": [{"key": "name", "match": ["name"], "action": "warn"}],
        "unique": [{"key": "phone", "fields": ["phone"], "message": label("Known")}],
    }  # fmt: skip
    visit = {
        "key": "visit", "label": label("Visit"), "plural": label("Visits"), "title": "name", "search": ["name"], "owned": False,
        "fields": [fld("name", "text", required=True), fld("lead", "ref", to="lead", required=True, inverse={"key": "visits", "label": label("Visits")}, on_delete="cascade")],
    }  # fmt: skip
    bulletin = {"key": "bulletin", "label": label("Bulletin"), "plural": label("Bulletins"), "title": "name", "owned": False, "fields": [fld("name", "text", required=True), fld("text", "longtext"), fld("live", "bool")]}
    own = {"create": True, "read": "portal_self", "update": "portal_self", "delete": "portal_self", "export": True, "bulk": True, "merge": True}
    return {
        "format": 1, "pack": {"key": "agency", "version": "1.0.0", "label": label("Agency")}, "entities": [agent, lead, visit, bulletin],
        "roles": [
            {"key": "admin", "label": label("Administrator"), "admin": True},
            {"key": "agent", "label": label("Agent"), "portal": {"entity": "agent", "link": "account", "email": "email"}, "notice": {"entity": "bulletin", "text": "text", "where": "live == true"},
             "entities": {"agent": {"read": "portal_self", "update": "portal_self", "fields": {"commission": "hidden"}}, "lead": own, "visit": own}, "reports": ["month"],
             "menu": [{"label": label("Mine"), "items": ["lead", "visit"]}]},
        ],
        "reports": [{"key": "month", "label": label("Month"), "widgets": [{"key": "n", "label": label("Leads"), "type": "number", "entity": "lead", "measures": [{"fn": "count"}]}]}],
        "web_forms": [{"key": "apply", "label": label("Apply"), "entity": "agent", "fields": ["name", "email"], "required": ["email"]}],
        "automations": [{"key": "let_in", "label": label("Let in"), "entity": "agent", "on": {"trigger": "update", "fields": ["status"]}, "if": "status == 'ok'",
                         "do": [{"action": "invite", "role": "agent", "email": "email", "name": "name"}]},
                        {"key": "told", "label": label("Told"), "entity": "lead", "on": {"trigger": "update", "fields": ["papers"]}, "do": [{"action": "notify", "to": ["agent.account"], "title": label("{{ name }} has papers")}]}],
    }  # fmt: skip


@dataclass
class Agency(Lab):
    things: dict[str, Any] = field(default_factory=dict)


@pytest.fixture(scope="module")
async def agency(database):
    lab = await make_lab(agency_bundle(), people=False)
    things = {}
    for who in ("ann", "ben"):
        await lab.person(who, ["agent"])
        things[who] = await lab.make("agent", name=f"Agent {who}", account=str(lab.people[who]), commission=7)
        for n in range(2):
            lead = await lab.make("lead", by=who, name=f"Lead of {who} {n}", phone=f"1390000{50 if who == 'ann' else 60}{n:02}")
            things[f"{who}{n}"] = lead
            await lab.make("visit", by=who, name=f"Visit of {who} {n}", lead=str(lead))
    return Agency(lab.tenant_id, lab.slug, lab.people, lab.departments, things)


async def names(lab, who, entity, **more):
    page = await execute(await lab.ctx(who), ops.List(entity=entity, count="exact", **more))
    assert page.count.value == len(page.records)
    return {r.title for r in page.records}


async def test_lists_counts_search_reports_and_single_records_are_theirs(agency):
    assert await names(agency, "ann", "lead") == {"Lead of ann 0", "Lead of ann 1"}
    assert await names(agency, "ann", "visit") == {"Visit of ann 0", "Visit of ann 1"}, "over two references"
    assert await names(agency, "ann", "agent") == {"Agent ann"}
    assert await names(agency, "ann", "lead", q="ben") == set()
    assert await names(agency, "ann", "visit", filter={"field": "lead", "op": "eq", "value": str(agency.things["ben0"])}) == set()
    ctx = await agency.ctx("ann")
    assert not [f for f in await find_everywhere(ctx, "ben", limit=50)]
    [row] = await execute(ctx, ops.Aggregate(entity="lead", measures=[ops.Measure(fn="count")]))
    assert next(iter(row.values)) in (2, "2")
    for entity, key in (("agent", "ben"), ("lead", "ben0")):
        for operation in (
            ops.Get(entity=entity, id=agency.things[key]), ops.History(entity=entity, id=agency.things[key]), ops.Update(entity=entity, id=agency.things[key], values={"name": "x"}),
            ops.Delete(entity=entity, id=agency.things[key]),
        ):  # fmt: skip
            with pytest.raises((NotFound, PermissionDenied)):
                await execute(ctx, operation)
    with pytest.raises(PermissionDenied):
        await execute(ctx, ops.List(entity="bulletin"))


async def test_what_they_add_is_theirs_and_nothing_leaves(agency):
    ctx = await agency.ctx("ann")
    made = await agency.make("lead", by="ann", name="New of ann", phone="13900000599")
    assert (await agency.get("lead", made)).values["agent"] == str(agency.things["ann"])
    with pytest.raises(AppError):
        await execute(ctx, ops.Create(entity="visit", values={"name": "Stolen", "lead": str(agency.things["ben0"])}))
    with pytest.raises(AppError):
        await execute(ctx, ops.Update(entity="agent", id=agency.things["ann"], values={"account": str(agency.people["ben"])}))
    mine = next(r.id for r in (await execute(ctx, ops.List(entity="visit"))).records)
    with pytest.raises(AppError):
        await execute(ctx, ops.Update(entity="visit", id=mine, values={"lead": str(agency.things["ben0"])}))
    answers = await execute(ctx, ops.CreateMany(entity="visit", rows=[{"name": "Ok", "lead": str(agency.things["ann0"])}, {"name": "No", "lead": str(agency.things["ben0"])}]))
    assert isinstance(answers[1], AppError) and not isinstance(answers[0], AppError)
    await execute(ctx, ops.Delete(entity="lead", id=made))


async def test_pages_and_api_show_nothing_of_others(agency, http):
    browser = Browser(http, f"{agency.slug}.localhost")
    await browser.sign_in(f"ann@{agency.slug}.example")
    page = await browser.get("/r/lead")
    assert page.status_code == 200 and "Lead of ann 0" in page.text and "of ben" not in page.text
    assert 'class="app portal"' in page.text and "data-open-palette" not in page.text.split("<main")[0]
    for path in (
        f"/r/lead/{agency.things['ben0']}", f"/r/agent/{agency.things['ben']}", f"/r/lead/{agency.things['ben0']}/edit", "/r/bulletin", "/settings", "/settings/users", "/settings/entities", "/settings/messages",
        "/settings/connections", "/settings/audit", "/r/agent/new", "/r/agent/import", "/dashboards/x",
    ):  # fmt: skip
        answer = await browser.get(path)
        assert answer.status_code in (403, 404), (path, answer.status_code)
        assert "Agent ben" not in answer.text and "Lead of ben" not in answer.text
    for path in ("/search?q=ben", "/reports/month", "/r/visit", f"/r/lead/{agency.things['ann0']}", f"/r/agent/{agency.things['ann']}", "/lookup/visit/lead?q=ben"):
        answer = await browser.get(path)
        assert answer.status_code == 200, path
        assert "Agent ben" not in answer.text and "Lead of ben" not in answer.text, path
    api = await Person(http, f"{agency.slug}.localhost").sign_in(f"ann@{agency.slug}.example", PASSWORD)
    assert {u["id"] for u in (await api.get("/users"))["data"]} <= {str(agency.people["ann"])}
    assert "commission" not in (await api.list("agent"))[0]["values"]
    assert (await api.send("GET", "/config")).status_code == 403


async def test_papers_notifications_hints_and_ids_of_others_open_nothing(agency, http):
    """What hangs on a record is as far away as the record; ids that somebody knows all the same do nothing in acts on many."""
    host = f"{agency.slug}.localhost"
    ann, ben = [await Person(http, host, language="en").sign_in(f"{who}@{agency.slug}.example", PASSWORD) for who in ("ann", "ben")]
    theirs, mine = [str(agency.things[key]) for key in ("ben0", "ann0")]
    stored = await http.post("/api/v1/files", data={"entity": "lead", "field": "papers"}, files={"file": ("offer of ben.txt", b"secret of ben", "text/plain")}, headers={"authorization": f"Bearer {ben.token}", "host": host})
    assert stored.status_code == 201, stored.text
    paper = stored.json()["id"]
    refused(await ann.send("GET", f"/files/{paper}"), 404)  # not attached yet: its maker's alone
    await ben.change("lead", theirs, papers=[paper])
    assert (await ben.send("GET", f"/files/{paper}")).content == b"secret of ben"
    refused(await ann.send("GET", f"/files/{paper}"), 404)
    taken = await ann.send("PATCH", f"/records/lead/{mine}", {"values": {"papers": [paper]}})
    assert taken.status_code in (403, 404, 422), "nor does attaching it to one's own record open it"
    refused(await ann.send("GET", f"/files/{paper}"), 404)

    [note] = (await ben.get("/notifications"))["data"]
    assert note["title"] == "Lead of ben 0 has papers"
    assert not [n for n in (await ann.get("/notifications"))["data"] if "ben" in n["title"]]
    await ann.call("POST", "/notifications/read", {"ids": [note["id"]]}, expect=204)
    assert (await ben.get("/notifications"))["unread"] == 1
    browser = Browser(http, host)
    await browser.sign_in(f"ann@{agency.slug}.example")
    assert (await browser.get(f"/notifications/{note['id']}")).headers["location"] == "/notifications"

    hint = await ann.call("POST", "/records/lead/alike", {"values": {"name": "Lead of ben 0"}})
    assert "ben" not in str(hint.get("matches")).lower().replace("lead of ben 0", "") and theirs not in str(hint) and str(agency.things["ben"]) not in str(hint)
    warned = refused(await ann.send("POST", "/records/lead", {"values": {"name": "Lead of ben 0"}}), 409)
    known = refused(await ann.send("POST", "/records/lead", {"values": {"name": "Something else", "phone": "139000060" + "00"}}), 422)
    assert theirs not in str(warned) and theirs not in str(known) and "Agent ben" not in str(warned) + str(known)

    for act in ({"action": "update", "values": {"name": "Taken"}}, {"action": "delete"}):
        done = await ann.call("POST", "/records/lead/bulk", {"ids": [theirs], **act})
        assert "ben" not in str(done).lower() and "Lead of" not in str(done), done
    for path, body in (
        (f"/records/lead/{theirs}/shares", {"with": str(agency.people["ann"])}), (f"/records/lead/{theirs}/transfer", {"to": str(agency.people["ann"])}), ("/records/lead/merge", {"ids": [mine, theirs]}),
        ("/records/lead/transfer", {"to": str(agency.people["ann"]), "ids": [theirs]}), (f"/records/lead/{theirs}/restore", {}), (f"/records/lead/{theirs}/approvals", {}),
    ):  # fmt: skip
        answer = await ann.send("POST", path, body)
        assert answer.status_code >= 400 or "Lead of ben" not in answer.text, path
    for path in ("history", "documents", "shares", "approvals", "account"):
        answer = await ann.send("GET", f"/records/lead/{theirs}/{path}")
        assert answer.status_code in (403, 404), path
    assert theirs not in str(await ann.list("lead", filter='{"field": "id", "op": "in", "value": ["' + theirs + '"]}'))
    kept = await agency.get("lead", agency.things["ben0"])
    assert kept.title == "Lead of ben 0" and kept.values["agent"] == str(agency.things["ben"]) and kept.values["papers"]


async def test_something_to_read_stands_before_everything_until_it_is_confirmed(agency, http):
    admin = await agency.ctx()
    bulletin = await agency.make("bulletin", name="Hours", text="Report by 18:00 daily", live=True)
    await agency.make("bulletin", name="Old", text="No longer", live=False)
    browser = Browser(http, f"{agency.slug}.localhost")
    await browser.sign_in(f"ben@{agency.slug}.example")
    assert (await browser.get("/r/lead")).headers["location"] == "/notice?next=/r/lead"
    page = await browser.get("/notice?next=/r/lead")
    assert "Report by 18:00 daily" in page.text and "No longer" not in page.text
    shown = re.search(r'name="shown" value="([^"]+)"', page.text)[1]
    await execute(admin, ops.Update(entity="bulletin", id=bulletin, values={"text": "Report by 17:00 daily"}))
    assert (await browser.post("/notice", {"shown": shown, "next": "/r/lead"})).headers["location"] == "/notice", "what was written meanwhile is shown next"
    page = await browser.get("/notice?next=/r/lead")
    assert "17:00" in page.text
    assert (await browser.post("/notice", {"shown": re.search(r'name="shown" value="([^"]+)"', page.text)[1], "next": "/r/lead"})).headers["location"] == "/r/lead"
    assert (await browser.get("/r/lead")).status_code == 200
    again = Browser(http, browser.host)
    await again.sign_in(f"ben@{agency.slug}.example")
    assert (await again.get("/r/lead")).status_code == 200
    staff = Browser(http, browser.host)
    await staff.sign_in(f"admin@{agency.slug}.example")
    assert (await staff.get("/r/lead")).status_code == 200
    await execute(admin, ops.Update(entity="bulletin", id=bulletin, values={"live": False}))


async def test_somebody_applies_is_approved_and_comes_in_by_a_proved_address(agency, http, database, monkeypatch):
    from saas.runtime import web_forms
    from saas.runtime.contexts import system_context
    from saas.tenants.mail import send_due

    ctx = await system_context(agency.tenant_id, origin="form")
    form, _entity = web_forms.form_of(ctx, "apply")
    async with mailed(database) as box:
        taken = await web_forms.submit(ctx, form, {"name": "Cleo", "email": "cleo@x.example"}, token=web_forms.show(ctx, form).token, trap="", answer="", ip="203.0.113.9", now=web_forms.time.time() + 9)
        await send_due()
        assert not box.to("cleo@x.example"), "not before somebody approved"
        await execute(await agency.ctx(), ops.Update(entity="agent", id=taken.record_id, values={"status": "ok"}))
        await send_due()
        link = box.link("cleo@x.example")
    browser = Browser(http, f"{agency.slug}.localhost")
    path = "/" + link.split("/", 3)[3]
    assert (await browser.get(path)).status_code == 200
    assert (await browser.post(path, {"name": "Cleo", "password": "a good long password"})).status_code == 303
    person = await find_user(agency.tenant_id, email="cleo@x.example")
    assert (await agency.get("agent", taken.record_id)).values["account"] == str(person["id"])
    page = await browser.get("/r/agent")
    assert "Cleo" in page.text and "Agent ann" not in page.text


async def test_definitions_are_checked():
    def problems(**changes):
        bundle = agency_bundle()
        bundle["roles"][1].update(changes)
        return {p.code for p in examine(bundle)[1]}

    assert not problems()
    assert "portal_staff" in problems(settings=["users"])
    assert "not_a_person" in problems(portal={"entity": "agent", "link": "name"})
    assert "no_portal" in {p.code for p in examine({**agency_bundle(), "roles": [agency_bundle()["roles"][0], {"key": "x", "label": label("X"), "entities": {"lead": {"read": "portal_self"}}}], "automations": []})[1]}
