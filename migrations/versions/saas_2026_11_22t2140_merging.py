"""Records that were merged: what became of what, where old ids lead, and what undoing it needs."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from saas.db.engine import DB
from saas.db.rls import grant, protect

ID = "2026-11-22T21:40:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Merging records"

# `detail` holds the values before and after, and the ids of records and files that were led to the survivor.
TABLES = """
CREATE TABLE IF NOT EXISTS record_merge (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    entity_id int NOT NULL,
    survivor_id uuid NOT NULL,
    merged_at timestamptz NOT NULL,
    merged_by uuid,
    undo_until timestamptz NOT NULL,
    undone_at timestamptz,
    undone_by uuid,
    detail jsonb NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX IF NOT EXISTS record_merge_survivor ON record_merge (tenant_id, entity_id, survivor_id);
CREATE TABLE IF NOT EXISTS record_trace (
    tenant_id uuid NOT NULL,
    entity_id int NOT NULL,
    loser_id uuid NOT NULL,
    survivor_id uuid NOT NULL,
    merge_id uuid NOT NULL,
    PRIMARY KEY (tenant_id, entity_id, loser_id)
);
CREATE INDEX IF NOT EXISTS record_trace_survivor ON record_trace (tenant_id, entity_id, survivor_id);
"""


async def make_tables() -> None:
    await DB.run_script(TABLES)
    for table in ("record_merge", "record_trace"):
        await DB.run_script(*protect(table), *grant(table, "SELECT, INSERT, UPDATE, DELETE"))


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="saas", description=DESCRIPTION)
    manager.add_raw(make_tables)
    return manager
