"""The one door for configuration: plans, publishing, taking back, two admins at once, everything or nothing."""

from __future__ import annotations

import asyncio
import contextvars
import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from saas.db import tenant_transaction
from saas.errors import Conflict, InvalidDefinition, NotFound, PermissionDenied
from saas.i18n import use_locale
from saas.metadata import drafts, edits, store
from saas.metadata.packs import list_packs, load_pack
from saas.runtime import configuration, execute
from saas.runtime import operations as ops
from saas.runtime.configuration import compare_revisions, get_plan, make_plan, publish, revert
from saas.runtime.contexts import system_context
from saas.runtime.worker import drain
from saas.tenants import list_audit
from tests.bundles import field, good_bundle, label
from tests.factories import Lab, make_lab, rich_bundle

THING = "entities[thing]"


@pytest_asyncio.fixture
async def lab(database: Any) -> Lab:
    return await make_lab(people=False)


def with_field(key: str = "extra", **more: Any) -> dict[str, Any]:
    return edits.add(rich_bundle(), f"{THING}.fields", field(key, more.pop("type", "text"), **more))


def without_rank() -> dict[str, Any]:
    return edits.remove(edits.remove(rich_bundle(), f"{THING}.fields[rank]"), f"{THING}.fields[twice]")


async def kinds_of(lab: Lab) -> list[str]:
    return [e["kind"] for e in await list_audit(lab.tenant_id) if e["kind"].startswith("config.")]


# ---- plans -------------------------------------------------------------------------------------------------------------


async def test_a_plan_says_what_changes_and_can_be_published(lab):
    for n in range(3):
        await lab.make("thing", name=f"Thing {n}", rank=n if n else None)
    ctx = await lab.ctx()
    plan = await make_plan(ctx, without_rank())
    gone = {c.path: c for c in plan.report.changes}[f"{THING}.fields[rank]"]
    assert (plan.base_revision, plan.kind, gone.kind, gone.records) == (1, "destructive", "destructive", 2)
    [hidden] = [i for i in plan.report.impacts if i.code == "values_hidden"]
    assert hidden.count == 2 and plan.report.can_publish
    made = await publish(ctx, plan_id=plan.id, message="Away with it")
    assert (made.number, made.hash, made.message) == (2, plan.hash, "Away with it")
    assert (await store.revision(lab.tenant_id)).bundle == without_rank()
    assert await kinds_of(lab) == ["config.published", "config.planned"]


async def test_a_plan_reads_back_as_it_was_made(lab):
    plan = await make_plan(await lab.ctx(), changed_stage())
    again = await get_plan(await lab.ctx(), plan.id)
    assert again == plan or [str(c.message) for c in again.report.changes] == [str(c.message) for c in plan.report.changes]
    assert (again.hash, again.bundle, again.data, again.report.seconds) == (plan.hash, plan.bundle, plan.data, plan.report.seconds)
    assert [(i.code, i.count, str(i.message)) for i in again.report.impacts] == [(i.code, i.count, str(i.message)) for i in plan.report.impacts]
    with use_locale("zh_CN"):
        assert [str(c.title) for c in again.report.changes] == [str(c.title) for c in plan.report.changes]


def changed_stage() -> dict[str, Any]:
    return edits.put(rich_bundle(), "pipelines[deal].stages[offer].label", label("Quote"))


async def test_plans_are_independent_of_each_other(lab):
    """An earlier plan stays what it is when a later one is made: each publishes exactly its bundle."""
    ctx = await lab.ctx()
    first = await make_plan(ctx, with_field("first"))
    await make_plan(ctx, with_field("second"))
    await publish(ctx, plan_id=first.id)
    assert edits.find((await store.revision(lab.tenant_id)).bundle, f"{THING}.fields[first]") is not None


