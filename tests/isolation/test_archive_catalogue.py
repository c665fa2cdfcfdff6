"""Whoever adds a table or a column with a tenant's rows says here whether it goes into the archive of a tenant, or why not."""

from __future__ import annotations

import asyncpg
import pytest

from saas.metadata.slots import SLOTS
from saas.runtime.archive import catalogue as c

SLOT_COLUMNS = {f"{letter}{n}" for letter, count, _ in SLOTS.values() for n in range(1, count + 1)}
HINT = "name it in saas/runtime/archive/catalogue.py: as kept, or left out with the reason"


@pytest.fixture
async def columns(settings, database):
    connection = await asyncpg.connect(settings.database_url)
    rows = await connection.fetch(
        "SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p') "
        "AND NOT c.relispartition AND c.relnamespace = 'public'::regnamespace AND (c.relname = 'tenant' OR EXISTS (SELECT 1 FROM pg_attribute t WHERE t.attrelid = c.oid AND t.attname = 'tenant_id'))"
    )
    await connection.close()
    found: dict[str, set[str]] = {}
    for table, column in rows:
        found.setdefault(table, set()).add(column)
    return found


def decided(table: str) -> set[str] | None:
    """The columns somebody thought of; None for a table that is left out as a whole."""
    if table in c.LEFT_OUT:
        return None
    if table in c.OWN_FORM:
        return {*c.OWN_FORM_KEPT[table], *c.OWN_FORM[table], "tenant_id", *(SLOT_COLUMNS if table == "record" else ())}
    kept = c.KEPT[table]
    return {*kept.columns, *kept.without, "tenant_id", *(("entity_id",) if kept.of_entity else ())}


async def test_every_table_is_kept_or_left_out_with_a_reason(columns):
    known = {*c.KEPT, *c.OWN_FORM, *c.LEFT_OUT}
    assert set(columns) - known == set(), HINT
    assert known - set(columns) == set(), "these tables are gone"
    assert not set(c.KEPT) & set(c.LEFT_OUT)
    assert all(len(reason) > 10 for reason in c.LEFT_OUT.values())


async def test_every_column_is_kept_or_left_out_with_a_reason(columns):
    for table, there in columns.items():
        known = decided(table)
        if known is not None:
            assert there - known == set(), f"{table}: {HINT}"
            assert known - there <= {"tenant_id"}, f"{table}: these columns are gone"


async def test_ids_are_named_as_such(database, settings, columns):
    """A uuid that is not mapped would lead into the tenant it came from."""
    connection = await asyncpg.connect(settings.database_url)
    rows = await connection.fetch("SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public' AND data_type = 'uuid'")
    await connection.close()
    for table, column in rows:
        if column != "tenant_id" and table in c.KEPT and column in c.KEPT[table].columns:
            assert column in c.KEPT[table].ids, f"{table}.{column}: name it among the ids"
        if table == "record" and column in c.RECORD_META:
            assert column in c.RECORD_IDS
