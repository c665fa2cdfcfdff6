"""Forms made at run time: a process form from the page that makes it to the decision, a data form, and who may do what with them."""

from __future__ import annotations

from urllib.parse import unquote

from saas.metadata.form_blueprints import FieldWish, FormWish, add_form
from saas.metadata.parse import parse_bundle
from saas.runtime import execute, user_forms
from saas.runtime import operations as ops
from saas.tenants import open_session
from tests.approval_bundles import approval_bundle, buying_lab
from tests.bundles import label
from tests.integration.approvals.test_approval_pages import Caller

LEAVE = {
    "name_en": "Leave", "name_zh_CN": "请假", "kind": "process", "rows": "6", "f0_label": "From", "f0_type": "date", "f0_required": "on", "f1_label": "Kind", "f1_type": "option",
    "f1_options": "holiday, illness", "f2_label": "Reason", "f2_type": "longtext", "s0_who": "superior", "s1_who": "role:boss", "fillers": ["clerk", "lead"], "readers": ["legal"],
}  # fmt: skip


async def caller(http, lab, name):
    token, csrf, _ = await open_session(lab.tenant_id, lab.people[name], "web")
    bearer, _, _ = await open_session(lab.tenant_id, lab.people[name], "api")
    return Caller(http, f"{lab.slug}.localhost", token, csrf, bearer)


async def test_a_process_form_from_its_making_to_the_decision(http, database):
    lab = await buying_lab()
    admin, clerk = await caller(http, lab, "admin"), await caller(http, lab, "clerk")
    assert "There are no forms yet" in await admin.page("/forms")
    await clerk.page("/forms/new", expect=403)
    await clerk.fill("/forms/new", LEAVE, expect=403)
    wrong = await admin.fill("/forms/new", {**LEAVE, "f1_options": "", "s0_who": "", "s1_who": ""}, expect=422)
    assert "Say what can be chosen in “Kind”" in wrong.text and "Say who decides" in wrong.text
    more = await admin.fill("/forms/new", {**LEAVE, "_more": "1"}, expect=200)
    assert 'name="f9_label"' in more.text and 'value="Reason"' in more.text
    await admin.fill("/forms/new", LEAVE)
    assert "Fill it in" in await clerk.page("/forms")
    drafted = await clerk.fill("/r/leave/new", {"from": "2030-01-01"})
    assert "Nobody has been asked yet" in unquote(unquote(drafted.headers["set-cookie"]))
    made = await clerk.api("POST", "/records/leave", {"values": {"from": "2030-01-02", "kind": "illness"}}, expect=201)
    record_id = made["id"]
    assert made["state"] == "draft" and "Draft" in await clerk.page("/forms")
    await clerk.api("PATCH", f"/records/leave/{record_id}", {"values": {"reason": "a cold"}})  # a draft is kept and changed
    for who in ("admin", "clerk"):
        await (await caller(http, lab, who)).api("POST", f"/records/leave/{record_id}/transitions/approve", {}, expect=403 if who == "clerk" else 409)
    await clerk.api("POST", f"/records/leave/{record_id}/transitions/submit", {})
    await clerk.api("PATCH", f"/records/leave/{record_id}", {"values": {"reason": "x"}}, expect=403)
    from uuid import UUID

    for who in ("lead", "boss"):
        await waits_on(lab, UUID(record_id), who)
        page = await (await caller(http, lab, who)).page(f"/r/leave/{record_id}/approval")
        assert "a cold" in page  # the boss may not see the record itself
        await (await caller(http, lab, who)).api("GET", f"/records/leave/{record_id}", expect=404)
        await decide_form(http, lab, who, record_id)
    done = await clerk.api("GET", f"/records/leave/{record_id}")
    assert done["state"] == "approved"
    assert (await (await caller(http, lab, "legal")).api("GET", f"/records/leave/{record_id}"))["id"] == record_id
    await (await caller(http, lab, "finance")).api("GET", "/records/leave", expect=403)
    assert "请假" in await clerk.page("/forms", locale="zh_CN") or "Leave" in await clerk.page("/forms")


async def waits_on(lab, record_id, who):
    from saas.runtime.approvals import reading

    assert [t.record_id for t in await reading.tasks(await lab.ctx(who))].count(record_id) == 1


async def decide_form(http, lab, who, record_id):
    person = await caller(http, lab, who)
    [task] = [t for t in (await person.api("GET", "/approvals/tasks"))["data"] if t["record_id"] == record_id]
    answer = await person.api("POST", f"/approvals/tasks/{task['task_id']}", {"act": "approve"})
    assert answer["message"] == "Approved"


async def test_a_role_may_be_given_the_right_to_make_forms_and_nothing_else(http, database):
    bundle = approval_bundle()
    next(r for r in bundle["roles"] if r["key"] == "legal")["settings"] = ["forms"]
    lab = await buying_lab()
    await lab.publish(bundle)
    legal = await caller(http, lab, "legal")
    await legal.page("/settings/approvals", expect=403)
    await legal.fill("/forms/new", {"name_en": "Idea", "kind": "data", "rows": "6", "f0_label": "What", "fillers": ["clerk"]})
    ctx = await lab.ctx("clerk")
    made = await execute(ctx, ops.Create(entity="idea", values={"what": "a better lamp"}))
    assert made.record.title == f"{ctx.today.year}-0001" and made.record.state is None
    assert [f.record.id for f in await user_forms.filled(ctx)] == [made.record.id]
    assert {e.key for e in user_forms.forms(await lab.ctx("finance"))} == set()


def test_whatever_is_asked_for_is_a_sound_configuration():
    fields = [FieldWish(label(t.title()), t, t == "text", [label("One"), label("Two")] if t == "option" else ()) for t in ("text", "longtext", "number", "money", "date", "bool", "option", "user", "file")]
    raw = approval_bundle()
    raw["roles"].append({"key": "curious", "label": label("Curious"), "entities": {"*": {"read": "all"}}})
    for kind in ("data", "process"):
        raw, key = add_form(raw, FormWish(label("Expense"), kind, fields=fields, fillers=["clerk"], readers=["boss"], steps=[{"label": label("One"), "approvers": [{"by": "superior"}]}]))
        bundle = parse_bundle(raw)
        assert next(e for e in bundle.entities if e.key == key).form == kind
        assert next(r for r in raw["roles"] if r["key"] == "curious")["entities"][key] == {"read": "none"}