async def test_a_plan_is_void_after_somebody_published(lab):
    ctx = await lab.ctx()
    plan = await make_plan(ctx, with_field("first"))
    await publish(ctx, raw=with_field("second"))
    with pytest.raises(Conflict) as refused:
        await publish(await lab.ctx(), plan_id=plan.id)
    assert refused.value.data["since"][0]["revision"] == 2
    with pytest.raises(Conflict):
        await make_plan(await lab.ctx(), with_field("third"), base_revision=1)


async def test_a_plan_that_is_not_there_any_more(lab):
    ctx = await lab.ctx()
    for wanted in (uuid4(), "nothing", "a' OR 1=1"):
        with pytest.raises(Conflict):
            await publish(ctx, plan_id=wanted)
        with pytest.raises(NotFound):
            await get_plan(ctx, wanted)


async def test_a_plan_of_another_tenant_is_not_there(lab):
    other = await make_lab(people=False)
    plan = await make_plan(await other.ctx(), with_field())
    with pytest.raises(NotFound):
        await get_plan(await lab.ctx(), plan.id)
    with pytest.raises(Conflict):
        await publish(await lab.ctx(), plan_id=plan.id)


async def test_problems_are_in_the_plan_and_keep_it_from_being_published(lab):
    await lab.make("thing", name="Thing", rank=1)
    ctx = await lab.ctx()
    raw = edits.remove(rich_bundle(), f"{THING}.fields[rank]")  # the formula “twice” still names it
    plan = await make_plan(ctx, raw)
    assert [p["path"] for p in plan.report.problems] == [f"{THING}.fields[twice].expr"]
    assert not plan.report.can_publish and plan.report.obstacles and plan.report.examples == ()
    assert [i.code for i in plan.report.impacts] == ["values_hidden"], "what can be said about the data is said"
    with pytest.raises(InvalidDefinition) as refused:
        await publish(ctx, plan_id=plan.id)
    assert [p.path for p in refused.value.problems] == [f"{THING}.fields[twice].expr"]


@pytest.mark.parametrize("break_it", [
    lambda raw: raw["entities"][0]["fields"][7].update(type="nonsense"),
    lambda raw: raw["entities"][0]["fields"][15].pop("label"),
    lambda raw: raw["pipelines"][0]["stages"][1].update(kind="nonsense"),
    lambda raw: raw["entities"][1]["rules"][0].update(expr="grade =="),
    lambda raw: raw["entities"][1]["unique"][0].update(fields=["nothing"]),
    lambda raw: raw["entities"][1].update(editable_if="nothing == 1"),
    lambda raw: raw["entities"][0]["fields"][16].update(set="nothing", options=None),
    lambda raw: raw["entities"].pop(1),
    lambda raw: raw["roles"].pop(0),
    lambda raw: raw["entities"][1]["fields"][10].update(to="nothing"),
])  # fmt: skip
async def test_an_unsound_bundle_can_be_planned(lab, break_it):
    """And what is set aside because it is broken is not taken for removed."""
    await lab.make("thing", name="Thing", rank=1, due="2025-01-01", color="red")
    await lab.make("account", name="Account", grade="b")
    raw = rich_bundle()
    break_it(raw)
    plan = await make_plan(await lab.ctx(), raw)
    assert plan.report.problems and not plan.report.can_publish
    assert not [i for i in plan.report.impacts if i.code == "values_hidden"]


@pytest.mark.parametrize("raw", [{}, {"format": 1}, {"format": 1, "entities": [], "roles": []}, [], "x"])
async def test_what_is_no_bundle_cannot_be_planned(lab, raw):
    with pytest.raises(InvalidDefinition):
        await make_plan(await lab.ctx(), raw)


