"""Going back after choices were replaced: the plan tells what comes back from what stays, as publishing it then does."""

from __future__ import annotations

import pytest

from saas.metadata import edits, store
from saas.runtime import configuration, execute
from saas.runtime import operations as ops
from saas.runtime.worker import drain
from tests.bundles import label
from tests.factories import make_lab


@pytest.mark.parametrize(("field", "one"), [("color", lambda key: key), ("kinds", lambda key: [key, "z"])])
async def test_what_the_undo_restores_is_not_counted_as_left_behind(database, field, one):
    lab = await make_lab(people=False)
    gone = "red" if field == "color" else "x"
    path = f"entities[thing].fields[{field}].options"
    ids = [await lab.make("thing", name=f"Thing {n}", **{field: one(gone)}) for n in range(5)]
    raw = (await store.revision(lab.tenant_id)).bundle
    raw = edits.add(edits.remove(raw, f"{path}[{gone}]"), path, {"key": "pink", "label": label("Pink")})
    order = {"do": "replace", "entity": "thing", "field": field, "from": gone, "to": "pink"}
    await configuration.publish(await lab.ctx("admin"), raw=raw, data=[order])
    await drain()
    ctx = await lab.ctx("admin")
    await execute(ctx, ops.Update(entity="thing", id=ids[0], values={field: one("blue") if field == "color" else ["y"]}))
    await execute(ctx, ops.Update(entity="thing", id=ids[0], values={field: one("pink")}))  # somebody means it
    new = (await execute(ctx, ops.Create(entity="thing", values={"name": "New", field: one("pink")}))).record.id
    earlier = await store.revision(lab.tenant_id, 1)
    plan = await configuration.make_plan(ctx, earlier.bundle, back_to=1)
    told = {i.code: i for i in plan.report.impacts if i.path == f"{path}[pink]"}
    assert {code: i.count for code, i in told.items()} == {"option_removed": 2, "option_restored": 4}
    assert {s["title"] for s in told["option_removed"].samples} == {"Thing 0", "New"} and "gets back" not in str(told["option_removed"].message)
    await configuration.publish(ctx, plan_id=plan.id)
    await drain()
    found = {r.id: r.values[field] for r in (await execute(await lab.ctx("admin"), ops.List(entity="thing"))).records}
    assert found == {**dict.fromkeys(ids[1:], one(gone)), ids[0]: one("pink"), new: one("pink")}


async def test_without_a_replacement_all_are_counted(database):
    lab = await make_lab(people=False)
    await lab.make("thing", name="One", color="red")
    raw = (await store.revision(lab.tenant_id)).bundle
    path = "entities[thing].fields[color].options"
    raw = edits.add(edits.remove(raw, f"{path}[red]"), path, {"key": "pink", "label": label("Pink")})
    plan = await configuration.make_plan(await lab.ctx("admin"), raw)
    assert [(i.code, i.count) for i in plan.report.impacts if i.path.startswith(path)] == [("option_removed", 1)]
