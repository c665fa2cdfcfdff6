"""Removing hides; purging destroys, is counted and confirmed, and nobody ever sees another field's values."""

from __future__ import annotations

import copy
from typing import Any
from uuid import UUID

import pytest

from saas.db import tenant_transaction
from saas.errors import Conflict, InvalidInput, NotFound, PermissionDenied
from saas.metadata import edits
from saas.runtime import execute, files, jobs
from saas.runtime import operations as ops
from saas.runtime import removed as gone
from saas.runtime.worker import run_now
from saas.tenants import list_audit
from tests.bundles import field as fld
from tests.bundles import label
from tests.integration.backfill.conftest import Shop


@pytest.fixture(autouse=True)
def settled(monkeypatch):
    """Removed long enough ago; one test says what happens before."""
    monkeypatch.setattr(gone, "SETTLED_SECONDS", -1.0)


async def listed(shop: Shop) -> dict[str, gone.Removed]:
    return {item.id: item for item in await gone.removed(await shop.lab.ctx("admin"))}


async def destroy(shop: Shop, item: gone.Removed) -> jobs.JobInfo:
    ctx = await shop.lab.ctx("admin")
    info = await run_now(ctx, await gone.purge(ctx, item, typed=item.label["en"]))
    assert info.status == "done", info.error
    return info


async def place_of(shop: Shop, entity: str, key: str) -> str:
    found = (await shop.lab.ctx("admin")).config.entity(entity)
    return found.columns[key]


async def test_removed_fields_are_listed_with_what_they_hide(shop):
    for name in "abc":
        await shop.lab.make("customer", name=name, code=None if name == "c" else name, note="long text", kinds=["gold"])
    assert await listed(shop) == {}
    column = await place_of(shop, "customer", "code")
    for key in ("code", "note", "kinds", "double"):
        shop.drop("customer", key)
    await shop.follow()
    found = await listed(shop)
    assert {i: (item.kind, item.type, item.count, item.since, item.label["en"]) for i, item in found.items()} == {
        f"customer.code@{column}": ("field", "text", 2, 2, "Code"), "customer.note@doc:note": ("field", "longtext", 3, 2, "Note"),
        "customer.kinds@doc:kinds": ("field", "multi", 3, 2, "Kinds"),
    }  # fmt: skip
    with pytest.raises(PermissionDenied):
        await gone.removed(await shop.lab.ctx("clerk"))


async def test_values_from_before_a_change_of_type_can_be_seen_and_purged(shop):
    await shop.lab.make("order", name="a", place="12")
    column = await place_of(shop, "order", "place")
    first = copy.deepcopy(shop.raw)
    shop.put("order", fld("place", "int"))
    await shop.follow()
    [item] = (await listed(shop)).values()
    assert (item.kind, item.type, item.count, item.place, item.last) == ("values", "text", 1, column, 1)
    await destroy(shop, item)
    assert await listed(shop) == {}
    assert await shop.values("order", "place") == {"a": 12}
    record_id = (await shop.lab.fetch("SELECT record_id FROM record_event WHERE tenant_id = $1 LIMIT 1"))[0]["record_id"]
    history = await execute(await shop.lab.ctx("admin"), ops.History(entity="order", id=record_id))
    assert any(c["field"] == "place" for e in history for c in e.changes)  # it is the history of a field in use
    await shop.follow(raw=first)
    assert await shop.values("order", "place") == {"a": "12"}  # converted back, there was nothing to find again