async def test_old_plans_are_removed(lab):
    ctx = await lab.ctx()
    plan = await make_plan(ctx, with_field())
    async with tenant_transaction(lab.tenant_id) as conn:
        for days in range(40):
            await conn.execute(
                "INSERT INTO config_plan (tenant_id, id, base_revision, hash, bundle, created_at) VALUES ($1, $2, 1, '', '{}', now() - make_interval(days => $3, hours => 1))",
                lab.tenant_id, uuid4(), days,
            )  # fmt: skip
        await configuration.remove_old_plans(conn, lab.tenant_id)
        rows = await conn.fetch("SELECT now() - created_at AS age FROM config_plan WHERE tenant_id = $1 ORDER BY created_at DESC", lab.tenant_id)
    assert len(rows) == 20 and max(r["age"].days for r in rows) == 18
    assert (await get_plan(ctx, plan.id)).id == plan.id
    async with tenant_transaction(lab.tenant_id) as conn:
        await conn.execute("UPDATE config_plan SET created_at = now() - interval '6 days' WHERE tenant_id = $1", lab.tenant_id)
        for _ in range(15):
            await conn.execute("INSERT INTO config_plan (tenant_id, id, base_revision, hash, bundle) VALUES ($1, $2, 1, '', '{}')", lab.tenant_id, uuid4())
        await configuration.remove_old_plans(conn, lab.tenant_id)
        assert await conn.fetchval("SELECT count(*) FROM config_plan WHERE tenant_id = $1", lab.tenant_id) == 35, "those of this week stay"


# ---- rights ------------------------------------------------------------------------------------------------------------


async def test_only_those_with_the_right(lab):
    await lab.person("seller", ["seller"])
    ctx = await lab.ctx("seller")
    for act in (make_plan(ctx, with_field()), get_plan(ctx, uuid4()), publish(ctx, raw=with_field()), revert(ctx, 1), compare_revisions(ctx, 1, 1)):
        with pytest.raises(PermissionDenied):
            await act
    assert len(await store.revisions(lab.tenant_id)) == 1


async def test_nothing_is_published_in_a_suspended_workspace(lab):
    from dataclasses import replace

    ctx = await lab.ctx()
    closed = ctx.replace(tenant=replace(ctx.tenant, status="suspended"))
    with pytest.raises(PermissionDenied):
        await publish(closed, raw=with_field())
    with pytest.raises(PermissionDenied):
        await revert(closed, 1)


# ---- publishing --------------------------------------------------------------------------------------------------------


async def test_data_steps_travel_with_plan_and_revision(lab):
    ctx = await lab.ctx()
    step = {"do": "fill", "entity": "thing", "field": "rank", "value": 1}
    plan = await make_plan(ctx, edits.put(rich_bundle(), f"{THING}.fields[rank].required", True), data=[step])
    assert plan.data == (step,) and (await get_plan(ctx, plan.id)).data == (step,)
    await publish(ctx, plan_id=plan.id)
    assert (await store.revision(lab.tenant_id)).data == [step]


@pytest.mark.parametrize(
    ("step", "path"),
    [
        ({"do": "explode"}, "data[0]"), ("fill", "data[0]"), ({"do": "fill", "entity": "nothing", "field": "x", "value": 1}, "data[0].entity"),
        ({"do": "fill", "entity": "thing", "field": "nothing", "value": 1}, "data[0].field"), ({"do": "fill", "entity": "thing", "field": "twice", "value": 1}, "data[0].field"),
        ({"do": "fill", "entity": "thing", "field": "rank", "value": "many"}, "data[0].value"), ({"do": "fill", "entity": "thing", "field": "rank"}, "data[0]"),
        ({"do": "fill", "entity": "thing", "field": "rank", "value": None}, "data[0].value"), ({"do": "fill", "entity": "thing", "field": "rank", "expr": "nothing + 1"}, "data[0].expr"),
        ({"do": "fill", "entity": "deal", "field": "stage", "value": "open"}, "data[0].field"), ({"do": "fill", "entity": "thing", "field": "rank", "value": 1, "more": 2}, "data[0].more"),
        ({"do": "replace", "entity": "thing", "field": "color", "from": "red", "to": "pink"}, "data[0].to"), ({"do": "replace", "entity": "thing", "field": "color", "to": "red"}, "data[0].from"),
        ({"do": "replace", "entity": "thing", "field": "color", "from": "red", "rules": [{"if": "rank", "to": "blue"}], "to": None}, "data[0].rules[0].if"),
        ({"do": "replace", "entity": "deal", "field": "stage", "from": "open", "to": None}, "data[0].to"), ({"do": "role", "from": "seller", "to": "nobody_known"}, "data[0].to"),
    ],
)  # fmt: skip
async def test_data_steps_that_make_no_sense(lab, step, path):
    for act in (make_plan(await lab.ctx(), rich_bundle(), data=[step]), publish(await lab.ctx(), raw=with_field(), data=[step])):
        with pytest.raises(InvalidDefinition) as refused:
            await act
        assert [p.path for p in refused.value.problems] == [path]


