"""Who held which record and how that ended, and when a record was last worked on: what pools are run by."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from saas.db.engine import DB

ID = "2026-11-22T21:30:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Pools"

SQL = """
ALTER TABLE record ADD COLUMN IF NOT EXISTS touched_at timestamptz;
CREATE TABLE IF NOT EXISTS ownership_event (
    tenant_id uuid NOT NULL,
    entity_id int NOT NULL,
    record_id uuid NOT NULL,
    id uuid NOT NULL,
    at timestamptz NOT NULL,
    kind text NOT NULL,
    user_id uuid NOT NULL,
    actor_id uuid,
    pool text,
    days int,
    PRIMARY KEY (tenant_id, entity_id, record_id, id)
);
CREATE INDEX IF NOT EXISTS ownership_event_user ON ownership_event (tenant_id, entity_id, user_id, kind, at);
"""


async def add_tables() -> None:
    await DB.run_script(SQL)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="saas", description=DESCRIPTION)
    manager.add_raw(add_tables)
    return manager
