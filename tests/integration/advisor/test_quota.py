"""How many fields may have an index is said by the tenant's plan, wherever a configuration is changed; what is there always stays."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from saas.errors import InvalidDefinition
from saas.metadata import drafts, store
from saas.runtime import configuration
from saas.runtime.packs import apply_pack, plan_pack
from saas.tenants import USUAL, limits_of, set_tenant_plan
from tests.bundles import field as fld
from tests.factories import make_lab
from tests.integration.backfill.conftest import workshop

PATH = "entities[order].fields[x2].indexed"


def indexed(count: int, *, start: int = 0) -> dict[str, Any]:
    """The workshop whose orders have so many fields with an index, the first of them x<start>."""
    raw = workshop()
    next(e for e in raw["entities"] if e["key"] == "order")["fields"] += [fld(f"x{n}", "int", indexed=True) for n in range(start, start + count)]
    return raw


def having(raw: Any) -> set[str]:
    return {f["key"] for e in raw["entities"] for f in e["fields"] if f.get("indexed")}


@pytest.fixture
async def lab(database, offer):
    """Two indexes, in a plan that allows two."""
    offer("two", indexed_fields=2)
    offer("one", indexed_fields=1)
    offer("three", indexed_fields=3)
    lab = await make_lab(indexed(2), people=False)
    await set_tenant_plan(lab.slug, "two")
    return lab


async def test_publishing_refuses_one_more_and_names_it(lab):
    with pytest.raises(InvalidDefinition) as refused:
        await configuration.publish(await lab.ctx(), raw=indexed(3))
    assert [(p.path, p.code) for p in refused.value.problems] == [(PATH, "too_many_indexes")]
    assert "Your plan allows 2 fields" in str(refused.value.problems[0].message) and "“X2” of “Orders”" in str(refused.value.problems[0].message)
    plan = await configuration.make_plan(await lab.ctx(), indexed(3))
    assert [p["path"] for p in plan.report.problems] == [PATH] and not plan.report.can_publish
    await set_tenant_plan(lab.slug, "three")
    assert (await configuration.make_plan(await lab.ctx(), indexed(3))).report.can_publish
    await configuration.publish(await lab.ctx(), raw=indexed(3))


async def test_the_usual_plan_allows_what_it_says(lab):
    await set_tenant_plan(lab.slug, USUAL)
    most = limits_of(USUAL).indexed_fields
    await configuration.publish(await lab.ctx(), raw=indexed(most))
    with pytest.raises(InvalidDefinition):
        await configuration.publish(await lab.ctx(), raw=indexed(most + 1))


async def test_a_plan_that_shrinks_takes_nothing_away(lab):
    await set_tenant_plan(lab.slug, "one")
    raw = indexed(2)
    raw["entities"][0]["fields"].append(fld("more", "text"))
    await configuration.publish(await lab.ctx(), raw=raw)  # both stay, and everything else can be changed
    await configuration.publish(await lab.ctx(), raw=indexed(1, start=2))  # another one in the place of two
    with pytest.raises(InvalidDefinition) as refused:
        await configuration.publish(await lab.ctx(), raw=indexed(2, start=2))
    assert [p.path for p in refused.value.problems] == ["entities[order].fields[x3].indexed"]


async def test_going_back_is_always_possible(lab):
    before = (await lab.ctx()).config.revision
    await configuration.publish(await lab.ctx(), raw=workshop())
    await set_tenant_plan(lab.slug, "one")
    earlier = (await store.revision(lab.tenant_id, before)).bundle
    assert (await configuration.make_plan(await lab.ctx(), earlier, back_to=before)).report.can_publish
    await configuration.revert(await lab.ctx(), before)
    assert having((await store.revision(lab.tenant_id)).bundle) == {"x0", "x1"}


async def test_a_pack_comes_without_what_is_too_much(lab):
    pack = indexed(4)
    pack["pack"]["version"] = "2.0.0"
    ctx = await lab.ctx()
    found = await plan_pack(ctx, pack)
    plan = await configuration.make_plan(ctx, found.raw, data=found.data, base_revision=found.base_revision, pack=configuration.Pack(found.pack))
    said = [i for i in plan.report.impacts if i.code == "index_left_out"]
    assert plan.report.can_publish and [i.field for i in said] == ["x2", "x3"]
    assert all("It comes without one." in str(i.message) for i in (await configuration.get_plan(ctx, plan.id)).report.impacts if i.code == "index_left_out")
    await apply_pack(ctx, found, plan_id=plan.id, replace=True)
    assert having((await store.revision(lab.tenant_id)).bundle) == {"x0", "x1"}


async def test_a_pack_applied_without_a_plan_of_changes_does_the_same(lab):
    pack = indexed(4)
    ctx = await lab.ctx()
    await apply_pack(ctx, await plan_pack(ctx, pack), replace=True)
    assert having((await store.revision(lab.tenant_id)).bundle) == {"x0", "x1"}


async def test_a_new_workspace_gets_what_its_plan_allows(tenant_factory, offer):
    offer("two", indexed_fields=2)
    tenant = await tenant_factory(plan_key="two")
    from saas.runtime.contexts import system_context

    ctx = await system_context(tenant.id)
    await configuration.install(ctx, indexed(3))
    assert having((await store.revision(tenant.id)).bundle) == {"x0", "x1"}
    pack = copy.deepcopy(workshop())
    pack["pack"]["key"] = "another"
    assert (await plan_pack(await system_context(tenant.id), pack)).mode == "install"  # still as it came: nothing of it is anybody's work


async def test_the_pages_say_so(lab, browse):
    browser = await browse(lab)
    page = await browser.get("/settings/speed")
    assert "2 of 2" in page.text and "Your plan allows 2. Those that are there stay" in page.text
    assert (await browser.post("/settings/speed/index", {"entity": "order", "field": "amount"})).status_code == 303
    page = await browser.get("/settings/speed")
    assert "Your plan allows 2 fields with an index of their own. “Amount” of “Orders” would be one more." in page.text
    ctx = await lab.ctx()
    assert (await drafts.open_draft(lab.tenant_id, ctx.user_id)).steps == ()
    await set_tenant_plan(lab.slug, "three")
    assert (await browser.post("/settings/speed/index", {"entity": "order", "field": "amount"})).status_code == 303
    assert "1 more in your draft" in (await browser.get("/settings/speed")).text
    await set_tenant_plan(lab.slug, "one")  # while the draft waits
    page = await browser.get("/settings/draft")
    assert "Your plan allows 1 field with an index of its own. “Amount” of “Orders” would be one more." in page.text
