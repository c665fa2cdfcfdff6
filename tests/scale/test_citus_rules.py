"""The live schema against the rules of Citus (read in its documentation and regression tests, version 14), so that the last step of
docs/scaling.md stays open: every tenant's table could be distributed by tenant_id, `tenant` and the operators' be reference tables.

Citus itself is not run here. Each rule is tried against a schema that breaks it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import asyncpg
import pytest
import pytest_asyncio

from saas.db import pools, tenant_transaction
from saas.db.roles import OWNER, role_login
from saas.tenants import new_id
from tests.conftest import SECRET
from tests.scale.conftest import serving

# On every node as a whole: small, and referred to by everybody. They may have keys without a tenant.
REFERENCE = {"tenant", "operator_account", "operator_session", "operator_audit", "tenant_move", "platform_mail", "worker_beat", "verified_domain", "stripe_customer", "stripe_event", "billing_report", "migration", "operator_recovery_code", "traffic_hour", "recent_error", "tenant_figures", "announcement", "feature_switch", "signup", "throttle"}
# On workers a sequence counts in ranges of 64 bits, so a column of 32 bits gets its numbers at the coordinator: entities are made
# by publishing only, which docs/scaling.md sends there.
AT_THE_COORDINATOR = {"entity.id"}
_TABLES = "c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition"
Rule = Callable[[asyncpg.Connection], Awaitable[list[str]]]


@pytest_asyncio.fixture(scope="module")
async def owner(clone_database) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(**role_login(await clone_database(), SECRET, OWNER))
    yield connection
    await connection.close()


async def _names(connection: asyncpg.Connection, sql: str) -> list[str]:
    return [row[0] for row in await connection.fetch(sql)]


async def _distributed(connection: asyncpg.Connection) -> list[str]:
    return [name for name in await _names(connection, f"SELECT c.relname FROM pg_class c WHERE {_TABLES} ORDER BY 1") if name not in REFERENCE]  # noqa: S608


async def has_the_column(connection: asyncpg.Connection) -> list[str]:
    """Every distributed table has tenant_id: a UUID, never empty, without a default of its own."""
    rows = await connection.fetch(
        "SELECT c.relname AS name, a.atttypid = 'uuid'::regtype AND a.attnotnull AND NOT a.atthasdef AS fits FROM pg_class c "  # noqa: S608
        f"LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped WHERE {_TABLES}"
    )
    return [row["name"] for row in rows if row["name"] not in REFERENCE and not row["fits"]]


async def has_a_key(connection: asyncpg.Connection) -> list[str]:
    """Every distributed table has a primary key; moving shards and tenants needs it, too."""
    rows = await _names(connection, f"SELECT c.relname FROM pg_class c WHERE {_TABLES} AND NOT EXISTS (SELECT 1 FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary)")  # noqa: S608
    return [name for name in rows if name not in REFERENCE]


async def keys_contain_it(connection: asyncpg.Connection) -> list[str]:
    """Every primary key, unique index and exclusion constraint of a distributed table contains tenant_id."""
    rows = await connection.fetch(
        "SELECT c.relname AS name, k.relname AS index FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_class k ON k.oid = i.indexrelid "  # noqa: S608
        f"WHERE {_TABLES} AND (i.indisunique OR i.indisexclusion) AND NOT EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid "
        "AND a.attname = 'tenant_id' AND a.attnum = ANY(i.indkey::int2[]))"
    )
    return [f"{row['name']}: {row['index']}" for row in rows if row["name"] not in REFERENCE]


async def foreign_keys_stay_with_the_tenant(connection: asyncpg.Connection) -> list[str]:
    """A foreign key leads to a reference table, or to tenant_id by tenant_id; and it never sets columns to null or default."""
    rows = await connection.fetch(
        "SELECT c.relname AS name, f.relname AS target, o.conname, o.confdeltype, o.confupdtype, "  # noqa: S608
        "array_position(o.conkey, (SELECT attnum FROM pg_attribute WHERE attrelid = c.oid AND attname = 'tenant_id')) AS here, "
        "array_position(o.confkey, (SELECT attnum FROM pg_attribute WHERE attrelid = f.oid AND attname = 'tenant_id')) AS there "
        f"FROM pg_constraint o JOIN pg_class c ON c.oid = o.conrelid JOIN pg_class f ON f.oid = o.confrelid WHERE o.contype = 'f' AND {_TABLES}"
    )
    found = []
    for row in rows:
        if row["name"] in REFERENCE:
            if row["target"] not in REFERENCE:
                found.append(f"{row['conname']}: a reference table refers to a distributed one")
        elif row["target"] not in REFERENCE and (row["here"] is None or row["here"] != row["there"]):
            found.append(f"{row['conname']}: leads out of the tenant")
        if row["confdeltype"] in (b"n", b"d") or row["confupdtype"] in (b"n", b"d", b"c"):
            found.append(f"{row['conname']}: sets or follows columns of the key")
    return found


async def nothing_runs_beside(connection: asyncpg.Connection) -> list[str]:
    """No triggers (but those of foreign keys), rules, views, functions, inheritance, or partitions of partitions."""
    return await _names(
        connection,
        f"""
        SELECT 'trigger ' || tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid WHERE NOT tgisinternal AND {_TABLES}
        UNION ALL SELECT 'rule ' || rulename FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class WHERE {_TABLES}
        UNION ALL SELECT 'view ' || relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('v', 'm', 'f')
        UNION ALL SELECT 'function ' || proname FROM pg_proc p WHERE pronamespace = 'public'::regnamespace
            AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
        UNION ALL SELECT 'inheritance ' || c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON p.oid = i.inhparent
            WHERE c.relkind IN ('r', 'p') AND (p.relkind <> 'p' OR c.relkind = 'p')
        """,  # noqa: S608  constants of this file
    )


async def sequences_are_wide(connection: asyncpg.Connection) -> list[str]:
    """Columns that count by a sequence are 64 bits wide, or get their numbers at the coordinator."""
    rows = await _names(
        connection,
        "SELECT c.relname || '.' || a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum "  # noqa: S608
        f"WHERE {_TABLES} AND a.atttypid <> 'int8'::regtype AND (a.attidentity <> '' OR pg_get_expr(d.adbin, d.adrelid) LIKE 'nextval(%')",
    )
    return [name for name in rows if name not in AT_THE_COORDINATOR and name.split(".")[0] not in REFERENCE]


RULES: list[Rule] = [has_the_column, has_a_key, keys_contain_it, foreign_keys_stay_with_the_tenant, nothing_runs_beside, sequences_are_wide]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
async def test_the_schema_keeps_the_rules(rule, owner):
    assert len(await _distributed(owner)) >= 30
    assert await rule(owner) == []


@pytest.mark.parametrize(
    ("rule", "sql"),
    [
        (has_the_column, "CREATE TABLE forgotten (id uuid PRIMARY KEY)"),
        (has_the_column, "ALTER TABLE counter ALTER COLUMN tenant_id SET DEFAULT gen_random_uuid()"),
        (has_a_key, "CREATE TABLE heap (tenant_id uuid NOT NULL)"),
        (keys_contain_it, "CREATE UNIQUE INDEX once ON app_user (email)"),
        (keys_contain_it, "ALTER TABLE file ADD CONSTRAINT names UNIQUE (id)"),
        (foreign_keys_stay_with_the_tenant, "ALTER TABLE department ADD COLUMN other uuid, ADD FOREIGN KEY (other, parent_id) REFERENCES department (tenant_id, id)"),
        (foreign_keys_stay_with_the_tenant, "ALTER TABLE department ADD COLUMN head uuid, ADD FOREIGN KEY (tenant_id, head) REFERENCES app_user (tenant_id, id) ON DELETE SET NULL"),
        (nothing_runs_beside, "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'"),
        (nothing_runs_beside, "CREATE VIEW people AS SELECT * FROM app_user"),
        (sequences_are_wide, "ALTER TABLE counter ADD COLUMN number int GENERATED ALWAYS AS IDENTITY"),
        (sequences_are_wide, "ALTER TABLE counter ADD COLUMN number serial"),
    ],
)
async def test_each_rule_finds_what_breaks_it(rule, sql, owner):
    transaction = owner.transaction()
    await transaction.start()
    try:
        await owner.execute(sql)
        assert await rule(owner) != [], sql
    finally:
        await transaction.rollback()


async def test_the_setting_is_sent_alone_where_the_database_is_citus(clone_database, settings):
    """Elsewhere one trip begins the transaction and names the tenant. Citus hands a SET LOCAL on to its workers, but not when it is part
    of a longer text."""
    sent = await _sent(replace(settings, database_url=await clone_database(), pooler_url=None, database_citus=True))
    [setting] = [text for text in sent if "app.tenant_id" in text]
    assert setting.startswith("SET LOCAL app.tenant_id = '") and ";" not in setting and "set_config" not in setting
    assert sent.index(setting) == 1 and sent[0].startswith("BEGIN")
    together = await _sent(replace(settings, database_url=await clone_database(), pooler_url=None, database_citus=False))
    assert together[0].startswith("BEGIN") and "SET LOCAL app.tenant_id" in together[0], "one trip where that is enough"


async def _sent(settings) -> list[str]:
    """What one transaction sends, read by the driver's own log."""
    sent: list[str] = []
    async with serving(settings):
        pool = pools.current_database().app
        async with pool.acquire() as connection:
            connection._con.add_query_logger(lambda record: sent.append(record.query.strip()))
        async with tenant_transaction(new_id()) as conn:
            await conn.fetch("SELECT 1 FROM tenant")
    return sent
