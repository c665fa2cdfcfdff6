"""The doctor's attempts to break in, as the app role: fill every table for one tenant, then try everything as another.

All of it happens in one transaction that is rolled back, with two tenants that never existed for anybody else.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import asyncpg

from saas.db.scope import set_tenant

# Values that a check constraint or a foreign key asks for; everything else follows from the column's type.
_FIXED: Mapping[tuple[str, str], Any] = {
    ("tenant", "status"): "active",
    ("app_user", "status"): "active",
    ("session", "kind"): "web",
    ("job", "status"): "queued",
    ("brand_file", "kind"): "logo",
    ("mail", "status"): "queued",
    ("outbox", "status"): "queued",
    ("tenant_domain", "status"): "pending",
    ("sso_provider", "mode"): "off",
    ("support_access", "mode"): "read",
    ("approval_flow", "status"): "running",
    ("approval_task", "kind"): "decide",
    ("approval_task", "status"): "open",
    ("message", "status"): "queued",
    ("message", "channel"): "email",
    ("opt_out", "channel"): "email",
    ("integration", "kind"): "webhook",
    ("form_entry", "status"): "made",
    ("exchange", "direction"): "out",
    ("exchange", "status"): "queued",
}
_COLUMNS = """
SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type, a.attidentity <> '' OR a.attgenerated <> '' AS generated,
       a.attnotnull AND a.atthasdef = false AS needed
FROM pg_attribute a WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""
_REFERENCES = """
SELECT a.attname AS column, c.confrelid::regclass::text AS target, f.attname AS target_column
FROM pg_constraint c CROSS JOIN LATERAL unnest(c.conkey, c.confkey) AS k (here, there)
JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.here
JOIN pg_attribute f ON f.attrelid = c.confrelid AND f.attnum = k.there
WHERE c.contype = 'f' AND c.conrelid = $1::regclass AND c.conparentid = 0
"""
_REFUSED = (asyncpg.InsufficientPrivilegeError,)


async def probe_without_tenant(check: Any, app: asyncpg.Connection, tables: Mapping[str, str]) -> None:
    """Rows are there, but nobody says for whom we ask: nothing may be seen."""
    async with _two_tenants(app, tables) as (_victim, _intruder, _rows):
        await set_tenant(app, None)
        for table in tables:
            check.examined += 1
            if count := await app.fetchval(f'SELECT count(*) FROM "{table}"'):  # noqa: S608  names from the catalogue
                check.problems.append(f"{table}: shows {count} rows to nobody in particular")


async def probe_reading(check: Any, app: asyncpg.Connection, tables: Mapping[str, str]) -> None:
    async with _two_tenants(app, tables) as (victim, intruder, rows):
        for table, column in tables.items():
            check.examined += 1
            await set_tenant(app, victim)
            if not await app.fetchval(f'SELECT count(*) FROM "{table}" WHERE "{column}" = $1', victim):  # noqa: S608
                check.problems.append(f"{table}: not even its own tenant sees the row made for this probe")
            await set_tenant(app, intruder)
            queries = {
                "shows": f'SELECT * FROM "{table}" WHERE "{column}" = $1',  # noqa: S608
                "counts": f'SELECT 1 FROM "{table}" WHERE "{column}" = $1 HAVING count(*) > 0',  # noqa: S608
                "finds by key": f'SELECT 1 FROM "{table}" t WHERE to_jsonb(t) @> $1::jsonb',  # noqa: S608
            }
            for what, sql in queries.items():
                argument = json.dumps(_json_key(rows[table], column)) if what == "finds by key" else victim
                if await app.fetch(sql, argument):
                    check.problems.append(f"{table}: {what} another tenant's rows")
            if await app.fetchval(f'SELECT count(*) FROM "{table}" WHERE "{column}" <> $1', intruder):  # noqa: S608
                check.problems.append(f"{table}: shows rows of others without being asked for one")


async def probe_writing(check: Any, app: asyncpg.Connection, tables: Mapping[str, str]) -> None:
    async with _two_tenants(app, tables) as (victim, intruder, rows):
        await set_tenant(app, intruder)
        for table, column in tables.items():
            check.examined += 1
            attempts = {
                "changes": (f'UPDATE "{table}" SET "{column}" = "{column}" WHERE "{column}" = $1', (victim,)),  # noqa: S608
                "takes over": (f'UPDATE "{table}" SET "{column}" = $2 WHERE "{column}" = $1', (victim, intruder)),  # noqa: S608
                "deletes": (f'DELETE FROM "{table}" WHERE "{column}" = $1', (victim,)),  # noqa: S608
                "gives away": (f'UPDATE "{table}" SET "{column}" = $2 WHERE "{column}" = $1', (intruder, victim)),  # noqa: S608
            }
            for what, (sql, arguments) in attempts.items():
                if await _touched(app, sql, *arguments):
                    check.problems.append(f"{table}: {what} rows across tenants")
            values = {**rows[table], column: victim if column == "tenant_id" else uuid.uuid4()}
            if "id" in values and column == "tenant_id" and isinstance(values["id"], uuid.UUID):
                values["id"] = uuid.uuid4()
            if await _inserted(app, table, values):
                check.problems.append(f"{table}: takes a row for another tenant")


