"""Each limit of a plan on each way by which people and programs can make such a thing: refused with words that name the limit and the
way to more, in both languages; nothing half made; what is there stays, and leaving with one's data stays possible."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest
import pytest_asyncio

from saas.db import count_queries, query_count, tenant_transaction
from saas.errors import InvalidDefinition, PlanLimitReached
from saas.metadata.packs import load_pack
from saas.runtime import bulk, configuration, execute, schedules
from saas.runtime import operations as ops
from saas.runtime.archive.asking import start_archive
from saas.runtime.packs import apply_pack, plan_pack
from saas.runtime.worker import drain
from saas.tenants import create_user, rates, set_tenant_limits, update_user
from saas.tenants.limits import forget
from tests.acceptance.api import Person, refused
from tests.bundles import field as fld
from tests.bundles import label
from tests.factories import make_lab, rich_bundle
from tests.integration.test_pages import Browser

PASSWORD = "correct horse battery"
NAMES = {
    "records": ("Number of records: ", "记录数："), "seats": ("Active people: ", "启用的人员："), "storage": ("Storage for files: ", "文件存储空间："), "automation_runs": ("Automation runs this month: ", "本月自动化运行次数："),
    "mails": ("E-mails today: ", "今日邮件数："), "custom_entities": ("Own entities: ", "自建实体："), "fields_per_entity": ("Fields of an own entity: ", "自建实体的字段数："), "packs": ("Packs: ", "配置包："),
}  # fmt: skip
WAY = ("Settings, Plan and usage", "设置 › 套餐与用量")


@pytest_asyncio.fixture
async def firm(tenant_factory):
    return await tenant_factory(pack="baseline-crm")


@pytest_asyncio.fixture
async def programs(http, firm) -> list[Person]:
    """The same administrator in both languages."""
    return [await Person(http, f"{firm.slug}.localhost", language=language).sign_in(firm.admin_email, PASSWORD) for language in ("en", "zh-CN")]


async def both(programs: list[Person], limit: str, method: str, path: str, body: Any, allowed: int | None = None) -> None:
    """Refused in both languages, naming limit, number and way."""
    for place, person in enumerate(programs):
        problem = refused(await person.send(method, path, body), 402, "limit_reached")
        named(problem["detail"], limit, place)
        assert problem["limit"] == limit and (allowed is None or problem["allowed"] == allowed), problem


def named(text: str, limit: str, place: int = 0) -> None:
    assert NAMES[limit][place] in text and WAY[place] in text, text


async def count(tenant_id, sql: str) -> int:
    async with tenant_transaction(tenant_id) as conn:
        return await conn.fetchval(sql, tenant_id)


async def logged(lab) -> str:
    """What the company reads of its schedules."""
    return " ".join(str(dict(row)) for row in await lab.fetch("SELECT * FROM schedule_log WHERE tenant_id = $1"))


LIVE = "SELECT count(*) FROM record WHERE tenant_id = $1 AND deleted_at IS NULL"


async def test_records(http, firm, programs):
    admin = programs[0]
    made = [await admin.create("customer", name=f"C{n}") for n in range(3)]
    await admin.send("DELETE", f"/records/customer/{made[0]['id']}")
    await set_tenant_limits(firm.slug, {"records": 2})
    await both(programs, "records", "POST", "/records/customer", {"values": {"name": "More"}}, 2)
    await both(programs, "records", "POST", f"/records/customer/{made[0]['id']}/restore", None, 2)
    failed = await admin.call("POST", "/records/customer/bulk", {"action": "restore", "ids": [made[0]["id"]]})
    assert failed["done"] == 0
    named(failed["failed"][0]["message"], "records")
    job = await admin.call("POST", "/imports", {"entity": "customer", "rows": [{"name": "Row 1"}, {"name": "Row 2"}]}, expect=None)
    await drain()
    job = (await admin.get(f"/jobs/{(job.get('job') or job)['id']}"))
    named(json.dumps(job, ensure_ascii=False), "records")
    page = Browser(http, f"{firm.slug}.localhost")
    await page.sign_in(firm.admin_email)
    answer = await page.post("/r/customer/new", {"name": "Typed here"})
    assert answer.status_code == 402 and 'value="Typed here"' in answer.text and 'href="/settings/plan"' in answer.text
    named(answer.text, "records")
    gone = await page.post(f"/r/customer/{made[0]['id']}/restore", {})
    assert gone.status_code == 402 and 'href="/settings/plan"' in gone.text
    assert await count(firm.id, LIVE) == 2
    await admin.change("customer", made[1]["id"], name="Changing goes on")
    await admin.send("DELETE", f"/records/customer/{made[1]['id']}")
    await admin.create("customer", name="Room again")


async def test_records_made_by_rules(database):
    """What an automation would make takes what caused it with it; a schedule notes it and goes on."""
    lab = await make_lab(people=False)
    await set_tenant_limits(lab.slug, {"records": 1})
    ctx = await lab.ctx()
    with pytest.raises(PlanLimitReached):
        await execute(ctx, ops.Create(entity="task", values={"name": "makes a log too"}))
    assert await count(lab.tenant_id, LIVE) == 0
    assert [r[0] for r in await lab.fetch("SELECT status FROM automation_log WHERE tenant_id = $1")] == ["undone"]
    await set_tenant_limits(lab.slug, {})
    await lab.make("task", name="nudged")
    now = await count(lab.tenant_id, LIVE)
    await set_tenant_limits(lab.slug, {"records": now})
    reports = await schedules.run_due(await lab.system(origin="schedule"))
    assert await count(lab.tenant_id, LIVE) == now and any(r.failed for r in reports)
    named(await logged(lab), "records")


async def test_automation_runs(database):
    lab = await make_lab(people=False)
    await set_tenant_limits(lab.slug, {"automation_runs": 2})
    ctx = await lab.ctx()
    for n in range(2):
        await execute(ctx, ops.Create(entity="task", values={"name": f"t{n}"}))
    with pytest.raises(PlanLimitReached) as caught:
        await execute(ctx, ops.Create(entity="task", values={"name": "one too many"}))
    named(str(caught.value.message), "automation_runs")
    await execute(ctx, ops.Create(entity="account", values={"name": "no rule, no run"}))
    assert any(r.failed for r in await schedules.run_due(await lab.system(origin="schedule")))
    named(await logged(lab), "automation_runs")
    assert await count(lab.tenant_id, "SELECT count(*) FROM automation_log WHERE tenant_id = $1") == 2


async def test_seats(http, firm, programs):
    extra = await create_user(firm.id, f"x@{firm.slug}.example", PASSWORD, "X", ["sales"])
    await update_user(firm.id, extra, {"status": "inactive"})
    await set_tenant_limits(firm.slug, {"seats": 2})
    admin, asked = programs[0], {"email": f"new@{firm.slug}.example", "roles": ["sales"]}
    await admin.call("POST", "/invitations", asked, expect=201)
    await both(programs, "seats", "POST", "/invitations", {**asked, "email": f"second@{firm.slug}.example"}, 2)  # the first one's seat is kept for them
    await update_user(firm.id, extra, {"status": "active"})
    from saas.tenants.mail import list_mail

    assert [m["recipient"] for m in await list_mail(firm.id) if m["kind"] == "invitation"] == [asked["email"]]
    text = await count(firm.id, "SELECT body_text FROM mail WHERE tenant_id = $1 AND kind = 'invitation'")
    path = "/invitation/" + str(text).partition("/invitation/")[2].split()[0]
    guest = Browser(http, f"{firm.slug}.localhost")
    await guest.get(path)
    answer = await guest.post(path, {"name": "New", "password": "an entirely other passphrase"})
    assert answer.status_code == 402 and 'value="New"' in answer.text
    named(answer.text, "seats")
    page = Browser(http, f"{firm.slug}.localhost")
    await page.sign_in(firm.admin_email)
    for form in ("/settings/users/invite", "/settings/users/new"):
        answer = await page.post(form, {"email": f"typed@{firm.slug}.example", "name": "Typed here", "roles": "sales", "locale": "en"})
        assert answer.status_code == 402 and 'value="Typed here"' in answer.text, form
        named(answer.text, "seats")
    await update_user(firm.id, extra, {"status": "inactive"})
    assert (await guest.post(path, {"name": "New", "password": "an entirely other passphrase"})).status_code == 303, "the link still works"
    with pytest.raises(PlanLimitReached):
        await update_user(firm.id, extra, {"status": "active"})
    with pytest.raises(PlanLimitReached):
        await create_user(firm.id, f"y@{firm.slug}.example", PASSWORD, "Y", ["sales"])
    answer = await page.post(f"/settings/users/{extra}", {"name": "X", "email": f"x@{firm.slug}.example", "roles": "sales", "status": "active"})
    assert answer.status_code == 402
    named(answer.text, "seats")
    back = await page.post(f"/settings/users/{extra}/reactivate", {})
    assert back.status_code == 303
    named((await page.get(back.headers["location"])).text, "seats")
    assert await count(firm.id, "SELECT count(*) FROM app_user WHERE tenant_id = $1 AND status = 'active'") == 2


async def test_mails(firm, programs):
    await set_tenant_limits(firm.slug, {"mails": 1})
    admin = programs[0]
    await admin.call("POST", "/invitations", {"email": f"a@{firm.slug}.example", "roles": ["sales"]}, expect=201)
    await both(programs, "mails", "POST", "/invitations", {"email": f"b@{firm.slug}.example", "roles": ["sales"]}, 1)
    (open_one,) = (await admin.get("/invitations"))["data"]
    await both(programs, "mails", "POST", f"/invitations/{open_one['id']}/resend", {}, 1)
    from saas.tenants.resets import ask_reset

    await ask_reset(firm.id, firm.admin_email)  # who forgot their password gets in all the same
    assert await count(firm.id, "SELECT count(*) FROM mail WHERE tenant_id = $1 AND kind = 'password_reset'") == 1
    assert next(line for line in (await admin.get("/usage"))["limits"] if line["limit"] == "mails")["used"] == 2


async def test_storage(http, firm, programs):
    async def upload(person: Person, size: int) -> httpx.Response:
        headers = {"host": person.host, "authorization": f"Bearer {person.token}", "accept-language": person.language}
        return await http.post("/api/v1/files", files={"file": ("a.txt", b"a" * size)}, data={"entity": "interaction", "field": "attachments"}, headers=headers)

    await set_tenant_limits(firm.slug, {"storage": 1000})
    assert (await upload(programs[0], 600)).status_code == 201
    for place, person in enumerate(programs):
        problem = refused(await upload(person, 600), 402, "limit_reached")
        named(problem["detail"], "storage", place)
        assert problem["allowed"] == 1000
    assert (await upload(programs[0], 400)).status_code == 201, "what fits is taken"
    refused(await upload(programs[0], 1), 402)
    assert await count(firm.id, "SELECT sum(size_bytes)::bigint FROM file WHERE tenant_id = $1") == 1000
    from saas.runtime.contexts import context_for_user

    ctx = await context_for_user(firm.id, programs[0].id)
    await programs[0].create("customer", name="To take along")
    await programs[0].call("POST", "/exports", {"entity": "customer", "format": "csv"}, expect=None)
    await start_archive(ctx)
    await drain()
    assert await count(firm.id, "SELECT count(*) FROM job WHERE tenant_id = $1 AND status <> 'done'") == 0, "leaving with one's data is always possible"


def with_entities(number: int, fields: int = 1) -> dict[str, Any]:
    raw = rich_bundle()
    for n in range(number):
        raw["entities"].append({"key": f"own{n}", "label": label(f"Own {n}"), "plural": label(f"Owns {n}"), "title": "f0", "fields": [fld(f"f{i}", "text") for i in range(fields)]})
    return raw


async def test_own_entities_and_their_fields(database):
    lab = await make_lab(people=False)
    own = len(rich_bundle()["entities"])
    widest = max(len(e["fields"]) for e in rich_bundle()["entities"])
    await set_tenant_limits(lab.slug, {"custom_entities": own + 1, "fields_per_entity": 3})
    await configuration.publish(await lab.ctx(), raw=with_entities(1, 3))
    for raw, limit in ((with_entities(2), "custom_entities"), (with_entities(1, 4), "fields_per_entity")):
        with pytest.raises(PlanLimitReached) as caught:
            await configuration.publish(await lab.ctx(), raw=raw)
        named(str(caught.value.message), limit)
        plan = await configuration.make_plan(await lab.ctx(), raw)
        assert not plan.report.can_publish and any(p["code"] == "limit_reached" for p in plan.report.problems)
    changed = with_entities(1, 3)
    next(e for e in changed["entities"] if len(e["fields"]) == widest)["label"] = label("Wide as it was")
    await configuration.publish(await lab.ctx(), raw=changed)  # what is wider already can be changed
    await set_tenant_limits(lab.slug, {"custom_entities": 0})
    await configuration.publish(await lab.ctx(), raw=with_entities(0))
    ctx = await lab.ctx()
    await configuration.revert(ctx, 2)  # going back is always possible
    assert (await lab.ctx()).config.revision == ctx.config.revision + 1


async def test_own_entities_by_api_and_packs(firm, programs, tenant_factory):
    await set_tenant_limits(firm.slug, {"custom_entities": 0, "packs": ["baseline-crm"]})
    admin = programs[0]
    bundle = (await admin.get("/config"))["bundle"]
    bundle["entities"].append({"key": "own", "label": label("Own"), "plural": label("Owns"), "title": "name", "fields": [fld("name", "text")]})
    planned = await admin.call("POST", "/config/plan", {"bundle": bundle})
    assert not planned["can_publish"]
    named(json.dumps(planned["problems"]), "custom_entities")
    await both(programs, "custom_entities", "POST", "/config/publish", {"bundle": bundle, "base_revision": planned["base_revision"], "message": "more"}, 0)
    from saas.runtime.contexts import system_context

    ctx = await system_context(firm.id)
    other = load_pack("jb-rm-crm")
    with pytest.raises((PlanLimitReached, InvalidDefinition)) as caught:
        await apply_pack(ctx, await plan_pack(ctx, other), replace=True)
    named(str(caught.value.message), "packs")
    assert (await apply_pack(ctx, await plan_pack(ctx, {**load_pack("baseline-crm"), "pack": {**load_pack("baseline-crm")["pack"], "version": "99.0.0"}}))).number == 2


async def test_api_requests_a_minute(http, firm, programs, monkeypatch):
    clock = [rates.time.time() // 60 * 60 + 30]
    monkeypatch.setattr(rates.time, "time", lambda: clock[0])
    rates.forget(firm.id)
    await set_tenant_limits(firm.slug, {"api_requests": 3})
    english, chinese = programs
    for left in (2, 1, 0):
        answer = await english.send("GET", "/me")
        assert answer.status_code == 200 and [answer.headers[f"x-ratelimit-{name}"] for name in ("limit", "remaining", "reset")] == ["3", str(left), "30"]
    for person, words in ((english, "Plan and usage"), (chinese, "套餐与用量")):
        answer = await person.send("POST", "/records/customer", {"values": {"name": "Too many"}})
        problem = refused(answer, 429, "limit_reached")
        assert words in problem["detail"] and answer.headers["retry-after"] == "30" and answer.headers["x-ratelimit-remaining"] == "0"
    page = Browser(http, f"{firm.slug}.localhost")
    await page.sign_in(firm.admin_email)
    assert (await page.get("/r/customer")).status_code == 200, "people at their pages go on"
    stranger = Person(http, f"{firm.slug}.localhost")
    stranger.token = "nonsense"
    refused(await stranger.send("GET", "/me"), 401)
    clock[0] += 30
    assert (await english.send("GET", "/me")).status_code == 200
    rates.forget(firm.id)


async def test_bulk_by_a_job_stops_at_the_limit_and_says_so(database):
    lab = await make_lab(people=False)
    made = [await lab.make("account", name=f"a{n}") for n in range(6)]
    ctx = await lab.ctx()
    for record_id in made:
        await execute(ctx, ops.Delete(entity="account", id=record_id))
    await set_tenant_limits(lab.slug, {"records": 4})
    forget(lab.tenant_id)
    found = await bulk.bulk(await lab.ctx(), "account", "restore", ids=made)
    assert found["done"] == 4 and found["failed_count"] == 2
    named(found["failed"][0]["message"], "records")


async def test_two_tenants_do_not_share_a_limit(database):
    one, two = await make_lab(people=False), await make_lab(people=False)
    await set_tenant_limits(one.slug, {"records": 1})
    await set_tenant_limits(two.slug, {"records": 1})
    await asyncio.gather(one.make("account", name="a"), two.make("account", name="a"))
    for lab in (one, two):
        with pytest.raises(PlanLimitReached):
            await lab.make("account", name="b")


@pytest_asyncio.fixture(scope="module")
async def operator(http, database) -> Person:
    from saas.tenants import create_operator

    await create_operator("limits@example.test", PASSWORD)
    person = Person(http, "operator.localhost", language="en")
    person.token = (await person.call("POST", "/tokens", {"email": "limits@example.test", "password": PASSWORD}, expect=201))["token"]
    return person


async def test_operators_see_usage_preview_and_set_terms(firm, programs, operator):
    path, admin = f"/tenants/{firm.slug}", programs[0]
    for n in range(3):
        await admin.create("customer", name=f"C{n}")
    used = await operator.get(f"{path}/usage")
    own = await admin.get("/usage")
    assert used["records"] == 3 and {line["limit"]: line["used"] for line in used["limits"] if line["limit"] != "api_requests"} == {line["limit"]: line["used"] for line in own["limits"] if line["limit"] != "api_requests"}
    assert own["plan"] == "unlimited" and own["days"][-1]["records"] == 3 and len(own["days"]) == 30
    preview = await operator.call("PATCH", f"{path}?preview=1", {"plan": "free", "overrides": {"records": 2}})
    assert [(line["limit"], line["used"], line["allowed"]) for line in preview["over"] if line["limit"] == "records"] == [("records", 3, 2)]
    assert (await operator.get(path))["plan"] == "unlimited", "a preview changes nothing"
    changed = await operator.call("PATCH", path, {"plan": "team", "overrides": {"records": 2}, "trial_ends_at": "2040-01-31T12:00:00+08:00"})
    assert (changed["plan"], changed["overrides"], changed["trial_ends_at"]) == ("team", {"records": 2}, "2040-01-31T04:00:00Z")
    line = next(line for line in (await admin.get("/usage"))["limits"] if line["limit"] == "records")
    assert (line["used"], line["allowed"], line["percent"]) == (3, 2, 100)
    for body, field in (({}, "plan"), ({"plan": "gold"}, "plan"), ({"plan": "free", "overrides": {"chairs": 1}}, "chairs"), ({"overrides": {"records": -1}}, "records"), ({"overrides": []}, "overrides"), ({"plan": "free", "trial_ends_at": "soon"}, "trial_ends_at"), ({"trial_ends_at": "2040-01-31T12:00:00"}, "trial_ends_at")):
        refused(await operator.send("PATCH", path, body), 422, field=field)
    assert (await operator.get(path))["plan"] == "team", "all of it or nothing"
    assert (await operator.call("PATCH", path, {"trial_ends_at": None, "overrides": {}}))["trial_ends_at"] is None
    from saas.tenants import list_audit

    assert {"tenant.plan_changed", "tenant.limits_changed", "tenant.trial_changed"} <= {e["kind"] for e in await list_audit(firm.id)}
    seller = Person(programs[0].client, programs[0].host, language="en")
    await create_user(firm.id, f"s@{firm.slug}.example", PASSWORD, "S", ["sales"])
    await seller.sign_in(f"s@{firm.slug}.example", PASSWORD)
    refused(await seller.send("GET", "/usage"), 403)


async def test_a_limit_costs_no_further_statement(database):
    """Far from it, near it and without one: as many statements, for one record and for a hundred."""
    lab = await make_lab(people=False)
    ctx = await lab.ctx()
    await lab.make("account", name="warm")

    async def cost(ctx, rows: int) -> int:
        operation = ops.Create(entity="account", values={"name": "c"}, brief=True) if rows == 1 else ops.CreateMany(entity="account", rows=[{"name": f"n{n}"} for n in range(rows)])
        with count_queries():
            await execute(ctx, operation)
            return query_count()

    free = [await cost(ctx, 1), await cost(ctx, 100)]
    for allowed in (1_000_000, 500):
        await set_tenant_limits(lab.slug, {"records": allowed})
        forget(lab.tenant_id)
        limited = await lab.ctx()
        assert [await cost(limited, 1), await cost(limited, 100)] == free, allowed
