"""Queues of records that wait for a review, and what was decided."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from saas.db.engine import DB
from saas.db.rls import grant, protect

ID = "2026-11-22T21:42:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Review queues"

TABLES = """
CREATE TABLE IF NOT EXISTS review_item (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    review_key text NOT NULL,
    entity_id int NOT NULL,
    record_id uuid NOT NULL,
    enqueued_at timestamptz NOT NULL,
    decided_at timestamptz,
    decided_by uuid,
    outcome text,
    target_id uuid,
    sources jsonb NOT NULL DEFAULT '[]',
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX IF NOT EXISTS review_item_waiting ON review_item (tenant_id, review_key, record_id) WHERE decided_at IS NULL;
CREATE INDEX IF NOT EXISTS review_item_record ON review_item (tenant_id, entity_id, record_id);
"""


async def make_tables() -> None:
    await DB.run_script(TABLES)
    await DB.run_script(*protect("review_item"), *grant("review_item", "SELECT, INSERT, UPDATE, DELETE"))


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="saas", description=DESCRIPTION)
    manager.add_raw(make_tables)
    return manager
