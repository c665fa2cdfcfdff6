"""Writing and loading configurations on a real database, as the app role."""

from __future__ import annotations

import asyncio
import copy
from typing import Any

import pytest
from bundles import field, good_bundle, label

from saas.db import direct_connection, tenant_transaction
from saas.errors import Conflict, InvalidDefinition, NotFound
from saas.metadata import store


@pytest.fixture
async def tenant(tenant_factory: Any) -> Any:
    return (await tenant_factory()).id


def changed(**entity: Any) -> dict[str, Any]:
    raw = good_bundle()
    raw["entities"][0].update(entity)
    return raw


def with_field(**more: Any) -> dict[str, Any]:
    raw = good_bundle()
    raw["entities"][0]["fields"].append(field("extra", "text", **more))
    return raw


async def columns(tenant: Any) -> dict[str, dict[str, str]]:
    config = await store.current(tenant, (await store.revision(tenant)).number)
    return {key: dict(entity.columns) for key, entity in config.entities.items()}


async def test_publish_and_load(tenant: Any):
    published = await store.publish(tenant, good_bundle(), base_revision=0, message="First")
    config = await store.current(tenant, published.number)
    assert (published.number, config.revision, config.hash) == (1, 1, published.hash)
    assert config.entity("customer").number > 0
    assert config.entity("customer").columns["name"] == "t1"
    assert config.entity("deal").columns["customer"] == "r1"
    assert await store.current(tenant, 1) is config


async def test_tenant_without_configuration_has_an_empty_one(tenant: Any):
    config = await store.current(tenant, 0)
    assert (config.revision, config.entities, config.roles) == (0, {}, {})


async def test_bundle_reads_back_as_it_was_written(tenant: Any):
    raw = good_bundle()
    await store.publish(tenant, raw, base_revision=0)
    stored = await store.revision(tenant)
    assert stored.bundle == raw
    assert store.content_hash(stored.bundle) == stored.hash == store.content_hash(raw)


def test_hash_does_not_depend_on_the_order_of_keys_but_on_that_of_lists():
    raw, other = good_bundle(), good_bundle()
    other["entities"][0] = dict(reversed(other["entities"][0].items()))
    assert store.content_hash(raw) == store.content_hash(other)
    other["entities"].reverse()
    assert store.content_hash(raw) != store.content_hash(other)
    assert store.content_hash({"a": 1.0, "b": 1e2}) == store.content_hash({"b": 100, "a": 1})


async def test_invalid_bundle_leaves_nothing_behind(tenant: Any):
    with pytest.raises(InvalidDefinition):
        await store.publish(tenant, changed(title="nothing"), base_revision=0)
    assert await store.revisions(tenant) == []


async def test_publishing_on_an_old_revision_is_a_conflict(tenant: Any):
    await store.publish(tenant, good_bundle(), base_revision=0)
    with pytest.raises(Conflict):
        await store.publish(tenant, with_field(), base_revision=0)
    assert [r.number for r in await store.revisions(tenant)] == [1]


async def test_of_two_publishers_at_once_one_wins(tenant: Any):
    results = await asyncio.gather(
        *(store.publish(tenant, with_field(max_length=10 + n), base_revision=0) for n in range(2)), return_exceptions=True
    )
    assert sorted(type(r).__name__ for r in results) == ["Conflict", "Revision"]


async def test_failure_later_in_the_transaction_undoes_everything(tenant: Any):
    with pytest.raises(RuntimeError):
        async with tenant_transaction(tenant):
            await store.publish(tenant, good_bundle(), base_revision=0)
            assert (await store.current(tenant, 1)).revision == 1  # visible inside
            raise RuntimeError
    with pytest.raises(NotFound):
        await store.current(tenant, 1)


async def test_uncommitted_configuration_does_not_stay_in_the_cache(tenant: Any):
    with pytest.raises(RuntimeError):
        async with tenant_transaction(tenant):
            await store.publish(tenant, with_field(), base_revision=0)
            await store.current(tenant, 1)
            raise RuntimeError
    await store.publish(tenant, good_bundle(), base_revision=0)
    assert "extra" not in (await store.current(tenant, 1)).entity("customer").fields


async def test_publish_tells_the_other_processes(tenant: Any):
    heard: asyncio.Queue[str] = asyncio.Queue()
    async with direct_connection() as listener:
        await listener.add_listener(store.CHANNEL, lambda *args: heard.put_nowait(args[-1]))
        await store.publish(tenant, good_bundle(), base_revision=0)
        assert await asyncio.wait_for(heard.get(), 30) == f"{tenant}:1"