async def test_the_plan_counts_what_is_then_done(lab):
    """Each figure of the plan is the figure of the work that follows."""
    for n in range(9):
        await lab.make("thing", name=f"Thing {n % 5}", rank=n if n < 6 else None, color=("red", "green", "blue")[n % 3], note=str(n) if n < 4 else "four")
    raw = edits.remove(edits.put(rich_bundle(), f"{THING}.fields[rank].required", True), f"{THING}.fields[color].options[red]")
    raw["automations"] = [a for a in raw["automations"] if a["entity"] != "thing"]
    raw = edits.put(edits.put(raw, f"{THING}.fields[note]", field("note", "int")), f"{THING}.fields[name].unique", True)
    data = [
        {"do": "fill", "entity": "thing", "field": "rank", "expr": "if(name == 'Thing 1', 1, null)"},
        {"do": "replace", "entity": "thing", "field": "color", "from": "red", "rules": [{"if": "rank > 2", "to": "blue"}], "to": None},
    ]
    plan = await make_plan(await lab.ctx(), raw, data=data)
    found = {i.code: i.count for i in plan.report.impacts}
    await publish(await lab.ctx(), plan_id=plan.id)
    await drain()
    [row] = await lab.fetch("SELECT result, payload FROM job WHERE tenant_id = $1 AND kind = 'backfill'")
    steps = {(raw["kind"], raw["field"]): done for raw, done in zip(json.loads(row[1])["steps"], json.loads(row[0])["steps"], strict=True)}
    assert found["required_filled"] == steps["fill", "rank"]["changed"] == 1 and found["required_missing"] == 2
    assert found["option_replaced"] == steps["replace", "color"]["changed"] == 3
    assert (found["values_converted"], found["values_lost"]) == (steps["convert", "note"]["changed"], steps["convert", "note"]["lost"]) == (4, 5)
    groups = 4  # of two records each: one of each holds the value
    assert found["not_unique"] - groups == steps["unique", "name"]["collisions"] == 4
    assert plan.report.seconds > 0


async def test_people_get_another_role_with_the_revision(lab):
    seller = await lab.person("seller", ["seller", "reader"])
    raw = rich_bundle()
    raw["roles"] = [r for r in raw["roles"] if r["key"] != "seller"]
    raw = edits.put(raw, "entities[account].owner_roles", ["admin"])
    raw = edits.put(raw, "entities[account].fields[helper].roles", ["assigned"])
    raw["pipelines"][0]["transitions"][2]["roles"] = ["chief"]
    await publish(await lab.ctx(), raw=raw, data=[{"do": "role", "from": "seller", "to": "chief"}])
    assert set((await lab.ctx("seller")).user.role_keys) == {"chief", "reader"}
    [told] = [e for e in await list_audit(lab.tenant_id) if e["kind"] == "user.roles_changed"]
    assert told["target"] == str(seller) and told["data"] == {"role": "seller", "instead": "chief"}


async def test_the_last_administrator_keeps_the_configuration(lab):
    raw = edits.put(rich_bundle(), "entities[account].owner_roles", ["boss"])
    raw["roles"][0] = {"key": "boss", "label": label("Boss"), "admin": True}
    plan = await make_plan(await lab.ctx(), raw)
    assert not plan.report.can_publish
    with pytest.raises(InvalidDefinition) as refused:
        await publish(await lab.ctx(), raw=raw)
    assert [p.code for p in refused.value.problems] == ["nobody_configures"]
    await publish(await lab.ctx(), raw=raw, data=[{"do": "role", "from": "admin", "to": "boss"}])
    await publish(await lab.ctx(), raw=edits.put(raw, "pack.version", "2.0.0"))


