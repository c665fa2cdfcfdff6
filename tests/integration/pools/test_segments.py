"""Hard borders inside a company: nobody sees, finds or writes what belongs to another segment, whatever their role says."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from saas.errors import InvalidInput, NotFound, PermissionDenied
from saas.metadata.parse import examine
from saas.runtime import execute
from saas.runtime import operations as ops
from saas.runtime.explain import explain
from saas.runtime.finding import find_everywhere
from saas.runtime.segments import put, show
from tests.bundles import field as fld
from tests.bundles import label
from tests.factories import PASSWORD, Lab, make_lab, options
from tests.integration.test_pages import Browser

LEAD = {
    "key": "lead", "label": label("Lead"), "plural": label("Leads"), "title": "name", "search": ["name"], "sharing": True,
    "fields": [fld("name", "text", required=True), fld("line", "option", options=options("steel", "glass"))],
    "segment_field": "line", "segment_roles": ["marketing"], "pools": [{"key": "open", "label": label("Open")}],
}  # fmt: skip


def _bundle() -> dict[str, Any]:
    everything = {"lead": {"create": True, "read": "all", "update": "all", "delete": "all", "bulk": True, "import": True}}
    return {
        "format": 1, "pack": {"key": "group", "version": "1.0.0", "label": label("Group"), "icon": "box"}, "entities": [LEAD],
        "roles": [{"key": "admin", "label": label("Admin"), "admin": True}, *({"key": k, "label": label(k), "entities": everything} for k in ("sales", "marketing"))],
    }  # fmt: skip


@pytest_asyncio.fixture(scope="module")
async def group(database) -> Lab:
    lab = await make_lab(_bundle(), people=False)
    for who, role, mine in (("anna", "sales", ["steel"]), ("arno", "sales", ["steel"]), ("bill", "sales", ["glass"]), ("both", "sales", ["steel", "glass"]), ("none", "sales", []), ("mark", "marketing", [])):
        await lab.person(who, [role])
        await put(await lab.ctx("admin"), lab.people[who], mine)
    return lab


async def _reaches(lab: Lab, who: str, name: str, record_id: UUID) -> bool:
    ctx = await lab.ctx(who)
    listed = bool((await execute(ctx, ops.List(entity="lead", filter={"field": "name", "op": "eq", "value": name}))).records)
    [row] = await execute(ctx, ops.Aggregate(entity="lead", measures=[ops.Measure(fn="count")], filter={"field": "name", "op": "eq", "value": name}))
    found = name in [f.record.title for f in await find_everywhere(ctx, name, limit=20)]
    try:
        await execute(ctx, ops.Get(entity="lead", id=record_id))
        got = True
    except NotFound:
        got = False
    assert listed == bool(row.values[0]) == found == got
    return got


async def test_a_segment_sees_its_own_records_only(group):
    record_id = await group.make("lead", "anna", name="Port project")
    assert (await group.get("lead", record_id)).values["line"] == "steel", "who has one segment need not name it"
    assert [w for w in ("anna", "arno", "bill", "both", "none", "mark", "admin") if await _reaches(group, w, "Port project", record_id)] == ["anna", "arno", "both", "mark", "admin"]
    for operation in (ops.Update(entity="lead", id=record_id, values={"name": "X"}), ops.Delete(entity="lead", id=record_id)):
        with pytest.raises(NotFound):
            await execute(await group.ctx("bill"), operation)


async def test_nobody_writes_across_the_border(group):
    record_id = await group.make("lead", "anna", name="Staying")
    for who, values in (("anna", {"line": "glass"}), ("anna", {"line": None})):
        with pytest.raises(InvalidInput) as refused:
            await execute(await group.ctx(who), ops.Update(entity="lead", id=record_id, values=values))
        assert [p.code for p in refused.value.problems] == ["other_segment"]
    for who, values in (("anna", {"name": "N", "line": "glass"}), ("both", {"name": "N"}), ("none", {"name": "N", "line": "steel"})):
        with pytest.raises(InvalidInput):
            await execute(await group.ctx(who), ops.Create(entity="lead", values=values))
    results = await execute(await group.ctx("anna"), ops.CreateMany(entity="lead", rows=[{"name": "R1"}, {"name": "R2", "line": "glass"}]))
    assert isinstance(results[0], UUID) and isinstance(results[1], InvalidInput)
    for operation in (ops.Update(entity="lead", id=record_id, values={"owner": str(group.people["bill"])}), ops.Assign(entity="lead", id=record_id, to=group.people["bill"])):
        with pytest.raises(InvalidInput):
            await execute(await group.ctx("anna"), operation)


async def test_who_may_cross_moves_a_record_over(group):
    record_id = await group.make("lead", "anna", name="Handed across")
    await execute(await group.ctx("mark"), ops.Update(entity="lead", id=record_id, values={"line": "glass", "owner": str(group.people["bill"])}))
    assert await _reaches(group, "bill", "Handed across", record_id) and not await _reaches(group, "anna", "Handed across", record_id)


async def test_neither_pools_nor_shares_open_the_border(group):
    record_id = await group.make("lead", "anna", name="Pooled inside", owner=None)
    assert await _reaches(group, "arno", "Pooled inside", record_id) and not await _reaches(group, "bill", "Pooled inside", record_id)
    verdict = await explain(await group.ctx("admin"), (await group.ctx("bill")).user, "lead", record_id, "read")
    assert not verdict.allowed and any(s.holds is False and "segment" in s.text for grant in verdict.steps for s in grant.steps)


async def test_who_belongs_where_is_for_those_who_manage_people(group, http):
    with pytest.raises(PermissionDenied):
        await put(await group.ctx("anna"), group.people["anna"], ["glass"])
    with pytest.raises(InvalidInput):
        await put(await group.ctx("admin"), group.people["none"], ["wood"])
    browser = Browser(http, f"{group.slug}.localhost")
    await browser.sign_in(f"admin@{group.slug}.example", PASSWORD)
    url = f"/settings/users/{group.people['none']}/segments"
    assert url in (await browser.get(f"/settings/users/{group.people['none']}")).text and "Steel" in (await browser.get(url)).text
    assert (await browser.post(url, {"segments": ["glass"]})).status_code == 303
    assert await show(await group.ctx("admin"), group.people["none"]) == {"glass"}
    await put(await group.ctx("admin"), group.people["none"], [])


def test_the_field_must_be_one_that_can_say_it(group):
    bundle = _bundle()
    bundle["entities"] = [{**LEAD, "segment_field": "name"}]
    _found, problems = examine(bundle)
    assert [p.code for p in problems] == ["no_segments"]