# ---- columns over time --------------------------------------------------------------------------------------------------


async def test_columns_are_stable_over_revisions(tenant: Any):
    await store.publish(tenant, good_bundle(), base_revision=0)
    first = await columns(tenant)
    await store.publish(tenant, with_field(unique=True), base_revision=1)
    second = await columns(tenant)
    assert {k: v for k, v in second["customer"].items() if k != "extra"} == first["customer"]
    await store.publish(tenant, good_bundle(), base_revision=2)
    assert await columns(tenant) == first
    await store.publish(tenant, with_field(unique=True), base_revision=3)
    assert await columns(tenant) == second


async def test_older_revision_still_finds_its_columns(tenant: Any):
    await store.publish(tenant, with_field(), base_revision=0)
    column = (await columns(tenant))["customer"]["extra"]
    await store.publish(tenant, good_bundle(), base_revision=1)
    store.cache.forget(tenant)
    assert (await store.current(tenant, 1)).entity("customer").columns["extra"] == column


async def test_field_of_another_storage_gets_another_column_and_back(tenant: Any):
    await store.publish(tenant, with_field(), base_revision=0)
    text = (await columns(tenant))["customer"]["extra"]
    raw = good_bundle()
    raw["entities"][0]["fields"].append(field("extra", "int"))
    await store.publish(tenant, raw, base_revision=1)
    assert (await columns(tenant))["customer"]["extra"].startswith("i")
    await store.publish(tenant, with_field(), base_revision=2)
    assert (await columns(tenant))["customer"]["extra"] == text


async def test_entity_that_returns_keeps_its_number(tenant: Any):
    extended = good_bundle()
    extended["entities"].append({"key": "memo", "label": label("Memo"), "plural": label("Memos"), "title": "text", "fields": [field("text", "text")]})
    for base, raw in enumerate((extended, good_bundle(), extended)):
        await store.publish(tenant, raw, base_revision=base)
    numbers = [(await store.current(tenant, n)).entity("memo") for n in (1, 3)]
    assert numbers[0].number == numbers[1].number
    assert numbers[0].columns == numbers[1].columns


async def test_entity_numbers_belong_to_one_tenant(tenant_factory: Any):
    numbers: set[int] = set()
    for _ in range(2):
        tenant = (await tenant_factory()).id
        await store.publish(tenant, good_bundle(), base_revision=0)
        config = await store.current(tenant, 1)
        numbers |= {e.number for e in config.entities.values()}
    assert len(numbers) == 4


# ---- history ------------------------------------------------------------------------------------------------------------


async def test_unknown_revision_is_not_found(tenant: Any):
    await store.publish(tenant, good_bundle(), base_revision=0)
    with pytest.raises(NotFound):
        await store.revision(tenant, 7)


async def test_revisions_of_another_tenant_are_invisible(tenant_factory: Any):
    one, other = (await tenant_factory()).id, (await tenant_factory()).id
    await store.publish(one, good_bundle(), base_revision=0)
    assert await store.revisions(other) == []
    with pytest.raises(NotFound):
        await store.current(other, 1)


async def test_tenants_with_the_same_bundle_share_its_models(tenant_factory: Any):
    tenants = [(await tenant_factory()).id for _ in range(2)]
    configs = []
    for tenant in tenants:
        await store.publish(tenant, good_bundle(), base_revision=0)
        configs.append(await store.current(tenant, 1))
    assert configs[0].bundle is configs[1].bundle
    assert configs[0].entity("customer").number != configs[1].entity("customer").number


# ---- departments ------------------------------------------------------------------------------------------


async def test_departments_are_seeded_once(tenant: Any):
    await store.publish(tenant, good_bundle(), base_revision=0)
    raw = copy.deepcopy(good_bundle())
    raw["departments"].append({"key": "late", "label": label("Late")})
    await store.publish(tenant, raw, base_revision=1)
    async with tenant_transaction(tenant) as conn:
        rows = await conn.fetch("SELECT d.key, p.key AS parent FROM department d LEFT JOIN department p ON p.id = d.parent_id AND p.tenant_id = d.tenant_id")
    assert {r["key"]: r["parent"] for r in rows} == {"company": None, "sales": "company"}