async def test_a_red_example_blocks_publishing(lab):
    raw = rich_bundle()
    raw["examples"] = [{"key": "cheap", "label": label("Cheap deals cannot be won"), "entity": "deal", "as": "chief", "given": {"name": "Deal", "amount": "10"},
                        "when": {"transition": "win"}, "expect": "allowed"}]  # fmt: skip
    plan = await make_plan(await lab.ctx(), raw)
    assert not plan.report.problems, [(p["path"], str(p["message"]), str(p["hint"])) for p in plan.report.problems]
    assert [e.passed for e in plan.report.examples] == [False] and not plan.report.can_publish
    with pytest.raises(InvalidDefinition) as refused:
        await publish(await lab.ctx(), plan_id=plan.id)
    assert [(p.path, p.code) for p in refused.value.problems] == [("examples[cheap]", "example_failed")]
    again = await get_plan(await lab.ctx(), plan.id)
    assert [e.passed for e in again.report.examples] == [False] and str(again.report.examples[0].message)
    raw["examples"][0]["expect"] = "refused"
    assert (await make_plan(await lab.ctx(), raw)).report.can_publish
    await publish(await lab.ctx(), raw=raw)


async def test_publishing_ends_the_draft_it_came_from(lab):
    ctx = await lab.ctx()
    await drafts.edit(lab.tenant_id, ctx.user_id, "Add", lambda raw, data: (with_field(), data))
    await publish(ctx, raw=with_field("another"), base_revision=1)
    assert not (await drafts.open_draft(lab.tenant_id, ctx.user_id)).is_empty, "a draft of something else stays"
    draft = await drafts.open_draft(lab.tenant_id, ctx.user_id)
    await publish(await lab.ctx(), raw=draft.raw, base_revision=draft.base)
    assert (await drafts.open_draft(lab.tenant_id, ctx.user_id)).is_empty