async def test_a_purged_column_never_shows_foreign_values(shop):
    ids = [await shop.lab.make("customer", name=n, code=f"secret {n}") for n in "ab"]
    await execute(await shop.lab.ctx("admin"), ops.Delete(entity="customer", id=ids[1]))
    column = await place_of(shop, "customer", "code")
    first = copy.deepcopy(shop.raw)
    shop.drop("customer", "code")
    await shop.follow()
    [item] = (await listed(shop)).values()
    assert item.count == 2  # the bin counts
    info = await destroy(shop, item)
    assert info.result["done"] == 2 and [(line.state, line.detail) for line in info.report()] == [("done", "2 values destroyed.")]
    taken = None
    for number in range(60):
        shop.put("customer", fld(f"x{number}", "text"))
    await shop.follow()
    entity = (await shop.lab.ctx("admin")).config.entity("customer")
    taken = next(key for key, c in entity.columns.items() if c == column)
    assert await shop.values("customer", taken) == {"a": None}
    await execute(await shop.lab.ctx("admin"), ops.Update(entity="customer", id=ids[0], values={taken: "of the new field"}))
    with_both = copy.deepcopy(shop.raw)
    with_both["entities"][0]["fields"].insert(1, fld("code", "text"))
    await shop.follow(raw=with_both)
    assert (await shop.values("customer", "code"), await shop.values("customer", taken)) == ({"a": None}, {"a": "of the new field"})
    await shop.follow(raw=first)
    assert await shop.values("customer", "code") == {"a": None}
    rows = await shop.lab.fetch("SELECT changes FROM record_event WHERE tenant_id = $1")
    assert not any("secret" in row["changes"] for row in rows)


async def test_a_field_that_comes_back_while_it_is_purged_is_empty(shop):
    await shop.lab.make("customer", name="a", code="secret", note="secret")
    first = copy.deepcopy(shop.raw)
    shop.drop("customer", "code")
    shop.drop("customer", "note")
    await shop.follow()
    ctx = await shop.lab.ctx("admin")
    waiting = [await gone.purge(ctx, item, typed=item.label["zh_CN"]) for item in (await listed(shop)).values()]
    assert await listed(shop) == {}
    await shop.follow(raw=first)
    assert (await shop.values("customer", "code"), await shop.values("customer", "note")) == ({"a": None}, {"a": None})
    record_id = (await execute(ctx, ops.List(entity="customer"))).records[0].id
    await execute(await shop.lab.ctx("admin"), ops.Update(entity="customer", id=record_id, values={"code": "new", "note": "new"}))
    for job_id in waiting:
        await run_now(ctx, job_id)
    assert (await shop.values("customer", "code"), await shop.values("customer", "note")) == ({"a": "new"}, {"a": "new"})
    assert not any("secret" in str(dict(r)) for r in await shop.lab.fetch("SELECT * FROM record WHERE tenant_id = $1"))


async def test_links_files_numbers_and_claims_go_along(shop):
    shop.put("customer", fld("papers", "file", multiple=True))
    shop.put("customer", fld("number", "auto", pattern="C-{seq}"))
    shop.put("order", fld("lot", "text", unique=True))
    await shop.follow()
    ctx = await shop.lab.ctx("clerk")
    info = await files.store_bytes(ctx, "a.txt", b"content")
    customer = await shop.lab.make("customer", by="clerk", name="c", papers=[str(info.id)])
    await shop.lab.make("order", name="o", partner=[str(customer)], lot="L1")
    before = copy.deepcopy(shop.raw)
    for entity, key in (("customer", "papers"), ("customer", "number"), ("order", "partner"), ("order", "lot")):
        shop.drop(entity, key)
    await shop.follow()
    items = await listed(shop)
    assert {i.partition("@")[0] for i in items} == {"customer.papers", "customer.number", "order.partner", "order.lot"}
    for item in items.values():
        await destroy(shop, item)
    assert not await shop.lab.fetch("SELECT 1 FROM record_link WHERE tenant_id = $1")
    assert not await shop.lab.fetch("SELECT 1 FROM counter WHERE tenant_id = $1 AND field_key = 'number'")
    assert not await shop.lab.fetch("SELECT 1 FROM unique_value WHERE tenant_id = $1")
    [file] = await shop.lab.fetch("SELECT record_id, deleted_at FROM file WHERE tenant_id = $1")
    assert file["record_id"] is None and file["deleted_at"] is not None
    with pytest.raises(NotFound):
        await files.open_file(ctx, info.id)
    await shop.follow(raw=before)
    assert await shop.values("customer", "papers") == {"c": None} and await shop.values("customer", "number") == {"c": "C-1"}


