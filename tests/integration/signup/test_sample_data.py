"""Sample data of every pack: filled in by a job that may be interrupted, told apart for good, cleared without touching what people made,
and brought back; the list of first steps follows what has really happened."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from saas.db import tenant_transaction
from saas.errors import Conflict, PermissionDenied, PlanLimitReached
from saas.metadata.packs import list_packs, sample
from saas.runtime import execute, first_steps, jobs, sample_clearing, sample_data
from saas.runtime import operations as ops
from saas.runtime import sample as loader
from saas.runtime.contexts import context_for_user, system_context
from saas.runtime.leading import leading
from saas.runtime.worker import drain
from saas.tenants import create_user, find_user, list_users, set_password, update_user
from saas.tenants.first_steps import begin_first_steps
from saas.tenants.limits import forget
from tests.conftest import PASSWORD

FEW = 150
PACKS = [p.key for p in list_packs() if p.has_sample]


async def filled(tenant, pack: str, monkeypatch, few: int = FEW):
    """The administrator's context, in a workspace with part of its pack's sample data."""
    monkeypatch.setattr(sample_data, "SHARE", 100_000 // few)
    ctx = await context_for_user(tenant.id, tenant.admin_id)
    async with tenant_transaction(tenant.id) as conn:
        await begin_first_steps(conn, tenant.id, tenant.admin_id)
        await sample_data.begin_loading(conn, ctx.replace(tenant=replace(ctx.tenant, plan_key="team", limit_overrides={})), pack)
    await drain()
    return await context_for_user(tenant.id, tenant.admin_id)


async def live(conn, tenant_id) -> dict:
    return {r["id"]: r["version"] for r in await conn.fetch("SELECT id, version FROM record WHERE tenant_id = $1 AND deleted_at IS NULL", tenant_id)}


async def step(ctx, key: str):
    async with tenant_transaction(ctx.tenant_id) as conn:
        return next((s for s in (await first_steps.first_steps(conn, ctx)).steps if s.key == key), None)


async def in_the_language_of(ctx) -> None:
    """People and records are called as the sample calls them in the language of the company."""
    data = sample(ctx.config.bundle.pack.key, ctx.tenant.locale)
    assert {u["name"] for u in await list_users(ctx.tenant_id) if u["sample_key"]} == {u["name"] for u in data["users"]}
    main = leading(ctx.config).main
    title = main.defn.title
    known = {r["values"].get(title) for r in data["records"] if r["entity"] == main.key}
    assert {r.values[title] for r in (await execute(ctx, ops.List(entity=main.key, limit=50))).records} <= known


@pytest_asyncio.fixture(params=PACKS)
async def workspace(request, tenant_factory, monkeypatch):
    tenant = await tenant_factory(pack=request.param)
    return tenant, await filled(tenant, request.param, monkeypatch)


async def test_cleared_and_brought_back(workspace):
    tenant, ctx = workspace
    found = leading(ctx.config)
    await in_the_language_of(ctx)
    async with tenant_transaction(tenant.id) as conn:
        before = await live(conn, tenant.id)
        marked = await conn.fetchval("SELECT count(*) FROM sample_record WHERE tenant_id = $1", tenant.id)
    assert 40 < len(before) <= marked, "also what automations made is known as sample data"
    plan = await sample_clearing.preview(ctx)
    assert plan.count == len(before) and not plan.changed and not plan.linked and not plan.own and len(plan.people) == len(sample(ctx.config.bundle.pack.key)["users"])
    assert (await step(ctx, "sample")).done is False and (await step(ctx, "clear")).done is False

    # One changed, one of people's own below another.
    async with tenant_transaction(tenant.id) as conn:
        touched = await conn.fetchval("SELECT r.id FROM record r WHERE r.tenant_id = $1 AND r.entity_id = $2 AND r.deleted_at IS NULL ORDER BY r.id LIMIT 1", tenant.id, found.main.number)
    title = found.main.defn.title
    await execute(ctx, ops.Update(entity=found.main.key, id=touched, values={title: "Ours now"}, confirm_duplicates=True))
    assert (await step(ctx, "sample")).done is True
    plan = await sample_clearing.preview(ctx)
    assert plan.changed == {found.main.key: 1} and touched not in plan.goes[found.main.key]
    kept = len(before) - plan.count

    await sample_clearing.begin_clearing(ctx)
    with pytest.raises(Conflict):
        await sample_clearing.begin_clearing(ctx)
    await drain()
    state = await sample_clearing.state_of(ctx)
    assert state.cleared is not None and state.cleared.result["kept"] == 0, state
    async with tenant_transaction(tenant.id) as conn:
        after = await live(conn, tenant.id)
        assert touched in after and len(after) == kept
        assert {i: before[i] for i in after if i != touched} == {i: v for i, v in after.items() if i != touched}, "what stays is not written"
    assert await sample_clearing.preview(ctx) and not (await sample_clearing.preview(ctx)).count
    people = await list_users(tenant.id)
    assert all(u["status"] == "inactive" for u in people if u["id"] in plan.people)

    await sample_clearing.begin_undoing(ctx)
    await drain()
    async with tenant_transaction(tenant.id) as conn:
        assert set(await live(conn, tenant.id)) == set(before)
    assert all(u["status"] == "active" for u in await list_users(tenant.id))
    again = await sample_clearing.preview(ctx)
    assert again.changed == plan.changed and again.count == plan.count, "brought back it is sample data as before"
    with pytest.raises(Conflict):
        await sample_clearing.begin_undoing(ctx)


async def test_nothing_of_peoples_own_is_touched(tenant_factory, monkeypatch):
    tenant = await tenant_factory(pack="baseline-crm")
    ctx = await filled(tenant, "baseline-crm", monkeypatch)
    async with tenant_transaction(tenant.id) as conn:
        number = ctx.config.entity("customer").number
        one, two = (r["id"] for r in await conn.fetch("SELECT id FROM record WHERE tenant_id = $1 AND entity_id = $2 AND deleted_at IS NULL ORDER BY id LIMIT 2", tenant.id, number))
    # A child that would go with its parent, one that would hold it, and one that only refers to it.
    contact = (await execute(ctx, ops.Create(entity="contact", values={"name": "Our contact", "customer": str(one)}))).record
    deal = (await execute(ctx, ops.Create(entity="opportunity", values={"name": "Our deal", "customer": str(two)}))).record
    own = (await execute(ctx, ops.Create(entity="customer", values={"name": "Our own customer"}, confirm_duplicates=True))).record
    plan = await sample_clearing.preview(ctx)
    assert plan.own["contact"] == 1 and plan.own["opportunity"] == 1 and plan.linked["customer"] >= 2
    assert not {one, two, own.id} & set(plan.goes["customer"])
    async with tenant_transaction(tenant.id) as conn:
        before = await live(conn, tenant.id)
    await sample_clearing.begin_clearing(ctx)
    await drain()
    async with tenant_transaction(tenant.id) as conn:
        after = await live(conn, tenant.id)
    for record in (contact, deal, own):
        assert after[record.id] == before[record.id]
    assert after[one] == before[one] and after[two] == before[two]
    assert (await execute(ctx, ops.Get(entity="contact", id=contact.id))).values["customer"] == str(one)
    # Let go of them, and the next clearing takes them.
    await execute(ctx, ops.Delete(entity="contact", id=contact.id))
    await execute(ctx, ops.Delete(entity="opportunity", id=deal.id))
    assert {one, two} <= set((await sample_clearing.preview(ctx)).goes["customer"])


async def test_a_link_emptied_by_a_deletion_is_no_change(tenant_factory, monkeypatch):
    """A sample record that loses its link because somebody deletes what it led to was touched by nobody; one that somebody writes on was."""
    tenant = await tenant_factory(pack="baseline-crm")
    ctx = await filled(tenant, "baseline-crm", monkeypatch)
    relation = next(r for e in [ctx.config.entity("customer")] for r in e.children.values() if r.on_delete == "set_null" and not r.many and not ctx.config.entity(r.child).defn.append_only)
    parent, child = ctx.config.entity(relation.parent), ctx.config.entity(relation.child)
    async with tenant_transaction(tenant.id) as conn:
        sql = "SELECT record_id FROM sample_record WHERE tenant_id = $1 AND entity_id = $2 ORDER BY record_id"
        kids = [r[0] for r in await conn.fetch(f"{sql} LIMIT 2", tenant.id, child.number)]
    system = ctx.replace(elevated=True, origin="sample")
    above = (await execute(ctx, ops.Create(entity=parent.key, values={parent.defn.title: "Ours for now"}, confirm_duplicates=True))).record.id
    for kid in kids:
        await execute(system, ops.Update(entity=child.key, id=kid, values={relation.field: str(above)}))
    before = (await sample_clearing.preview(ctx)).changed.get(child.key, 0)
    await execute(ctx, ops.Delete(entity=parent.key, id=above))
    assert (await execute(system, ops.Get(entity=child.key, id=kids[0]))).values[relation.field] is None
    assert (await sample_clearing.preview(ctx)).changed.get(child.key, 0) == before
    await execute(ctx.replace(elevated=True), ops.Update(entity=child.key, id=kids[1], values={child.defn.title: "Ours"}))
    assert (await sample_clearing.preview(ctx)).changed.get(child.key, 0) == before + 1


async def test_an_interrupted_job_goes_on(tenant_factory, monkeypatch):
    tenant = await tenant_factory(pack="baseline-crm")
    monkeypatch.setattr(loader, "BATCH", 40)
    run, calls = loader.Sample._run, []

    async def dies(self, *args):
        calls.append(1)
        if len(calls) == 100:
            raise SystemError("the machine was switched off")
        return await run(self, *args)

    monkeypatch.setattr(loader.Sample, "_run", dies)
    ctx = await filled(tenant, "baseline-crm", monkeypatch)
    [job] = await jobs.list_of_kind(ctx, sample_data.KIND)
    assert job.status == "queued" and job.result["done"] == 80
    async with tenant_transaction(tenant.id) as conn:
        await conn.execute("UPDATE job SET run_at = now() WHERE tenant_id = $1", tenant.id)
    await drain()
    [job] = await jobs.list_of_kind(ctx, sample_data.KIND)
    assert job.status == "done", job
    async with tenant_transaction(tenant.id) as conn:
        keys = [r["sample_key"] for r in await conn.fetch("SELECT sample_key FROM sample_record WHERE tenant_id = $1 AND sample_key <> ''", tenant.id)]
    assert len(keys) == len(set(keys)) > 40, "nothing came twice"
    assert (await sample_clearing.preview(ctx)).count == len(await live_of(tenant))


async def live_of(tenant) -> dict:
    async with tenant_transaction(tenant.id) as conn:
        return await live(conn, tenant.id)


async def test_a_small_plan_gets_a_small_sample(tenant_factory, monkeypatch):
    monkeypatch.setattr(sample_data, "SHARE", 10)
    tenant = await tenant_factory(pack="baseline-crm", plan_key="free")
    ctx = await context_for_user(tenant.id, tenant.admin_id)
    async with tenant_transaction(tenant.id) as conn:
        await sample_data.begin_loading(conn, ctx, "baseline-crm")
        await conn.execute(  # what somebody's own record set off before
            "INSERT INTO automation_log (tenant_id, id, automation_key, entity_id, record_id, at, status) VALUES ($1, $2, 'own', 1, $2, now() - interval '1 day', 'done')", tenant.id, uuid4()
        )
    await drain()
    forget(tenant.id)
    people = await list_users(tenant.id)
    assert len(people) == 9 and not any(u["can_sign_in"] for u in people if u["sample_key"]), "nobody signs in as a sample person"
    assert 100 < len(await live_of(tenant)) <= 2000 // sample_data.SHARE * 1.2
    for number in range(2):  # all three seats of the plan are still there
        await create_user(tenant.id, f"p{number}@x.example", PASSWORD, "Person", ["sales"])
    with pytest.raises(PlanLimitReached):
        await create_user(tenant.id, "p3@x.example", PASSWORD, "Person", ["sales"])
    sample_person = next(u["id"] for u in people if u["sample_key"])
    with pytest.raises(PlanLimitReached):
        await set_password(tenant.id, sample_person, PASSWORD)
    await update_user(tenant.id, sample_person, {"status": "inactive"})
    await update_user(tenant.id, sample_person, {"status": "active"})
    async with tenant_transaction(tenant.id) as conn:
        assert await conn.fetchval("SELECT coalesce(sum(amount), 0) FROM usage_delta WHERE tenant_id = $1 AND meter = 'automation_runs'", tenant.id) == 0


@pytest.mark.parametrize("pack", PACKS)
async def test_parts_of_a_sample_hold_together(pack, tenant_factory):
    tenant = await tenant_factory(pack=pack)
    config = (await system_context(tenant.id)).config
    records = sample(pack)["records"]
    for most in (20, 300, 1000, 10_000):
        part = sample_data.fitting(records, most, config)
        assert len(part) <= most
        keys = {r["key"] for r in part if r.get("key")}
        every = {r["key"] for r in records if r.get("key")}
        for record in part:
            assert {v[1:] for v in sample_data._texts(record) if v.startswith("@") and v[1:] in every} <= keys
    assert len(sample_data.fitting(records, 10_000, config)) == len(records)


async def test_only_administrators_clear(tenant_factory):
    tenant = await tenant_factory(pack="baseline-crm")
    person = await create_user(tenant.id, f"low@{tenant.slug}.example", PASSWORD, "Low", ["sales"])
    ctx = await context_for_user(tenant.id, person)
    for act in (sample_clearing.preview, sample_clearing.begin_clearing, sample_clearing.begin_undoing, sample_clearing.state_of):
        with pytest.raises(PermissionDenied):
            await act(ctx)


async def test_steps_are_written_from_the_configuration_and_ticked_by_facts(tenant_factory):
    """No entity of a pack is named in the code: the words come from what most other entities refer to, and from the pipeline."""
    for pack, main, moving in (("baseline-crm", "customer", "opportunity"), ("jb-rm-crm", "customer", "opportunity")):
        tenant = await tenant_factory(pack=pack)
        ctx = await context_for_user(tenant.id, tenant.admin_id)
        found = leading(ctx.config)
        assert (found.main.key, found.moving.key) == (main, moving)
        async with tenant_transaction(tenant.id) as conn:
            assert await first_steps.shown_to(conn, ctx) is None, "who did not sign up has no list until they ask for it"
        assert {k: (await step(ctx, k)).done for k in ("create", "move", "import", "invite", "brand")} == dict.fromkeys(("create", "move", "import", "invite", "brand"), False)
        assert f"/r/{main}/new" == (await step(ctx, "create")).url and re.match(rf"/r/{moving}/board", (await step(ctx, "move")).url)
    tenant = await tenant_factory(pack="baseline-crm")
    ctx = await context_for_user(tenant.id, tenant.admin_id)
    made = (await execute(ctx, ops.Create(entity="customer", values={"name": "First"}))).record
    assert (await step(ctx, "create")).done and not (await step(ctx, "move")).done
    deal = (await execute(ctx, ops.Create(entity="opportunity", values={"name": "Deal", "customer": str(made.id)}))).record
    offer = next(t for t in deal.can.transitions if not t.missing)
    await execute(ctx, ops.Transition(entity="opportunity", id=deal.id, key=offer.key, values={}))
    assert (await step(ctx, "move")).done
    await create_user(tenant.id, f"c@{tenant.slug}.example", PASSWORD, "Colleague", ["sales"])
    assert (await step(ctx, "invite")).done and await find_user(tenant.id, email=f"c@{tenant.slug}.example")


async def test_two_clicks_fill_once(tenant_factory):
    tenant = await tenant_factory(pack="baseline-crm")
    ctx = await context_for_user(tenant.id, tenant.admin_id)
    answers = await asyncio.gather(*(sample_clearing.begin_filling(ctx) for _ in range(4)), return_exceptions=True)
    assert sorted(type(a).__name__ for a in answers) == ["Conflict"] * 3 + ["UUID"], answers
    async with tenant_transaction(tenant.id) as conn:
        assert await conn.fetchval("DELETE FROM job WHERE tenant_id = $1 AND kind = 'load_sample' RETURNING 1", tenant.id) == 1


async def test_what_could_not_be_brought_back_is_told_and_tried_again(tenant_factory, monkeypatch):
    from saas.tenants import set_tenant_limits

    tenant = await tenant_factory(pack="baseline-crm")
    ctx = await filled(tenant, "baseline-crm", monkeypatch, 40)
    await sample_clearing.begin_clearing(ctx)
    await drain()
    gone = (await sample_clearing.state_of(ctx)).cleared.result["people"]
    async with tenant_transaction(tenant.id) as conn:
        before = len(await live(conn, tenant.id))
        await conn.execute("UPDATE app_user SET password_hash = 'x' WHERE tenant_id = $1 AND id = $2::text::uuid", tenant.id, gone[0])
    await set_tenant_limits(tenant.slug, {"seats": 1})
    await sample_clearing.begin_undoing(await context_for_user(tenant.id, tenant.admin_id))
    await drain()
    async with tenant_transaction(tenant.id) as conn:
        assert len(await live(conn, tenant.id)) > before, "records come back all the same"
    left = (await sample_clearing.state_of(ctx)).cleared
    assert left is not None and left.result["people"] == [gone[0]] and left.result["left"] == 0
    await set_tenant_limits(tenant.slug, {})
    await sample_clearing.begin_undoing(await context_for_user(tenant.id, tenant.admin_id))
    await drain()
    assert (await sample_clearing.state_of(ctx)).cleared is None
    assert (await find_user(tenant.id, user_id=UUID(gone[0])))["status"] == "active"
