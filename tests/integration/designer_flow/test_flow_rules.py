"""Automations and schedules in the designer without scripts: when, if, then; and that what was clicked together works."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest

from saas.runtime import configuration
from saas.runtime.contexts import context_for_user
from saas.runtime.schedules import next_ticks
from tests.integration.designer_flow.test_flow_pipelines import at, said

AUTO, SCHED = "/settings/automations", "/settings/schedules"
CALL_BACK = {
    "label.en": "Call back", "label.zh_CN": "回访", "on.trigger": "update", "on.fields": ["phone"], "if.mode": "rows", "if.0.field": "status", "if.0.op": "eq", "if.0.value": "active",
    "do.0.action": "create", "do.0.entity": "task", "do.0.as": "The task", "do.0.unless_exists": ["customer"],
    "do.0.values.0.field": "subject", "do.0.values.0.how": "formula", "do.0.values.0.text": "concat('Call ', name)",
    "do.0.values.1.field": "customer", "do.0.values.1.how": "field", "do.0.values.1.path": "id",
    "do.0.values.2.field": "assignee", "do.0.values.2.how": "field", "do.0.values.2.path": "owner",
    "do.0.values.3.field": "due", "do.0.values.3.how": "today", "do.0.values.4.field": "priority", "do.0.values.4.how": "value", "do.0.values.4.value": "high",
    "do.1.action": "notify", "do.1.to.0.who": "result.the_task.assignee", "do.1.to.1.who": "=", "do.1.to.1.text": "coalesce(owner, created_by)", "do.1.title.en": "Call {{ name }}",
    "do.1.target": "result.the_task", "do.1.if.mode": "text", "do.1.if.text": "result.the_task.due != null",
}  # fmt: skip


async def test_an_automation_is_clicked_together(admin):
    page = await admin.get(f"{AUTO}/new")
    assert f"{AUTO}/new?entity=customer" in page.text
    answer = await admin.fill(f"{AUTO}/new?entity=customer", CALL_BACK, action=f"{AUTO}/new")
    assert answer.status_code == 303, said(answer)[-3000:]
    assert await admin.last() == "Automation · Call back: added"
    assert await admin.find("automations[call_back]") == {
        "key": "call_back", "label": {"en": "Call back", "zh_CN": "回访"}, "entity": "customer", "on": {"trigger": "update", "fields": ["phone"]}, "if": "status == 'active'",
        "do": [
            {"action": "create", "entity": "task", "unless_exists": ["customer"], "as": "the_task",
             "values": {"subject": "concat('Call ', name)", "customer": "id", "assignee": "owner", "due": "today()", "priority": "'high'"}},
            {"action": "notify", "to": ["result.the_task.assignee", "coalesce(owner, created_by)"], "title": {"en": "Call {{ name }}"}, "target": "result.the_task",
             "if": "result.the_task.due != null"},
        ],
    }  # fmt: skip
    listed = said(await admin.get(AUTO))
    assert "When a record is changed: Phone" in listed and "Relationship is Active" in listed


async def test_what_was_clicked_together_happens_once_it_is_published(admin, companies, http):
    from tests.acceptance.api import Person

    await admin.fill(f"{AUTO}/new?entity=customer", {**CALL_BACK, "if.0.field": ""}, action=f"{AUTO}/new")
    tenant = companies["baseline-crm"]
    await configuration.publish(await context_for_user(tenant.id, tenant.admin_id), raw=await admin.raw(), message="Call back")
    person = await Person(http, f"{tenant.slug}.localhost", language="en").sign_in(tenant.admin_email, tenant.admin_password)
    customer = await person.create("customer", name="Northwind", phone="+442071838750")
    await person.change("customer", customer["id"], phone="+442071838751")
    tasks = await person.list("task", filter=f'{{"field": "customer", "op": "eq", "value": "{customer["id"]}"}}')
    assert [(t["values"]["subject"], t["values"]["priority"]) for t in tasks] == [("Call Northwind", "high")]


async def test_the_form_follows_what_is_chosen(admin):
    """Without scripts a button shows the choices that belong to another trigger, kind of record or field."""

    async def shown(**more: Any) -> str:
        answer = await admin.fill(f"{AUTO}/new?entity=opportunity", {"_gesture": "do|show|", **{k.replace("__", "."): v for k, v in more.items()}}, action=f"{AUTO}/new")
        assert answer.status_code == 200
        return answer.text

    assert 'name="on.from"' in await shown(on__trigger="transition") and 'name="on.fields"' in await shown(on__trigger="update")
    options = re.search(r'name="do.new".*?</select>', await shown(on__trigger="before_save"), re.DOTALL)[0]
    offered = set(re.findall(r'value="(\w+)"', options))
    assert {"set", "branch", "warn", "block"} <= offered and not {"create", "notify", "http", "wait"} & offered
    fresh = await shown(do__0__action="create", do__0__entity="")
    assert "Choose the kind of record first." in fresh
    fresh = await shown(do__0__action="create", do__0__entity="task", do__0__values__0__field="priority")
    assert 'name="do.0.values.0.value"' in fresh and "High" in fresh
    fresh = await shown(do__0__action="create", do__0__entity="task", do__0__values__0__field="due", do__0__values__0__how="formula")
    assert 'name="do.0.values.0.text"' in fresh
    assert (await admin.draft()).steps == ()


async def test_rules_that_make_no_sense_are_refused_where_they_stand(admin):
    answer = await admin.fill(f"{AUTO}/new?entity=customer", {"label.en": "Try"}, action=f"{AUTO}/new")
    assert (answer.status_code, at(answer, "do")) == (422, "Say at least one thing that happens.")
    answer = await admin.fill(
        f"{AUTO}/new?entity=customer", {"label.en": "Try", "on.trigger": "before_save", "do.0.action": "delete", "if.mode": "text", "if.text": "nobody == 1"}, action=f"{AUTO}/new"
    )
    assert answer.status_code == 422 and "There is no field" in at(answer, "if")
    assert "Before saving, only the record itself can be changed" in said(answer)
    assert (await admin.draft()).steps == ()


async def test_rules_are_switched_ordered_and_removed(admin):
    keys = [a["key"] for a in await admin.find("automations")]
    assert (await admin.post(f"{AUTO}/low_rating/switch", {"active": "off"})).status_code == 303
    assert (await admin.find("automations[low_rating]"))["active"] is False
    assert await admin.last() == "Automation · Call back after a low rating: switched off"
    await admin.post(f"{AUTO}/low_rating/switch", {"active": "on"})
    assert "active" not in await admin.find("automations[low_rating]")
    await admin.post(f"{AUTO}/new-order", {"key": keys[::-1]})
    assert [a["key"] for a in await admin.find("automations")] == keys[::-1]
    await admin.fill(f"{AUTO}/low_rating", {"after": ""})
    assert (await admin.find("automations"))[0]["key"] == "low_rating"
    assert (await admin.fill(f"{AUTO}/low_rating/remove")).status_code == 303
    assert await admin.find("automations[low_rating]") is None
    assert (await admin.get(f"{AUTO}/low_rating")).status_code == 404


@pytest.mark.parametrize(
    ("typed", "cron"),
    [
        ({"kind": "daily", "time": "08:05"}, "5 8 * * *"), ({"kind": "workdays", "time": "17:30"}, "30 17 * * 1-5"), ({"kind": "weekly", "time": "09:00", "day_of_week": ["3", "0"]}, "0 9 * * 3,0"),
        ({"kind": "weekly", "time": "09:00"}, "0 9 * * 1"), ({"kind": "monthly", "time": "00:15", "day": "28"}, "15 0 28 * *"), ({"kind": "monthly", "time": "06:00", "day": "L"}, "0 6 L * *"),
        ({"kind": "hourly", "minute": "20"}, "20 * * * *"), ({"kind": "custom", "cron": "*/15 8-18 * * 1-5"}, "*/15 8-18 * * 1-5"),
    ],
)  # fmt: skip
async def test_rhythms_become_what_the_clock_understands(admin, typed, cron):
    more = {f"cron.{k}": v for k, v in typed.items()}
    answer = await admin.fill(f"{SCHED}/task_overdue", more)
    assert answer.status_code == 303, at(answer, "cron")
    found = await admin.find("schedules[task_overdue]")
    assert found["every"] == {"cron": cron}
    page = await admin.get(f"{SCHED}/task_overdue")
    times = re.findall(r'<span class="badge tabular">([^<]+)</span>', page.text)
    expected = next_ticks(cron, datetime.now(UTC))
    assert [t[:10] for t in times] == [f"{t:%Y-%m-%d}" for t in expected] and len(times) == 3


async def test_a_time_that_never_comes_is_refused(admin):
    for text in ("every day", "61 * * * *", "0 8 31 2 *"):
        answer = await admin.fill(f"{SCHED}/task_overdue", {"cron.kind": "custom", "cron.cron": text})
        assert answer.status_code == 422
        assert "is not a point in time" in at(answer, "cron") and "It would never run." in said(answer)


async def test_a_schedule_is_made(admin):
    more = {
        "label.en": "Old leads", "cron.kind": "weekly", "cron.time": "07:00", "cron.day_of_week": ["1"], "where.mode": "rows", "where.0.field": "status", "where.0.op": "in", "where.0.value": ["new", "contacted"],
        "once_per": "month", "do.0.action": "transition", "do.0.transition": "disqualify", "do.0.values.0.field": "disqualify_reason", "do.0.values.0.how": "value",
    }  # fmt: skip
    field = await admin.find("entities[lead].fields[disqualify_reason]")
    reason = (field.get("options") or (await admin.find(f"option_sets[{field.get('set')}]"))["options"])[0]["key"]
    more["do.0.values.0.value"] = reason
    answer = await admin.fill(f"{SCHED}/new?entity=lead", more, action=f"{SCHED}/new")
    assert answer.status_code == 303, re.findall(r'data-error-for="([^"]+)">([^<]+)<', answer.text)
    found = await admin.find("schedules[old_leads]")
    assert (found["every"], found["where"], found["once_per"]) == ({"cron": "0 7 * * 1"}, "status in ['new', 'contacted']", "month")
    assert found["do"] == [{"action": "transition", "transition": "disqualify", "values": {"disqualify_reason": f"'{reason}'"}}]
    assert "Monday at 07:00" in said(await admin.get(SCHED))


async def test_a_formula_is_tried_on_records_in_words_for_people(maker, companies, http):
    from tests.acceptance.api import Person

    tenant = companies["jb-rm-crm"]
    person = await Person(http, f"{tenant.slug}.localhost").sign_in(tenant.admin_email, tenant.admin_password)
    await person.create("opportunity", customer_name="北方重工", probability=10, summary="机床")
    await maker.get("/settings/automations")
    today = datetime.now(UTC).astimezone((await context_for_user(tenant.id, tenant.admin_id)).zone).date().isoformat()
    for text, expected in (("created_by", "admin"), ("today()", today), ("assigned_to", "empty"), ("status == 'unassigned'", "Yes")):
        answer = await maker.post("/settings/builder/check?entity=opportunity", {"text": text})
        assert re.findall(r"→ <strong>([^<]*)</strong>", answer.text) == [expected], (text, answer.text)


async def test_the_lists_speak_in_words(admin):
    page = (await admin.get(AUTO)).text
    assert "New ticket {Number}: {Subject}" in page and "does not have the role “Sales manager”" in page and "Rating is less than “" in page
    times = (await admin.get(SCHED)).text
    assert "Due is today + 1 day" in times and re.search(r"Every day at 09:00(,| and) 14:00", times)
    for text in (page, times):
        assert not re.search(r"\{\{|==|setting\(|has_role|\* \* \*", re.search(r"<main.*</main>", text, re.S)[0])