async def test_files_that_another_type_of_the_field_took_over_stay(shop):
    shop.put("customer", fld("papers", "file"))
    await shop.follow()
    ctx = await shop.lab.ctx("clerk")
    png = bytes.fromhex("89504e470d0a1a0a0000000d4948445200000001000000010806000000" "1f15c4890000000d49444154789c6360000002000001e221bc330000000049454e44ae426082")
    info = await files.store_bytes(ctx, "a.png", png)
    await shop.lab.make("customer", by="clerk", name="c", papers=[str(info.id)])
    shop.put("customer", fld("papers", "image"))
    await shop.follow()
    assert await shop.values("customer", "papers") == {"c": [str(info.id)]}
    [item] = (await listed(shop)).values()
    await destroy(shop, item)
    assert (await files.open_file(await shop.lab.ctx("clerk"), info.id)).info.id == info.id


async def remove_orders(shop: Shop) -> None:
    shop.raw["entities"] = [e for e in shop.raw["entities"] if e["key"] != "order"]
    for key in ("total", "double"):
        shop.drop("customer", key)
    shop.raw["roles"][1]["entities"].pop("order")
    await shop.follow()


async def test_a_removed_entity_is_listed_and_purged_with_everything_around_it(shop):
    customer = await shop.lab.make("customer", name="c")
    for name in "abc":
        await shop.lab.make("order", name=name, customer=str(customer), partner=[str(customer)])
    before = copy.deepcopy(shop.raw)
    number = (await shop.lab.ctx("admin")).config.entity("order").number
    await remove_orders(shop)
    items = await listed(shop)
    item = items["order"]
    assert (item.kind, item.label["en"], item.count, item.since) == ("entity", "Orders", 3, 2)
    await destroy(shop, item)
    for table in ("record", "record_event", "search_token", "record_link", "field_column", "counter"):
        assert not await shop.lab.fetch(f"SELECT 1 FROM {table} WHERE tenant_id = $1 AND entity_id = $2", number), table  # noqa: S608
    await shop.follow(raw=before)
    assert await shop.values("order", "name") == {} and await shop.values("customer", "total") == {"c": 0}
    assert (await shop.lab.ctx("admin")).config.entity("order").number != number
    await shop.lab.make("order", name="new", customer=str(customer), amount=2)
    assert await shop.values("customer", "total") == {"c": 2}


async def test_an_entity_that_comes_back_before_it_was_purged_has_its_records_until_then(shop):
    await shop.lab.make("order", name="a")
    before = copy.deepcopy(shop.raw)
    await remove_orders(shop)
    stale = (await listed(shop))["order"]
    await shop.follow(raw=before)
    assert await shop.values("order", "name") == {"a": "a"}
    with pytest.raises(NotFound):
        await gone.purge(await shop.lab.ctx("admin"), stale, typed="Orders")


async def test_purging_is_confirmed_by_name_audited_and_waits_for_others(shop, monkeypatch):
    await shop.lab.make("customer", name="a", code="x")
    shop.drop("customer", "code")
    await shop.follow()
    ctx = await shop.lab.ctx("admin")
    [item] = (await listed(shop)).values()
    with pytest.raises(InvalidInput):
        await gone.purge(ctx, item, typed="code")
    with pytest.raises(PermissionDenied):
        await gone.purge(await shop.lab.ctx("clerk"), item, typed="Code")
    monkeypatch.setattr(gone, "SETTLED_SECONDS", 60.0)
    with pytest.raises(Conflict, match="a moment ago"):
        await gone.purge(ctx, item, typed="Code")
    monkeypatch.setattr(gone, "SETTLED_SECONDS", -1.0)
    shop.put("order", fld("place", "int"))
    await shop.lab.make("order", name="o", place="1")
    following = await shop.publish()
    ctx = await shop.lab.ctx("admin")
    with pytest.raises(Conflict, match="still following"):
        await gone.purge(ctx, item, typed="Code")
    await shop.finish(following)
    await destroy(shop, item)
    with pytest.raises(NotFound):
        await gone.purge(ctx, item, typed="Code")
    [event] = await list_audit(shop.lab.tenant_id, kind="config.purged")
    assert (event["actor_id"], event["target"], event["data"]["count"]) == (shop.lab.people["admin"], item.id, 1)


