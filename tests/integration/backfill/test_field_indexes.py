"""An index for one field: made beside people's work, used by the app's own lists under row security, gone with its reason."""

from __future__ import annotations

import copy
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from saas.db import indexes, tenant_transaction
from saas.db.doctor import examine_url
from saas.db.roles import OWNER, role_login
from saas.errors import InvalidDefinition
from saas.metadata.parse import parse_bundle
from saas.runtime import execute
from saas.runtime import operations as ops
from saas.tenants import clean_up, delete_tenant
from tests.bundles import field as fld
from tests.integration.backfill.conftest import Shop, workshop

MANY = 30_000


@pytest_asyncio.fixture
async def owner(settings, database):
    connection = await asyncpg.connect(**role_login(settings.database_url, settings.secret_key, OWNER))
    yield connection
    await connection.close()


def with_numbers(shop: Shop, **more: Any) -> None:
    """More whole numbers than there are columns with a general index, then the field in question."""
    for number in range(6):
        shop.put("order", fld(f"n{number}", "int"))
    shop.put("order", fld("rank", "int", **more))


async def own(shop: Shop) -> list[tuple[str, str, str]]:
    rows = await shop.lab.fetch("SELECT column_name, index_name, status FROM field_index WHERE tenant_id = $1")
    return [tuple(r) for r in rows]


async def column_of(shop: Shop, key: str) -> tuple[int, str]:
    entity = (await shop.lab.ctx("admin")).config.entity("order")
    return entity.number, entity.columns[key]


async def test_a_long_list_sorted_by_the_field_reads_the_index(shop, owner, settings):
    with_numbers(shop)
    await shop.follow()
    number, column = await column_of(shop, "rank")
    async with tenant_transaction(shop.lab.tenant_id) as conn:
        await conn.execute(
            f"INSERT INTO record (tenant_id, entity_id, id, {column}, t1) "  # noqa: S608  a name of ours
            "SELECT $1, $2, gen_random_uuid(), (n * 7919) % 100003, 'r' || n FROM generate_series(1, $3::int) n",
            shop.lab.tenant_id, number, MANY,
        )  # fmt: skip
    seen: list[list[Any]] = []

    async def plan() -> str:
        """What PostgreSQL does for the app's own first page of the list, in the app's own transaction."""
        seen.clear()
        ctx = await shop.lab.ctx("clerk")
        async with tenant_transaction(shop.lab.tenant_id) as conn:
            fetch = type(conn).fetch

            async def listening(self: Any, sql: str, *args: Any, **kwargs: Any) -> Any:
                if "ORDER BY" in sql and "FROM record t" in sql:
                    seen.append([sql, *args])
                return await fetch(self, sql, *args, **kwargs)

            type(conn).fetch = listening
            try:
                page = await execute(ctx, ops.List(entity="order", sort=["-rank"], limit=25))
            finally:
                type(conn).fetch = fetch
            assert len(page.records) == 25
            assert await conn.fetchval("SELECT current_user") == "saas_app"
            sql, *args = seen[0]
            return "\n".join(row[0] for row in await conn.fetch(f"EXPLAIN (ANALYZE, BUFFERS OFF) {sql}", *args))

    await owner.execute("ANALYZE record")
    assert indexes.index_name(number, column) not in await plan()
    with_numbers(shop, indexed=True)
    await shop.follow()
    assert await own(shop) == [(column, f"record_e{number}_{column}", "ready")]
    used = await plan()
    assert f"record_e{number}_{column}" in used and "Sort" not in used, used
    report = await examine_url(settings.database_url, settings)
    assert report.is_healthy, report.as_text()


async def test_an_index_goes_when_it_is_switched_off_and_with_its_field(shop, owner):
    with_numbers(shop, indexed=True)
    first = copy.deepcopy(shop.raw)
    await shop.follow()
    number, column = await column_of(shop, "rank")
    name = indexes.index_name(number, column)
    assert (await indexes.existing(owner))[name] is True
    with_numbers(shop)
    await shop.follow()
    assert name not in await indexes.existing(owner) and await own(shop) == []
    await shop.follow(raw=first)
    assert name in await indexes.existing(owner)
    shop.put("order", fld("rank", "number", indexed=True))
    await shop.follow()
    other = (await column_of(shop, "rank"))[1]
    assert [c for c, _, _ in await own(shop)] == [other] and name not in await indexes.existing(owner)
    shop.drop("order", "rank")
    await shop.follow()
    assert await own(shop) == []


async def test_what_an_interrupted_attempt_left_is_made_anew(shop, owner):
    with_numbers(shop, indexed=True)
    job = await shop.publish()
    number, column = await column_of(shop, "rank")
    name = indexes.index_name(number, column)
    partition = await owner.fetchval(indexes._PARTITION, "record", number)
    await owner.execute(f"CREATE INDEX {name} ON {partition} (id)")
    superuser = await asyncpg.connect(_database_url(shop))
    await superuser.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = $1::regclass", name)
    await superuser.close()
    await shop.finish(job)
    definition = await owner.fetchval("SELECT indexdef FROM pg_indexes WHERE indexname = $1", name)
    assert (await indexes.existing(owner))[name] is True
    assert f"({column}, id) INCLUDE (tenant_id) WHERE ((entity_id = {number}) AND ({column} IS NOT NULL))" in definition


def _database_url(shop: Shop) -> str:
    from saas.db import current_database

    return current_database().url


async def test_a_column_with_a_general_index_needs_none(shop):
    shop.field("order", "customer")["indexed"] = True
    info = await shop.follow()
    assert info.result["steps"][0]["note"] == "Its column has an index already." and await own(shop) == []


async def test_a_field_without_a_column_cannot_have_one(shop):
    for number in range(25):
        shop.put("order", fld(f"n{number}", "int"))
    shop.put("order", fld("rank", "int", indexed=True))
    info = await shop.follow()
    assert "no column of its own" in info.result["steps"][0]["note"]


async def test_deleting_the_tenant_takes_its_indexes_along(shop, owner):
    with_numbers(shop, indexed=True)
    await shop.follow()
    [(_, name, _)] = await own(shop)
    await delete_tenant(shop.lab.slug)
    assert name not in await indexes.existing(owner)


async def test_housekeeping_removes_what_belongs_to_nobody(shop, owner):
    with_numbers(shop, indexed=True)
    await shop.follow()
    [(_, name, _)] = await own(shop)
    await shop.lab.fetch("DELETE FROM field_index WHERE tenant_id = $1 RETURNING 1")
    assert (await clean_up())["field_index"] >= 1
    assert name not in await indexes.existing(owner)


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"type": "tags"}, "entities[order].fields[x0].indexed"),
        ({"type": "formula", "returns": "number", "expr": "amount"}, "entities[order].fields[x0].indexed"),
        ({"type": "longtext"}, "entities[order].fields[x0].indexed"),
    ],
)
def test_only_short_single_values_can_have_an_index(change, path):
    raw = workshop()
    raw["entities"][1]["fields"].append({**fld("x0", "text", indexed=True), **change})
    with pytest.raises(InvalidDefinition) as refused:
        parse_bundle(raw)
    assert [(p.path, p.code) for p in refused.value.problems] == [(path, "not_indexable")]