async def test_everything_or_nothing(lab, monkeypatch):
    """Whatever fails at the end takes everything along: revision, columns, audit, draft."""
    ctx = await lab.ctx()
    await drafts.edit(lab.tenant_id, ctx.user_id, "Add", lambda raw, data: (with_field(), data))
    before = await lab.fetch("SELECT count(*) FROM field_column WHERE tenant_id = $1")

    async def fails(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("the audit log is full")

    monkeypatch.setattr(configuration, "record_audit", fails)
    with pytest.raises(RuntimeError):
        await publish(ctx, raw=with_field())
    monkeypatch.undo()
    assert [r.number for r in await store.revisions(lab.tenant_id)] == [1] and (await lab.ctx()).config.revision == 1
    assert await lab.fetch("SELECT count(*) FROM field_column WHERE tenant_id = $1") == before
    assert not (await drafts.open_draft(lab.tenant_id, ctx.user_id)).is_empty and await kinds_of(lab) == []


# ---- two at once -------------------------------------------------------------------------------------------------------


async def test_of_two_admins_one_is_told_what_the_other_did(lab):
    await lab.person("second", ["admin"])
    first, second = await lab.ctx(), await lab.ctx("second")
    results = await asyncio.gather(
        publish(first, raw=with_field("first"), message="One more"), publish(second, raw=with_field("second"), message="Another"), return_exceptions=True
    )
    [refused] = [r for r in results if isinstance(r, Conflict)]
    [made] = [r for r in results if isinstance(r, store.Revision)]
    assert made.number == 2 and refused.data["revision"] == 2
    [since] = refused.data["since"]
    winner = {first.user_id: "admin", second.user_id: "Second"}[made.author_id]
    assert since["author"] == winner and since["message"] == made.message and winner in str(refused.message)
    kept = [k for k in ("first", "second") if edits.find((await store.revision(lab.tenant_id)).bundle, f"{THING}.fields[{k}]")]
    assert kept == (["first"] if made.author_id == first.user_id else ["second"]), "nothing mixed, nothing lost"


async def test_the_loser_merges_and_both_edits_live(lab):
    """What the designer does with a conflict: the draft is brought onto the new revision, and publishes then."""
    second = await lab.person("second", ["admin"])
    await drafts.edit(lab.tenant_id, second, "Add", lambda raw, data: (edits.add(raw, f"{THING}.fields", field("second", "text")), data))
    await publish(await lab.ctx(), raw=with_field("first"))
    draft = await drafts.open_draft(lab.tenant_id, second)
    await publish(await lab.ctx("second"), raw=draft.raw, base_revision=draft.base)
    live = (await store.revision(lab.tenant_id)).bundle
    assert all(edits.find(live, f"{THING}.fields[{k}]") for k in ("first", "second"))


async def test_many_publishers_never_skip_or_repeat_a_revision(lab):
    async def go(n: int) -> int:
        for _ in range(60):
            ctx = await lab.ctx()
            raw = edits.put((await store.revision(lab.tenant_id, ctx.config.revision)).bundle, "pack.version", f"1.0.{n}")
            raw = edits.put(raw, "pack.label.en", raw["pack"]["label"]["en"] + "x")
            try:
                return (await publish(ctx, raw=raw)).number
            except Conflict:
                continue
        raise AssertionError("never its turn")

    numbers = await asyncio.gather(*(go(n) for n in range(5)))
    assert sorted(numbers) == [2, 3, 4, 5, 6]
    assert (await store.revision(lab.tenant_id)).bundle["pack"]["label"]["en"].endswith("xxxxx"), "no edit was lost"


# ---- taking back -------------------------------------------------------------------------------------------------------


async def test_revert_is_a_new_revision_with_the_old_bundle(lab):
    first = await store.revision(lab.tenant_id)
    await publish(await lab.ctx(), raw=with_field())
    back = await revert(await lab.ctx(), 1)
    assert (back.number, back.hash) == (3, first.hash) and "1" in back.message
    assert (await store.revision(lab.tenant_id)).bundle == rich_bundle()
    assert await kinds_of(lab) == ["config.reverted", "config.published"]
    with pytest.raises(NotFound):
        await revert(await lab.ctx(), 77)
    with pytest.raises(NotFound):
        await revert(await lab.ctx(), 10**12)
    with pytest.raises(Conflict):
        await revert(await lab.ctx(), 2, base_revision=1)


async def test_values_of_a_removed_field_come_back(lab):
    thing = await lab.make("thing", name="Thing", rank=7)
    await publish(await lab.ctx(), raw=without_rank())
    assert "rank" not in (await lab.get("thing", thing)).values
    await execute(await lab.ctx(), ops.Update(entity="thing", id=thing, values={"name": "Renamed"}))
    await revert(await lab.ctx(), 1)
    values = (await lab.get("thing", thing)).values
    assert (values["rank"], values["twice"], values["name"]) == (7, 14, "Renamed")


async def test_going_back_is_possible_while_records_stand_in_a_stage_that_goes(lab):
    """They move to the stage before it, as the plan says."""
    raw = rich_bundle()
    raw["pipelines"][0]["stages"].insert(2, {"key": "talk", "label": label("Talk")})
    raw["pipelines"][0]["transitions"].append({"key": "talk", "label": label("Talk"), "from": ["open"], "to": "talk"})
    await publish(await lab.ctx(), raw=raw)
    deal = await lab.make("deal", name="Deal")
    await execute(await lab.ctx(), ops.Transition(entity="deal", id=deal, key="talk", values={}))
    plan = await make_plan(await lab.ctx(), rich_bundle())
    assert plan.data == ({"do": "replace", "entity": "deal", "field": "stage", "from": "talk", "to": "offer", "rest": True},)
    assert [i.code for i in plan.report.impacts] == ["stage_replaced"] and plan.report.can_publish
    back = await revert(await lab.ctx(), 1)
    assert back.data[0]["to"] == "offer"


async def test_any_two_revisions_can_be_compared(lab):
    await publish(await lab.ctx(), raw=with_field())
    ctx = await lab.ctx()
    assert [c.path for c in await compare_revisions(ctx, 1, 2)] == [f"{THING}.fields[extra]"] == [c.path for c in await compare_revisions(ctx, 2, 1)]
    assert await compare_revisions(ctx, 2, 2) == []
    with pytest.raises(NotFound):
        await compare_revisions(ctx, 1, 9)


# ---- packs at creation -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pack", [p.key for p in list_packs()])
async def test_a_shipped_pack_is_installed_and_remembered(tenant_factory, pack):
    tenant = await tenant_factory(pack=pack)
    raw = load_pack(pack)
    live = await store.revision(tenant.id)
    assert (live.number, live.hash, live.author_id) == (1, store.content_hash(raw), tenant.admin_id)
    async with tenant_transaction(tenant.id) as conn:
        [row] = await conn.fetch("SELECT pack_key, version, revision FROM pack_install WHERE tenant_id = $1", tenant.id)
    assert tuple(row) == (pack, raw["pack"]["version"], 1)
    with pytest.raises(Conflict):
        await configuration.install(await system_context(tenant.id), raw)


# ---- requests in flight ------------------------------------------------------------------------------------------------


async def test_a_request_in_flight_ends_as_it_began(lab):
    """It waits for a row while a new revision is published, and finishes under the old one; the next request sees the new one."""
    thing = await lab.make("thing", name="Thing", rank=1)
    ctx = await lab.ctx()
    entity = ctx.config.entity("thing")
    async with tenant_transaction(lab.tenant_id) as conn:
        await conn.execute(f"SELECT 1 FROM record WHERE entity_id = {entity.number} AND id = $1 FOR UPDATE", thing)  # noqa: S608  a number
        waiting = asyncio.create_task(execute(ctx, ops.Update(entity="thing", id=thing, values={"rank": 9})), context=contextvars.Context())
        await asyncio.sleep(0.2)
        assert not waiting.done()
        elsewhere = asyncio.create_task(publish_elsewhere(lab, without_rank()), context=contextvars.Context())
        assert (await elsewhere).number == 2
    change = await waiting
    assert change.record.values["rank"] == 9
    with pytest.raises(Exception, match="attention") as refused:
        await execute(await lab.ctx(), ops.Update(entity="thing", id=thing, values={"rank": 3}))
    assert [p.code for p in refused.value.problems] == ["unknown_field"]
    await revert(await lab.ctx(), 1)
    assert (await lab.get("thing", thing)).values["rank"] == 9, "what it wrote is kept"


async def publish_elsewhere(lab: Lab, raw: Mapping[str, Any]) -> store.Revision:
    return await publish(await lab.ctx(), raw=raw)


async def test_records_can_be_written_while_a_revision_is_being_published(lab):
    """The lock of publishers stops nobody else: not even records that refer to the tenant's people."""
    async with tenant_transaction(lab.tenant_id) as conn:
        assert await store._lock(conn, lab.tenant_id, 1) == 1
        made = await asyncio.wait_for(asyncio.create_task(lab.make("thing", name="Meanwhile"), context=contextvars.Context()), 30)
        person = await asyncio.wait_for(asyncio.create_task(lab.person("meanwhile", ["reader"]), context=contextvars.Context()), 30)
    assert isinstance(made, UUID) and isinstance(person, UUID)


async def test_a_plan_needs_a_snapshot_of_its_own(lab):
    ctx = await lab.ctx()
    async with tenant_transaction(lab.tenant_id):
        with pytest.raises(RuntimeError):
            await make_plan(ctx, with_field())


def test_bundles_of_tests_are_sound():
    from saas.metadata.parse import problems_of

    assert problems_of(good_bundle()) == problems_of(rich_bundle()) == problems_of(with_field()) == problems_of(without_rank()) == []