async def test_what_was_removed_is_brought_back_with_what_it_needs(shop):
    await shop.lab.make("customer", name="a", grade="gold")
    before = copy.deepcopy(shop.raw)
    for key in ("grade", "kinds"):
        shop.drop("customer", key)
    shop.raw["option_sets"] = []
    await shop.follow()
    ctx = await shop.lab.ctx("admin")
    item = next(i for i in (await listed(shop)).values() if i.field == "grade")
    parts = await gone.restore(ctx, item, shop.raw)
    assert [p.path for p in parts] == ["entities[customer].fields[grade]", "option_sets[grade]"]
    raw: dict[str, Any] = shop.raw
    for part in parts:
        raw = edits.put(raw, part.path, part.raw)
    await shop.follow(raw=raw)
    assert await shop.values("customer", "grade") == {"a": "gold"}
    assert edits.find(raw, "entities[customer].fields[grade]") == edits.find(before, "entities[customer].fields[grade]")


async def test_fields_removed_before_places_were_kept_are_found_in_old_revisions(shop):
    await shop.lab.make("customer", name="a", note="still there", kinds=["gold"])
    shop.drop("customer", "note")
    shop.drop("customer", "kinds")
    await shop.follow()
    await shop.lab.fetch("DELETE FROM field_column WHERE tenant_id = $1 AND field_key IN ('note', 'kinds') RETURNING 1")
    found = await listed(shop)
    assert {(i.field, i.place, i.type, i.count, i.last) for i in found.values()} == {("note", "doc:note", "longtext", 1, 1), ("kinds", "doc:kinds", "multi", 1, 1)}
    for item in found.values():
        await destroy(shop, item)
    assert await listed(shop) == {}
    [row] = await shop.lab.fetch("SELECT doc FROM record WHERE tenant_id = $1")
    assert row["doc"] == "{}"
    assert not await shop.lab.fetch("SELECT 1 FROM field_column WHERE tenant_id = $1 AND shape = '~purged'")


async def test_an_old_job_taken_up_again_does_not_touch_a_place_that_was_given_away(shop):
    """Cancelled, its source purged, the column given to another field: converting must not take those values."""
    await shop.lab.make("order", name="a", place="12")
    column = await place_of(shop, "order", "place")
    shop.put("order", fld("place", "int"))
    job_id = await shop.publish()
    ctx = await shop.lab.ctx("admin")
    await jobs.cancel_job(ctx, job_id)
    [item] = (await listed(shop)).values()
    await destroy(shop, item)
    for number in range(60):
        shop.put("order", fld(f"x{number}", "text"))
    await shop.follow()
    entity = (await shop.lab.ctx("admin")).config.entity("order")
    other = next(key for key, c in entity.columns.items() if c == column)
    record_id: UUID = (await execute(ctx, ops.List(entity="order"))).records[0].id
    await execute(await shop.lab.ctx("admin"), ops.Update(entity="order", id=record_id, values={other: "77"}))
    await jobs.retry_job(ctx, job_id)
    info = await shop.finish(job_id)
    assert info.result["steps"][0]["void"] == "purged"
    assert await shop.values("order", "place") == {"a": None}


async def test_old_revisions_of_tenants_before_shapes(shop):
    """Rows without a shape are named by the configuration that is live when the next one is published."""
    await shop.lab.make("order", name="a", place="12")
    async with tenant_transaction(shop.lab.tenant_id) as conn:
        await conn.execute("UPDATE field_column SET shape = '' WHERE tenant_id = $1", shop.lab.tenant_id)
        await conn.execute("DELETE FROM field_column WHERE tenant_id = $1 AND column_name LIKE '%:%'", shop.lab.tenant_id)
    shop.put("order", fld("place", "email"))
    shop.put("order", fld("status", "option", options=[{"key": "x", "label": label("X")}]))
    await shop.follow()
    assert await shop.values("order", "place") == {"a": None}
    rows = await shop.lab.fetch("SELECT field_key, shape FROM field_column WHERE tenant_id = $1")
    assert all(r["shape"] for r in rows) and "text" in {r["shape"] for r in rows if r["field_key"].startswith("place~")}
