"""Indexes for the orders lists are read in: by creation, by change, and the columns of a board by change.

The first two stood on columns that are never null, under a condition that says so: the planner drops that condition from queries
and then finds the index not proven. One by one, for each holds a lock while it is built.
"""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from saas.db.engine import DB

ID = "2026-11-22T12:50:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Orders of lists"

INDEXES = """
DROP INDEX IF EXISTS record_created_at;
CREATE INDEX record_created_at ON record (entity_id, created_at, id) INCLUDE (tenant_id);
DROP INDEX IF EXISTS record_updated_at;
CREATE INDEX record_updated_at ON record (entity_id, updated_at, id) INCLUDE (tenant_id);
DROP INDEX IF EXISTS record_state;
CREATE INDEX record_state ON record (entity_id, state, updated_at, id) INCLUDE (tenant_id) WHERE state IS NOT NULL;
"""


async def make_indexes() -> None:
    await DB.run_script(INDEXES)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="saas", description=DESCRIPTION)
    manager.add_raw(make_indexes)
    return manager