ALL = (
    ("no_tenant", "Without a tenant no table shows a row", probe_without_tenant),
    ("reading", "A tenant cannot read, count or find another tenant's rows in any table", probe_reading),
    ("writing", "A tenant cannot insert, change, take, give or delete rows across tenants in any table", probe_writing),
)


# ---- the stage ---------------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def _two_tenants(
    app: asyncpg.Connection, tables: Mapping[str, str]
) -> AsyncIterator[tuple[uuid.UUID, uuid.UUID, dict[str, dict[str, Any]]]]:
    """A victim with a row in every table and an intruder with the same; yields both ids and the victim's rows."""
    victim, intruder = uuid.uuid4(), uuid.uuid4()
    transaction = app.transaction()
    await transaction.start()
    try:
        shape = {table: await shape_of(app, table) for table in tables}
        rows = await _fill(app, shape, tables, victim)
        await _fill(app, shape, tables, intruder)
        yield victim, intruder, rows
    finally:
        await transaction.rollback()


async def _fill(
    app: asyncpg.Connection, shape: Mapping[str, Any], tables: Mapping[str, str], tenant: uuid.UUID
) -> dict[str, dict[str, Any]]:
    await set_tenant(app, tenant)
    rows: dict[str, dict[str, Any]] = {}
    waiting = list(tables)
    while waiting:
        ready = [t for t in waiting if all(r["target"] in rows or r["target"] == t for r in shape[t][1])]
        for table in ready or waiting:
            columns, references = shape[table]
            values = {c["name"]: _value(table, c["name"], c["type"], tenant) for c in columns if c["needed"] and not c["generated"]}
            for reference in references:
                if reference["target"] != table and reference["column"] in values:
                    values[reference["column"]] = rows[reference["target"]][reference["target_column"]]
            values[tables[table]] = tenant
            names = ", ".join(f'"{name}"' for name in values)
            marks = ", ".join(f"${number}" for number in range(1, len(values) + 1))
            await app.execute(f'INSERT INTO "{table}" ({names}) VALUES ({marks})', *values.values())  # noqa: S608
            rows[table] = values
        waiting = [table for table in waiting if table not in rows]
    return rows


async def shape_of(app: asyncpg.Connection, table: str) -> tuple[list[Any], list[Any]]:
    """The table's columns, and the columns that refer to other tables."""
    return await app.fetch(_COLUMNS, table), await app.fetch(_REFERENCES, table)


def _value(table: str, column: str, kind: str, tenant: uuid.UUID) -> Any:
    if (table, column) in _FIXED:
        return _FIXED[table, column]
    if kind == "uuid":
        return uuid.uuid4()
    if kind in ("integer", "bigint", "smallint"):
        return 1
    if kind == "jsonb":
        return "{}"
    if kind == "boolean":
        return False
    if kind == "bytea":
        return tenant.bytes
    if kind.startswith("timestamp"):
        return datetime(2026, 1, 1, tzinfo=UTC)
    if kind == "date":
        return datetime(2026, 1, 1, tzinfo=UTC).date()
    if kind == "double precision":
        return 1.0
    return f"probe-{tenant.hex}"


def _json_key(row: Mapping[str, Any], column: str) -> dict[str, Any]:
    return {key: str(value) for key, value in row.items() if key == column or isinstance(value, uuid.UUID)}


async def _touched(app: asyncpg.Connection, sql: str, *arguments: Any) -> int:
    """Rows an attempt reached; refused is none. Runs in a savepoint that is always undone."""
    savepoint = app.transaction()
    await savepoint.start()
    try:
        status = await app.execute(sql, *arguments)
        return int(status.rsplit(" ", 1)[1])
    except _REFUSED:
        return 0
    except asyncpg.IntegrityConstraintViolationError:
        return 1  # it came as far as the constraints: row security did not stop it
    finally:
        await savepoint.rollback()


async def _inserted(app: asyncpg.Connection, table: str, values: Mapping[str, Any]) -> int:
    names = ", ".join(f'"{name}"' for name in values)
    marks = ", ".join(f"${number}" for number in range(1, len(values) + 1))
    return await _touched(app, f'INSERT INTO "{table}" ({names}) VALUES ({marks})', *values.values())  # noqa: S608
